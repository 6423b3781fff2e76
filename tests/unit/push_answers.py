"""What the four push services really answer, row by row of docs/push-services.md, with where each answer was seen.

Texts are the services' own: read in Mozilla's source, in Apple's and Microsoft's documentation, or quoted in issues by
people who were answered so. `status alone` marks what has no text of its own, or whose text nobody has published.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.model import Outcome, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

FCM, MOZILLA, APPLE, WNS, OTHER = Service.FCM, Service.MOZILLA, Service.APPLE, Service.WNS, Service.OTHER

AUTOPUSH: Final = "mozilla-services/autopush-rs autoendpoint/src/"
APPLE_DOCUMENTS: Final = (
    "developer.apple.com/documentation/usernotifications/sending-web-push-notifications-in-web-apps-and-browsers"
)
MICROSOFT_DOCUMENTS: Final = (
    "MicrosoftDocs/windows-dev-docs hub/apps/design/shell/tiles-and-notifications/push-request-response-headers.md"
)
STATUS_ALONE: Final = "status alone"


class PushServiceAnswer(NamedTuple):
    """One answer, and what it means."""

    service: Service
    status: int
    headers: Mapping[str, str]
    body: str
    outcome: Outcome
    says: str
    """A part of the reason that is kept; empty for an accepted push."""
    seen: str
    """Where: a file of the service's source, a document, or an issue."""

    @property
    def name(self) -> str:
        return f"{self.service} {self.status} {self.says or self.outcome}"[:48]


def fcm(
    status: int, body: str, outcome: Outcome, says: str, seen: str, headers: Mapping[str, str] | None = None
) -> PushServiceAnswer:
    google: dict[str, str] = {
        "content-type": "text/html; charset=UTF-8" if body.startswith("<") else "text/plain; charset=utf-8",
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "x-xss-protection": "0",
        "alt-svc": 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
    }
    return PushServiceAnswer(FCM, status, google | dict(headers or {}), body, outcome, says, seen)


def autopush(code: int, errno: int | None, message: str) -> str:
    """Return the body of an error of Mozilla's, members in its order (autoendpoint/src/error.rs)."""
    names = {
        400: "Bad Request",
        401: "Unauthorized",
        404: "Not Found",
        410: "Gone",
        413: "Payload Too Large",
        500: "Internal Server Error",
        502: "Bad Gateway",
        503: "Service Unavailable",
    }
    more_info = "http://autopush.readthedocs.io/en/latest/http.html#error-codes"
    return json.dumps(
        {"code": code, "errno": errno, "error": names[code], "message": message, "more_info": more_info},
        separators=(",", ":"),
    )


def mozilla(status: int, errno: int | None, message: str, outcome: Outcome, seen: str) -> PushServiceAnswer:
    # error.rs puts a Retry-After on every 503, and lets a 410 be kept for a day.
    of_status = {410: {"cache-control": "max-age=86400"}, 503: {"retry-after": "120"}}
    headers = {"content-type": "application/json"} | of_status.get(status, {})
    says = message[:60] if errno is None else f"errno {errno}: {message[:48]}"
    return PushServiceAnswer(MOZILLA, status, headers, autopush(status, errno, message), outcome, says, seen)


def apple(status: int, reason: str, outcome: Outcome, seen: str = APPLE_DOCUMENTS) -> PushServiceAnswer:
    headers = {"apns-id": "EC1BF194-B3B2-424B-89B9-5A918A6E6B5E", "content-type": "application/json"}
    return PushServiceAnswer(APPLE, status, headers, json.dumps({"reason": reason}), outcome, reason, seen)


def wns(
    status: int,
    description: str,
    outcome: Outcome,
    seen: str,
    *,
    state: str = "dropped",
    headers: Mapping[str, str] | None = None,
) -> PushServiceAnswer:
    microsoft = {
        "Content-Length": "0",
        "X-WNS-Msg-ID": "3155CBC13625D6D0",
        "X-WNS-Debug-Trace": "AM3PEPF00006225",
        "MS-CV": "SJnuur1cvE21MhLn56+qyA.0",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    }
    if description:
        microsoft["X-WNS-Error-Description"] = description
    if state:
        microsoft["X-WNS-Status"] = state
    says = "" if outcome is Outcome.ACCEPTED else description or state or f"Answered {status}."
    return PushServiceAnswer(WNS, status, microsoft | dict(headers or {}), "", outcome, says, seen)


def html(title: str, status: int) -> str:
    """Return Google's page for an error."""
    return (
        f"<HTML>\n<HEAD>\n<TITLE>{title}</TITLE>\n</HEAD>\n"
        f'<BODY BGCOLOR="#FFFFFF" TEXT="#000000">\n<H1>{title}</H1>\n<H2>Error {status}</H2>\n</BODY>\n</HTML>\n'
    )


