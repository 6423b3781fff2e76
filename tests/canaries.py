"""Secrets that are known, and whether they are found anywhere, in whatever form."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 12
"""Characters: shorter pieces of a secret are found by chance."""
CHUNK = 2**18
"""Bytes that are looked through at once."""
STEP = 3
"""Every piece of `PIECE + STEP - 1` characters holds one that is looked for."""


def _base64_of(data: bytes) -> Iterator[bytes]:
    """Yield what is in the base64 of anything that holds these bytes, at each of the three places."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data)
        # What the neighbours have a part in is cut off.
        whole = encoded[-(-before * 8 // 6) : len(encoded) - 4]
        yield whole
        yield whole.replace(b"+", b"-").replace(b"/", b"_")


def _forms(data: bytes) -> Iterator[bytes]:
    """Yield the ways in which a secret could be written, in lower case: they are looked for in any case."""
    yield data.lower()
    yield data[::-1].lower()
    yield data.hex().encode()
    yield data.hex(" ").encode()
    yield "".join(f"%{byte:02x}" for byte in data).encode()
    yield "".join(f"\\x{byte:02x}" for byte in data).encode()
    yield quote(data, safe="").lower().encode()
    for encoded in _base64_of(data):
        yield encoded.lower()


def _pieces(form: bytes) -> Iterator[bytes]:
    yield from (form[start : start + PIECE] for start in range(0, max(1, len(form) - PIECE + 1), STEP))


class Canaries:
    """Secrets by name."""

    def __init__(self) -> None:
        self._pieces: dict[str, set[bytes]] = {}

    def add(self, name: str, *secrets: str | bytes) -> None:
        """Remember a secret, in each of the ways in which the program itself has it."""
        pieces = self._pieces.setdefault(name, set())
        for secret in secrets:
            data = secret.encode() if isinstance(secret, str) else secret
            assert len(data) >= PIECE, f"{name} is too short to be told from chance"
            for form in _forms(data):
                pieces.update(_pieces(form))

    def found_in(self, written: str | bytes, *, besides: tuple[str, ...] = ()) -> set[str]:
        """Return the names of the secrets that are somewhere in what was written, but for those that may be."""
        data = (written.encode() if isinstance(written, str) else written).lower()
        wanted = {name: pieces for name, pieces in self._pieces.items() if not name.startswith(besides or ("\0",))}
        found: set[str] = set()
        for start in range(0, len(data), CHUNK):
            chunk = data[start : start + CHUNK + PIECE - 1]
            there = {chunk[place : place + PIECE] for place in range(len(chunk) - PIECE + 1)}
            found.update(name for name, pieces in wanted.items() if not pieces.isdisjoint(there))
        return found
