"""Text from strangers, made fit for a person: pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_TEXT: Final = 4096
"""Characters that are read."""

_ESCAPE_SEQUENCES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x07|\x1b\\|\x9c|$)|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
# What is begun and never ended goes on to the end: looking for the end once more at each beginning takes too long.
_MARKUP: Final = re.compile(r"<(style|script|title)\b.*?(?:</\1>|\Z)|<[^<>]*>", re.DOTALL | re.IGNORECASE)
# From where a scheme can begin and from nowhere within it, for the same reason.
_URLS: Final = re.compile(r"(?<![a-z0-9+.-])[a-z0-9+.-]*://\S*", re.IGNORECASE)
_LONG_WORD: Final = 32
_SECRETS: Final = re.compile(rf"[\w:%+/=.~-]{{{_LONG_WORD},}}")
"""Longer than any word of an explanation: a piece of an endpoint, a key or a token."""
_PATHS: Final = re.compile(r"(?<![\w:%+=.~-])[\w:%+=.~-]*/\S*")
_SHORT_SECRETS: Final = re.compile(r"[\w%+~-]{20,}")
"""As short as an `auth`, which has 22 characters."""


_JOINERS: Final = frozenset("\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")
"""Not printable to Python, and part of words in many scripts and of many emoji."""


def is_printable(character: str) -> bool:
    """Say whether a character can be shown to a person: neither control nor what turns the writing direction."""
    return character.isprintable() or character in _JOINERS


def printable(text: str, instead: str = "\N{REPLACEMENT CHARACTER}") -> str:
    """Return a text with something else in place of what is not printable."""
    return "".join(character if is_printable(character) else instead for character in text)


def plain_text(text: str) -> str:
    """Make a stranger's text fit for a person: no control characters, escape sequences, markup, URLs or secrets."""
    if len(text) < _LONG_WORD and text.isascii() and text.isalnum():
        # A number or a word: there is none of all that in it.
        return text
    text = without_escape_sequences(text[:MAX_TEXT], " ")
    text = _MARKUP.sub(" ", text)
    text = "".join(character if _is_plain(character) else " " for character in text)
    text = _SECRETS.sub("…", _URLS.sub("…", text))
    return " ".join(text.split())


def _is_plain(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" or character in _JOINERS


def without_escape_sequences(text: str, instead: str = "") -> str:
    """Leave out what would be an order to a terminal."""
    return _ESCAPE_SEQUENCES.sub(instead, text)


def without_secrets(text: str) -> str:
    """Make a text plain whose author did not know what is secret here: no path and no long word is left of it."""
    return _SHORT_SECRETS.sub("…", _PATHS.sub("…", plain_text(text)))
