"""A share over time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.app import App, ComposeResult

from pushdesk.console.widgets.chart import ShareChart
from pushdesk.console.widgets.plot import Axis
from tests.console.looking import text_of

if TYPE_CHECKING:
    from pushdesk.console.widgets.plot import Values

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


class Share(App[None]):
    CSS = "ShareChart { height: 100%; }"

    def __init__(self) -> None:
        super().__init__()
        self.chart = ShareChart("$primary", name="share", floors=(0.0, 0.5, 0.9))

    def compose(self) -> ComposeResult:
        yield self.chart


async def drawn(size: tuple[int, int], counted: Values, whole: Values) -> list[str]:
    app = Share()
    async with app.run_test(size=size) as pilot:
        app.chart.show(Axis(NOON, 2.0, len(whole)), counted, whole)
        await pilot.pause()
        return [line.rstrip() for line in text_of(app).splitlines()]


async def test_steps_in_one_column_are_one_share_of_all_that_there_was_in_them() -> None:
    # Of four and a hundred look-ups the hundred count for more.
    counted, whole = (0, 100, 50, 0, 0, 0, 7, 1), (4, 100, 100, 100, 0, 0, 7, 1)
    assert await drawn((4, 1), counted, whole) == ["█▂ █"]


async def test_where_each_step_has_a_column_it_has_its_own_share() -> None:
    assert await drawn((4, 2), (0, 1, 2, 0), (4, 2, 2, 0)) == ["  █", "▁██"]


async def test_the_scale_begins_below_the_lowest_share() -> None:
    lines = await drawn((30, 4), (95, 96, 100, 100), (100, 100, 100, 100))
    assert [line[:5].strip() for line in lines[:3]] == ["100%", "", "90%"]
