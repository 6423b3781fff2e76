"""Which headers of an answer are kept, and what becomes of values that were written by somebody who means harm."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.model import Outcome, Service
from pushdesk.plain_text import printable
from pushdesk.webpush.services import MAX_REASON, classify

NOW = 1_792_000_000.0
APNS_ID = "EC1BF194-B3B2-424B-89B9-5A918A6E6B5E"
OF_WNS = {
    "x-wns-status": "appthrottled",
    "x-wns-error-description": "Too many at once.",
    "x-wns-continue-after": "300",
    "x-wns-msg-id": "331FA2FC1F350267",
    "x-wns-debug-trace": "SG2PEPF0005589B",
    "ms-cv": "7m+MIF/zukuEsvNq7wwnBA.0",
}
EVERYTHING = OF_WNS | {
    "retry-after": "900",
    "ttl": "2592000",
    "apns-id": APNS_ID,
    "location": "https://updates.push.services.mozilla.com/m/gAAAAABk",
    "link": "</p/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV>; rel=urn:ietf:params:push",
    "set-cookie": "session=1",
    "www-authenticate": "vapid",
    "date": "Wed, 14 Oct 2026 17:46:40 GMT",
    "content-type": "text/plain",
    "server": "nginx",
}
COMMON = {"retry-after": "900", "ttl": "2592000"}


def told(service: Service, headers: dict[str, str], status: int = 429) -> dict[str, str]:
    return dict(classify(service, status, headers, b"", now=NOW).headers)


@pytest.mark.parametrize("status", [201, 301, 400, 410, 429, 503])
@pytest.mark.parametrize(
    ("service", "own"),
    [
        (Service.FCM, {}),
        (Service.MOZILLA, {}),
        (Service.APPLE, {"apns-id": APNS_ID}),
        (Service.WNS, OF_WNS),
        (Service.OTHER, {}),
    ],
)
def test_what_says_something_of_the_push_is_kept_and_nothing_else(
    service: Service, own: dict[str, str], status: int
) -> None:
    sent = {name.title(): value for name, value in EVERYTHING.items()}
    assert told(service, sent, status) == COMMON | own


def test_an_answer_that_says_nothing_leaves_nothing() -> None:
    accepted = classify(Service.FCM, 201, {"Location": "https://fcm.googleapis.com/x", "Date": "now"}, b"", now=NOW)
    assert (accepted.outcome, accepted.headers) == (Outcome.ACCEPTED, {})
    assert told(Service.OTHER, {"Retry-After": "", "TTL": " \x1b[31m\x00"}) == {}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("\x1b[2J\x1b]0;pwned\x0760", "60"),
        ("\u202e60\u202c", "60"),
        ("sofort, später", "sofort, später"),
        ("<b>60</b>", "60"),
        ("\udcff60\udcfe", "60"),
        ("x " * 5000, ("x " * 100)[:MAX_REASON]),
        ("a" * 10_000, "…"),
        ("https://push.example/wpush/v2/gAAAAABk", "…"),
        (APNS_ID, APNS_ID),
        (f"{{{APNS_ID}}}", APNS_ID),
        (f"{APNS_ID} {APNS_ID}", "… …"),
    ],
)
def test_a_hostile_value_is_plain_text_and_bounded(value: str, kept: str) -> None:
    assert told(Service.OTHER, {"Retry-After": value}) == {"retry-after": kept}


@given(st.dictionaries(st.sampled_from(sorted(EVERYTHING)), st.text(max_size=300)), st.sampled_from(Service))
def test_whatever_is_kept_is_printable_bounded_and_can_be_written_down(
    headers: dict[str, str], service: Service
) -> None:
    kept = told(service, headers)
    assert len(kept) <= len(COMMON | OF_WNS)
    for value in kept.values():
        assert value == printable(value)
        assert 0 < len(value) <= MAX_REASON
    assert msgspec.json.decode(msgspec.json.encode(kept)) == kept