FCM_ANSWERS: Final = (
    fcm(201, "", Outcome.ACCEPTED, "", STATUS_ALONE, {"location": "https://fcm.googleapis.com/0:1753"}),
    fcm(
        403,
        "the VAPID credentials in the authorization header do not correspond to the credentials used to create the "
        "subscriptions.\n",
        Outcome.KEY_MISMATCH,
        "the VAPID credentials in the authorization header do not correspond",
        "web-push-libs/web-push#941",
    ),
    fcm(
        403,
        "the key in the authorization header does not correspond to the sender ID used to subscribe this user. Please "
        "ensure you are using the correct sender ID and server Key from the Firebase console.\n",
        Outcome.KEY_MISMATCH,
        "does not correspond to the sender ID",
        "bartbutenaers/node-red-contrib-ui-web-push#7",
    ),
    fcm(403, "invalid JWT provided\n", Outcome.OUR_CONFIGURATION, "invalid JWT", "web-push-libs/web-push#679"),
    fcm(
        403,
        "permission denied: invalid JWT provided\n",
        Outcome.OUR_CONFIGURATION,
        "permission denied: invalid JWT",
        "sarthakbagaria/web-push#9",
    ),
    fcm(
        403,
        "aud claim in the token MUST include the origin of the push resource URL\n",
        Outcome.OUR_CONFIGURATION,
        "aud claim",
        "web-push-libs/pywebpush#118",
    ),
    fcm(
        403,
        "exp claim MUST NOT be more than 24 hours from the time of the request\n",
        Outcome.OUR_CONFIGURATION,
        "exp claim",
        "zaru/webpush#81",
    ),
    fcm(
        403,
        "authorization header had invalid format. authorization header should have the following format: t=jwtToken; "
        "k=base64(publicApplicationServerKey)\n",
        Outcome.OUR_CONFIGURATION,
        "authorization header had invalid format",
        "tpeczek/Lib.Net.Http.WebPush#29",
    ),
    fcm(
        401,
        "authorization header must be specified.\n",
        Outcome.OUR_CONFIGURATION,
        "authorization header must be specified",
        "web-push-libs/web-push-php#325",
    ),
    fcm(
        404,
        "A valid push subscription endpoint should be specified in the URL as such: "
        "https://fcm.googleapis.com/wp/dHIoDxE7Hdg:APA91bH1Zj0kNa\n",
        Outcome.GONE,
        "A valid push subscription endpoint should be specified in the URL as such: …",
        "pushpad/web-push#14",
    ),
    fcm(
        410,
        "push subscription has unsubscribed or expired.\n",
        Outcome.GONE,
        "push subscription has unsubscribed or expired.",
        "stephanediondev/elasticsearch-admin#21",
    ),
    fcm(410, html("NotRegistered", 410), Outcome.GONE, "NotRegistered Error 410", "zaru/webpush#31"),
    fcm(400, "bad request.\n", Outcome.REFUSED, "bad request.", "web-push-libs/webpush-java#225"),
    fcm(
        400,
        html("UnauthorizedRegistration", 400),
        Outcome.REFUSED,
        "UnauthorizedRegistration Error 400",
        "pimeys/rust-web-push#2",
    ),
    fcm(403, "", Outcome.REFUSED, "Answered 403.", STATUS_ALONE),
    fcm(403, "invalid push subscription endpoint\n", Outcome.REFUSED, "invalid push subscription", "zaru/webpush#89"),
    fcm(413, "", Outcome.REFUSED, "Answered 413.", STATUS_ALONE),
    fcm(429, "", Outcome.THROTTLED, "Answered 429.", STATUS_ALONE, {"retry-after": "60"}),
    fcm(500, html("Internal Server Error", 500), Outcome.TRANSIENT, "Internal Server Error", STATUS_ALONE),
    fcm(503, "", Outcome.THROTTLED, "Answered 503.", STATUS_ALONE, {"retry-after": "10"}),
    fcm(503, "", Outcome.TRANSIENT, "Answered 503.", STATUS_ALONE),
)

