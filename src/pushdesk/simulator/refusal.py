"""Why a push service does not take a push."""

from __future__ import annotations

from enum import StrEnum


class Problem(StrEnum):
    """What can be wrong with a push; each service has words of its own for it (`service_answers.py`)."""

    NO_AUTHORIZATION = "no_authorization"
    BAD_AUTHORIZATION = "bad_authorization"
    """Not of the form `vapid t=..., k=...` (RFC 8292 section 3)."""
    BAD_TOKEN = "bad_token"  # noqa: S105 (a name)
    WRONG_AUDIENCE = "wrong_audience"
    EXPIRED = "expired"
    LONG_LIVED = "long_lived"
    BAD_CONTACT = "bad_contact"
    KEY_MISMATCH = "key_mismatch"
    """It is signed with another key than the one that the subscription was made with (RFC 8292 section 4.2)."""
    UNKNOWN = "unknown"
    """There never was such an endpoint."""
    ENDED = "ended"
    NO_TTL = "no_ttl"
    BAD_TTL = "bad_ttl"
    BAD_TOPIC = "bad_topic"
    BAD_URGENCY = "bad_urgency"
    NO_LENGTH = "no_length"
    TOO_LARGE = "too_large"
    BAD_ENCODING = "bad_encoding"


class Refusal(Exception):  # noqa: N818  (it is an answer, not a fault of the program)
    """A push is not taken. The message says why in our own words, and never holds what was sent."""

    def __init__(self, problem: Problem, message: str) -> None:
        super().__init__(message)
        self.problem = problem
        self.message = message
