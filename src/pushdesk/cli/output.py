"""What a command says: results on stdout, all else on stderr, as text and never as escape sequences."""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO


def say(line: str) -> None:
    """Write a line of the result to stdout."""
    _write(sys.stdout, line)


def say_json(value: object) -> None:
    """Write a result as one line of JSON: ASCII, so that no terminal and no encoding changes anything of it.

    Args:
        value: What `json.dumps` takes.
    """
    say(json.dumps(value, separators=(",", ":")))


def tell(line: str) -> None:
    """Write a line about how things go to stderr."""
    _write(sys.stderr, f"pushdesk: {line}")


def _write(stream: TextIO, line: str) -> None:
    """Write what can be printed of a line; a reader that has gone away, or a terminal that has, is not an error."""
    printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    try:
        stream.write(printable.encode(stream.encoding, "replace").decode(stream.encoding) + "\n")
        stream.flush()
    except OSError:
        # The interpreter flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
