"""How values over time become characters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pushdesk.console.widgets.plot import COARSE, Axis, cells, nice_top, resample, time_labels

END = datetime(2026, 11, 22, 12, 3, 44, tzinfo=UTC)


def axis(steps: int, step_s: float = 2.0, end: datetime = END) -> Axis:
    return Axis(end, step_s, steps)


def glyphs_of(
    *layers: list[float | None], top: float, height: int = 1, glyphs: str = " ▁▂▃▄▅▆▇█", shaded: bool = False
) -> list[str]:
    drawn = cells(layers, top, height, glyphs=glyphs, shaded=shaded)
    return ["".join(cell.glyph for cell in line) for line in drawn]


def test_each_step_has_a_column_where_there_are_as_many() -> None:
    assert resample((1.0, None, 0.0, 4.0), axis(4), 4) == [1.0, None, 0.0, 4.0]


def test_the_highest_of_the_steps_in_a_column_is_kept() -> None:
    values = (1.0, 9.0, None, 2.0, None, None, 3.0, 0.0)
    found = resample(values, axis(8, end=datetime.fromtimestamp(8 * 2, UTC)), 4)
    assert found == [9.0, 2.0, None, 3.0]


@pytest.mark.parametrize("width", [15, 33, 50, 74, 149, 150, 151, 200, 301])
def test_no_peak_is_lost_in_any_width(width: int) -> None:
    # The column at the left edge may be of an earlier time in part.
    for place in range(10, 150):
        values = tuple(float(number == place) for number in range(150))
        assert max(value or 0.0 for value in resample(values, axis(150), width)) == 1.0


def test_a_server_that_is_younger_than_the_span_leaves_the_left_empty() -> None:
    assert resample((5.0, 6.0), axis(6), 6) == [None, None, None, None, 5.0, 6.0]
    assert resample((5.0, 6.0), axis(6), 12) == [None] * 8 + [5.0, 5.0, 6.0, 6.0]


def test_a_peak_keeps_its_shape_while_it_wanders() -> None:
    """Steps are put into columns by when they were: two of them stay in one column, or in two."""
    shapes = set()
    for later in range(40):
        values = (*([0.0] * 60), 8.0, 8.0, 8.0, *([0.0] * later))[-100:]
        end = datetime.fromtimestamp(2 * (1000 + later), UTC)
        columns = resample(values, Axis(end, 2.0, 100), 37)
        shapes.add("".join("#" for value in columns if value))
    assert len(shapes) == 1


def test_nothing_is_drawn_where_there_is_no_room() -> None:
    assert resample((1.0,), axis(4), 0) == []
    assert cells([[]], 1.0, 1) == [[]]
    assert cells([[1.0]], 1.0, 0) == []


def test_a_value_above_zero_shows_and_zero_is_a_line_and_none_a_gap() -> None:
    drawn = cells([[0.0, 0.001, None, 100.0]], 100.0, 1)[0]
    assert "".join(cell.glyph for cell in drawn) == "▁▁ █"
    assert [cell.layer for cell in drawn] == [None, 0, None, 0]


def test_a_chart_of_more_lines_stands_on_the_last() -> None:
    assert glyphs_of([1.0, 2.0, 3.0, None], top=4.0, height=2) == ["  ▄ ", "▄██ "]


def test_what_is_higher_than_the_scale_ends_at_it() -> None:
    assert glyphs_of([1.2, 0.5], top=1.0, height=2) == ["█ ", "██"]


def test_what_is_behind_is_seen_above_what_is_in_front() -> None:
    drawn = cells([[8.0, 8.0], [4.0, 6.0]], 8.0, 1)[0]
    assert [(cell.glyph, cell.layer, cell.behind) for cell in drawn] == [("▄", 1, 0), ("▆", 1, 0)]
    low = cells([[4.0, 4.0], [3.0, 1.0]], 8.0, 1)[0]
    assert [(cell.glyph, cell.layer, cell.behind) for cell in low] == [("▄", 1, None), ("▄", 0, None)]


def test_what_is_behind_has_another_character_where_there_are_no_colours() -> None:
    assert glyphs_of([8.0, 8.0, 1.0], [4.0, 0.0, 0.0], top=8.0, height=2, shaded=True) == ["░░ ", "█░░"]


def test_a_terminal_without_eighths_gets_halves() -> None:
    assert glyphs_of([1.0, 4.0, 8.0], top=8.0, glyphs=COARSE) == ["▄▄█"]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.3, 0.3), (1, 1), (1.1, 1.5), (412, 500), (258, 300), (700, 800), (1000, 1000)]
)
def test_a_scale_ends_at_a_round_number(value: float, top: float) -> None:
    assert nice_top(value) == pytest.approx(top)


def test_times_stand_under_their_columns() -> None:
    line = time_labels(axis(150), 75)
    assert line.split() == ["11:59", "12:00", "12:01", "12:02", "12:03", "now"]
    for minute in (59, 60, 61, 62, 63):
        # The step that begins with the minute.
        steps_ago = (END - END.replace(hour=11, minute=0, second=0)).seconds // 2 - minute * 30
        spot = tuple(float(number == 150 - steps_ago) for number in range(150))
        label = f"{11 + minute // 60}:{minute % 60:02}"
        assert resample(spot, axis(150), 75).index(1.0) == line.index(label) + 2


@pytest.mark.parametrize(
    ("step_s", "steps", "width", "line"),
    [
        (2.0, 150, 33, "      12:00        12:02      now"),
        (30.0, 120, 40, "     11:15     11:30     11:45       now"),
        (600.0, 144, 50, "      16:00   20:00    00:00   04:00   08:00   now"),
        (2.0, 150, 8, "     now"),
        (2.0, 150, 2, "no"),
        (2.0, 150, 0, ""),
    ],
)
def test_times_are_few_enough_to_be_read(step_s: float, steps: int, width: int, line: str) -> None:
    assert time_labels(axis(steps, step_s), width) == line


def test_times_are_those_of_the_zone() -> None:
    half_hours = END.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert "17:00" in time_labels(axis(120, 30.0, half_hours), 60)
