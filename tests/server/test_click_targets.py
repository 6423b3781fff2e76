"""A notification whose clicks lead elsewhere is refused when it is handed in, and nothing of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.server.running import running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/api/v1/users/anna/notifications"
ELSEWHERE = "https://evil.example/secret-token"


async def test_every_field_that_leads_elsewhere_is_named_with_the_setting_that_would_allow_it(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        actions = [
            {"action": "a", "title": "A", "url": "/fine"},
            {"action": "b", "title": "B", "url": ELSEWHERE},
            {"action": "c", "title": "C", "url": f"//evil.example\\@{server.authority}/"},
        ]
        body = {"title": "Hi", "url": ELSEWHERE, "icon": "https://cdn.example/i.png", "actions": actions}
        answer = await server.admin("POST", PATH, body)
        problem = assert_problem(answer, 400, "bad_field", "url", "actions[1].url", "actions[2].url")
        assert "click_origin" in problem["hint"]
        assert b"secret-token" not in answer.content
        assert await server.is_empty()


async def test_this_server_its_own_pages_and_pictures_from_anywhere_are_taken(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        for url in ("/report", "report?x=1", f"{server.url}/report", None):
            body = {"title": "Hi", "url": url, "icon": "https://cdn.example/i.png"}
            answer = await server.admin("POST", PATH, {name: value for name, value in body.items() if value})
            assert answer.status == 202, answer.content
