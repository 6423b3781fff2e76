"""What of a text a notification shows: its first whole sentences, as plain text, within 120 characters. Pure."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from pushdesk.markdown_blocks import MARKDOWN, PLAIN, WINDOW, read_pieces
from pushdesk.shortening import Sentence, shorten, split_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pushdesk.markdown_blocks import Piece

LIMIT: Final = 120
"""Characters of a summary: about as many as a phone shows of a notification before it is opened."""
_ENOUGH: Final = 4 * LIMIT

_TRACEBACK: Final = "Traceback (most recent call last)"
_ENDINGS: Final = tuple(".!?…:;,。！？：；，、؟।")  # noqa: RUF001 (of many scripts)
"""What a sentence may end with, so that nothing is put between it and the next."""
_CLOSERS: Final = "\"'”’)]»」』）"  # noqa: RUF001 (of many scripts)


def summarise(markdown: str, limit: int = LIMIT) -> str:
    """Return the first sentences of a Markdown text that fit, or the beginning of the first one if it does not.

    Code blocks are left out unless there is nothing else. Links are their text, images their alternative text, a row
    of a table its cells. HTML, front matter, what is struck through and control characters are left out.

    Args:
        markdown: Of any length; bounded work is done on it.
        limit: Characters that the summary may have.

    Returns:
        One line, or nothing if there is nothing that could be shown.
    """
    return _summary(read_pieces(markdown.removeprefix("\ufeff"), MARKDOWN, enough=_ENOUGH), limit)


def summarise_error(error: str, limit: int = LIMIT) -> str:
    """Return the first sentences of an error as a program tells it; of a Python traceback its last line."""
    if _TRACEBACK in error[:WINDOW]:
        lines = [line for line in error[-WINDOW:].splitlines() if line.strip() and not line[0].isspace()]
        error = lines[-1] if lines else error
    return _summary(read_pieces(error, PLAIN, enough=_ENOUGH), limit)


def _summary(pieces: Iterator[Piece], limit: int) -> str:
    """Return what fits; no more pieces are read than that takes."""
    code: list[str] = []
    for piece in pieces:
        if not piece.is_code:
            break
        code.append(piece.text)
    else:
        return shorten(" ".join(code), limit)
    summary = ""
    for gap, text in _units(each for each in chain((piece,), pieces) if not each.is_code):
        longer = f"{summary}{gap}{text}"
        if len(longer) > limit:
            return summary or shorten(longer, limit)
        summary = longer
    return summary


def _units(pieces: Iterable[Piece]) -> Iterator[Sentence]:
    """Yield the sentences, each with what leads on to it."""
    leading: list[Sentence] = []
    gap = ""
    for piece in pieces:
        sentences = split_sentences(piece.text)
        sentences[0] = _joined(*leading, Sentence(gap, sentences[0].text))
        gap = " " if piece.text.rstrip(_CLOSERS).endswith(_ENDINGS) else f"{piece.joint} "
        leading = [sentences.pop()] if piece.leads_on else []
        yield from sentences
    yield from leading


def _joined(first: Sentence, *others: Sentence) -> Sentence:
    if not others:
        return first
    return Sentence(first.gap, first.text + "".join(other.gap + other.text for other in others))
