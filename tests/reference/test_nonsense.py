"""A push service that answers nonsense: a safe outcome, a short plain reason, and nothing else is touched by it."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
import pytest_asyncio

from tests.reference.bench import Bench, bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# One server meets all of it, each as a user of its own: whatever one leaves behind, the next would notice.
pytestmark = pytest.mark.asyncio(loop_scope="module")

FOREVER: Final = b"a" * 65536
MAX_REASON: Final = 300
"""200 of the service's own, and a sentence of ours."""
BOMB: Final = gzip.compress(b"\0" * 10_000_000)


class Nonsense(NamedTuple):
    """What a push service says, and what comes of it."""

    name: str
    text: bytes
    outcome: str
    reason: str = ""
    """A part of the reason."""
    status: int | None = None
    forever: bytes = b""
    """What it goes on to say until it is hung up on."""


def answer(status: int | str, *headers: str, body: bytes = b"") -> bytes:
    """Return an answer of HTTP/1.1 with a length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def odd_status(status: int, outcome: str) -> Nonsense:
    return Nonsense(f"status {status}", answer(f"{status} Whatever"), outcome, f"Answered {status}.", status)


def said(name: str, body: bytes, reason: str, *headers: str) -> Nonsense:
    return Nonsense(name, answer("400 Bad Request", *headers, body=body), "refused", reason, 400)


def asked_to_wait(name: str, *headers: str, outcome: str = "throttled", status: int = 503) -> Nonsense:
    return Nonsense(f"Retry-After {name}", answer(f"{status} Later", *headers), outcome, f"Answered {status}.", status)


ACCEPTED = (
    Nonsense("status 299", answer("299 Fine"), "accepted", status=299),
    Nonsense("no words in the status line", answer("201"), "accepted", status=201),
    Nonsense(
        "a body that breaks off after 201", b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nx", "accepted", "", 201
    ),
    Nonsense("a body that never ends after 201", b"HTTP/1.1 201 Created\r\n\r\n", "accepted", "", 201, FOREVER),
    Nonsense(
        "an error's words after 201", answer("201 Created", body=b'{"reason": "Unregistered"}'), "accepted", "", 201
    ),
    Nonsense(
        "an earlier hint",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer("201 Created"),
        "accepted",
        "",
        201,
    ),
)
STATUSES = (
    *(odd_status(status, "refused") for status in (300, 304, 305, 399, 400, 402, 405, 407, 418, 426, 451, 499)),
    *(odd_status(status, "transient") for status in (408, 500, 501, 505, 511, 599, 600, 666, 799, 999)),
    odd_status(429, "throttled"),
    Nonsense("a redirect", answer("302 Found", "Location: /elsewhere"), "refused", "Answered 302.", 302),
    Nonsense(
        "a permanent redirect", answer("308 Moved", "Location: http://10.0.0.1/"), "refused", "Answered 308.", 308
    ),
)
NO_ANSWERS = (
    Nonsense("nothing at all", b"", "transient", "without an answer"),
    Nonsense("100 and no more", b"HTTP/1.1 100 Continue\r\n\r\n", "transient", "without an answer"),
    Nonsense("half a status line", b"HTTP/1.1 20", "transient", "without an answer"),
    Nonsense("status 0", answer("0 Nothing"), "transient", "not HTTP"),
    Nonsense("status 1000", answer("1000 Many"), "transient", "not HTTP"),
    Nonsense("status -1", answer("-1 Less"), "transient", "not HTTP"),
    Nonsense("a status in words", answer("gone"), "transient", "not HTTP"),
    Nonsense("zeros", bytes(4096) + b"\r\n\r\n", "transient", "not HTTP"),
    Nonsense("bytes", bytes(range(255, -1, -1)) * 8 + b"\r\n\r\n", "transient", "not HTTP"),
    Nonsense("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "transient", "not HTTP"),
    Nonsense("a huge header", b"HTTP/1.1 410 Gone\r\nX: " + b"a" * 2**20 + b"\r\n\r\n", "transient", "not HTTP"),
    Nonsense("headers that never end", b"HTTP/1.1 410 Gone\r\nX: ", "transient", "not HTTP", None, FOREVER),
    Nonsense("a name that is none", b"HTTP/1.1 410 Gone\r\n\x00: a\r\n\r\n", "transient", "not HTTP"),
    Nonsense(
        "two lengths", b"HTTP/1.1 410 Gone\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "transient", "not HTTP"
    ),
)
BODIES = (
    said("no body", b"", "Answered 400."),
    said("blanks", b" \t\r\n" * 500, "Answered 400."),
    said("a body that is not UTF-8", b"\xff\xfe\xfa broken", "broken"),
    said("zeros and bells", b"\x00\x07" * 2000 + b"rung", "rung"),
    said("escape sequences", b"\x1b[31mred\x1b[0m \x1b]0;title\x07plain", "red plain"),
    said("markup", b"<script>alert(1)</script><b onclick=x>bold</b>", "bold"),
    said("markup that never closes", b"<" * 4096, "<"),
    said("the endpoint", b"no such endpoint: http://127.0.0.1/secret/path?token=abc", "no such endpoint"),
    said("a key", b"bad key " + b"BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u", "bad key …"),
    said("right to left", "\u202egnorw si siht".encode(), "gnorw"),
    said("JSON of wrong types", b'{"reason": {"a": []}, "message": 7, "errno": "x", "code": null}', "reason"),
    said("JSON that is no object", b"[1, 2, 3]", "[1, 2, 3]"),
    said("JSON nested deeply", b"[" * 4096, "["),
    said("JSON with a huge number", b'{"reason": ' + b"9" * 4000 + b"}", "reason"),
    said("a body of many kilobytes", b"word " * 20_000, "word word"),
    said("a compressed body", BOMB, "", "Content-Encoding: gzip"),
    Nonsense("a body that never ends", b"HTTP/1.1 400 Bad\r\n\r\n", "refused", "aaa", 400, b"aaa " * 1000),
    Nonsense(
        "a body that breaks off", b"HTTP/1.1 400 Bad\r\nContent-Length: 100\r\n\r\nhalf of", "refused", "half of", 400
    ),
    Nonsense(
        "chunks that are none",
        b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n",
        *("refused", "Answered 400."),
        400,
    ),
)
WAITS = (
    asked_to_wait("in words", "Retry-After: soon"),
    asked_to_wait("in the past", "Retry-After: -1"),
    asked_to_wait("with a fraction", "Retry-After: 1.5"),
    asked_to_wait("empty", "Retry-After:"),
    asked_to_wait("of a date that is none", "Retry-After: Wed, 99 Foo 2026 77:88:99 GMT"),
    asked_to_wait("of a date long past", "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"),
    asked_to_wait("twice", "Retry-After: 60", "Retry-After: soon"),
    asked_to_wait("of many digits", "Retry-After: " + "9" * 4000),
    asked_to_wait("of the year 9999", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
    asked_to_wait("on another status", "Retry-After: 9999999", status=418, outcome="refused"),
)


_NUMBERS = count()


def names() -> tuple[str, str, str]:
    """Return a user that is not there yet, and two devices'."""
    number = next(_NUMBERS)
    return f"user-{number}", f"fine-{number}", f"odd-{number}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with bench(tmp_path_factory.mktemp("nonsense")) as running:
        yield running


