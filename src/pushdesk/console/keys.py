"""How keys are bound: every binding has an id, by which the `[keymap]` table remaps it, and a tooltip."""

from __future__ import annotations

from enum import Enum
from typing import Final

from textual.binding import Binding


class Group(Enum):
    """Where a command belongs, in the order in which commands are told."""

    HERE = "This screen"
    LIST = "This list"
    ELSEWHERE = "In another pane"
    EVERYWHERE = "Everywhere"
    TABLES = "Tables"


GROUPS: Final = {
    "listing": Group.LIST,
    "tail": Group.LIST,
    "rows": Group.TABLES,
    **dict.fromkeys(("send", "invite", "pane", "screen", "palette", "help", "app"), Group.EVERYWHERE),
}
"""By what the ids of bindings begin with; others belong to the screen or the dialog that they are on."""


def bind(
    keys: str,
    action: str,
    label: str,
    name: str,
    tooltip: str,
    *,
    show: bool = False,
    display: str | None = None,
    priority: bool = False,
) -> Binding:
    """Return a binding whose id is `name`.

    Printable keys are never a priority: they would fire while someone types.
    """
    return Binding(keys, action, label, id=name, tooltip=tooltip, show=show, key_display=display, priority=priority)


def group_of(binding: Binding) -> Group:
    """Return where a binding belongs. `enter` is a screen's own: what it shows differs from table to table."""
    name = binding.id or ""
    return Group.HERE if name == "rows.choose" else GROUPS.get(name.partition(".")[0], Group.HERE)
