"""What is said of sender processes: in the log, at once or once a minute, and to the operator while it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.log import write
from pushdesk.log_events import SenderEnded, SenderNotStarted, SenderReady, SendersWithoutFiles
from pushdesk.log_fields import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.engine.sender_process import Ending, SenderProcess

STANDING_S: Final = 600.0
"""For how long the operator is shown that a process ended."""
EVERY_S: Final = 60.0
"""How often the log is told of what happens again and again."""
MISSING_S: Final = 5.0
"""After how long the operator is shown that a process is not there."""


class SenderReports:
    """Counts and words.

    Args:
        clock: Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._endings: list[tuple[float, str, int]] = []
        """Of the last ten minutes: when, how, and with how many pushes."""
        self._said = ""
        """What a process said last that ended before it was ready, or why there is none at all."""
        self._missing_since: float | None = None
        self._failure_told_at: float | None = None
        self._short: dict[int, float] = {}
        """Processes without files, by their ids: when that was last so."""
        self._short_told: tuple[float, int] | None = None
        self.without_file = 0
        """Pushes that there was no file for."""

    def is_ready(self, process: SenderProcess) -> None:
        """Note that a process takes pushes."""
        self._said = ""
        ready_at = process.began_at if process.ready_at is None else process.ready_at
        write(SenderReady(pid=process.pid, ms=round((ready_at - process.began_at) * 1000, 1)))

    def ended(self, ending: Ending, lost: int) -> None:
        """Note that a process ended by itself, with so many pushes."""
        now = self._clock()
        self._endings = [each for each in self._endings if each[0] > now - STANDING_S][-1000:]
        self._endings.append((now, ending.how, lost))
        if not ending.was_ready:
            self._said = ending.said
        self._short.pop(ending.pid, None)
        reason = ending.said or ending.fault
        write(
            SenderEnded(signal=ending.signal, code=ending.code, pushes=lost, reason=Reason(reason) if reason else None)
        )

    def not_started(self, error: Exception) -> None:
        """Note that a process could not be started."""
        now = self._clock()
        self._said = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        if self._failure_told_at is None or now - self._failure_told_at >= EVERY_S:
            self._failure_told_at = now
            write(SenderNotStarted(Failure.of(error)))

    def ran_short(self, process: SenderProcess) -> None:
        """Note that a process had no file for a push."""
        self.without_file += 1
        self._short[process.pid] = self._clock()
        self.tell()

    def tell(self) -> None:
        """Tell the log what is due."""
        now = self._clock()
        self._short = {pid: at for pid, at in self._short.items() if now - at < EVERY_S}
        told_at, told = self._short_told or (None, 0)
        if self.without_file > told and (told_at is None or now - told_at >= EVERY_S):
            self._short_told = (now, self.without_file)
            write(SendersWithoutFiles(senders=len(self._short), pushes=self.without_file - told))

    def warnings(self, *, missing: int, silent: int, wanted: int, has_spare: bool = False) -> list[str]:
        """Return what an operator should know.

        Args:
            missing: Processes that are not ready.
            silent: Processes that have not answered for a while.
            wanted: Processes that there should be.
            has_spare: Whether another one sends while none of these does.
        """
        now = self._clock()
        found = []
        out = "Another one sends meanwhile." if has_spare else "Pushes wait."
        rest = out if missing + silent == wanted else "The others send."
        if silent:
            verb, whose = ("does not answer", "It is") if silent == 1 else ("do not answer", "They are")
            found.append(f"{senders(silent)} of {wanted} {verb}. {whose} replaced if that lasts. {rest}")
        self._missing_since = None if not missing else self._missing_since or now
        if self._missing_since is not None and now - self._missing_since > MISSING_S:
            why = f" It says: {Reason(self._said).rstrip('.')}." if self._said else ""
            verb = "does not run and is" if missing == 1 else "do not run and are"
            found.append(f"{senders(missing)} of {wanted} {verb} started again and again. {rest}{why}")
        recent = [each for each in self._endings if each[0] > now - STANDING_S]
        if recent:
            lost = sum(each[2] for each in recent)
            how = recent[-1][1]
            if len(recent) == 1:
                ended, whose, had = f"A sender process ended {how}", "its", "it had"
            else:
                ended = f"{senders(len(recent))} ended in the last ten minutes, the last one {how}"
                whose, had = "their", "they had"
            pushes = "1 push is" if lost == 1 else f"{lost} pushes are"
            found.append(f"{ended}: {whose} {pushes} sent again." if lost else f"{ended}: {had} no pushes in hand.")
        if short := sum(1 for at in self._short.values() if now - at < EVERY_S):
            verb = "has" if short == 1 else "have"
            found.append(
                f"{senders(short)} {verb} as many files open as the system allows: pushes are put off, none is lost. "
                "Raise the limit (ulimit -n, LimitNOFILE=) or lower concurrency in [push]."
            )
        return found


def senders(number: int) -> str:
    """Return a number of sender processes."""
    return "1 sender process" if number == 1 else f"{number} sender processes"
