from __future__ import annotations

import base64
import hashlib
import json
import pickle
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.errors import PayloadTooLargeError, PushdeskError
from pushdesk.model import Action, Direction, Notification, PushTarget, Service, Urgency
from pushdesk.webpush.encryption import MAX_PLAINTEXT
from pushdesk.webpush.request import build_request, headers, message, topic_header

ACCESS_URL = "https://push.example.org"


def pushed(notification: Notification, access_url: str = ACCESS_URL) -> Any:
    return json.loads(message(notification, dispatch="d1", access_url=access_url, click_origins=("*",)))


def test_message_holds_every_field_under_its_pushed_name() -> None:
    notification = Notification(
        title="Done",
        body="All 3 checks are green 🎉",
        icon="https://cdn.example.org/icon.png",
        badge="https://cdn.example.org/badge.png",
        image="https://cdn.example.org/image.png",
        tag="build",
        url="https://ci.example.org/1",
        actions=(Action("open", "Open", "https://ci.example.org/1/log"), Action("mute", "Mute")),
        lang="en-GB",
        dir=Direction.LTR,
        silent=False,
        require_interaction=True,
        renotify=True,
        timestamp=1_800_000_000_000,
        data={"run": [1, None, "x"]},
        app_badge=0,
        ttl=60,
        urgency=Urgency.HIGH,
        topic="builds",
    )
    assert pushed(notification) == {
        "web_push": 8030,
        "notification": {
            "title": "Done",
            "navigate": "https://ci.example.org/1",
            "body": "All 3 checks are green 🎉",
            "icon": "https://cdn.example.org/icon.png",
            "badge": "https://cdn.example.org/badge.png",
            "image": "https://cdn.example.org/image.png",
            "tag": "build",
            "lang": "en-GB",
            "dir": "ltr",
            "silent": False,
            "requireInteraction": True,
            "renotify": True,
            "timestamp": 1_800_000_000_000,
            "actions": [
                {"action": "open", "title": "Open", "navigate": "https://ci.example.org/1/log"},
                {"action": "mute", "title": "Mute"},
            ],
            "data": {"id": "d1", "data": {"run": [1, None, "x"]}},
        },
        "app_badge": 0,
        "mutable": True,
    }


def test_absent_fields_are_left_out_and_navigate_is_the_access_url() -> None:
    assert pushed(Notification(title="Hi")) == {
        "web_push": 8030,
        "notification": {"title": "Hi", "navigate": ACCESS_URL, "data": {"id": "d1"}},
        "mutable": True,
    }


@pytest.mark.parametrize(
    ("access_url", "url", "navigate"),
    [
        (ACCESS_URL, "/chat/1?x=%2f#end", "https://push.example.org/chat/1?x=%2f#end"),
        (ACCESS_URL, "chat", "https://push.example.org/chat"),
        ("https://example.org/desk", "chat", "https://example.org/desk/chat"),
        ("https://example.org/desk/", "/chat", "https://example.org/chat"),
        (ACCESS_URL, "?tab=2", "https://push.example.org/?tab=2"),
        (ACCESS_URL, "//other.example/x", "https://other.example/x"),
        (ACCESS_URL, "https://other.example/a%2fb", "https://other.example/a%2fb"),
        (ACCESS_URL, "", ACCESS_URL),
    ],
)
def test_relative_urls_are_resolved_against_the_access_url(access_url: str, url: str, navigate: str) -> None:
    assert pushed(Notification(title="Hi", url=url), access_url)["notification"]["navigate"] == navigate


def test_pictures_and_actions_are_resolved_too() -> None:
    notification = Notification(
        title="Hi", icon="/i.png", badge="b.png", image="//cdn.example/i.png", actions=(Action("a", "A", "/a"),)
    )
    shown = pushed(notification)["notification"]
    assert shown["icon"] == "https://push.example.org/i.png"
    assert shown["badge"] == "https://push.example.org/b.png"
    assert shown["image"] == "https://cdn.example/i.png"
    assert shown["actions"][0]["navigate"] == "https://push.example.org/a"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,<b>x",
        "file:///etc/x",
        "blob:https://x.example/1",
        "mailto:a@b.example",
        "about:blank",
        "http:x",
        "https://@",
    ],
)
def test_what_leads_to_no_web_address_is_refused_with_all_names(url: str) -> None:
    notification = Notification(
        title="Hi", url=url, icon=url, badge=url, image=url, actions=(Action("a", "A", "/a"), Action("b", "B", url))
    )
    with pytest.raises(PushdeskError) as refused:
        message(notification, dispatch="d1", access_url="https://push.example.org")
    assert refused.value.code == "bad_field"
    assert refused.value.fields == ("url", "icon", "badge", "image", "actions[1].url")


