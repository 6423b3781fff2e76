"""Whether a push is a request that a push service takes (RFC 8030 section 5), and what it asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from pushdesk.simulator.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_BODY = 4096
"""Bytes; RFC 8030 section 7.2 lets a push service refuse more."""
LONGEST_TTL_S = 30 * 24 * 3600
"""What Mozilla grants at most (autopush `MAX_NOTIFICATION_TTL`)."""

_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PushHeaders:
    """What a push asks for."""

    ttl: int
    """Seconds, as granted."""
    topic: str | None
    urgency: str | None
    encoding: str | None


def check_request(headers: Mapping[str, str], size: int) -> PushHeaders:
    """Check a push's headers and the size of its body in bytes.

    Raises:
        Refusal: 400, or 413 for a body over `LARGEST_BODY`.
    """
    ttl = headers.get("TTL")
    if ttl is None:
        raise Refusal(HTTPStatus.BAD_REQUEST, 111, "Missing TTL value")
    if _DIGITS.fullmatch(ttl) is None:
        raise Refusal(HTTPStatus.BAD_REQUEST, 112, "The TTL is not a number of seconds")
    topic = headers.get("Topic")
    if topic is not None and _TOPIC.fullmatch(topic) is None:
        raise Refusal(HTTPStatus.BAD_REQUEST, 113, "The topic is not 1 to 32 characters of base64url")
    if size > LARGEST_BODY:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 104, f"The body is larger than {LARGEST_BODY} bytes")
    encoding = headers.get("Content-Encoding")
    if size and encoding != "aes128gcm":
        raise Refusal(HTTPStatus.BAD_REQUEST, 110, "The content encoding is not aes128gcm")
    return PushHeaders(
        ttl=min(int(ttl), LONGEST_TTL_S),
        topic=topic,
        urgency=headers.get("Urgency"),
        encoding=encoding if size else None,
    )
