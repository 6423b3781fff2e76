"""What a push service says of an attempt, as it is kept, shown and logged."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from pushdesk.desk import DeliveryChanged
from pushdesk.model import Outcome
from tests.engine.outbox_bench import HELLO

if TYPE_CHECKING:
    from tests.engine.outbox_bench import OutboxBench
    from tests.logs import Log

SECRET = "tok-Zm9vYmFyc2VjcmV0"
SHOWN = "No subscription /… here"


async def test_what_a_service_repeats_of_the_endpoint_is_nowhere_to_be_seen(bench: OutboxBench, log: Log) -> None:
    await bench.subscribe("ada", SECRET)
    bench.service.answer(SECRET, 400, body=f"No subscription /{SECRET} here")
    async with aclosing(bench.engine.events()) as events:
        await anext(events)
        dispatch = await bench.engine.notify("ada", HELLO, wait_s=10)
        settled = None
        while settled is None:
            for event in await anext(events):
                if isinstance(event, DeliveryChanged) and event.delivery.outcome is Outcome.REFUSED:
                    settled = event.delivery
    assert [delivery.reason for delivery in dispatch.deliveries] == [SHOWN]
    assert settled.reason == SHOWN
    assert [health.last_error for health in (await bench.engine.stats()).services] == [SHOWN]
    assert [line["reason"] for line in log.of("delivery_not_accepted")] == [SHOWN]
    assert SECRET not in log.text
    assert bench.sql("SELECT reason FROM deliveries WHERE outcome = 'refused'") == [(SHOWN,)]
