"""The database fails: a 500 that says so and never a 404, nothing half done, and all as before when it is back."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from pushdesk.engine import recipients
from pushdesk.log_events import SettleFailed, name_of
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pushdesk.model import LogEntry
    from tests.logs import Log
    from tests.push_service import Device
    from tests.reference.bench import Bench
    from tests.server.running import Answer

TABLES: Final = ("subscriptions", "user_state", "server_state", "dispatches", "deliveries")


@dataclass
class Scene:
    """Anna has a phone and a laptop that nobody has been told of yet; another phone is about to be hers."""

    desk: Bench
    phone: Device
    laptop: Device
    new: Device
    token: str
    """The phone's."""
    ids: list[str]

    @classmethod
    async def set_up(cls, desk: Bench) -> Scene:
        service = desk.server.push_service
        phone = service.device("phone")
        token = (await desk.try_to_subscribe("anna", phone)).json["token"]
        laptop = await desk.subscribe_quietly("anna", "laptop")
        await desk.forget("anna")
        desk.pushed_to()
        return cls(
            desk, phone, laptop, service.device("new"), token, [item["id"] for item in await desk.listed("anna")]
        )

    @asynccontextmanager
    async def without(self, table: str) -> AsyncIterator[None]:
        """Take a table away, and put it back."""
        await self.desk.sql(f"ALTER TABLE {table} RENAME TO elsewhere")
        try:
            yield
        finally:
            await self.desk.sql(f"ALTER TABLE elsewhere RENAME TO {table}")

    def rows(self) -> dict[str, list[Any]]:
        """Return all that is in the database."""
        with closing(sqlite3.connect(self.desk.path)) as connection:
            return {
                table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}")))  # noqa: S608 (a name from above)
                for table in TABLES
            }


@dataclass(frozen=True)
class Request:
    """What is asked, the tables it cannot do without, and what is answered when they are there."""

    name: str
    ask: Callable[[Scene], Awaitable[Answer]]
    needs: tuple[str, ...]
    status: int


def endpoint_of(device: Device) -> dict[str, str]:
    return {"endpoint": device.endpoint}


REQUESTS: Final = (
    Request(
        "subscribe",
        lambda scene: scene.desk.try_to_subscribe("bert", scene.new),
        ("subscriptions", "user_state", "server_state"),
        201,
    ),
    Request(
        "subscribe the same again",
        lambda scene: scene.desk.try_to_subscribe("anna", scene.phone),
        ("subscriptions",),
        200,
    ),
    Request(
        "subscribe in the place of another",
        lambda scene: scene.desk.try_to_subscribe("anna", scene.new, replaces=scene.phone.endpoint),
        ("subscriptions", "user_state", "server_state"),
        201,
    ),
    Request(
        "move",
        lambda scene: scene.desk.try_to_subscribe("bert", scene.phone),
        ("subscriptions", "user_state", "server_state"),
        200,
    ),
    Request(
        "subscribe with a token",
        lambda scene: scene.desk.ask("POST", "anna", "test", endpoint_of(scene.phone), token=scene.token),
        ("subscriptions",),
        200,
    ),
    Request(
        "unsubscribe",
        lambda scene: scene.desk.ask("DELETE", "anna", "subscription", endpoint_of(scene.phone)),
        ("subscriptions", "user_state", "server_state"),
        204,
    ),
    Request(
        "unsubscribe with a token",
        lambda scene: scene.desk.ask("DELETE", "anna", "subscription", endpoint_of(scene.phone), token=scene.token),
        ("subscriptions", "server_state"),
        204,
    ),
    Request(
        "test",
        lambda scene: scene.desk.ask("POST", "anna", "test", {}),
        ("subscriptions", "user_state", "server_state", "dispatches"),
        200,
    ),
    Request(
        "test one",
        lambda scene: scene.desk.ask("POST", "anna", "test", endpoint_of(scene.laptop)),
        ("subscriptions", "user_state", "dispatches"),
        200,
    ),
    Request(
        "test as the operator",
        lambda scene: scene.desk.server.admin("POST", "/api/v1/admin/test", {"user": "anna"}),
        ("subscriptions", "dispatches"),
        200,
    ),
    Request("notify", lambda scene: scene.desk.try_to_notify("anna", wait_s=0), ("dispatches",), 202),
    Request(
        "remove as the operator",
        lambda scene: scene.desk.server.admin("POST", "/api/v1/admin/subscriptions/remove", {"ids": scene.ids}),
        ("subscriptions", "user_state", "server_state"),
        200,
    ),
)
CASES = [
    pytest.param(request, table, id=f"{request.name} without {table}")
    for request in REQUESTS
    for table in request.needs
]


