"""Users who come and go, and access tokens, are told of where it happens."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from pushdesk.desk import (
    Hello,
    Position,
    SubscriptionChanged,
    SubscriptionRemoved,
    TokenChanged,
    TokenRevoked,
    UserAdded,
    UserRemoved,
)
from pushdesk.errors import PushdeskError
from pushdesk.model import Notification, Scope

if TYPE_CHECKING:
    from pushdesk.desk import AnyEvent
    from pushdesk.engine.engine import Engine
    from tests.push_service import PushService

KINDS = (SubscriptionChanged, SubscriptionRemoved, TokenChanged, TokenRevoked, UserAdded, UserRemoved)


async def told(engine: Engine) -> list[AnyEvent]:
    """Return what was told of users, subscriptions and tokens since the engine started."""
    async with aclosing(engine.events()) as now:
        (hello,) = await anext(now)
    assert isinstance(hello, Hello)
    found: list[AnyEvent] = []
    async with aclosing(engine.events(Position(hello.epoch, 0))) as events:
        await anext(events)
        while not found or found[-1].seq < hello.seq:
            found += await anext(events)
    return [event for event in found if isinstance(event, KINDS)]


def of_user(event: AnyEvent) -> tuple[type, str]:
    assert isinstance(event, UserAdded | UserRemoved | SubscriptionRemoved | SubscriptionChanged)
    return type(event), event.subscription.user if isinstance(event, SubscriptionChanged) else event.user


async def test_a_user_is_added_with_the_first_subscription_and_before_it(engine: Engine, service: PushService) -> None:
    one, two = service.device("one"), service.device("two")
    for device in (one, two, one):
        await engine.subscribe("ada", device.request())
    assert [of_user(event) for event in await told(engine)] == [
        (UserAdded, "ada"),
        (SubscriptionChanged, "ada"),
        (SubscriptionChanged, "ada"),
    ]


async def test_a_user_is_added_with_the_first_invitation(engine: Engine) -> None:
    for _ in range(2):
        await engine.invite("ada")
    assert [of_user(event) for event in await told(engine)] == [(UserAdded, "ada")]


async def test_who_is_only_notified_is_no_user(engine: Engine) -> None:
    await engine.notify("ada", Notification("Hello"), wait_s=10)
    assert await told(engine) == []


async def test_a_user_is_removed_after_their_subscriptions_and_once(engine: Engine, service: PushService) -> None:
    await engine.subscribe("ada", service.device("one").request())
    await engine.remove_user("ada")
    with pytest.raises(PushdeskError):
        await engine.remove_user("ada")
    assert [of_user(event) for event in await told(engine)][2:] == [(SubscriptionRemoved, "ada"), (UserRemoved, "ada")]


async def test_a_user_goes_with_the_only_subscription_that_was_refused(engine: Engine, service: PushService) -> None:
    await engine.subscribe("bo", service.device("good").request())
    service.answer("bad", 410)
    for user in ("ada", "bo"):
        with pytest.raises(PushdeskError):
            await engine.subscribe(user, service.device("bad").request())
    events = [of_user(event) for event in await told(engine)]
    assert [event for event in events if event[0] in {UserAdded, UserRemoved}] == [
        (UserAdded, "bo"),
        (UserAdded, "ada"),
        (UserRemoved, "ada"),
    ]
    assert events[-1] == (SubscriptionRemoved, "bo")


async def test_tokens_are_told_of_without_their_secret(engine: Engine) -> None:
    made = await engine.create_token("backup", [Scope.READ])
    await engine.revoke_token(made.access.id)
    changed, revoked = await told(engine)
    assert isinstance(changed, TokenChanged)
    assert isinstance(revoked, TokenRevoked)
    assert (changed.access, revoked.id) == (made.access, made.access.id)
    assert made.token.rpartition("_")[2] not in repr(changed)
