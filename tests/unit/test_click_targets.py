"""Clicks on notifications lead to this server or to where its operator lets them, however an address is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pushdesk.config import Config, PushConfig, ServerConfig
from pushdesk.errors import PushdeskError
from pushdesk.message import build_message
from pushdesk.model import Action, Notification
from pushdesk.webpush.request import message

if TYPE_CHECKING:
    from pathlib import Path

ACCESS_URL = "https://push.example.org"
LISTED = ("https://news.example", "http://localhost:8000")


def leads_to(url: str, *click_origins: str, access_url: str = ACCESS_URL) -> str:
    built = message(Notification("Hi", url=url), dispatch="d1", access_url=access_url, click_origins=click_origins)
    navigate: str = json.loads(built)["notification"]["navigate"]
    return navigate


@pytest.mark.parametrize(
    "url",
    [
        "https://push.example.org",
        "https://push.example.org/a?b#c",
        "https://push.example.org?a",
        "https://push.example.org:443/a",
        "HTTPS://PUSH.example.ORG/a",
        "/a",
        "a",
        "?a",
        "#a",
        "",
        "/\\evil.example/a",
        "/https://evil.example/",
        "/a@evil.example",
        "?next=https://evil.example/",
    ],
)
def test_this_server_is_always_where_a_click_may_lead(url: str) -> None:
    assert leads_to(url).lower().startswith("https://push.example.org")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "https://push.example.org.evil.example/",
        "https://evilpush.example.org/",
        "https://example.org/",
        "https://push.example.org@evil.example/",
        "https://user@push.example.org/",
        "https://user:push.example.org@evil.example/",
        "https://push.example.org:8443/",
        "https://push.example.org:80/",
        "http://push.example.org/",
        "https://push.example.org./",
        # Browsers take a backslash for a slash, and the host for what is before it.
        "https://evil.example\\@push.example.org/",
        "https://push.example.org\\.evil.example/",
        "https://evil.example\\.push.example.org",
        "//evil.example\\@push.example.org/",
        "https://evil.example#@push.example.org/",
        "https://evil.example?@push.example.org/",
        "https://push.example.org%2eevil.example/",
        "https://push.example.org\t.evil.example/",
        "https://evil.ex\nample/",
        "https://p\u00fcsh.example.org/",
        "https://push\u3002example\u3002org/",
        "https://[::1]/",
        "https://2130706433/",
    ],
)
def test_another_origin_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(PushdeskError) as refused:
        leads_to(url)
    assert refused.value.code == "bad_field"
    assert refused.value.fields == ("url",)


def test_all_offending_fields_are_named_and_the_settings_that_would_allow_them() -> None:
    notification = Notification(
        "Hi",
        url="https://secret.example/token",
        icon="javascript:x",
        image="https://cdn.example/i.png",
        actions=(Action("a", "A", "/a"), Action("b", "B", "https://secret.example/"), Action("c", "C")),
    )
    with pytest.raises(PushdeskError) as refused:
        message(notification, dispatch="d1", access_url=ACCESS_URL)
    assert refused.value.fields == ("icon", "url", "actions[1].url")
    for setting in (ACCESS_URL, "[server] allow_origin", "[push] click_origin", "--click-origin"):
        assert setting in refused.value.hint
    assert "secret" not in str(refused.value)


def test_pictures_may_come_from_anywhere() -> None:
    elsewhere = "https://cdn.example/i.png"
    notification = Notification("Hi", icon=elsewhere, badge=elsewhere, image=elsewhere)
    assert elsewhere.encode() in message(notification, dispatch="d1", access_url=ACCESS_URL)


@pytest.mark.parametrize("url", ["https://news.example/a", "https://news.example:443", "http://localhost:8000/#x"])
def test_listed_origin_is_one_that_a_click_may_lead_to(url: str) -> None:
    assert leads_to(url, *LISTED) == url


@pytest.mark.parametrize(
    "url", ["http://news.example/", "https://www.news.example/", "http://localhost/", "//news.ex/"]
)
def test_only_exactly_what_is_listed_is_allowed(url: str) -> None:
    with pytest.raises(PushdeskError):
        leads_to(url, *LISTED)


def test_star_allows_any_web_address_and_nothing_else() -> None:
    assert leads_to("https://evil.example/", "*") == "https://evil.example/"
    for url in ("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"):
        with pytest.raises(PushdeskError):
            leads_to(url, "*")


@pytest.mark.parametrize(
    ("access_url", "url"),
    [
        ("http://localhost:8484", "http://localhost:8484/x"),
        ("http://[::1]:8484", "http://[::1]:8484/x"),
        ("https://push.example.org/desk", "https://push.example.org/x"),
        ("https://push.example.org:443", "https://push.example.org/x"),
    ],
)
def test_the_origin_of_any_access_url_is_its_own(access_url: str, url: str) -> None:
    assert leads_to(url, access_url=access_url) == url


def test_what_is_only_shown_before_it_is_sent_may_lead_anywhere() -> None:
    shown = build_message(Notification("Hi", url="https://news.example/"), dispatch="d1", access_url=ACCESS_URL)
    assert json.loads(shown)["notification"]["navigate"] == "https://news.example/"


def test_sites_that_use_this_server_are_where_clicks_may_lead(tmp_path: Path) -> None:
    config = Config(
        data_dir=tmp_path,
        server=ServerConfig(allow_origin=("https://shop.example",)),
        push=PushConfig(click_origin=("https://news.example",)),
    )
    assert config.click_origins == {"https://shop.example", "https://news.example"}
