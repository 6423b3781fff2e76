"""Sending once more what a delivery was of: what arrives, where, and when nobody would get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.config import Config, PushConfig
from pushdesk.engine.opening import open_engine
from pushdesk.errors import PushdeskError
from pushdesk.message import build_message, with_id
from pushdesk.model import (
    DispatchKind,
    DispatchState,
    KeyState,
    Notification,
    Outcome,
    PageQuery,
    Turn,
    TurnStatus,
    Urgency,
)
from tests.engine.outbox_bench import ACCESS_URL, HELLO

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.engine.engine import Engine
    from pushdesk.model import Delivery, Dispatch
    from tests.engine.outbox_bench import OutboxBench
    from tests.logs import Log
    from tests.push_service import Device

WAIT_S = 10.0
RICH = Notification(
    "Grüße <b>",
    body="there",
    url="/chat/1",
    tag="chat",
    data={"of": [1, 1e300, 2**63, "\u2028"], "id": "mine"},
    ttl=300,
    urgency=Urgency.HIGH,
    topic="chat 1",
)


async def subscribed(bench: OutboxBench, name: str) -> tuple[Device, str]:
    """Return a new device of Ada's, and its subscription's id."""
    device = bench.service.device(name)
    return device, (await bench.engine.subscribe("ada", device.request())).subscription.id


def to(dispatch: Dispatch, subscription: str) -> Delivery:
    (delivery,) = (item for item in dispatch.deliveries if item.subscription == subscription)
    return delivery


async def refusal(engine: Engine, delivery: str) -> str:
    with pytest.raises(PushdeskError) as refused:
        await engine.resend(delivery)
    assert refused.value.detail
    return refused.value.code


async def test_the_same_arrives_again_at_that_device_only(bench: OutboxBench, log: Log) -> None:
    await subscribed(bench, "other")
    device, subscription = await subscribed(bench, "one")
    bench.service.pushes.clear()
    dispatch = await bench.engine.notify("ada", RICH, wait_s=WAIT_S)
    delivery = to(dispatch, subscription)
    (first,) = (push for push in bench.service.pushes if push.path == "/one")
    bench.service.pushes.clear()
    bench.clock.advance(1000)
    again = await bench.engine.resend(delivery.id)
    done = await bench.done(again)
    (push,) = bench.service.pushes
    assert push.path == "/one"
    for name in ("TTL", "Urgency", "Topic"):
        assert push.headers[name] == first.headers[name]
    assert push.headers["TTL"] == "300"
    before, after = device.decrypt(first.body), device.decrypt(push.body)
    assert after["notification"]["data"]["id"] == again.id != dispatch.id
    before["notification"]["data"]["id"] = again.id
    assert after == before
    assert (again.user, again.kind, again.title) == ("ada", DispatchKind.NOTIFICATION, "Grüße <b>")
    assert (again.state, done.counts) == (DispatchState.QUEUED, {Outcome.ACCEPTED: 1})
    record = await bench.engine.delivery(done.deliveries[0].id)
    assert (record.ttl_s, record.topic, record.urgency, record.delivery.subscription) == (
        *(300, "chat 1", Urgency.HIGH),
        subscription,
    )
    (line,) = log.of("delivery_resent")
    assert (line["delivery"], line["dispatch"], line["user"]) == (delivery.id, again.id, "ada")
    await bench.assert_at_rest()


async def test_what_was_sent_again_can_be_sent_again(bench: OutboxBench) -> None:
    device, _ = await subscribed(bench, "one")
    dispatch = await bench.engine.notify("ada", HELLO, wait_s=WAIT_S)
    for _ in range(2):
        again = await bench.engine.resend(dispatch.deliveries[0].id)
        dispatch = await bench.done(again)
    assert device.decrypt(bench.service.pushes[-1].body)["notification"]["data"]["id"] == dispatch.id


async def test_one_that_is_still_tried_can_be_sent_beside_it(bench: OutboxBench) -> None:
    await subscribed(bench, "one")
    bench.service.answer("one", 500)
    first = await bench.engine.notify("ada", HELLO)
    delivery = await bench.delivery(first, lambda delivery: delivery.attempts == 1)
    bench.service.answers.clear()
    await bench.done(await bench.engine.resend(delivery.id))
    (now,) = (await bench.engine.dispatch(first.id)).deliveries
    assert now.outcome is Outcome.TRANSIENT


async def test_kinds_stay_what_they_were(bench: OutboxBench) -> None:
    device, _ = await subscribed(bench, "one")
    (test,) = await bench.engine.test("ada")
    turned = (await bench.engine.turn(Turn("ada", "c", "Parser", TurnStatus.FINISHED))).dispatch
    assert turned is not None
    turn = (await bench.done(turned)).deliveries[0]
    for delivery, kind in ((test, DispatchKind.TEST), (turn, DispatchKind.TURN)):
        again = await bench.done(await bench.engine.resend(delivery.id))
        assert (again.kind, again.counts) == (kind, {Outcome.ACCEPTED: 1})
    assert device.decrypt(bench.service.pushes[-1].body)["notification"]["tag"] == "turn:c"


async def test_what_expired_has_its_whole_time_again(bench: OutboxBench) -> None:
    await subscribed(bench, "one")
    bench.service.answer("one", 503, headers={"Retry-After": "60"})
    dispatch = await bench.engine.notify("ada", Notification("Hello", ttl=1), wait_s=WAIT_S)
    (delivery,) = dispatch.deliveries
    assert delivery.outcome is Outcome.EXPIRED
    bench.clock.advance(86400)
    bench.service.answers.clear()
    again = await bench.done(await bench.engine.resend(delivery.id))
    assert again.counts == {Outcome.ACCEPTED: 1}
    assert bench.service.pushes[-1].headers["TTL"] == "1"


async def test_nothing_is_sent_where_nobody_would_get_it(bench: OutboxBench) -> None:
    devices = {name: await subscribed(bench, name) for name in ("gone", "old", "left", "moved")}
    keys = {key.state: key.id for key in (await bench.engine.keys(PageQuery())).items}
    dispatch = await bench.engine.notify("ada", HELLO, wait_s=WAIT_S)
    delivery = {name: to(dispatch, subscription).id for name, (_, subscription) in devices.items()}
    bench.service.answer("gone", 410)
    bench.service.answer("old", 401, body="public key mismatch")
    bad = await bench.engine.notify("ada", HELLO, wait_s=WAIT_S)
    assert {Outcome.GONE, Outcome.KEY_MISMATCH} <= set(bad.counts)
    await bench.engine.remove_subscriptions([devices["left"][1]])
    await bench.engine.subscribe("bo", devices["moved"][0].request())
    pushes = len(bench.service.pushes)
    assert {name: await refusal(bench.engine, one) for name, one in delivery.items()} == {
        "gone": "subscription_gone",
        "old": "subscription_gone",
        "left": "subscription_not_found",
        "moved": "subscription_not_found",
    }
    assert await refusal(bench.engine, "unknown") == "not_found"
    assert len(bench.service.pushes) == pushes
    await bench.engine.subscribe("ada", devices["moved"][0].request())
    await bench.done(await bench.engine.resend(delivery["moved"]))
    # Nothing is signed with its key any more, also before its row says so.
    await bench.engine.rotate_key(confirm="rotate")
    await bench.engine.retire_key(keys[KeyState.CURRENT], confirm="retire")
    assert await refusal(bench.engine, delivery["moved"]) == "subscription_gone"


async def test_nothing_is_sent_where_push_is_switched_off(bench: OutboxBench, tmp_path: Path) -> None:
    await subscribed(bench, "one")
    dispatch = await bench.engine.notify("ada", HELLO, wait_s=WAIT_S)
    (delivery,) = dispatch.deliveries
    folder = tmp_path / "off"
    folder.mkdir()
    bench.sql("VACUUM INTO ?", str(folder / bench.file.name))
    push = PushConfig(allow_endpoint=(bench.service.origin,))
    async with open_engine(Config(data_dir=folder, push=push, experiments=frozenset()), access_url=ACCESS_URL) as off:
        assert await refusal(off, delivery.id) == "push_disabled"
        assert (await off.delivery(delivery.id)).delivery == delivery


def test_a_message_is_the_same_byte_for_byte_but_for_its_id() -> None:
    for notification in (RICH, HELLO):
        message = build_message(notification, dispatch="0" * 26, access_url=ACCESS_URL)
        assert with_id(message, "f" * 26) == message.replace(b"0" * 26, b"f" * 26)
        assert with_id(with_id(message, "f" * 26), "0" * 26) == message
