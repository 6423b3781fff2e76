"""The push services: whose an endpoint is, and what their answers mean.

An answer is classified by service, status and reason, never by the status alone: the same 403 is one browser's old key
at Google's and our own broken token at Apple's, and taking the second for the first would remove every user.
"""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass, field
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pushdesk.model import Outcome, Service
from pushdesk.plain_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REASON: Final = 200
"""Characters of a reason that are kept, and of the value of a header."""
MAX_RETRY_AFTER_S: Final = 1e9
"""So that no sum with it overflows; whoever waits clamps it to what is left of the message's TTL."""

UNREADABLE_WAIT: Final = " For how long it asks to wait cannot be read, and is ignored."

NAMES: Final = {
    Service.FCM: "FCM",
    Service.MOZILLA: "Mozilla",
    Service.APPLE: "Apple",
    Service.WNS: "WNS",
    Service.OTHER: "others",
}
"""What a person calls them, in a sentence: so many subscriptions at ..."""

_HOSTS: Final = {
    "fcm.googleapis.com": Service.FCM,
    "updates.push.services.mozilla.com": Service.MOZILLA,
    "web.push.apple.com": Service.APPLE,
}
_DOMAINS: Final = {
    ".push.apple.com": Service.APPLE,
    ".notify.windows.com": Service.WNS,
}


class FaultKind(StrEnum):
    """Why a push got no answer."""

    TIMEOUT = "timeout"
    CONNECT = "connect"
    DNS = "dns"
    TLS = "tls"
    RESET = "reset"
    ADDRESS_REFUSED = "address_refused"
    PROXY = "proxy"
    PROTOCOL = "protocol"
    NO_FILE = "no_file"
    """Not even a connection was begun: this process has as many files open as it may."""

    @property
    def sentence(self) -> str:
        """What happened, in words that hold nothing of the request."""
        return _FAULTS[self]


