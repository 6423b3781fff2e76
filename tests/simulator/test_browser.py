"""Virtual browsers: they subscribe, decrypt, and recover as real ones do."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from py_vapid import Vapid02
from pywebpush import webpush

from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.simulator.browser import VirtualBrowser
from pushdesk.simulator.decryption import BrowserKeys, ReceivedMessage, UndecryptableError
from pushdesk.simulator.registry import PushState
from pushdesk.simulator.service import Simulator
from tests.simulator.application import encrypted, unpadded
from tests.simulator.desk_server import DeskServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.application import Application


@pytest.fixture
async def browser(simulator: Simulator) -> AsyncIterator[VirtualBrowser]:
    async with VirtualBrowser(simulator.url, user="zoë / x", user_agent="Test/1") as browser:
        yield browser


@pytest.fixture
async def server(application: Application) -> AsyncIterator[DeskServer]:
    async with DeskServer(application.public_key) as server:
        yield server


def pushed(title: str) -> bytes:
    return json.dumps({"web_push": 8030, "notification": {"title": title}}).encode()


async def test_it_subscribes_as_a_page_does(browser: VirtualBrowser, server: DeskServer) -> None:
    await browser.subscribe(server.url)

    method, user, authorization, body = server.asked[0]
    subscription = browser.subscription
    assert subscription is not None
    assert (method, user, authorization) == ("POST", "zoë / x", None)
    assert body == {
        "endpoint": subscription.endpoint,
        "expirationTime": None,
        "keys": subscription.keys,
        "key_id": "0a1b2c3d",
        "user_agent": "Test/1",
    }
    assert (len(subscription.keys["p256dh"]), len(subscription.keys["auth"])) == (87, 22)
    assert browser.token == "t1"


async def test_it_decrypts_what_it_is_pushed(
    browser: VirtualBrowser, simulator: Simulator, application: Application
) -> None:
    subscription = await browser.register(application.public_key)
    plaintext = pushed("Hello")
    await application.post(subscription.endpoint, encrypted(plaintext, subscription.keys))
    message = await browser.wait_for_message("Hello")
    push = simulator.registry.pushes[0]
    await simulator.wait_until(lambda: push.state is PushState.ACKNOWLEDGED)

    assert (message.plaintext, message.notification, push.code) == (plaintext, {"title": "Hello"}, 100)


async def test_pywebpush_reaches_it() -> None:
    vapid = Vapid02()
    vapid.generate_keys()
    key = unpadded(vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    async with Simulator() as simulator, VirtualBrowser(simulator.url) as browser:
        subscription = await browser.register(key)
        answer = await asyncio.to_thread(
            webpush,
            {"endpoint": subscription.endpoint, "keys": subscription.keys},
            data=pushed("By pywebpush"),
            vapid_private_key=vapid,
            vapid_claims={"sub": "mailto:a@b.example"},
            ttl=60,
        )

        assert answer.status_code == 201
        assert (await browser.wait_for_message()).title == "By pywebpush"


async def test_what_is_not_for_it_is_acknowledged_as_undecryptable(
    simulator: Simulator, application: Application
) -> None:
    told: list[ReceivedMessage | PushdeskError] = []
    async with VirtualBrowser(simulator.url, report=lambda _, event: told.append(event)) as browser:
        subscription = await browser.register(application.public_key)
        await application.post(subscription.endpoint, b"not encrypted")
        push = simulator.registry.pushes[0]
        await simulator.wait_until(lambda: push.state is PushState.ACKNOWLEDGED)

        assert push.code == 101
        assert [type(event) for event in told] == [PushdeskError]
        assert not browser.received


async def test_a_push_without_a_body_is_received(browser: VirtualBrowser, application: Application) -> None:
    subscription = await browser.register(application.public_key)
    await application.post(subscription.endpoint)
    message = await browser.wait_for_message()

    assert (message.plaintext, message.notification, message.title) == (None, None, "")


@pytest.mark.parametrize(
    "plaintext", [b"plain words", b"[]", b'{"notification": 5}', b'{"notification": {"title": 5}}']
)
async def test_a_message_of_any_content_is_received(
    browser: VirtualBrowser, application: Application, plaintext: bytes
) -> None:
    subscription = await browser.register(application.public_key)
    await application.post(subscription.endpoint, encrypted(plaintext, subscription.keys))
    message = await browser.wait_for_message()

    assert (message.plaintext, message.title) == (plaintext, "")


async def test_it_unsubscribes_at_both_ends_with_its_token(
    browser: VirtualBrowser, server: DeskServer, application: Application
) -> None:
    await browser.subscribe(server.url)
    endpoint = server.last["endpoint"]
    await browser.unsubscribe()

    assert server.asked[-1] == ("DELETE", "zoë / x", "Bearer t1", {"endpoint": endpoint})
    assert (await application.post(endpoint, b"x")).status == 410
    assert browser.subscription is None


async def test_subscribing_again_with_the_same_key_keeps_the_subscription(
    browser: VirtualBrowser, server: DeskServer
) -> None:
    await browser.subscribe(server.url)
    await browser.subscribe(server.url)

    assert server.asked[0][3] == server.asked[1][3]
    assert browser.token == "t1"


async def test_another_key_of_the_server_gives_a_new_subscription(
    browser: VirtualBrowser, server: DeskServer, application: Application
) -> None:
    await browser.subscribe(server.url)
    old = server.last["endpoint"]
    new_key = Vapid02()
    new_key.generate_keys()
    server.public_key = "B" + application.public_key[1:][::-1]
    await browser.subscribe(server.url)

    assert server.last["replaces"] == old != server.last["endpoint"]
    assert server.asked[-1][2] == "Bearer t1"
    assert browser.token == "t2"
    assert (await application.post(old, b"x")).status == 410


async def test_it_reconnects_and_gets_what_has_been_waiting(
    browser: VirtualBrowser, simulator: Simulator, application: Application
) -> None:
    subscription = await browser.register(application.public_key)
    assert simulator.disconnect() == 1
    await simulator.wait_until(lambda: all(one.connection is None for one in simulator.registry.browsers.values()))
    await application.post(subscription.endpoint, encrypted(pushed("Late"), subscription.keys))
    assert simulator.registry.pushes[0].state is PushState.WAITING

    assert (await browser.wait_for_message()).title == "Late"


async def test_it_subscribes_anew_when_the_push_service_has_forgotten_it(
    browser: VirtualBrowser, simulator: Simulator, server: DeskServer, application: Application
) -> None:
    await browser.subscribe(server.url)
    old = server.last["endpoint"]
    simulator.disconnect(new_uaid=True)
    await simulator.wait_until(lambda: simulator.registry.channels)
    assert (await application.post(old, b"x")).status == 410
    new = browser.subscription
    assert new is not None
    await application.post(new.endpoint, encrypted(pushed("Anew"), new.keys))
    await browser.wait_for_message("Anew")

    assert (server.last["endpoint"], server.last["replaces"]) == (new.endpoint, old)


async def test_a_refusal_of_the_server_is_its_own_problem(browser: VirtualBrowser, server: DeskServer) -> None:
    problem = {
        "code": "endpoint_refused",
        "title": "t",
        "detail": "No \x1b[31msuch host.",
        "hint": "Allow it.",
        "fields": ["endpoint"],
    }
    server.refusal = (400, json.dumps(problem).encode(), "application/problem+json")
    with pytest.raises(PushdeskError) as caught:
        await browser.subscribe(server.url)

    error = caught.value
    assert (error.code, error.exit_code, error.hint, error.fields) == (
        "endpoint_refused",
        2,
        "Allow it.",
        ("endpoint",),
    )
    assert "\x1b" not in str(error)


@pytest.mark.parametrize(
    "refusal", [(404, b"<h1>Not here</h1>", "text/html"), (302, b"", "text/html"), (200, b"{}", "application/json")]
)
async def test_what_is_no_pushdesk_server_is_said_to_be_none(
    browser: VirtualBrowser, server: DeskServer, refusal: tuple[int, bytes, str]
) -> None:
    server.refusal = refusal
    with pytest.raises(PushdeskError, match="pushdesk server"):
        await browser.subscribe(server.url)


async def test_a_server_that_is_not_there_is_unreachable(browser: VirtualBrowser, unused_port: int) -> None:
    with pytest.raises(UnreachableError, match="does not answer"):
        await browser.subscribe(f"http://127.0.0.1:{unused_port}")


async def test_a_push_service_that_is_not_there_is_unreachable(unused_port: int) -> None:
    with pytest.raises(UnreachableError, match="simulator"):
        async with VirtualBrowser(f"http://127.0.0.1:{unused_port}"):
            pass


async def test_no_secret_is_in_a_repr(browser: VirtualBrowser, server: DeskServer) -> None:
    await browser.subscribe(server.url)
    subscription = browser.subscription
    assert subscription is not None
    shown = f"{browser!r} {vars(browser)!r} {subscription!r}"

    assert all(secret not in shown for secret in (subscription.endpoint, *subscription.keys.values()))


@given(st.binary(max_size=300))
def test_garbage_is_undecryptable_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(UndecryptableError):
        BrowserKeys(b"a" * 16).decrypt(body)


@given(st.binary(min_size=1, max_size=3993), st.data())
def test_a_changed_byte_makes_a_push_undecryptable(plaintext: bytes, data: st.DataObject) -> None:
    keys = BrowserKeys(b"a" * 16)
    body = bytearray(encrypted(plaintext, keys.shared()))
    assert keys.decrypt(bytes(body)) == plaintext
    # Not the record size (RFC 8188 section 2.1): a push has one record, whatever size it could have had.
    place = data.draw(st.integers(0, len(body) - 1).filter(lambda place: not 16 <= place < 20))
    body[place] ^= 1

    with pytest.raises(UndecryptableError):
        keys.decrypt(bytes(body))


def test_a_header_without_a_record_is_undecryptable() -> None:
    keys = BrowserKeys(b"a" * 16)
    header = encrypted(b"x", keys.shared())[:86]

    with pytest.raises(UndecryptableError):
        keys.decrypt(header)
