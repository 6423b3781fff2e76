"""What a command says: results on stdout, all else on stderr, as text and never as escape sequences."""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import Final, TextIO

from pushdesk.errors import PushdeskError
from pushdesk.plain_text import printable

_IN_ASCII: Final = str.maketrans({"✓": "ok", "✗": "x", "↻": "~", "…": "...", "→": "->", "“": '"', "”": '"'})
"""What stands for the signs that commands use, where they cannot be shown."""
_LOST_TERMINAL: Final = {errno.EIO, errno.ENXIO}


def say(line: str) -> None:
    """Write a line of the result to stdout.

    Raises:
        PushdeskError: It could not be written. That nobody reads it any more is no error.
    """
    _say(f"{_shown(line, sys.stdout)}\n")


def say_json(value: object) -> None:
    """Write a result as one line of JSON: ASCII, so that no terminal and no encoding changes anything of it.

    Args:
        value: What `json.dumps` takes.

    Raises:
        PushdeskError: As for `say`.
    """
    say(json.dumps(value, separators=(",", ":")))


def draw(drawing: str) -> None:
    """Write to stdout what may hold escape sequences of our own.

    Raises:
        PushdeskError: As for `say`.
    """
    _say(drawing)


def tell(line: str) -> None:
    """Write a line about how things go to stderr; if that fails, there is nobody to be told."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"{_shown(f'pushdesk: {line}', sys.stderr)}\n")
        sys.stderr.flush()
    except OSError:
        leave(sys.stderr)


def counted(number: int, noun: str) -> str:
    """Return a number of things as it is said: `1 device`, `2 devices`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def leave(stream: TextIO) -> None:
    """Have what is left for a stream go nowhere: the interpreter flushes once more at its end, and would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _say(text: str) -> None:
    stream = sys.stdout
    if stream is None:  # Whoever started us closed it.
        raise PushdeskError("The output is closed.")
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        is_lost = error.errno == errno.EPIPE or (error.errno in _LOST_TERMINAL and stream.isatty())
        leave(stream)
        if not is_lost:
            raise PushdeskError(f"The output cannot be written: {error.strerror}.") from None


def _shown(line: str, stream: TextIO | None) -> str:
    """Return what a stream can show of a line."""
    shown = printable(line)
    encoding = stream.encoding if stream is not None else "utf-8"
    try:
        shown.encode(encoding)
    except UnicodeEncodeError:
        shown = shown.translate(_IN_ASCII).encode(encoding, "replace").decode(encoding)
    return shown
