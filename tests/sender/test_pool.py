"""The pool: pushes reach a real push service by way of real processes, whatever happens to these."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from pushdesk.engine.carrier import PutBack, Refused
from pushdesk.engine.sender_process import launch
from pushdesk.sender.frames import Result
from pushdesk.webpush.services import FaultKind
from tests.push_service import PushService
from tests.sender.bench import FRAGILE, is_alive, leave_files, open_pool, push_to, ready
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushdesk.engine.carrier import Carried
    from pushdesk.engine.sender_pool import SenderPool
    from pushdesk.engine.sender_process import Launched
    from tests.logs import Log
    from tests.push_service import Device


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with PushService() as running:
        yield running


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gets what is counted: a process that a busy machine keeps from answering still gets its share."""
    monkeypatch.setattr("pushdesk.engine.sender_process.QUIET_TICKS", 6)


def begin(pool: SenderPool, device: Device, *names: str) -> list[asyncio.Task[Carried]]:
    """Have pushes carried, each for a delivery of this name."""
    return [asyncio.create_task(pool.carry(name, push_to(device))) for name in names]


async def statuses(*carrying: asyncio.Task[Carried]) -> list[int]:
    """Return what pushes were answered with; 0 is for those that were put back."""
    return [carried.status if isinstance(carried, Result) else 0 for carried in await asyncio.gather(*carrying)]


async def carry_through(pool: SenderPool, device: Device, name: str) -> Carried:
    """Carry a push as the outbox does: again and again while it is put back."""
    while True:
        carried = await pool.carry(name, push_to(device))
        if not isinstance(carried, PutBack):
            return carried
        await asyncio.sleep(0.01)


async def test_a_push_is_encrypted_and_posted_and_its_answer_comes_back(service: PushService) -> None:
    device = service.device("one")
    service.answer("two", 429, body="Too many.", headers={"Retry-After": "7", "X-Other": "ü"})
    async with open_pool(service.origin) as pool:
        accepted = await pool.carry("a", push_to(device, b'{"title": "Hello"}'))
        throttled = await pool.carry("b", push_to(service.device("two")))
    assert isinstance(accepted, Result)
    assert isinstance(throttled, Result)
    assert (accepted.status, accepted.fault, accepted.mistake) == (201, None, None)
    assert accepted.seconds > 0
    assert (throttled.status, throttled.body, throttled.headers["retry-after"]) == (429, b"Too many.", "7")
    assert device.decrypt(service.pushes[0].body) == {"title": "Hello"}
    assert service.pushes[0].headers["Authorization"] == "vapid t=x, k=y"


async def test_faults_and_mistakes_come_back(service: PushService) -> None:
    service.broken.add("/broken")
    async with open_pool(service.origin) as pool:
        reset = await pool.carry("a", push_to(service.device("broken")))
        large = await pool.carry("b", push_to(service.device("one"), b"x" * 4000))
    async with open_pool() as pool:
        refused = await pool.carry("c", push_to(service.device("one")))
    assert isinstance(reset, Result)
    assert isinstance(large, Result)
    assert isinstance(refused, Result)
    assert (reset.fault, refused.fault) == (FaultKind.RESET, FaultKind.ADDRESS_REFUSED)
    assert large.mistake is not None
    assert (large.mistake.error, large.mistake.code) == ("PayloadTooLargeError", "payload_too_large")
    assert "encryption.py" in large.mistake.where


async def test_pushes_are_taken_before_there_is_a_process_and_shared_among_all(service: PushService) -> None:
    service.hold = asyncio.Event()
    async with open_pool(service.origin, count=2) as pool:
        early = begin(pool, service.device("one"), *map(str, range(10)))
        await ready(pool, 2)
        more = begin(pool, service.device("one"), *map(str, range(10, 40)))
        await service.wait_for_pushes(40)
        loads = [len(process.in_hand) for process in pool._processes()]
        assert sum(loads) == 40
        # What waited went to the first; all since then made up for it.
        assert abs(loads[0] - loads[1]) <= 1
        assert pool.stats().in_hand == 40
        service.hold.set()
        assert await statuses(*early, *more) == [201] * 40
        assert pool.stats().in_hand == 0


