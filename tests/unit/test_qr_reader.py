"""What reads QR codes in other tests reads them right."""

from __future__ import annotations

import io

import pytest
import segno

from tests.qr_reader import read_modules, read_terminal

TEXTS = [
    "https://push.example.com/enroll#7M3K-Q0ZT-A9WD-5HXE",
    "http://localhost:8484/enroll#0000-1111-2222-3333",
    "a",
    "Grüße 👋 " * 5,
    "x" * 98,
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("error", ["l", "m", "q", "h"])
@pytest.mark.parametrize("mask", range(8))
def test_a_code_is_read_back(text: str, error: str, mask: int) -> None:
    code = segno.make_qr(text, error=error, mask=mask, boost_error=False, mode="byte", encoding="utf-8")
    assert read_modules([[bool(module) for module in row] for row in code.matrix]) == text


@pytest.mark.parametrize("border", [2, 4])
def test_a_code_is_read_from_a_terminal(border: int) -> None:
    out = io.StringIO()
    segno.make_qr(TEXTS[0]).terminal(out, compact=True, border=border)
    assert read_terminal(f"An invitation for alice:\n\n{out.getvalue()}\nIt is valid until tomorrow.\n") == TEXTS[0]
