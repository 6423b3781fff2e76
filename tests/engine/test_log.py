"""What the engine logs: who subscribed, what was tried, and every line about an attempt with that attempt's ids."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pushdesk.clock import SystemClock
from pushdesk.config import Config, PushConfig
from pushdesk.engine.delivery_log import log_delivery
from pushdesk.engine.engine import Engine
from pushdesk.errors import PushdeskError
from pushdesk.log import bound
from pushdesk.log_fields import Id
from pushdesk.model import Delivery, Notification, Outcome, PageQuery, Service
from pushdesk.storage.store import Store
from pushdesk.webpush.transport import HttpTransport
from tests.engine.test_delivery import until_done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.webpush.request import PushRequest
    from pushdesk.webpush.transport import PushAnswer
    from tests.engine.conftest import OpenEngine
    from tests.logs import Log
    from tests.push_service import PushService

WAIT_S = 10.0
ANNA = Notification("Canary title", body="Canary body")


class ChattyTransport:
    """A transport that logs as a library does, before and after each request, with the URL."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self._library = logging.getLogger("library")

    async def post(self, request: PushRequest) -> PushAnswer:
        self._library.warning("asking %s", request.endpoint)
        answer = await self._transport.post(request)
        self._library.warning("asked %s", request.endpoint)
        return answer

    async def aclose(self) -> None:
        await self._transport.aclose()


@pytest.fixture
async def chatty(service: PushService, tmp_path: Path, log: Log) -> AsyncIterator[Engine]:
    assert log.lines == []
    clock = SystemClock()
    config = Config(data_dir=tmp_path, push=PushConfig(allow_endpoint=(service.origin,)))
    transport = ChattyTransport(HttpTransport(allowed_origins=frozenset({service.origin}), clock=clock.monotonic))
    async with (
        Store(tmp_path / "pushdesk.db") as store,
        Engine(
            config, access_url="http://localhost:8484", store=store, transport=transport, clock=clock, log_ring=log.ring
        ) as engine,
    ):
        yield engine
    await transport.aclose()


async def test_attempts_at_once_keep_their_ids_apart_in_the_lines_of_libraries_too(
    chatty: Engine, service: PushService, log: Log
) -> None:
    users = [f"user-{number}" for number in range(6)]
    for user in users:
        await chatty.subscribe(user, service.device(f"phone-of-{user}").request())
        await chatty.subscribe(user, service.device(f"laptop-of-{user}").request())
    before = len(log.lines)
    service.hold = asyncio.Event()
    pushed = len(service.pushes)
    sending = asyncio.gather(*(chatty.notify(user, ANNA, wait_s=WAIT_S) for user in users))
    # All of them are under way by now.
    await service.wait_for_pushes(pushed + 12)
    service.hold.set()
    dispatches = await sending
    lines = [line for line in log.lines[before:] if "device" in line]
    deliveries = (await chatty.deliveries(PageQuery())).items
    expected = {(delivery.dispatch, delivery.subscription) for delivery in deliveries} & {
        (line["dispatch"], line["device"]) for line in lines
    }
    assert {dispatch for dispatch, _ in expected} == {dispatch.id for dispatch in dispatches}
    assert len(expected) == 12
    for dispatch, device in expected:
        mine = [line for line in lines if (line["dispatch"], line["device"]) == (dispatch, device)]
        assert [line["event"] for line in mine] == ["asking …", "asked …", "delivery_accepted"]
        assert mine[-1]["status"] == 201
    assert len(lines) == 36


async def test_an_attempt_names_the_request_that_its_message_came_with(
    chatty: Engine, service: PushService, log: Log
) -> None:
    await chatty.subscribe("anna", service.device("phone").request())
    for request in ("0b", "0c"):
        with bound(request=Id(request)):
            await chatty.notify("anna", ANNA, wait_s=WAIT_S)
    assert [line["request"] for line in log.of("dispatch_accepted")[1:]] == ["0b", "0c"]
    tried = log.of("delivery_accepted", "asking …")
    assert [line.get("request") for line in tried] == [None, None, "0b", "0b", "0c", "0c"]


async def test_a_later_attempt_still_names_the_request(start: OpenEngine, service: PushService, log: Log) -> None:
    async with start() as engine:
        await engine.subscribe("anna", service.device("phone").request())
        service.answer("phone", 503)
        with bound(request=Id("0b")):
            dispatch = await engine.notify("anna", ANNA)
        await service.wait_for_pushes(3)
        service.answer("phone", 400)
        await until_done(engine, dispatch.id)
    told = log.of("delivery_not_accepted")
    assert {line["outcome"] for line in told} == {"transient", "refused"}
    assert {line["request"] for line in told} == {"0b"}


