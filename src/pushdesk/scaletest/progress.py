"""How far a scale test is: a bar with rate and time left on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

SHARES: Final = 10
"""Lines in which a phase is told."""


class Progress(Protocol):
    """Shows how far it is."""

    def phase(self, name: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Begin a phase; what it gives is told how much of it is done."""
        ...


class Lines:
    """Tells of each tenth of a phase.

    Args:
        tell: Writes a line.
        prefix: What runs, if there are several.
    """

    def __init__(self, tell: Callable[[str], None], prefix: str = "") -> None:
        self._tell = tell
        self._prefix = prefix

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Begin a phase."""
        began, told = time.monotonic(), 0
        self._tell(f"{self._prefix}{name}: 0 of {total}")

        def show(done: int) -> None:
            nonlocal told
            share = SHARES * done // total if total else SHARES
            if share > told:
                told = share
                self._tell(f"{self._prefix}{name}: {done} of {total}{_pace(done, total, time.monotonic() - began)}")

        yield show


class Bars:
    """Draws a bar for each phase.

    Args:
        prefix: What runs, if there are several.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Begin a phase."""
        from rich.console import Console  # noqa: PLC0415 (only where there is a terminal)
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
        )
        began, drawn = time.monotonic(), 0.0
        with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bars:
            bar = bars.add_task(f"{self._prefix}{name}", total=total, pace="")

            def show(done: int) -> None:
                nonlocal drawn
                now = time.monotonic()
                # It shares the machine with what is measured.
                if now - drawn < DRAW_EVERY_S and done < total:
                    return
                drawn = now
                bars.update(bar, completed=done, pace=_pace(done, total, now - began).removeprefix(", "))
                bars.refresh()

            show(0)
            yield show


DRAW_EVERY_S: Final = 0.25
SHORTEST_PACE_S: Final = 0.5
"""Before that, a rate would be chance."""


def _pace(done: int, total: int, passed_s: float) -> str:
    if not done or passed_s < SHORTEST_PACE_S:
        return ""
    rate = done / passed_s
    left_s = (total - done) / rate
    return f", {rate:.0f}/s" + (f", {_duration(left_s)} left" if done < total else "")


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60:02} s"
