"""What became of the notifications, in proportion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from pushdesk.console.figures import count
from pushdesk.console.status import BAD, BUSY, GOOD, QUIET
from pushdesk.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS: Final[tuple[tuple[str, str, tuple[Outcome, ...]], ...]] = (
    ("accepted", GOOD, (Outcome.ACCEPTED,)),
    ("gone", BAD, (Outcome.GONE, Outcome.KEY_MISMATCH)),
    ("failed", BAD, (Outcome.REFUSED, Outcome.OUR_CONFIGURATION, Outcome.EXPIRED)),
    ("retried", BUSY, (Outcome.THROTTLED, Outcome.TRANSIENT)),
)
"""Outcomes as an operator adds them up."""


class OutcomeMix(Widget):
    """A bar of all outcomes, and their counts under it; in a single line the counts alone."""

    outcomes: reactive[dict[Outcome, int]] = reactive(dict)

    def render(self) -> Content:
        """Return the bar and the counts."""
        counts = [sum(self.outcomes.get(each, 0) for each in group) for _, _, group in GROUPS]
        bar = Content.assemble(
            *(
                ("█" * cells, style)
                for (_, style, _), cells in zip(GROUPS, shares(counts, self.content_size.width), strict=True)
            )
        )
        legend = Content("   ").join(
            Content.assemble((f"{name} ", QUIET), (count(number), style if number else QUIET))
            for (name, style, _), number in zip(GROUPS, counts, strict=True)
        )
        if self.content_size.height < 2:
            return legend
        return Content("\n").join(
            [bar if any(counts) else Content.styled("─" * self.content_size.width, QUIET), legend]
        )


def shares(counts: Sequence[int], width: int) -> list[int]:
    """Return how many cells of a bar each count has; whatever happened at all is seen."""
    total = sum(counts)
    if total == 0:
        return [0 for _ in counts]
    cells = [max(1, width * number // total) if number else 0 for number in counts]
    # The largest gets what the others leave.
    largest = max(range(len(counts)), key=lambda place: counts[place])
    cells[largest] = max(0, cells[largest] + width - sum(cells))
    return cells
