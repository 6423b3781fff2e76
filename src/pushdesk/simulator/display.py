"""Text from outside, on a terminal."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return `text` on one line, without control and escape sequences or what turns the writing direction."""
    return "".join(character if character.isprintable() else " " for character in text).strip()
