"""When the history of a server is fetched, and what is shown of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

import msgspec
import pytest

from pushdesk.console.app import PushdeskApp
from pushdesk.console.screens import charts
from pushdesk.console.screens.charts import ChartsScreen
from pushdesk.errors import PushdeskError
from pushdesk.model import Outcome, Span
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console, past

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.model import History

WIDE = (120, 40)
STEP_S = 0.02
"""Of a server that is in a hurry: a test does not wait two seconds."""


def hurried_desk() -> FakeDesk:
    desk = busy_desk()
    desk.histories[Span.MINUTES] = msgspec.structs.replace(past(Span.MINUTES), step_s=STEP_S)
    return desk


def going_on(desk: FakeDesk) -> PushdeskApp:
    """Return a console whose clock goes on."""
    began = monotonic()

    def now() -> datetime:
        return NOON + timedelta(seconds=monotonic() - began)

    return PushdeskApp(desk, url=URL, mode="embedded", now=now)


def shown(app: PushdeskApp) -> History:
    assert isinstance(app.screen, ChartsScreen)
    assert app.screen.history is not None
    return app.screen.history


async def test_h_shows_an_hour_a_day_and_five_minutes_again() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:01")
        for words, time in (("1 hour", "11:45"), ("1 day", "00:00"), ("5 min", "12:01")):
            await pilot.press("h")
            await until_says(pilot, f"Sends · {words}", f"Latency · {words}", f"Outcomes · {words}", time)
        assert desk.spans == [Span.MINUTES, Span.HOUR, Span.DAY, Span.MINUTES]


async def test_a_click_on_a_chart_shows_another_time() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:01")
        await pilot.click("#sends-chart")
        await until_says(pilot, "Sends · 1 hour")
        await pilot.click("#mix")
        await until_says(pilot, "Sends · 1 day")


async def test_a_span_that_is_not_known_is_as_good_as_none(tmp_path: Path) -> None:
    app = console(busy_desk(), state_file=tmp_path / "console.json")
    app.remember_view("charts", msgspec.structs.replace(app.view("charts"), span="3w"))
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:01")


async def test_no_other_time_can_be_asked_for_while_the_server_is_away() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:01")
        desk.lose()
        await until_says(pilot, "reconnecting")
        await pilot.press("h")
        assert toasts(app) == ["The connection is lost; it is tried again all the time."]
        assert "Sends · 5 min" in text_of(app)


async def test_an_error_is_told_once_and_the_history_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "RETRY_S", STEP_S)
    desk = busy_desk()
    desk.history_trouble = PushdeskError("The database is locked.", code="database_error")
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until_says(pilot, "The history could not be fetched.")
        await until(pilot, lambda: len(desk.spans) > 3)
        assert len(app.failures) == 1
        desk.history_trouble = None
        await until_says(pilot, "12:01")


@pytest.mark.parametrize("fields", [{"step_s": 0.0}, {"steps": 0}, {"end": datetime.max.replace(tzinfo=UTC)}])
async def test_a_history_that_makes_no_sense_is_an_error_and_nothing_else(fields: dict[str, object]) -> None:
    desk = busy_desk()
    desk.histories[Span.MINUTES] = msgspec.structs.replace(past(Span.MINUTES), **fields)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "The history could not be fetched.", "The server told a his", "✓ healthy", "412/s")


@pytest.mark.parametrize(
    "fields",
    [
        {"sends": ()},
        {"p50_ms": (), "p95_ms": (1e308, -5.0, None)},
        {"outcomes": {Outcome.GONE: (1,), Outcome.KEY_MISMATCH: (-3, 2**62)}},
        {"cache_hits": (5,), "cache_lookups": (1, -1)},
        {"queue": (-7, 2**62)},
    ],
)
async def test_series_of_strange_numbers_are_drawn_somehow(fields: dict[str, object]) -> None:
    desk = busy_desk()
    desk.histories[Span.MINUTES] = msgspec.structs.replace(past(Span.MINUTES), **fields)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:01", "✓ healthy")
        await pilot.press("4")
        await until_says(pilot, "Hit ratio · 5 min")


async def test_nothing_is_asked_of_a_server_that_does_nothing_and_its_charts_go_on() -> None:
    desk = hurried_desk()
    app = going_on(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min")
        # What had happened before it was asked for may be in a step that was not over: it is asked for twice.
        await until(pilot, lambda: shown(app).end >= NOON + timedelta(seconds=20 * STEP_S))
        asked = len(desk.spans)
        assert asked <= 3
        history = shown(app)
        assert history.sends[-10:] == (0,) * 10
        assert history.p95_ms[-10:] == (None,) * 10
        assert history.queue[-10:] == (3,) * 10
        assert len(history.sends) == len(history.outcomes[Outcome.ACCEPTED]) == 150
        await until(pilot, lambda: shown(app).end > history.end)
        assert len(desk.spans) == asked


async def test_the_history_is_asked_for_again_when_the_server_did_something() -> None:
    desk = hurried_desk()
    app = going_on(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ChartsScreen) and app.screen.history)
        await until(pilot, lambda: shown(app).end >= NOON + timedelta(seconds=5 * STEP_S))
        asked = len(desk.spans)
        desk.set_stats(in_flight=7)
        await until(pilot, lambda: len(desk.spans) > asked)


async def test_nothing_is_asked_while_another_screen_is_shown() -> None:
    desk = hurried_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:0")
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · ")
        await settled(pilot)
        asked = len(desk.spans)
        for in_flight in range(3, 13):
            desk.set_stats(in_flight=in_flight)
            await until(pilot, partial(_is_told, app, in_flight))
        assert len(desk.spans) == asked
        await pilot.press("1")
        await until(pilot, lambda: len(desk.spans) > asked)


async def test_the_history_is_fetched_when_the_server_is_back() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:01")
        desk.lose()
        await until_says(pilot, "reconnecting")
        desk.histories[Span.MINUTES] = msgspec.structs.replace(past(Span.MINUTES), end=NOON + timedelta(minutes=2))
        desk.come_back()
        await until_says(pilot, "12:04")
        assert len(desk.spans) == 2


async def test_a_dialog_over_the_charts_makes_no_difference() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:01")
        await pilot.press("question_mark", "escape")
        await settled(pilot)
        assert desk.spans == [Span.MINUTES]


async def test_refreshing_fetches_the_history_too() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:01")
        await pilot.press("R")
        await until(pilot, lambda: len(desk.spans) == 2)


def _is_told(app: PushdeskApp, in_flight: int) -> bool:
    return app.stats is not None and app.stats.in_flight == in_flight
