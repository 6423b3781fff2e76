"""Text from outside, made fit to be shown.

Titles, reasons, user names and user agents are written by strangers. Here they lose everything that a terminal would
act on; that they are never read as markup is seen to by showing them as `Content` only.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 500
"""Characters that are shown of one text; what is longer ends in an ellipsis."""

# ECMA-48: control sequences, then control strings (OSC, DCS, SOS, PM, APC) up to their terminator, then single escapes.
_SEQUENCES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_SPACES: Final = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_LINES: Final = re.compile(r"\r\n|[\n\v\f\r\x85\u2028\u2029]")
# C0 and C1 controls, the bidirectional marks, overrides and isolates (Unicode UAX 9), and invisible format characters.
_INVISIBLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")


MOST_MARKS: Final = 3
"""Combining marks in a row that are shown: more are not of any language, and a terminal piles them over other lines."""


def plain(text: str, *, longest: int = LONGEST) -> str:
    """Return the text as one line without control, escape and bidirectional sequences, at most `longest` characters."""
    # A text is cut before it is searched, so that a huge one costs no more than a long one.
    text = _SEQUENCES.sub("", text[: longest * 8])
    text = _INVISIBLE.sub("", _SPACES.sub(" ", text))
    text = _with_few_marks(_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plain_lines(text: str, *, longest: int = LONGEST) -> str:
    """Return the text like `plain`, its line breaks kept."""
    return "\n".join(plain(line, longest=longest) for line in _LINES.split(text[: longest * 8]))


def _with_few_marks(text: str) -> str:
    if text.isascii():
        return text
    kept, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        if marks <= MOST_MARKS:
            kept.append(character)
    return "".join(kept)
