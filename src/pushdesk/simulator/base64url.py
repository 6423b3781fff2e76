"""base64url as push services read it (RFC 4648 section 5): padding or none, and nothing else tolerated."""

from __future__ import annotations

import base64
import re

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*={0,2}", re.ASCII)


def encode(data: bytes) -> str:
    """Return `data` as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of `text`.

    Raises:
        ValueError: `text` is not base64url.
    """
    if _ALPHABET.fullmatch(text) is None:
        raise ValueError("This is not base64url")
    bare = text.rstrip("=")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
