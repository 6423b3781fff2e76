"""Connections that are kept: used again, closed, bounded, waited for, given up; none is left behind."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from msgspec import structs

from pushdesk.webpush import connection, egress
from pushdesk.webpush.connecting import Connector
from pushdesk.webpush.transport import FaultKind, TransportFault
from tests.egress import Factory, Names
from tests.raw_server import (
    OK,
    Server,
    Streams,
    answering,
    once,
    origin,
    request_to,
    server_tls,
    serving,
    transport_to,
    trusting,
)
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pushdesk.webpush.transport import HttpTransport

WAIT_S = 30.0
SHORT_S = 0.3
AUTHORITY = trustme.CA()
TRUSTED = trusting(AUTHORITY)
"""Made once: both take a while."""
PUBLIC = "142.250.185.74"
CLOSING = b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """Fail if sockets are left when all is closed."""
    before = open_files()
    yield
    await until(lambda: open_files() <= before)


async def fault_of(transport: HttpTransport, where: str) -> FaultKind:
    with pytest.raises(TransportFault) as raised:
        await transport.post(request_to(where))
    assert raised.value.__context__ is None
    return raised.value.kind


async def statuses(transport: HttpTransport, where: str, count: int) -> list[int]:
    answers = await asyncio.gather(*(transport.post(request_to(where)) for _ in range(count)))
    return [answer.status for answer in answers]


@pytest.mark.parametrize("keep_alive", [b"timeout=60", b"timeout=5, max=100", b"nonsense", b"timeout=x"])
async def test_connection_is_used_again_as_long_as_the_server_keeps_it(keep_alive: bytes) -> None:
    answer = b"HTTP/1.1 201 Created\r\nKeep-Alive: " + keep_alive + b"\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(answer)) as server, transport_to(origin(server)) as transport:
        for _ in range(5):
            assert (await transport.post(request_to(origin(server)))).status == 201
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        CLOSING,
        b"HTTP/1.0 201 Created\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nkeep-alive: max=5, TIMEOUT = 0\r\nContent-Length: 0\r\n\r\n",
        OK + OK,
        OK + b"garbage",
        OK + b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=["close", "old", "a second", "no time", "two answers", "garbage behind", "interim behind"],
)
@pytest.mark.usefixtures("nothing_left")
async def test_connection_is_closed_here_that_may_not_be_used_again(answer: bytes) -> None:
    async with serving(answering(answer)) as server, transport_to(origin(server)) as transport:
        for number in range(3):
            assert (await transport.post(request_to(origin(server)))).status == 201
            await until(lambda: not server.open)
            assert server.connections == number + 1


async def test_connection_that_nothing_is_asked_on_is_closed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE_S", 0.05)
    async with serving(answering(OK)) as server, transport_to(origin(server)) as transport:
        await transport.post(request_to(origin(server)))
        await server.hung_up.wait()
        assert (await transport.post(request_to(origin(server)))).status == 201
        assert server.connections == 2


async def test_deadline_holds_for_every_request_on_a_connection() -> None:
    async def silent_after_two(server: Server, streams: Streams) -> None:
        for _ in range(2):
            await server.read_request(streams)
            streams[1].write(OK)
        await server.read_request(streams)
        assert await streams[0].read() == b""

    async with (
        serving(silent_after_two) as server,
        transport_to(origin(server), total_timeout_s=SHORT_S) as transport,
    ):
        await transport.post(request_to(origin(server)))
        (kept,) = transport._pool._kept
        # The first deadline has passed, and what comes next is that nothing was asked.
        await until(lambda: kept._timer is not None and kept._timer.when() - asyncio.get_running_loop().time() > 40)
        await transport.post(request_to(origin(server)))
        assert await fault_of(transport, origin(server)) is FaultKind.TIMEOUT
        await server.hung_up.wait()
        assert server.connections == 1


async def test_bytes_that_nobody_asked_for_close_a_kept_connection() -> None:
    speak = asyncio.Event()

    async def talkative(server: Server, streams: Streams) -> None:
        await server.read_request(streams)
        streams[1].write(OK)
        await speak.wait()
        streams[1].write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        assert await streams[0].read() == b""

    async with serving(talkative) as server, transport_to(origin(server)) as transport:
        await transport.post(request_to(origin(server)))
        speak.set()
        await server.hung_up.wait()
        assert (await transport.post(request_to(origin(server)))).status == 201
        assert server.connections == 2


@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"])
async def test_push_is_not_lost_on_a_connection_that_was_closed_before(last_words: bytes) -> None:
    """The event loop has had no chance yet to see that it was."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        where = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with transport_to(where) as transport:
            peers = []
            for _ in range(2):
                posting = asyncio.create_task(transport.post(request_to(where)))
                peer, _address = await loop.sock_accept(listener)
                while b"encrypted" not in await loop.sock_recv(peer, 65536):
                    pass
                await loop.sock_sendall(peer, OK)
                assert (await posting).status == 201
                if last_words:
                    peer.send(last_words)
                peer.close()
                peers.append(peer)
            assert len(peers) == 2