@pytest.mark.parametrize(("request_", "table"), CASES)
async def test_a_database_that_fails_is_a_500_and_nothing_is_half_done(
    desk: Bench, request_: Request, table: str
) -> None:
    scene = await Scene.set_up(desk)
    before = scene.rows()
    async with scene.without(table):
        problem = assert_problem(await request_.ask(scene), 500, "database_error")
    assert "127.0.0.1" not in str(problem)
    assert scene.rows() == before
    assert desk.pushed_to() == []
    # It works again, without anybody having done anything.
    assert (await request_.ask(scene)).status == request_.status
    expected = (await desk.states("anna")).count("active")
    assert (await desk.notify("anna"))["counts"] == ({"accepted": expected} if expected else {})


@pytest.mark.parametrize("table", ["subscriptions", "user_state", "server_state"])
async def test_what_was_accepted_while_devices_cannot_be_read_is_sent_when_they_can(
    desk: Bench, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipients, "PUT_OFF_S", 0.1)
    scene = await Scene.set_up(desk)
    async with scene.without(table):
        dispatch = await desk.accepted("anna")
        found = (await desk.server.admin("GET", f"/api/v1/dispatches/{dispatch}")).json
        assert (found["state"], found["deliveries"]) == ("queued", [])
    desk.clock.advance(recipients.PUT_OFF_S)
    assert (await desk.settled(dispatch))["counts"] == {"accepted": 2}
    assert desk.pushed_to() == ["laptop", "phone"]


async def test_a_notification_that_cannot_be_stored_is_not_accepted_and_not_sent(desk: Bench) -> None:
    await Scene.set_up(desk)
    await desk.notify("anna")
    desk.pushed_to()
    reads = desk.reads_of("anna")
    await desk.sql("CREATE TRIGGER refuses BEFORE INSERT ON dispatches BEGIN SELECT RAISE(ABORT, 'no room'); END")
    for attempt in (desk.try_to_notify("anna"), desk.ask("POST", "anna", "test", {})):
        assert_problem(await attempt, 500, "database_error")
    await desk.sql("DROP TRIGGER refuses")
    assert desk.pushed_to() == []
    assert (await desk.notify("anna"))["counts"] == {"accepted": 2}
    assert desk.pushed_to() == ["laptop", "phone"]
    assert desk.reads_of("anna") == reads


async def test_a_subscription_whose_test_push_cannot_be_stored_is_kept_with_its_token(desk: Bench) -> None:
    """It is in the database by then: a browser that is told of an error would not know that it is subscribed."""
    phone = desk.server.push_service.device("phone")
    await desk.sql("CREATE TRIGGER refuses BEFORE INSERT ON dispatches BEGIN SELECT RAISE(ABORT, 'no room'); END")
    made = await desk.try_to_subscribe("anna", phone)
    await desk.sql("DROP TRIGGER refuses")
    assert (made.status, made.json["test"]) == (201, "transient")
    assert desk.pushed_to() == []
    tested = await desk.ask("POST", "anna", "test", {}, token=made.json["token"])
    assert [delivery["outcome"] for delivery in tested.json["deliveries"]] == ["accepted"]


