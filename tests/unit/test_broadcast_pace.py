"""How far a broadcast has come and how long it takes."""

from __future__ import annotations

import pytest

from pushdesk.engine.broadcast_pace import LATELY_S, MOST_PER_S, Pace, all_s, duration_s, gaps
from pushdesk.storage.records import Stretch


@pytest.mark.parametrize(
    ("settled", "expected"),
    [
        ([], [("", "z")]),
        ([("", "c")], [("c", "z")]),
        ([("", "z")], []),
        ([("c", "f")], [("", "c"), ("f", "z")]),
        ([("", "c"), ("f", "m"), ("m", "p"), ("s", "z")], [("c", "f"), ("p", "s")]),
    ],
)
def test_what_is_not_settled_is_what_lies_between(
    settled: list[tuple[str, str]], expected: list[tuple[str, str]]
) -> None:
    assert gaps([Stretch(*one) for one in settled], "z") == [Stretch(*one) for one in expected]


def test_of_nobody_nothing_is_left() -> None:
    assert gaps([], "") == []


def test_a_pace_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    assert pace.per_s(0) is None
    pace.begin(100)
    assert pace.per_s(101) is None
    pace.note(102, 500)
    assert pace.per_s(102) == 250
    pace.note(104, 500)
    assert pace.per_s(105) == 200
    assert pace.per_s(102 + LATELY_S) == 500 / LATELY_S
    assert pace.per_s(104 + LATELY_S) is None


def test_what_stood_still_begins_anew() -> None:
    pace = Pace()
    pace.note(0, 1000)
    assert pace.per_s(50) is None
    pace.begin(100)
    pace.note(101, 10)
    assert pace.per_s(101) == 10


@pytest.mark.parametrize(
    ("latency_ms", "rate", "seconds"),
    [
        (None, 0, None),
        (None, 50, 20),
        (100, 0, 2),
        (100, 50, 20),
        (0.0, 0, 1000 / MOST_PER_S),
        (100, 5000, 2),
    ],
)
def test_how_long_it_takes(latency_ms: float | None, rate: int, seconds: float | None) -> None:
    assert duration_s(1000, latency_ms=latency_ms, at_once=50, rate=rate) == seconds


def test_all_push_services_together_take_no_less_than_one_process_does() -> None:
    each = duration_s(900, latency_ms=1, at_once=50, rate=0)
    assert each == 900 / MOST_PER_S
    assert all_s([each] * 3, 2700) == 2700 / MOST_PER_S
    assert all_s([100.0, each], 1000) == 100
    assert all_s([], 0) == 0