@pytest.mark.parametrize(
    "nonsense", [pytest.param(each, id=each.name) for each in (*ACCEPTED, *STATUSES, *NO_ANSWERS, *BODIES, *WAITS)]
)
async def test_nonsense_has_a_safe_outcome_and_touches_nothing_else(desk: Bench, nonsense: Nonsense) -> None:
    service, user, fine, odd_one = desk.server.push_service, *names()
    for name in (fine, odd_one):
        await desk.store_unchecked(user, name, service.device(name))
    service.raw[f"/{odd_one}"] = (nonsense.text, nonsense.forever)
    is_tried_again = nonsense.outcome in {"transient", "throttled"}
    if is_tried_again:
        found = await desk.tried(await desk.accepted(user, ttl=3600))
    else:
        found = await desk.notify(user, ttl=3600)
    deliveries = {item["subscription"]: item for item in found["deliveries"]}
    assert (deliveries[fine]["outcome"], deliveries[fine]["reason"]) == ("accepted", "")
    odd = deliveries[odd_one]
    assert (odd["outcome"], odd["status"]) == (nonsense.outcome, nonsense.status)
    assert nonsense.reason in odd["reason"]
    assert bool(odd["reason"]) is (nonsense.outcome != "accepted")
    assert odd["reason"].isprintable()
    assert len(odd["reason"]) <= MAX_REASON
    assert not any(part in odd["reason"] for part in ("://", "/odd", "secret", "<b", "BNcRdre"))
    assert desk.pushed_to() == [fine, odd_one]
    assert await desk.states(user) == ["active", "active"]
    if is_tried_again:
        at, again = (datetime.fromisoformat(odd[name]) for name in ("at", "next_attempt_at"))
        assert timedelta(0) <= again - at < timedelta(hours=1)
    # When it has come to its senses, it is as if nothing had been.
    del service.raw[f"/{odd_one}"]
    await desk.forget_faults()
    assert (await desk.notify(user, "Sense"))["counts"] == {"accepted": 2}
    assert desk.pushed_to() == [fine, odd_one]
    assert (await desk.server.ask("GET", "/readyz")).status == 200


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize(
    "body",
    [b"it is fine", bytes(5000), b'{"reason": "VapidPkHashMismatch"}'],
    ids=["words", "zeros", "another reason"],
)
async def test_a_status_that_says_gone_is_believed_whatever_comes_with_it(
    desk: Bench, status: int, body: bytes
) -> None:
    user, _, odd = names()
    await desk.store_unchecked(user, odd, desk.server.push_service.device(odd))
    desk.server.push_service.raw[f"/{odd}"] = (answer(f"{status} Whatever", body=body), b"")
    assert (await desk.notify(user))["counts"] == {"gone": 1}
    assert await desk.states(user) == ["gone"]
    assert desk.pushed_to() == [odd]
