"""Commands that cannot be done now: dimmed, never hidden, and whoever presses their key is told why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.dom import DOMNode
from textual.screen import Screen, ScreenResultType

if TYPE_CHECKING:
    from textual import events
    from textual.binding import Binding

    from pushdesk.console.app import PushdeskApp

NEEDS_NO_REASON = frozenset({"clear_filter"})
"""Actions whose key does nothing, when there is nothing to do: `escape` is pressed to be sure."""


class Refuser(DOMNode):
    """What has bindings whose actions may be refused: a widget or a screen.

    The last of its bases: Textual takes the style sheet from the first.
    """

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        del action
        return None

    @property
    def bindings_here(self) -> list[Binding]:
        """Its own bindings, those of its bases too."""
        return [binding for _, binding in self._bindings]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dim what cannot be done now; nothing is hidden."""
        del parameters
        return None if self.refusal(action) else True


def refusal_of(node: DOMNode, binding: Binding) -> str | None:
    """Return why the action of a node's binding cannot be done now, or None if it can."""
    return node.refusal(binding.action) if isinstance(node, Refuser) else None


class RefusingScreen(Screen[ScreenResultType], Refuser):
    """A screen that says why, for itself and for what is on it."""

    app: PushdeskApp
    _refusals: tuple[str | None, ...] = ()

    def on_key(self, event: events.Key) -> None:
        """Say why, when the key of a dimmed action was pressed."""
        bound = self.active_bindings.get(event.key)
        if bound is None or bound.enabled or (reason := refusal_of(bound.node, bound.binding)) is None:
            return
        event.stop()
        if bound.binding.action not in NEEDS_NO_REASON:
            self.app.notify(reason, severity="warning")

    def refresh_refusals(self) -> None:
        """Show anew what cannot be done, if that has changed: the footer is costly to make."""
        refusals = tuple(
            node.refusal(binding.action)
            for node in (self.focused or self).ancestors_with_self
            if isinstance(node, Refuser)
            for binding in node.bindings_here
        )
        if refusals != self._refusals:
            self._refusals = refusals
            self.refresh_bindings()
