from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.model import Outcome, Service
from pushdesk.webpush.services import FaultKind, Verdict, classify, classify_fault, retry_after, service_of

FCM, MOZILLA, APPLE, WNS, OTHER = Service.FCM, Service.MOZILLA, Service.APPLE, Service.WNS, Service.OTHER
NOW = 1_792_000_000.0  # Wed, 14 Oct 2026 17:46:40 GMT
NO_HEADERS: dict[str, str] = {}

FCM_MISMATCH = (
    "the VAPID credentials in the authorization header do not correspond to the credentials used to create the "
    "subscriptions.\n"
)
FCM_SENDER = (
    "the key in the authorization header does not correspond to the sender ID used to subscribe this user. Please "
    "ensure you are using the correct sender ID and server Key from the Firebase console.\n"
)
FCM_HTML = "<HTML>\n<HEAD>\n<TITLE>Not Found</TITLE>\n</HEAD>\n<BODY>\n<H1>Not Found</H1>\n<H2>Error 404</H2>\n</BODY>"


def mozilla(code: int, errno: int, message: str) -> str:
    more = "http://autopush.readthedocs.io/en/latest/http.html#error-codes"
    return json.dumps({"code": code, "errno": errno, "error": "x", "message": message, "more_info": more})


def apple(reason: str) -> str:
    return json.dumps({"reason": reason})


def wns(description: str) -> dict[str, str]:
    return {"X-WNS-Error-Description": description, "MS-CV": "abc.0"}


