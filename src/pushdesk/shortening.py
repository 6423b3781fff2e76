"""Text of any script made fit for one line of so many characters: pure.

What a person takes for one character (a grapheme cluster, UAX 29) is never cut: a flag, a family with its skin tones,
a letter with its marks. Characters are counted as code points, of which a person sees as many or fewer.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import regex

from pushdesk.plain_text import without_escape_sequences

ELLIPSIS: Final = "…"

_CLUSTER: Final = regex.compile(r"\X")
_LONGEST_CLUSTER: Final = 32
"""Code points. The longest emoji have 10; what has more is made to break what shows it."""
_MARKS_LEFT: Final = 4
"""Code points that are left of a longer one: its base and a few marks."""

# The flags of England, Scotland and Wales are spelled with tags, which are invisible anywhere else.
_FLAG_OR_TAG: Final = regex.compile(r"(\U0001F3F4[\U000E0020-\U000E007E]+\U000E007F)|[\U000E0000-\U000E007F]")
# Joiners belong to emoji, Persian and Indic scripts, and marks of direction to bidirectional text. What embeds or
# overrides a direction could be cut off from its end, and turn what follows.
_INVISIBLE: Final = regex.compile(
    r"[[\p{Cc}\p{Cs}\p{Co}\p{Cf}]--[\s\u061C\u200C-\u200F\U000E0000-\U000E007F]]", flags=regex.V1
)

# Full-width ones are not followed by spaces. A run is looked at once, from its beginning.
_ENDS_SENTENCE: Final = regex.compile(
    r"(?<![\p{STerm}…])"
    r"(?:[\u3002\uFF01\uFF1F\uFF61]++[\p{Pe}\p{Pf}\"']*+|[\p{STerm}…]++[\p{SB=Close}\"']*+(?=\s|$))"
)
_ABBREVIATIONS: Final = frozenset(
    {"approx", "bzw", "ca", "cf", "d.h", "dr", "e.g", "fig", "i.e", "incl", "mr", "mrs", "ms", "prof", "resp", "st"}
    | {"u.a", "usw", "vs", "z.b"}
)

_WITHOUT_SPACES: Final = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\u3000-\u303F\uFF00-\uFFEF]"
)
"""Scripts whose lines break anywhere between two characters, more or less."""
_DANGLING: Final = " ,;:،؛、，；：-–—([{«“‘「『（【"  # noqa: RUF001 (of many scripts)
"""What is not left before an ellipsis."""


class Sentence(NamedTuple):
    """A sentence, and what stood between it and the one before."""

    gap: str
    text: str


def clean(text: str) -> str:
    """Return a text as one line without control characters, escape sequences and other things that are not seen."""
    if text.isascii() and text.isprintable():
        # There is none of all that in it, and each character is one.
        return " ".join(text.split())
    text = _FLAG_OR_TAG.sub(lambda match: match[1] or "", _INVISIBLE.sub("", without_escape_sequences(text)))
    return "".join(map(_tame, _CLUSTER.findall(" ".join(text.split()))))


def split_sentences(text: str) -> list[Sentence]:
    """Return the sentences of a clean text; the last may lack its end."""
    sentences: list[Sentence] = []
    start, gap = 0, ""
    for end in _ENDS_SENTENCE.finditer(text):
        if not _is_end(text, start, end):
            continue
        sentences.append(Sentence(gap, text[start : end.end()]))
        gap = " " if text[end.end() : end.end() + 1] == " " else ""
        start = end.end() + len(gap)
    if start < len(text):
        sentences.append(Sentence(gap, text[start:]))
    return sentences


def shorten(text: str, limit: int) -> str:
    """Cut a clean text to so many characters, at a word if there is one to cut at, with an ellipsis if it is cut."""
    if len(text) <= limit:
        return text
    clusters = _CLUSTER.findall(text[: limit + _LONGEST_CLUSTER])
    sizes = [0]
    for cluster in clusters:
        sizes.append(sizes[-1] + len(cluster))
    fitting = max(count for count, size in enumerate(sizes) if size < limit)
    # A word that begins early and does not end, such as an address, is cut itself.
    breaks = [count for count in range(1, fitting + 1) if sizes[count] * 3 >= limit and _breaks(clusters, count)]
    kept = "".join(clusters[: breaks[-1] if breaks else fitting])
    return (kept.rstrip(_DANGLING) or kept) + ELLIPSIS


def _breaks(clusters: list[str], count: int) -> bool:
    """Whether a line may end after so many clusters."""
    before, after = clusters[count - 1], clusters[count]
    return " " in (before, after) or any(_WITHOUT_SPACES.match(one) for one in (before, after))


def _is_end(text: str, start: int, end: regex.Match[str]) -> bool:
    following = text[end.end() : end.end() + 2].lstrip()
    if following[:1].islower():
        return False
    if end[0] != ".":
        return True
    if text[: end.start()].isdigit():
        # The number of an item.
        return False
    word = text[start : end.start()].rpartition(" ")[2].lstrip("(\"'“‘").lower()  # noqa: RUF001 (quotation marks)
    return word not in _ABBREVIATIONS


def _tame(cluster: str) -> str:
    return cluster if len(cluster) <= _LONGEST_CLUSTER else cluster[:_MARKS_LEFT].rstrip("\u200d")
