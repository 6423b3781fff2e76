"""The pool of sender processes: which of them gets a push, and what becomes of pushes whose process dies.

A push is given to the process that has the fewest in hand, among those that answer and have room. What none has room
for waits here. It decides nothing about pushes but this: one that processes die of is sent alone, and given up when
they die of it alone.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from pushdesk.engine.carrier import PutBack, Refused
from pushdesk.engine.mishaps import Mishaps
from pushdesk.engine.sender_process import Ticket, launch
from pushdesk.engine.sender_reports import SenderReports
from pushdesk.engine.sender_seat import Seat
from pushdesk.log import write
from pushdesk.log_events import SenderPoolFailed
from pushdesk.log_fields import Failure
from pushdesk.model import SenderStats
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pushdesk.engine.carrier import Carried
    from pushdesk.engine.sender_process import Launched, SenderProcess
    from pushdesk.sender.frames import Push, Result, Settings

TICK_S: Final = 1.0
MARGIN_S: Final = 10.0
"""How much longer than all timeouts of a push together a process may take for it."""
SHORT_S: Final = 5.0
"""For how long a process without files is given less, and nothing that another has room for."""
SUSPECTS: Final = 4
"""Pushes that wait to be sent alone; more wait in the outbox, and take nobody's place at their push service."""
EXCUSE_S: Final = 1.0
"""For how long after a push was lost alone it is looked whether other processes end, too, which did not have it."""
IDLE_TICKS: Final = 30
"""After so many without anything to be sent alone, the process for that ends."""

DIED: Final = "The sender process that it was given to ended. It is sent again."
NO_ROOM: Final = "No sender process had room for it."
TO_BE_ALONE: Final = "Sender processes ended that it was given to: it waits to be sent alone."
KILLS: Final = "Every sender process that it was given to ended, also those that had nothing else to do."


