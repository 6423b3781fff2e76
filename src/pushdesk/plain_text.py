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
_SECRETS: Final = re.compile(r"[\w:%+/=.~-]{32,}")
"""Longer than any word of an explanation: a piece of an endpoint, a key or a token."""
_PATHS: Final = re.compile(r"(?<![\w:%+=.~-])[\w:%+=.~-]*/\S*")
_SHORT_SECRETS: Final = re.compile(r"[\w%+~-]{20,}")
"""As short as an `auth`, which has 22 characters."""


def plain_text(text: str) -> str:
    """Make a stranger's text fit for a person: no control characters, escape sequences, markup, URLs or secrets."""
    text = without_escape_sequences(text[:MAX_TEXT], " ")
    text = _MARKUP.sub(" ", text)
    text = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    text = _SECRETS.sub("…", _URLS.sub("…", text))
    return " ".join(text.split())


def without_escape_sequences(text: str, instead: str = "") -> str:
    """Leave out what would be an order to a terminal."""
    return _ESCAPE_SEQUENCES.sub(instead, text)


def without_secrets(text: str) -> str:
    """Make a text plain whose author did not know what is secret here: no path and no long word is left of it."""
    return _SHORT_SECRETS.sub("…", _PATHS.sub("…", plain_text(text)))