ANSWERS: list[tuple[Service, int, dict[str, str], str, Outcome, str]] = [
    (FCM, 201, {"Location": "https://fcm.googleapis.com/0:1"}, "", Outcome.ACCEPTED, ""),
    (FCM, 403, {}, FCM_MISMATCH, Outcome.KEY_MISMATCH, FCM_MISMATCH.strip()),
    (FCM, 403, {}, FCM_SENDER, Outcome.KEY_MISMATCH, FCM_SENDER.strip()),
    (FCM, 403, {}, "permission denied: invalid JWT provided\n", Outcome.OUR_CONFIGURATION, "invalid JWT"),
    (
        *(FCM, 403, {}, "aud claim in the token MUST include the origin of the push resource URL"),
        *(Outcome.OUR_CONFIGURATION, "aud claim"),
    ),
    (FCM, 403, {}, "exp claim must be within 24 hours", Outcome.OUR_CONFIGURATION, "exp claim"),
    (FCM, 403, {}, "", Outcome.REFUSED, "Answered 403."),
    (FCM, 400, {}, "UnauthorizedRegistration", Outcome.REFUSED, "UnauthorizedRegistration"),
    (FCM, 404, {}, FCM_HTML, Outcome.GONE, "Not Found Error 404"),
    (FCM, 410, {}, "push subscription has unsubscribed or expired.\n", Outcome.GONE, "unsubscribed"),
    (FCM, 410, {}, "NotRegistered", Outcome.GONE, "NotRegistered"),
    (FCM, 413, {}, "payload too large", Outcome.REFUSED, "payload too large"),
    (FCM, 406, {"Retry-After": "60"}, "", Outcome.REFUSED, "Answered 406."),
    (FCM, 429, {}, "", Outcome.THROTTLED, "Answered 429."),
    (FCM, 500, {}, "Internal error", Outcome.TRANSIENT, "Internal error"),
    (MOZILLA, 201, {"TTL": "60"}, "", Outcome.ACCEPTED, ""),
    (MOZILLA, 401, {}, mozilla(401, 109, "VAPID public key mismatch"), Outcome.KEY_MISMATCH, "errno 109: VAPID"),
    (MOZILLA, 401, {}, mozilla(401, 109, "Invalid VAPID token: exp"), Outcome.OUR_CONFIGURATION, "errno 109: Invalid"),
    (MOZILLA, 401, {}, "", Outcome.OUR_CONFIGURATION, "Answered 401."),
    (MOZILLA, 404, {}, mozilla(404, 102, "Invalid URL endpoint"), Outcome.GONE, "errno 102"),
    (MOZILLA, 410, {}, mozilla(410, 103, "Endpoint has expired"), Outcome.GONE, "errno 103"),
    (MOZILLA, 410, {}, mozilla(410, 105, "Endpoint became unavailable"), Outcome.GONE, "errno 105"),
    (MOZILLA, 410, {}, mozilla(410, 106, "Invalid subscription"), Outcome.GONE, "errno 106"),
    (MOZILLA, 413, {}, mozilla(413, 104, "Data payload too large"), Outcome.REFUSED, "errno 104"),
    (MOZILLA, 400, {}, mozilla(400, 110, "Invalid crypto keys"), Outcome.REFUSED, "errno 110"),
    (MOZILLA, 400, {}, mozilla(400, 111, "Missing Header"), Outcome.REFUSED, "errno 111"),
    (MOZILLA, 400, {}, mozilla(400, 113, "Invalid topic"), Outcome.REFUSED, "errno 113"),
    (MOZILLA, 503, {"Retry-After": "120"}, mozilla(503, 201, "Use back-off"), Outcome.THROTTLED, "errno 201"),
    (MOZILLA, 503, {}, mozilla(503, 202, "Service down"), Outcome.TRANSIENT, "errno 202"),
    (MOZILLA, 502, {"Retry-After": "9"}, "<html>Bad Gateway</html>", Outcome.TRANSIENT, "Bad Gateway"),
    (APPLE, 201, {"apns-id": "1"}, "", Outcome.ACCEPTED, ""),
    (APPLE, 400, {}, apple("VapidPkHashMismatch"), Outcome.KEY_MISMATCH, "VapidPkHashMismatch"),
    (APPLE, 403, {}, apple("VapidPkHashMismatch"), Outcome.KEY_MISMATCH, "VapidPkHashMismatch"),
    (APPLE, 403, {}, apple("BadJwtToken"), Outcome.OUR_CONFIGURATION, "BadJwtToken"),
    (APPLE, 403, {}, apple("BadVapidPublicKey"), Outcome.OUR_CONFIGURATION, "BadVapidPublicKey"),
    (APPLE, 400, {}, apple("BadWebPushTopic"), Outcome.REFUSED, "BadWebPushTopic"),
    (APPLE, 400, {}, apple("BadTtl"), Outcome.REFUSED, "BadTtl"),
    (APPLE, 410, {}, apple("Unregistered"), Outcome.GONE, "Unregistered"),
    (APPLE, 413, {}, apple("PayloadTooLarge"), Outcome.REFUSED, "PayloadTooLarge"),
    (APPLE, 429, {"Retry-After": "5"}, apple("TooManyRequests"), Outcome.THROTTLED, "TooManyRequests"),
    (WNS, 200, {"X-WNS-Status": "received"}, "", Outcome.ACCEPTED, ""),
    (WNS, 201, {"X-WNS-Msg-ID": "1"}, "", Outcome.ACCEPTED, ""),
    (WNS, 400, wns("Invalid TTL"), "", Outcome.REFUSED, "Invalid TTL"),
    (WNS, 401, {}, "", Outcome.OUR_CONFIGURATION, "Answered 401."),
    (WNS, 403, wns("The cloud service is not authorized"), "", Outcome.OUR_CONFIGURATION, "not authorized"),
    (WNS, 404, wns("Channel not found"), "", Outcome.GONE, "Channel not found"),
    (WNS, 406, {"Retry-After": "900", "X-WNS-Status": "channelthrottled"}, "", Outcome.THROTTLED, "channelthrottled"),
    (WNS, 410, wns("Channel expired"), "", Outcome.GONE, "Channel expired"),
    (WNS, 410, wns("Domain Blocked"), "", Outcome.OUR_CONFIGURATION, "Domain Blocked"),
    (WNS, 413, {}, "", Outcome.REFUSED, "Answered 413."),
    (WNS, 429, {"Retry-After": "10"}, "", Outcome.THROTTLED, "Answered 429."),
    (OTHER, 204, {}, "ok", Outcome.ACCEPTED, ""),
    (OTHER, 301, {"Location": "http://10.0.0.1/"}, "", Outcome.REFUSED, "Answered 301."),
    (OTHER, 307, {}, "", Outcome.REFUSED, "Answered 307."),
    (OTHER, 401, {}, "who?", Outcome.REFUSED, "who?"),
    (OTHER, 403, {}, "invalid JWT provided", Outcome.REFUSED, "invalid JWT provided"),
    (OTHER, 404, {}, "", Outcome.GONE, "Answered 404."),
    (OTHER, 410, {}, "", Outcome.GONE, "Answered 410."),
    (OTHER, 408, {}, "", Outcome.TRANSIENT, "Answered 408."),
    (OTHER, 418, {}, "", Outcome.REFUSED, "Answered 418."),
    (OTHER, 503, {"Retry-After": "soon"}, "", Outcome.THROTTLED, "Answered 503."),
    (OTHER, 503, {}, "", Outcome.TRANSIENT, "Answered 503."),
    (OTHER, 101, {}, "", Outcome.TRANSIENT, "Answered 101."),
    (OTHER, 999, {}, "", Outcome.TRANSIENT, "Answered 999."),
]


@pytest.mark.parametrize(
    ("service", "status", "headers", "body", "outcome", "says"),
    [pytest.param(*row, id=f"{row[0]}-{row[1]}-{row[5][:24]}") for row in ANSWERS],
)
def test_answer_means_what_that_service_means_by_it(
    service: Service, status: int, headers: dict[str, str], body: str, outcome: Outcome, says: str
) -> None:
    verdict = classify(service, status, headers, body.encode(), now=NOW)
    assert verdict.outcome is outcome
    assert says[:200] in verdict.reason
    assert bool(verdict.reason) is (outcome is not Outcome.ACCEPTED)


