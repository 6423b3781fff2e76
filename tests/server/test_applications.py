"""Sending notifications."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from tests.database_changes import change_database
from tests.server.running import running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.running import Running

PATH = "/api/v1/users/anna/notifications"


async def test_a_notification_without_devices_is_accepted_without_deliveries(server: Running) -> None:
    answer = await server.admin("POST", PATH, {"title": "Hello"})
    assert answer.status == 202
    dispatch = answer.json["dispatch"]
    assert (dispatch["user"], dispatch["kind"], dispatch["title"]) == ("anna", "notification", "Hello")
    assert dispatch["deliveries"] == []
    waited = await server.admin("POST", f"{PATH}?wait=5", {"title": "Hello"})
    assert waited.status == 200
    assert waited.json["dispatch"]["state"] == "done"


async def test_waiting_ends_as_soon_as_all_is_settled(server: Running) -> None:
    await server.subscribe("anna", "a")
    await server.subscribe("anna", "b")
    answer = await server.admin("POST", f"{PATH}?wait=20.5", {"title": "Hello", "data": {"n": [1, None]}})
    assert answer.status == 200
    dispatch = answer.json["dispatch"]
    assert dispatch["state"] == "done"
    assert dispatch["counts"] == {"accepted": 2}
    assert (await server.admin("GET", f"/api/v1/dispatches/{dispatch['id']}")).json == dispatch


async def test_the_deliveries_of_a_large_dispatch_follow_one_another(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await server.subscribe("anna", "a")
        dispatch = (await server.admin("POST", f"{PATH}?wait=5", {"title": "Hello"})).json["dispatch"]
        only = dispatch["deliveries"][0]["id"]
        made = [f"{only}-{number:03}" for number in range(449)]
        await change_database(
            tmp_path / "pushdesk.db",
            f"CREATE TEMP TABLE copy AS SELECT * FROM deliveries WHERE id = '{only}'",  # noqa: S608 (an id of ours)
            *itertools.chain.from_iterable(
                (f"UPDATE copy SET id = '{copy}', subscription = id", "INSERT INTO deliveries SELECT * FROM copy")  # noqa: S608 (an id of ours)
                for copy in made
            ),
        )
        seen: list[str] = []
        sizes: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            answer = await server.admin("GET", f"/api/v1/dispatches/{dispatch['id']}{cursor and '?cursor='}{cursor}")
            assert answer.json["counts"] == {"accepted": 450}
            seen += [delivery["id"] for delivery in answer.json["deliveries"]]
            sizes.append(len(answer.json["deliveries"]))
            cursor = answer.json["next"]
        assert (seen, sizes) == ([only, *made], [200, 200, 50])


async def test_a_cursor_of_deliveries_that_cannot_be_one_is_refused(server: Running) -> None:
    dispatch = (await server.admin("POST", PATH, {"title": "Hello"})).json["dispatch"]["id"]
    for cursor in ("", "x" * 129):
        answer = await server.admin("GET", f"/api/v1/dispatches/{dispatch}?cursor={cursor}")
        assert_problem(answer, 400, "bad_field", "cursor")


async def test_what_is_not_settled_within_the_wait_is_202(server: Running) -> None:
    server.push_service.hold = asyncio.Event()
    subscribing = asyncio.create_task(server.subscribe("anna", "a"))
    await server.push_service.wait_for_pushes(1)
    answer = await server.admin("POST", f"{PATH}?wait=0.1", {"title": "Hello"})
    assert answer.status == 202
    assert answer.json["dispatch"]["state"] != "done"
    server.push_service.hold.set()
    assert (await subscribing).status == 201


async def test_a_repeat_with_the_same_key_is_200_with_the_first_dispatch(server: Running) -> None:
    await server.subscribe("anna", "a")
    headers = {"Idempotency-Key": "~" + "k" * 254}
    first = await server.admin("POST", f"{PATH}?wait=5", {"title": "Hello"}, headers=headers)
    pushes = len(server.push_service.pushes)
    again = await server.admin("POST", PATH, {"title": "Hello"}, headers=headers)
    assert again.status == 200
    assert again.json["dispatch"]["id"] == first.json["dispatch"]["id"]
    assert len(server.push_service.pushes) == pushes
    other = await server.admin("POST", PATH, {"title": "Bye"}, headers=headers)
    assert_problem(other, 409, "idempotency_conflict")


async def test_a_dispatch_that_is_not_there_is_not_found(server: Running) -> None:
    assert_problem(await server.admin("GET", "/api/v1/dispatches/unknown"), 404, "not_found")
    assert_problem(await server.admin("GET", "/api/v1/dispatches/%00%FF"), 404, "not_found")


async def test_text_comes_back_as_it_was_sent(server: Running) -> None:
    title = "[/x] <b> \x1b[31m \u202e 🐝"
    assert (await server.admin("POST", PATH, {"title": title})).json["dispatch"]["title"] == title
