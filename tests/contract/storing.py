"""What tests of the store put into it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from pushdesk.engine.topics import topics_of
from pushdesk.model import Delivery, DispatchKind, Outcome, Service, SubscriptionState, Urgency
from pushdesk.storage.records import Disabling, IdempotencyKey, Job, Message, NewSubscription, Settlement
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from pushdesk.storage.records import Stored
    from pushdesk.storage.store import Store

NOW = 1_800_000_000_000
CLAIM = "claim"


def subscription(name: str = "one", user: str = "ada", key: str = "key1") -> NewSubscription:
    return NewSubscription(
        id=f"id-{name}",
        user=user,
        service=Service.MOZILLA,
        key_id=key,
        key_is_declared=False,
        browser="Firefox",
        platform="Linux",
        token_digest=b"t" * 32,
        endpoint=f"https://push.example/{name}",
        p256dh=b"p" * 65,
        auth=b"a" * 16,
    )


def message(name: str = "m1", user: str = "ada", *, key: IdempotencyKey | None = None, due: int = NOW) -> Message:
    return Message(
        id=name,
        user=user,
        kind=DispatchKind.NOTIFICATION,
        title=f"Title of {name}",
        plaintext=b"{}",
        urgency=Urgency.NORMAL,
        topic=None,
        subscription=None,
        accepted_at_ms=NOW,
        due_at_ms=due,
        expires_at_ms=NOW + 60_000,
        idempotency=key,
    )


async def put(store: Store, new: NewSubscription, **options: str) -> Stored:
    return await store.subscriptions.put(new, replaces=options.get("replaces"), max_per_user=10, now_ms=NOW)


async def spread(store: Store, accepted: Message) -> list[Job]:
    await store.outbox.accept([accepted])
    targets = (await store.subscriptions.targets([accepted.user]))[accepted.user].targets
    jobs = [
        Job(
            Delivery(
                id=f"{accepted.id}-{target.subscription}",
                dispatch=accepted.id,
                user=accepted.user,
                subscription=target.subscription,
                service=target.service,
                outcome=Outcome.WAITING,
                at=to_datetime(NOW),
                device=target.device,
            ),
            accepted,
            target,
        )
        for target in targets
        if accepted.subscription in (None, target.subscription)
    ]
    deliveries = [job.delivery for job in jobs]
    claims = {delivery.id: CLAIM for delivery in deliveries}
    await store.outbox.spread(deliveries, [], claims, topics=topics_of([accepted]), now_ms=NOW)
    return jobs


async def find_gone(store: Store, stored: Stored) -> None:
    """Have the test push of a subscription be answered that there is none."""
    subscription = stored.subscription
    test = message(f"test of {subscription.id}", subscription.user)
    test = replace(test, kind=DispatchKind.TEST, subscription=subscription.id)
    (job,) = await spread(store, test)
    await store.outbox.settle([outcome(job, Outcome.GONE)], CLAIM, NOW)


def outcome(job: Job, result: Outcome, *, retry_at: int | None = None) -> Settlement:
    delivery = structs.replace(
        job.delivery,
        outcome=result,
        status=201,
        attempts=job.delivery.attempts + 1,
        latency_ms=3.5,
        next_attempt_at=None if retry_at is None else to_datetime(retry_at),
    )
    gone = Disabling(job.target.subscription, job.target.version, SubscriptionState.GONE)
    return Settlement(delivery, gone if result is Outcome.GONE else None)
