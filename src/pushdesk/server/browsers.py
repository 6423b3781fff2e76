"""The subscription API: what a browser, its page and its worker use."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from pushdesk.errors import PushdeskError
from pushdesk.masked import Masked
from pushdesk.model import Delivery, DeviceGrant, Experiment, PushTest, Subscribed, Subscription, SubscriptionRequest
from pushdesk.server.auth import Access
from pushdesk.server.experiments import group
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer

if TYPE_CHECKING:
    from pushdesk.engine.engine import Engine

Endpoint = Annotated[str, Meta(min_length=1, max_length=2048)]


class PublicKey(Struct, frozen=True):
    """The key to subscribe with (RFC 8292): base64url without padding of 65 bytes, and its id."""

    public_key: str
    key_id: str


class NewSubscription(Struct, frozen=True):
    """What became of subscribing; the device token comes with a new subscription only."""

    subscription: Subscription
    test: PushTest
    token: str | msgspec.UnsetType = msgspec.UNSET


class EndpointRequest(Masked, Struct, frozen=True):
    """Which subscription."""

    endpoint: Endpoint

    def __repr__(self) -> str:
        return "EndpointRequest(...)"


class DevicePushTest(Masked, Struct, frozen=True):
    """Which subscription to test; without an endpoint all that the caller may."""

    endpoint: Endpoint | None = None

    def __repr__(self) -> str:
        return "DevicePushTest(...)"


class Deliveries(Struct, frozen=True):
    """What became of a test, per device."""

    deliveries: tuple[Delivery, ...]


async def vapid(call: Call[NoQuery, None]) -> web.Response:
    """Answer with the current public key."""
    key = call.engine.public_key()
    return answer(PublicKey(public_key=key.public_key, key_id=key.id))


async def subscribe(call: Call[NoQuery, SubscriptionRequest]) -> web.Response:
    """Make, renew or change a subscription."""
    wanted = call.body
    if call.grant and call.grant.enrollment is None:
        await _check_own(call, call.grant, wanted.replaces or wanted.endpoint)
    elif call.grant and wanted.replaces is not None:
        await _check_not_anothers(call, call.grant, wanted.replaces)
    if wanted.user_agent is None:
        wanted = msgspec.structs.replace(wanted, user_agent=call.request.headers.get("User-Agent", "")[:512])
    made: Subscribed = await call.engine.subscribe(call.user, wanted, call.grant)
    return answer(
        NewSubscription(made.subscription, made.test, made.token or msgspec.UNSET), status=201 if made.created else 200
    )


async def unsubscribe(call: Call[NoQuery, EndpointRequest]) -> web.Response:
    """Remove a subscription."""
    if call.grant:
        await _check_own(call, call.grant, call.body.endpoint)
    await call.engine.unsubscribe(call.user, call.body.endpoint)
    return web.Response(status=204, headers={"Cache-Control": "no-store"})


async def test(call: Call[NoQuery, DevicePushTest]) -> web.Response:
    """Send the test push to one device, or to all that the caller may."""
    subscription = call.grant.subscription if call.grant else None
    if call.body.endpoint is not None:
        if call.grant:
            await _check_own(call, call.grant, call.body.endpoint)
        subscription = (await call.engine.find_subscription(call.user, call.body.endpoint)).id
    elif call.grant and subscription is None:
        # None means all of the user's, which this browser may not test.
        raise PushdeskError(
            "This browser has no subscription.",
            code="subscription_not_found",
            hint="Open the page in it and enable notifications.",
        )
    return answer(Deliveries(await call.engine.test_browser(call.user, subscription)))


async def _check_own(
    call: Call[NoQuery, SubscriptionRequest] | Call[NoQuery, EndpointRequest] | Call[NoQuery, DevicePushTest],
    grant: DeviceGrant,
    endpoint: str,
) -> None:
    """Refuse a device token that is used for another subscription than its own, known or not."""
    if await _find(call.engine, call.user, endpoint) != grant.subscription:
        raise _belongs_to_another()


async def _check_not_anothers(call: Call[NoQuery, SubscriptionRequest], grant: DeviceGrant, endpoint: str) -> None:
    """Refuse an invited browser that would replace another's subscription; its own may be gone already."""
    if await _find(call.engine, call.user, endpoint) not in {None, grant.subscription}:
        raise _belongs_to_another()


async def _find(engine: Engine, user: str, endpoint: str) -> str | None:
    try:
        return (await engine.find_subscription(user, endpoint)).id
    except PushdeskError as error:
        if error.code != "subscription_not_found":
            raise
        return None


def _belongs_to_another() -> PushdeskError:
    return PushdeskError("The device token belongs to another subscription.", code="forbidden")


_SUBSCRIPTION: Final = "/api/v1/users/{user}/webpush/subscription"

ROUTES: Final[tuple[AnyRoute, ...]] = group(
    Experiment.WEB_PUSH,
    Route(
        method="GET",
        path="/api/v1/vapid",
        summary="The key to subscribe with",
        access=Access.PAGE,
        query=NoQuery,
        body=NoneType,
        handler=vapid,
        answers={200: PublicKey},
    ),
    Route(
        method="POST",
        path=_SUBSCRIPTION,
        summary="Make, renew or change a subscription",
        access=Access.DEVICE,
        query=NoQuery,
        body=SubscriptionRequest,
        handler=subscribe,
        answers={201: NewSubscription, 200: NewSubscription},
    ),
    Route(
        method="DELETE",
        path=_SUBSCRIPTION,
        summary="Remove a subscription",
        access=Access.DEVICE,
        query=NoQuery,
        body=EndpointRequest,
        handler=unsubscribe,
        answers={204: None},
    ),
    Route(
        method="POST",
        path="/api/v1/users/{user}/webpush/test",
        summary="Send the test push",
        access=Access.DEVICE,
        query=NoQuery,
        body=DevicePushTest,
        handler=test,
        answers={200: Deliveries},
    ),
)
