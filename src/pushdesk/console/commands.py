"""The palette: every key's command by its name, with the reason where it cannot be done now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from pushdesk.console.bindings import commands_of
from pushdesk.console.keys import Group

if TYPE_CHECKING:
    from pushdesk.console.bindings import Command


class Commands(Provider):
    """The commands of the screen under the palette, and the choice of a theme."""

    async def discover(self) -> Hits:
        """Offer every command."""
        for command in self._commands():
            yield DiscoveryHit(command.name, partial(self._run, command), help=command.key_says)
        yield DiscoveryHit("Theme…", self.app.action_change_theme, help="Choose the colours")

    async def search(self, query: str) -> Hits:
        """Offer the commands whose name matches."""
        matcher = self.matcher(query)
        for command in self._commands():
            if score := matcher.match(command.name):
                yield Hit(score, matcher.highlight(command.name), partial(self._run, command), help=command.key_says)
        if score := matcher.match("Theme…"):
            yield Hit(score, matcher.highlight("Theme…"), self.app.action_change_theme, help="Choose the colours")

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