MOZILLA_ANSWERS: Final = (
    PushServiceAnswer(
        MOZILLA,
        201,
        {"location": "https://updates.push.services.mozilla.com/m/gAAAAABm", "ttl": "86400"},
        "",
        Outcome.ACCEPTED,
        "",
        AUTOPUSH + "routers/mod.rs",
    ),
    mozilla(401, 109, "VAPID public key mismatch", Outcome.KEY_MISMATCH, "felixvonsamson/Energetica#701"),
    *(
        mozilla(401, 109, message, Outcome.OUR_CONFIGURATION, seen)
        for message, seen in (
            ("Missing VAPID token", AUTOPUSH + "headers/vapid.rs"),
            ("Missing VAPID public key", AUTOPUSH + "headers/vapid.rs"),
            ("Invalid VAPID public key", AUTOPUSH + "headers/vapid.rs"),
            ("Invalid VAPID audience", AUTOPUSH + "headers/vapid.rs"),
            ("The VAPID token expiration is too long", AUTOPUSH + "headers/vapid.rs"),
            ("Unknown auth scheme", AUTOPUSH + "headers/vapid.rs"),
            ("Error while validating token", AUTOPUSH + "error.rs"),
            (
                "Invalid VAPID token: A value in the vapid claims is either missing or incorrectly specified.",
                "sarthakbagaria/web-push#9",
            ),
            (
                "Request did not validate Invalid bearer token: Auth > 24 hours in the future",
                "zaru/webpush#81",
            ),
            ("Request did not validate missing authorization header", "web-push-libs/pywebpush#42"),
        )
    ),
    mozilla(404, 102, "Invalid token", Outcome.GONE, AUTOPUSH + "error.rs"),
    mozilla(410, 103, "UAID not found", Outcome.GONE, AUTOPUSH + "error.rs"),
    mozilla(410, 105, "User was deleted during routing", Outcome.GONE, AUTOPUSH + "routers/mod.rs"),
    mozilla(410, 106, "No such subscription", Outcome.GONE, "mozilla-services/autopush#776"),
    mozilla(410, 106, "Bridge reports user was not found", Outcome.GONE, AUTOPUSH + "routers/mod.rs"),
    mozilla(
        413,
        104,
        "This message is intended for a constrained device and is limited in size. Converted buffer is too long by 12 "
        "bytes",
        Outcome.REFUSED,
        AUTOPUSH + "routers/mod.rs",
    ),
    mozilla(400, 108, "Invalid router type", Outcome.REFUSED, AUTOPUSH + "error.rs"),
    mozilla(
        400, 110, "Unknown Content-Encoding header", Outcome.REFUSED, AUTOPUSH + "extractors/notification_headers.rs"
    ),
    mozilla(400, 111, "Missing TTL value", Outcome.REFUSED, AUTOPUSH + "error.rs"),
    mozilla(
        400,
        113,
        "topic: Topic must be no greater than 32 characters",
        Outcome.REFUSED,
        AUTOPUSH + "extractors/notification_headers.rs",
    ),
    mozilla(
        400, 114, "ttl: TTL must be greater than 0", Outcome.REFUSED, AUTOPUSH + "extractors/notification_headers.rs"
    ),
    mozilla(400, None, "Invalid message ID", Outcome.REFUSED, AUTOPUSH + "error.rs"),
    mozilla(500, None, "General error out of luck", Outcome.TRANSIENT, AUTOPUSH + "error.rs"),
    mozilla(502, 901, "Bridge authentication error", Outcome.TRANSIENT, AUTOPUSH + "routers/mod.rs"),
    mozilla(502, 903, "Bridge request timeout", Outcome.TRANSIENT, AUTOPUSH + "routers/mod.rs"),
    mozilla(503, 201, "Database error while saving notification", Outcome.THROTTLED, AUTOPUSH + "routers/mod.rs"),
    # What stands before autopush answers without its headers.
    PushServiceAnswer(MOZILLA, 503, {}, "upstream connect error", Outcome.TRANSIENT, "upstream connect", STATUS_ALONE),
    PushServiceAnswer(
        *(MOZILLA, 502, {"retry-after": "9"}, html("502 Bad Gateway", 502)),
        *(Outcome.TRANSIENT, "502 Bad Gateway", STATUS_ALONE),
    ),
)

APPLE_ANSWERS: Final = (
    PushServiceAnswer(
        APPLE,
        201,
        {"apns-id": "EC1BF194-B3B2-424B-89B9-5A918A6E6B5E", "content-length": "0"},
        "",
        Outcome.ACCEPTED,
        "",
        APPLE_DOCUMENTS,
    ),
    apple(400, "VapidPkHashMismatch", Outcome.KEY_MISMATCH, "tiann/hapi#1316"),
    apple(403, "VapidPkHashMismatch", Outcome.KEY_MISMATCH),
    apple(403, "BadJwtToken", Outcome.OUR_CONFIGURATION, "web-push-libs/web-push#947"),
    apple(403, "BadVapidPublicKey", Outcome.OUR_CONFIGURATION),
    apple(403, "BadAuthorizationHeader", Outcome.OUR_CONFIGURATION),
    apple(400, "BadWebPushTopic", Outcome.REFUSED),
    apple(400, "BadTtl", Outcome.REFUSED),
    apple(400, "BadUrgency", Outcome.REFUSED),
    apple(400, "BadWebPushRequest", Outcome.REFUSED),
    apple(404, "BadPath", Outcome.GONE),
    apple(405, "MethodNotAllowed", Outcome.REFUSED),
    apple(410, "Unregistered", Outcome.GONE),
    apple(410, "ExpiredToken", Outcome.GONE),
    apple(413, "PayloadTooLarge", Outcome.REFUSED),
    apple(429, "TooManyRequests", Outcome.THROTTLED),
    apple(500, "InternalServerError", Outcome.TRANSIENT),
    apple(503, "ServiceUnavailable", Outcome.TRANSIENT),
    apple(503, "Shutdown", Outcome.TRANSIENT),
)

