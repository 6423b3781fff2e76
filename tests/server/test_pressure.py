"""A queue or a disk without room: what more is asked for is refused, and what was accepted is worked on."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pushdesk.config import OutboxConfig
from pushdesk.desk import StatsChanged
from pushdesk.model import Shortage
from tests.server.running import Surroundings, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.logs import Log
    from tests.server.running import Answer, Running

NOTIFICATIONS = "/api/v1/users/ada/notifications"
TURN = {"user": "ada", "conversation": "c", "title": "T", "status": "finished", "text": "Done."}
NO_ROOM = Surroundings(outbox=OutboxConfig(min_free=10**15))
SHORT_QUEUE = Surroundings(outbox=OutboxConfig(max_queue=1))


async def notify(server: Running) -> Answer:
    return await server.admin("POST", NOTIFICATIONS, {"title": "Hello"})


async def refusing(server: Running) -> tuple[dict[str, Any], list[str], dict[str, bool]]:
    """Return what `/readyz`, the warnings and the metrics say."""
    ready = await server.ask("GET", "/readyz")
    stats = (await server.admin("GET", "/api/v1/admin/stats")).json
    assert (ready.status == 503) == bool(stats["refusing"])
    assert list(ready.json["problems"]) == stats["refusing"]
    metrics = (await server.ask("GET", "/metrics")).content.decode()
    shown = {each.value: f'pushdesk_refusing{{shortage="{each}"}} 1.0\n' in metrics for each in Shortage}
    return ready.json["problems"], [text for text in stats["warnings"] if "is accepted" in text], shown


async def test_without_room_on_the_disk_nothing_is_accepted_and_everybody_is_told(tmp_path: Path, log: Log) -> None:
    async with running(tmp_path, surroundings=NO_ROOM) as server:
        assert (await server.subscribe("ada", "one")).json["test"] == "accepted"
        tested = await server.admin("POST", "/api/v1/admin/test", {"user": "ada"})
        assert tested.json["deliveries"][0]["outcome"] == "accepted"
        for answer in (await notify(server), await server.admin("POST", "/api/v1/turns", TURN)):
            assert_problem(answer, 507, "disk_full")
            assert answer.headers["Retry-After"] == "60"
            assert "Make room" in answer.json["hint"]
        problems, warnings, shown = await refusing(server)
        assert "keeps 1000000000 MB" in problems["disk_full"]
        assert warnings == [f"Nothing more is accepted. {problems['disk_full']}"]
        assert shown == {"disk_full": True, "queue_full": False}
    assert [line["shortage"] for line in log.of("accepting_ended")] == ["disk_full"]
    assert log.of("request_failed") == log.of("request_turned_away") == []


async def test_a_full_queue_refuses_until_there_is_room_and_loses_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, surroundings=SHORT_QUEUE) as server:
        await server.subscribe("ada", "one")
        server.push_service.hold = asyncio.Event()
        first = await notify(server)
        assert first.status == 202
        await server.push_service.wait_for_pushes(2)
        refused = await notify(server)
        assert_problem(refused, 503, "queue_full")
        assert refused.headers["Retry-After"] == "10"
        assert "push services take it" in refused.json["hint"]
        (delivery,) = (await server.admin("GET", f"/api/v1/dispatches/{first.json['dispatch']['id']}")).json[
            "deliveries"
        ]
        again = await server.admin("POST", "/api/v1/admin/deliveries/resend", {"delivery": delivery["id"]})
        assert_problem(again, 503, "queue_full")
        problems, warnings, shown = await refusing(server)
        assert warnings == [f"Nothing more is accepted. {problems['queue_full']}"]
        assert shown == {"disk_full": False, "queue_full": True}
        async with aclosing(server.engine.events()) as events:
            server.push_service.hold.set()
            async with asyncio.timeout(10):
                async for batch in events:
                    if any(isinstance(event, StatsChanged) and not event.stats.refusing for event in batch):
                        break
        assert (await refusing(server)) == ({}, [], {"disk_full": False, "queue_full": False})
        found = await server.admin("GET", f"/api/v1/dispatches/{first.json['dispatch']['id']}")
        assert found.json["counts"] == {"accepted": 1}
        assert (await notify(server)).status == 202


async def test_what_was_accepted_before_is_answered_as_ever_when_there_is_no_room(tmp_path: Path) -> None:
    async with running(tmp_path, surroundings=SHORT_QUEUE) as server:
        await server.subscribe("ada", "one")
        server.push_service.hold = asyncio.Event()
        key = {"Idempotency-Key": "once"}
        first = await server.admin("POST", NOTIFICATIONS, {"title": "Hello"}, headers=key)
        await server.push_service.wait_for_pushes(2)
        assert_problem(await notify(server), 503, "queue_full")
        again = await server.admin("POST", NOTIFICATIONS, {"title": "Hello"}, headers=key)
        assert (again.status, again.json["dispatch"]["id"]) == (200, first.json["dispatch"]["id"])
        other = await server.admin("POST", NOTIFICATIONS, {"title": "Bye"}, headers=key)
        assert_problem(other, 409, "idempotency_conflict")
        server.push_service.hold.set()


async def test_what_is_for_nobody_fills_no_queue(tmp_path: Path) -> None:
    async with running(tmp_path, surroundings=SHORT_QUEUE) as server:
        for _ in range(3):
            assert (await server.admin("POST", f"{NOTIFICATIONS}?wait=5", {"title": "To nobody"})).status == 200
