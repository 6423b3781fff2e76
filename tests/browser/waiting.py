"""Waiting for something that a browser or a server does in its own time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, *, within_s: float = 20.0) -> T:
    """Return what `look` sees as soon as it is truthy; fail with what it saw last if that takes too long."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {within_s:.0f} s: {what}. Last seen: {seen!r}")
        time.sleep(0.02)
    return seen