WNS_ANSWERS: Final = (
    wns(200, "", Outcome.ACCEPTED, MICROSOFT_DOCUMENTS, state="received"),
    wns(201, "", Outcome.ACCEPTED, STATUS_ALONE, state="received"),
    wns(400, "Ttl value conflicts with X-WNS-Cache-Policy.", Outcome.REFUSED, "web-push-libs/pywebpush#162"),
    wns(401, "", Outcome.OUR_CONFIGURATION, "web-push-libs/web-push#691", state=""),
    wns(
        403,
        "The cloud service is not authorized to send a notification to this URI even though they are authenticated.",
        Outcome.OUR_CONFIGURATION,
        MICROSOFT_DOCUMENTS,
    ),
    wns(404, "The channel URI is not valid or is not recognized by WNS.", Outcome.GONE, MICROSOFT_DOCUMENTS),
    wns(405, "", Outcome.REFUSED, MICROSOFT_DOCUMENTS, state=""),
    wns(
        406,
        "",
        Outcome.THROTTLED,
        MICROSOFT_DOCUMENTS,
        state="channelthrottled",
        headers={"X-WNS-Continue-After": "300"},
    ),
    wns(410, "Revoked channel URL", Outcome.GONE, "microsoft/WindowsAppSDK#4446", state="revoked"),
    wns(410, "The channel expired.", Outcome.GONE, MICROSOFT_DOCUMENTS),
    wns(410, "Domain Blocked", Outcome.OUR_CONFIGURATION, STATUS_ALONE),
    wns(413, "", Outcome.REFUSED, MICROSOFT_DOCUMENTS, state=""),
    wns(429, "", Outcome.THROTTLED, STATUS_ALONE, state="", headers={"Retry-After": "900"}),
    wns(500, "", Outcome.TRANSIENT, MICROSOFT_DOCUMENTS, state=""),
    wns(503, "", Outcome.TRANSIENT, MICROSOFT_DOCUMENTS, state=""),
)

OTHER_ANSWERS: Final = tuple(
    PushServiceAnswer(OTHER, status, headers, body, outcome, says, "RFC 8030 and RFC 9110")
    for status, headers, body, outcome, says in (
        (204, {}, "ok", Outcome.ACCEPTED, ""),
        (299, {}, "ok", Outcome.ACCEPTED, ""),
        (300, {}, "", Outcome.REFUSED, "Answered 300."),
        (301, {"Location": "http://10.0.0.1/"}, "", Outcome.REFUSED, "Answered 301."),
        (307, {}, "", Outcome.REFUSED, "Answered 307."),
        (401, {}, "who?", Outcome.REFUSED, "who?"),
        (403, {}, "invalid JWT provided", Outcome.REFUSED, "invalid JWT provided"),
        (404, {}, "", Outcome.GONE, "Answered 404."),
        (406, {"Retry-After": "60"}, "", Outcome.REFUSED, "Answered 406."),
        (408, {}, "", Outcome.TRANSIENT, "Answered 408."),
        (410, {}, "", Outcome.GONE, "Answered 410."),
        (413, {}, "", Outcome.REFUSED, "Answered 413."),
        (418, {}, "", Outcome.REFUSED, "Answered 418."),
        (429, {}, "", Outcome.THROTTLED, "Answered 429."),
        (499, {}, "", Outcome.REFUSED, "Answered 499."),
        (500, {}, "", Outcome.TRANSIENT, "Answered 500."),
        (503, {"Retry-After": "soon"}, "", Outcome.THROTTLED, "Answered 503."),
        (503, {}, "", Outcome.TRANSIENT, "Answered 503."),
        (599, {}, "", Outcome.TRANSIENT, "Answered 599."),
        (101, {}, "", Outcome.TRANSIENT, "Answered 101."),
        (999, {}, "", Outcome.TRANSIENT, "Answered 999."),
    )
)

ANSWERS: Final = FCM_ANSWERS + MOZILLA_ANSWERS + APPLE_ANSWERS + WNS_ANSWERS + OTHER_ANSWERS
