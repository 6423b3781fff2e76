"""What each push service answers, in its own statuses, headers and words.

Sources: docs/push-services.md. What is published of no service is answered with the status alone.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from pushdesk.simulator import base64url
from pushdesk.simulator.personality import Personality
from pushdesk.simulator.refusal import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.simulator.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a push; `errno` is Mozilla's, which is in the body, too."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    errno: int | None = None


class _Said(NamedTuple):
    status: int
    text: str = ""
    errno: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


_JWT: Final = _Said(403, "invalid JWT provided\n")
_FCM_FORM: Final = (
    "authorization header had invalid format. authorization header should have the following format: t=jwtToken; "
    "k=base64(publicApplicationServerKey)\n"
)
_FCM_MISMATCH: Final = (
    "the VAPID credentials in the authorization header do not correspond to the credentials used to create the "
    "subscriptions.\n"
)
_FCM_UNKNOWN: Final = (
    "A valid push subscription endpoint should be specified in the URL as such: "
    "https://fcm.googleapis.com/wp/dHIoDxE7Hdg:APA91bH1Zj0kNa\n"
)
_FCM_BAD: Final = _Said(400, "bad request.\n")
_FCM: Final = {
    Problem.NO_AUTHORIZATION: _Said(401, "authorization header must be specified.\n"),
    Problem.BAD_TOKEN: _JWT,
    Problem.BAD_AUTHORIZATION: _Said(403, _FCM_FORM),
    Problem.WRONG_AUDIENCE: _Said(403, "aud claim in the token MUST include the origin of the push resource URL\n"),
    Problem.EXPIRED: _JWT,
    Problem.LONG_LIVED: _Said(403, "exp claim MUST NOT be more than 24 hours from the time of the request\n"),
    Problem.KEY_MISMATCH: _Said(403, _FCM_MISMATCH),
    Problem.UNKNOWN: _Said(404, _FCM_UNKNOWN),
    Problem.ENDED: _Said(410, "push subscription has unsubscribed or expired.\n"),
    Problem.NO_TTL: _FCM_BAD,
    Problem.BAD_TTL: _FCM_BAD,
    Problem.BAD_TOPIC: _FCM_BAD,
    Problem.TOO_LARGE: _Said(413),
    Problem.BAD_ENCODING: _FCM_BAD,
}

_KEPT: Final = (("Cache-Control", "max-age=86400"),)
_TOKEN_ERROR: Final = _Said(401, "Error while validating token", 109)
_MOZILLA_LARGE: Final = (
    "This message is intended for a constrained device and is limited in size. Converted buffer is too long by 12 bytes"
)
_MOZILLA: Final = {
    Problem.BAD_TOKEN: _TOKEN_ERROR,
    Problem.NO_AUTHORIZATION: _Said(401, "Missing VAPID token", 109),
    Problem.BAD_AUTHORIZATION: _Said(401, "Unknown auth scheme", 109),
    Problem.WRONG_AUDIENCE: _Said(401, "Invalid VAPID audience", 109),
    Problem.EXPIRED: _TOKEN_ERROR,
    Problem.LONG_LIVED: _Said(401, "The VAPID token expiration is too long", 109),
    Problem.KEY_MISMATCH: _Said(401, "VAPID public key mismatch", 109),
    Problem.UNKNOWN: _Said(404, "Invalid token", 102),
    Problem.ENDED: _Said(410, "No such subscription", 106, _KEPT),
    Problem.BAD_ENCODING: _Said(400, "Unknown Content-Encoding header", 110),
    Problem.NO_TTL: _Said(400, "Missing TTL value", 111),
    Problem.BAD_TTL: _Said(400, "ttl: TTL must be greater than 0", 114),
    Problem.BAD_TOPIC: _Said(400, "topic: Topic must be no greater than 32 characters", 113),
    Problem.TOO_LARGE: _Said(413, _MOZILLA_LARGE, 104),
}

_BAD_JWT: Final = _Said(403, "BadJwtToken")
_APPLE: Final = {
    Problem.NO_AUTHORIZATION: _Said(403, "BadAuthorizationHeader"),
    Problem.BAD_AUTHORIZATION: _Said(403, "BadAuthorizationHeader"),
    Problem.BAD_TOKEN: _BAD_JWT,
    Problem.WRONG_AUDIENCE: _BAD_JWT,
    Problem.EXPIRED: _BAD_JWT,
    Problem.LONG_LIVED: _BAD_JWT,
    Problem.BAD_CONTACT: _BAD_JWT,
    Problem.UNKNOWN: _Said(404, "BadPath"),
    Problem.ENDED: _Said(410, "Unregistered"),
    Problem.BAD_ENCODING: _Said(400, "BadWebPushRequest"),
    Problem.NO_TTL: _Said(400, "BadTtl"),
    Problem.BAD_TTL: _Said(400, "BadTtl"),
    Problem.BAD_TOPIC: _Said(400, "BadWebPushTopic"),
    Problem.BAD_URGENCY: _Said(400, "BadUrgency"),
    Problem.TOO_LARGE: _Said(413, "PayloadTooLarge"),
    # Documented with 403, measured with 400.
    Problem.KEY_MISMATCH: _Said(400, "VapidPkHashMismatch"),
}

_NOT_AUTHORIZED: Final = _Said(
    403, "The cloud service is not authorized to send a notification to this URI even though they are authenticated."
)
_WNS_BAD: Final = _Said(400)
_WNS: Final = {
    Problem.NO_AUTHORIZATION: _Said(401),
    Problem.BAD_AUTHORIZATION: _Said(401),
    Problem.BAD_TOKEN: _Said(401),
    Problem.WRONG_AUDIENCE: _Said(401),
    Problem.EXPIRED: _Said(401),
    Problem.LONG_LIVED: _Said(401),
    Problem.KEY_MISMATCH: _NOT_AUTHORIZED,
    Problem.UNKNOWN: _Said(404, "The channel URI is not valid or is not recognized by WNS."),
    Problem.ENDED: _Said(410, "The channel expired."),
    Problem.NO_TTL: _WNS_BAD,
    Problem.BAD_TTL: _Said(400, "Ttl value conflicts with X-WNS-Cache-Policy."),
    Problem.BAD_TOPIC: _WNS_BAD,
    Problem.NO_LENGTH: _WNS_BAD,
    Problem.TOO_LARGE: _Said(413),
    Problem.BAD_ENCODING: _WNS_BAD,
}

_OTHER: Final = {
    Problem.NO_AUTHORIZATION: _Said(401, errno=109),
    Problem.BAD_AUTHORIZATION: _Said(401, errno=109),
    Problem.KEY_MISMATCH: _Said(401, errno=109),
    Problem.BAD_TOKEN: _Said(403, errno=109),
    Problem.WRONG_AUDIENCE: _Said(403, errno=109),
    Problem.EXPIRED: _Said(403, errno=109),
    Problem.LONG_LIVED: _Said(403, errno=109),
    Problem.BAD_CONTACT: _Said(403, errno=109),
    Problem.UNKNOWN: _Said(404, errno=102),
    Problem.ENDED: _Said(410, errno=103),
    Problem.NO_TTL: _Said(400, errno=111),
    Problem.BAD_TTL: _Said(400, errno=112),
    Problem.BAD_TOPIC: _Said(400, errno=113),
    Problem.TOO_LARGE: _Said(413, errno=104),
    Problem.BAD_ENCODING: _Said(400, errno=110),
}
"""Without texts: the words are those of the refusal."""

_REFUSALS: Final = {
    Personality.OTHER: _OTHER,
    Personality.FCM: _FCM,
    Personality.MOZILLA: _MOZILLA,
    Personality.APPLE: _APPLE,
    Personality.WNS: _WNS,
}
"""What can be wrong by its rules. Of several with one status, the first is what the fault with that status says."""

_MORE: Final[Mapping[Personality, tuple[_Said, ...]]] = {
    Personality.OTHER: tuple(_Said(status) for status in (400, 401, 403, 404, 410, 413)),
    Personality.FCM: (
        _Said(
            500,
            "<HTML>\n<HEAD>\n<TITLE>Internal Server Error</TITLE>\n</HEAD>\n"
            '<BODY BGCOLOR="#FFFFFF" TEXT="#000000">\n<H1>Internal Server Error</H1>\n<H2>Error 500</H2>\n'
            "</BODY>\n</HTML>\n",
        ),
    ),
    Personality.MOZILLA: (
        _Said(500, "General error out of luck"),
        _Said(502, "Bridge request timeout", 903),
        _Said(503, "Database error while saving notification", 201, (("Retry-After", "120"),)),
    ),
    Personality.APPLE: (
        _Said(405, "MethodNotAllowed"),
        _Said(429, "TooManyRequests"),
        _Said(500, "InternalServerError"),
        _Said(503, "ServiceUnavailable"),
    ),
    Personality.WNS: (
        _NOT_AUTHORIZED,
        _Said(406, headers=(("X-WNS-Status", "channelthrottled"), ("X-WNS-Continue-After", "300"))),
        _Said(429, headers=(("Retry-After", "900"),)),
    ),
}
"""What a service says without anything being wrong with the push."""


def accepted(personality: Personality, *, origin: str, push_id: str, ttl: int, tells_ttl: bool) -> Answer:
    """Return the answer to a push that was taken.

    Args:
        personality: Who answers.
        origin: Of the push service, for `Location`.
        push_id: The push's id here.
        ttl: Seconds, as granted.
        tells_ttl: Whether the answer names it.
    """
    headers = {"TTL": str(ttl)} if tells_ttl else {}
    if personality not in {Personality.APPLE, Personality.WNS}:
        headers["Location"] = f"{origin}/message/{push_id}"
    if personality is Personality.WNS:
        headers["X-WNS-Status"] = "received"
    return Answer(int(HTTPStatus.CREATED), _own_headers(personality, push_id) | headers)


def refused(personality: Personality, refusal: Refusal, *, push_id: str) -> Answer:
    """Return the answer to a push that was not taken."""
    said = _REFUSALS[personality][refusal.problem]
    if personality is Personality.OTHER:
        said = said._replace(text=refusal.message)
    return _dressed(personality, said, push_id)


def of_status(personality: Personality, status: int, *, push_id: str) -> Answer:
    """Return what a service says with a status, whatever the push is like."""
    known = (*_MORE[personality], *_REFUSALS[personality].values())
    return _dressed(personality, next((said for said in known if said.status == status), _Said(status)), push_id)


def _own_headers(personality: Personality, push_id: str) -> dict[str, str]:
    """Return the ids under which a service knows a push."""
    id_ = uuid.UUID(bytes=base64url.decode(push_id))
    if personality is Personality.APPLE:
        return {"apns-id": str(id_).upper()}
    if personality is Personality.WNS:
        return {"X-WNS-Msg-ID": id_.hex[:16].upper(), "MS-CV": f"{push_id}.0"}
    return {}


def _dressed(personality: Personality, said: _Said, push_id: str) -> Answer:
    """Give a service's words their form."""
    headers = _own_headers(personality, push_id)
    body = b""
    match personality:
        case Personality.OTHER | Personality.MOZILLA if said.text:
            document = {
                "code": said.status,
                "errno": said.errno,
                "error": _phrase(said.status),
                "message": said.text,
                "more_info": "http://autopush.readthedocs.io/en/latest/http.html#error-codes",
            }
            body = msgspec.json.encode(document)
            headers["Content-Type"] = "application/json"
        case Personality.FCM:
            body = said.text.encode()
            headers["Content-Type"] = f"text/{'html' if body.startswith(b'<') else 'plain'}; charset=utf-8"
        case Personality.APPLE if said.text:
            body = msgspec.json.encode({"reason": said.text})
            headers["Content-Type"] = "application/json"
        case Personality.WNS:
            headers["X-WNS-Status"] = "dropped"
            if said.text:
                headers["X-WNS-Error-Description"] = said.text
    return Answer(said.status, headers | dict(said.headers), body, said.errno)


def _phrase(status: int) -> str:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "Payload Too Large"  # newer Pythons have another phrase
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
