"""The table of the keys in `docs/console.md`; `python -m tests.console.key_table` writes it anew."""

from __future__ import annotations

from typing import Final

from textual.keys import format_key

from tests.console.test_help_and_palette import all_bindings
from tests.figures import table, write_figures
from tests.programs import CHECKOUT

DOCUMENT: Final = CHECKOUT / "docs" / "console.md"
NAME: Final = "keys"
WHERE: Final = {
    "PushdeskApp": "everywhere",
    "PaneScreen": "every screen",
    "Rows": "every table",
    "Listing": "lists",
    "Tail": "Deliveries, Log",
    "FilterInput": "a filter that is typed",
    "ChartsScreen": "Overview, Cache",
    "UsersScreen": "Users",
    "UserScreen": "one user",
    "SubscriptionsScreen": "Subscriptions",
    "CacheScreen": "Cache",
    "DeliveriesScreen": "Deliveries",
    "VapidKeys": "Keys, VAPID keys",
    "AccessTokens": "Keys, access tokens",
    "LogScreen": "Log",
    "BroadcastsScreen": "Broadcasts",
    "Broadcasts": "Broadcasts",
    "Scheduled": "Broadcasts, scheduled",
    "Dialog": "every dialog",
    "LiveDialog": "a dialog about one thing",
    "SubscriptionScreen": "a subscription",
    "DeliveryScreen": "a delivery",
    "DispatchScreen": "a dispatch",
    "VerdictScreen": "a verdict",
    "ServiceScreen": "a push service",
    "BroadcastScreen": "a broadcast",
    "WordsScreen": "a row in full",
    "ComposeScreen": "the form of a notification",
    "BroadcastFormScreen": "the form of a broadcast",
    "FormScreen": "other forms",
    "InvitationScreen": "an invitation",
    "NewTokenMadeScreen": "a new token",
    "ConfirmScreen": "a question",
    "QuitScreen": "the question before quitting",
    "HelpScreen": "the help",
}
"""What each class with bindings is for whoever presses keys, in the order of the table."""


def key_table() -> str:
    """Return the table: every binding of the console, with the id by which it is remapped."""
    found = sorted(all_bindings(), key=lambda each: list(WHERE).index(each[0].__name__))
    rows: list[tuple[object, ...]] = [
        (WHERE[owner.__name__], _keys(binding.key), binding.tooltip, f"`{binding.id}`") for owner, binding in found
    ]
    return table(("where", "key", "what it does", "id"), rows)


def _keys(keys: str) -> str:
    return " ".join(f"`{format_key(key)}`" for key in keys.split(","))


if __name__ == "__main__":
    write_figures(DOCUMENT, NAME, key_table())