async def test_a_commit_that_fails_changes_nothing_and_the_cache_serves_what_is_there(desk: Bench) -> None:
    """The last statement of the transaction fails, after the subscription was deleted in it."""
    scene = await Scene.set_up(desk)
    await desk.notify("anna")
    before = scene.rows()
    await desk.sql("CREATE TRIGGER refuses BEFORE UPDATE ON user_state BEGIN SELECT RAISE(ABORT, 'no room'); END")
    answer = await desk.ask("DELETE", "anna", "subscription", endpoint_of(scene.phone))
    assert_problem(answer, 500, "database_error")
    assert_problem(await desk.try_to_subscribe("anna", scene.new, replaces=scene.phone.endpoint), 500, "database_error")
    await desk.sql("DROP TRIGGER refuses")
    assert scene.rows() == before
    desk.pushed_to()
    assert (await desk.notify("anna"))["counts"] == {"accepted": 2}
    assert desk.pushed_to() == ["laptop", "phone"]
    await desk.unsubscribe("anna", scene.phone)
    assert (await desk.notify("anna"))["counts"] == {"accepted": 1}
    assert desk.pushed_to() == ["laptop"]


async def test_an_answer_that_cannot_be_written_down_is_kept_until_it_can(desk: Bench, log: Log) -> None:
    """A gone device is removed when the database is back, and nothing is pushed a second time."""
    await Scene.set_up(desk)
    desk.server.push_service.answer("phone", 410)
    loop, has_failed = asyncio.get_running_loop(), asyncio.Event()

    def read(entry: LogEntry) -> None:
        if entry.event == name_of(SettleFailed):
            loop.call_soon_threadsafe(has_failed.set)

    await desk.sql(
        "CREATE TRIGGER refuses BEFORE UPDATE OF state ON subscriptions BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with log.ring.listen(read):
        dispatch = await desk.accepted("anna")
        await has_failed.wait()
    assert (await desk.server.admin("GET", f"/api/v1/dispatches/{dispatch}")).json["state"] == "sending"
    await desk.sql("DROP TRIGGER refuses")
    assert (await desk.settled(dispatch))["counts"] == {"accepted": 1, "gone": 1}
    assert desk.pushed_to() == ["laptop", "phone"]
    assert await desk.states("anna") == ["active", "gone"]
    assert (await desk.notify("anna"))["counts"] == {"accepted": 1}


async def test_a_refused_subscription_that_cannot_be_taken_back_is_never_sent_to(desk: Bench) -> None:
    """Storing it was one transaction and taking it back is another: in between it is there, and known to be gone."""
    phone = desk.server.push_service.device("phone")
    desk.server.push_service.answer("phone", 410)
    await desk.sql("CREATE TRIGGER refuses BEFORE DELETE ON subscriptions BEGIN SELECT RAISE(ABORT, 'no'); END")
    assert_problem(await desk.try_to_subscribe("anna", phone), 500, "database_error")
    await desk.sql("DROP TRIGGER refuses")
    assert await desk.states("anna") == ["gone"]
    desk.pushed_to()
    assert (await desk.notify("anna"))["deliveries"] == []
    assert desk.pushed_to() == []
    assert_problem(await desk.try_to_subscribe("anna", phone), 422, "subscription_gone")
    await desk.unsubscribe("anna", phone)
    assert await desk.listed("anna") == []


async def test_a_read_that_hangs_keeps_nobody_waiting_for_the_test_push(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushdesk.engine.registration.TEST_WAIT_S", 0.05)
    monkeypatch.setattr("pushdesk.engine.engine.TEST_WAIT_S", 0.05)
    with desk.store.hold_next_read() as held:
        subscribing = asyncio.create_task(desk.try_to_subscribe("anna", desk.server.push_service.device("phone")))
        await held.begun.wait()
        made = await subscribing
        assert (made.status, made.json["test"]) == (201, "transient")
        assert made.json["token"]
        assert_problem(await desk.ask("POST", "anna", "test", {}), 500, "database_error")
    assert desk.pushed_to() == []
    assert (await desk.notify("anna"))["counts"] == {"accepted": 1}
