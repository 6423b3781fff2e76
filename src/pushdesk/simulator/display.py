"""Text from outside, on a terminal."""

from __future__ import annotations

from pushdesk.plain_text import printable


def plain(text: str) -> str:
    """Return `text` on one line, without control and escape sequences or what turns the writing direction."""
    return printable(text, instead=" ").strip()
