"""Names and what they stand for, in two columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from textual.content import Content
from textual.widget import Widget

from pushdesk.console.status import QUIET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.geometry import Size

Fact: TypeAlias = "tuple[str, Content | str]"
"""A name, and what it stands for; both fit to be shown."""
GAP = 2


class Facts(Widget):
    """A list of facts. One that is too long goes on below itself, not below its name.

    Args:
        facts: What is shown at first.
        indent: How wide the column of names is at least, in cells.
    """

    DEFAULT_CSS = "Facts { width: 1fr; height: auto; }"

    def __init__(self, facts: Sequence[Fact] = (), *, indent: int = 0, classes: str = "facts") -> None:
        super().__init__(classes=classes)
        self._facts = tuple(facts)
        self._least_indent = indent

    def show(self, facts: Sequence[Fact]) -> None:
        """Show these facts; nothing is drawn if they are the same."""
        if tuple(facts) != self._facts:
            self._facts = tuple(facts)
            self.refresh(layout=True)

    @property
    def text(self) -> str:
        """What is shown, a line for each fact."""
        return "\n".join(f"{name.ljust(self._indent)}{_content(value).plain}" for name, value in self._facts)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return how many lines it takes."""
        del container, viewport
        return len(self._lines(width))

    def render(self) -> Content:
        """Return the lines."""
        return Content("\n").join(self._lines(self.content_size.width))

    @property
    def _indent(self) -> int:
        return max([self._least_indent, *(Content(name).cell_length + GAP for name, _ in self._facts)])

    def _lines(self, width: int) -> list[Content]:
        lines = []
        for name, value in self._facts:
            first, *others = _content(value).wrap(max(1, width - self._indent)) or [Content("")]
            lines.append(Content.assemble((name.ljust(self._indent), QUIET), first))
            lines += [other.pad_left(self._indent) for other in others]
        return lines


def _content(value: Content | str) -> Content:
    return value if isinstance(value, Content) else Content(value)
