"""How many statements notifications take, counted by name: never one for each, whatever is done to them.

What comes in while one transaction runs is done by the next: a machine that is busy takes fewer statements, not more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import pytest

from pushdesk.engine import acceptance, settling, worker
from pushdesk.model import Service, Turn, TurnStatus
from pushdesk.storage.usage import name_of
from tests.engine.reads import DEVICES, HELLO, NOTIFICATIONS, bursts, town

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pushdesk.engine.engine import Engine

FEW = 10
"""One statement of each name for so many notifications is the most: one for each would be ten times as many."""
FOR_EACH = {"insert dispatches", "insert deliveries", "update deliveries", "update dispatches", "update subscriptions"}
"""What every notification has done to it."""


@dataclass(frozen=True)
class Asked:
    """What a database was asked for."""

    statements: Counter[str]
    trips: int


def notify(engine: Engine, user: str, number: int) -> Awaitable[object]:
    """Notify somebody: once with a key, once without."""
    return engine.accept(user, HELLO, idempotency_key=f"key {number}" if number % 2 else None)


def take_turn(engine: Engine, user: str, number: int) -> Awaitable[object]:
    """Have a conversation of somebody's go on: each has a topic of its own."""
    return engine.turn(
        Turn(user=user, conversation=f"talk {number}", title="Agent", text="Done.", status=TurnStatus.FINISHED)
    )


async def asked_for(
    folder: Path, offer: Callable[[Engine, str, int], Awaitable[object]], notifications: int, *, ttl_s: int = 180
) -> Asked:
    """Return what a database is asked for until so many notifications are settled."""
    numbers = count()
    async with town(folder, DEVICES, ttl_s=ttl_s) as here:
        usage = here.store.usage
        before, trips = usage.statements.copy(), usage.trips
        for burst in bursts(notifications):
            await asyncio.gather(*[offer(here.engine, user, next(numbers)) for user in burst])
        await here.settled()
        return Asked(usage.statements - before, usage.trips - trips)


@pytest.mark.parametrize(("offer", "notifications"), [(notify, NOTIFICATIONS), (take_turn, NOTIFICATIONS // 5)])
async def test_no_statement_is_executed_for_each_notification(
    tmp_path: Path, offer: Callable[[Engine, str, int], Awaitable[object]], notifications: int
) -> None:
    asked = await asked_for(tmp_path, offer, notifications)
    assert asked.statements.keys() >= FOR_EACH
    assert {name: times for name, times in asked.statements.items() if times > notifications / FEW} == {}
    # A batch that is accepted, looked up, spread or settled is one trip, whatever its statements.
    assert asked.trips <= notifications / FEW
    assert asked.trips < asked.statements.total()


async def test_what_is_for_devices_that_are_known_is_accepted_and_started_by_one_trip(tmp_path: Path) -> None:
    async with town(tmp_path, DEVICES) as here:
        await here.engine.accept("user-2", HELLO)
        await here.settled()
        before = here.store.usage.trips
        await here.engine.accept("user-2", HELLO)
        await here.settled()
        # To accept, and to settle: nothing is looked for.
        assert here.store.usage.trips - before == 2


async def test_what_has_started_is_not_looked_for_again(tmp_path: Path, rests_s: asyncio.Queue[float]) -> None:
    async with town(tmp_path, DEVICES) as here:
        await here.engine.accept("user-2", HELLO)
        await here.settled()
    rested_s = [rests_s.get_nowait() for _ in range(rests_s.qsize())]
    assert 0 < min(rested_s) <= max(rested_s) == worker.LONGEST_WAIT_S


async def test_what_is_spread_and_has_not_started_is_looked_for_at_once(
    tmp_path: Path, rests_s: asyncio.Queue[float]
) -> None:
    async with town(tmp_path, {"user-0": 1}) as here, asyncio.timeout(10):
        for service in Service:
            await here.engine.pause_service(service)
        await here.engine.accept("user-0", HELLO)
        while await rests_s.get() > 0:
            pass


async def test_without_a_cache_devices_are_read_in_batches(tmp_path: Path) -> None:
    asked = await asked_for(tmp_path, notify, NOTIFICATIONS // 5, ttl_s=0)
    assert 0 < asked.statements["select server_state"] <= NOTIFICATIONS / 5 / FEW


async def test_one_statement_for_each_would_be_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, batch in ((acceptance, "BATCH"), (settling, "BATCH"), (worker, "SPREAD")):
        monkeypatch.setattr(module, batch, 1)
    notifications = 500
    asked = await asked_for(tmp_path, notify, notifications)
    assert {name for name, times in asked.statements.items() if times > notifications / FEW} >= FOR_EACH
    assert asked.trips > notifications / FEW


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT a.b, (SELECT max(x) FROM other) FROM accounts AS a", "select other"),
        ("SELECT a, b \nFROM accounts JOIN other ON 1", "select accounts"),
        ("INSERT INTO accounts (a) SELECT a FROM other", "insert accounts"),
        ("UPDATE accounts SET a=? WHERE b IN (SELECT b FROM other)", "update accounts"),
        ("DELETE FROM accounts WHERE a = ?", "delete accounts"),
        ("WITH other(a) AS \n(VALUES (?), (?))\n UPDATE accounts SET a=other.a FROM other", "update accounts"),
        ("PRAGMA query_only = ON", "pragma query_only"),
    ],
)
def test_a_statement_is_called_by_what_it_does_and_to_which_table(statement: str, name: str) -> None:
    assert name_of(statement) == name