async def test_push_that_was_sent_on_a_kept_connection_is_not_sent_again() -> None:
    async def closing_at_the_second(server: Server, streams: Streams) -> None:
        await server.read_request(streams)
        streams[1].write(OK)
        await server.read_request(streams)
        streams[1].close()

    async with serving(closing_at_the_second) as server, transport_to(origin(server)) as transport:
        await transport.post(request_to(origin(server)))
        assert await fault_of(transport, origin(server)) is FaultKind.RESET
        assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.usefixtures("nothing_left")
async def test_the_one_used_last_is_used_next_and_only_so_many_are_kept() -> None:
    async with serving(answering(OK)) as server, transport_to(origin(server)) as transport:
        transport._pool._max_kept = 3
        assert await statuses(transport, origin(server), 10) == [201] * 10
        await until(lambda: server.open == 3)
        connections = server.connections
        for _ in range(5):
            await statuses(transport, origin(server), 3)
        assert (server.connections, server.open) == (connections, 3)


@contextmanager
def files(limit: int) -> Iterator[None]:
    """Have this process be allowed so many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit > hard != resource.RLIM_INFINITY:
        pytest.skip(f"there may be no more than {hard} open files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("nothing_left")
async def test_a_thousand_at_once_and_again_over_the_same_connections() -> None:
    all_there = asyncio.Event()

    async def answering_when_all_are_there(server: Server, streams: Streams) -> None:
        while True:
            await server.read_request(streams)
            if len(server.requests) == 1000:
                all_there.set()
            await all_there.wait()
            streams[1].write(OK)

    with files(4096):
        async with serving(answering_when_all_are_there) as server, transport_to(origin(server)) as transport:
            for _ in range(2):
                assert await statuses(transport, origin(server), 1000) == [201] * 1000
            assert server.connections == 1000
            assert len(transport._pool) == 1000


@pytest.mark.parametrize("answer", [OK, CLOSING], ids=["kept", "closed"])
@pytest.mark.usefixtures("nothing_left")
async def test_no_more_connections_than_may_be_and_everybody_has_a_turn(answer: bytes) -> None:
    most = 0

    async def counting(server: Server, streams: Streams) -> None:
        nonlocal most
        most = max(most, server.open)
        await answering(answer)(server, streams)

    async with serving(counting) as server, transport_to(origin(server)) as transport:
        transport._pool._max_per_origin = 2
        assert await statuses(transport, origin(server), 20) == [201] * 20
        assert len(transport._pool) <= 2
    # Of those that are closed here the server may learn after it has accepted the next.
    assert most <= 4


@pytest.mark.usefixtures("nothing_left")
async def test_who_waits_for_a_connection_waits_to_the_deadline_and_no_longer() -> None:
    async with (
        serving(once(b"")) as server,
        transport_to(origin(server), total_timeout_s=SHORT_S) as transport,
    ):
        transport._pool._max_per_origin = 1
        kinds = await asyncio.gather(*(fault_of(transport, origin(server)) for _ in range(3)))
        assert kinds == [FaultKind.TIMEOUT] * 3
        await until(lambda: not len(transport._pool))


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("answer", [OK, CLOSING], ids=["kept", "closed"])
@pytest.mark.usefixtures("nothing_left")
async def test_a_turn_that_is_given_up_goes_to_the_next(answer: bytes, steps: int) -> None:
    answer_now = asyncio.Event()

    async def answering_in_time(server: Server, streams: Streams) -> None:
        while True:
            await server.read_request(streams)
            await answer_now.wait()
            streams[1].write(answer)

    async with serving(answering_in_time) as server, transport_to(origin(server)) as transport:
        transport._pool._max_per_origin = 1
        first, given_up, last = (asyncio.create_task(transport.post(request_to(origin(server)))) for _ in range(3))
        await server.arrived.wait()
        answer_now.set()
        await first
        for _ in range(steps):
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert (await last).status == 201
        assert len(transport._pool) <= 1


@pytest.mark.parametrize("is_next", [True, False], ids=["for the next", "for nobody"])
@pytest.mark.parametrize("way", ["kept", "closed"])
@pytest.mark.usefixtures("nothing_left")
async def test_a_turn_that_is_given_up_in_the_moment_it_comes_is_not_lost(way: str, is_next: bool) -> None:  # noqa: FBT001
    """Between being given a turn and taking it there is one step of the event loop: in that it is given up."""
    async with serving(answering(OK)) as server, transport_to(origin(server)) as transport:
        pool, deadline = transport._pool, asyncio.get_running_loop().time() + WAIT_S
        pool._max_per_origin = 1
        where, _ = transport._origins.find(f"{origin(server)}/x")
        first = await pool.open(where, deadline)
        given_up = asyncio.create_task(pool.open(where, deadline))
        following = [asyncio.create_task(pool.open(where, deadline))] if is_next else []
        await until(lambda: len(pool._places[where.name].waiting) == 1 + len(following))
        if way == "kept":
            pool.keep(first)
            given_up.cancel()
        else:
            first.close()
            # Right behind what tells of its socket's end.
            asyncio.get_running_loop().call_soon(given_up.cancel)
        await asyncio.wait([given_up])
        assert given_up.cancelled()
        for follower in following:
            pool.keep(await follower)
        # Whoever comes now has a turn as well.
        assert (await transport.post(request_to(origin(server)))).status == 201
        assert server.connections == (1 if way == "kept" else 2)
        assert pool._places[where.name].taken == 1


@pytest.mark.usefixtures("nothing_left")
async def test_who_is_handed_a_connection_that_was_closed_is_still_before_those_who_came_later() -> None:
    async with serving(answering(OK)) as server, transport_to(origin(server)) as transport:
        pool, deadline = transport._pool, asyncio.get_running_loop().time() + WAIT_S
        pool._max_per_origin = 1
        where, _ = transport._origins.find(f"{origin(server)}/x")
        handed = await pool.open(where, deadline)
        early, late = (asyncio.create_task(pool.open(where, deadline)) for _ in range(2))
        await until(lambda: len(pool._places[where.name].waiting) == 2)
        pool.keep(handed)
        handed.close()
        done, _ = await asyncio.wait((early, late), return_when=asyncio.FIRST_COMPLETED)
        assert done == {early}
        pool.keep(early.result())
        pool.keep(await late)


@pytest.mark.parametrize("way", ["plain", "TLS", "silent TLS", "no name"])
@pytest.mark.usefixtures("nothing_left")
async def test_a_push_that_is_given_up_leaves_nothing_behind_at_whatever_stage(way: str) -> None:
    """Given up after as many steps of the event loop as it takes to come to an answer, and after fewer."""
    certificate = server_tls(AUTHORITY.issue_cert("localhost")) if way == "TLS" else None
    names = Names()
    async with serving(once(b"") if way == "silent TLS" else answering(OK), tls=certificate) as server:
        where = f"http://127.0.0.1:{server.port}" if way == "plain" else f"https://localhost:{server.port}"
        names.answers["localhost"] = ["127.0.0.1"]
        has_ended, steps = False, 0
        # Without an answer it is all the same after so many.
        while not has_ended and (way in {"plain", "TLS"} or steps < 20):
            async with transport_to(
                where, tls=TRUSTED, resolver=Forgotten() if way == "no name" else names
            ) as transport:
                posting = asyncio.create_task(transport.post(request_to(where)))
                for _ in range(steps):
                    await asyncio.sleep(0)
                has_ended, steps = posting.done(), steps + 1
                posting.cancel()
                with suppress(asyncio.CancelledError):
                    await posting
                assert not transport._pool._under_way
                assert not any(place.waiting for place in transport._pool._places.values())
                kept = len(transport._pool._kept)
                await until(lambda pool=transport._pool, kept=kept: len(pool) == kept)  # type: ignore[misc]
            await until(lambda: not server.open)
        assert steps > 5


class Forgotten:
    """A resolver that never answers."""

    async def resolve(self, _host: str, _port: int) -> list[Any]:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.usefixtures("nothing_left")
async def test_who_closes_ends_what_is_under_way() -> None:
    async with serving(once(b"")) as silent, serving(once(b"")) as no_tls:
        waited_for, nameless = f"https://localhost:{no_tls.port}", "https://push.example"
        async with transport_to(origin(silent), waited_for, nameless, resolver=Misled(no_tls.port)) as transport:
            posting = [
                asyncio.create_task(fault_of(transport, where))
                for where in (origin(silent), origin(silent), waited_for, nameless)
            ]
            transport._pool._max_per_origin = 1
            await silent.arrived.wait()
            await until(lambda: no_tls.open > 0)
        kinds = await asyncio.gather(*posting)
        assert kinds[0] is FaultKind.RESET
        assert set(kinds[1:]) == {FaultKind.TIMEOUT}
        await until(lambda: not (silent.open or no_tls.open))
        assert await fault_of(transport, origin(silent)) is FaultKind.CONNECT


class Misled(Forgotten):
    """Answers for one name, and for others never."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, _port: int) -> list[Any]:
        if host != "localhost":
            return await super().resolve(host, _port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", self._port))]


async def test_name_is_not_asked_for_while_a_connection_is_kept_and_judged_anew_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names, factory = Names(), Factory(0)
    factory.put_in(monkeypatch)
    monkeypatch.setattr(egress, "REMEMBERED_S", 0.0)
    hang_up = asyncio.Event()

    async def until_told(server: Server, streams: Streams) -> None:
        serving_on = asyncio.ensure_future(answering(OK)(server, streams))
        await hang_up.wait()
        serving_on.cancel()

    async with serving(until_told, tls=server_tls(AUTHORITY.issue_cert("fcm.googleapis.com"))) as server:
        factory.port = server.port
        async with transport_to(tls=TRUSTED, resolver=names) as transport:
            names.answers["fcm.googleapis.com"] = [PUBLIC]
            for _ in range(3):
                assert (await transport.post(request_to("https://fcm.googleapis.com"))).status == 201
            assert (names.asked, factory.allowed) == (["fcm.googleapis.com"], [PUBLIC])
            names.answers["fcm.googleapis.com"] = ["127.0.0.1"]
            hang_up.set()
            await until(lambda: not len(transport._pool))
            assert await fault_of(transport, "https://fcm.googleapis.com") is FaultKind.ADDRESS_REFUSED
            assert (len(names.asked), factory.refused, server.connections) == (2, ["127.0.0.1"], 1)


async def test_those_who_want_the_same_name_ask_once_and_one_who_gives_up_takes_it_from_nobody() -> None:
    answer, asked = asyncio.Event(), 0

    class Slow:
        async def resolve(self, _host: str, port: int) -> list[Any]:
            nonlocal asked
            asked += 1
            await answer.wait()
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]

    async with serving(answering(OK)) as server:
        where = f"http://push.example:{server.port}"
        async with transport_to(where, resolver=Slow()) as transport:
            given_up, *posting = (asyncio.create_task(transport.post(request_to(where))) for _ in range(5))
            await until(lambda: asked > 0)
            given_up.cancel()
            await asyncio.wait([given_up])
            answer.set()
            assert [(await one).status for one in posting] == [201] * 4
            assert asked == 1


