from __future__ import annotations

import asyncio
import gzip
import itertools
import pickle
import socket
import time
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme

from pushdesk.webpush.connecting import Connector
from pushdesk.webpush.connection_pool import ConnectionPool
from pushdesk.webpush.egress import guarded_socket
from pushdesk.webpush.origins import Origin
from pushdesk.webpush.transport import FaultKind, TransportFault
from tests.egress import address_of
from tests.raw_server import (
    OK,
    Server,
    Streams,
    answering,
    endlessly,
    once,
    origin,
    request_to,
    server_tls,
    serving,
    transport_to,
    trusting,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aiohappyeyeballs import AddrInfoType

    from pushdesk.webpush.request import PushRequest
    from pushdesk.webpush.transport import HttpTransport

SHORT_S = 0.2


async def fault_of(transport: HttpTransport, request: PushRequest) -> FaultKind:
    with pytest.raises(TransportFault) as raised:
        await transport.post(request)
    fault = raised.value
    assert str(fault) == fault.kind.sentence
    assert fault.__context__ is None
    assert "SECRET" not in "".join(traceback.format_exception(fault))
    return fault.kind


async def test_endpoint_and_body_reach_the_service_verbatim_and_nothing_is_added_to_tell_who_sends() -> None:
    async with serving(answering(OK)) as server, transport_to(origin(server)) as transport:
        await transport.post(request_to(origin(server)))
    [(head, body)] = server.requests
    assert head[0] == "POST /w/?token=SECRET%2fCm%2bwt4%3d HTTP/1.1"
    assert body == b"\x00encrypted"
    assert sorted(line.lower() for line in head[1:]) == [
        "accept-encoding: identity",
        "content-length: 10",
        "content-type: application/octet-stream",
        f"host: 127.0.0.1:{server.port}",
        "ttl: 60",
        "urgency: high",
    ]


async def test_answer_has_status_headers_body_and_the_time_until_its_headers_came() -> None:
    answer = b"HTTP/1.1 410 Gone\r\nLocation: /m/1\r\nAPNS-ID: 7\r\nX: a\r\nX: b\r\nContent-Length: 4\r\n\r\ngone"
    clock = itertools.count(100.0, 0.25).__next__
    async with serving(answering(answer)) as server, transport_to(origin(server), clock=clock) as transport:
        got = await transport.post(request_to(origin(server)))
    assert (got.status, got.body, got.latency_s) == (410, b"gone", 0.25)
    assert got.headers == {"location": "/m/1", "apns-id": "7", "x": "a", "content-length": "4"}
    assert repr(got) == "PushAnswer(status=410, latency_s=0.25)"


async def test_connection_is_kept_for_the_next_push_and_cookies_are_not() -> None:
    answer = b"HTTP/1.1 201 Created\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(answer)) as server, transport_to(origin(server)) as transport:
        for _ in range(3):
            await transport.post(request_to(origin(server)))
        assert server.connections == 1
        assert not [line for head, _ in server.requests for line in head if line.lower().startswith("cookie")]


async def test_closing_closes_the_kept_connections() -> None:
    async with serving(answering(OK)) as server:
        async with transport_to(origin(server)) as transport:
            await transport.post(request_to(origin(server)))
            assert not server.hung_up.is_set()
        await server.hung_up.wait()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    async with serving(answering(OK)) as elsewhere:
        moved = f"HTTP/1.1 {status} Moved\r\nLocation: {origin(elsewhere)}/\r\nContent-Length: 0\r\n\r\n".encode()
        async with (
            serving(answering(moved)) as server,
            transport_to(origin(server), origin(elsewhere)) as transport,
        ):
            assert (await transport.post(request_to(origin(server)))).status == status
            assert len(server.requests) == 1
        assert elsewhere.connections == 0


async def test_environment_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(OK)) as proxy, serving(answering(OK)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, origin(proxy))
        monkeypatch.delenv("no_proxy", raising=False)
        async with transport_to(origin(server)) as transport:
            assert (await transport.post(request_to(origin(server)))).status == 201
        assert (proxy.connections, server.connections) == (0, 1)


