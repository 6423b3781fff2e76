"""What an invitation's code looks like, how it may be typed, and how long an invitation may be valid.

A code is 80 random bits in Crockford's base32 (https://www.crockford.com/base32.html), in groups of four: no two of its
characters are mistaken for each other, and whatever a phone's keyboard makes of it is read as what was meant.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from pushdesk.setting_values import duration

if TYPE_CHECKING:
    from collections.abc import Callable

RANDOM_BYTES: Final = 10
DEFAULT_LIFETIME_S: Final = 24 * 3600
SHORTEST_LIFETIME_S: Final = 60
LONGEST_LIFETIME_S: Final = 30 * 24 * 3600
read_lifetime: Final = duration(SHORTEST_LIFETIME_S, LONGEST_LIFETIME_S)
"""Reads how long an invitation is to be valid (`24h`); returns seconds, raises `ValueError` as all readers do."""

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE: Final = re.compile(f"[{_ALPHABET}]{{16}}")
_MEANT: Final = str.maketrans("OIL", "011")
_LEFT_OUT: Final = frozenset({"Pd", "Zs", "Zl", "Zp", "Cc", "Cf"})
"""Dashes, which keyboards make out of hyphens, white space, and what cannot be seen: Unicode's categories."""


def make_code(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new code, as it is shown: `7M3K-Q0ZT-A9WD-5HXE`."""
    number = int.from_bytes(random_bytes(RANDOM_BYTES), "big")
    characters = "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(characters[start : start + 4] for start in range(0, 16, 4))


def code_digest(typed: str) -> bytes | None:
    """Return the SHA-256 by which a code is known, however it was typed; None for what can be no code."""
    compact = "".join(character for character in typed if unicodedata.category(character) not in _LEFT_OUT)
    code = compact.upper().translate(_MEANT) if compact.isascii() else ""
    return hashlib.sha256(code.encode()).digest() if _CODE.fullmatch(code) else None
