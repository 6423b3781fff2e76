"""A run in which not all is well."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from pushdesk.scaletest.measures import Missed
from pushdesk.scaletest.plan import Plan
from pushdesk.scaletest.report import report_lines
from pushdesk.scaletest.run import run
from tests.scaletest.reports import report_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

LOST = 2


class Silent:
    """Shows nobody how far it is."""

    def phase(self, _name: str, _total: int) -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(lambda _done: None)


async def test_a_push_that_is_lost_on_its_way_is_missed_by_name() -> None:
    came = 0

    def is_lost(number: int) -> bool:
        """Say so of the second turn of one conversation; the first push of all is the test push."""
        nonlocal came
        came += number == LOST
        return number == LOST and came == 3

    told = await run(Plan(conversations=4, turns=3, connections=4, patience_s=10), Silent(), is_lost=is_lost)
    assert not told.complete
    # The conversation goes on only when its turn has arrived.
    assert Missed("chat-000002", 2, was_accepted=True) in told.first_missing
    assert told.missing == 12 - told.arrived >= 2
    # The patience is no part of the turns.
    assert told.wall_s < 60
    lines = list(report_lines(report_of(told)))
    assert f"NOT COMPLETE: {told.missing} turns did not arrive." in lines
    assert "  turn 2 of chat-000002: accepted, and never arrived" in lines