async def test_domain_whose_names_are_never_answered_for_keeps_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    is_over = threading.Event()

    def answering_for_some(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        if host.endswith(".silent.example"):
            is_over.wait(WAIT_S)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]

    monkeypatch.setattr(socket, "getaddrinfo", answering_for_some)
    monkeypatch.setattr(egress, "TURN_S", SHORT_S)
    names = egress.RememberedNames(egress.SystemResolver())
    silent = [asyncio.create_task(names.resolve(f"{number}.silent.example", 443)) for number in range(100)]
    try:
        await until(lambda: len(asked) == egress.PER_DOMAIN)
        (found,) = await asyncio.wait_for(names.resolve("push.example", 443), WAIT_S / 2)
        assert found[4] == ("127.0.0.1", 1)
        assert asked[egress.PER_DOMAIN :] == ["push.example"]
        await until(lambda: sum(each.done() for each in silent) == len(silent) - egress.PER_DOMAIN)
        assert all(isinstance(each.exception(), TimeoutError) for each in silent if each.done())
    finally:
        is_over.set()
    # Once they are answered for, it goes on.
    assert await asyncio.gather(*(each for each in silent if not each.done())) == [[found]] * egress.PER_DOMAIN
    assert await names.resolve("late.silent.example", 443) == [found]
    await names.aclose()


