from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pushdesk.server.local_page import (
    Place,
    Visit,
    has_other_local_name,
    is_local_caller,
    local_page_refusal,
    takes_names,
)

PLACE = Place("http://localhost:8484", listens_on_loopback_only=True, local_identity=True)
VISIT = Visit(
    peer="127.0.0.1",
    hosts=("localhost:8484",),
    origins=("http://localhost:8484",),
    header_names=frozenset({"host", "origin", "content-type"}),
    is_json=True,
)


def with_header(name: str) -> dict[str, Any]:
    return {"header_names": VISIT.header_names | {name}}


@pytest.mark.parametrize(
    ("change", "access_url"),
    [
        ({}, "http://localhost:8484"),
        ({"peer": "::1"}, "http://localhost:8484"),
        ({"peer": "127.8.8.8"}, "http://localhost:8484"),
        ({"origins": ()}, "http://localhost:8484"),
        ({"hosts": ("LOCALHOST:8484",)}, "http://localhost:8484"),
        ({"hosts": ("localhost",), "origins": ()}, "http://localhost"),
        ({"hosts": ("localhost:80",), "origins": ()}, "http://localhost"),
        ({"hosts": ("[::1]:8484",), "origins": ("http://[::1]:8484",)}, "http://[::1]:8484"),
        ({"hosts": ("push.example",), "origins": ("https://push.example",)}, "https://push.example"),
        ({"hosts": ("push.example:443",), "origins": ("https://push.example",)}, "https://push.example"),
    ],
)
def test_the_local_page_may_name_a_user(change: dict[str, Any], access_url: str) -> None:
    place = replace(PLACE, access_url=access_url)
    assert local_page_refusal(replace(VISIT, **change), place) is None
    assert takes_names(replace(VISIT, **change, is_json=False), place)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"peer": "192.168.1.7"}, "machine"),
        ({"peer": ""}, "machine"),
        ({"peer": "fe80::1"}, "machine"),
        ({"peer": "::ffff:192.168.1.7"}, "machine"),
        ({"hosts": ("127.0.0.1:8484",)}, "sent to http://localhost:8484"),
        ({"hosts": ("localhost:8485",)}, "sent to"),
        ({"hosts": ("localhost",)}, "sent to"),
        ({"hosts": ("evil.example:8484",)}, "sent to"),
        ({"hosts": ("localhost.:8484",)}, "sent to"),
        ({"hosts": ("evil@localhost:8484",)}, "sent to"),
        ({"hosts": ("localhost:8484/",)}, "sent to"),
        ({"hosts": ("localhost:port",)}, "sent to"),
        ({"hosts": ("localhost:8484", "evil.example")}, "sent to"),
        ({"hosts": ("",)}, "sent to"),
        ({"hosts": ()}, "sent to"),
        (with_header("forwarded"), "proxy"),
        (with_header("via"), "proxy"),
        (with_header("x-real-ip"), "proxy"),
        (with_header("x-forwarded-for"), "proxy"),
        (with_header("x-forwarded-anything"), "proxy"),
        ({"origins": ("http://localhost:8485",)}, "origin"),
        ({"origins": ("https://localhost:8484",)}, "origin"),
        ({"origins": ("null",)}, "origin"),
        ({"origins": ("",)}, "origin"),
        ({"origins": ("http://localhost:8484", "http://evil.example")}, "origin"),
        ({"is_json": False}, "Content-Type"),
    ],
)
def test_a_request_that_misses_a_clause_may_not(change: dict[str, Any], word: str) -> None:
    visit = replace(VISIT, **change)
    refusal = local_page_refusal(visit, PLACE)
    assert refusal is not None
    assert word in " ".join(refusal)
    assert takes_names(visit, PLACE) is ("is_json" in change)


@pytest.mark.parametrize(
    ("change", "for_operators"),
    [({"listens_on_loopback_only": False}, "more than loopback"), ({"local_identity": False}, "[identity] local")],
)
def test_where_nobody_may_be_named_an_invitation_is_the_advice_and_operators_are_told_why(
    change: dict[str, Any], for_operators: str
) -> None:
    place = replace(PLACE, **change)
    refusal = local_page_refusal(VISIT, place)
    assert refusal is not None
    assert refusal.detail == "This server lets browsers in by invitation only."
    assert refusal.hint.startswith("Ask for an invitation, and enter its code.")
    assert for_operators in refusal.hint
    assert place.access_url not in refusal.hint
    assert not takes_names(VISIT, place)


@pytest.mark.parametrize("host", ["localhost:8484", "127.0.0.1:8484", "[::1]:8484", "localhost"])
def test_a_program_on_this_machine_is_a_local_caller(host: str) -> None:
    assert is_local_caller(replace(VISIT, hosts=(host,), origins=()))


@pytest.mark.parametrize(
    "change",
    [
        {"peer": "10.0.0.1"},
        {"hosts": ("push.example",)},
        {"hosts": ("localhost.evil.example",)},
        {"hosts": ("localhost:port",)},
        {"hosts": ()},
        {"hosts": ("localhost", "localhost")},
        with_header("via"),
    ],
)
def test_others_are_no_local_callers(change: dict[str, Any]) -> None:
    assert not is_local_caller(replace(VISIT, **change))


@pytest.mark.parametrize(
    ("host", "access_url", "other"),
    [
        ("127.0.0.1:8484", "http://localhost:8484", True),
        ("[::1]:8484", "http://localhost:8484", True),
        ("localhost:8484", "http://localhost:8484", False),
        ("localhost:8484", "http://127.0.0.1:8484", True),
        ("127.0.0.1:8484", "https://push.example.com", False),
        ("evil.example:8484", "http://localhost:8484", False),
    ],
)
def test_another_loopback_name_is_told_from_the_own_one(host: str, access_url: str, *, other: bool) -> None:
    assert has_other_local_name(replace(VISIT, hosts=(host,)), access_url) is other
