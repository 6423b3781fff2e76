"""What it costs to accept: `python -m benchmarks.accept [ROUNDS REQUESTS]`.

A real server, and beside it a bare aiohttp that reads the same JSON and answers 202: what pushdesk costs is told by
that. Requests come one after the other on connections that are kept, from this process; only the servers' CPU counts.
Nobody has devices, so nothing is sent: what is left is accepting, and writing down that there is nobody to send to.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager
from itertools import count, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web
from yarl import URL

from benchmarks.processes import load_average, usage
from pushdesk.client import HttpDesk
from pushdesk.engine.turns import to_notification
from pushdesk.message import build_message
from pushdesk.model import Turn
from pushdesk.server.body import parse
from pushdesk.server.fields import fit
from pushdesk.summary import summarise
from tests.figures import table
from tests.programs import bare_environment, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

ROUNDS: Final = 5
REQUESTS: Final = 2000
"""Of each kind in a round."""
TIMES: Final = 500
"""How often a part is done."""
AT_ONCE: Final = 16
"""Connections."""
USERS: Final = 200
TOKEN: Final = "benchmark-" + 32 * "0"
TURNS: Final = "/api/v1/turns"
HEADERS_END: Final = b"\r\n\r\n"

TEXT: Final = """## Done

The test waited for a clock. It passes **200 times** in a row now, and `pytest -x` is green.

