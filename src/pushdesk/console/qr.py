"""QR codes (ISO/IEC 18004) in half blocks: a cell of the terminal shows two modules, one above the other."""

from __future__ import annotations

from typing import Final, NamedTuple

import segno

QUIET_ZONES: Final = (4, 2)
"""Light modules around the code: as many as the standard wants, or as few as phones still read."""
CELLS: Final = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
"""What stands for a pair of modules, upper and lower; True is dark."""


class Drawing(NamedTuple):
    """A QR code as lines of cells, all of the same width, in which a block is dark and a blank is light."""

    lines: tuple[str, ...]

    @property
    def width(self) -> int:
        """Columns that it takes."""
        return len(self.lines[0])

    @property
    def height(self) -> int:
        """Lines that it takes."""
        return len(self.lines)


def draw(text: str, columns: int, lines: int) -> Drawing | None:
    """Return the QR code of a text with the widest quiet zone that fits, or None if none fits.

    The error correction is that of level L, or more where it costs no room: the code is as small as it can be.
    """
    drawings = drawings_of(text)
    return next((each for each in drawings if each.width <= columns and each.height <= lines), None)


def drawings_of(text: str) -> tuple[Drawing, ...]:
    """Return the QR code of a text with each quiet zone that it may have, the largest first; none of one too long."""
    try:
        code = segno.make_qr(text, error="l")
    except segno.DataOverflowError:
        return ()
    return tuple(_draw([[bool(each) for each in row] for row in code.matrix_iter(border=zone)]) for zone in QUIET_ZONES)


def _draw(modules: list[list[bool]]) -> Drawing:
    if len(modules) % 2:
        modules = [*modules, [False] * len(modules[0])]
    pairs = zip(modules[::2], modules[1::2], strict=True)
    return Drawing(tuple("".join(CELLS[each] for each in zip(upper, lower, strict=True)) for upper, lower in pairs))
