"""The push service of the scale test takes what is good, and says what is not."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING, Self

import pytest

from pushdesk.scaletest.crowd import make_crowd
from pushdesk.scaletest.sink import Sink
from pushdesk.simulator import base64url
from pushdesk.webpush.vapid import Authorizer, SigningKey
from tests.scaletest.pushing import pushed

if TYPE_CHECKING:
    from collections.abc import Mapping

(MEMBER,) = make_crowd(1, Random(2))  # noqa: S311  (the same every time)
KEY, OTHER_KEY = SigningKey.generate(), SigningKey.generate()
BODY = pushed(MEMBER, 0)


class Pushing:
    """A push service and a connection to it."""

    def __init__(self) -> None:
        self.took: list[tuple[int, bytes]] = []
        self.sink = Sink(lambda number, body: self.took.append((number, body)))

    async def __aenter__(self) -> Self:
        await self.sink.__aenter__()
        self.sink.serve({MEMBER.path: 0}, base64url.decode(KEY.public_key))
        port = int(self.sink.origin.rpartition(":")[2])
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._writer.close()
        await self.sink.__aexit__()

    def headers(self, key: SigningKey = KEY) -> dict[str, str]:
        authorizer = Authorizer(subscriber="mailto:ops@example.org", clock=time.time)
        return {
            "authorization": authorizer.authorization(key, f"{self.sink.origin}/push/x"),
            "TTL": "60",
            "Content-Encoding": "aes128gcm",
            "Topic": "abc",
        }

    def request(self, headers: Mapping[str, str], *, path: bytes = MEMBER.path, body: bytes = BODY) -> bytes:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (path, head.encode(), len(body), body)

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()
            await asyncio.sleep(0)

    async def status(self) -> int:
        async with asyncio.timeout(20):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await self._reader.readexactly(length)
        return int(head.split()[1])


async def test_a_good_push_is_taken_however_it_comes_in_pieces() -> None:
    async with Pushing() as pushing:
        request = pushing.request(pushing.headers())
        await pushing.send(request)
        assert await pushing.status() == 201
        for cut in (5, len(request) - len(BODY), len(request) - 1):
            await pushing.send(request[:cut], request[cut:])
            assert await pushing.status() == 201
        # Two at once.
        await pushing.send(request + request)
        assert [await pushing.status(), await pushing.status()] == [201, 201]
        assert pushing.took == [(0, BODY)] * 6
        assert pushing.sink.refusals == {}


@pytest.mark.parametrize(
    ("changed", "status", "why"),
    [
        ({"authorization": "vapid t=a.b.c, k=AAAA"}, 401, "VAPID public key mismatch"),
        ({"TTL": "soon"}, 400, "The TTL is not a number of seconds"),
        ({"Content-Encoding": "gzip"}, 400, "The content encoding is not aes128gcm"),
        ({"Topic": "not a topic"}, 400, "The topic is not 1 to 32 characters of base64url"),
    ],
)
async def test_what_is_wrong_with_a_push_is_answered_and_counted(
    changed: dict[str, str], status: int, why: str
) -> None:
    async with Pushing() as pushing:
        await pushing.send(pushing.request(pushing.headers() | changed))
        assert await pushing.status() == status
        assert (pushing.took, pushing.sink.refusals) == ([], {why: 1})


async def test_a_push_that_is_signed_with_another_key_is_refused() -> None:
    async with Pushing() as pushing:
        await pushing.send(pushing.request(pushing.headers(OTHER_KEY)))
        assert await pushing.status() == 401
        assert pushing.took == []


async def test_an_endpoint_that_never_was_is_not_found() -> None:
    async with Pushing() as pushing:
        await pushing.send(pushing.request(pushing.headers(), path=b"/push/another"))
        assert await pushing.status() == 404
