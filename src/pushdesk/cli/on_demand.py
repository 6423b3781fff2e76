"""Commands that are loaded when they are asked for: whoever types one of them does not wait for all the others."""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from pushdesk.cli.usage import Commands

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping


def group_on_demand(
    here: Mapping[str, Callable[..., None]], elsewhere: Mapping[str, str], groups: Collection[str]
) -> type[TyperGroup]:
    """Return the class of a group of commands that are made when they are asked for.

    Each is called as its function, or its group, is; those that are not `here` stand in the module
    `pushdesk.cli.COMMAND`.

    Args:
        here: Commands, by name: what they do.
        elsewhere: Further ones, by name: what they are for, in a line.
        groups: Groups of commands.
    """

    def make(name: str) -> Any:  # noqa: ANN401 (typer does not export its class)
        found = here.get(name) or getattr(import_module(f"pushdesk.cli.{name}"), name)
        if isinstance(found, typer.Typer):
            return get_command(found)
        alone = Commands(rich_markup_mode=None, add_completion=False)
        alone.command(short_help=elsewhere.get(name))(found)
        return get_command(alone)

    class GroupOnDemand(TyperGroup):
        def __init__(self, **given: Any) -> None:  # noqa: ANN401 (typer's own)
            super().__init__(**given)
            self.commands = _OnDemand((*here, *elsewhere, *groups), make)

    return GroupOnDemand


class _OnDemand(MutableMapping[str, Any]):
    """Commands by name, in the order in which they are listed."""

    def __init__(self, names: tuple[str, ...], make: Callable[[str], Any]) -> None:
        self._made: dict[str, Any] = dict.fromkeys(names)
        self._make = make

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (as above)
        made = self._made[name]
        if made is None:
            made = self._made[name] = self._make(name)
        return made

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401 (as above)
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)