@pytest.mark.usefixtures("nothing_left")
async def test_garbage_inside_tls_is_a_fault_and_leaves_the_others_alone() -> None:
    async def garbling(server: Server, streams: Streams) -> None:
        await server.read_request(streams)
        below: Any = streams[1].transport
        below._ssl_protocol._transport.write(b"garbage, not a record of TLS")
        await streams[0].read()

    certificate = server_tls(AUTHORITY.issue_cert("localhost"))
    async with serving(garbling, tls=certificate) as bad, serving(answering(OK), tls=certificate) as good:
        where, elsewhere = (f"https://localhost:{server.port}" for server in (bad, good))
        async with transport_to(where, elsewhere, tls=TRUSTED) as transport:
            kind, answers = await asyncio.gather(fault_of(transport, where), statuses(transport, elsewhere, 20))
        assert kind is FaultKind.TLS
        assert answers == [201] * 20
        assert len(bad.requests) == 1


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20", b"HTTP/1.1 201 Created\r\nContent-Le"])
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.usefixtures("nothing_left")
async def test_connection_that_ends_within_the_headers_is_a_reset(said: bytes, is_tls: bool) -> None:  # noqa: FBT001
    async def breaking_off(server: Server, streams: Streams) -> None:
        await server.read_request(streams)
        streams[1].write(said)
        await streams[1].drain()

    certificate = server_tls(AUTHORITY.issue_cert("localhost")) if is_tls else None
    async with serving(breaking_off, tls=certificate) as server:
        where = f"https://localhost:{server.port}" if is_tls else origin(server)
        async with transport_to(where, tls=TRUSTED) as transport:
            assert await fault_of(transport, where) is FaultKind.RESET
        assert len(server.requests) == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
