"""Writing a request of HTTP/1.1 (RFC 9112). Nothing that is not one line of it reaches the wire."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say how the bytes are carried, which is not for who sends to say."""

LINES: Final = 1024
"""Headers that are remembered with their values: all pushes to an origin have the same, but for the topic."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 section 5.6.2."""
_NOT_A_VALUE: Final = re.compile(r"[^\t\x20-\x7e]")
"""RFC 9110 section 5.5, without the obsolete bytes above ASCII."""


def head_of_origin(authority: str) -> str:
    """Return what follows the target in every request to an origin.

    Args:
        authority: Host and, unless it is the default, port: RFC 9110 section 7.2.
    """
    # Answers are read as they come, so none may be compressed.
    return f" HTTP/1.1\r\nHost: {authority}\r\nAccept-Encoding: identity\r\n"


def write_request(method: str, target: str, head: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """Return a request as it goes over the wire.

    Args:
        method: In capitals.
        target: Path and query, verbatim.
        head: What `head_of_origin` returned.
        headers: Of the caller's. A body without a `Content-Type` is told to be bytes.
        body: Sent with its length, as WNS takes no chunks; None if there is none.

    Raises:
        ValueError: A name, a value or the target is not what it has to be. The sentence repeats nothing of it.
    """
    if not is_visible(target):
        raise ValueError("There are characters in a request's target that do not belong there.")
    fields = "".join([_line(name, value) for name, value in headers.items()])
    if body is None:
        return f"{method} {target}{head}{fields}\r\n".encode("ascii")
    if "Content-Type" not in headers and not any(name.lower() == "content-type" for name in headers):
        fields += "Content-Type: application/octet-stream\r\n"
    return f"{method} {target}{head}{fields}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body


def is_visible(text: str) -> bool:
    """Whether a text is nothing but visible characters of ASCII. A regular expression takes ten times as long."""
    return text.isascii() and text.isprintable() and " " not in text


@lru_cache(maxsize=LINES)
def _line(name: str, value: str) -> str:
    """Return a header's line, if name and value are such as may be given."""
    if _NOT_A_VALUE.search(value):
        raise ValueError("There are characters in a header's value that do not belong there.")
    if not _TOKEN.fullmatch(name) or name.lower() in OURS:
        raise ValueError("This is not the name of a header that may be given.")
    return f"{name}: {value}\r\n"
