"""Reads QR codes back (ISO/IEC 18004), such as a terminal shows: what a phone's camera would make of them.

For clean pictures only, so nothing is corrected; for what our codes consist of: one segment of bytes, versions 1 to 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from segno import consts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_CELLS: Final = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}
_FORMAT_MASK: Final = 0b101010000010010
_MASKS: Final[tuple[Callable[[int, int], int], ...]] = (
    lambda x, y: (x + y) % 2,
    lambda _, y: y % 2,
    lambda x, _: x % 3,
    lambda x, y: (x + y) % 3,
    lambda x, y: (x // 3 + y // 2) % 2,
    lambda x, y: x * y % 2 + x * y % 3,
    lambda x, y: (x * y % 2 + x * y % 3) % 2,
    lambda x, y: ((x + y) % 2 + x * y % 3) % 2,
)
_BLOCKS: Final[Any] = consts.ECC
_BYTES: Final = 0b0100


def read_terminal(text: str) -> str:
    """Return what the QR code in a terminal's output says; drawn in half blocks, dark on light or light on dark."""
    lines = [line for line in text.splitlines() if line.strip() and set(line) <= set(_CELLS)]
    rows = [[_CELLS[cell][half] for cell in line] for line in lines for half in (0, 1)]
    width = max(len(row) for row in rows)
    rows = [row + [False] * (width - len(row)) for row in rows]
    # The quiet zone around the code is light, whatever stands for light. Of an odd number of rows, half a line is left.
    light = rows[0][0]
    if light not in rows[-1]:
        rows = rows[:-1]
    rows = [[module != light for module in row] for row in rows]
    dark_rows = [number for number, row in enumerate(rows) if any(row)]
    dark_columns = [number for number in range(width) if any(row[number] for row in rows)]
    first, last = dark_columns[0], dark_columns[-1]
    return read_modules([row[first : last + 1] for row in rows[dark_rows[0] : dark_rows[-1] + 1]])


def read_modules(modules: Sequence[Sequence[bool]]) -> str:
    """Return what a QR code without its quiet zone says; True is dark."""
    size = len(modules)
    assert all(len(row) == size for row in modules), "not a square"
    version, rest = divmod(size - 17, 4)
    assert rest == 0, size
    assert 1 <= version <= 9, version
    places = [(8, y) for y in (0, 1, 2, 3, 4, 5, 7, 8)] + [(x, 8) for x in (7, 5, 4, 3, 2, 1, 0)]
    form = sum(modules[y][x] << place for place, (x, y) in enumerate(places)) ^ _FORMAT_MASK
    # Segno numbers the levels of error correction as the code itself does.
    level, mask = form >> 13, _MASKS[form >> 10 & 7]
    bits = [modules[y][x] ^ (mask(x, y) == 0) for x, y in _path(size, version)]
    codewords = [_number(bits[start : start + 8]) for start in range(0, len(bits) - 7, 8)]
    lengths = [info.num_data for info in _BLOCKS[version][level] for _ in range(info.num_blocks)]
    data = _deinterleaved(codewords, lengths)
    stream = [bool(word >> place & 1) for word in data for place in range(7, -1, -1)]
    assert _number(stream[:4]) == _BYTES
    length = _number(stream[4:12])
    return bytes(_number(stream[start : start + 8]) for start in range(12, 12 + 8 * length, 8)).decode()


def _path(size: int, version: int) -> Iterator[tuple[int, int]]:
    """Yield the places of the data, in its order: pairs of columns from the right, upwards and downwards in turn."""
    for turn, right in enumerate(range(size - 1, 0, -2)):
        # The seventh column is there for orientation and belongs to no pair.
        column = right if right > 6 else right - 1
        for step in range(size):
            y = step if turn % 2 else size - 1 - step
            for x in (column, column - 1):
                if not _is_function(x, y, size, version):
                    yield x, y


def _is_function(x: int, y: int, size: int, version: int) -> bool:
    """Whether a module helps to find or to understand the code, and holds no data."""
    far = size - 9
    if (x < 9 and (y < 9 or y > far)) or (x > far and y < 9) or 6 in (x, y):
        return True
    if version >= 7 and ((x < 6 and y >= size - 11) or (y < 6 and x >= size - 11)):
        return True
    centres = consts.ALIGNMENT_POS[version - 2] if version > 1 else ()
    corners = {(6, 6), (6, size - 7), (size - 7, 6)}
    return any(
        abs(x - across) <= 2 and abs(y - down) <= 2
        for across in centres
        for down in centres
        if (across, down) not in corners
    )


def _deinterleaved(codewords: Sequence[int], lengths: Sequence[int]) -> list[int]:
    """Return the data of all blocks, one after the other; what corrects errors comes last and is left out."""
    blocks: list[list[int]] = [[] for _ in lengths]
    words = iter(codewords)
    for position in range(max(lengths)):
        for block, length in zip(blocks, lengths, strict=True):
            if position < length:
                block.append(next(words))
    return [word for block in blocks for word in block]


def _number(bits: Sequence[bool]) -> int:
    return sum(bit << place for place, bit in enumerate(reversed(bits)))
