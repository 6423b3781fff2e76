"""The commands that the keys of a screen stand for: what the help and the palette list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pushdesk.console.keys import Group, group_of
from pushdesk.console.refusals import Refuser, refusal_of
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from textual.binding import ActiveBinding, Binding
    from textual.dom import DOMNode
    from textual.screen import Screen

    from pushdesk.console.app import PushdeskApp


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
    pane: str = ""
    """The title of the pane that is to have the focus for its key, if it has not."""

    @property
    def name(self) -> str:
        """What it is called where commands of several panes stand side by side."""
        return f"{self.label} ({self.pane})" if self.pane else self.label

    @property
    def says(self) -> str:
        """What it does, or why it cannot be done now."""
        return f"{self.tooltip} (not now: {self.refusal})" if self.refusal else self.tooltip

    @property
    def key_says(self) -> str:
        """The same, after its keys."""
        return f"{', '.join(self.keys)}  {self.says}"

    @property
    def heading(self) -> str:
        """What it is listed under."""
        return f"{self.pane} (tab goes there)" if self.pane else self.group.value


def commands_of(screen: Screen[Any]) -> list[Command]:
    """Return what can be done on a screen, by groups; one command for all the keys of an action.

    What can be done in panes that have not the focus is told, too, unless it is what can be done where it is.
    """
    commands: dict[str, Command] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.id is None or not binding.tooltip:
            continue
        known = commands.get(binding.action)
        keys = tuple(sorted((*(known.keys if known else ()), screen.app.get_key_display(binding)), key=len))
        commands[binding.action] = Command(
            group_of(binding), keys, binding.description, binding.tooltip, binding.action, active.node, _refusal(active)
        )
    for command in _elsewhere(screen):
        commands.setdefault(command.action, command)
    order = list(Group)
    return sorted(commands.values(), key=lambda command: order.index(command.group))


def key_of(screen: Screen[Any], action: str) -> str:
    """Return the key that does something on a screen now, as it is written for a person; empty if none does."""
    bindings = (each.binding for each in screen.active_bindings.values())
    return next((screen.app.get_key_display(each) for each in bindings if each.action == action), "")


def _elsewhere(screen: Screen[Any]) -> Iterator[Command]:
    here = set((screen.focused or screen).ancestors_with_self)
    for pane in screen.query(Panel):
        if pane in here or not isinstance(pane, Refuser):
            continue
        for binding in _bindings_of(pane):
            refusal = refusal_of(pane, binding) or ""
            yield Command(
                Group.ELSEWHERE,
                tuple(_keys(pane.app, binding)),
                binding.description,
                binding.tooltip,
                binding.action,
                pane,
                refusal,
                pane.called,
            )


def _bindings_of(pane: Refuser) -> Iterable[Binding]:
    return [binding for binding in pane.bindings_here if binding.id and binding.tooltip]


def _keys(app: PushdeskApp, binding: Binding) -> Iterator[str]:
    if (remapped := app.keymap.get(binding.id or "")) is None:
        yield app.get_key_display(binding)
        return
    for key in remapped.split(","):
        yield app.get_key_display(binding.with_key(key.strip()))


def _refusal(active: ActiveBinding) -> str:
    if active.enabled:
        return ""
    return refusal_of(active.node, active.binding) or ("there is no row" if isinstance(active.node, Rows) else "wait")
