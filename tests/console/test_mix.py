"""What became of the notifications, over time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.app import App, ComposeResult

from pushdesk.console.widgets.mix import OutcomeMix
from pushdesk.console.widgets.plot import Axis
from pushdesk.model import Outcome
from tests.console.looking import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

AXIS = Axis(datetime(2026, 11, 22, 12, 3, 44, tzinfo=UTC), 2.0, 40)
SERIES: Mapping[Outcome, tuple[int, ...]] = {
    Outcome.ACCEPTED: tuple(range(10)),
    Outcome.GONE: (0, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    Outcome.KEY_MISMATCH: (0, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    Outcome.EXPIRED: (0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
}


class Mix(App[None]):
    CSS = "OutcomeMix { height: 100%; }"

    def __init__(self) -> None:
        super().__init__()
        self.mix = OutcomeMix(name="mix")

    def compose(self) -> ComposeResult:
        yield self.mix


async def drawn(size: tuple[int, int], axis: Axis | None = AXIS) -> list[str]:
    app = Mix()
    async with app.run_test(size=size) as pilot:
        app.mix.count({Outcome.ACCEPTED: 4321, Outcome.TRANSIENT: 3})
        app.mix.show(axis, SERIES if axis is not None else {})
        await pilot.pause()
        return [line.rstrip() for line in text_of(app).splitlines()]


async def test_each_kind_has_a_row_and_the_counts_are_those_of_the_rows() -> None:
    lines = await drawn((57, 5))
    assert lines[0].startswith("✓ accepted 45")
    assert lines[1].startswith("↻ retried   0")
    assert lines[2].startswith("✗ ended     2")
    assert lines[3].startswith("✗ failed    1")
    assert lines[4].split() == ["12:03", "now"]
    assert lines[0].endswith("▁▁▂▃▄▄▅▆▇█")
    assert lines[2].endswith("▁▁█▁▁▁▁▁▁▁")
    assert lines[3].endswith("▁▁▁▁▁▁▁▁▁█")


async def test_rows_are_as_high_as_there_is_room() -> None:
    lines = await drawn((57, 9))
    assert [line[:6].strip() for line in lines] == ["", "✓ acce", "", "↻ retr", "", "✗ ende", "", "✗ fail", ""]
    assert [line.endswith("█") for line in lines[6:8]] == [True, True]
    loose = await drawn((57, 8))
    assert [line[:6].strip() for line in loose] == ["✓ acce", "", "↻ retr", "", "✗ ende", "", "✗ fail", ""]


async def test_without_room_for_times_there_are_the_rows() -> None:
    lines = await drawn((57, 4))
    assert [line[0] for line in lines] == list("✓↻✗✗")
    assert lines[3].endswith("█")


async def test_without_room_beside_them_there_are_the_counts() -> None:
    lines = await drawn((30, 4))
    assert lines == ["✓ accepted 45", "↻ retried   0", "✗ ended     2", "✗ failed    1"]


async def test_a_single_line_has_all_since_the_start() -> None:
    loose, tight = (
        "✓ accepted 4 321   ↻ retried 3   ✗ ended 0   ✗ failed 0",
        "✓ accepted 4 321 ↻ retried 3 ✗ ended 0 ✗ failed 0",
    )
    assert await drawn((78, 1)) == [f"{loose}   since the start"]
    assert await drawn((66, 1)) == [f"{tight} since the start"]
    assert await drawn((60, 1)) == [loose]
    assert await drawn((49, 1)) == [tight]


async def test_without_a_history_the_counts_are_of_all_since_the_start() -> None:
    lines = await drawn((57, 5), axis=None)
    assert lines == ["✓ accepted 4 321", "↻ retried      3", "✗ ended        0", "✗ failed       0", ""]