@pytest.mark.parametrize(
    ("service", "status", "waits"),
    [
        *((MOZILLA, 503, True), (APPLE, 429, True), (WNS, 406, True), (WNS, 429, True), (OTHER, 503, True)),
        *((FCM, 500, False), (FCM, 403, False), (OTHER, 406, False), (FCM, 201, False), (OTHER, 301, False)),
    ],
)
def test_retry_after_counts_where_a_service_throttles_and_nowhere_else(
    service: Service, status: int, *, waits: bool
) -> None:
    verdict = classify(service, status, {"ReTrY-aFtEr": "120"}, b"", now=NOW)
    assert verdict.retry_after_s == (120.0 if waits else None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("9" * 5000, 1e9),
        ("Wed, 14 Oct 2026 17:47:40 GMT", 60.0),
        ("Wed, 14 Oct 2026 17:47:40", 60.0),
        ("Wed, 14 Oct 2026 17:46:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),  # a digit, but not of HTTP
        ("soon", None),
        ("", None),
        ("Wed, 99 Oct 2026 17:47:40 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_garbage_is_nothing(value: str, seconds: float | None) -> None:
    assert retry_after(value, now=NOW) == seconds


@given(st.text(max_size=80))
def test_any_retry_after_is_read_as_a_wait_or_as_nothing(value: str) -> None:
    wait = retry_after(value, now=NOW)
    assert wait is None or 0 <= wait <= 1e9


@pytest.mark.parametrize(
    ("service", "status", "body", "outcome"),
    [
        (FCM, 403, FCM_MISMATCH, Outcome.KEY_MISMATCH),
        (FCM, 403, "invalid JWT provided", Outcome.OUR_CONFIGURATION),
        (MOZILLA, 401, mozilla(401, 109, "Well, " * 50 + "VAPID public key mismatch"), Outcome.KEY_MISMATCH),
        (OTHER, 401, "public key mismatch", Outcome.KEY_MISMATCH),
    ],
)
def test_a_phrase_counts_wherever_it_is_in_a_long_answer(
    service: Service, status: int, body: str, outcome: Outcome
) -> None:
    long = body if body.startswith("{") else f"<p>{'Well, ' * 600}</p>{body}"
    verdict = classify(service, status, NO_HEADERS, long.encode(), now=NOW)
    assert verdict.outcome is outcome
    assert len(verdict.reason) == 200


def test_what_is_no_json_is_no_reason_to_fail() -> None:
    deep = b"[" * 4096
    for service in Service:
        for body in (b"\xff\xfe", b"{", b"[]", b'{"reason": 5, "message": null, "errno": "x"}', deep, b"\x00" * 4096):
            assert classify(service, 400, NO_HEADERS, body, now=NOW).outcome is Outcome.REFUSED


@given(
    st.sampled_from(Service),
    st.integers(min_value=0, max_value=1000),
    st.dictionaries(st.sampled_from(["Retry-After", "x-wns-error-description", "X"]), st.text(max_size=300)),
    st.binary(max_size=500),
)
def test_any_answer_gets_a_short_plain_verdict(
    service: Service, status: int, headers: dict[str, str], body: bytes
) -> None:
    verdict = classify(service, status, headers, body, now=NOW)
    assert len(verdict.reason) <= 200
    assert verdict.reason.isprintable()
    assert "://" not in verdict.reason
    assert (verdict.outcome is Outcome.ACCEPTED) is (200 <= status < 300)


@pytest.mark.parametrize("kind", FaultKind)
def test_fault_is_tried_again_unless_the_address_is_refused(kind: FaultKind) -> None:
    verdict = classify_fault(kind)
    assert verdict.outcome is (Outcome.REFUSED if kind is FaultKind.ADDRESS_REFUSED else Outcome.TRANSIENT)
    assert verdict.reason.endswith(".")
    assert verdict.retry_after_s is None


def test_verdict_can_be_handed_to_another_process() -> None:
    verdict = Verdict(Outcome.THROTTLED, "later", 5.0)
    assert pickle.loads(pickle.dumps(verdict)) == verdict  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        ("https://fcm.googleapis.com/x", FCM),
        ("https://Updates.Push.Services.Mozilla.com/x", MOZILLA),
        ("https://web.push.apple.com/x", APPLE),
        ("https://x.notify.windows.com/x", WNS),
        ("http://127.0.0.1:8485/push/1", OTHER),
        ("https://fcm.googleapis.com.evil.example/x", OTHER),
        ("https://[", OTHER),
        ("", OTHER),
    ],
)
def test_service_is_told_from_the_host(endpoint: str, service: Service) -> None:
    assert service_of(endpoint) is service
