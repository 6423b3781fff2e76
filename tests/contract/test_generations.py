"""Every change of anybody's subscriptions raises a generation, and that is told when the database is done with it."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.dialects import postgresql

from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import Outcome, Service
from pushdesk.storage.prepared import Prepared
from pushdesk.storage.records import IdempotencyKey, Raised, Targets
from pushdesk.storage.store import Store
from tests.contract.storing import CLAIM, NOW, find_gone, message, outcome, put, spread, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import ClauseElement

    from tests.contract.tracing import Trace


class Heard(NamedTuple):
    raised: tuple[Raised, ...]
    is_certain: bool
    stored: dict[str, int]
    """The generations as another connection saw them while it was told."""


class Hook:
    """Writes down what the store tells, and what is in the file at that moment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[Heard] = []

    def __call__(self, raised: Sequence[Raised], is_certain: bool) -> None:  # noqa: FBT001 (the store's hook)
        self.heard.append(Heard(tuple(raised), is_certain, self.stored()))

    def stored(self) -> dict[str, int]:
        with closing(sqlite3.connect(self.path)) as connection:
            return dict(connection.execute('SELECT "user", generation FROM user_state'))

    def take(self) -> list[Raised]:
        """Return what was told since this was last called, each of it certain and already to be read."""
        raised: list[Raised] = []
        for heard in self.heard:
            assert heard.is_certain
            raised += heard.raised
        self.heard.clear()
        return sorted(raised, key=lambda item: (item.after, item.user))


@pytest.fixture
def hook(tmp_path: Path) -> Hook:
    return Hook(tmp_path / "pushdesk.db")


@pytest.fixture
async def store(hook: Hook, trace: Trace) -> AsyncIterator[Store]:
    async with Store(hook.path, on_raised=hook) as opened:
        trace.statements.clear()
        yield opened