def test_every_url_that_cannot_be_read_is_named() -> None:
    notification = Notification(title="Hi", url="http://[", icon="//[x", actions=(Action("a", "A", "https://[::"),))
    with pytest.raises(PushdeskError) as refused:
        message(notification, dispatch="d1", access_url=ACCESS_URL)
    assert refused.value.code == "bad_field"
    assert refused.value.fields == ("url", "icon", "actions[0].url")


def test_message_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    room = MAX_PLAINTEXT - len(message(Notification(title="Hi", data=""), dispatch="d1", access_url=ACCESS_URL))
    assert len(message(Notification(title="Hi", data="x" * room), dispatch="d1", access_url=ACCESS_URL)) == 3993
    with pytest.raises(PayloadTooLargeError, match=r"is 3994 bytes, and a push holds at most 3993\."):
        message(Notification(title="Hi", data="x" * (room + 1)), dispatch="d1", access_url=ACCESS_URL)


def test_size_is_counted_in_bytes_not_in_characters() -> None:
    with pytest.raises(PayloadTooLargeError):
        message(Notification(title="Hi", body="ü" * 3000), dispatch="d1", access_url=ACCESS_URL)


@given(st.text(min_size=1, max_size=200))
def test_topic_header_is_32_characters_that_decode_and_start_the_digest(topic: str) -> None:
    header = topic_header(topic)
    assert len(header) == 32
    assert hashlib.sha256(topic.encode()).digest().startswith(base64.urlsafe_b64decode(header))


def header_fields(*, ttl_s: int = 60, urgency: Urgency = Urgency.NORMAL, topic: str | None = None) -> dict[str, str]:
    return headers(ttl_s=ttl_s, urgency=urgency, topic=topic, authorization="vapid x")


def test_headers_say_everything_that_some_service_insists_on() -> None:
    assert header_fields(urgency=Urgency.VERY_LOW, topic="chat") == {
        "Authorization": "vapid x",
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": "60",
        "Urgency": "very-low",
        "Topic": topic_header("chat"),
    }


def test_without_a_topic_there_is_no_topic_header() -> None:
    assert "Topic" not in header_fields()


@pytest.mark.parametrize(
    ("ttl_s", "sent"),
    [(-5, "1"), (0, "1"), (1, "1"), (86400, "86400"), (2_419_200, "2419200"), (2_419_201, "2419200")],
)
def test_ttl_is_what_every_service_takes(ttl_s: int, sent: str) -> None:
    assert header_fields(ttl_s=ttl_s)["TTL"] == sent


BROWSER_KEY = generate_private_key(SECP256R1())
TARGET = PushTarget(
    subscription="s1",
    version=1,
    user="ada",
    service=Service.WNS,
    key_id="0badc0de",
    device="Edge on Windows",
    endpoint="https://x.notify.windows.com/w/?token=secret%2fCm%2bwt4%3d",
    p256dh=BROWSER_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
    auth=b"sixteen bytes ok",
)


def test_request_is_encrypted_for_its_target_and_goes_to_its_endpoint_verbatim() -> None:
    request = build_request(TARGET, b"hello", ttl_s=60, urgency=Urgency.HIGH, topic="t", authorization="vapid x")
    decrypted = http_ece.decrypt(request.body, private_key=BROWSER_KEY, auth_secret=TARGET.auth, version="aes128gcm")
    assert decrypted == b"hello"
    assert request.endpoint == TARGET.endpoint
    assert request.headers == header_fields(urgency=Urgency.HIGH, topic="t")


def test_request_shows_nothing_of_itself_and_can_be_handed_to_another_process() -> None:
    request = build_request(TARGET, b"hello", ttl_s=60, urgency=Urgency.HIGH, topic=None, authorization="vapid x")
    assert repr(request) == str(request) == "PushRequest()"
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 - our own bytes
