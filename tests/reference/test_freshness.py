"""After the answer to a change of somebody's subscriptions, the very next notification uses the new ones.

With the old ones in the cache, and with a read of the old ones on its way from the database.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.errors import PushdeskError
from tests.reference.bench import Bench, begun
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.push_service import Device
    from tests.reference.watching import Held

MISMATCH = "VAPID public key mismatch"


@dataclass
class Scene:
    """Anna has two devices, one of which things happen to; Bert has one."""

    desk: Bench
    stays: Device
    changes: Device
    berts: Device
    ids: dict[str, str] = field(default_factory=dict)
    """The subscriptions' ids, by the devices' names."""
    waiting: list[asyncio.Task[Any]] = field(default_factory=list)

    @classmethod
    async def set_up(cls, desk: Bench) -> Scene:
        stays = await desk.subscribe_quietly("anna", "stays")
        changes = await desk.subscribe_quietly("anna", "changes")
        berts = await desk.subscribe_quietly("bert", "berts")
        scene = cls(desk, stays, changes, berts)
        for name, device in (("stays", stays), ("changes", changes)):
            scene.ids[name] = (await desk.server.engine.find_subscription("anna", device.endpoint)).id
        scene.ids["berts"] = (await desk.server.engine.find_subscription("bert", berts.endpoint)).id
        return scene

    async def under_way(self, status: int, body: str = "") -> None:
        """Have the device that changes be sent to, and its answer on the way."""
        service = self.desk.server.push_service
        service.answer("changes", status, body=body)
        service.hold = asyncio.Event()
        pushed = len(self.desk.pushes)
        self.waiting.append(asyncio.create_task(self.desk.notify("anna", "Before")))
        await service.wait_for_pushes(pushed + 2)

    async def answer(self) -> None:
        """Let the answer come, and be acted upon."""
        service = self.desk.server.push_service
        assert service.hold is not None
        service.hold.set()
        await asyncio.gather(*self.waiting)
        service.hold = None
        service.answer("changes", 201)


@dataclass(frozen=True)
class Change:
    """Something that changes who has which devices, and who has them afterwards."""

    name: str
    happens: Callable[[Scene], Awaitable[object]]
    annas: tuple[str, ...]
    berts: tuple[str, ...] = ("berts",)
    before: Callable[[Scene], Awaitable[object]] | None = None
    """What has to be before anything is read."""


async def subscribes(scene: Scene) -> None:
    await scene.desk.subscribe_quietly("anna", "new")


async def unsubscribes(scene: Scene) -> None:
    await scene.desk.unsubscribe("anna", scene.changes)


async def moves(scene: Scene) -> None:
    # As one that replaces nothing that is known: without a test push, which a read that is held back would hold back.
    answer = await scene.desk.try_to_subscribe("bert", scene.changes)
    assert (answer.status, answer.json["subscription"]["user"]) == (200, "bert")


async def takes_the_place_of_another(scene: Scene) -> None:
    new = scene.desk.server.push_service.device("new")
    assert (await scene.desk.try_to_subscribe("anna", new, replaces=scene.changes.endpoint)).status == 201


async def changes_its_key(scene: Scene) -> None:
    key_id = (await scene.desk.server.ask("GET", "/api/v1/vapid")).json["key_id"]
    answer = await scene.desk.try_to_subscribe("anna", scene.changes, key_id=key_id)
    assert (answer.status, answer.json["subscription"]["key_id"]) == (200, key_id)


async def the_key_is_rotated(scene: Scene) -> None:
    assert (await scene.desk.server.admin("POST", "/api/v1/admin/keys/rotate", {"confirm": "rotate"})).status == 200


async def the_operator_removes_it(scene: Scene) -> None:
    body = {"ids": [scene.ids["changes"]]}
    answer = await scene.desk.server.admin("POST", "/api/v1/admin/subscriptions/remove", body)
    assert answer.json == {"removed": 1}


async def it_was_found_to_be_gone(scene: Scene) -> None:
    await scene.under_way(410)
    await scene.answer()


async def comes_back(scene: Scene) -> None:
    unknown = scene.desk.server.push_service.origin + "/none"
    answer = await scene.desk.try_to_subscribe("anna", scene.changes, replaces=unknown)
    assert (answer.status, answer.json["subscription"]["state"]) == (200, "active")


CHANGES = (
    Change("another is subscribed", subscribes, ("changes", "new", "stays")),
    Change("unsubscribed", unsubscribes, ("stays",)),
    Change("moved to another user", moves, ("stays",), ("berts", "changes")),
    Change("replaced by another", takes_the_place_of_another, ("new", "stays")),
    Change("made with another key", changes_its_key, ("changes", "stays"), before=the_key_is_rotated),
    Change("removed by the operator", the_operator_removes_it, ("stays",)),
    Change("gone", Scene.answer, ("stays",), before=lambda scene: scene.under_way(410)),
    Change("of another key", Scene.answer, ("stays",), before=lambda scene: scene.under_way(401, MISMATCH)),
    Change("back after it was gone", comes_back, ("changes", "stays"), before=it_was_found_to_be_gone),
)


async def expect(scene: Scene, change: Change, *, user: str, title: str) -> None:
    """Check whom a notification is sent to, by whom it was pushed to and by what is told of it."""
    expected = sorted(change.annas if user == "anna" else change.berts)
    scene.desk.pushes.clear()
    dispatch = await scene.desk.notify(user, title)
    assert scene.desk.pushed_to() == expected
    assert dispatch["counts"] == {"accepted": len(expected)}


async def expect_from_now_on(scene: Scene, change: Change) -> None:
    desk = scene.desk
    for title in ("Second", "Third"):
        await expect(scene, change, user="anna", title=title)
        await expect(scene, change, user="bert", title=title)
    assert await desk.cached_devices("anna") == len(change.annas)
    assert await desk.cached_devices("bert") == len(change.berts)
    assert (await desk.states("anna")).count("active") == len(change.annas)
    assert (await desk.states("bert")).count("active") == len(change.berts)


@pytest.mark.parametrize("change", [pytest.param(change, id=change.name) for change in CHANGES])
async def test_the_next_notification_uses_the_new_list_when_the_old_one_was_cached(desk: Bench, change: Change) -> None:
    scene = await Scene.set_up(desk)
    await desk.notify("anna")
    await desk.notify("bert")
    if change.before is not None:
        await change.before(scene)
    assert await desk.cached_devices("anna") is not None
    assert await desk.cached_devices("bert") == 1
    await change.happens(scene)
    await expect_from_now_on(scene, change)


@pytest.mark.parametrize("change", [pytest.param(change, id=change.name) for change in CHANGES])
async def test_the_next_notification_uses_the_new_list_when_the_old_one_is_being_read(
    desk: Bench, change: Change
) -> None:
    scene = await Scene.set_up(desk)
    engine = desk.server.engine
    if change.before is not None:
        await change.before(scene)
    await desk.forget("anna")
    await desk.forget("bert")
    with desk.store.hold_next_read() as held:
        earlier = [
            asyncio.create_task(engine.test("anna", scene.ids["stays"])),
            asyncio.create_task(engine.test("bert", scene.ids["berts"])),
        ]
        await held.begun.wait()
        assert desk.store.watched.reads[-1] == {"anna", "bert"}
        await change.happens(scene)
        desk.pushes.clear()
        annas, berts = await desk.accepted("anna", "Next"), await desk.accepted("bert", "Next")
        held.let_go.set()
        assert (await desk.settled(annas))["counts"] == {"accepted": len(change.annas)}
        assert (await desk.settled(berts))["counts"] == {"accepted": len(change.berts)}
        for (delivery,) in await asyncio.gather(*earlier):
            assert delivery.outcome == "accepted"
    # One more for each test push that the read was begun for.
    assert desk.pushed_to() == sorted((*change.annas, *change.berts, "stays", "berts"))
    await expect_from_now_on(scene, change)


async def test_a_pushed_key_is_the_one_that_the_device_was_subscribed_with_again(desk: Bench) -> None:
    scene = await Scene.set_up(desk)
    await desk.notify("anna")
    await the_key_is_rotated(scene)
    await changes_its_key(scene)
    desk.pushes.clear()
    await desk.notify("anna")
    new = (await desk.server.ask("GET", "/api/v1/vapid")).json["public_key"]
    keys = {push.path: push.headers["Authorization"].partition("k=")[2] for push in desk.pushes}
    assert keys["/changes"] == new
    assert keys["/stays"] != new


async def ask_after(desk: Bench, held: Held, before: asyncio.Task[Any], *, is_in: bool) -> asyncio.Task[Any]:
    """Ask for the test push while a read that was begun before is on its way, or when it has come in."""
    if is_in:
        held.let_go.set()
        await asyncio.wait([before])
    after = asyncio.create_task(desk.server.engine.test("anna"))
    await begun(after)
    held.let_go.set()
    await asyncio.wait([before])
    return after


@pytest.mark.parametrize("is_in", [False, True], ids=["the old read is on its way", "the old read has come in"])
async def test_who_asks_after_a_first_subscribe_never_gets_the_read_from_before_it(desk: Bench, *, is_in: bool) -> None:
    """Without a generation to ask for: the test push knows of none."""
    engine = desk.server.engine
    with desk.store.hold_next_read() as held:
        before = asyncio.create_task(engine.test("anna"))
        await held.begun.wait()
        await desk.subscribe_quietly("anna", "phone")
        after = await ask_after(desk, held, before, is_in=is_in)
        assert [delivery.outcome for delivery in await after] == ["accepted"]
        with pytest.raises(PushdeskError) as nobody:
            await before
        assert nobody.value.code == "subscription_not_found"
    assert await desk.cached_devices("anna") == 1
    assert [delivery.outcome for delivery in await engine.test("anna")] == ["accepted"]
    assert desk.pushed_to() == ["phone", "phone"]


@pytest.mark.parametrize("is_in", [False, True], ids=["the old read is on its way", "the old read has come in"])
async def test_who_asks_after_an_unsubscribe_never_gets_the_read_from_before_it(desk: Bench, *, is_in: bool) -> None:
    device = await desk.subscribe_quietly("anna", "phone")
    with desk.store.hold_next_read() as held:
        # For a device that she has not, so that nothing is accepted that would have her devices read anew.
        before = asyncio.create_task(desk.server.engine.test("anna", "another"))
        await held.begun.wait()
        await desk.unsubscribe("anna", device)
        after = await ask_after(desk, held, before, is_in=is_in)
        for asked in (before, after):
            with pytest.raises(PushdeskError) as nobody:
                await asked
            assert nobody.value.code == "subscription_not_found"
    assert await desk.cached_devices("anna") == 0
    assert_problem(await desk.ask("POST", "anna", "test", {}), 404, "subscription_not_found")
    assert desk.pushed_to() == []


async def test_clearing_the_cache_takes_what_is_on_its_way_too(desk: Bench) -> None:
    device = await desk.subscribe_quietly("anna", "phone")
    with desk.store.hold_next_read() as held:
        before = asyncio.create_task(desk.server.engine.test("anna"))
        await held.begun.wait()
        # Behind the server's back: only clearing can tell.
        await desk.sql("DELETE FROM subscriptions")
        assert (await desk.server.admin("POST", "/api/v1/admin/cache/clear")).json == {"cleared": 0}
        after = asyncio.create_task(desk.server.engine.test("anna"))
        await begun(after)
        held.let_go.set()
        with pytest.raises(PushdeskError):
            await after
        await before
    assert await desk.cached_devices("anna") == 0
    assert desk.pushed(device) == []


async def test_a_change_that_another_process_made_is_seen_by_the_next_notification(desk: Bench) -> None:
    """What is due is told together with the generation, and nothing older than that is used."""
    for name in ("stays", "changes"):
        await desk.subscribe("anna", name)
    desk.pushed_to()
    reads = desk.reads_of("anna")
    await desk.sql(
        "DELETE FROM subscriptions WHERE endpoint LIKE '%/changes'",
        "UPDATE server_state SET generation = generation + 1",
        "UPDATE user_state SET generation = (SELECT generation FROM server_state)",
    )
    assert (await desk.notify("anna"))["counts"] == {"accepted": 1}
    assert (await desk.notify("anna"))["counts"] == {"accepted": 1}
    assert desk.pushed_to() == ["stays", "stays"]
    assert desk.reads_of("anna") == reads + 1


async def test_what_was_read_slowly_is_not_believed_for_longer(desk: Bench) -> None:
    await desk.subscribe_quietly("anna", "phone")
    with desk.store.hold_next_read() as held:
        first = asyncio.create_task(desk.server.engine.test("anna"))
        await held.begun.wait()
        desk.clock.advance(100)
        held.let_go.set()
        await first
    reads = desk.reads_of("anna")
    desk.clock.advance(80)
    await desk.notify("anna")
    assert desk.reads_of("anna") == reads + 1