async def test_silence_is_a_timeout() -> None:
    async with serving(once(b"")) as server, transport_to(origin(server), total_timeout_s=SHORT_S) as transport:
        assert await fault_of(transport, request_to(origin(server))) is FaultKind.TIMEOUT
        await server.hung_up.wait()


async def test_half_a_status_line_is_a_timeout() -> None:
    async with (
        serving(once(b"HTTP/1.1 20")) as server,
        transport_to(origin(server), total_timeout_s=SHORT_S) as transport,
    ):
        assert await fault_of(transport, request_to(origin(server))) is FaultKind.TIMEOUT


async def test_endless_early_hints_are_a_timeout() -> None:
    hints = endlessly(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    async with serving(hints) as server, transport_to(origin(server), total_timeout_s=SHORT_S) as transport:
        assert await fault_of(transport, request_to(origin(server))) is FaultKind.TIMEOUT
        await server.hung_up.wait()


async def test_early_hints_before_the_answer_are_skipped() -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + OK
    async with serving(answering(answer)) as server, transport_to(origin(server)) as transport:
        assert (await transport.post(request_to(origin(server)))).status == 201


async def reset_at_once(_: Server, streams: Streams) -> None:
    streams[1].transport.abort()


async def reset_after_the_request(server: Server, streams: Streams) -> None:
    await server.read_request(streams)
    streams[1].transport.abort()


async def hang_up_after_the_request(server: Server, streams: Streams) -> None:
    await server.read_request(streams)
    streams[1].close()


@pytest.mark.parametrize("behave", [reset_at_once, reset_after_the_request, hang_up_after_the_request])
async def test_connection_closed_without_an_answer_is_a_reset_and_is_not_tried_again(
    behave: Callable[[Server, Streams], Awaitable[None]],
) -> None:
    async with serving(behave) as server, transport_to(origin(server)) as transport:
        assert await fault_of(transport, request_to(origin(server))) is FaultKind.RESET
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\x00" * 1000 + b"\r\n\r\n",
    ],
    ids=["another protocol", "no status", "huge header", "two lengths", "nulls"],
)
async def test_answer_that_is_not_http_is_a_protocol_fault(answer: bytes) -> None:
    async with serving(once(answer)) as server, transport_to(origin(server)) as transport:
        assert await fault_of(transport, request_to(origin(server))) is FaultKind.PROTOCOL


