"""Which part of a program the processor works for: exactly, as every moment of a thread is somebody's.

A part is entered and left where its functions are, and of a coroutine wherever it goes on. What a part calls of another
is the other's. So the parts of a thread add up to all that it has used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")

OTHER: Final = "other"
"""What is no part's: the event loop itself, and all that was not given a name."""
_TRIALS: Final = 2000


class Meter:
    """Counts the processor's time of one thread, by part."""

    def __init__(self) -> None:
        self.cpu_ns: dict[str, int] = {OTHER: 0}
        self.switches: dict[str, int] = {OTHER: 0}
        self._parts = [OTHER]
        self._since = 0

    def start(self) -> None:
        """Begin to count, in the thread that is to be measured."""
        self._since = time.thread_time_ns()

    @property
    def part(self) -> str:
        """Whose turn it is."""
        return self._parts[-1]

    def enter(self, part: str) -> None:
        """It is a part's turn from now on."""
        now = time.thread_time_ns()
        before = self._parts[-1]
        self.cpu_ns[before] += now - self._since
        self._since = now
        self._parts.append(part)
        if part in self.switches:
            self.switches[part] += 1
        else:
            self.switches[part] = 1
            self.cpu_ns[part] = 0

    def leave(self) -> None:
        """It is again the turn of whoever had it before."""
        now = time.thread_time_ns()
        self.cpu_ns[self._parts.pop()] += now - self._since
        self._since = now


class Metered(Coroutine[Any, Any, T]):
    """A coroutine that works for a part."""

    __slots__ = ("_coroutine", "_meter", "_part")

    def __init__(self, coroutine: Coroutine[Any, Any, T], part: str, meter: Meter) -> None:
        self._coroutine = coroutine
        self._part = part
        self._meter = meter

    def send(self, value: Any) -> Any:  # noqa: ANN401 (what coroutines are sent)
        """Go on."""
        self._meter.enter(self._part)
        try:
            return self._coroutine.send(value)
        finally:
            self._meter.leave()

    def throw(self, *error: Any) -> Any:  # noqa: ANN401 (the same)
        """Go on with an error."""
        self._meter.enter(self._part)
        try:
            return self._coroutine.throw(*error)
        finally:
            self._meter.leave()

    def close(self) -> None:
        """End it."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def __iter__(self) -> Metered[T]:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 (what coroutines wait for)
        return self.send(None)


def metered_coroutine(function: Callable[..., Coroutine[Any, Any, T]], part: str, meter: Meter) -> Callable[..., Any]:
    """Return a coroutine function whose coroutines work for a part."""

    @wraps(function)
    def begin(*args: Any, **kwargs: Any) -> Metered[T]:  # noqa: ANN401 (any function's)
        return Metered(function(*args, **kwargs), part, meter)

    return begin


def metered_function(function: Callable[..., T], part: str, meter: Meter) -> Callable[..., T]:
    """Return a function that works for a part."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> T:  # noqa: ANN401 (any function's)
        meter.enter(part)
        try:
            return function(*args, **kwargs)
        finally:
            meter.leave()

    return call


def inherit(loop: asyncio.AbstractEventLoop, meter: Meter) -> None:
    """Have each task work for the part that it was made by, as far as it does not work for another."""

    def make(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:  # noqa: ANN401 (asyncio's own)
        part = meter.part
        if part is not OTHER and not isinstance(work, Metered):
            work = Metered(work, part, meter)
        return asyncio.Task(work, loop=loop, **more)

    loop.set_task_factory(make)


def cost_of_switching() -> float:
    """Return the seconds of processor time that it takes to enter and to leave a part once."""
    meter = Meter()
    meter.start()
    before = time.thread_time()
    for _ in range(_TRIALS):
        meter.enter("trial")
        meter.leave()
    return (time.thread_time() - before) / _TRIALS
