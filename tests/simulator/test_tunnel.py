"""The services' own names: a proxy, certificates of the simulator's own, and what can be wrong with them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pushdesk.model import Outcome
from pushdesk.simulator.personality import Personality
from pushdesk.simulator.service import Simulator
from pushdesk.webpush.services import FaultKind
from tests.simulator.sending import sending, subscribed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from tests.simulator.sending import Sender
    from tests.simulator.wire import Clock

CONNECT = b"CONNECT fcm.googleapis.com:443 HTTP/1.1\r\n\r\n"


@pytest.fixture
async def simulator(clock: Clock) -> AsyncIterator[Simulator]:
    async with Simulator(clock=clock, tls=True, personalities=(Personality.FCM, Personality.APPLE)) as simulator:
        yield simulator


@pytest.fixture
async def sender(simulator: Simulator, session: aiohttp.ClientSession, clock: Clock) -> AsyncIterator[Sender]:
    async with sending(simulator, session, clock) as sender:
        yield sender


@pytest.fixture
async def endpoint(simulator: Simulator, session: aiohttp.ClientSession, sender: Sender) -> AsyncIterator[str]:
    async with subscribed(simulator, session, sender.application.public_key) as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("tls-expired", FaultKind.TLS),
        ("tls-wrong-name", FaultKind.TLS),
        ("tls-cut", FaultKind.PROXY),
    ],
)
async def test_a_handshake_that_fails_is_transient_and_nothing_was_delivered(
    simulator: Simulator, sender: Sender, endpoint: str, fault: str, kind: FaultKind
) -> None:
    simulator.set_faults([fault])
    sent = await sender.send(endpoint)

    assert (sent.fault, sent.verdict.outcome) == (kind, Outcome.TRANSIENT)
    assert not simulator.registry.pushes
    assert simulator.faults.active()[0].met == 1


async def test_a_connection_from_before_meets_the_handshake_too(
    simulator: Simulator, sender: Sender, endpoint: str
) -> None:
    assert (await sender.send(endpoint)).verdict.outcome is Outcome.ACCEPTED
    simulator.set_faults(["tls-expired@next=1"])

    assert (await sender.send(endpoint)).verdict.outcome is Outcome.TRANSIENT


async def test_while_handshakes_fail_at_a_rate_every_push_has_one(
    simulator: Simulator, sender: Sender, endpoint: str
) -> None:
    simulator.set_faults(["tls-cut@30%"])
    outcomes = [(await sender.send(endpoint)).verdict.outcome for _ in range(40)]

    assert set(outcomes) == {Outcome.ACCEPTED, Outcome.TRANSIENT}
    assert outcomes.count(Outcome.TRANSIENT) == simulator.faults.active()[0].met


async def test_the_handshake_of_another_service_is_well(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, endpoint: str
) -> None:
    simulator.set_faults(["tls-expired@service=apple"])
    async with subscribed(simulator, session, sender.application.public_key, Personality.APPLE) as at_apple:
        faults = [(await sender.send(one)).fault for one in (endpoint, at_apple)]

    assert faults == [None, FaultKind.TLS]


async def test_each_simulator_has_an_authority_of_its_own(
    simulator: Simulator, session: aiohttp.ClientSession, clock: Clock, endpoint: str
) -> None:
    stranger = Simulator(clock=clock, tls=True)
    assert stranger.certificate is not None
    async with sending(simulator, session, clock, trusts=stranger.certificate) as sender:
        sent = await sender.send(endpoint)

    assert (sent.fault, sent.verdict.outcome) == (FaultKind.TLS, Outcome.TRANSIENT)


async def test_a_name_that_is_not_simulated_is_not_connected_to(simulator: Simulator, sender: Sender) -> None:
    sent = await sender.send("https://updates.push.services.mozilla.com/push/a")

    assert (sent.fault, sent.verdict.outcome) == (FaultKind.PROXY, Outcome.TRANSIENT)
    assert not simulator.registry.pushes


@pytest.mark.parametrize(
    "sent", [b"CONNECT fcm.googleapis.com:80 HTTP/1.1\r\n\r\n", b"CONNECT \r\n\r\n", b"CONNECT \xff:443 x\r\n\r\n"]
)
async def test_whatever_else_is_asked_for_is_refused(simulator: Simulator, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.origin.rpartition(":")[2]))
    writer.write(sent)

    assert (await reader.read()).startswith(b"HTTP/1.1 502 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("sent", [b"CONNECT " + b"x" * 9000, CONNECT + b"too soon"])
async def test_a_request_that_is_none_is_hung_up_on(simulator: Simulator, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.origin.rpartition(":")[2]))
    writer.write(sent)

    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_a_handshake_that_is_none_is_hung_up_on(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.origin.rpartition(":")[2]))
    writer.write(CONNECT)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connected\r\n\r\n"
    writer.write(b"GET / HTTP/1.1\r\n\r\n")

    with suppress(ConnectionError):
        assert b"HTTP" not in await reader.read()
    writer.transport.abort()


async def test_a_request_in_small_pieces_is_answered(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.origin.rpartition(":")[2]))
    for byte in b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n":
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0)

    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    await writer.wait_closed()