- The parser no longer looks at the time.
- A fake clock is handed to it; see [the docs](https://docs.example/clock).

```python
def test_parser(clock: FakeClock) -> None:
    clock.advance(5)
    assert parse("x") == 1
```

""" + "\n\n".join(
    f"{number}. What was changed here is told in more words than anybody reads, with *emphasis* and a "
    f"[link](https://docs.example/{number}) now and then, so that the text is as long as those of agents are."
    for number in range(8)
)


def turn(number: int, **more: str) -> dict[str, str]:
    """Return a turn of an agent."""
    return {
        "user": f"user-{number % USERS}",
        "conversation": f"c-{number}",
        "title": "Flaky test in the parser",
        "status": "finished",
        "text": TEXT,
        "model": "gpt-5-mini",
        "provider": "openai",
        "url": f"/chats/c-{number}",
        **more,
    }


def notification(_number: int) -> dict[str, str]:
    """Return what most applications send."""
    return {"title": "Hello", "body": "A notification of a usual length, as applications send them."}


class Kind(NamedTuple):
    """A kind of request."""

    name: str
    path: Callable[[int], str]
    body: Callable[[int], dict[str, str]]
    is_bare: bool = False
    """Whether it is for the bare aiohttp."""
    is_watched: bool = False
    """Whether somebody follows the events meanwhile."""
    by: str = ""
    """By which kind it is told what it costs; empty for that kind itself."""


BARE_TURN: Final = "a turn's body, to aiohttp alone"
BARE_NOTIFICATION: Final = "a notification's body, to aiohttp alone"
KINDS: Final = (
    Kind(BARE_TURN, lambda _: TURNS, turn, is_bare=True),
    Kind(
        "a turn of a sub-agent: who asks, and the body; nobody is notified",
        lambda _: TURNS,
        lambda number: turn(number, parent="c-0"),
        by=BARE_TURN,
    ),
    Kind("a turn", lambda _: TURNS, turn, by=BARE_TURN),
    Kind("a turn, while a console follows what happens", lambda _: TURNS, turn, is_watched=True, by=BARE_TURN),
    Kind(BARE_NOTIFICATION, lambda _: TURNS, notification, is_bare=True),
    Kind(
        "a notification",
        lambda number: f"/api/v1/users/user-{number % USERS}/notifications",
        notification,
        by=BARE_NOTIFICATION,
    ),
)


class Sender(asyncio.Protocol):
    """Sends requests on one connection, each once the one before is answered.

    Args:
        requests: As they are sent; other senders take from them as well.
    """

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._held = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, end, body = self._held.partition(HEADERS_END)
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return
        if self._held[9:12] not in (b"200", b"202"):
            self.done.set_exception(AssertionError(self._held.decode()))
            return
        self._held = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or AssertionError("the connection was closed"))

    def _send(self) -> None:
        if (request := next(self._requests, None)) is not None:
            self._transport.write(request)
            return
        self.done.set_result(None)
        self._transport.close()


def request(path: str, body: dict[str, str]) -> bytes:
    """Return a request as it is sent."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Accept: */*",
        f"Authorization: Bearer {TOKEN}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    )
    return "\r\n".join(head).encode() + HEADERS_END + content


async def send(url: str, requests: list[bytes]) -> None:
    """Send all of them, over `AT_ONCE` connections."""
    at, left = URL(url), iter(requests)
    loop = asyncio.get_running_loop()
    host, port = str(at.host), at.port or 0
    opened = [await loop.create_connection(lambda: Sender(left), host, port) for _ in range(AT_ONCE)]
    await asyncio.gather(*(sender.done for _, sender in opened))


class Process(NamedTuple):
    """A server."""

    url: str
    pid: int


@asynccontextmanager
async def bare_aiohttp(env: Mapping[str, str]) -> AsyncIterator[Process]:
    """Run what requests are compared with."""
    program = (sys.executable, "-m", "benchmarks.accept", "bare")
    process = await asyncio.create_subprocess_exec(*program, env=env, stdout=PIPE)
    assert process.stdout is not None
    try:
        yield Process((await process.stdout.readline()).decode().strip(), process.pid)
    finally:
        process.kill()
        await process.wait()


async def serve_bare() -> None:
    """Read JSON and answer 202, until killed."""

    async def accept(request: web.Request) -> web.Response:
        asked = await request.json()
        return web.json_response({"title": asked["title"]}, status=202)

    app = web.Application()
    app.router.add_post(TURNS, accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


async def settled(desk: HttpDesk) -> None:
    """Wait until nothing is left to do."""
    while True:
        stats = await desk.stats()
        if stats.queue == 0 and stats.in_flight == 0:
            return
        await asyncio.sleep(0.1)


async def _follow(desk: HttpDesk) -> None:
    async for _ in desk.events():
        pass


async def cpu_us(kind: Kind, process: Process, desk: HttpDesk, numbers: Iterator[int], requests: int) -> float:
    """Return the microseconds of CPU that each request of a kind takes."""
    prepared = [request(kind.path(number), kind.body(number)) for number in islice(numbers, requests)]
    watching = asyncio.create_task(_follow(desk)) if kind.is_watched else None
    try:
        before = usage(process.pid).cpu_s
        await send(process.url, prepared)
        if not kind.is_bare:
            await settled(desk)
        return 1e6 * (usage(process.pid).cpu_s - before) / requests
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.wait((watching,))


async def requests_table(rounds: int, requests: int) -> tuple[str, float]:
    """Return what requests cost, and what one costs aiohttp alone, in microseconds."""
    taken: dict[str, list[float]] = {kind.name: [] for kind in KINDS}
    numbers = count()
    with TemporaryDirectory(prefix="pushdesk-bench-") as folder:
        env = bare_environment(
            Path(folder), PUSHDESK_ADMIN_TOKEN=TOKEN, PYTHONPATH=":".join(path for path in sys.path if path)
        )
        async with (
            bare_aiohttp(env) as bare,
            serving("--port", "0", env=env) as server,
            HttpDesk(server.url, TOKEN) as desk,
        ):
            pushdesk = Process(server.url, server.pid)
            # The first round is for what is made once.
            for number in range(rounds + 1):
                for kind in KINDS:
                    used = await cpu_us(kind, bare if kind.is_bare else pushdesk, desk, numbers, requests)
                    if number:
                        taken[kind.name].append(used)
    rows: list[tuple[object, ...]] = []
    for kind in KINDS:
        own, others = taken[kind.name], taken[kind.by or kind.name]
        ratio = median(mine / other for mine, other in zip(own, others, strict=True))
        rows.append((kind.name, round(median(own)), f"{ratio:.2f}"))
    return table(("request", "CPU, us", "by aiohttp alone"), rows), median(taken[BARE_TURN])


def parts_table(bare_us: float) -> str:
    """Return what the parts of a turn cost that are no more than a calculation, by a request to aiohttp alone."""
    content = json.dumps(turn(0)).encode()
    told = fit(parse(content), Turn)
    shown = to_notification(told, summarise(TEXT))
    parts: dict[str, Callable[[], object]] = {
        "the body, from JSON to a turn that is as it must be": lambda: fit(parse(content), Turn),
        f"the summary of {len(TEXT)} characters of Markdown": lambda: summarise(TEXT),
        "the message, built once": lambda: build_message(
            shown, dispatch="0" * 26, access_url="http://localhost:8484", click_origins=()
        ),
    }
    rows: list[tuple[object, ...]] = []
    for name, do in parts.items():
        began_s = time.thread_time()
        for _ in range(TIMES):
            do()
        took_us = 1e6 * (time.thread_time() - began_s) / TIMES
        rows.append((name, round(took_us), f"{took_us / bare_us:.2f}"))
    return table(("part of a turn", "CPU, us", "by aiohttp alone"), rows)


async def _main(rounds: int, requests: int) -> None:
    load = load_average()
    of_requests, bare_us = await requests_table(rounds, requests)
    print(f"{rounds} rounds of {requests} requests of each kind; load average {load:.1f}.\n")
    print(f"{of_requests}\n\n{parts_table(bare_us)}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["bare"]:
            asyncio.run(serve_bare())
        case [rounds, requests]:
            asyncio.run(_main(int(rounds), int(requests)))
        case _:
            asyncio.run(_main(ROUNDS, REQUESTS))
