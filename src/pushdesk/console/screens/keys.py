"""The keys: the VAPID keys that sign what is sent, and the access tokens that let applications and operators in."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.screens.tokens import AccessTokens
from pushdesk.console.screens.vapid_keys import VapidKeys
from pushdesk.console.text import plain
from pushdesk.desk import KeyChanged, SubscriptionChanged, SubscriptionRemoved, TokenChanged, TokenRevoked

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pushdesk.desk import AnyEvent


class KeysScreen(PaneScreen):
    """Two tables; the commands are those of the one that has the focus."""

    NAME: ClassVar[str] = "keys"
    CHANGES: ClassVar[frozenset[str]] = VapidKeys.CHANGES | AccessTokens.CHANGES

    def __init__(self) -> None:
        super().__init__()
        self._keys = VapidKeys()
        self._tokens = AccessTokens()

    def compose_body(self) -> ComposeResult:
        """Compose the tables."""
        yield self._keys
        yield self._tokens

    def on_mount(self) -> None:
        """Begin in the table of the VAPID keys."""
        self.begin_in(self._keys.rows)

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Change the tables when a key or a token changes, or a device that may be bound to a key."""
        for event in batch:
            match event:
                case KeyChanged() | SubscriptionChanged() | SubscriptionRemoved():
                    self._keys.changed()
                case TokenChanged(access=token):
                    self._tokens.put(token)
                case TokenRevoked(id=token):
                    self._tokens.drop(token)
                case _:
                    pass

    def copied(self) -> str:
        """Return the public key or the token's id under the cursor; without one, the server's URL."""
        if self.focused is self._tokens.rows:
            return plain(self._tokens.current.id) if self._tokens.current else super().copied()
        return self._keys.current.public_key if self._keys.current else super().copied()
