"""What a push costs by the transport alone: `python -m benchmarks.transport [PUSHES]`.

The transport of the server beside an aiohttp session with the same limits and deadlines, and beside the bare protocol,
which is careful about nothing: the least that Python can do. Each sends the same requests, encrypted beforehand, to a
push service in a process of its own that costs next to nothing, over plain HTTP and over TLS, some at once. In turns
within one run; of each the median of the rounds. Prints CPU by send of the process that sends, and ratios, with the
load of the machine; asserts nothing of time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import ssl
import sys
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp
import trustme
from yarl import URL

from benchmarks.processes import load_average
from pushdesk.webpush.endpoint import check_endpoint, origin_of
from pushdesk.webpush.http_request import head_of_origin, write_request
from pushdesk.webpush.push_answer import MAX_ANSWER_BODY, PushAnswer
from pushdesk.webpush.request import PushRequest
from pushdesk.webpush.transport import HttpTransport, Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PUSHES: Final = 4000
AT_ONCE: Final = (1, 100)
ROUNDS: Final = 7
WARM_UP: Final = 300
BODY: Final = os.urandom(353)
"""As long as a message of 250 bytes is when it is encrypted."""
HEADERS: Final = {
    "Authorization": f"vapid t={'t' * 230}, k={'k' * 87}",
    "Content-Encoding": "aes128gcm",
    "Content-Type": "application/octet-stream",
    "TTL": "86400",
    "Urgency": "high",
}


class AiohttpTransport:
    """Sends with aiohttp: as carefully as the server's transport does."""

    def __init__(self, *, allowed_origins: frozenset[str], clock: Callable[[], float], tls: ssl.SSLContext) -> None:
        self._allowed_origins = allowed_origins
        self._clock = clock
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=10.0),
            auto_decompress=False,
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
            skip_auto_headers=("User-Agent", "Accept"),
        )

    async def post(self, request: PushRequest) -> PushAnswer:
        """Send one push."""
        check_endpoint(request.endpoint, allowed_origins=self._allowed_origins)
        assert origin_of(request.endpoint) in self._allowed_origins
        started = self._clock()
        deadline = asyncio.get_running_loop().time() + 30.0
        async with asyncio.timeout_at(deadline):
            response = await self._session.request(
                "POST",
                URL(request.endpoint, encoded=True),
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
            )
        latency_s = self._clock() - started
        body = bytearray()
        content = response.content
        try:
            async with asyncio.timeout_at(deadline):
                while len(body) < MAX_ANSWER_BODY and (chunk := await content.read(MAX_ANSWER_BODY - len(body))):
                    body += chunk
        finally:
            if content.at_eof() and content.exception() is None:
                response.release()
            else:
                response.close()
        fields: dict[str, str] = {}
        for name, value in response.headers.items():
            fields.setdefault(name.lower(), value)
        return PushAnswer(response.status, fields, bytes(body), latency_s)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Bare(asyncio.BufferedProtocol):
    """A connection whose answers are taken to come whole and to be good."""

    buffer = memoryview(bytearray(4096))
    transport: asyncio.Transport
    answered: asyncio.Future[bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.answered.set_result(bytes(self.buffer[:nbytes]))


class BareTransport:
    """Sends on a bare protocol, with neither checks nor deadlines: a bound, not a design."""

    def __init__(self, origin: str, tls: ssl.SSLContext) -> None:
        url = urlsplit(origin)
        self._host, self._port = str(url.hostname), url.port or 0
        self._tls = tls if url.scheme == "https" else None
        self._head = head_of_origin(url.netloc)
        self._kept: list[_Bare] = []

    async def post(self, request: PushRequest) -> PushAnswer:
        """Send one push."""
        loop = asyncio.get_running_loop()
        if self._kept:
            connection = self._kept.pop()
        else:
            _, connection = await loop.create_connection(_Bare, self._host, self._port, ssl=self._tls)
        target = request.endpoint[request.endpoint.index("/", 8) :]
        connection.answered = loop.create_future()
        connection.transport.write(write_request("POST", target, self._head, request.headers, request.body))
        answer = await connection.answered
        self._kept.append(connection)
        return PushAnswer(int(answer[9:12]), {}, b"", 0.0)

    async def aclose(self) -> None:
        """Close every connection."""
        for connection in self._kept:
            connection.transport.abort()


class Cost(NamedTuple):
    """What a round cost."""

    cpu_us: float
    """By send, of the process that sends."""
    sends_per_s: float


class Sink:
    """The push service, in a process of its own."""

    def __init__(self, *certificate: str) -> None:
        self._certificate = certificate

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.push_service", *self._certificate, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.origin = (await self._process.stdout.readline()).decode().strip()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.communicate()


@asynccontextmanager
async def senders(sink: Sink, tls: ssl.SSLContext) -> AsyncIterator[dict[str, Transport]]:
    allowed = frozenset({sink.origin})
    made: dict[str, Transport] = {
        "aiohttp": AiohttpTransport(allowed_origins=allowed, clock=time.monotonic, tls=tls),
        "pushdesk": HttpTransport(allowed_origins=allowed, clock=time.monotonic, tls=tls),
        "bare protocol": BareTransport(sink.origin, tls),
    }
    try:
        yield made
    finally:
        for transport in made.values():
            await transport.aclose()


async def send(transport: Transport, origin: str, pushes: int, at_once: int) -> Cost:
    """Send so many, so many of them at once, each to an endpoint of its own."""
    requests = iter([PushRequest(f"{origin}/push/{'e' * 140}{n:09}", HEADERS, BODY) for n in range(pushes)])

    async def worker() -> None:
        for request in requests:
            assert (await transport.post(request)).status == 201

    cpu_s, began_s = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return Cost(1e6 * (time.process_time() - cpu_s) / pushes, pushes / (time.perf_counter() - began_s))


async def measure(pushes: int = PUSHES) -> dict[tuple[str, int, str], Cost]:
    """Return the median cost by way, number at once and sender."""
    found: dict[tuple[str, int, str], list[Cost]] = defaultdict(list)
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with TemporaryDirectory() as folder:
        certificate = Path(folder, "localhost.pem")
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
        async with Sink() as plain, Sink(str(certificate)) as secure:
            for (way, sink), at_once in itertools.product((("plain", plain), ("TLS", secure)), AT_ONCE):
                async with senders(sink, trusting) as made:
                    for transport in made.values():
                        await send(transport, sink.origin, max(WARM_UP, at_once), at_once)
                    for number in range(ROUNDS):
                        # Each is first in turn.
                        order = list(made)[number % len(made) :] + list(made)[: number % len(made)]
                        for name in order:
                            found[way, at_once, name].append(await send(made[name], sink.origin, pushes, at_once))
    return {
        key: Cost(median(cost.cpu_us for cost in costs), median(cost.sends_per_s for cost in costs))
        for key, costs in found.items()
    }


HEADER: Final = """\
| | at once | sender | CPU a send, us | by aiohttp's | sends/s | by aiohttp's |
| --- | --: | --- | --: | --: | --: | --: |"""


def rows(measured: dict[tuple[str, int, str], Cost]) -> list[tuple[object, ...]]:
    """Return a line for each, with its ratios to aiohttp's."""
    return [
        (
            way,
            at_once,
            name,
            f"{cost.cpu_us:.0f}",
            f"{cost.cpu_us / measured[way, at_once, 'aiohttp'].cpu_us:.2f}",
            f"{cost.sends_per_s:.0f}",
            f"{cost.sends_per_s / measured[way, at_once, 'aiohttp'].sends_per_s:.2f}",
        )
        for (way, at_once, name), cost in measured.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pushes", nargs="?", type=int, default=PUSHES, help="of each sender in each round")
    pushes = parser.parse_args().pushes
    before = load_average()
    measured = asyncio.run(measure(pushes))
    print(HEADER)
    for row in rows(measured):
        print(f"| {' | '.join(map(str, row))} |")
    print(
        f"\nMedians of {ROUNDS} rounds of {pushes} pushes each. Load average {before:.1f} before, {load_average():.1f} "
        f"after, on {os.cpu_count()} cores."
    )


if __name__ == "__main__":
    main()
