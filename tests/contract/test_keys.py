"""The life of VAPID keys in the store: their states, the epoch, and the sweep of what was made with them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine as Driver
from sqlalchemy import event, text
from sqlalchemy.dialects import postgresql

from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import KeyState, Outcome, PageQuery, Service, SubscriptionState
from pushdesk.storage.key_bindings import select_users_left
from pushdesk.storage.records import KeyCounts, Raised, StoredKey, Swept, Targets
from pushdesk.storage.store import Store
from tests.contract.storing import CLAIM, NOW, message, outcome, put, spread, subscription
from tests.contract.test_seal import raw
from tests.contract.tracing import built_to_leave_what_is_deleted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from sqlalchemy import ClauseElement

    from tests.contract.tracing import Trace

CURRENT, RETIRING, RETIRED, REVOKED = KeyState
EVERYTHING = PageQuery()
LATER = NOW + 1000


class Hook:
    """Writes down what the store tells."""

    def __init__(self) -> None:
        self.raised: list[Raised] = []

    def __call__(self, raised: Sequence[Raised], _is_certain: bool) -> None:  # noqa: FBT001 (the store's hook)
        self.raised += raised


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
async def store(path: Path, hook: Hook, trace: Trace) -> AsyncIterator[Store]:
    """A store with the keys `old`, which is retiring, and `new`."""
    async with Store(path, on_raised=hook) as opened:
        await opened.keys.make_current(stored("old", NOW - 2000))
        await opened.keys.make_current(stored("new", NOW - 1000))
        trace.statements.clear()
        yield opened


def stored(name: str, made_at: int = NOW) -> StoredKey:
    return StoredKey(name, f"public {name}", f"pem {name}".encode(), CURRENT, made_at)


async def states(store: Store) -> dict[str, KeyState]:
    return {key.id: key.state for key in await store.keys.all()}


async def subscribe(store: Store, name: str, user: str = "ada", key: str = "old", **fields: Any) -> None:
    await put(store, replace(subscription(name, user, key), key_is_declared=True, **fields))


async def sweep(store: Store, limit: int = 500) -> list[Swept]:
    """Sweep until nothing is left; return the batches."""
    batches = []
    while (swept := await store.key_bindings.sweep(limit, NOW)) != Swept():
        batches.append(swept)
    await store.key_bindings.end_restoring()
    return batches


async def targets(store: Store, user: str = "ada") -> Targets:
    return (await store.subscriptions.targets([user]))[user]


async def devices(store: Store, user: str = "ada") -> set[str]:
    return {target.subscription for target in (await targets(store, user)).targets}


async def rows(store: Store) -> dict[str, SubscriptionState]:
    return {item.id: item.state for item in (await store.listings.subscriptions(EVERYTHING)).items}


class TestStates:
    async def test_what_changes_the_keys_returns_them_as_they_are(self, store: Store) -> None:
        changes = (
            store.keys.make_current(stored("newer")),
            store.keys.add_retiring(stored("other", NOW + 1)),
            store.keys.bring_back("old", CURRENT, LATER),
            store.keys.retire("new"),
            store.keys.bring_back("new", RETIRING, LATER),
            store.keys.revoke_all(stored("newest", NOW + 2)),
        )
        seen = []
        for change in changes:
            found = await change
            assert found == await store.keys.all()
            seen.append({key.id: key.state for key in found})
        assert seen == [
            {"old": RETIRING, "new": RETIRING, "newer": CURRENT},
            {"old": RETIRING, "new": RETIRING, "newer": CURRENT, "other": RETIRING},
            {"old": CURRENT, "new": RETIRING, "newer": RETIRING, "other": RETIRING},
            {"old": CURRENT, "new": RETIRED, "newer": RETIRING, "other": RETIRING},
            {"old": CURRENT, "new": RETIRING, "newer": RETIRING, "other": RETIRING},
            {"old": REVOKED, "new": REVOKED, "newer": REVOKED, "other": REVOKED, "newest": CURRENT},
        ]

    async def test_a_private_half_is_kept_until_it_is_revoked(self, store: Store, path: Path) -> None:
        await store.keys.retire("old")
        assert (await store.keys.find("old")).private_key == b"pem old"
        await store.keys.revoke_all(stored("newest"))
        assert {key.id: key.private_key for key in await store.keys.all()} == {
            "old": b"",
            "new": b"",
            "newest": b"pem newest",
        }
        with closing(sqlite3.connect(path)) as connection:
            assert not connection.execute("SELECT 1 FROM vapid_keys WHERE private_key LIKE '%pem old%'").fetchall()

    async def test_a_private_half_that_was_revoked_is_not_left_in_the_files(self, path: Path) -> None:
        secret = b"the private half " * 15
        with built_to_leave_what_is_deleted():
            async with Store(path) as store:
                for name in ("old", "new"):
                    await store.keys.make_current(replace(stored(name), private_key=secret))
            assert raw(path).count(secret) == 2
            async with Store(path) as store:
                async with store._database.write() as transaction:
                    assert await transaction.scalar(text("PRAGMA secure_delete")) == 1
                await store.keys.revoke_all(stored("newest"))
                with closing(sqlite3.connect(path)) as connection:
                    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
                assert b"private half" not in raw(path)
                await sweep(store)
            assert b"private half" not in raw(path)

    @pytest.mark.parametrize("state", [CURRENT, RETIRED, REVOKED])
    async def test_only_a_retiring_key_is_retired(self, store: Store, state: KeyState) -> None:
        key = await self._in_state(store, state)
        before = await store.keys.all()
        with pytest.raises(PushdeskError) as refused:
            await store.keys.retire(key)
        assert (refused.value.code, refused.value.fields) == ("bad_field", ("id",))
        assert str(state) in refused.value.detail
        assert await store.keys.all() == before

    @pytest.mark.parametrize(
        ("state", "wanted"), [(CURRENT, CURRENT), (REVOKED, CURRENT), (CURRENT, RETIRING), (RETIRING, RETIRING)]
    )
    async def test_what_cannot_be_brought_back_is_refused(
        self, store: Store, state: KeyState, wanted: KeyState
    ) -> None:
        key = await self._in_state(store, state)
        before = await store.keys.all()
        with pytest.raises(PushdeskError) as refused:
            await store.keys.bring_back(key, wanted, LATER)
        assert (refused.value.code, refused.value.fields) == ("bad_field", ("id",))
        assert await store.keys.all() == before

    async def test_a_key_that_is_not_known_is_not_found(self, store: Store) -> None:
        for question in (
            store.keys.find("unknown"),
            store.keys.retire("unknown"),
            store.keys.bring_back("unknown", CURRENT, LATER),
        ):
            with pytest.raises(PushdeskError) as missing:
                await question
            assert missing.value.code == "not_found"

    async def test_a_key_is_stored_once(self, store: Store) -> None:
        before = await store.keys.all()
        for change in (store.keys.make_current(stored("old")), store.keys.add_retiring(stored("old"))):
            with pytest.raises(DatabaseError):
                await change
        assert await store.keys.all() == before

    async def _in_state(self, store: Store, state: KeyState) -> str:
        if state is RETIRED:
            await store.keys.retire("old")
        if state is REVOKED:
            await store.keys.revoke_all(stored("newest"))
        return "new" if state is CURRENT else "old"


class TestProgress:
    async def test_what_was_bound_is_kept_from_when_it_began_to_retire(self, store: Store) -> None:
        await subscribe(store, "one", key="new")
        await subscribe(store, "two", key="new", service=Service.APPLE)
        await subscribe(store, "gone", key="new")
        await self._disable(store, "gone")
        await store.keys.make_current(stored("newer", LATER))
        await store.subscriptions.remove_ids(["id-one"])
        shown = {key.id: key for key in (await store.listings.keys(EVERYTHING)).items}
        assert shown["new"].before == {Service.MOZILLA: 1, Service.APPLE: 1}
        assert shown["new"].retiring_at is not None
        assert round(shown["new"].retiring_at.timestamp() * 1000) == LATER
        assert (shown["newer"].before, shown["newer"].retiring_at) == ({}, None)

    async def test_a_key_that_is_no_longer_retiring_has_none(self, store: Store) -> None:
        await subscribe(store, "one")
        await store.keys.bring_back("old", CURRENT, LATER)
        await store.keys.retire("new")
        for key in (await store.listings.keys(EVERYTHING)).items:
            assert (key.before, key.retiring_at) == ({}, None)

    async def test_an_imported_key_begins_with_what_it_fits(self, store: Store) -> None:
        await subscribe(store, "one", key="other")
        await store.keys.add_retiring(stored("other", LATER))
        shown = {key.id: key for key in (await store.listings.keys(EVERYTHING)).items}
        assert shown["other"].before == {Service.MOZILLA: 1}

    async def _disable(self, store: Store, name: str) -> None:
        jobs = await spread(store, message())
        (job,) = [job for job in jobs if job.target.subscription == f"id-{name}"]
        await store.outbox.settle([outcome(job, Outcome.GONE)], CLAIM, NOW)


class TestCounting:
    async def test_active_subscriptions_are_counted_by_key_and_service(self, store: Store) -> None:
        await subscribe(store, "one")
        await subscribe(store, "two", service=Service.APPLE)
        await subscribe(store, "three", service=Service.APPLE)
        await subscribe(store, "four", key="new")
        await subscribe(store, "five", key="not here")
        counts = await store.key_bindings.count()
        assert counts.bound == {"old": {Service.MOZILLA: 1, Service.APPLE: 2}, "new": {Service.MOZILLA: 1}}

    async def test_who_has_nothing_else_would_be_lost(self, store: Store) -> None:
        await store.keys.add_retiring(stored("other"))
        for user, keys in {
            "only old": ["old", "old"],
            "both": ["old", "new"],
            "two that retire": ["old", "other"],
            "only other": ["other"],
            "only new": ["new"],
        }.items():
            for number, key in enumerate(keys):
                await subscribe(store, f"{user} {number}", user, key)
        assert (await store.key_bindings.count()).users_left == {"old": 1, "other": 1}
        # What does not count does not keep anybody.
        await store.subscriptions.remove_ids(["id-both 1"])
        await store.keys.retire("other")
        assert (await store.key_bindings.count()).users_left == {"old": 3}

    async def test_nothing_is_counted_where_there_is_nothing(self, store: Store, trace: Trace) -> None:
        assert await store.key_bindings.count() == KeyCounts({}, {})
        # Nobody's subscriptions are gone through to find that out.
        assert not [statement for statement in trace.statements if "GROUP BY coalesce" in statement]

    async def test_counting_reads_the_index_alone(self, store: Store, path: Path, trace: Trace) -> None:
        await subscribe(store, "one")
        trace.statements.clear()
        await store.key_bindings.count()
        (count,) = [statement for statement in trace.statements if "GROUP BY subscriptions.key_id" in statement]
        with closing(sqlite3.connect(path)) as connection:
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {count}"))
        assert "COVERING INDEX ix_subscriptions_key_id_state_service" in plan


@pytest.mark.parametrize("users", [1, 500])
async def test_devices_are_found_by_the_index_of_users(store: Store, path: Path, trace: Trace, users: int) -> None:
    await store.subscriptions.targets([f"user-{number}" for number in range(users)])
    (read,) = [statement for statement in trace.statements if "last_generation" in statement]
    with closing(sqlite3.connect(path)) as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {read}"))
    assert "SEARCH subscriptions USING INDEX ix_subscriptions_user_id" in plan
    # Which SQLite would make anew for each read, from all subscriptions that there are.
    assert "AUTOMATIC" not in plan


class TestTheEndOfAKey:
    async def test_retiring_takes_effect_at_once(self, store: Store) -> None:
        await subscribe(store, "one")
        await subscribe(store, "two", key="new")
        before = await targets(store)
        await store.keys.retire("old")
        after = await targets(store)
        assert {target.subscription for target in after.targets} == {"id-two"}
        assert after.generation > before.generation
        assert await store.subscriptions.totals() == (1, 1)

    async def test_revoking_takes_effect_at_once_on_all_of_them(self, store: Store) -> None:
        await subscribe(store, "one")
        await subscribe(store, "two", key="new")
        await subscribe(store, "three", "bo", key="new")
        await store.keys.revoke_all(stored("newest"))
        for user in ("ada", "bo"):
            assert await devices(store, user) == set()
        assert await store.subscriptions.totals() == (2, 0)

    async def test_it_writes_as_much_for_many_as_for_one(self, store: Store, trace: Trace) -> None:
        def statements() -> list[str]:
            # Less what stands for the users of a read.
            begun = trace.statements.index("BEGIN IMMEDIATE")
            return [statement.partition("(")[0] for statement in trace.statements[begun:]]

        await subscribe(store, "one")
        trace.statements.clear()
        await store.keys.retire("old")
        for_one = statements()
        await store.keys.bring_back("old", RETIRING, NOW)
        for number in range(30):
            await subscribe(store, f"{number}", f"user-{number}")
        trace.statements.clear()
        await store.keys.retire("old")
        assert statements() == for_one
        assert not [statement for statement in for_one if "subscriptions" in statement]

    async def test_whatever_was_read_or_claimed_before_is_too_old(self, store: Store) -> None:
        await subscribe(store, "one")
        await subscribe(store, "two", "bo", key="new")
        await spread(store, message("claimed"))
        await spread(store, message("of bo", "bo"))
        await store.outbox.accept([message("open"), message("nobody's", "cy")])
        await store.outbox.release_claims()
        read = await store.subscriptions.targets(["ada", "bo", "cy"])
        await store.keys.revoke_all(stored("newest"))
        opened = {item.message.id: item.floor for item in (await store.outbox.due(NOW, 10)).opened}
        claimed = {item.message.id: item.floor for item in await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10)}
        again = await store.subscriptions.targets(["ada", "bo", "cy"])
        epoch = again["ada"].generation
        assert set(opened) == {"open", "nobody's"}
        assert set(claimed) == {"claimed", "of bo"}
        assert {*opened.values(), *claimed.values()} == {epoch}
        for user, was in read.items():
            assert was.generation < again[user].generation == epoch

    async def test_a_claim_for_somebody_who_is_gone_is_of_the_epoch(self, store: Store) -> None:
        await subscribe(store, "one")
        await spread(store, message())
        await store.outbox.release_claims()
        await store.keys.retire("old")
        epoch = (await targets(store, "nobody")).generation
        with closing(sqlite3.connect(store._database.path)) as connection, connection:
            connection.execute("DELETE FROM user_state")
        (claimed,) = await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10)
        assert claimed.floor == epoch > 0

    async def test_generations_go_on_rising_from_the_epoch(self, store: Store, hook: Hook) -> None:
        await subscribe(store, "one", key="new")
        await subscribe(store, "two", "bo", key="new")
        await store.keys.retire("old")
        epoch = (await targets(store)).generation
        hook.raised.clear()
        await subscribe(store, "three", key="new")
        # What was read since the epoch is of the epoch: whoever prunes it has to know it by that.
        assert hook.raised == [Raised("ada", epoch, epoch + 1, None)]
        assert (await targets(store)).generation == epoch + 1
        assert (await targets(store, "bo")).generation == epoch

    async def test_deliveries_of_an_ended_key_are_lost_before_their_rows_are_swept(self, store: Store) -> None:
        await subscribe(store, "one")
        (job,) = await spread(store, message())
        await store.keys.retire("old")
        (lost,) = await store.outbox.lost([job.delivery], NOW)
        assert (lost.delivery.outcome, lost.delivery.next_attempt_at) == (Outcome.KEY_MISMATCH, None)
        assert "key" in lost.delivery.reason

    async def test_deliveries_of_a_removed_subscription_are_cancelled(self, store: Store) -> None:
        await subscribe(store, "one")
        (job,) = await spread(store, message())
        await store.keys.revoke_all(stored("newest"))
        await sweep(store)
        (lost,) = await store.outbox.lost([job.delivery], NOW)
        assert lost.delivery.outcome is Outcome.CANCELLED

    @pytest.mark.parametrize("ended", [RETIRED, REVOKED])
    async def test_nobody_subscribes_with_it_any_more(self, store: Store, ended: KeyState) -> None:
        await subscribe(store, "known")
        await (store.keys.retire("old") if ended is RETIRED else store.keys.revoke_all(stored("newest")))
        for name in ("known", "another"):
            with pytest.raises(PushdeskError) as refused:
                await subscribe(store, name)
            assert refused.value.code == "key_mismatch"
            assert str(ended) in refused.value.detail
        with pytest.raises(PushdeskError):
            # It does not say with which key it was made: the one that is known of it has ended.
            await put(store, subscription("known", key="new"))
        assert set(await rows(store)) == {"id-known"}

    async def test_one_who_comes_back_with_another_key_is_sent_to(self, store: Store) -> None:
        await subscribe(store, "one")
        await store.keys.retire("old")
        await subscribe(store, "one", key="new")
        await sweep(store)
        assert await devices(store) == {"id-one"}

    async def test_those_of_an_ended_key_take_no_room(self, store: Store) -> None:
        await subscribe(store, "one")
        await store.keys.retire("old")
        new = replace(subscription("two", key="new"), key_is_declared=True)
        await store.subscriptions.put(new, replaces=None, max_per_user=1, now_ms=NOW)
        assert await devices(store) == {"id-two"}


class TestTheSweep:
    async def test_those_of_a_retired_key_are_disabled(self, store: Store, hook: Hook) -> None:
        await subscribe(store, "one")
        await subscribe(store, "two", "bo")
        await subscribe(store, "three", key="new")
        await store.keys.retire("old")
        before = (await targets(store)).generation
        hook.raised.clear()
        (swept,) = await sweep(store)
        assert {item.id: item.state for item in swept.disabled} == dict.fromkeys(
            ["id-one", "id-two"], SubscriptionState.KEY_MISMATCH
        )
        assert (swept.removed, swept.restored) == ((), ())
        assert sorted(hook.raised, key=lambda item: item.user) == [
            Raised("ada", before, before + 1, frozenset({"id-one"})),
            Raised("bo", before, before + 1, frozenset({"id-two"})),
        ]
        assert (await rows(store))["id-three"] is SubscriptionState.ACTIVE
        assert await devices(store) == {"id-three"}

    async def test_those_of_a_revoked_key_are_removed_whatever_their_state(self, store: Store, hook: Hook) -> None:
        await subscribe(store, "mismatched")
        await store.keys.retire("old")
        await sweep(store)
        await subscribe(store, "active", key="new")
        await subscribe(store, "gone", "bo", key="new")
        (job,) = await spread(store, message("m", "bo"))
        await store.outbox.settle([outcome(job, Outcome.GONE)], CLAIM, NOW)
        await store.keys.revoke_all(stored("newest"))
        await subscribe(store, "since", key="newest")
        hook.raised.clear()
        (swept,) = await sweep(store)
        assert {item.id for item in swept.removed} == {"id-mismatched", "id-active", "id-gone"}
        assert {item.user: item.removed for item in hook.raised} == {
            "ada": frozenset({"id-mismatched", "id-active"}),
            "bo": frozenset({"id-gone"}),
        }
        assert set(await rows(store)) == {"id-since"}
        assert await devices(store) == {"id-since"}

    async def test_each_batch_changes_no_more_than_it_may(self, store: Store) -> None:
        for number in range(7):
            await subscribe(store, f"{number}", f"user-{number}")
        await store.keys.retire("old")
        assert [len(batch.disabled) for batch in await sweep(store, limit=3)] == [3, 3, 1]
        await store.keys.bring_back("old", CURRENT, LATER)
        assert [len(batch.restored) for batch in await sweep(store, limit=3)] == [3, 3, 1]
        await store.keys.revoke_all(stored("newest"))
        assert [len(batch.removed) for batch in await sweep(store, limit=3)] == [3, 3, 1]

    async def test_it_goes_on_where_an_earlier_process_stopped(self, store: Store, path: Path) -> None:
        for number in range(4):
            await subscribe(store, f"{number}", f"user-{number}")
        await store.keys.retire("old")
        assert len((await store.key_bindings.sweep(3, NOW)).disabled) == 3
        async with Store(path) as again:
            assert [len(batch.disabled) for batch in await sweep(again)] == [1]
            await again.keys.bring_back("old", RETIRING, LATER)
            assert len((await again.key_bindings.sweep(3, NOW)).restored) == 3
        async with Store(path) as third:
            assert {key.id for key in await third.keys.all() if key.is_restoring} == {"old"}
            assert [len(batch.restored) for batch in await sweep(third)] == [1]
            assert not any(key.is_restoring for key in await third.keys.all())

    async def test_a_late_answer_does_not_disable_what_was_restored(self, store: Store) -> None:
        await subscribe(store, "one")
        (job,) = await spread(store, message())
        await store.keys.retire("old")
        await sweep(store)
        await store.keys.bring_back("old", CURRENT, LATER)
        await sweep(store)
        await store.outbox.settle([outcome(job, Outcome.GONE)], CLAIM, NOW)
        assert await devices(store) == {"id-one"}


class TestBringingBack:
    async def test_those_of_a_retired_key_are_active_again(self, store: Store, hook: Hook) -> None:
        await subscribe(store, "one")
        await subscribe(store, "two", key="new")
        await store.keys.retire("old")
        await sweep(store)
        await store.keys.bring_back("old", CURRENT, LATER)
        hook.raised.clear()
        (swept,) = await sweep(store)
        assert [(item.id, item.state) for item in swept.restored] == [("id-one", SubscriptionState.ACTIVE)]
        (raised,) = hook.raised
        assert (raised.user, raised.removed) == ("ada", None)
        assert await devices(store) == {"id-one", "id-two"}

    async def test_those_that_were_not_swept_yet_are_sent_to_at_once(self, store: Store) -> None:
        await subscribe(store, "one")
        await store.keys.retire("old")
        ended = await targets(store)
        await store.keys.bring_back("old", CURRENT, LATER)
        back = await targets(store)
        assert {target.subscription for target in back.targets} == {"id-one"}
        assert back.generation > ended.generation
        assert await sweep(store) == []

    async def test_a_mismatch_of_a_key_that_signs_is_left_alone(self, store: Store) -> None:
        await subscribe(store, "one")
        with closing(sqlite3.connect(store._database.path)) as connection, connection:
            connection.execute("UPDATE subscriptions SET state = 'key_mismatch'")
        await store.keys.bring_back("old", CURRENT, LATER)
        assert await sweep(store) == []
        assert await rows(store) == {"id-one": SubscriptionState.KEY_MISMATCH}

    @pytest.mark.parametrize("how", ["rotated", "rolled back"])
    async def test_restoring_goes_on_when_another_key_becomes_current(self, store: Store, how: str) -> None:
        await subscribe(store, "one")
        await store.keys.retire("old")
        await sweep(store)
        await store.keys.bring_back("old", CURRENT, LATER)
        if how == "rotated":
            await store.keys.make_current(stored("newer", LATER))
        else:
            await store.keys.bring_back("new", CURRENT, LATER)
        assert (await states(store))["old"] is RETIRING
        assert len(await sweep(store)) == 1
        assert await devices(store) == {"id-one"}
        # Only now it is known how many there are to move on.
        shown = {key.id: key for key in (await store.listings.keys(EVERYTHING)).items}
        assert shown["old"].before == {Service.MOZILLA: 1}

    @pytest.mark.parametrize("back", [CURRENT, RETIRING])
    async def test_restoring_goes_on_when_it_is_made_current_once_more(self, store: Store, back: KeyState) -> None:
        await subscribe(store, "one")
        await subscribe(store, "two")
        await store.keys.retire("old")
        await sweep(store)
        await store.keys.bring_back("old", back, LATER)
        assert len((await store.key_bindings.sweep(1, NOW)).restored) == 1
        if back is CURRENT:
            await store.keys.make_current(stored("newer", LATER))
        assert (await states(store))["old"] is RETIRING
        await store.keys.bring_back("old", CURRENT, LATER + 1)
        assert [len(batch.restored) for batch in await sweep(store)] == [1]
        assert await devices(store) == {"id-one", "id-two"}
        assert not any(key.is_restoring for key in await store.keys.all())

    async def test_a_key_that_is_retired_while_it_is_restored_ends_all_the_same(self, store: Store) -> None:
        await subscribe(store, "one")
        await subscribe(store, "two", "bo")
        await store.keys.retire("old")
        await sweep(store)
        await store.keys.bring_back("old", RETIRING, LATER)
        await store.key_bindings.sweep(1, NOW)
        await store.keys.retire("old")
        await sweep(store)
        assert set((await rows(store)).values()) == {SubscriptionState.KEY_MISMATCH}

    async def test_restoring_does_not_end_while_there_is_something_left(self, store: Store) -> None:
        await subscribe(store, "one")
        await store.keys.retire("old")
        await sweep(store)
        await store.keys.bring_back("old", CURRENT, LATER)
        await store.key_bindings.end_restoring()
        assert [key.id for key in await store.keys.all() if key.is_restoring] == ["old"]


@pytest.fixture
def executed() -> Iterator[list[ClauseElement]]:
    """Every statement that is executed, before it is compiled."""
    statements: list[ClauseElement] = []

    def before_execute(_connection: object, statement: ClauseElement, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(Driver, "before_execute", before_execute)
    yield statements
    event.remove(Driver, "before_execute", before_execute)


async def test_postgresql_would_take_the_statements(store: Store, executed: list[ClauseElement]) -> None:
    await subscribe(store, "one")
    await store.key_bindings.count()
    await store.keys.retire("old")
    await sweep(store)
    await store.keys.bring_back("old", RETIRING, LATER)
    await sweep(store)
    await store.keys.bring_back("old", CURRENT, LATER)
    await store.keys.add_retiring(stored("other"))
    await store.keys.revoke_all(stored("newest"))
    await sweep(store)
    await store.listings.keys(EVERYTHING)
    executed.append(select_users_left(["old"]))
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    assert len({str(statement.compile(dialect=dialect)) for statement in executed}) > 20
