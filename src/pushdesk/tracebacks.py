"""Where an error came from, for the log.

Without messages or values: an exception's own words may hold endpoints, keys and tokens.
"""

from __future__ import annotations

import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FRAMES: Final = 6
"""Of each error the innermost ones: those outside of them are the same for all."""
MAX_ERRORS: Final = 8


def where(error: BaseException) -> str:
    """Return the places an error passed through, innermost last, and those of what caused it.

    For example: `outbox.py:40 execute > database.py:81 write < OperationalError at default.py:7 do_execute`.
    """
    return " < ".join(_chain(error))


def _chain(error: BaseException) -> Iterator[str]:
    yield _frames(error)
    cause = error.__cause__ or error.__context__
    # Bounded, as contexts can be made to go round.
    for _ in range(MAX_ERRORS - 1):
        if cause is None:
            return
        yield f"{type(cause).__qualname__} at {_frames(cause)}"
        cause = cause.__cause__ or cause.__context__


def _frames(error: BaseException) -> str:
    frames = list(traceback.walk_tb(error.__traceback__))[-MAX_FRAMES:]
    return " > ".join(f"{PurePath(f.f_code.co_filename).name}:{line} {f.f_code.co_name}" for f, line in frames)
