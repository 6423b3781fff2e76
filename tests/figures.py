"""Measured figures in the documents: each stands between two markers, where a script puts it and a test finds it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_figures(document: Path, name: str, text: str) -> None:
    """Replace the figures of this name, which must be there once: `<!-- figures: NAME -->` ... `<!-- end: NAME -->`.

    Raises:
        ValueError: The document has no such markers, or more than one pair of them.
    """
    old = document.read_text(encoding="utf-8")
    start, end = _span(document, name, old)
    document.write_text(f"{old[:start]}\n{text.strip()}\n{old[end:]}", encoding="utf-8")


def read_figures(document: Path, name: str) -> str:
    """Return the figures of this name.

    Raises:
        ValueError: The document has no such markers, or more than one pair of them.
    """
    text = document.read_text(encoding="utf-8")
    start, end = _span(document, name, text)
    return text[start:end].strip()


def table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Return a table in Markdown; numbers are aligned to the right."""
    are_numbers = [all(isinstance(row[column], int | float) for row in rows) for column in range(len(header))]
    lines = [header, tuple("--:" if is_number else "---" for is_number in are_numbers), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else str(value)


def _span(document: Path, name: str, text: str) -> tuple[int, int]:
    pattern = rf"(?<=<!-- figures: {re.escape(name)} -->)(.*?)(?=<!-- end: {re.escape(name)} -->)"
    found = list(re.finditer(pattern, text, re.DOTALL))
    if len(found) != 1:
        raise ValueError(f"{document} has {len(found)} pairs of markers for {name!r}.")
    return found[0].span()
