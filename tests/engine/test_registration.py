"""Subscribing and unsubscribing, with a real push service for the test push."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from pushdesk.errors import BadKeysError, EndpointRefusedError, PushdeskError
from pushdesk.model import PageQuery, PushTest, SubscriptionKeys, SubscriptionState
from tests.contract.tracing import tracing

if TYPE_CHECKING:
    from pushdesk.engine.engine import Engine
    from tests.engine.conftest import OpenEngine
    from tests.logs import Log
    from tests.push_service import PushService

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"


async def nothing_is_left(engine: Engine) -> bool:
    return not (await engine.subscriptions(PageQuery())).items


async def test_a_new_subscription_is_tried_out_and_gets_a_token(engine: Engine, service: PushService) -> None:
    device = service.device("one")
    made = await engine.subscribe("ada", device.request(user_agent=FIREFOX))
    assert (made.created, made.test) == (True, PushTest.ACCEPTED)
    assert (made.subscription.browser, made.subscription.platform) == ("Firefox", "Linux")
    shown = device.decrypt(service.pushes[0].body)["notification"]
    assert f"{shown['title']} {shown['body']}" == "It's working! You've subscribed to push notifications."
    assert made.token is not None
    grant = await engine.device_grant(made.token)
    assert grant is not None
    assert (grant.subscription, grant.user) == (made.subscription.id, "ada")
    assert made.token not in repr(made)


@pytest.mark.parametrize("token", ["", "pdd", "pdd_x", "pdd_x_y", "pdd_x_y_z", "{good}0", "pdk{rest}", "pdd_\udcff_y"])
async def test_any_other_token_is_none(engine: Engine, service: PushService, token: str) -> None:
    good = (await engine.subscribe("ada", service.device("one").request())).token
    assert good is not None
    assert await engine.device_grant(token.format(good=good, rest=good[3:])) is None


async def test_the_same_again_is_neither_tried_out_nor_given_a_token(engine: Engine, service: PushService) -> None:
    device = service.device("one")
    await engine.subscribe("ada", device.request())
    again = await engine.subscribe("ada", device.request())
    assert (again.created, again.test, again.token) == (False, PushTest.SKIPPED, None)
    assert len(service.pushes) == 1


async def test_one_that_replaces_another_is_not_tried_out(engine: Engine, service: PushService) -> None:
    old, new = service.device("old"), service.device("new")
    await engine.subscribe("ada", old.request())
    made = await engine.subscribe("ada", new.request(replaces=old.endpoint))
    assert (made.created, made.test, made.token is not None) == (True, PushTest.SKIPPED, True)
    assert [item.id for item in (await engine.subscriptions(PageQuery())).items] == [made.subscription.id]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [(410, "", "subscription_gone"), (404, "", "subscription_gone")],
)
async def test_one_that_cannot_be_pushed_to_is_not_kept(
    engine: Engine, service: PushService, status: int, body: str, code: str
) -> None:
    service.answer("one", status, body=body)
    with pytest.raises(PushdeskError) as refused:
        await engine.subscribe("ada", service.device("one").request())
    assert (refused.value.code, refused.value.status) == (code, 422)
    assert await nothing_is_left(engine)
    assert (await engine.users(PageQuery())).items == ()
    assert (await engine.dispatches(PageQuery())).items == ()
    assert (await engine.deliveries(PageQuery())).items == ()
    assert ((await engine.stats()).users, (await engine.stats()).subscriptions) == (0, 0)


async def test_one_that_is_subscribed_with_again_in_that_moment_is_kept(
    start: OpenEngine, service: PushService, log: Log
) -> None:
    device = service.device("one")
    service.answer("one", 410)
    with tracing() as trace:
        async with start() as engine:
            # The first looks what came of its test push: by then the subscription is disabled.
            with trace.hold("SELECT deliveries.id, deliveries.dispatch") as held:
                first = asyncio.create_task(engine.subscribe("ada", device.request()))
                await held.begun.wait()
                service.answer("one", 201)
                again = await engine.subscribe("ada", device.request())
            with pytest.raises(PushdeskError) as refused:
                await first
            assert refused.value.code == "subscription_gone"
            assert (again.created, again.test) == (False, PushTest.ACCEPTED)
            (stored,) = (await engine.subscriptions(PageQuery())).items
            assert (stored.id, stored.state) == (again.subscription.id, SubscriptionState.ACTIVE)
    told = [line["event"] for line in log.lines if line["event"].startswith("subscription_")]
    assert told == ["subscription_made", "subscription_disabled", "subscription_revived"]


async def test_one_that_is_removed_before_it_was_tried_out_is_not_found(
    start: OpenEngine, service: PushService, log: Log
) -> None:
    device = service.device("one")
    with tracing() as trace:
        async with start() as engine:
            with trace.hold("SELECT server_state.generation AS last_generation") as held:
                subscribing = asyncio.create_task(engine.subscribe("ada", device.request()))
                await held.begun.wait()
                await engine.unsubscribe("ada", device.endpoint)
            with pytest.raises(PushdeskError) as missing:
                await subscribing
            assert missing.value.code == "subscription_not_found"
            assert await nothing_is_left(engine)
    assert service.pushes == []
    assert log.of("subscription_untested") == []


async def test_a_service_that_fails_for_now_does_not_keep_a_browser_from_subscribing(
    engine: Engine, service: PushService
) -> None:
    service.answer("one", 400)
    made = await engine.subscribe("ada", service.device("one").request())
    assert (made.created, made.test) == (True, PushTest.TRANSIENT)
    assert made.subscription.state is SubscriptionState.ACTIVE


async def test_the_same_keys_move_to_another_user(engine: Engine, service: PushService) -> None:
    device = service.device("one")
    first = await engine.subscribe("ada", device.request())
    moved = await engine.subscribe("bo", device.request())
    assert (moved.created, moved.subscription.id, moved.subscription.user) == (False, first.subscription.id, "bo")
    assert first.token is not None
    grant = await engine.device_grant(first.token)
    assert grant is not None
    assert grant.user == "bo"


async def test_other_keys_for_a_known_endpoint_are_refused(engine: Engine, service: PushService) -> None:
    await engine.subscribe("ada", service.device("one").request())
    with pytest.raises(PushdeskError) as refused:
        await engine.subscribe("mallory", service.device("one").request())
    assert (refused.value.code, refused.value.status) == ("endpoint_taken", 409)


async def test_the_cap_per_user_holds(engine: Engine, service: PushService) -> None:
    for number in range(3):
        await engine.subscribe("ada", service.device(f"d{number}").request())
    with pytest.raises(PushdeskError, match="already has 3"):
        await engine.subscribe("ada", service.device("d3").request())


async def test_keys_in_either_alphabet_with_and_without_padding_are_the_same(
    engine: Engine, service: PushService
) -> None:
    device = service.device("one")
    await engine.subscribe("ada", device.request())
    standard = SubscriptionKeys(
        device.keys.p256dh.replace("-", "+").replace("_", "/") + "=",
        device.keys.auth.replace("-", "+").replace("_", "/") + "==",
    )
    again = await engine.subscribe("ada", structs.replace(device.request(), keys=standard))
    assert not again.created


@pytest.mark.parametrize(
    ("p256dh", "auth", "fields"),
    [
        ("BA" + "A" * 85, None, ("keys.p256dh",)),
        (None, "AAAA", ("keys.auth",)),
        ("!", "!", ("keys.p256dh", "keys.auth")),
        ("", "", ("keys.p256dh", "keys.auth")),
    ],
)
async def test_keys_that_cannot_be_used_are_named(
    engine: Engine, service: PushService, p256dh: str | None, auth: str | None, fields: tuple[str, ...]
) -> None:
    device = service.device("one")
    keys = SubscriptionKeys(
        device.keys.p256dh if p256dh is None else p256dh, device.keys.auth if auth is None else auth
    )
    with pytest.raises(BadKeysError) as refused:
        await engine.subscribe("ada", structs.replace(device.request(), keys=keys))
    assert refused.value.fields == fields
    assert await nothing_is_left(engine)


async def test_an_endpoint_that_is_not_sent_to_is_refused(engine: Engine, service: PushService) -> None:
    elsewhere = structs.replace(service.device("one").request(), endpoint="https://push.example.com/one")
    with pytest.raises(EndpointRefusedError) as refused:
        await engine.subscribe("ada", elsewhere)
    assert "/one" not in str(refused.value)
    assert await nothing_is_left(engine)


async def test_a_key_that_this_server_does_not_sign_with_is_refused(engine: Engine, service: PushService) -> None:
    with pytest.raises(PushdeskError) as refused:
        await engine.subscribe("ada", service.device("one").request(key_id="00000000"))
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("key_id",))
    assert await nothing_is_left(engine)


async def test_unsubscribing_twice_is_not_found(engine: Engine, service: PushService) -> None:
    device = service.device("one")
    await engine.subscribe("ada", device.request())
    await engine.unsubscribe("ada", device.endpoint)
    with pytest.raises(PushdeskError) as missing:
        await engine.unsubscribe("ada", device.endpoint)
    assert missing.value.code == "subscription_not_found"