class SenderPool:
    """Carries pushes in processes; used as an async context manager, and made on the engine's event loop.

    Args:
        count: Processes.
        settings: How they reach push services.
        in_hand: Pushes that one may have in hand.
        launched: Processes that were started before, to be the first ones; each is removed when it is taken.
        launch: Starts another.
    """

    def __init__(
        self,
        count: int,
        settings: Settings,
        *,
        in_hand: int,
        launched: list[Launched] | None = None,
        launch: Callable[[], Launched] = launch,
    ) -> None:
        self._room = in_hand
        self._patience_s = settings.total_timeout_s
        self._overdue_s = settings.connect_timeout_s + settings.total_timeout_s + MARGIN_S
        self._first = [] if launched is None else launched
        self._launch = launch
        self._mishaps = Mishaps()
        self._reports = SenderReports(asyncio.get_running_loop().time)
        self._waiting: deque[Ticket] = deque()
        self._suspects: deque[Ticket] = deque()
        self._on_trial: set[Ticket] = set()
        """Lost alone, a moment ago."""
        self._others_ended_at = -math.inf
        """When a process ended last that sends what is no suspect."""
        self._idle_ticks = 0
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []
        make = partial(
            Seat,
            settings,
            launch=self._next,
            observer=self,
            on_end=self._reports.ended,
            on_failure=self._reports.not_started,
        )
        self._seats = [make() for _ in range(count)]
        self._alone = make()
        self._spare = make()
        """Of one that sends while none of the others answers."""

    async def __aenter__(self) -> Self:
        """Begin; pushes are taken at once, and wait for the processes."""
        for seat in self._seats:
            seat.occupy()
        self._tasks = [asyncio.create_task(seat.keep(), name="sender process") for seat in self._all_seats()]
        self._watching = asyncio.create_task(self._watch(), name="sender processes")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End all processes."""
        self._closed = True
        self._watching.cancel()
        for seat in self._all_seats():
            seat.close()
        await asyncio.gather(*self._tasks, self._watching, return_exceptions=True)
        for ticket in (*self._waiting, *self._suspects, *self._on_trial):
            ticket.settle(PutBack(NO_ROOM))

    async def carry(self, delivery: str, push: Push) -> Carried:
        """See `Carrier.carry`."""
        ticket = Ticket(delivery, push, asyncio.get_running_loop().time())
        if self._closed:
            return PutBack(NO_ROOM)
        if not self._mishaps.is_suspect(delivery):
            self._waiting.append(ticket)
            self._hand_out()
        elif len(self._suspects) < SUSPECTS:
            self._suspects.append(ticket)
            self._alone.occupy()
            self._hand_out_alone()
        else:
            return PutBack(TO_BE_ALONE)
        return await ticket.answer

    def stats(self) -> SenderStats:
        """See `Carrier.stats`."""
        return SenderStats(
            wanted=len(self._seats),
            running=sum(not process.is_quiet for process in self._ready()),
            restarts=sum(max(0, seat.lives - 1) for seat in self._seats),
            in_hand=sum(len(process.in_hand) for process in self._processes()),
            waiting=len(self._waiting) + len(self._suspects),
            without_file=self._reports.without_file,
        )

    def warnings(self) -> Sequence[str]:
        """See `Carrier.warnings`."""
        ready = self._ready()
        return self._reports.warnings(
            missing=len(self._seats) - len(ready),
            silent=sum(process.is_quiet for process in ready),
            wanted=len(self._seats),
            has_spare=self._spare.process is not None and self._spare.process.is_ready,
        )

    def pids(self) -> list[int]:
        """Return which processes take pushes."""
        return [process.pid for process in self._processes() if process.is_ready]

    def is_ready(self, process: SenderProcess) -> None:
        """Give a new process what waits."""
        self._reports.is_ready(process)
        self.has_room(process)

    def has_room(self, process: SenderProcess) -> None:
        """Give a process what waits."""
        if process is self._alone.process:
            self._hand_out_alone()
        elif self._waiting:
            self._hand_out()

    def answered(self, process: SenderProcess, ticket: Ticket, result: Result) -> None:
        """Pass on what a push came to."""
        self._mishaps.answered(ticket.delivery)
        if result.fault is FaultKind.NO_FILE:
            self._run_short(process)
            ticket.settle(PutBack(result.fault.sentence))
        else:
            ticket.settle(result)
        self.has_room(process)

    def lost(self, process: SenderProcess, tickets: Sequence[Ticket]) -> None:
        """Put back what a process had in hand when it died."""
        if self._closed:
            pass
        elif process is self._alone.process:
            self._alone.note_lost(len(tickets))
            self._on_trial.update(tickets)
            for ticket in tickets:
                asyncio.get_running_loop().call_later(EXCUSE_S, self._judge, ticket)
            return
        else:
            self._others_ended_at = asyncio.get_running_loop().time()
            self._mishaps.lost_among_others(ticket.delivery for ticket in tickets)
            for seat in self._seats:
                if seat.process is process:
                    seat.note_lost(len(tickets))
        for ticket in tickets:
            ticket.settle(PutBack(DIED))

    def _judge(self, ticket: Ticket) -> None:
        """Say what becomes of a push that was lost alone.

        If a process that did not have it ended meanwhile, too, it is something else that ends them: somebody who kills
        them all, or a want of memory.
        """
        self._on_trial.discard(ticket)
        if self._others_ended_at < ticket.given_at and self._mishaps.lost_alone(ticket.delivery):
            ticket.settle(Refused(KILLS))
        ticket.settle(PutBack(DIED))

    def _hand_out(self) -> None:
        while self._waiting:
            if self._waiting[0].answer.done():
                self._waiting.popleft()
            elif (process := self._least_loaded(self._seats) or self._least_loaded([self._spare])) is not None:
                process.give(self._waiting.popleft())
            else:
                return

    def _hand_out_alone(self) -> None:
        while self._suspects and self._suspects[0].answer.done():
            self._suspects.popleft()
        process = self._alone.process
        if self._suspects and process is not None and process.is_ready and not process.in_hand:
            process.give(self._suspects.popleft())

    def _least_loaded(self, seats: Iterable[Seat]) -> SenderProcess | None:
        """Return which process of some seats the next push is given to, if one has room."""
        now = asyncio.get_running_loop().time()
        best: SenderProcess | None = None
        best_load = (True, 0)
        for seat in seats:
            process = seat.process
            if process is None or not process.is_ready or process.is_full or process.is_quiet:
                continue
            load = len(process.in_hand)
            is_short = process.short_until > now
            # One that fails at once has nothing in hand, and would get everything.
            room = min(process.short_room, self._room) if is_short else self._room
            if load < room and (best is None or (is_short, load) < best_load):
                best, best_load = process, (is_short, load)
        return best

    def _run_short(self, process: SenderProcess) -> None:
        now = asyncio.get_running_loop().time()
        if process.short_until <= now:
            process.short_room = max(1, len(process.in_hand))
        # What it has in hand it has files for, less what fails in the same moment.
        process.short_room = max(1, min(process.short_room, len(process.in_hand)))
        process.short_until = now + SHORT_S
        self._reports.ran_short(process)

    def _next(self) -> Launched:
        return self._first.pop() if self._first else self._launch()

    def _all_seats(self) -> tuple[Seat, ...]:
        return (*self._seats, self._alone, self._spare)

    def _processes(self) -> Iterator[SenderProcess]:
        for seat in self._all_seats():
            if seat.process is not None:
                yield seat.process

    def _ready(self) -> list[SenderProcess]:
        """Return the processes that there should be and that take pushes, or did before they fell silent."""
        return [seat.process for seat in self._seats if seat.process is not None and seat.process.is_ready]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 (the next look may fare better)
                write(SenderPoolFailed(Failure.of(error)))

    def _look(self) -> None:
        """Look after everything, once a second."""
        for process in self._processes():
            process.tick(self._overdue_s)
        self._look_after_spare()
        oldest = asyncio.get_running_loop().time() - self._patience_s
        for queue in (self._waiting, self._suspects):
            while queue and (queue[0].given_at < oldest or queue[0].answer.done()):
                queue.popleft().settle(PutBack(NO_ROOM))
        self._hand_out()
        self._hand_out_alone()
        is_idle = not self._suspects and not (self._alone.process and self._alone.process.in_hand)
        self._idle_ticks = self._idle_ticks + 1 if self._alone.is_wanted and is_idle else 0
        if self._idle_ticks > IDLE_TICKS:
            self._alone.leave()
        self._reports.tell()

    def _look_after_spare(self) -> None:
        ready = self._ready()
        if ready and all(process.is_quiet for process in ready):
            self._spare.occupy()
        elif ready and self._spare.is_wanted and not (self._spare.process and self._spare.process.in_hand):
            self._spare.leave()