async def test_what_a_killed_process_had_is_put_back_and_another_follows(service: PushService, log: Log) -> None:
    service.hold = asyncio.Event()
    async with open_pool(service.origin) as pool:
        (pid,) = await ready(pool)
        carrying = begin(pool, service.device("one"), *map(str, range(20)))
        await service.wait_for_pushes(20)
        os.kill(pid, signal.SIGKILL)
        assert await statuses(*carrying) == [0] * 20
        service.hold.set()
        assert await statuses(*begin(pool, service.device("one"), *map(str, range(20)))) == [201] * 20
        (other,) = pool.pids()
        assert other != pid
        assert pool.stats().restarts == 1
        warning = "A sender process ended by SIGKILL: its 20 pushes are sent again."
        assert pool.warnings() == [warning]
    (ended,) = log.of("sender_ended")
    assert (ended["level"], ended["signal"], ended["pushes"]) == ("warning", signal.SIGKILL, 20)
    assert len(log.of("sender_ready")) == 2


async def test_one_poisoned_push_is_given_up_and_no_innocent_one(service: PushService) -> None:
    async with open_pool(service.origin, count=2, command=FRAGILE) as pool:
        innocents = [
            asyncio.create_task(carry_through(pool, service.device(f"device-{number}"), str(number)))
            for number in range(30)
        ]
        poisoned = asyncio.create_task(carry_through(pool, service.device("poison"), "poisoned"))
        guilty = await poisoned
        assert isinstance(guilty, Refused)
        assert await statuses(*innocents) == [201] * 30
        arrived = {push.path for push in service.pushes}
        assert arrived == {f"/device-{number}" for number in range(30)}


async def test_a_poisoned_push_that_comes_alone_by_chance_takes_four_processes_and_then_no_more(
    service: PushService, log: Log
) -> None:
    async with open_pool(service.origin, command=FRAGILE) as pool:
        assert isinstance(await carry_through(pool, service.device("poison"), "poisoned"), Refused)
        assert await statuses(*begin(pool, service.device("one"), "innocent")) == [201]
    assert [line["pushes"] for line in log.of("sender_ended")] == [1, 1, 1, 1]


@pytest.mark.parametrize("first", ["the one for suspects", "the others"])
async def test_a_push_is_not_refused_for_processes_that_somebody_kills_together(
    service: PushService, first: str
) -> None:
    service.hold = asyncio.Event()
    async with open_pool(service.origin) as pool:
        for turn in range(1, 6):
            (carrying,) = begin(pool, service.device("one"), "a")
            await service.wait_for_pushes(turn)
            # Also the one that has nothing in hand.
            await until(lambda: all(seat.process and seat.process.is_ready for seat in pool._seats))
            victims = [process.pid for process in pool._processes()]
            for pid in reversed(victims) if first == "the one for suspects" else victims:
                os.kill(pid, signal.SIGKILL)
            assert isinstance(await carrying, PutBack)
            # A process that ended soon is followed later and later.
            for seat in (*pool._seats, pool._alone):
                seat._failures = 0
        service.hold.set()
        assert await statuses(*begin(pool, service.device("one"), "a")) == [201]