@pytest.fixture
def executed() -> Iterator[list[ClauseElement]]:
    """Every statement that is executed, before it is compiled."""
    statements: list[ClauseElement] = []

    def before_execute(_connection: object, statement: ClauseElement, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_execute", before_execute)
    yield statements
    event.remove(Engine, "before_execute", before_execute)


async def generation(store: Store, user: str = "ada") -> int:
    return (await store.subscriptions.targets([user]))[user].generation


class TestWhatIsTold:
    async def test_a_new_device_is_more_than_a_removal(self, store: Store, hook: Hook) -> None:
        await put(store, subscription("one"))
        await put(store, subscription("two"))
        assert hook.take() == [Raised("ada", 0, 1, None), Raised("ada", 1, 2, None)]

    async def test_a_device_that_moves_is_taken_from_one_and_new_to_the_other(self, store: Store, hook: Hook) -> None:
        await put(store, subscription())
        hook.take()
        await put(store, subscription(user="bo"))
        assert hook.take() == [Raised("ada", 1, 2, frozenset({"id-one"})), Raised("bo", 0, 2, None)]

    async def test_a_device_that_replaces_another_is_more_than_a_removal(self, store: Store, hook: Hook) -> None:
        await put(store, subscription("old"))
        hook.take()
        await put(store, subscription("new"), replaces="https://push.example/old")
        assert hook.take() == [Raised("ada", 1, 2, None)]

    async def test_another_key_is_more_than_a_removal(self, store: Store, hook: Hook) -> None:
        await put(store, subscription(key="key1"))
        hook.take()
        await put(store, replace(subscription(key="key2"), key_is_declared=True))
        assert hook.take() == [Raised("ada", 1, 2, None)]

    async def test_removals_name_what_was_removed_per_user(self, store: Store, hook: Hook) -> None:
        for name, user in (("one", "ada"), ("two", "ada"), ("three", "bo"), ("four", "bo")):
            await put(store, subscription(name, user=user))
        hook.take()
        await store.subscriptions.remove("bo", "https://push.example/four")
        await store.subscriptions.remove_ids(["id-one", "id-two", "id-three", "unknown"])
        assert hook.take() == [
            Raised("bo", 4, 5, frozenset({"id-four"})),
            Raised("ada", 2, 6, frozenset({"id-one", "id-two"})),
            Raised("bo", 5, 6, frozenset({"id-three"})),
        ]

    async def test_disabling_is_a_removal_and_reviving_is_not(self, store: Store, hook: Hook) -> None:
        await put(store, subscription())
        (job,) = await spread(store, message())
        hook.take()
        await store.outbox.settle([outcome(job, Outcome.GONE)], CLAIM, NOW)
        await put(store, subscription())
        assert hook.take() == [Raised("ada", 1, 2, frozenset({"id-one"})), Raised("ada", 2, 3, None)]

    async def test_one_that_is_withdrawn_with_its_user_is_told(self, store: Store, hook: Hook) -> None:
        stored = await put(store, subscription())
        await find_gone(store, stored)
        hook.take()
        await store.subscriptions.withdraw(stored)
        assert hook.take() == [Raised("ada", 2, 3, frozenset({"id-one"}))]
        assert hook.stored() == {}

    async def test_one_that_moved_is_not_withdrawn_from_who_has_it_now(self, store: Store, hook: Hook) -> None:
        stored = await put(store, subscription())
        await find_gone(store, stored)
        await put(store, subscription(user="bo"))
        hook.take()
        await store.subscriptions.withdraw(stored)
        assert hook.take() == []
        assert len((await store.subscriptions.targets(["bo"]))["bo"].targets) == 1

    async def test_what_changes_no_subscription_tells_nothing(self, store: Store, hook: Hook) -> None:
        await put(store, subscription())
        hook.take()
        await put(store, subscription())
        await store.subscriptions.remove_ids(["unknown"])
        (job,) = await spread(store, message())
        await store.outbox.settle([outcome(job, Outcome.ACCEPTED)], CLAIM, NOW)
        assert hook.take() == []

    async def test_a_change_that_is_refused_tells_nothing(self, store: Store, hook: Hook) -> None:
        await put(store, subscription())
        hook.take()
        with pytest.raises(PushdeskError, match="other keys"):
            await put(store, replace(subscription(user="bo"), auth=b"b" * 16))
        with pytest.raises(PushdeskError, match="no such"):
            await store.subscriptions.remove("bo", "https://push.example/one")
        with pytest.raises(PushdeskError, match="the most that are allowed"):
            # The endpoint that it replaces was deleted before the cap was looked at.
            await store.subscriptions.put(
                subscription("two"), replaces="https://push.example/one", max_per_user=0, now_ms=NOW
            )
        assert hook.take() == []
        assert await generation(store) == 1


class TestGenerations:
    async def test_they_rise_without_a_gap_in_the_order_of_the_commits(self, store: Store, hook: Hook) -> None:
        users = ("ada", "bo", "cy")

        async def change(number: int) -> None:
            await put(store, subscription(f"{number}", user=users[number % 3]))
            if number % 2:
                await put(store, subscription(f"{number}", user=users[(number + 1) % 3]))
            if number % 5 == 0:
                await store.subscriptions.remove_ids([f"id-{number}"])

        async with asyncio.TaskGroup() as group:
            for number in range(24):
                group.create_task(change(number))
        last: dict[str, int] = {}
        counter = 0
        for heard in hook.heard:
            assert {item.after for item in heard.raised} == {counter + 1}
            counter += 1
            for item in heard.raised:
                assert item.before == last.get(item.user, 0)
                last[item.user] = item.after
            assert heard.stored == last
        assert counter > 24
        assert {user: found.generation for user, found in (await store.subscriptions.targets(users)).items()} == last

    async def test_a_user_who_comes_back_repeats_none(self, store: Store, hook: Hook) -> None:
        seen: list[int] = []
        for _ in range(3):
            stored = await put(store, subscription())
            seen.append(await generation(store))
            await find_gone(store, stored)
            await store.subscriptions.withdraw(stored)
            assert hook.stored() == {}
            seen.append(await generation(store))
        assert seen == sorted(set(seen))

    async def test_who_is_not_known_has_the_last_one_that_was_given_to_anybody(self, store: Store) -> None:
        await put(store, subscription("one"))
        await put(store, subscription("two", user="bo"))
        found = await store.subscriptions.targets(["ada", "nobody", "no one"])
        nobody = Targets(generation=2, targets=())
        assert (found["nobody"], found["no one"], found["ada"].generation) == (nobody, nobody, 1)
        assert await store.subscriptions.targets(["nobody"]) == {"nobody": nobody}
        assert await store.subscriptions.targets([]) == {}

    async def test_a_user_without_devices_keeps_a_generation(self, store: Store) -> None:
        await put(store, subscription("one"))
        await store.subscriptions.remove_ids(["id-one"])
        await put(store, subscription("two", user="bo"))
        assert await store.subscriptions.targets(["ada"]) == {"ada": Targets(generation=2, targets=())}

    async def test_targets_and_generations_are_one_statement_for_500_users(self, store: Store, trace: Trace) -> None:
        await put(store, subscription())
        trace.statements.clear()
        assert len(await store.subscriptions.targets(["ada", *(f"user{number}" for number in range(499))])) == 500
        assert len(trace.statements) == 1

    async def test_nobodys_secrets_are_read_by_claiming_or_losing(self, store: Store, trace: Trace) -> None:
        await put(store, subscription())
        (job,) = await spread(store, message())
        await store.outbox.release_claims()
        trace.statements.clear()
        assert len((await store.outbox.due(NOW, 10)).opened) == 0
        assert len(await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10)) == 1
        assert not [statement for statement in trace.statements if "subscriptions" in statement]
        await store.outbox.lost([job.delivery], NOW)
        (states,) = [statement for statement in trace.statements if "subscriptions" in statement]
        assert not [secret for secret in ("endpoint", "p256dh", "auth", "token") if secret in states]


