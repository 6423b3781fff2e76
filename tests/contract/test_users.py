"""What every database must do when a user is removed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pushdesk.model import DeviceGrant, InvitationFault, Outcome, PageQuery
from pushdesk.storage import users
from pushdesk.storage.records import IdempotencyKey, RemovedUser
from pushdesk.storage.store import Store
from tests.contract.storing import CLAIM, NOW, message, outcome, put, spread, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from pushdesk.storage.records import Raised

TABLES = ("user_state", "subscriptions", "invitations", "enrollments", "dispatches", "deliveries", "idempotency_keys")


@pytest.fixture
def raised() -> list[Raised]:
    return []


@pytest.fixture
async def store(path: Path, raised: list[Raised]) -> AsyncIterator[Store]:
    def told(changes: Sequence[Raised], is_certain: bool) -> None:  # noqa: FBT001 (the store's hook)
        assert is_certain
        raised.extend(changes)

    async with Store(path, on_raised=told) as opened:
        yield opened


async def populate(store: Store, user: str, *, sent: int = 1) -> None:
    """Let a user have some of everything."""
    code = f"code of {user}".encode().ljust(32)
    await store.invitations.add(user, code, now_ms=NOW, expires_at_ms=NOW + 1000)
    await store.invitations.redeem(code, enrollment=f"e-{user}", token_digest=b"s" * 32, now_ms=NOW)
    code = f"another of {user}".encode().ljust(32)
    await store.invitations.add(user, code, now_ms=NOW, expires_at_ms=NOW + 1000)
    await store.subscriptions.put(
        subscription(f"{user}-invited", user=user),
        replaces=None,
        max_per_user=10,
        now_ms=NOW,
        grant=DeviceGrant(user, None, f"e-{user}"),
    )
    await put(store, subscription(f"{user}-own", user=user))
    for number in range(sent):
        key = IdempotencyKey("admin", f"{user}-{number}", b"d" * 32)
        jobs = await spread(store, message(f"{user}-{number}", user, key=key))
        await store.outbox.settle([outcome(jobs[0], Outcome.ACCEPTED)], CLAIM, NOW)


def rows(path: Path, user: str) -> dict[str, int]:
    """Count what there is of a user, table by table."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(
                f'SELECT count(*) FROM {table} WHERE "key" LIKE ?'  # noqa: S608 (names of tables)
                if table == "idempotency_keys"
                else f'SELECT count(*) FROM {table} WHERE "user" LIKE ?',  # noqa: S608 (names of tables)
                (f"{user}%",),
            ).fetchone()[0]
            for table in TABLES
        }


async def remove(store: Store, user: str) -> int:
    """Remove a user; returns in how many batches their history went."""
    removed = await store.users.remove(user)
    assert removed is not None
    batches = 0
    while True:
        batch = await store.users.remove_history(removed)
        if not batch.deliveries and not batch.dispatches:
            return batches
        batches += 1


async def test_everything_of_a_user_goes_and_nothing_of_others(store: Store, path: Path) -> None:
    await populate(store, "ada")
    await populate(store, "bo")
    before = rows(path, "bo")
    assert all(before.values())
    assert before == rows(path, "ada")
    removed = await store.users.remove("ada")
    assert removed is not None
    assert {item.id for item in removed.subscriptions} == {"id-ada-invited", "id-ada-own"}
    at_once = rows(path, "ada")
    assert [at_once[table] for table in TABLES[:4]] == [0, 0, 0, 0]
    assert await store.invitations.enrollment("e-ada") is None
    await remove(store, "ada")
    assert not any(rows(path, "ada").values())
    assert rows(path, "bo") == before


async def test_the_history_goes_in_batches(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "BATCH", 2)
    await populate(store, "ada", sent=5)
    # Ten deliveries, two of each dispatch; then five dispatches.
    assert await remove(store, "ada") == 5 + 3
    assert not any(rows(path, "ada").values())


async def test_who_is_not_known_is_not_there(store: Store) -> None:
    await populate(store, "bo")
    assert await store.users.remove("ada") is None


