"""What can be done to what is listed: given to the server, confirmed by a word if it wants one, and told of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from textual.message import Message

from pushdesk.console.refusals import Refuser
from pushdesk.console.screens.form import CONFIRM_REQUIRED
from pushdesk.console.widgets.listing import Listing
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Order(Generic[Result]):
    """A command to the server that it may want confirmed."""

    title: str
    do: str
    give: Callable[[str], Awaitable[Result]]
    """Gives it with a word that confirms it, empty at first."""
    told: Callable[[Result], str]
    """Returns what is to be said of what came of it."""


class OrderedListing(Listing[Item]):
    """A list with commands of its own, which are there while it has the focus."""

    CHANGES: ClassVar[frozenset[str]] = frozenset()
    """Its actions that change something on the server; for the screen, which knows when nothing can be changed."""

    class ConfirmationAsked(Message):
        """The server wants a word typed before it does something."""

        def __init__(self, order: Order[Any], wanted: PushdeskError) -> None:
            super().__init__()
            self.order = order
            self.wanted = wanted

    class OrderTaken(Message):
        """The server did something."""

        def __init__(self, told: str) -> None:
            super().__init__()
            self.told = told

    class Refused(Message):
        """The server refused something."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now: for the screen's reasons first."""
        pane = self.screen
        reason = pane.refusal(action) if action in self.CHANGES and isinstance(pane, Refuser) else None
        return reason or super().refusal(action)

    def give(self, order: Order[Any]) -> None:
        """Give a command to the server."""
        begin(self, partial(self._give, order), group="commands")

    def tell(self, what: str) -> None:
        """Say what was done, and list anew: whoever did something wants to see it at once."""
        self.app.notify(what)
        self.load()

    def on_ordered_listing_confirmation_asked(self, message: ConfirmationAsked) -> None:
        """Ask for the word."""
        from pushdesk.console.screens.form import TypedScreen  # noqa: PLC0415 - not needed before it is asked for

        order = message.order

        def answered(result: object) -> None:
            if result is not None:
                self.tell(order.told(result))

        self.app.push_screen(TypedScreen(order.title, order.do, message.wanted, order.give), answered)

    def on_ordered_listing_order_taken(self, message: OrderTaken) -> None:
        """Say what was done."""
        self.tell(message.told)

    def on_ordered_listing_refused(self, message: Refused) -> None:
        """Show the error."""
        self.app.report(message.error)

    async def _give(self, order: Order[Any]) -> None:
        try:
            result = await order.give("")
        except PushdeskError as error:
            wants_word = error.code == CONFIRM_REQUIRED
            self.post_message(self.ConfirmationAsked(order, error) if wants_word else self.Refused(error))
        else:
            self.post_message(self.OrderTaken(order.told(result)))
