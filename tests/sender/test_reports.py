"""What an operator is told of sender processes that ended."""

from __future__ import annotations

import signal

import pytest

from pushdesk.engine.sender_process import Ending
from pushdesk.engine.sender_reports import STANDING_S, SenderReports
from tests.clocks import FrozenClock

KILLED = Ending(1, signal.SIGKILL, None, "", was_ready=True)
SEVERAL = "2 sender processes ended in the last ten minutes, the last one by SIGKILL: "


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ((0,), "A sender process ended by SIGKILL: it had no pushes in hand."),
        ((1,), "A sender process ended by SIGKILL: its 1 push is sent again."),
        ((0, 0), SEVERAL + "they had no pushes in hand."),
        ((0, 3), SEVERAL + "their 3 pushes are sent again."),
    ],
)
def test_what_ended_is_told_for_ten_minutes_with_what_it_had_in_hand(lost: tuple[int, ...], said: str) -> None:
    clock = FrozenClock()
    reports = SenderReports(clock.monotonic)
    for pushes in lost:
        reports.ended(KILLED, pushes)
    assert reports.warnings(missing=0, silent=0, wanted=1) == [said]
    clock.advance(STANDING_S + 1)
    assert reports.warnings(missing=0, silent=0, wanted=1) == []


@pytest.mark.parametrize(
    ("silent", "missing", "said"),
    [
        (1, 0, "1 sender process of 3 does not answer. It is replaced if that lasts. The others send."),
        (2, 0, "2 sender processes of 3 do not answer. They are replaced if that lasts. The others send."),
        (2, 1, "2 sender processes of 3 do not answer. They are replaced if that lasts. Pushes wait."),
    ],
)
def test_those_that_do_not_answer_are_told_at_once(silent: int, missing: int, said: str) -> None:
    assert SenderReports(FrozenClock().monotonic).warnings(missing=missing, silent=silent, wanted=3) == [said]
