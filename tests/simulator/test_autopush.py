"""The WebSocket: what a real Firefox says and is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest

from pushdesk.simulator.registry import Limits, PushState
from pushdesk.simulator.service import Simulator
from tests.simulator.wire import CHANNEL, OTHER_CHANNEL, Clock, Wire

if TYPE_CHECKING:
    from tests.simulator.application import Application


def states(simulator: Simulator) -> list[PushState]:
    return [push.state for push in simulator.registry.pushes]


async def gone(simulator: Simulator) -> None:
    await simulator.wait_until(lambda: all(one.connection is None for one in simulator.registry.browsers.values()))


async def test_the_subprotocol_is_agreed_on(wire: Wire) -> None:
    assert wire.socket.protocol == "push-notification"


async def test_a_browser_keeps_its_id_and_an_unknown_one_gets_a_new_id(
    simulator: Simulator, session: aiohttp.ClientSession, wire: Wire
) -> None:
    uaid = await wire.hello()
    async with Wire(session, simulator.url) as again:
        assert await again.hello(uaid) == uaid
    async with Wire(session, simulator.url) as other:
        assert await other.hello("0123456789abcdef0123456789abcdef") not in {uaid, "0123456789abcdef0123456789abcdef"}


async def test_a_second_connection_of_a_browser_closes_the_first(
    simulator: Simulator, session: aiohttp.ClientSession, wire: Wire, application: Application
) -> None:
    uaid = await wire.hello()
    endpoint = await wire.register(application.public_key)
    async with Wire(session, simulator.url) as again:
        await again.hello(uaid)
        await wire.closed()
        await application.post(endpoint, b"x")

        assert (await again.read())["channelID"] == CHANNEL


async def test_registering_again_gives_the_same_endpoint(
    simulator: Simulator, session: aiohttp.ClientSession, wire: Wire, application: Application
) -> None:
    uaid = await wire.hello()
    endpoint = await wire.register(application.public_key)
    assert await wire.register(application.public_key + "=") == endpoint
    assert await wire.register(application.public_key, OTHER_CHANNEL) != endpoint
    async with Wire(session, simulator.url) as again:
        await again.hello(uaid)

        assert await again.register(application.public_key) == endpoint


@pytest.mark.parametrize("key", ["BAAA", "?", "A" * 88, "A"])
async def test_a_key_that_is_none_is_not_registered(wire: Wire, key: str) -> None:
    await wire.hello()
    answer = await wire.ask(messageType="register", channelID=CHANNEL, key=key)

    assert (answer["status"], answer["pushEndpoint"]) == (400, "")


async def test_a_push_is_a_notification_and_its_ack_is_kept(
    simulator: Simulator, wire: Wire, application: Application
) -> None:
    await wire.hello()
    endpoint = await wire.register(application.public_key)
    await application.post(endpoint, b"\xff\xfe\xfd\xfc", TTL="33")
    notification = await wire.read()
    assert notification == {
        "messageType": "notification",
        "channelID": CHANNEL,
        "version": notification["version"],
        "ttl": 33,
        "data": "__79_A",
        "headers": {"encoding": "aes128gcm"},
    }
    update = {"channelID": CHANNEL, "version": notification["version"], "code": 101}
    await wire.socket.send_json({"messageType": "ack", "updates": [update]})
    push = simulator.registry.pushes[0]
    await simulator.wait_until(lambda: push.state is PushState.ACKNOWLEDGED)

    assert push.code == 101


async def test_pings_are_answered_and_broadcasts_ignored(wire: Wire) -> None:
    await wire.hello()
    await wire.socket.send_json({"messageType": "broadcast_subscribe", "broadcasts": {"a/b": "c"}})
    await wire.socket.send_str("{}")

    assert await wire.read() == {}


class TestWhileTheBrowserIsAway:
    @pytest.fixture
    async def away(
        self, simulator: Simulator, session: aiohttp.ClientSession, application: Application
    ) -> tuple[str, str]:
        """Return the uaid and the endpoint of a browser that has left."""
        async with Wire(session, simulator.url) as wire:
            uaid = await wire.hello()
            endpoint = await wire.register(application.public_key)
        await gone(simulator)
        return uaid, endpoint

    async def test_pushes_wait_in_their_order(
        self, wire: Wire, application: Application, simulator: Simulator, away: tuple[str, str]
    ) -> None:
        uaid, endpoint = away
        for body in (b"1", b"2", b"3"):
            await application.post(endpoint, body)
        assert states(simulator) == [PushState.WAITING] * 3
        await wire.hello(uaid)

        assert [(await wire.read())["data"] for _ in range(3)] == ["MQ", "Mg", "Mw"]

    async def test_a_ttl_of_0_is_dropped(
        self, wire: Wire, application: Application, simulator: Simulator, away: tuple[str, str]
    ) -> None:
        uaid, endpoint = away
        assert (await application.post(endpoint, b"1", TTL="0")).status == 201
        await application.post(endpoint, b"2")
        assert states(simulator) == [PushState.DROPPED, PushState.WAITING]
        await wire.hello(uaid)

        assert (await wire.read())["data"] == "Mg"

    async def test_a_topic_replaces_its_older_push_and_no_other(
        self, wire: Wire, application: Application, away: tuple[str, str]
    ) -> None:
        uaid, endpoint = away
        for body, topic in ((b"1", "a"), (b"2", "b"), (b"3", "a"), (b"4", None)):
            await application.post(endpoint, body, Topic=topic)
        await wire.hello(uaid)

        assert [(await wire.read())["data"] for _ in range(3)] == ["Mg", "Mw", "NA"]

    async def test_what_outlives_its_ttl_is_not_delivered(
        self, wire: Wire, application: Application, simulator: Simulator, clock: Clock, away: tuple[str, str]
    ) -> None:
        uaid, endpoint = away
        await application.post(endpoint, b"1", TTL="10")
        await application.post(endpoint, b"2", TTL="11")
        clock.now += 10
        await wire.hello(uaid)

        assert (await wire.read())["data"] == "Mg"
        assert states(simulator) == [PushState.EXPIRED, PushState.SENT]

    async def test_what_was_sent_and_not_acknowledged_is_sent_again(
        self,
        wire: Wire,
        session: aiohttp.ClientSession,
        application: Application,
        simulator: Simulator,
        away: tuple[str, str],
    ) -> None:
        uaid, endpoint = away
        async with Wire(session, simulator.url) as first:
            await first.hello(uaid)
            await application.post(endpoint, b"1")
            await application.post(endpoint, b"2")
            shown, lost = await first.read(), await first.read()
            update = {"channelID": CHANNEL, "version": shown["version"], "code": 100}
            await first.socket.send_json({"messageType": "ack", "updates": [update]})
            await simulator.wait_until(lambda: PushState.ACKNOWLEDGED in states(simulator))
        await gone(simulator)
        await wire.hello(uaid)

        assert await wire.read() == lost

    async def test_only_so_many_wait(self, session: aiohttp.ClientSession, application: Application) -> None:
        async with Simulator(clock=Clock(), limits=Limits(waiting_per_browser=2)) as simulator:
            async with Wire(session, simulator.url) as wire:
                uaid = await wire.hello()
                endpoint = await wire.register(application.public_key)
            await gone(simulator)
            for body in (b"1", b"2", b"3"):
                await application.post(endpoint, body)
            async with Wire(session, simulator.url) as wire:
                await wire.hello(uaid)

                assert [(await wire.read())["data"] for _ in range(2)] == ["Mg", "Mw"]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "not json",
        "[]",
        "null",
        '{"messageType": "surprise"}',
        '{"messageType": "hello", "uaid": 5}',
        '{"messageType": "register"}',
        '{"messageType": "register", "channelID": "../../x", "key": "a"}',
        '{"messageType": "ack", "updates": "all"}',
        '{"messageType": "hello"}',
    ],
)
async def test_a_malformed_frame_closes_the_connection(wire: Wire, frame: str) -> None:
    await wire.hello()
    await wire.socket.send_str(frame)

    assert await wire.closed() == aiohttp.WSCloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "frame",
    ["", "[]", '{"messageType": "hello", "uaid": 5}', f'{{"messageType": "unregister", "channelID": "{CHANNEL}"}}'],
)
async def test_a_first_frame_that_is_no_hello_closes_the_connection(wire: Wire, frame: str) -> None:
    await wire.socket.send_str(frame)

    assert await wire.closed() == aiohttp.WSCloseCode.PROTOCOL_ERROR


async def test_a_binary_frame_closes_the_connection(wire: Wire) -> None:
    await wire.hello()
    await wire.socket.send_bytes(b"{}")

    assert await wire.closed() == aiohttp.WSCloseCode.PROTOCOL_ERROR


async def test_a_huge_frame_closes_the_connection(wire: Wire) -> None:
    await wire.hello()
    await wire.socket.send_str("x" * 70_000)

    assert await wire.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_browser_over_the_limit_takes_the_place_of_one_that_is_away(
    session: aiohttp.ClientSession, application: Application
) -> None:
    async with Simulator(clock=Clock(), limits=Limits(browsers=2)) as simulator:
        async with Wire(session, simulator.url) as first:
            await first.hello()
            endpoint = await first.register(application.public_key)
        await gone(simulator)
        async with Wire(session, simulator.url) as second, Wire(session, simulator.url) as third:
            await second.hello()
            await third.hello()

            assert (await application.post(endpoint, b"x")).status == 410
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(simulator.url)


async def test_a_browser_has_only_so_many_subscriptions(session: aiohttp.ClientSession) -> None:
    async with Simulator(limits=Limits(channels_per_browser=1)) as simulator, Wire(session, simulator.url) as wire:
        await wire.hello()
        await wire.register(None)

        assert (await wire.ask(messageType="register", channelID=OTHER_CHANNEL))["status"] == 503


async def test_open_connections_do_not_hold_up_the_end(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(2), Simulator() as simulator:
        sockets = [await session.ws_connect(simulator.url) for _ in range(5)]
    assert [(await socket.receive()).data for socket in sockets] == [aiohttp.WSCloseCode.GOING_AWAY] * 5


async def test_a_person_who_opens_the_address_is_told_what_it_is(
    simulator: Simulator, session: aiohttp.ClientSession
) -> None:
    async with session.get(simulator.url) as answer:
        assert "pushdesk simulator" in await answer.text()


async def test_a_web_page_is_no_browser(simulator: Simulator, session: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        await session.ws_connect(simulator.url, origin="https://evil.example")
    async with session.ws_connect(simulator.url, origin=simulator.url.replace("http", "ws") + "/") as socket:
        assert not socket.closed
