"""The table of the access tokens: what lets applications and operators in, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content

from pushdesk.console.figures import age, moment
from pushdesk.console.keys import bind
from pushdesk.console.screens.orders import Order, OrderedListing
from pushdesk.console.status import BUSY, QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.paged import nothing_found
from pushdesk.model import AccessToken, Scope

if TYPE_CHECKING:
    from datetime import datetime

    from textual.binding import BindingType

    from pushdesk.console.widgets.rows import Rows

SORTS: Final = ("-created_at", "name")
ALLOWS: Final = {
    Scope.NOTIFY: "to notify and to invite users",
    Scope.READ: "to see what operators see",
    Scope.ADMIN: "everything",
}
STOPS: Final = {
    Scope.NOTIFY: "Applications that notify with it send nothing any more.",
    Scope.READ: "Consoles and scripts that look with it see nothing any more.",
    Scope.ADMIN: "Consoles and scripts that manage this server with it are shut out.",
}
"""What ends with a token, by what it allows."""


class AccessTokens(OrderedListing[AccessToken]):
    """The access tokens, without what is secret of them."""

    CHANGES: ClassVar[frozenset[str]] = frozenset({"new_token", "revoke_token"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind(
            "n",
            "new_token",
            "New token",
            "tokens.new",
            "Make an access token for an application or a person",
            show=True,
        ),
        bind("d", "revoke_token", "Revoke", "tokens.revoke", "End an access token at once", show=True),
    ]

    def __init__(self) -> None:
        super().__init__(
            title="Access tokens",
            name="access-tokens",
            columns=(
                Column("name", "name", 20, grows=2, sort="name"),
                Column("scopes", "allows", 19),
                Column("created", "created", 12, sort="created_at"),
                Column("used", "last used", 12),
                Column("id", "id", 26, priority=1),
            ),
            key=lambda token: token.id,
            cells=self._cells,
            fetch=self.app.desk.tokens,
            sorts=SORTS,
            filter_hint="part of a token's name; ^ and its beginning",
            empty=_empty,
        )

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show all that may be shown of a token."""
        from pushdesk.console.screens.words import WordsScreen  # noqa: PLC0415 - not needed before it is asked for

        message.stop()
        if isinstance(message.item, AccessToken):
            self.app.push_screen(WordsScreen("Access token", in_full(message.item, self.app.now())))

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        reason = super().refusal(action)
        if reason is None and action == "revoke_token" and self.current is None:
            return "No access token is selected."
        return reason

    def action_new_token(self) -> None:
        """Open the form of a token."""
        from pushdesk.console.screens.token_forms import NewTokenScreen  # noqa: PLC0415 - not needed before it is asked for

        self.app.push_screen(NewTokenScreen())

    def action_revoke_token(self) -> None:
        """Ask, and end the token under the cursor."""
        from pushdesk.console.screens.confirm import DO, ConfirmScreen  # noqa: PLC0415 - not needed before it is asked for

        if (token := self.current) is None:
            return
        desk = self.app.desk

        def answered(answer: str | None) -> None:
            if answer == DO:
                self.give(
                    Order(
                        "",
                        "",
                        lambda _: desk.revoke_token(token.id),
                        lambda revoked: f"Revoked {revoked.name}: whoever shows it is refused.",
                    )
                )

        question = ConfirmScreen(title="Revoke this access token?", text=cost(token, self.app.now()), do="Revoke")
        self.app.push_screen(question, answered)

    def _cells(self, token: AccessToken) -> list[Content]:
        now = self.app.now()
        return [
            Content(plain(token.name)),
            Content(", ".join(token.scopes)),
            Content.styled(moment(token.created_at, now), QUIET),
            Content.styled(moment(token.last_used_at, now), "" if token.last_used_at else QUIET),
            Content.styled(plain(token.id), QUIET),
        ]


def cost(token: AccessToken, now: datetime) -> Content:
    """Return what stops when a token ends."""
    used = f"It was last used {_ago(token.last_used_at, now)}." if token.last_used_at else "It was never used."
    stops = [STOPS[scope] for scope in Scope if scope in token.scopes]
    return Content.assemble(
        (plain(token.name), "bold"),
        f" ends at once, and cannot be brought back. {used}\n\n",
        ("\n".join(stops), BUSY),
    )


def in_full(token: AccessToken, now: datetime) -> Content:
    """Return all that may be shown of a token."""
    facts: list[tuple[str, Content | str]] = [
        ("name", Content.styled(plain(token.name), "bold")),
        ("id", plain(token.id)),
        *(("allows" if place == 0 else "", f"{scope}: {ALLOWS[scope]}") for place, scope in enumerate(token.scopes)),
        ("created", f"{moment(token.created_at, now)}, {_ago(token.created_at, now)}"),
        ("last used", moment(token.last_used_at, now)),
    ]
    lines = [Content.assemble((name.ljust(12), QUIET), value) for name, value in facts]
    note = Content.styled("\nThe token itself was shown when it was made; only its hash is stored.", QUIET)
    return Content("\n").join([*lines, note])


def _ago(time: datetime, now: datetime) -> str:
    old = age(time, now)
    return "just now" if old == "new" else f"{old} ago"


def _empty(wanted: str) -> Content:
    if wanted:
        return nothing_found("No token's name contains", wanted)
    return Content.assemble(
        ("There are no access tokens.\n", "bold"), ("n makes one, for an application or another operator", QUIET)
    )
