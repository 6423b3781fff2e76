"""What the indexes of the listings cost those who send: accepting, spreading and settling, with them and without."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from statistics import median
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.model import Delivery, DispatchKind, Outcome, Service, Urgency
from pushdesk.storage.records import Message, Settlement
from pushdesk.storage.store import Store
from pushdesk.storage.times import to_datetime
from tests.crowd import LATEST_MS, name_of, subscription_of

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS: Final = 300
BATCH: Final = 100
"""How many are accepted, and settled, by one transaction."""
WITHOUT: Final = """
DROP INDEX ix_user_state_created_at_user;
DROP INDEX ix_subscriptions_id_user_state_failures;
DROP INDEX ix_subscriptions_service_id_user;
DROP INDEX ix_subscriptions_state_id_user;
DROP INDEX ix_subscriptions_failures_id_user;
DROP INDEX ix_deliveries_at_id_user_outcome_subscription;
CREATE INDEX ix_subscriptions_created_at_id ON subscriptions (created_at, id);
CREATE INDEX ix_deliveries_at_id ON deliveries (at, id);
"""
"""What is needed to list without filters, and without other sorts than that of time."""


async def cost(file: Path, size: int) -> tuple[float, float]:
    """Return how many microseconds of the database a push takes, without the indexes and with them.

    Median of many batches, by turns: what the machine does besides is the same for both. Each pushes to the next of a
    million users in no order, for whom something is written about their device once an hour.

    Args:
        file: A database with a crowd, that nobody has open.
        size: Of the crowd.
    """
    bare = file.with_name("without-indexes.db")
    shutil.copyfile(file, bare)
    with closing(sqlite3.connect(bare)) as connection:
        connection.executescript(WITHOUT)
    took_s: dict[Path, list[float]] = {bare: [], file: []}
    draw = random.Random(1)  # noqa: S311 (no secret)
    async with AsyncExitStack() as stack:
        stores = {path: await stack.enter_async_context(Store(path)) for path in took_s}
        for round_ in range(ROUNDS):
            at_ms = LATEST_MS + 3_600_000 + round_ * 100
            numbers = [draw.randrange(size) for _ in range(BATCH)]
            for path in draw.sample(list(stores), 2):
                began_at = time.perf_counter()
                await _push(stores[path], numbers, size, at_ms)
                took_s[path].append(time.perf_counter() - began_at)
    without, with_ = (median(seconds) / BATCH * 1_000_000 for seconds in took_s.values())
    return without, with_


async def _push(store: Store, numbers: list[int], size: int, at_ms: int) -> None:
    messages, deliveries = [], []
    for place, number in enumerate(numbers):
        user, id_ = name_of(number), f"{at_ms:012x}{place:014x}"
        messages.append(
            Message(
                id=id_,
                user=user,
                kind=DispatchKind.NOTIFICATION,
                title="Tea",
                plaintext=b"It is ready. " * 20,
                urgency=Urgency.NORMAL,
                topic=None,
                subscription=None,
                accepted_at_ms=at_ms,
                due_at_ms=at_ms,
                expires_at_ms=at_ms + 86_400_000,
            )
        )
        deliveries.append(
            Delivery(
                id=id_,
                dispatch=id_,
                user=user,
                subscription=subscription_of(number, size),
                service=Service.FCM,
                outcome=Outcome.WAITING,
                at=to_datetime(at_ms),
                device="Chrome · Android",
            )
        )
    await store.outbox.accept(messages)
    await store.outbox.spread(deliveries, (), {delivery.id: "claim" for delivery in deliveries})
    settled_at = to_datetime(at_ms + 60)
    settlements = [
        Settlement(
            structs.replace(one, outcome=Outcome.ACCEPTED, status=201, attempts=1, latency_ms=60.0, at=settled_at)
        )
        for one in deliveries
    ]
    await store.outbox.settle(settlements, "claim", at_ms + 60)
