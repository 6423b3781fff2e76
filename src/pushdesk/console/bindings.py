"""The commands that the keys of a screen stand for: what the help and the palette list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pushdesk.console.screens.pane import PaneScreen

if TYPE_CHECKING:
    from textual.dom import DOMNode
    from textual.screen import Screen


class Command(NamedTuple):
    """Something that can be done here."""

    keys: tuple[str, ...]
    """As they are written for a person."""
    label: str
    tooltip: str
    action: str
    node: DOMNode
    """Whose action it is."""
    refusal: str
    """Why it cannot be done now; empty if it can."""

    @property
    def says(self) -> str:
        """What it does, or why it cannot be done now."""
        return f"Not now: {self.refusal}" if self.refusal else self.tooltip


def commands_of(screen: Screen[Any]) -> list[Command]:
    """Return what can be done on a screen, from the focus outwards; one command for all the keys of an action."""
    commands: dict[str, Command] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.id is None or not binding.tooltip:
            continue
        key = screen.app.get_key_display(binding)
        known = commands.get(binding.action)
        if known is not None:
            commands[binding.action] = known._replace(keys=(*known.keys, key))
            continue
        refusal = ""
        if not active.enabled:
            refusal = (
                screen.refusal(binding.action) if isinstance(screen, PaneScreen) else None
            ) or "nothing to act on"
        commands[binding.action] = Command(
            (key,), binding.description, binding.tooltip, binding.action, active.node, refusal
        )
    return list(commands.values())
