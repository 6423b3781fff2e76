from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.model import Outcome, Service
from pushdesk.webpush.services import FaultKind, Verdict, classify, classify_fault, retry_after, service_of_host
from tests.unit.push_answers import ANSWERS, APPLE, FCM, MOZILLA, OTHER, WNS, PushServiceAnswer, autopush

NOW = 1_792_000_000.0  # Wed, 14 Oct 2026 17:46:40 GMT
NO_HEADERS: dict[str, str] = {}

FCM_MISMATCH = "the VAPID credentials in the authorization header do not correspond to the credentials used."

PROMISED = {
    Outcome.ACCEPTED: {(FCM, 201), (MOZILLA, 201), (APPLE, 201), (WNS, 200), (WNS, 201)},
    Outcome.GONE: {(FCM, 404), (FCM, 410), (MOZILLA, 404), (MOZILLA, 410), (APPLE, 410), (WNS, 404), (WNS, 410)},
    Outcome.KEY_MISMATCH: {(FCM, 403), (MOZILLA, 401), (APPLE, 400), (APPLE, 403)},
    Outcome.OUR_CONFIGURATION: {(FCM, 403), (MOZILLA, 401), (APPLE, 403), (WNS, 401), (WNS, 403), (WNS, 410)},
    Outcome.THROTTLED: {(MOZILLA, 503), (APPLE, 429), (WNS, 406), (WNS, 429)},
    Outcome.REFUSED: {(FCM, 413), (MOZILLA, 413), (APPLE, 413), (WNS, 413), (WNS, 400), (APPLE, 400), (MOZILLA, 400)},
    Outcome.TRANSIENT: {(FCM, 500), (MOZILLA, 502), (APPLE, 500), (WNS, 500), (OTHER, 408)},
}
"""What docs/push-services.md says of service and status, by the outcome of the row."""


@pytest.mark.parametrize("answer", [pytest.param(answer, id=answer.name) for answer in ANSWERS])
def test_answer_means_what_that_service_means_by_it(answer: PushServiceAnswer) -> None:
    verdict = classify(answer.service, answer.status, answer.headers, answer.body.encode(), now=NOW)
    assert verdict.outcome is answer.outcome
    assert answer.says in verdict.reason
    assert bool(verdict.reason) is (answer.outcome is not Outcome.ACCEPTED)


@pytest.mark.parametrize("outcome", PROMISED)
def test_every_row_of_the_table_is_there_with_an_answer_of_each_service_it_names(outcome: Outcome) -> None:
    shown = {(answer.service, answer.status) for answer in ANSWERS if answer.outcome is outcome}
    assert PROMISED[outcome] <= shown


def test_a_long_answer_of_a_service_is_kept_in_part_and_without_its_address() -> None:
    (long,) = (answer for answer in ANSWERS if answer.service is FCM and answer.status == 404)
    verdict = classify(FCM, 404, long.headers, long.body.encode(), now=NOW)
    assert "APA91" not in verdict.reason
    assert "googleapis" not in verdict.reason


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
    ("status", "headers", "seconds"),
    [
        (406, {"x-wns-continue-after": "300"}, 300.0),
        (406, {"Retry-After": "60", "X-WNS-Continue-After": "300"}, 60.0),
        (429, {"X-WNS-Continue-After": "soon"}, None),
        (410, {"X-WNS-Continue-After": "300"}, None),
    ],
)
def test_wns_says_in_a_header_of_its_own_how_long_to_wait(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    assert classify(WNS, status, headers, b"", now=NOW).retry_after_s == seconds
    assert classify(OTHER, status, {"X-WNS-Continue-After": "300"}, b"", now=NOW).retry_after_s is None


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
        (MOZILLA, 401, autopush(401, 109, "Well, " * 50 + "VAPID public key mismatch"), Outcome.KEY_MISMATCH),
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
    ("host", "service"),
    [
        ("fcm.googleapis.com", FCM),
        ("updates.push.services.mozilla.com", MOZILLA),
        ("web.push.apple.com", APPLE),
        ("x.notify.windows.com", WNS),
        ("127.0.0.1", OTHER),
        ("fcm.googleapis.com.evil.example", OTHER),
        ("evil-notify.windows.com", OTHER),
        ("", OTHER),
    ],
)
def test_service_is_told_from_the_host(host: str, service: Service) -> None:
    assert service_of_host(host) is service