async def broken_body(server: Server, streams: Streams) -> None:
    await server.read_request(streams)
    streams[1].write(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf")
    await streams[1].drain()
    streams[1].close()


async def test_body_that_breaks_off_leaves_the_status_and_what_there_was() -> None:
    async with serving(broken_body) as server, transport_to(origin(server)) as transport:
        got = await transport.post(request_to(origin(server)))
        assert (got.status, got.body) == (201, b"half")
        await server.hung_up.wait()


async def test_chunk_that_is_none_leaves_the_status_that_came_before_it() -> None:
    status_was_read = asyncio.Event()

    async def broken_chunk(server: Server, streams: Streams) -> None:
        await server.read_request(streams)
        streams[1].write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await status_was_read.wait()
        streams[1].write(b"zz\r\n")
        assert await streams[0].read() == b""

    def clock() -> float:
        if server.arrived.is_set():  # asked for the second time, which is after the answer's headers
            status_was_read.set()
        return 0.0

    async with (
        serving(broken_chunk) as server,
        transport_to(origin(server), clock=clock, total_timeout_s=SHORT_S) as transport,
    ):
        got = await transport.post(request_to(origin(server)))
        assert (got.status, got.body) == (201, b"half")
        await server.hung_up.wait()


async def test_broken_chunk_that_comes_with_the_status_leaves_the_status() -> None:
    answer = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"
    async with serving(once(answer)) as server, transport_to(origin(server)) as transport:
        got = await transport.post(request_to(origin(server)))
        assert (got.status, got.body) == (201, b"half")
        await server.hung_up.wait()


async def test_body_that_never_ends_is_cut_and_the_connection_closed() -> None:
    endless = endlessly(b"HTTP/1.1 201 Created\r\n\r\n", b"x" * 65_536)
    async with serving(endless) as server, transport_to(origin(server)) as transport:
        got = await transport.post(request_to(origin(server)))
        assert (got.status, got.body) == (201, b"x" * 4096)
        await server.hung_up.wait()


async def test_trailer_that_never_ends_is_cut_and_the_connection_closed() -> None:
    written = 0

    async def trailing(server: Server, streams: Streams) -> None:
        nonlocal written
        await server.read_request(streams)
        streams[1].write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX: ")
        while written < 2**25:
            streams[1].write(b"x" * 65_536)
            await streams[1].drain()
            written += 65_536

    async with serving(trailing) as server, transport_to(origin(server)) as transport:
        got = await transport.post(request_to(origin(server)))
        assert (got.status, got.body) == (201, b"body")
        await server.hung_up.wait()
        # More than this machine holds between the two is not taken.
        assert written < 2**25


async def test_body_of_exactly_the_cap_keeps_the_connection() -> None:
    answer = b"HTTP/1.1 400 Bad\r\nContent-Length: 4096\r\n\r\n" + b"x" * 4096
    async with serving(answering(answer)) as server, transport_to(origin(server)) as transport:
        for _ in range(2):
            assert (await transport.post(request_to(origin(server)))).body == b"x" * 4096
        assert server.connections == 1


async def test_dripped_body_ends_with_the_total_timeout_and_the_status_counts() -> None:
    drip = once(b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\nx")
    async with serving(drip) as server, transport_to(origin(server), total_timeout_s=SHORT_S) as transport:
        got = await transport.post(request_to(origin(server)))
        assert (got.status, got.body) == (201, b"x")
        await server.hung_up.wait()


async def test_compressed_body_is_left_compressed() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    head = f"HTTP/1.1 500 Bad\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    async with serving(once(head + bomb)) as server, transport_to(origin(server)) as transport:
        assert (await transport.post(request_to(origin(server)))).body == bomb[:4096]


async def test_cancelled_push_hangs_up() -> None:
    async with serving(once(b"")) as server, transport_to(origin(server)) as transport:
        sending = asyncio.create_task(transport.post(request_to(origin(server))))
        await server.arrived.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await server.hung_up.wait()


async def test_closed_port_is_a_connect_fault() -> None:
    with socket.socket() as bound:  # bound but not listening, so that nobody else can take the port
        bound.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with transport_to(nobody) as transport:
            assert await fault_of(transport, request_to(nobody)) is FaultKind.CONNECT


@pytest.mark.parametrize("host", ["no-such-service.invalid", f"{'a' * 64}.invalid"])
async def test_name_that_leads_nowhere_is_a_dns_fault(host: str) -> None:
    async with transport_to(f"https://{host}") as transport:
        assert await fault_of(transport, request_to(f"https://{host}")) is FaultKind.DNS


async def test_tls_connection_with_a_trusted_certificate_is_used() -> None:
    authority = trustme.CA()
    async with serving(answering(OK), tls=server_tls(authority.issue_cert("localhost"))) as server:
        secure = f"https://localhost:{server.port}"
        async with transport_to(secure, tls=trusting(authority)) as transport:
            assert (await transport.post(request_to(secure))).status == 201


async def looked_at(server: Server, streams: Streams) -> None:
    head = (await streams[0].readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    server.requests.append((head, b""))
    streams[1].write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nDate: today\r\nContent-Length: 0\r\n\r\n")
    await streams[1].drain()


async def test_a_look_at_an_origin_goes_the_way_of_a_push_and_is_none() -> None:
    authority = trustme.CA()
    async with serving(looked_at, tls=server_tls(authority.issue_cert("localhost"))) as server:
        secure = f"https://localhost:{server.port}"
        async with transport_to(secure, tls=trusting(authority)) as transport:
            answer = await transport.look(secure)
            with pytest.raises(TransportFault) as refused:
                await transport.look("https://192.168.1.1")
        assert (answer.status, answer.headers["date"]) == (302, "today")
        assert refused.value.kind is FaultKind.ADDRESS_REFUSED
        ((head, _),) = server.requests
        assert head[0] == "GET / HTTP/1.1"
        assert {line.partition(":")[0].lower() for line in head[1:]} == {"host", "accept-encoding"}


def wrong_name(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("fcm.googleapis.com")


def expired(authority: trustme.CA) -> trustme.LeafCert:
    now = datetime.now(UTC)
    return authority.issue_cert("localhost", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1))


def self_signed(_: trustme.CA) -> trustme.LeafCert:
    return trustme.CA().issue_cert("localhost")


@pytest.mark.parametrize("issue", [wrong_name, expired, self_signed])
async def test_untrusted_certificate_is_a_tls_fault_and_nothing_is_sent(
    issue: Callable[[trustme.CA], trustme.LeafCert],
) -> None:
    authority = trustme.CA()
    async with serving(answering(OK), tls=server_tls(issue(authority))) as server:
        secure = f"https://localhost:{server.port}"
        async with transport_to(secure, tls=trusting(authority)) as transport:
            assert await fault_of(transport, request_to(secure)) is FaultKind.TLS
        assert server.requests == []


async def cut_off(_: Server, streams: Streams) -> None:
    await streams[0].read(1)
    streams[1].write(b"\x16\x03\x03\x00\x05half")
    await streams[1].drain()
    streams[1].close()


async def test_tls_handshake_that_is_cut_off_or_no_tls_at_all_is_a_fault() -> None:
    async with serving(cut_off) as server:
        secure = f"https://localhost:{server.port}"
        async with transport_to(secure) as transport:
            assert await fault_of(transport, request_to(secure)) in {FaultKind.TLS, FaultKind.CONNECT, FaultKind.RESET}
    async with serving(once(OK)) as server:
        secure = f"https://localhost:{server.port}"
        async with transport_to(secure, total_timeout_s=SHORT_S) as transport:
            assert await fault_of(transport, request_to(secure)) in {FaultKind.TLS, FaultKind.TIMEOUT}


class LeadingTo:
    """Every name leads to one address, as a name in a stranger's hands may."""

    def __init__(self, address: str, port: int) -> None:
        self._address = address
        self._port = port

    async def resolve(self, _host: str, _port: int) -> Sequence[AddrInfoType]:
        return [address_of(self._address, self._port)]


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.5"])  # noqa: S104
async def test_known_service_whose_name_leads_to_a_private_address_is_not_connected_to(address: str) -> None:
    async with (
        serving(answering(OK)) as server,
        transport_to("http://127.0.0.1:1", resolver=LeadingTo(address, server.port)) as transport,
    ):
        fault = await fault_of(transport, request_to("https://fcm.googleapis.com"))
        assert fault is FaultKind.ADDRESS_REFUSED
        assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"])  # noqa: S104
async def test_endpoint_of_an_origin_that_is_not_allowed_is_not_connected_to(host: str) -> None:
    async with serving(answering(OK)) as server, transport_to("http://127.0.0.1:1") as transport:
        for scheme in ("http", "https"):
            fault = await fault_of(transport, request_to(f"{scheme}://{host}:{server.port}"))
            assert fault is FaultKind.ADDRESS_REFUSED
        assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])  # noqa: S104
async def test_guard_sees_the_real_address_behind_every_spelling(host: str) -> None:
    async with serving(answering(OK)) as server:
        place = Origin(f"http://{host}:{server.port}")
        pool = ConnectionPool(Connector(guard=guarded_socket), time.monotonic, connect_timeout_s=10.0)
        with pytest.raises(TransportFault) as raised:
            await pool.open(place, asyncio.get_running_loop().time() + 10.0)
        await pool.aclose()
        assert raised.value.kind is FaultKind.ADDRESS_REFUSED
        assert server.connections == 0


def test_guard_makes_the_socket_for_a_public_address() -> None:
    with guarded_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 443))) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)


def test_fault_can_be_handed_to_another_process() -> None:
    fault = pickle.loads(pickle.dumps(TransportFault(FaultKind.DNS)))  # noqa: S301 - our own bytes
    assert fault.kind is FaultKind.DNS
    assert str(fault) == FaultKind.DNS.sentence
