"""Push services reached through a proxy: nothing else is connected to, and it learns a name and no more."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import pytest
import trustme

from pushdesk.config import load
from pushdesk.errors import StartUpError
from pushdesk.webpush.egress import AddressRefusedError, ProxyGuard
from pushdesk.webpush.request import PushRequest
from pushdesk.webpush.transport import FaultKind, HttpTransport, TransportFault
from tests.egress import Names, connects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

Serve: TypeAlias = "Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]"

SERVICE = "https://fcm.googleapis.com"
SECRET = "/fcm/send/capability-SECRET"
AUTHORITY = trustme.CA()
TRUSTED = ssl.create_default_context()
AUTHORITY.configure_trust(TRUSTED)
OK = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
SILENCE = b""
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


def context(*names: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(made)
    return made


@dataclass
class Proxy:
    """A proxy that tunnels to a push service of its own, whatever it is asked for."""

    answer: bytes = TUNNEL
    name: str = "fcm.googleapis.com"
    """Whose certificate is at the end of the tunnel."""
    tls: bool = False
    port: int = 0
    far_port: int = 0
    """Of the push service."""
    connections: int = 0
    open: int = 0
    heads: list[str] = field(default_factory=list)
    pushes: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self.answer)
        await writer.drain()
        if self.answer == SILENCE:
            await reader.read()
        if self.answer != TUNNEL:
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.far_port)
        try:
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async def push_service(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.pushes.append(head)
            length = next(int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:"))
            await reader.readexactly(length)
            writer.write(OK)


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


@asynccontextmanager
async def running(proxy: Proxy) -> AsyncIterator[Proxy]:
    tasks = set[asyncio.Task[None]]()

    def served_by(serve: Serve) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        async def to_its_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            proxy.open += 1
            try:
                with suppress(OSError, asyncio.IncompleteReadError):
                    await serve(reader, writer)
            finally:
                proxy.open -= 1
                writer.transport.abort()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.get_running_loop().create_task(to_its_end(reader, writer)))

        return connected

    near_tls = context("127.0.0.1") if proxy.tls else None
    far = await asyncio.start_server(served_by(proxy.push_service), "127.0.0.1", 0, ssl=context(proxy.name))
    near = await asyncio.start_server(served_by(proxy.serve), "127.0.0.1", 0, ssl=near_tls)
    proxy.far_port, proxy.port = (server.sockets[0].getsockname()[1] for server in (far, near))
    try:
        yield proxy
    finally:
        for server in (near, far):
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def through(
    origin: str, *, names: Names | None = None, allowed: tuple[str, ...] = (), total_timeout_s: float = 30.0
) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(
        allowed_origins=frozenset(allowed),
        clock=time.monotonic,
        total_timeout_s=total_timeout_s,
        tls=TRUSTED,
        resolver=names,
        proxy=origin,
    )
    try:
        yield transport
    finally:
        await transport.aclose()


def push(origin: str = SERVICE) -> PushRequest:
    return PushRequest(endpoint=origin + SECRET, headers={"TTL": "60", "Authorization": "vapid SECRET"}, body=b"x")


async def fault_of(transport: HttpTransport, request: PushRequest) -> FaultKind:
    with pytest.raises(TransportFault) as raised:
        await transport.post(request)
    assert "SECRET" not in str(raised.value)
    assert raised.value.__context__ is None
    return raised.value.kind


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_push_goes_through_the_proxy_which_learns_the_name_and_nothing_else(tls: bool) -> None:  # noqa: FBT001
    async with running(Proxy(tls=tls)) as proxy, through(proxy.origin, names=Names()) as transport:
        with connects() as connected:
            assert (await transport.post(push())).status == 201
            assert (await transport.post(push())).status == 201
        # The proxy's own connection to the push service is the test's.
        assert connected == [("127.0.0.1", proxy.port), ("127.0.0.1", proxy.far_port)]
    (head,) = proxy.heads
    assert head.startswith("CONNECT fcm.googleapis.com:443 HTTP/1.1\r\n")
    assert "SECRET" not in head
    assert "TTL" not in head
    assert [line.split("\r\n")[0] for line in proxy.pushes] == [f"POST {SECRET} HTTP/1.1"] * 2


async def test_no_name_but_the_proxys_is_looked_up_and_it_may_lead_to_a_private_address() -> None:
    names = Names()
    names.answers["proxy.example"] = ["127.0.0.1"]
    async with running(Proxy()) as proxy, through(f"http://proxy.example:{proxy.port}", names=names) as transport:
        assert (await transport.post(push())).status == 201
    assert names.asked == ["proxy.example"]


@pytest.mark.parametrize(
    "endpoint", ["https://127.0.0.1", "http://fcm.googleapis.com", "https://push.example", "https://[::1]"]
)
async def test_what_is_no_push_service_is_not_asked_of_the_proxy_either(endpoint: str) -> None:
    async with running(Proxy()) as proxy, through(proxy.origin) as transport:
        assert await fault_of(transport, push(endpoint)) is FaultKind.ADDRESS_REFUSED
        assert proxy.connections == 0


async def test_what_the_operator_allowed_by_origin_is_reached_without_the_proxy() -> None:
    async with running(Proxy(name="localhost")) as proxy:
        own = f"https://localhost:{proxy.far_port}"
        async with through(proxy.origin, allowed=(own,)) as transport:
            assert (await transport.post(push(own))).status == 201
        assert (proxy.connections, len(proxy.pushes)) == (0, 1)


async def test_certificate_at_the_end_of_the_tunnel_has_to_be_the_push_services() -> None:
    async with running(Proxy(name="proxy.example")) as proxy, through(proxy.origin) as transport:
        assert await fault_of(transport, push()) is FaultKind.TLS
        assert proxy.pushes == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["403", "407", "502", "302", "201"],
)
async def test_proxy_that_makes_no_tunnel_is_told_from_a_push_service(answer: bytes) -> None:
    async with running(Proxy(answer=answer)) as proxy, through(proxy.origin) as transport:
        assert await fault_of(transport, push()) is FaultKind.PROXY
        assert proxy.connections == 1


async def test_proxy_that_says_something_else_or_hangs_up_is_a_fault() -> None:
    for answer in (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 2"):
        async with running(Proxy(answer=answer)) as proxy, through(proxy.origin) as transport:
            assert await fault_of(transport, push()) in {FaultKind.PROXY, FaultKind.PROTOCOL, FaultKind.RESET}


async def test_proxy_that_is_not_there_or_has_no_such_name_is_told() -> None:
    with socket.socket() as bound:  # bound but not listening, so that nobody else can take the port
        bound.bind(("127.0.0.1", 0))
        async with through(f"http://127.0.0.1:{bound.getsockname()[1]}") as transport:
            assert await fault_of(transport, push()) is FaultKind.PROXY
    async with through("http://proxy.invalid:3128", names=Names()) as transport:
        assert await fault_of(transport, push()) is FaultKind.PROXY


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_push_through_a_proxy_that_is_given_up_leaves_nothing_behind_at_whatever_stage(tls: bool) -> None:  # noqa: FBT001
    has_ended, steps = False, 0
    async with running(Proxy(tls=tls)) as proxy:
        while not has_ended:
            async with through(proxy.origin) as transport:
                posting = asyncio.create_task(transport.post(push()))
                for _ in range(steps):
                    await asyncio.sleep(0)
                has_ended, steps = posting.done(), steps + 1
                posting.cancel()
                with suppress(asyncio.CancelledError):
                    await posting
                assert not transport._pool._under_way
            async with asyncio.timeout(30):
                while proxy.open:  # noqa: ASYNC110 (nobody tells of it)
                    await asyncio.sleep(0.005)
    assert steps > 10


async def test_certificate_behind_a_proxy_over_tls_has_to_be_the_push_services_too() -> None:
    async with running(Proxy(tls=True, name="proxy.example")) as proxy, through(proxy.origin) as transport:
        assert await fault_of(transport, push()) is FaultKind.TLS
        assert proxy.pushes == []


async def test_proxy_whose_own_certificate_is_not_trusted_makes_no_connection() -> None:
    async with running(Proxy(tls=True)) as proxy, through(f"https://localhost:{proxy.port}") as transport:
        assert await fault_of(transport, push()) in {FaultKind.TLS, FaultKind.PROXY}
        assert proxy.heads == []


async def test_silent_proxy_is_a_timeout() -> None:
    async with running(Proxy(answer=SILENCE)) as proxy, through(proxy.origin, total_timeout_s=0.2) as transport:
        assert await fault_of(transport, push()) is FaultKind.TIMEOUT


@pytest.mark.parametrize("proxy", ["http://10.1.2.3:3128", "http://[fd00::1]:3128", "http://proxy.example:3128"])
async def test_guard_makes_sockets_for_the_proxy_and_for_nothing_else(proxy: str) -> None:
    names = Names()
    names.answers["proxy.example"] = ["10.1.2.3", "fd00::1"]
    guard = ProxyGuard(proxy, names)
    with suppress(OSError):
        await guard.resolve("proxy.example", 3128)
    own = ("fd00::1", 3128, 0, 0) if "[" in proxy else ("10.1.2.3", 3128)
    family = socket.AF_INET6 if "[" in proxy else socket.AF_INET
    guard.socket((family, socket.SOCK_STREAM, 0, "", own)).close()
    for address in (("10.1.2.3", 22), ("127.0.0.1", 3128), ("8.8.8.8", 443), ("169.254.169.254", 80)):
        with pytest.raises(AddressRefusedError):
            guard.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", address))
    with pytest.raises(AddressRefusedError):
        await guard.resolve("fcm.googleapis.com", 443)


async def test_guard_forgets_where_the_proxy_was_long_ago_and_not_where_it_was_a_moment_ago() -> None:
    names = Names()
    guard = ProxyGuard("http://proxy.example:3128", names)
    # It moves on, and is asked for more than once where it is.
    for last in (1, 2, 2, 3, 2, 4, 5, 5):
        names.answers["proxy.example"] = [f"10.1.2.{last}"]
        await guard.resolve("proxy.example", 3128)
    for last in (2, 3, 4, 5):
        guard.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (f"10.1.2.{last}", 3128))).close()
    with pytest.raises(AddressRefusedError):
        guard.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.1.2.1", 3128)))


@pytest.mark.parametrize(
    "value", ["proxy:3128", "socks5://proxy:1080", "http://user:word@proxy:3128", "http://proxy.example/x"]
)
def test_setting_that_is_no_origin_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(StartUpError, match="PUSHDESK_PUSH_EGRESS_PROXY must be an origin"):
        load({}, {"PUSHDESK_PUSH_EGRESS_PROXY": value}, default_data_dir=tmp_path)
