"""What every database must do with invitations, and with the browsers that came by one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.model import DeviceGrant, InvitationFault, PageQuery, SubscriptionState
from pushdesk.storage.records import Enrollment, Redemption
from pushdesk.storage.store import Store
from tests.contract.storing import NOW, find_gone, put, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.storage.records import NewSubscription, Stored

HOUR_MS = 3_600_000
CODE = b"c" * 32
SECRET = b"s" * 32


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(tmp_path / "pushdesk.db") as opened:
        yield opened


async def invite(store: Store, user: str = "ada", code: bytes = CODE, *, now: int = NOW) -> bool:
    return await store.invitations.add(user, code, now_ms=now, expires_at_ms=now + HOUR_MS)


async def redeem(store: Store, code: bytes = CODE, *, enrollment: str = "e1", now: int = NOW) -> Redemption:
    return await store.invitations.redeem(code, enrollment=enrollment, token_digest=SECRET, now_ms=now)


async def enroll(store: Store, user: str = "ada", enrollment: str = "e1") -> DeviceGrant:
    """Let a browser in."""
    code = enrollment.encode().ljust(32, b"-")
    await invite(store, user, code)
    assert await redeem(store, code, enrollment=enrollment) == Redemption(user)
    return DeviceGrant(user, None, enrollment)


async def put_by(
    store: Store, grant: DeviceGrant, new: NewSubscription, *, replaces: str | None = None, most: int = 10
) -> Stored:
    return await store.subscriptions.put(new, replaces=replaces, max_per_user=most, now_ms=NOW, grant=grant)


async def owned(store: Store) -> dict[str, str | None]:
    """Return who has which subscription."""
    return {item.id: item.user for item in (await store.listings.subscriptions(PageQuery())).items}


class TestInvitations:
    async def test_a_user_comes_into_being_by_one_with_a_generation_that_is_new(self, store: Store) -> None:
        before = (await store.subscriptions.targets(["ada"]))["ada"].generation
        assert await invite(store) is True
        assert await invite(store, code=b"d" * 32) is False
        assert [user.id for user in (await store.listings.users(PageQuery())).items] == ["ada"]
        assert (await store.subscriptions.targets(["ada"]))["ada"].generation == before + 1

    async def test_one_lets_one_browser_in(self, store: Store) -> None:
        await invite(store)
        assert await redeem(store) == Redemption("ada")
        assert await store.invitations.enrollment("e1") == Enrollment("ada", SECRET, None)
        assert await redeem(store, enrollment="e2") == Redemption("ada", InvitationFault.USED)
        assert await store.invitations.enrollment("e2") is None

    async def test_of_many_at_once_one_is_first(self, store: Store) -> None:
        await invite(store)
        redemptions = await asyncio.gather(*(redeem(store, enrollment=f"e{number}") for number in range(20)))
        assert sorted(redemption.fault or "" for redemption in redemptions) == ["", *[InvitationFault.USED] * 19]
        found = [await store.invitations.enrollment(f"e{number}") for number in range(20)]
        assert len([enrollment for enrollment in found if enrollment]) == 1

    async def test_one_ends_at_its_end(self, store: Store) -> None:
        await invite(store)
        await invite(store, code=b"d" * 32)
        assert await redeem(store, now=NOW + HOUR_MS - 1) == Redemption("ada")
        expired = await redeem(store, b"d" * 32, enrollment="e2", now=NOW + HOUR_MS)
        assert expired == Redemption("ada", InvitationFault.EXPIRED)

    async def test_a_used_one_was_used_even_after_its_end(self, store: Store) -> None:
        await invite(store)
        await redeem(store)
        assert (await redeem(store, now=NOW + 2 * HOUR_MS)).fault is InvitationFault.USED

    async def test_what_was_never_made_is_unknown(self, store: Store) -> None:
        assert await redeem(store) == Redemption(None, InvitationFault.UNKNOWN)


class TestTheSubscriptionOfAnInvitedBrowser:
    async def test_it_is_known_by_its_browser(self, store: Store) -> None:
        grant = await enroll(store)
        assert not await store.invitations.is_invited("ada")
        await put_by(store, grant, subscription())
        assert await store.invitations.enrollment("e1") == Enrollment("ada", SECRET, "id-one")
        assert await store.invitations.is_invited("ada")
        assert not await store.invitations.is_invited("bo")

    async def test_one_that_is_gone_still_counts_as_invited(self, store: Store) -> None:
        await find_gone(store, await put_by(store, await enroll(store), subscription()))
        assert (await store.subscriptions.find("ada", "https://push.example/one")).state is SubscriptionState.GONE
        assert await store.invitations.is_invited("ada")

    async def test_another_takes_its_place_whether_or_not_it_is_named(self, store: Store) -> None:
        grant = await enroll(store)
        await put(store, subscription("other"))
        await put_by(store, grant, subscription("one"))
        stored = await put_by(store, grant, subscription("two"), most=2)
        assert [item.id for item in stored.removed] == ["id-one"]
        stored = await put_by(store, grant, subscription("three"), replaces="https://push.example/two", most=2)
        assert [item.id for item in stored.removed] == ["id-two"]
        assert await owned(store) == {"id-other": "ada", "id-three": "ada"}

    async def test_the_same_again_changes_nothing(self, store: Store) -> None:
        grant = await enroll(store)
        await put_by(store, grant, subscription())
        before = await store.subscriptions.targets(["ada"])
        assert not (await put_by(store, grant, replace(subscription(), id="x"))).changed
        assert await store.subscriptions.targets(["ada"]) == before

    async def test_one_that_was_there_before_becomes_the_browsers_with_its_token_alone(self, store: Store) -> None:
        await put(store, subscription())
        grant = await enroll(store, "bo")
        stored = await put_by(store, grant, replace(subscription(user="bo"), token_digest=b"n" * 32))
        assert (stored.created, stored.changed, stored.subscription.user) == (False, True, "bo")
        assert await store.invitations.enrollment("e1") == Enrollment("bo", SECRET, "id-one")
        assert await store.subscriptions.token_digest("id-one") == ("bo", b"n" * 32)
        assert await store.invitations.is_invited("bo")

    async def test_a_browser_that_is_invited_again_is_known_by_the_newer_invitation(self, store: Store) -> None:
        first, second = await enroll(store), await enroll(store, enrollment="e2")
        await put_by(store, first, subscription("one"))
        await put_by(store, second, subscription("two"))
        stored = await put_by(store, second, subscription("one"))
        assert [item.id for item in stored.removed] == ["id-two"]
        assert await store.invitations.enrollment("e1") == Enrollment("ada", SECRET, None)
        assert await store.invitations.enrollment("e2") == Enrollment("ada", SECRET, "id-one")

    async def test_renewed_without_the_token_for_the_same_user_it_stays_the_browsers(self, store: Store) -> None:
        await put_by(store, await enroll(store), subscription())
        await put(store, replace(subscription(key="key2"), key_is_declared=True))
        assert await store.invitations.enrollment("e1") == Enrollment("ada", SECRET, "id-one")

    async def test_moved_without_the_token_to_another_user_it_is_no_invited_browsers(self, store: Store) -> None:
        await put_by(store, await enroll(store), subscription())
        await put(store, replace(subscription(user="bo"), token_digest=b"n" * 32))
        assert await owned(store) == {"id-one": "bo"}
        assert await store.invitations.enrollment("e1") == Enrollment("ada", SECRET, None)
        assert not await store.invitations.is_invited("bo")
        assert not await store.invitations.is_invited("ada")

    async def test_other_keys_are_refused_and_change_nothing(self, store: Store) -> None:
        grant = await enroll(store)
        await put_by(store, grant, subscription("mine"))
        await put(store, subscription("theirs", user="bo"))
        with pytest.raises(PushdeskError) as refused:
            await put_by(store, grant, replace(subscription("theirs"), auth=b"b" * 16))
        assert refused.value.code == "endpoint_taken"
        assert await owned(store) == {"id-mine": "ada", "id-theirs": "bo"}

    async def test_it_counts_among_the_devices_of_its_user(self, store: Store) -> None:
        await put(store, subscription("other"))
        with pytest.raises(PushdeskError) as refused:
            await put_by(store, await enroll(store), subscription(), most=1)
        assert refused.value.code == "forbidden"

    async def test_removing_it_leaves_the_browser_known(self, store: Store) -> None:
        grant = await enroll(store)
        await put_by(store, grant, subscription())
        await store.subscriptions.remove("ada", "https://push.example/one")
        assert await store.invitations.enrollment("e1") == Enrollment("ada", SECRET, None)
        assert (await put_by(store, grant, subscription("two"))).created

    @pytest.mark.parametrize("grant", [DeviceGrant("ada", None, "e9"), DeviceGrant("bo", None, "e1")])
    async def test_what_let_it_in_is_looked_at_again(self, store: Store, grant: DeviceGrant) -> None:
        await enroll(store)
        with pytest.raises(PushdeskError) as refused:
            await put_by(store, grant, subscription(user=grant.user))
        assert refused.value.code == "unauthorized"
        assert [user.id for user in (await store.listings.users(PageQuery())).items] == ["ada"]

    async def test_so_is_the_token_of_one_that_nobody_invited(self, store: Store) -> None:
        stored = await put(store, subscription())
        grant = DeviceGrant("ada", stored.subscription.id)
        assert (await put_by(store, grant, subscription("two"), replaces="https://push.example/one")).created
        with pytest.raises(PushdeskError) as refused:
            await put_by(store, grant, subscription("three"), replaces="https://push.example/one")
        assert refused.value.code == "unauthorized"
        assert await owned(store) == {"id-two": "ada"}


async def test_a_subscription_that_is_withdrawn_takes_no_user_along_who_was_invited_meanwhile(store: Store) -> None:
    stored = await put(store, subscription())
    await find_gone(store, stored)
    await invite(store)
    assert await store.subscriptions.withdraw(stored)
    assert await redeem(store) == Redemption("ada")
