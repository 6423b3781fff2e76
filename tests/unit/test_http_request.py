"""What goes over the wire is one request, whatever somebody put into it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.webpush.http_request import OURS, head_of_origin, write_request

HEAD = head_of_origin("push.example:8443")
LENGTHY = {"TTL": "60", "Urgency": "high", "content-type": "a/b"}


def test_request_is_written_as_it_is_given() -> None:
    assert write_request("POST", "/w/?t=%2fCm%2B", HEAD, LENGTHY, b"\r\n\x00") == (
        b"POST /w/?t=%2fCm%2B HTTP/1.1\r\nHost: push.example:8443\r\nAccept-Encoding: identity\r\n"
        b"TTL: 60\r\nUrgency: high\r\ncontent-type: a/b\r\nContent-Length: 3\r\n\r\n\r\n\x00"
    )


def test_body_that_says_not_what_it_is_is_bytes_and_none_has_no_length() -> None:
    assert b"\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n" in write_request(
        "POST", "/", HEAD, {}, b""
    )
    assert write_request("GET", "/", HEAD, {}, None).endswith(b"Accept-Encoding: identity\r\n\r\n")


TRICKS = ("a\r\nX: y", "a\nX: y", "a\rb", "a\x00", "\x7f", "\u2028", "\u010d")


@given(st.text() | st.sampled_from(TRICKS), st.booleans())
def test_a_value_is_part_of_one_line_or_is_refused(value: str, is_first: bool) -> None:  # noqa: FBT001
    headers = {"A": value, "B": "b"} if is_first else {"B": "b", "A": value}
    if any(character != "\t" and not " " <= character <= "~" for character in value):
        for _ in range(2):
            with pytest.raises(ValueError, match=r"^There are characters in a header's value [a-z ]*\.$"):
                write_request("GET", "/", HEAD, headers, None)
    else:
        for _ in range(2):
            lines = write_request("GET", "/", HEAD, headers, None).decode("ascii").split("\r\n")
            assert lines[3:] == [*(f"{name}: {text}" for name, text in headers.items()), "", ""]


@pytest.mark.parametrize("name", ["", "A:", "A B", "A\r\nB", "A\n", " A", "\u00c4", *sorted(OURS), "Host", "HOST"])
def test_a_name_that_is_none_or_not_the_callers_is_refused(name: str) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="not the name of a header"):
            write_request("GET", "/", HEAD, {name: "x"}, None)


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/a\n", "/\x00", "/\u00e4", "/\t"])
def test_a_target_with_what_does_not_belong_there_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        write_request("GET", target, HEAD, {}, None)
