"""How keys are bound: every binding has an id, by which the `[keymap]` table remaps it, and a tooltip."""

from __future__ import annotations

from textual.binding import Binding


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