_FAULTS: Final = {
    FaultKind.TIMEOUT: "The push service did not answer in time.",
    FaultKind.CONNECT: "No connection to the push service.",
    FaultKind.DNS: "The push service's name was not found.",
    FaultKind.TLS: "No trusted TLS connection to the push service.",
    FaultKind.RESET: "The push service closed the connection without an answer.",
    FaultKind.ADDRESS_REFUSED: "The endpoint leads to an address that is not sent to.",
    FaultKind.PROXY: "The proxy made no connection to the push service.",
    FaultKind.PROTOCOL: "The push service's answer was not HTTP.",
    FaultKind.NO_FILE: "No file is left for a connection: as many are open as this process may have.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means for one subscription.

    Attributes:
        outcome: What became of the push.
        reason: What the service said, as plain text for a person; empty for an accepted push.
        retry_after_s: Seconds for which the service asks to be left alone, if it said so in a way that can be read.
        headers: What the answer's headers say of the push, as plain text; names in lower case.
    """

    outcome: Outcome
    reason: str = ""
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    said: str
    """All that the service said, as plain text in lower case: what the phrases of the table are looked for in."""
    asks_to_wait: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table: every condition that is given has to hold."""

    statuses: range | tuple[int, ...]
    outcome: Outcome
    phrases: tuple[str, ...] = ()
    """One of them is in what was said."""
    asks_to_wait: bool = False
    """There is a Retry-After, or what WNS says in its place."""

    def matches(self, answer: _Answer) -> bool:
        return (
            answer.status in self.statuses
            and (not self.phrases or any(phrase in answer.said for phrase in self.phrases))
            and (not self.asks_to_wait or answer.asks_to_wait)
        )


_SERVICE_ROWS: Final[dict[Service, tuple[_Row, ...]]] = {
    Service.FCM: (
        _Row(
            (403,), Outcome.KEY_MISMATCH, ("do not correspond to the credentials", "does not correspond to the sender")
        ),
        _Row((401, 403), Outcome.OUR_CONFIGURATION, ("jwt", "claim", "token", "authorization header")),
    ),
    Service.MOZILLA: (
        _Row((401,), Outcome.KEY_MISMATCH, ("public key mismatch",)),
        _Row((401,), Outcome.OUR_CONFIGURATION),
    ),
    Service.APPLE: (
        _Row((400, 403), Outcome.KEY_MISMATCH, ("vapidpkhashmismatch",)),
        _Row((403,), Outcome.OUR_CONFIGURATION, ("badjwttoken", "badvapidpublickey", "badauthorizationheader")),
    ),
    Service.WNS: (
        _Row((401, 403), Outcome.OUR_CONFIGURATION),
        _Row((410,), Outcome.OUR_CONFIGURATION, ("domain blocked",)),
        _Row((406,), Outcome.THROTTLED),
    ),
    # An autopush of one's own, and the simulator, say this as Mozilla does; what another 401 is about is not known.
    Service.OTHER: (_Row((401,), Outcome.KEY_MISMATCH, ("public key mismatch",)),),
}
"""Where a service means more by a status than RFC 8030 does; sources in `docs/push-services.md`."""

_ACCEPTED: Final = range(200, 300)
"""For every service, whatever it says besides."""

_COMMON_ROWS: Final = (
    _Row((404, 410), Outcome.GONE),
    _Row((429,), Outcome.THROTTLED),
    _Row((503,), Outcome.THROTTLED, asks_to_wait=True),
    _Row((408,), Outcome.TRANSIENT),
    _Row(range(300, 500), Outcome.REFUSED),
)
"""RFC 8030 and RFC 9110, for every service. What is in no row, 5xx and what is no status at all, is transient."""

_WAITS: Final = frozenset({429, 503})

_COMMON_HEADERS: Final = ("retry-after", "ttl")
_HEADERS: Final[dict[Service, tuple[str, ...]]] = {
    Service.APPLE: ("apns-id",),
    Service.WNS: (
        "x-wns-status",
        "x-wns-error-description",
        "x-wns-continue-after",
        "x-wns-msg-id",
        "x-wns-debug-trace",
        "ms-cv",
    ),
}
"""What a service says of a push in headers of its own, and by which ids it knows the push; `Location` is a secret.

Sources in `docs/push-services.md`, as those of the common ones: RFC 9110 section 10.2.3 and RFC 8030 section 5.2.
"""
_UUID: Final = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")


def service_of_host(host: str) -> Service:
    """Return whose a host is; the host in lower case."""
    if (service := _HOSTS.get(host)) is not None:
        return service
    return next((service for domain, service in _DOMAINS.items() if host.endswith(domain)), Service.OTHER)


def classify(service: Service, status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> Verdict:
    """Say what a push service's answer means.

    Args:
        service: Who answered.
        status: HTTP status.
        headers: The answer's headers, in any case.
        body: The answer's body, or what there is of it: the status alone decides whether a push was accepted.
        now: Unix time in seconds, against which a `Retry-After` with a date is read.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    told = _told(service, fields)
    if status in _ACCEPTED:
        return Verdict(Outcome.ACCEPTED, headers=told)
    said = _said(service, fields, body)
    asked_to_wait = fields.get("retry-after")
    if service is Service.WNS and asked_to_wait is None:
        asked_to_wait = fields.get("x-wns-continue-after")
    answer = _Answer(status, said.lower(), asked_to_wait is not None)
    rows = _SERVICE_ROWS[service] + _COMMON_ROWS
    outcome = next((row.outcome for row in rows if row.matches(answer)), Outcome.TRANSIENT)
    waits = status in _WAITS or (service is Service.WNS and status == 406)
    retry_after_s = retry_after(asked_to_wait, now=now) if waits and asked_to_wait is not None else None
    reason = said[:MAX_REASON] or f"Answered {status}."
    if waits and asked_to_wait is not None and retry_after_s is None:
        reason += UNREADABLE_WAIT
    return Verdict(outcome, reason, retry_after_s, told)


def classify_fault(kind: FaultKind) -> Verdict:
    """Say what it means that there was no answer: try again, unless the address is one that is not sent to."""
    outcome = Outcome.REFUSED if kind is FaultKind.ADDRESS_REFUSED else Outcome.TRANSIENT
    return Verdict(outcome, kind.sentence)


def retry_after(value: str, *, now: float) -> float | None:
    """Read a `Retry-After` (RFC 9110 section 10.2.3): seconds to wait from `now`, or None if it makes no sense."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER_S)
    try:
        date = email.utils.parsedate_to_datetime(value)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return min(max(date.timestamp() - now, 0.0), MAX_RETRY_AFTER_S)
    except (ValueError, OverflowError):
        return None


def _told(service: Service, fields: Mapping[str, str]) -> dict[str, str]:
    """Return what there is of the headers that say something of the push and are no secret."""
    names = (name for name in (*_COMMON_HEADERS, *_HEADERS.get(service, ())) if name in fields)
    # An id has the length of a secret.
    told = {name: id_[1] if (id_ := _UUID.fullmatch(value := fields[name])) else plain_text(value) for name in names}
    return {name: text[:MAX_REASON] for name, text in told.items() if text}


def _said(service: Service, fields: Mapping[str, str], body: bytes) -> str:
    """Return what the service says about itself, where it says it."""
    if service is Service.WNS:
        named = (fields.get("x-wns-error-description", ""), fields.get("x-wns-status", ""))
        return plain_text("; ".join(text for text in named if text))
    text = body.decode("utf-8", "replace")
    said = _json_object(body)
    if service is Service.APPLE and isinstance(said.get("reason"), str):
        text = said["reason"]
    if service is Service.MOZILLA and isinstance(said.get("message"), str):
        errno = said.get("errno")
        text = f"errno {errno}: {said['message']}" if isinstance(errno, int) else said["message"]
    return plain_text(text)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
