"""The palette: every key's command by its name, with the reason where it cannot be done now; and what has no key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from pushdesk.console.bindings import commands_of
from pushdesk.console.keys import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pushdesk.console.app import PushdeskApp
    from pushdesk.console.bindings import Command


class Commands(Provider):
    """The commands of the screen under the palette, the choice of a theme, and the faults of a simulator."""

    async def discover(self) -> Hits:
        """Offer every command."""
        for command in self._commands():
            yield DiscoveryHit(command.name, partial(self._run, command), help=command.key_says)
        for name, says, action in self._others():
            yield DiscoveryHit(name, action, help=says)

    async def search(self, query: str) -> Hits:
        """Offer the commands whose name matches."""
        matcher = self.matcher(query)
        for command in self._commands():
            if score := matcher.match(command.name):
                yield Hit(score, matcher.highlight(command.name), partial(self._run, command), help=command.key_says)
        for name, says, action in self._others():
            if score := matcher.match(name):
                yield Hit(score, matcher.highlight(name), action, help=says)

    def _others(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        """Yield what has no key: its name, what it does, and how."""
        yield "Theme…", "Choose the colours", self.app.action_change_theme
        simulator = "What goes wrong in a push service simulator on this machine"
        app = cast("PushdeskApp", self.app)
        refused = f" (not now: {app.read_only})" if app.read_only else ""
        yield "Simulator faults…", f"{simulator}{refused}", app.action_simulator

    def _commands(self) -> list[Command]:
        return [
            command
            for command in commands_of(self.screen)
            if command.group is not Group.TABLES and command.action != "command_palette"
        ]

    async def _run(self, command: Command) -> None:
        if command.refusal:
            self.app.notify(command.refusal, severity="warning", markup=False)
        else:
            await self.app.run_action(command.action, command.node)
