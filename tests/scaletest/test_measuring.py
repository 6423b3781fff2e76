"""What is counted inside a server adds up."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from pushdesk.scaletest.histogram import Histogram
from pushdesk.scaletest.machine import Usage
from pushdesk.scaletest.measures import Part, Snapshot
from pushdesk.scaletest.metering import OTHER, Meter, inherit, metered_coroutine, metered_function
from pushdesk.scaletest.outcome import cpu_of, intervals
from pushdesk.scaletest.run import Moment, Stats
from pushdesk.scaletest.statements import Statements, name_of
from pushdesk.scaletest.waiting import TimedLock, TimedSemaphore, WaitClock

if TYPE_CHECKING:
    from pathlib import Path


def work(seconds: float) -> None:
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_parts_are_exclusive_and_add_up_to_the_thread() -> None:
    meter = Meter()
    inner = metered_function(lambda: work(0.02), "inner", meter)

    def both() -> None:
        work(0.03)
        inner()

    outer = metered_function(both, "outer", meter)
    meter.start()
    began = time.thread_time_ns()
    outer()
    work(0.01)
    # To have what is no part's counted up to here.
    meter.enter("end")
    all_of_it = time.thread_time_ns() - began
    assert meter.cpu_ns["inner"] >= 20e6
    assert meter.cpu_ns["outer"] >= 30e6
    assert meter.cpu_ns["outer"] < all_of_it - meter.cpu_ns["inner"]
    assert meter.cpu_ns[OTHER] >= 10e6
    assert sum(meter.cpu_ns.values()) == pytest.approx(all_of_it, rel=0.02)


async def test_a_coroutine_and_the_tasks_that_it_makes_work_for_its_part() -> None:
    meter = Meter()
    meter.start()
    inherit(asyncio.get_running_loop(), meter)

    async def made() -> str:
        await asyncio.sleep(0)
        work(0.02)
        return meter.part

    async def begin() -> tuple[str, str]:
        task = asyncio.create_task(made())
        await asyncio.sleep(0)
        return meter.part, await task

    assert await metered_coroutine(begin, "mine", meter)() == ("mine", "mine")
    assert meter.part == OTHER
    assert meter.cpu_ns["mine"] >= 20e6
    # Made by nobody's part, it works for none.
    assert await asyncio.create_task(made()) == OTHER


async def test_a_metered_coroutine_is_cancelled_and_fails_as_any_other() -> None:
    meter = Meter()
    meter.start()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("as it happens")

    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="as it happens"):
        await metered_coroutine(fail, "one", meter)()
    task = asyncio.create_task(metered_coroutine(wait, "one", meter)())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert meter.part == OTHER


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT a FROM subscriptions WHERE user = 'ada'", "select subscriptions"),
        ("INSERT INTO deliveries (id) VALUES (?)", "insert deliveries"),
        ('UPDATE "dispatches" SET state = ?', "update dispatches"),
        ("DELETE FROM idempotency_keys WHERE created_at < 5", "delete idempotency_keys"),
        ("SELECT * FROM dispatches JOIN server_state ON 1 LEFT JOIN x", "select dispatches, server_state, x"),
        ("BEGIN IMMEDIATE", "begin"),
        ("PRAGMA journal_mode = WAL", "pragma"),
    ],
)
def test_statements_are_named_without_what_they_are_asked_with(statement: str, name: str) -> None:
    assert name_of(statement) == name


def test_statements_are_counted_at_the_driver_and_one_for_many_rows_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sqlite3, sqlite3.dbapi2):
        # Set back afterwards.
        monkeypatch.setattr(module, "connect", sqlite3.connect)
    statements = Statements()
    statements.install()
    connection = sqlite3.connect(tmp_path / "some.db")
    connection.execute("CREATE TABLE things (name TEXT)")
    connection.executemany("INSERT INTO things VALUES (?)", [("a",), ("b",), ("c",)])
    connection.commit()
    cursor = connection.cursor()
    assert cursor.execute("SELECT count(*) FROM things").fetchall() == [(3,)]
    # The second of them finds nothing to roll back, and asks for nothing.
    cursor.execute("INSERT INTO things VALUES ('d')")
    for _ in range(2):
        connection.rollback()
    connection.close()
    found = statements.all()
    assert (found["insert things"].count, found["insert things"].rows) == (2, 4)
    assert (found["select things"].count, found["commit"].count, found["rollback"].count) == (1, 1, 1)


async def test_waits_are_added_up_and_overlapping_ones_are_one_time_in_which_somebody_waited() -> None:
    clock, every = WaitClock(), WaitClock()
    lock, room = TimedLock(clock, every), TimedSemaphore(1, clock, every)
    async with lock, room:
        others = [asyncio.create_task(lock.acquire()), asyncio.create_task(room.acquire())]
        await asyncio.sleep(0.05)
    await asyncio.gather(*others)
    figures = clock.figures()
    assert (figures.count, figures.waited) == (4, 2)
    assert figures.total_s >= 0.1
    assert 0.05 <= figures.anybody_s < figures.total_s
    assert figures.longest_s >= 0.05
    assert every.figures().waited == 2


def moment(server_s: float, *, senders: dict[int, float], reaped_s: float = 0.0) -> Moment:
    used = {1: Usage(server_s, 0, 0, reaped_s)} | {pid: Usage(used_s, 0, 0, 0.0) for pid, used_s in senders.items()}
    parts = {OTHER: Part(server_s)}
    return Moment(0.0, Snapshot(cpu_s=server_s, parts=parts), Stats(), used, {}, driver_cpu_s=0.0)


@pytest.mark.parametrize(
    ("senders", "reaped_s"),
    [({2: 7.0}, 0.0), ({3: 1.5}, 5.5), ({}, 7.0)],
    ids=["it lives", "another one came in its place", "none came"],
)
def test_what_a_sender_process_used_before_the_turns_is_none_of_theirs_whatever_becomes_of_it(
    senders: dict[int, float], reaped_s: float
) -> None:
    cpu = cpu_of(moment(1.0, senders={2: 3.0}), moment(11.0, senders=senders, reaped_s=reaped_s), turns=1000)
    assert [cpu.total_ms, cpu.children_ms] == pytest.approx([14.0, 4.0])
    assert sum(cpu.parts_ms.values()) == pytest.approx(cpu.total_ms)


def test_percentiles_are_right_within_a_hundredth() -> None:
    histogram, chance = Histogram(), Random(1)  # noqa: S311  (the same every time)
    times = sorted(chance.lognormvariate(-4, 1) for _ in range(5000))
    for seconds in times:
        histogram.add(seconds)
    for percent in (50, 95, 99):
        assert histogram.percentile(percent) == pytest.approx(times[5000 * percent // 100 - 1], rel=0.011)
    assert histogram.percentile(100) <= times[-1]
    assert Histogram().percentile(50) == 0


@pytest.mark.parametrize(
    ("ticks", "wall_s", "interval_s", "last_s", "rates"),
    [
        # Within a tenth of a second all was over.
        ([20], 0.05, 0.1, 0.05, (400.0,)),
        ([10, 10, 8], 0.28, 0.1, 0.08, (100.0,) * 3),
        ([10, 10, 8], 0.21, 0.1, 0.01, (100.0, 100.0, 800.0)),
        ([5] * 3000, 300.0, 5.0, 5.0, (50.0,) * 60),
        ([5] * 2951, 295.1, 5.0, 0.1, (50.0,) * 60),
    ],
)
def test_a_rate_is_told_for_intervals_that_are_few_and_the_last_for_as_long_as_it_lasted(
    ticks: list[int], wall_s: float, interval_s: float, last_s: float, rates: tuple[float, ...]
) -> None:
    told = intervals(ticks, wall_s)
    assert told[:2] == pytest.approx((interval_s, last_s))
    assert told[2] == rates
    assert sum(rates[:-1]) * told[0] + rates[-1] * told[1] == pytest.approx(sum(ticks))


def test_where_nothing_arrived_there_is_no_rate() -> None:
    assert intervals([], 0) == (0.1, 0.0, ())