async def test_who_was_only_ever_notified_can_be_removed(store: Store, path: Path) -> None:
    await store.outbox.accept([message(user="ada")])
    assert await store.users.remove("ada") == RemovedUser("ada", False, (), "m1", "")
    await remove(store, "ada")
    assert not any(rows(path, "ada").values())
    assert await store.users.remove("ada") is None


async def test_a_removal_that_was_broken_off_is_finished_by_another(store: Store, path: Path) -> None:
    await populate(store, "ada")
    assert await store.users.remove("ada") is not None
    async with Store(path) as restarted:
        assert await restarted.users.remove("ada") == RemovedUser("ada", False, (), "ada-0", "ada-0-id-ada-own")
        await remove(restarted, "ada")
        assert await restarted.users.remove("ada") is None
    assert not any(rows(path, "ada").values())


async def test_whom_a_crash_left_half_removed_the_next_start_knows(store: Store, path: Path) -> None:
    for user in ("ada", "bo", "cy"):
        await populate(store, user)
    await remove(store, "bo")
    assert await store.users.remove("ada") is not None
    await store.outbox.accept([message("zz-later", "ada")])
    async with Store(path) as restarted:
        (left,) = await restarted.users.unfinished()
        assert left == RemovedUser("ada", False, (), "ada-0", "ada-0-id-ada-own")
        while (batch := await restarted.users.remove_history(left)).deliveries or batch.dispatches:
            assert await restarted.users.unfinished() == (left,)
        assert await restarted.users.unfinished() == ()
        found = (await restarted.listings.dispatches(PageQuery())).items
        assert {item.id for item in found} == {"zz-later", "cy-0"}


async def test_the_end_of_one_removal_is_not_that_of_a_later_one(store: Store) -> None:
    await populate(store, "ada")
    first = await store.users.remove("ada")
    assert first is not None
    await put(store, subscription("new", user="ada"))
    await spread(store, message("zz-later", "ada"))
    second = await store.users.remove("ada")
    for removed, left in ((first, 1), (second, 0)):
        assert removed is not None
        while (batch := await store.users.remove_history(removed)).deliveries or batch.dispatches:
            pass
        assert len(await store.users.unfinished()) == left
    assert (await store.listings.dispatches(PageQuery())).items == ()


async def test_what_a_user_is_sent_who_comes_back_meanwhile_stays(store: Store, path: Path) -> None:
    await populate(store, "ada")
    removed = await store.users.remove("ada")
    assert removed is not None
    await put(store, subscription("new", user="ada"))
    await spread(store, message("zz-later", "ada"))
    while (batch := await store.users.remove_history(removed)).deliveries or batch.dispatches:
        pass
    assert [item.id for item in (await store.listings.dispatches(PageQuery())).items] == ["zz-later"]
    assert rows(path, "ada")["deliveries"] == 1


async def test_who_comes_back_never_repeats_a_generation(store: Store, raised: list[Raised]) -> None:
    seen: list[int] = []
    for number in range(3):
        if number % 2:
            await store.invitations.add("ada", bytes([number]) * 32, now_ms=NOW, expires_at_ms=NOW + 1)
        else:
            await put(store, subscription(user="ada"))
        seen.append((await store.subscriptions.targets(["ada"]))["ada"].generation)
        await store.users.remove("ada")
        seen.append((await store.subscriptions.targets(["ada"]))["ada"].generation)
    assert seen == sorted(set(seen)) == [1, 2, 3, 4, 5, 6]
    assert {(change.user, change.removed) for change in raised} == {("ada", None)}
    assert [change.after for change in raised] == seen


async def test_codes_of_a_removed_user_are_unknown(store: Store) -> None:
    code = b"c" * 32
    await store.invitations.add("ada", code, now_ms=NOW, expires_at_ms=NOW + 1000)
    await store.users.remove("ada")
    redemption = await store.invitations.redeem(code, enrollment="e", token_digest=b"s" * 32, now_ms=NOW)
    assert redemption.fault is InvitationFault.UNKNOWN
