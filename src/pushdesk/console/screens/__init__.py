"""One module per screen, and the one list of them.

A screen is added by its module and its line here: number key, tab, palette entry and remembered state follow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pushdesk.console.screens.pane import PaneScreen


class Entry(NamedTuple):
    """A screen of the console."""

    name: str
    key: str
    title: str
    tooltip: str
    module: str
    """Imported when the screen is first shown, so that the first one does not wait for the others."""
    screen: str
    short: str = ""
    """What it is called where eight names do not fit into a line."""

    def make(self) -> PaneScreen:
        """Return a new screen."""
        made: PaneScreen = getattr(import_module(self.module), self.screen)()
        return made


SCREENS: Final = (
    Entry(
        "overview",
        "1",
        "Overview",
        "The server, the push services and what happens now",
        "pushdesk.console.screens.overview",
        "OverviewScreen",
    ),
    Entry(
        "users",
        "2",
        "Users",
        "Whoever can be notified, and how well they are reached",
        "pushdesk.console.screens.users",
        "UsersScreen",
    ),
    Entry(
        "subscriptions",
        "3",
        "Subscriptions",
        "The browsers that are subscribed",
        "pushdesk.console.screens.subscriptions",
        "SubscriptionsScreen",
        short="Subscribed",
    ),
    Entry(
        "cache",
        "4",
        "Cache",
        "What the subscription cache holds, and what happens in it",
        "pushdesk.console.screens.cache",
        "CacheScreen",
    ),
    Entry(
        "deliveries",
        "5",
        "Deliveries",
        "Every delivery with its latest attempt, live",
        "pushdesk.console.screens.deliveries",
        "DeliveriesScreen",
    ),
    Entry(
        "keys",
        "6",
        "Keys",
        "The VAPID keys, and what can be done with them",
        "pushdesk.console.screens.keys",
        "KeysScreen",
    ),
    Entry(
        "log",
        "7",
        "Log",
        "What the server writes down",
        "pushdesk.console.screens.log",
        "LogScreen",
    ),
    Entry(
        "broadcasts",
        "8",
        "Broadcasts",
        "What is sent to everybody or to a list, and what is scheduled",
        "pushdesk.console.screens.broadcasts",
        "BroadcastsScreen",
    ),
)
