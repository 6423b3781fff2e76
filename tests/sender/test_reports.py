"""What an operator is told of sender processes that ended."""

from __future__ import annotations

import signal

import pytest

from pushdesk.engine.sender_process import Ending
from pushdesk.engine.sender_reports import STANDING_S, SenderReports
from tests.clocks import FrozenClock

KILLED = Ending(signal.SIGKILL, None, "", was_ready=True)
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
    assert reports.warnings(missing=0, wanted=1) == [said]
    clock.advance(STANDING_S + 1)
    assert reports.warnings(missing=0, wanted=1) == []
