"""An endpoint is sent to as `check_endpoint` says, also when its origin is known already."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.errors import EndpointRefusedError
from pushdesk.webpush.endpoint import MAX_ENDPOINT, check_endpoint, origin_of
from pushdesk.webpush.origins import MAX_SPELLINGS, Origin, Origins
from tests.engine.test_egress import ENDPOINTS

ALLOWED = frozenset({"http://127.0.0.1:8090", "https://push.example", "http://[::1]:8090", "http://[fe80::1%25lo]:1"})
STARTS = (
    "https://fcm.googleapis.com",
    "https://FCM.googleapis.com:443",
    "https://web.push.apple.com",
    "https://x.notify.windows.com",
    "https://push.example",
    "HTTPS://push.example",
    "http://127.0.0.1:8090",
    "http://[::1]:8090",
    "https://10.0.0.1",
    "https://a@fcm.googleapis.com",
    "https://fcm.googleapis.com\\@127.0.0.1",
    "https://permanently-removed.invalid",
)
LONG = "/" + "x" * MAX_ENDPOINT
RESTS = ("", "/", "?a", "/w?a=%2f%2B", "//evil.example/", "/#f", "#f", "/a b", "/\r\n", "/\u00e4", LONG)


def verdict(endpoint: str) -> str:
    try:
        check_endpoint(endpoint, allowed_origins=ALLOWED)
    except EndpointRefusedError as refused:
        return refused.detail
    return origin_of(endpoint)


def found(origins: Origins, endpoint: str) -> str:
    try:
        return origins.find(endpoint)[0].name
    except EndpointRefusedError as refused:
        return refused.detail


@given(st.lists(st.tuples(st.sampled_from(STARTS) | st.text(), st.sampled_from(RESTS) | st.text()), max_size=9))
def test_what_is_known_of_an_origin_does_not_let_more_through(parts: list[tuple[str, str]]) -> None:
    origins = Origins(ALLOWED)
    for start, rest in (*parts, *((start, "/") for start in STARTS), *parts):
        assert found(origins, start + rest) == verdict(start + rest)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_no_trick_is_let_through(endpoint: str) -> None:
    origins = Origins(frozenset())
    for _ in range(2):
        with pytest.raises(EndpointRefusedError):
            origins.find(endpoint.format(port=8090))
        origins.find("https://fcm.googleapis.com/x")


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("https://push.example/w/?token=%2fCm%2bwt4%3d", "/w/?token=%2fCm%2bwt4%3d"),
        ("https://push.example//a/../b?", "//a/../b?"),
        ("https://push.example", "/"),
        ("https://push.example?a/b", "/?a/b"),
        ("HTTPS://push.example/a?b/c", "/a?b/c"),
    ],
)
def test_path_and_query_are_verbatim(endpoint: str, target: str) -> None:
    origins = Origins(ALLOWED)
    assert [origins.find(endpoint)[1] for _ in range(2)] == [target] * 2


@pytest.mark.parametrize(
    ("name", "host", "port", "tls_name", "authority", "told"),
    [
        ("https://push.example", "push.example", 443, "push.example", "push.example:443", "push.example"),
        ("https://a.example.:8443", "a.example.", 8443, "a.example", "a.example.:8443", "a.example.:8443"),
        ("http://[::1]:8090", "::1", 8090, "::1", "[::1]:8090", "[::1]:8090"),
        ("http://[fe80::1%25lo]:1", "fe80::1%lo", 1, "fe80::1", "[fe80::1%lo]:1", "[fe80::1]:1"),
    ],
)
def test_origin_says_what_is_connected_to_and_what_is_told(
    name: str, host: str, port: int, tls_name: str, authority: str, told: str
) -> None:
    origin = Origin(name)
    assert (origin.host, origin.port, origin.tls_name, origin.authority) == (host, port, tls_name, authority)
    assert f"\r\nHost: {told}\r\n" in origin.head


def test_spellings_are_bounded() -> None:
    origins = Origins(frozenset())
    for number in range(2 * MAX_SPELLINGS):
        origins.find(f"https://w{number}.notify.windows.com/x")
    assert 0 < len(origins._by_start) <= MAX_SPELLINGS
