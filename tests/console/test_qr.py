"""QR codes as the console draws them, read back from the cells."""

from __future__ import annotations

from itertools import zip_longest

import pytest
import segno

from pushdesk.console.qr import CELLS, draw, drawings_of

LINK = "https://push.example.org/enroll#K7QMX3VT9HDW2B8N4YCR"
PAIRS = {cell: pair for pair, cell in CELLS.items()}


def modules_of(lines: tuple[str, ...]) -> list[list[bool]]:
    """Return the modules that lines of half blocks show; True is dark."""
    rows: list[list[bool]] = []
    for line in lines:
        rows += [[PAIRS[cell][half] for cell in line] for half in (0, 1)]
    return rows


@pytest.mark.parametrize("length", [20, 52, 53, 54, 78, 79, 106, 107, 300])
def test_what_is_drawn_is_what_segno_makes(length: int) -> None:
    text = (LINK * 6)[:length]
    for drawing, zone in zip_longest(drawings_of(text), (4, 2)):
        assert zone is not None
        wanted = [[bool(each) for each in row] for row in segno.make_qr(text, error="l").matrix_iter(border=zone)]
        drawn = modules_of(drawing.lines)
        assert drawn[: len(wanted)] == wanted
        # A last half line that is over belongs to the quiet zone.
        assert not any(any(row) for row in drawn[len(wanted) :])
        assert {len(line) for line in drawing.lines} == {drawing.width}


def test_the_widest_quiet_zone_that_fits_is_taken() -> None:
    largest, smallest = drawings_of(LINK)
    assert draw(LINK, largest.width, largest.height) == largest
    assert draw(LINK, largest.width - 1, largest.height) == smallest
    assert draw(LINK, largest.width, largest.height - 1) == smallest
    assert draw(LINK, smallest.width, smallest.height) == smallest
    assert draw(LINK, smallest.width - 1, smallest.height) is None
    assert draw(LINK, smallest.width, smallest.height - 1) is None


def test_a_link_of_a_usual_length_fits_beside_its_facts_in_80_columns_and_22_lines() -> None:
    link = f"https://push.department.example.org/enroll#{'A' * 43}"
    assert draw(link, 42, 22) is not None
