"""The commands that the keys of a screen stand for: what the help and the palette list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pushdesk.console.keys import Group, group_of
from pushdesk.console.refusals import refusal_of

if TYPE_CHECKING:
    from textual.binding import ActiveBinding
    from textual.dom import DOMNode
    from textual.screen import Screen


class Command(NamedTuple):
    """Something that can be done here."""

    group: Group
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
        return f"{self.tooltip} (not now: {self.refusal})" if self.refusal else self.tooltip


def commands_of(screen: Screen[Any]) -> list[Command]:
    """Return what can be done on a screen, by groups; one command for all the keys of an action."""
    commands: dict[str, Command] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.id is None or not binding.tooltip:
            continue
        known = commands.get(binding.action)
        keys = (*(known.keys if known else ()), screen.app.get_key_display(binding))
        commands[binding.action] = Command(
            group_of(binding), keys, binding.description, binding.tooltip, binding.action, active.node, _refusal(active)
        )
    order = list(Group)
    return sorted(commands.values(), key=lambda command: order.index(command.group))


def _refusal(active: ActiveBinding) -> str:
    return "" if active.enabled else refusal_of(active.node, active.binding) or "there is no row"
