"""Facts to judge: a device, what was sent to it, and its user, of which a test says what is special."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import structs

from pushdesk.engine.verdict_surroundings import Surroundings
from pushdesk.model import (
    Delivery,
    Dispatch,
    DispatchKind,
    DispatchState,
    KeyState,
    Outcome,
    Service,
    Subscription,
    SubscriptionState,
)
from pushdesk.storage.explaining import DeliveryFacts, Device, Sent, UserFacts
from pushdesk.storage.sendings import Sending

NOW: Final = datetime(2027, 1, 15, 3, 0, tzinfo=UTC)
SENT_AT: Final = NOW - timedelta(hours=1)
ANSWERED_AT: Final = SENT_AT + timedelta(seconds=1)
LATER: Final = NOW + timedelta(minutes=5)
HERE: Final = Surroundings(NOW)
OFF: Final = Surroundings(NOW, sends=False)


def subscription(id_: str = "s1", **changes: Any) -> Subscription:
    made = Subscription(
        id=id_,
        user="ada",
        service=Service.MOZILLA,
        fingerprint="0a1b2c3d",
        browser="Firefox",
        platform="Linux",
        key_id="0a1b2c3d",
        state=SubscriptionState.ACTIVE,
        created_at=SENT_AT - timedelta(days=1),
    )
    return structs.replace(made, **changes)


def device(
    id_: str = "s1",
    *,
    key: KeyState | None = KeyState.CURRENT,
    latest: Sent | None = None,
    ending: Sent | None = None,
    **changes: Any,
) -> Device:
    made = subscription(id_, **changes)
    return Device(made, f"{made.browser} · {made.platform}", key, latest, ending)


def sending(state: DispatchState = DispatchState.DONE, **changes: Any) -> Sending:
    due_at, only = changes.pop("due_at", SENT_AT), changes.pop("subscription", None)
    dispatch = Dispatch(
        id="d1", user="ada", kind=DispatchKind.NOTIFICATION, title="Hello", accepted_at=SENT_AT, state=state
    )
    return Sending(structs.replace(dispatch, **changes), due_at, due_at + timedelta(days=1), 86400, only)


def delivery(outcome: Outcome, id_: str = "v1", **changes: Any) -> Delivery:
    made = Delivery(
        id=id_,
        dispatch="d1",
        user="ada",
        subscription="s1",
        service=Service.MOZILLA,
        outcome=outcome,
        at=ANSWERED_AT,
        attempts=1,
        device="Firefox · Linux",
    )
    return structs.replace(made, **changes)


def sent(outcome: Outcome, **changes: Any) -> Sent:
    return Sent(delivery(outcome, **changes), sending())


def of_a_delivery(
    outcome: Outcome, to: Device | None = None, *, has_live: bool = True, **changes: Any
) -> DeliveryFacts:
    return DeliveryFacts(sent(outcome, **changes), to, has_live)


def of_a_user(*devices: Device, **changes: Any) -> UserFacts:
    return UserFacts(user="ada", devices=devices, is_known=changes.pop("is_known", True), **changes)