class TestHowTransactionsEnd:
    async def test_a_commit_that_fails_is_told_as_uncertain(self, store: Store, hook: Hook) -> None:
        await put(store, subscription("one"))
        hook.take()
        with closing(sqlite3.connect(hook.path)) as connection:
            # Checked at the commit, and not before.
            connection.executescript(
                'CREATE TABLE loose (owner REFERENCES user_state("user") DEFERRABLE INITIALLY DEFERRED);'
                "CREATE TRIGGER fail AFTER INSERT ON subscriptions BEGIN INSERT INTO loose VALUES ('nobody'); END"
            )
        with pytest.raises(DatabaseError, match="FOREIGN KEY constraint failed"):
            await put(store, subscription("two"))
        assert [(heard.raised, heard.is_certain) for heard in hook.heard] == [((Raised("ada", 1, 2, None),), False)]
        hook.heard.clear()
        with closing(sqlite3.connect(hook.path)) as connection:
            connection.execute("DROP TRIGGER fail")
        await store.subscriptions.remove_ids(["id-one"])
        assert hook.take() == [Raised("ada", 1, 2, frozenset({"id-one"}))]

    @pytest.mark.parametrize("cancellations", [1, 5])
    async def test_who_is_cancelled_in_a_commit_waits_for_it_and_it_is_told(
        self, store: Store, hook: Hook, trace: Trace, cancellations: int
    ) -> None:
        with trace.hold("COMMIT") as held:
            first = asyncio.create_task(put(store, subscription("one")))
            second = asyncio.create_task(put(store, subscription("two")))
            await held.begun.wait()
            for _ in range(cancellations):
                first.cancel()
                # Reads while the commit is held: time enough for a cancellation to come through.
                assert (await store.subscriptions.targets(["ada"]))["ada"].targets == ()
            assert not first.done()
            assert not second.done()
            assert hook.heard == []
        with pytest.raises(asyncio.CancelledError):
            await first
        assert [(heard.raised, heard.stored) for heard in hook.heard] == [((Raised("ada", 0, 1, None),), {"ada": 1})]
        await second
        assert hook.take() == [Raised("ada", 0, 1, None), Raised("ada", 1, 2, None)]

    @pytest.mark.parametrize("beginning", ["BEGIN IMMEDIATE", "DELETE FROM subscriptions", "UPDATE server_state"])
    async def test_who_is_cancelled_before_the_commit_changes_nothing_and_leaves_a_writer_that_works(
        self, store: Store, hook: Hook, trace: Trace, beginning: str
    ) -> None:
        await put(store, subscription("one"))
        await put(store, subscription("two"))
        hook.take()
        trace.statements.clear()
        with trace.hold(beginning) as held:
            first = asyncio.create_task(store.subscriptions.remove_ids(["id-two"]))
            second = asyncio.create_task(store.subscriptions.remove_ids(["id-one"]))
            await held.begun.wait()
            first.cancel()
            await store.ping()
            assert not first.done()
            assert not second.done()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second
        assert hook.take() == [Raised("ada", 2, 3, frozenset({"id-one"}))]
        assert [target.subscription for target in (await store.subscriptions.targets(["ada"]))["ada"].targets] == [
            "id-two"
        ]
        assert "COMMIT" not in trace.statements[: trace.statements.index("ROLLBACK")]

    async def test_who_is_cancelled_while_another_program_writes_leaves_a_writer_that_works(
        self, store: Store, hook: Hook, trace: Trace
    ) -> None:
        await put(store, subscription("one"))
        hook.take()
        with closing(sqlite3.connect(hook.path, isolation_level=None)) as other, trace.hold("BEGIN IMMEDIATE") as held:
            other.execute("BEGIN IMMEDIATE")
            first = asyncio.create_task(store.subscriptions.remove_ids(["id-one"]))
            await held.begun.wait()
            first.cancel()
            held.let_go.set()
            await store.ping()
            assert not first.done()
            other.execute("ROLLBACK")
            with pytest.raises(asyncio.CancelledError):
                await first
        await put(store, subscription("two"))
        assert hook.take() == [Raised("ada", 1, 2, None)]

    @pytest.mark.parametrize("cancellations", [1, 5])
    async def test_who_is_cancelled_in_a_rollback_waits_for_it(
        self, store: Store, hook: Hook, trace: Trace, cancellations: int
    ) -> None:
        with trace.hold("ROLLBACK") as held:
            refused = asyncio.create_task(
                store.subscriptions.put(subscription("one"), replaces=None, max_per_user=0, now_ms=NOW)
            )
            after = asyncio.create_task(put(store, subscription("two")))
            await held.begun.wait()
            for _ in range(cancellations):
                refused.cancel()
                await store.ping()
            assert not refused.done()
            assert not after.done()
        with pytest.raises(asyncio.CancelledError):
            await refused
        await after
        assert hook.take() == [Raised("ada", 0, 1, None)]


