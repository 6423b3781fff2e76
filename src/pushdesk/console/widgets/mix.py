"""What became of the notifications: a row over time for each kind of outcome, each told by its glyph and its word."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from textual.content import Content

from pushdesk.console.figures import count
from pushdesk.console.status import BAD, BUSY, GOOD, QUIET, Look
from pushdesk.console.widgets.chart import Chart, can_mix_colours, glyphs, painted
from pushdesk.console.widgets.drawing import Drawing
from pushdesk.console.widgets.plot import cells, resample, time_labels
from pushdesk.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pushdesk.console.widgets.plot import Axis, Values

GAP: Final = 3
ROOMY_HEIGHT: Final = 3
"""Lines from which there are rows over time; in fewer there are the counts alone."""
ROOMY_WIDTH: Final = 20
"""Columns over time, at least."""
OF_ALL: Final = "since the start"
"""What is said of counts that are not those of the charts' time."""


class Group(NamedTuple):
    """Outcomes as an operator adds them up."""

    look: Look
    outcomes: tuple[Outcome, ...]
    is_always_told: bool = True
    """Whether it is told that there are none."""


GROUPS: Final = (
    Group(Look("✓", "accepted", GOOD), (Outcome.ACCEPTED,)),
    Group(Look("↻", "retried", BUSY), (Outcome.THROTTLED, Outcome.TRANSIENT)),
    Group(Look("✗", "ended", BAD), (Outcome.GONE, Outcome.KEY_MISMATCH, Outcome.HELD)),
    Group(Look("✗", "failed", BAD), (Outcome.REFUSED, Outcome.OUR_CONFIGURATION, Outcome.EXPIRED)),
    Group(Look("-", "dropped", QUIET), (Outcome.SUPERSEDED, Outcome.CANCELLED), is_always_told=False),
)


class OutcomeMix(Drawing):
    """The outcomes over time, each kind on a scale of its own: one that failed is seen beside a thousand that did not.

    What is counted is what the rows show; without a history, and in a single line, it is all since the server started.
    """

    def __init__(self, *, name: str) -> None:
        super().__init__(name=name)
        self._totals: Mapping[Outcome, int] = {}
        self._axis: Axis | None = None
        self._series: Mapping[Outcome, Sequence[int]] = {}

    def count(self, totals: Mapping[Outcome, int]) -> None:
        """Set the counts since the server started."""
        self._totals = totals
        self.draw()

    def show(self, axis: Axis | None, series: Mapping[Outcome, Sequence[int]]) -> None:
        """Show how many there were in each step; without an axis, nothing is known of that."""
        self._axis, self._series = axis, series
        self.draw()

    def on_click(self) -> None:
        """Tell that it was clicked, like a chart."""
        self.post_message(Chart.Picked())

    def picture(self, width: int, height: int) -> Content:
        """Return the counts, and the rows if there is room for them."""
        if height < ROOMY_HEIGHT:
            return self._line(width)
        past = {} if self._axis is None else {each: sum(counts) for each, counts in self._series.items()}
        told = list(_told(self._totals if self._axis is None else past))
        digits = max(len(count(number)) for _, number in told)
        names = max(len(group.look.word) for group, _ in told)
        room = width - (2 + names + 1 + digits) - GAP
        has_rows = self._axis is not None and room >= ROOMY_WIDTH
        has_times = has_rows and height > len(told)
        each, left = divmod(height - has_times, len(told))
        # With a line between two rows, where there is room for that.
        between = [Content("")] if each and left >= len(told) - 1 else []
        lines: list[Content] = []
        for group, number in told:
            row = self._row(group, room, max(1, each)) if has_rows else [Content("")]
            style = group.look.style if number else QUIET
            label = Content.styled(f"{group.look.glyph} {group.look.word:<{names}} {count(number):>{digits}}", style)
            blank = Content(" " * label.cell_length)
            lines += between if lines else []
            lines += [Content.assemble(label if line is row[-1] else blank, " " * GAP, line) for line in row]
        lines = lines[: height - has_times]
        if self._axis is not None and has_times:
            lines.append(Content.styled(time_labels(self._axis, room).rjust(width), QUIET))
        return Content("\n").join(lines)

    def _row(self, group: Group, room: int, height: int) -> list[Content]:
        if self._axis is None:
            return []
        values = resample(self._sum(group), self._axis, room)
        top = max((value or 0.0 for value in values), default=0.0) or 1.0
        drawn = cells([values], top, height, glyphs=glyphs(), shaded=not can_mix_colours(self.app))
        return [Content.assemble(*painted(line, group.look.style, 1, 100)) for line in drawn]

    def _sum(self, group: Group) -> Values:
        known = max((len(series) for series in self._series.values()), default=0)
        total = [0.0] * known
        for outcome in group.outcomes:
            series = self._series.get(outcome, ())
            for place, number in enumerate(series, known - len(series)):
                total[place] += number
        return tuple(total)

    def _line(self, width: int) -> Content:
        parts = [
            Content.assemble(
                (f"{group.look.glyph} ", group.look.style if number else QUIET),
                (f"{group.look.word} ", QUIET),
                (count(number), group.look.style if number else QUIET),
            )
            for group, number in _told(self._totals)
        ]
        told = [*parts, Content.styled(OF_ALL, QUIET)]
        lines = (Content(" " * gap).join(each) for each, gap in product((told, parts), (GAP, 1)))
        *roomy, tight = lines
        return next((line for line in roomy if line.cell_length <= width), tight)


def _told(counts: Mapping[Outcome, int]) -> Iterable[tuple[Group, int]]:
    for group in GROUPS:
        number = sum(counts.get(each, 0) for each in group.outcomes)
        if number or group.is_always_told:
            yield group, number