async def test_a_delivery_that_ends_without_a_try_is_told(start: OpenEngine, service: PushService, log: Log) -> None:
    async with start() as engine:
        phone = service.device("phone")
        await engine.subscribe("anna", phone.request())
        service.answer("phone", 429, headers={"Retry-After": "1"})
        dispatch = await engine.notify("anna", ANNA)
        await service.wait_for_pushes(2)
        await engine.unsubscribe("anna", phone.endpoint)
        ended = await until_done(engine, dispatch.id)
    assert [(delivery.outcome, delivery.status) for delivery in ended.deliveries] == [(Outcome.CANCELLED, None)]
    tried, given_up = log.of("delivery_not_accepted")
    assert (tried["outcome"], tried["status"]) == ("throttled", 429)
    assert (given_up["outcome"], given_up["dispatch"], given_up["user"]) == ("cancelled", dispatch.id, "anna")


async def test_what_becomes_of_a_subscription_is_told(start: OpenEngine, service: PushService, log: Log) -> None:
    async with start() as engine:
        phone = service.device("phone")
        subscribed = await engine.subscribe("ada", phone.request())
        await engine.subscribe("ada", phone.request())
        await engine.subscribe("bo", phone.request())
        service.answer("phone", 410)
        await engine.notify("bo", ANNA, wait_s=WAIT_S)
        service.answer("phone", 201)
        await engine.subscribe("bo", phone.request())
        await engine.unsubscribe("bo", phone.endpoint)
    told = [line for line in log.lines if line["event"].startswith("subscription_")]
    assert [(line["event"], line["user"]) for line in told] == [
        ("subscription_made", "ada"),
        ("subscription_moved", "bo"),
        ("subscription_disabled", "bo"),
        ("subscription_revived", "bo"),
        ("subscription_removed", "bo"),
    ]
    device = subscribed.subscription
    for line in told:
        assert (line["level"], line["device"], line["fingerprint"]) == ("info", device.id, device.fingerprint)
        assert (line["service"], line["browser"], line["platform"]) == ("other", "unknown", "unknown")
    assert told[2]["state"] == "gone"


async def test_a_subscription_that_cannot_be_pushed_to_is_told_with_the_reason(
    engine: Engine, service: PushService, log: Log
) -> None:
    service.answer("phone", 410, body=f"No {service.origin}/phone here")
    with pytest.raises(PushdeskError):
        await engine.subscribe("ada", service.device("phone").request())
    (line,) = log.of("subscription_refused")
    assert (line["status"], line["reason"]) == (410, "No … here")


async def test_what_no_push_service_took_is_told_with_its_outcome(
    engine: Engine, service: PushService, log: Log
) -> None:
    await engine.subscribe("ada", service.device("phone").request())
    service.answer("phone", 503, body="<b>Busy</b>")
    await engine.notify("ada", ANNA, wait_s=0.0)
    await service.wait_for_pushes(2)
    await engine.drain(WAIT_S)
    took_ms = [each.latency_ms for each in (await engine.deliveries(PageQuery())).items]
    assert [each and round(each, 1) for each in took_ms] == took_ms != []
    line = log.of("delivery_not_accepted")[0]
    assert (line["level"], line["service"], line["outcome"]) == ("info", "other", "transient")
    assert (line["status"], line["reason"], line["attempts"]) == (503, "Busy", 1)
    assert line["latency_ms"] > 0


@pytest.mark.parametrize(
    ("outcome", "event", "level"),
    [
        (Outcome.OUR_CONFIGURATION, "delivery_misconfigured", "warning"),
        (Outcome.REFUSED, "delivery_not_accepted", "info"),
        (Outcome.GONE, "delivery_not_accepted", "info"),
    ],
)
def test_only_what_an_operator_has_to_mend_is_a_warning(log: Log, outcome: Outcome, event: str, level: str) -> None:
    log_delivery(
        Delivery("01", "02", "ada", "03", Service.APPLE, outcome, datetime(2026, 11, 22, tzinfo=UTC), status=403)
    )
    (line,) = log.lines
    assert (line["event"], line["level"], line["outcome"], line["status"]) == (event, level, outcome, 403)


async def test_new_keys_and_what_an_operator_does_to_the_cache_are_told(
    start: OpenEngine, service: PushService, log: Log
) -> None:
    async with start() as engine:
        await engine.subscribe("ada", service.device("phone").request())
        first = engine.public_key().id
        second = (await engine.rotate_key(confirm="rotate")).id
        assert await engine.invalidate_cache("ada")
        assert not await engine.invalidate_cache("ada")
        await engine.clear_cache()
    assert [line["key"] for line in log.of("key_made_current")] == [first, second]
    assert [line["user"] for line in log.of("cache_invalidated")] == ["ada"]
    assert [line["entries"] for line in log.of("cache_cleared")] == [0]


async def test_every_line_is_in_the_desks_log_too(chatty: Engine, service: PushService, log: Log) -> None:
    await chatty.subscribe("ada", service.device("phone").request())
    page = await chatty.log(PageQuery())
    events = {entry.event for entry in page.items}
    assert {"key_made_current", "subscription_made", "dispatch_accepted", "delivery_accepted", "asked …"} <= events
    assert "phone" not in log.text
