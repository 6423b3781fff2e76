"""Many wait for the same read: whoever goes away, and whatever becomes of the read, each of the others is served."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import DatabaseError
from tests.reference.bench import Bench, begun
from tests.server.running import ADMIN_TOKEN
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pushdesk.model import Delivery

TEST = "/api/v1/users/anna/webpush/test"
NOTIFICATIONS = "/api/v1/users/anna/notifications?wait=20"


async def hang_up_in_the_middle(desk: Bench, path: str, body: object) -> None:
    """Ask over a connection of its own, and close it when the request has been read."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {desk.server.authority}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nExpect: 100-continue\r\n\r\n"
    )
    host, _, port = desk.server.authority.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode())
    await writer.drain()
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    writer.write(content)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_a_caller_who_is_cancelled_takes_the_read_from_nobody(desk: Bench) -> None:
    await desk.subscribe_quietly("anna", "phone")
    engine = desk.server.engine
    with desk.store.hold_next_read() as held:
        first, second, third = (asyncio.create_task(engine.test("anna")) for _ in range(3))
        await held.begun.wait()
        # The one who had it begun, and one who joined.
        first.cancel()
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert first.cancelled()
        assert second.cancelled()
        fourth = asyncio.create_task(engine.test("anna"))
        await begun(fourth)
        held.let_go.set()
        for waiting in (third, fourth):
            assert [delivery.outcome for delivery in await waiting] == ["accepted"]
    assert desk.reads_of("anna") == 1
    assert desk.pushed_to() == ["phone", "phone"]
    assert await desk.cached_devices("anna") == 1


async def test_when_all_who_waited_are_gone_the_read_still_serves_the_next(desk: Bench) -> None:
    await desk.subscribe_quietly("anna", "phone")
    engine = desk.server.engine
    with desk.store.hold_next_read() as held:
        only = asyncio.create_task(engine.test("anna"))
        await held.begun.wait()
        only.cancel()
        await asyncio.gather(only, return_exceptions=True)
        held.let_go.set()
        assert [delivery.outcome for delivery in await engine.test("anna")] == ["accepted"]
    assert desk.reads_of("anna") == 1


@pytest.mark.parametrize(("path", "body"), [(TEST, {}), (NOTIFICATIONS, {"title": "From one who is gone"})])
async def test_a_client_that_hangs_up_while_it_waits_fails_nobody_else(desk: Bench, path: str, body: object) -> None:
    await desk.subscribe_quietly("anna", "phone")
    with desk.store.hold_next_read() as held:
        await hang_up_in_the_middle(desk, path, body)
        await held.begun.wait()
        others = [
            asyncio.create_task(desk.ask("POST", "anna", "test", {})),
            asyncio.create_task(desk.server.admin("POST", NOTIFICATIONS, {"title": "From one who waits"})),
        ]
        await begun(*others)
        held.let_go.set()
        tested, notified = await asyncio.gather(*others)
    assert [delivery["outcome"] for delivery in tested.json["deliveries"]] == ["accepted"]
    assert notified.status == 200
    assert notified.json["dispatch"]["counts"] == {"accepted": 1}
    # What was asked for by the one who hung up was accepted, and is sent all the same.
    await desk.server.push_service.wait_for_pushes(3)
    assert desk.reads_of("anna") == 1


async def test_a_read_that_fails_is_told_to_all_who_waited_and_is_not_kept(desk: Bench) -> None:
    await desk.subscribe_quietly("anna", "phone")
    engine = desk.server.engine

    async def outcome() -> tuple[Delivery, ...] | DatabaseError:
        try:
            return await engine.test("anna")
        except DatabaseError as error:
            return error

    await desk.sql("ALTER TABLE user_state RENAME TO elsewhere")
    failed = await asyncio.gather(*(outcome() for _ in range(5)))
    assert all(isinstance(error, DatabaseError) for error in failed)
    # Each its own: whoever raises an error adds to it.
    assert len({id(error) for error in failed}) == 5
    assert desk.reads_of("anna") == 1
    assert_problem(await desk.ask("POST", "anna", "test", {}), 500, "database_error")
    await desk.sql("ALTER TABLE elsewhere RENAME TO user_state")
    assert [delivery.outcome for delivery in await engine.test("anna")] == ["accepted"]


async def test_users_who_are_missed_while_one_is_read_are_read_together(desk: Bench) -> None:
    users = [f"user {number}" for number in range(40)]
    for number, user in enumerate(users):
        await desk.subscribe_quietly(user.replace(" ", "%20"), f"d{number}")
    engine = desk.server.engine
    with desk.store.hold_next_read() as held:
        first = asyncio.create_task(engine.test(users[0]))
        await held.begun.wait()
        rest = [asyncio.create_task(engine.test(user)) for user in users[1:]]
        await begun(*rest)
        held.let_go.set()
        for deliveries in await asyncio.gather(first, *rest):
            assert [delivery.outcome for delivery in deliveries] == ["accepted"]
    assert desk.store.watched.reads == [{users[0]}, set(users[1:])]