async def test_postgresql_would_take_the_statements(executed: list[ClauseElement], tmp_path: Path) -> None:
    async with Store(tmp_path / "pushdesk.db") as store:
        executed.clear()
        stored = await put(store, subscription("old"))
        await find_gone(store, stored)
        await store.subscriptions.withdraw(stored)
        await put(store, subscription("old"))
        await put(store, subscription("new"), replaces="https://push.example/old")
        await put(store, subscription("new", user="bo"))
        (job,) = await spread(store, message("m1", "bo", key=IdempotencyKey("admin", "k", b"d" * 32)))
        await store.outbox.backlog()
        await store.outbox.due(NOW, 10)
        await store.outbox.release_claims()
        await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10)
        await store.outbox.lost([job.delivery], NOW)
        await store.outbox.settle([outcome(job, Outcome.TRANSIENT, retry_at=NOW)], CLAIM, NOW)
        await store.outbox.settle([outcome(job, Outcome.GONE)], CLAIM, NOW)
        await store.subscriptions.token_digest("id-new")
        await store.subscriptions.totals()
        await store.subscriptions.remove("bo", "https://push.example/new")
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    # Those that are compiled once for SQLite are executed by the driver.
    executed += [each._compiled.statement for each in gc.get_objects() if isinstance(each, Prepared)]
    compiled = {str(statement.compile(dialect=dialect)) for statement in executed}
    assert len(compiled) > 30
