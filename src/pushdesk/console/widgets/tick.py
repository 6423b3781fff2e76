"""A box to tick."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Checkbox


class Tick(Checkbox):
    """A box to tick, which says so without colours: Textual's own shows the same cross in two of them."""

    def __init__(self, label: str, *, name: str, ticked: bool = False) -> None:
        super().__init__(Content(label), ticked, id=name, compact=True)

    def render(self) -> Content:
        """Return the box and what it stands for."""
        style = self.get_visual_style("toggle--label") if self.has_focus else ""
        return Content.assemble(("[x]" if self.value else "[ ]", "bold"), " ", (self.label.plain, style))
