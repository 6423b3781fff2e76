"""Whether a push is a request that a push service takes (RFC 8030 section 5), and what it asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushdesk.simulator.refusal import Problem, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.simulator.personality import Rules

_URGENCIES = frozenset({"very-low", "low", "normal", "high"})
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


def check_request(headers: Mapping[str, str], size: int, rules: Rules) -> PushHeaders:
    """Check a push's headers and the size of its body in bytes.

    Raises:
        Refusal: It is not what the service demands.
    """
    granted = _ttl(headers.get("TTL"), rules)
    topic = headers.get("Topic")
    if topic is not None:
        if _TOPIC.fullmatch(topic) is None:
            raise Refusal(Problem.BAD_TOPIC, "The topic is not 1 to 32 characters of base64url")
        if rules.decodes_topic and len(topic) % 4 == 1:
            raise Refusal(Problem.BAD_TOPIC, "The topic does not decode as base64url")
    urgency = headers.get("Urgency")
    if rules.checks_urgency and urgency is not None and urgency not in _URGENCIES:
        raise Refusal(Problem.BAD_URGENCY, "The urgency is none of RFC 8030")
    if rules.needs_length and size and "Content-Length" not in headers:
        raise Refusal(Problem.NO_LENGTH, "The body came in chunks")
    if size > rules.largest_body:
        raise Refusal(Problem.TOO_LARGE, f"The body is larger than {rules.largest_body} bytes")
    encoding = headers.get("Content-Encoding")
    if size and encoding != "aes128gcm":
        raise Refusal(Problem.BAD_ENCODING, "The content encoding is not aes128gcm")
    return PushHeaders(ttl=granted, topic=topic, urgency=urgency, encoding=encoding if size else None)


def _ttl(asked: str | None, rules: Rules) -> int:
    """Return the seconds that are granted."""
    if asked is None:
        raise Refusal(Problem.NO_TTL, "Missing TTL value")
    if _DIGITS.fullmatch(asked) is None:
        raise Refusal(Problem.BAD_TTL, "The TTL is not a number of seconds")
    ttl = int(asked)
    if ttl < rules.shortest_ttl_s or (ttl > rules.longest_ttl_s and not rules.grants_less):
        raise Refusal(Problem.BAD_TTL, f"The TTL is not between {rules.shortest_ttl_s} and {rules.longest_ttl_s} s")
    return min(ttl, rules.longest_ttl_s)
