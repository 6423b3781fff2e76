"""The last line of a screen: which keys are of use here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from pushdesk.console.keys import Group, group_of
from pushdesk.console.refusals import refusal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.screen import Screen

    from pushdesk.console.app import PushdeskApp

GAPS: Final = (3, 2)
"""Columns between two keys: as many as there is room for."""
MARGIN: Final = 1
"""Columns at either side of a key that belong to it. Two keys that are next to each other have their own each."""
KEPT: Final = ("help", "quit")
"""Actions whose keys are there at any width."""
MORE: Final = "more"
"""What the help says of itself when something was left out."""
KEY: Final = "$footer-key-foreground"


class Hint(NamedTuple):
    """A key, and what it does."""

    key: str
    """As Textual calls it."""
    display: str
    """As it is written for a person."""
    label: str
    action: str
    tooltip: str
    """What it does in full, or why it does nothing now."""
    enabled: bool

    @property
    def width(self) -> int:
        """Columns that it takes."""
        return Content(f"{self.display} {self.label}").cell_length

    def content(self, *, hovered: bool) -> Content:
        """Return it as it is shown, with the columns before and after it, where one that is dimmed has brackets."""
        if not self.enabled:
            return Content.styled(f"({self.display} {self.label})", "dim")
        return Content.assemble(
            " ", (self.display, f"bold {KEY}"), (f" {self.label}", "underline" if hovered else ""), " "
        )


def fit(hints: Sequence[Hint], room: int) -> tuple[list[Hint], int]:
    """Return the keys that fit into so many columns, and the columns between two.

    What does not fit is left out, first what does nothing now, from the end; and the help says that there is more.
    """
    shown = list(hints)
    for gap in GAPS:
        if _width(shown, gap) <= room:
            return shown, gap
    shown = [hint._replace(label=MORE) if hint.action == "help" else hint for hint in shown]
    while _width(shown, GAPS[-1]) > room:
        spare = [hint for hint in shown if hint.action not in KEPT]
        if not spare:
            break
        shown.remove(next((hint for hint in reversed(spare) if not hint.enabled), spare[-1]))
    return shown, GAPS[-1]


def _width(hints: Sequence[Hint], gap: int) -> int:
    return sum(hint.width for hint in hints) + gap * (len(hints) - 1)


class KeyLine(Widget):
    """The keys that are of use here: those of the screen first. A click on one is like pressing it.

    One widget and not one for each key: they change with every row under the cursor.
    """

    app: PushdeskApp
    hints: reactive[tuple[Hint, ...]] = reactive(())
    hovered: reactive[int | None] = reactive(None)
    """The place of the key under the mouse."""

    def on_mount(self) -> None:
        """Show what is bound, and follow it."""
        self._bindings_changed(self.screen)
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def on_unmount(self) -> None:
        """Follow it no more."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def render(self) -> Content:
        """Return the line."""
        shown, gap = self._fitted()
        between = Content(" " * (gap - 2 * MARGIN))
        return between.join(hint.content(hovered=place == self.hovered) for place, hint in enumerate(shown))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Say what the key under the mouse does."""
        self.hovered = self._place_at(event.x)
        shown, _ = self._fitted()
        self.tooltip = None if self.hovered is None else shown[self.hovered].tooltip

    def on_leave(self) -> None:
        """Say nothing any more."""
        self.hovered = None

    def on_click(self, event: events.Click) -> None:
        """Press the key; one that does nothing now says why."""
        if (place := self._place_at(event.x)) is not None:
            shown, _ = self._fitted()
            self.app.simulate_key(shown[place].key)

    def _place_at(self, x: int) -> int | None:
        shown, gap = self._fitted()
        left = MARGIN
        for place, hint in enumerate(shown):
            if left <= x < left + hint.width:
                return place
            left += hint.width + gap
        return None

    def _fitted(self) -> tuple[list[Hint], int]:
        return fit(self.hints, self.content_size.width - 2 * MARGIN)

    def _bindings_changed(self, screen: Screen[Any]) -> None:
        if screen is self.screen and self.is_attached and screen.app.app_focus:
            self.hints = tuple(_hints(screen))


def _hints(screen: Screen[Any]) -> list[Hint]:
    found: dict[str, tuple[Group, Hint]] = {}
    for node, binding, enabled, tooltip in screen.active_bindings.values():
        display = screen.app.get_key_display(binding)
        if binding.show and binding.action not in found and not _is_typed(screen.focused, binding.key, display):
            said = tooltip if enabled else refusal_of(node, binding) or tooltip
            hint = Hint(binding.key, display, binding.description, binding.action, said, enabled)
            found[binding.action] = group_of(binding), hint
    order = list(Group)
    return [hint for _, hint in sorted(found.values(), key=lambda each: order.index(each[0]))]


def _is_typed(field: Widget | None, key: str, display: str) -> bool:
    # Textual leaves out such keys itself, but for the few whose names it does not know the character of: the slash.
    # What is written with a sign, such as enter, is not typed.
    return field is not None and len(display) == 1 and display.isascii() and field.check_consume_key(key, display)
