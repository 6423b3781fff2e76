"""Between rows and records: every column's way in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from pushdesk.model import (
    Attempt,
    Delivery,
    Dispatch,
    DispatchKind,
    DispatchState,
    Outcome,
    PushTarget,
    Service,
    Subscription,
    SubscriptionState,
    Urgency,
)
from pushdesk.storage.records import HeldDevice, IdempotencyKey, Message, Plan
from pushdesk.storage.sealing import AUTH, ENDPOINT
from pushdesk.storage.times import to_datetime, to_datetime_or_none, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from pushdesk.storage.records import NewBroadcast, Settlement, Topic
    from pushdesk.storage.sealing import Sealer


def fingerprint_of(digest: bytes) -> str:
    """Return the few digits by which a device is told from others."""
    return digest[:4].hex()


def to_subscription(row: Row[Any]) -> Subscription:
    """Return what may be shown of a row."""
    return Subscription(
        id=row.id,
        user=row.user,
        service=Service(row.service),
        fingerprint=fingerprint_of(row.endpoint_digest),
        browser=row.browser,
        platform=row.platform,
        key_id=row.key_id,
        state=SubscriptionState(row.state),
        created_at=to_datetime(row.created_at),
        last_success_at=to_datetime_or_none(row.last_success_at),
        last_failure_at=to_datetime_or_none(row.last_failure_at),
        failures=row.failures,
    )


def device_label(browser: str, platform: str, fingerprint: str) -> str:
    """Return what a person would call a device: by its fingerprint where neither browser nor platform is known."""
    return " · ".join(part for part in (browser, platform) if part != "unknown") or f"device {fingerprint}"


def to_target(row: Row[Any], sealer: Sealer) -> PushTarget:
    """Return the secrets of a row, unsealed.

    Raises:
        SealBrokenError: One of them is not what was sealed there.
    """
    return PushTarget(
        subscription=row.id,
        version=row.version,
        user=row.user,
        service=Service(row.service),
        key_id=row.key_id,
        device=device_label(row.browser, row.platform, fingerprint_of(row.endpoint_digest)),
        endpoint=sealer.unseal_text(ENDPOINT, row.id, row.endpoint),
        p256dh=row.p256dh,
        auth=sealer.unseal(AUTH, row.id, row.auth),
    )


def to_held(row: Row[Any]) -> HeldDevice:
    """Return what is told of a row that a brake holds."""
    label = device_label(row.browser, row.platform, fingerprint_of(row.endpoint_digest))
    return HeldDevice(row.id, Service(row.service), label)


def settle_row(settlement: Settlement, claim: str) -> dict[str, object]:
    """Return the parameters that settle a delivery under a claim."""
    delivery = settlement.delivery
    next_attempt_at = delivery.next_attempt_at
    return {
        "settled_id": delivery.id,
        "mine": claim,
        "new_outcome": delivery.outcome,
        "new_status": delivery.status,
        "new_reason": delivery.reason,
        "new_attempts": delivery.attempts,
        "new_latency_ms": delivery.latency_ms,
        "new_next_attempt_at": None if next_attempt_at is None else to_milliseconds(next_attempt_at),
        "new_at": to_milliseconds(delivery.at),
        "new_headers": _headers_column(settlement.headers),
        "new_awaits_key": settlement.awaits_key,
    }


def dispatch_row(message: Message, state: DispatchState | None) -> dict[str, object]:
    """Return the row of a new dispatch, in the given state; else that in which it waits to be spread."""
    if state is None:
        is_for_later = message.due_at_ms > message.accepted_at_ms
        state = DispatchState.SCHEDULED if is_for_later else DispatchState.QUEUED
    return {
        "id": message.id,
        "user": message.user or None,
        "kind": message.kind,
        "title": message.title,
        "message": message.plaintext,
        "urgency": message.urgency,
        "topic": message.topic,
        "subscription": message.subscription,
        "state": state,
        "accepted_at": message.accepted_at_ms,
        "due_at": message.due_at_ms,
        "expires_at": message.expires_at_ms,
        "ttl_s": (message.expires_at_ms - message.due_at_ms) // 1000,
        "request": message.request,
        "precedence": None if message.topic is None else message.precedence,
        "sender": message.sender,
    }


def idempotency_row(message: Message, key: IdempotencyKey) -> dict[str, object]:
    """Return the row of a message's idempotency key."""
    return {
        "sender": key.sender,
        "key": key.key,
        "body_digest": key.body_digest,
        "dispatch": message.id,
        "created_at": message.accepted_at_ms,
    }


