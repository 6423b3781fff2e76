"""The past, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from pushdesk.client import HttpDesk
from pushdesk.model import Outcome, Span
from tests.clocks import FrozenClock
from tests.server.running import ADMIN_TOKEN, Surroundings, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.running import Running

HISTORY = "/api/v1/admin/history"


async def test_what_was_sent_is_in_the_history(tmp_path: Path) -> None:
    clock = FrozenClock()
    async with running(tmp_path, surroundings=Surroundings(clock=clock)) as server:
        await server.subscribe("anna", "a")
        clock.advance(2)
        await server.subscribe("anna", "b")
        await server.admin("POST", "/api/v1/users/anna/notifications?wait=5", {"title": "Hello"})
        clock.advance(3)
        answer = await server.admin("GET", f"{HISTORY}?span=5m")
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        assert answer.json["sends"] == [1, 3]
        assert answer.json["outcomes"] == {"accepted": [1, 3]}
        assert datetime.fromisoformat(answer.json["end"]).timestamp() == clock.now - 1
        assert (await server.admin("GET", HISTORY)).json == answer.json
        clock.advance(600)
        async with HttpDesk(server.url, ADMIN_TOKEN) as desk:
            for span in Span:
                assert await desk.history(span) == await server.engine.history(span)
            day = await desk.history(Span.DAY)
        assert (day.steps, day.step_s, day.sends, day.outcomes) == (144, 600.0, (4,), {Outcome.ACCEPTED: (4,)})


@pytest.mark.parametrize("span", ["", "5M", "2h", "5m,1h", "null", "1d "])
async def test_another_span_is_refused(server: Running, span: str) -> None:
    query = span.replace(" ", "%20")
    assert_problem(await server.admin("GET", f"{HISTORY}?span={query}"), 400, "bad_field", "span")


async def test_what_is_no_span_is_refused(server: Running) -> None:
    assert_problem(await server.admin("GET", f"{HISTORY}?step=2"), 400, "unknown_field", "step")
    assert_problem(await server.admin("GET", f"{HISTORY}?span=5m&span=1h"), 400, "bad_field", "span")
