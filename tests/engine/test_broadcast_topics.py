"""Between broadcasts and all else of their topic, the newer one is the last that a device gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.model import Notification, Outcome, Service
from tests.engine.broadcasting import each, until
from tests.engine.outbox_bench import broken_disk

if TYPE_CHECKING:
    from tests.engine.outbox_bench import OutboxBench
    from tests.push_service import Device

OLDER = Notification("Older", topic="tea")
NEWER = Notification("Newer", topic="tea")


async def phone(bench: OutboxBench, name: str = "ada") -> Device:
    device = bench.service.device(name)
    await bench.engine.subscribe(name, device.request())
    bench.service.pushes.clear()
    return device


def titles(bench: OutboxBench, device: Device, name: str = "ada") -> list[str]:
    pushes = [push for push in bench.service.pushes if push.path == f"/{name}"]
    return [device.decrypt(push.body)["notification"]["title"] for push in pushes]


async def test_a_notification_that_is_spread_late_is_not_sent_after_a_newer_broadcast(bench: OutboxBench) -> None:
    device = await phone(bench)
    await bench.engine.invalidate_cache("ada")
    bench.reads.errors["ada"] = broken_disk()
    older = await bench.engine.notify("ada", OLDER)
    await bench.until(lambda stats: stats.queue == 1)
    await bench.done(await bench.engine.broadcast(NEWER))
    bench.reads.errors.clear()
    await bench.later(6)
    assert (await bench.done(older)).counts == {Outcome.SUPERSEDED: 1}
    assert titles(bench, device) == ["Newer"]
    await bench.assert_at_rest()


async def test_a_broadcast_is_not_tried_again_after_a_newer_one(bench: OutboxBench) -> None:
    device = await phone(bench)
    await phone(bench, "bob")
    bench.service.answer("ada", 500)
    bench.service.silent.add("/bob")
    older = await bench.engine.broadcast(OLDER)
    await bench.service.wait_for_pushes(2)
    bench.service.answers.clear()
    await bench.done(await bench.engine.broadcast(NEWER, each("ada")))
    await until(bench.engine, older, lambda now: now.done == 2)
    found = (await bench.engine.dispatch(older.id)).counts
    assert found[Outcome.SUPERSEDED] == 1
    assert titles(bench, device)[-1] == "Newer"


async def test_an_older_broadcast_gives_way_to_the_list_of_a_newer_one_that_is_done(bench: OutboxBench) -> None:
    device = await phone(bench)
    await bench.engine.pause_service(Service.OTHER)
    older = await bench.engine.broadcast(OLDER)
    await bench.engine.pause_broadcast(older.id)
    await bench.engine.resume_service(Service.OTHER)
    newer = await bench.engine.broadcast(NEWER, each("ada"))
    await bench.done(newer)
    await bench.engine._outbox.broadcasts._look()
    await bench.engine.resume_broadcast(older.id)
    assert (await bench.done(older)).counts == {Outcome.SUPERSEDED: 1}
    assert titles(bench, device) == ["Newer"]


async def test_a_broadcast_that_was_aborted_before_it_reached_anybody_takes_nobodys_place(bench: OutboxBench) -> None:
    device = await phone(bench)
    await bench.engine.pause_service(Service.OTHER)
    older = await bench.engine.broadcast(OLDER)
    newer = await bench.engine.broadcast(NEWER)
    await until(bench.engine, newer, lambda now: now.started_at is not None)
    await bench.engine.abort_broadcast(newer.id)
    await bench.engine.resume_service(Service.OTHER)
    assert (await bench.done(older)).counts == {Outcome.ACCEPTED: 1}
    assert titles(bench, device) == ["Older"]