NEW_DELIVERY: Final = (
    *("id", "dispatch", "user", "subscription", "service", "device", "outcome", "reason", "attempts"),
    *("next_attempt_at", "at", "claim_id", "awaits_key", "topic", "precedence"),
)
"""The columns of a new delivery."""


def delivery_row(
    delivery: Delivery, claim: str | None, awaits_key: str | None, topic: Topic | None
) -> dict[str, object]:
    """Return the row of a new delivery: claimed at once or not, or settled already."""
    now_ms = to_milliseconds(delivery.at)
    next_attempt_at = delivery.next_attempt_at
    due_ms = now_ms if next_attempt_at is None else to_milliseconds(next_attempt_at)
    return {
        "id": delivery.id,
        "dispatch": delivery.dispatch,
        "user": delivery.user,
        "subscription": delivery.subscription,
        "service": delivery.service,
        "device": delivery.device,
        "outcome": delivery.outcome,
        "reason": delivery.reason,
        "attempts": delivery.attempts,
        "next_attempt_at": None if delivery.outcome.is_settled else due_ms,
        "at": now_ms,
        "claim_id": claim,
        "awaits_key": awaits_key,
        "topic": topic.name if topic else None,
        "precedence": topic.precedence if topic else None,
    }


def attempted_row(settlement: Settlement, claim: str | None, topic: Topic | None) -> dict[str, object]:
    """Return the row of a new delivery of which something has become already."""
    delivery = settlement.delivery
    return delivery_row(delivery, claim, settlement.awaits_key, topic) | {
        "status": delivery.status,
        "latency_ms": delivery.latency_ms,
        "headers": _headers_column(settlement.headers),
    }


def broadcast_row(message: Message, broadcast: NewBroadcast) -> dict[str, object]:
    """Return the row of a new broadcast."""
    return {
        "dispatch": message.id,
        "users": broadcast.users,
        "planned": planned_column(broadcast.plan),
        "last_subscription": broadcast.plan.last_subscription,
    }


def planned_column(plan: Plan) -> str:
    """Return the column of how many subscriptions a broadcast is for."""
    return msgspec.json.encode(plan.planned).decode()


def to_plan(row: Row[Any]) -> Plan:
    """Return whom a broadcast is for."""
    return Plan(msgspec.json.decode(row.planned, type=dict[Service, int]), row.last_subscription)


def to_message(row: Row[Any]) -> Message:
    """Return the dispatch as it is worked on."""
    return Message(
        id=row.id,
        user=row.user or "",
        kind=DispatchKind(row.kind),
        title=row.title,
        plaintext=row.message,
        urgency=Urgency(row.urgency),
        topic=row.topic,
        subscription=row.subscription,
        accepted_at_ms=row.accepted_at,
        due_at_ms=row.due_at,
        expires_at_ms=row.expires_at,
        request=row.request,
        precedence=row.precedence or 0,
        sender=row.sender,
    )


def to_delivery(row: Row[Any]) -> Delivery:
    """Return what may be shown of a row: all of it but its claim."""
    return Delivery(
        id=row.id,
        dispatch=row.dispatch,
        user=row.user,
        subscription=row.subscription,
        service=Service(row.service),
        outcome=Outcome(row.outcome),
        at=to_datetime(row.at),
        status=row.status,
        reason=row.reason,
        attempts=row.attempts,
        latency_ms=row.latency_ms,
        next_attempt_at=to_datetime_or_none(row.next_attempt_at),
        device=row.device,
    )


def to_dispatch(row: Any) -> Dispatch:  # noqa: ANN401 (a row, or what else has its columns)
    """Return what may be shown of a row, without the deliveries."""
    return Dispatch(
        id=row.id,
        user=row.user,
        kind=DispatchKind(row.kind),
        title=row.title,
        accepted_at=to_datetime(row.accepted_at),
        state=DispatchState(row.state),
        send_at=to_datetime(row.due_at) if row.state == DispatchState.SCHEDULED else None,
    )


def to_attempt(row: Row[Any], number: int) -> Attempt:
    """Return an attempt: of a row of its own, or the last one, of its delivery's."""
    return Attempt(
        number=number,
        at=to_datetime(row.at),
        outcome=Outcome(row.outcome),
        status=row.status,
        reason=row.reason,
        latency_ms=row.latency_ms,
        headers=msgspec.json.decode(row.headers or "{}", type=dict[str, str]),
    )


def ttl_s_of(row: Row[Any]) -> int:
    """Return for how many seconds a dispatch is kept from when it was first due: at least one where it is not known."""
    return max(1, (row.expires_at - row.due_at) // 1000) if row.ttl_s is None else int(row.ttl_s)


def _headers_column(headers: Mapping[str, str]) -> str | None:
    return msgspec.json.encode(headers).decode() if headers else None