async def test_a_suspect_that_is_innocent_is_sent_alone_and_the_process_for_it_ends(
    service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushdesk.engine.sender_pool.IDLE_TICKS", 1)
    async with open_pool(service.origin) as pool:
        for killed in range(2):
            (pid,) = await ready(pool)
            service.hold = asyncio.Event()
            carrying = begin(pool, service.device("one"), "suspect")
            await service.wait_for_pushes(killed + 1)
            os.kill(pid, signal.SIGKILL)
            assert await statuses(*carrying) == [0]
            service.hold.set()
        assert not pool._alone.is_wanted
        assert await statuses(*begin(pool, service.device("one"), "suspect")) == [201]
        assert pool._alone.lives == 1
        await until(lambda: pool._alone.process is None)
        # It is nobody's suspect any more.
        assert await statuses(*begin(pool, service.device("one"), "suspect")) == [201]
        assert (pool._alone.lives, pool._alone.is_wanted) == (1, False)
        assert pool.stats().restarts == 2


async def test_a_push_that_cannot_be_handed_over_keeps_back_none_of_those_beside_it(service: PushService) -> None:
    device = service.device("one")
    no_text, too_long = (
        structs.replace(push_to(device), **odd) for odd in ({"endpoint": "\ud800"}, {"auth": b"x" * 2**20})
    )
    async with open_pool(service.origin) as pool:
        await ready(pool)
        others = begin(pool, device, "a", "b")
        odd = [asyncio.create_task(pool.carry("odd", push)) for push in (no_text, too_long)]
        others += begin(pool, device, "c", "d")
        assert await statuses(*others) == [201] * 4
        results = await asyncio.gather(*odd)
        assert [isinstance(result, Result) and result.mistake is not None for result in results] == [True, True]
        assert (pool.stats().in_hand, pool.stats().restarts) == (0, 0)


async def test_a_process_that_talks_nonsense_is_replaced(service: PushService) -> None:
    async with open_pool(service.origin, command=FRAGILE) as pool:
        carried = await pool.carry("a", push_to(service.device("garbage")))
        assert isinstance(carried, PutBack)
        assert await statuses(*begin(pool, service.device("one"), "b")) == [201]
        assert pool.stats().restarts == 1


async def test_a_stopped_process_is_replaced_and_holds_up_nobody_else(service: PushService, log: Log) -> None:
    service.hold = asyncio.Event()
    async with open_pool(service.origin, count=2) as pool:
        stopped, other = await ready(pool, 2)
        carrying = begin(pool, service.device("one"), *map(str, range(10)))
        await service.wait_for_pushes(10)
        os.kill(stopped, signal.SIGSTOP)
        try:
            service.hold.set()
            answered = await asyncio.gather(*carrying)
            assert sum(isinstance(carried, PutBack) for carried in answered) == 5
            await until(lambda: bool(log.of("sender_ended")))
            said = "A sender process ended by this server's SIGKILL, as it did not answer: its 5 pushes are sent again."
            assert said in pool.warnings()
            await until(lambda: len(pool.pids()) == 2)
            assert stopped not in pool.pids()
            assert other in pool.pids()
            assert not is_alive(stopped)
        finally:
            if is_alive(stopped):
                os.kill(stopped, signal.SIGKILL)
    (ended,) = log.of("sender_ended")
    assert (ended["signal"], ended["pushes"], ended["reason"]) == (signal.SIGKILL, 5, "it did not answer")


async def test_a_process_that_does_not_answer_is_given_nothing_while_another_does(service: PushService) -> None:
    async with open_pool(service.origin, count=2) as pool:
        stopped, _ = await ready(pool, 2)
        os.kill(stopped, signal.SIGSTOP)
        (process,) = (process for process in pool._processes() if process.pid == stopped)
        await until(lambda: process.is_quiet)
        assert pool.stats().running == 1
        said = "1 sender process of 2 does not answer. It is replaced if that lasts. The others send."
        assert pool.warnings() == [said]
        assert await statuses(*begin(pool, service.device("one"), *map(str, range(50)))) == [201] * 50
        assert not process.in_hand
        os.kill(stopped, signal.SIGCONT)
        await until(lambda: not process.is_quiet)
        assert stopped in pool.pids()
        assert (pool.stats().running, pool.warnings()) == (2, [])


async def test_while_no_process_answers_a_spare_one_sends(
    service: PushService, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushdesk.engine.sender_process.QUIET_TICKS", 2)
    monkeypatch.setattr("pushdesk.engine.sender_process.SILENT_TICKS", 1000)
    async with open_pool(service.origin) as pool:
        (stopped,) = await ready(pool)
        os.kill(stopped, signal.SIGSTOP)
        (process,) = pool._processes()
        await until(lambda: process.is_quiet)
        assert await statuses(*begin(pool, service.device("one"), *map(str, range(20)))) == [201] * 20
        assert not process.in_hand
        said = "1 sender process of 1 does not answer. It is replaced if that lasts. Another one sends meanwhile."
        assert (pool.warnings(), pool.stats().running) == ([said], 0)
        os.kill(stopped, signal.SIGCONT)
        # It has its place again, and the other one's is empty.
        await until(lambda: pool._spare.process is None)
        assert await statuses(*begin(pool, service.device("one"), "a")) == [201]
        assert (pool.pids(), pool.warnings(), pool.stats().restarts) == ([stopped], [], 0)
    assert log.of("sender_ended") == []


async def test_a_process_out_of_files_is_given_less_and_nothing_is_counted_against_the_push_service(
    service: PushService, log: Log
) -> None:
    service.hold = asyncio.Event()
    async with open_pool(service.origin, count=2) as pool:
        short, _ = await ready(pool, 2)
        leave_files(short, 2)
        first = begin(pool, service.device("one"), *map(str, range(40)))
        # Two connections of one, twenty of the other.
        await service.wait_for_pushes(22)
        await until(lambda: pool.stats().without_file >= 18)
        # One that fails at once is not the least loaded: what comes now goes to the other.
        second = begin(pool, service.device("one"), *map(str, range(40, 60)))
        await service.wait_for_pushes(42)
        service.hold.set()
        assert sorted(await statuses(*first)) == [0] * 18 + [201] * 22
        assert await statuses(*second) == [201] * 20
        assert pool.stats().without_file == 18
        (warning,) = pool.warnings()
        assert warning.startswith("1 sender process has as many files open as the system allows")
        os.kill(short, signal.SIGKILL)
        await until(lambda: pool.stats().restarts == 1)
        (warning,) = pool.warnings()
        assert warning.startswith("A sender process ended by SIGKILL"), "another has files of its own"
    (said,) = log.of("senders_without_files")
    assert (said["level"], said["senders"]) == ("warning", 1)


async def test_a_lone_process_out_of_files_sends_over_the_connections_that_it_has(service: PushService) -> None:
    async with open_pool(service.origin) as pool:
        (short,) = await ready(pool)
        assert await statuses(*begin(pool, service.device("one"), "a")) == [201]
        leave_files(short, 0)
        found = await asyncio.gather(*(carry_through(pool, service.device("one"), str(number)) for number in range(20)))
        assert [carried.status for carried in found if isinstance(carried, Result)] == [201] * 20
        assert pool.stats().without_file > 0


async def test_a_process_that_does_not_read_is_given_no_more_than_its_buffer(service: PushService) -> None:
    async with open_pool(service.origin, in_hand=100_000) as pool:
        (stopped,) = await ready(pool)
        (process,) = pool._processes()
        os.kill(stopped, signal.SIGSTOP)
        carrying = []
        for number in range(300):
            carrying += begin(pool, service.device("one"), *(f"{number}-{each}" for each in range(10)))
            # As they come: what comes in one turn of the loop goes together.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert process.is_full
        stats = pool.stats()
        assert (stats.in_hand + stats.waiting, stats.waiting > 0) == (3000, True)
        os.kill(stopped, signal.SIGCONT)
        assert await statuses(*carrying) == [201] * 3000


async def test_no_process_has_more_in_hand_than_it_may(service: PushService) -> None:
    service.hold = asyncio.Event()
    async with open_pool(service.origin, count=2, in_hand=3) as pool:
        await ready(pool, 2)
        carrying = begin(pool, service.device("one"), *map(str, range(10)))
        await service.wait_for_pushes(6)
        stats = pool.stats()
        assert (stats.in_hand, stats.waiting) == (6, 4)
        service.hold.set()
        assert await statuses(*carrying) == [201] * 10


async def test_where_nothing_can_be_started_pushes_are_put_back_and_it_is_said(
    service: PushService, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushdesk.engine.sender_reports.MISSING_S", 0.0)
    can_start = asyncio.Event()

    def starting() -> Launched:
        if not can_start.is_set():
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return launch()

    async with open_pool(service.origin, count=2, launcher=starting, total_timeout_s=1) as pool:
        assert await statuses(*begin(pool, service.device("one"), "a")) == [0]
        pool.warnings()
        await asyncio.sleep(0)
        (warning,) = pool.warnings()
        assert warning.startswith("2 sender processes of 2 do not run and are started again and again. Pushes wait.")
        assert warning.endswith("It says: Resource temporarily unavailable.")
        can_start.set()
        await ready(pool, 2)
        assert await statuses(*begin(pool, service.device("one"), "a")) == [201]
        assert pool.warnings() == []
    (said,) = log.of("sender_not_started")
    assert said["error"] == "BlockingIOError"


async def test_the_last_words_of_one_that_cannot_run_are_told(service: PushService, log: Log) -> None:
    program = ("/bin/sh", "-c", "echo first >&2; echo 'No module named pushdesk' >&2; exit 1")
    async with open_pool(service.origin, command=program):
        await until(lambda: len(log.of("sender_ended")) >= 2)
    line = log.of("sender_ended")[0]
    assert (line["code"], line["reason"], line["pushes"]) == (1, "No module named pushdesk", 0)


async def test_a_push_that_nobody_waits_for_any_more_takes_nothing_with_it(service: PushService) -> None:
    service.hold = asyncio.Event()
    async with open_pool(service.origin, in_hand=1) as pool:
        await ready(pool)
        first, second, third = begin(pool, service.device("one"), "a", "b", "c")
        await service.wait_for_pushes(1)
        first.cancel()
        second.cancel()
        service.hold.set()
        assert await statuses(third) == [201]
        assert len(service.pushes) == 2


async def test_all_processes_have_ended_when_the_pool_has(service: PushService) -> None:
    service.hold = asyncio.Event()
    async with open_pool(service.origin, count=2) as pool:
        first, second = await ready(pool, 2)
        carrying = begin(pool, service.device("one"), "a", "b")
        await service.wait_for_pushes(2)
        os.kill(first, signal.SIGSTOP)
    assert not is_alive(first)
    assert not is_alive(second)
    assert await statuses(*carrying) == [0, 0]


async def test_a_pool_that_ends_at_once_leaves_nothing_behind(service: PushService) -> None:
    started: list[int] = []

    def noted() -> Launched:
        launched = launch()
        started.append(launched.process.pid)
        return launched

    async with open_pool(service.origin, count=2, launcher=noted):
        await until(lambda: len(started) == 2)
    assert not any(map(is_alive, started))
    async with open_pool(service.origin, count=2, launcher=noted):
        pass
    assert not any(map(is_alive, started))


async def test_signals_that_go_to_all_of_a_group_do_not_end_a_sender(service: PushService, log: Log) -> None:
    def launch_and_stop() -> Launched:
        launched = launch()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Before it has loaded anything.
            os.kill(launched.process.pid, number)
        return launched

    async with open_pool(service.origin, launcher=launch_and_stop) as pool:
        (pid,) = await ready(pool)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        assert await statuses(*begin(pool, service.device("one"), "a")) == [201]
        assert pool.pids() == [pid]
    assert log.of("sender_ended") == []
    # Here they are as before.
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


async def test_a_seat_that_is_left_while_its_process_is_started_keeps_none(log: Log) -> None:
    started: list[int] = []

    def launch_and_leave() -> Launched:
        launched = launch()
        started.append(launched.process.pid)
        asyncio.get_running_loop().call_soon(pool._alone.leave)
        return launched

    async with open_pool(launcher=launch_and_leave, count=0) as pool:
        pool._alone.occupy()
        await until(lambda: len(started) == 1 and not is_alive(started[0]))
        assert not pool._alone.is_wanted
        # Occupied anew, there is another one.
        pool._alone.occupy()
        await until(lambda: len(started) == 2)
    assert log.of("sender_ended") == []
