"""The ids that a `[keymap]` may name: those of the console's bindings."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from pushdesk.config import refuse_unknown_bindings

if TYPE_CHECKING:
    from pushdesk.config import Config


def check_keymap(config: Config) -> None:
    """Refuse a keymap with an id that no binding has; costs nothing without a keymap.

    Raises:
        StartUpError: Names file, line and nearest valid id.
    """
    if config.keymap:
        refuse_unknown_bindings(config, binding_ids())


def binding_ids() -> list[str]:
    """Return the id of every binding that a class of the console defines."""
    from textual.binding import Binding

    from pushdesk import console

    found: set[str] = set()
    for module in pkgutil.walk_packages(console.__path__, f"{console.__name__}."):
        for member in vars(importlib.import_module(module.name)).values():
            if isinstance(member, type):
                bindings = vars(member).get("BINDINGS", ())
                found.update(binding.id for binding in bindings if isinstance(binding, Binding) and binding.id)
    return sorted(found)
