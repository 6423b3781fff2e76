"""Subscribing and unsubscribing: what a browser hands over is checked, stored, and tried out with a test push."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.engine.device_tokens import device_token, secret_digest
from pushdesk.engine.user_agent import UNKNOWN, describe
from pushdesk.errors import PushdeskError
from pushdesk.log import write
from pushdesk.log_events import (
    SubscriptionMade,
    SubscriptionMoved,
    SubscriptionRefused,
    SubscriptionRevived,
    SubscriptionUntested,
)
from pushdesk.log_fields import Device, Failure, Reason
from pushdesk.model import (
    Outcome,
    PushTest,
    Subscribed,
)
from pushdesk.storage.records import NewSubscription
from pushdesk.storage.subscriptions import not_found
from pushdesk.webpush.encryption import decode_keys
from pushdesk.webpush.endpoint import check_endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.clock import Clock
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.keyring import Keyring
    from pushdesk.engine.publisher import Publisher
    from pushdesk.model import Delivery, DeviceGrant, SubscriptionRequest
    from pushdesk.storage.records import Stored
    from pushdesk.storage.subscriptions import Subscriptions

TEST_WAIT_S: Final = 4.0
"""How long the outcome of the test push is waited for: with its answer, a browser is kept for 5 seconds at most."""
_REFUSED: Final = {
    Outcome.GONE: ("subscription_gone", "The push service no longer knows this subscription."),
    Outcome.KEY_MISMATCH: ("key_mismatch", "The subscription was made with another key than this server's."),
}


class Registration:
    """Takes subscriptions in and out.

    Args:
        subscriptions: Where they are stored.
        keyring: Says which key a subscription was made with.
        allowed_origins: Endpoints' origins that are taken although they are no known push service.
        max_devices: How many subscriptions a user may have.
        test: Sends the test push to one subscription and returns its deliveries after at most so many seconds.
        publisher: Told what storing changed.
        identifiers: For ids and device tokens.
        clock: For the time of creation.
    """

    def __init__(
        self,
        *,
        subscriptions: Subscriptions,
        keyring: Keyring,
        allowed_origins: frozenset[str],
        max_devices: int,
        test: Callable[[str, str, float], Awaitable[tuple[Delivery, ...]]],
        publisher: Publisher,
        identifiers: Identifiers,
        clock: Clock,
    ) -> None:
        self._subscriptions = subscriptions
        self._keyring = keyring
        self._allowed_origins = allowed_origins
        self._max_devices = max_devices
        self._test = test
        self._publisher = publisher
        self._identifiers = identifiers
        self._clock = clock

    async def subscribe(self, user: str, request: SubscriptionRequest, grant: DeviceGrant | None = None) -> Subscribed:
        """Store a browser's subscription for a user, and try it out if it is new and replaces none.

        An invited browser keeps its token: with a new subscription it is told the one that it showed.

        Args:
            user: Whose subscription it is.
            request: What the browser hands over.
            grant: What its device token allows, if it showed one.

        Raises:
            EndpointRefusedError: The endpoint is not one that is sent to.
            BadKeysError: p256dh or auth cannot be used.
            PushdeskError: `endpoint_taken`, `forbidden` (too many devices), `subscription_gone` or `key_mismatch`
                (the test push was answered so, and nothing was kept), `subscription_not_found` (it was removed
                while it was tried out), `bad_field` (a key that is not known), `unauthorized` (the grant has ended).
            DatabaseError: Nothing was kept.
        """
        new, secret = self._new(user, request)
        stored = await self._subscriptions.put(
            new,
            replaces=request.replaces,
            max_per_user=self._max_devices,
            now_ms=round(self._clock.time() * 1000),
            grant=grant,
        )
        if stored.made_user:
            self._publisher.user_made(user)
        self._publisher.subscriptions_removed(stored.removed)
        subscription = stored.subscription
        if stored.changed:
            _log_change(stored)
            self._publisher.subscriptions_changed([subscription])
        test = PushTest.SKIPPED
        if request.replaces is None and (stored.created or stored.revived):
            test = await self._try_out(stored)
        if not stored.created:
            return Subscribed(subscription, test, created=False)
        token = device_token(subscription.id, secret)
        if grant is not None and grant.enrollment is not None:
            token = grant.token
        return Subscribed(subscription, test, created=True, token=token)

    async def _try_out(self, stored: Stored) -> PushTest:
        """Send the test push; a subscription that cannot be pushed to is not kept, unless it was there before."""
        subscription = stored.subscription
        try:
            deliveries = await self._test(subscription.user, subscription.id, TEST_WAIT_S)
        except PushdeskError as error:
            if error.code in {"subscription_not_found", "not_found"}:
                # Removed meanwhile, alone or with its user and the test, or disabled, or somebody else's by now: there
                # is nothing to say that it is there.
                raise not_found(subscription.user) from None
            # It is stored: the browser gets its token, whatever became of the test.
            write(SubscriptionUntested(Failure.of(error)))
            return PushTest.TRANSIENT
        for delivery in deliveries:
            if delivery.outcome is Outcome.ACCEPTED:
                return PushTest.ACCEPTED
            if delivery.outcome in _REFUSED:
                withdrawn = await self._subscriptions.withdraw(stored) if stored.created else None
                if withdrawn is not None:
                    if withdrawn.with_user:
                        self._publisher.user_removed(subscription.user, [subscription])
                    else:
                        self._publisher.subscriptions_removed([subscription])
                    write(
                        SubscriptionRefused(
                            Device.of(subscription), status=delivery.status, reason=Reason(delivery.reason)
                        )
                    )
                code, detail = _REFUSED[delivery.outcome]
                raise PushdeskError(
                    detail,
                    code=code,
                    hint="Unsubscribe in the browser and subscribe again, with the key of /api/v1/vapid.",
                )
        return PushTest.TRANSIENT

    def _new(self, user: str, request: SubscriptionRequest) -> tuple[NewSubscription, str]:
        service = check_endpoint(request.endpoint, allowed_origins=self._allowed_origins)
        p256dh, auth = decode_keys(request.keys.p256dh, request.keys.auth)
        key_id = request.key_id or self._keyring.current.id
        # One that has ended is refused where it is stored: there it is seen to the last moment.
        if self._keyring.signing_key(key_id) is None and not self._keyring.has_ended(key_id):
            raise PushdeskError(
                f"key_id {key_id} is no key that this server signs with.",
                code="bad_field",
                fields=("key_id",),
                hint="Subscribe with the key of /api/v1/vapid.",
            )
        browser, platform = describe(request.user_agent) if request.user_agent else (UNKNOWN, UNKNOWN)
        secret = self._identifiers.secret()
        new = NewSubscription(
            id=self._identifiers.new(),
            user=user,
            service=service,
            key_id=key_id,
            key_is_declared=request.key_id is not None,
            browser=browser,
            platform=platform,
            token_digest=secret_digest(secret),
            endpoint=request.endpoint,
            p256dh=p256dh,
            auth=auth,
        )
        return new, secret


def _log_change(stored: Stored) -> None:
    device = Device.of(stored.subscription)
    if stored.created:
        write(SubscriptionMade(device))
    elif stored.revived:
        write(SubscriptionRevived(device))
    else:
        write(SubscriptionMoved(device))
