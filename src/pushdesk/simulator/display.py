"""Text from outside, on a terminal."""

from __future__ import annotations

from typing import Final

from pushdesk.plain_text import printable

LONGEST: Final = 200
"""Characters of a text of which not all has to be seen."""


def plain(text: str) -> str:
    """Return `text` on one line, without control and escape sequences or what turns the writing direction."""
    return printable(text, instead=" ").strip()


def shortened(text: str) -> str:
    """Return `text` on one line that is not longer than `LONGEST`."""
    line = " ".join(plain(text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