async def test_server_that_wants_to_shake_hands_anew_holds_up_nobody(tmp_path: Path) -> None:
    pem = tmp_path / "localhost.pem"
    AUTHORITY.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    program = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", "0", "-cert", str(pem), "-tls1_2"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(WAIT_S), serving(answering(OK)) as good:
            while b"ACCEPT" not in said:
                said = await program.stdout.readline()
            where = f"https://localhost:{int(said.rpartition(b':')[2])}"
            async with transport_to(where, origin(good), tls=TRUSTED, total_timeout_s=1.0) as transport:
                posting = asyncio.create_task(transport.post(request_to(where)))
                while b"encrypted" not in said:
                    said += await program.stdout.read(1000)
                # Its command for it.
                program.stdin.write(b"r\n")
                while b"SSL_do_handshake" not in said:
                    said += await program.stdout.read(1000)
                assert await statuses(transport, origin(good), 20) == [201] * 20
                with pytest.raises(TransportFault) as raised:
                    await posting
                assert raised.value.kind in {FaultKind.TIMEOUT, FaultKind.TLS, FaultKind.RESET}
    finally:
        program.kill()
        await program.communicate()


async def test_a_want_of_files_is_said_and_passes() -> None:
    async with serving(answering(OK)) as server, transport_to(origin(server)) as transport:
        lowest = os.dup(0)
        os.close(lowest)
        with files(lowest):
            assert await fault_of(transport, origin(server)) is FaultKind.NO_FILE
        assert (await transport.post(request_to(origin(server)))).status == 201


async def test_connection_attempt_that_nobody_takes_is_a_timeout_and_is_closed() -> None:
    """A listener whose queue is full answers no attempt."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        where = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fillers = []
        try:
            for _ in range(8):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            async with transport_to(where, total_timeout_s=SHORT_S) as transport:
                before = open_files()
                assert await fault_of(transport, where) is FaultKind.TIMEOUT
                await until(lambda: open_files() <= before)
                assert len(transport._pool) == 0
        finally:
            for filler in fillers:
                filler.close()


def test_system_authorities_are_trusted_and_renegotiation_is_not_taken_part_in() -> None:
    made = Connector(guard=lambda _: socket.socket())._tls
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.check_hostname
    assert made.options & ssl.OP_NO_RENEGOTIATION


async def test_what_is_no_header_is_refused_before_a_connection_is_made() -> None:
    async with serving(answering(OK)) as server, transport_to(origin(server)) as transport:
        request = structs.replace(request_to(origin(server)), headers={"TTL": "60\r\nX: y"})
        with pytest.raises(ValueError, match="header's value"):
            await transport.post(request)
        assert server.connections == 0
