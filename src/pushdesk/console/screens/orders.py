"""What can be done to what is listed: given to the server, confirmed by a word if it wants one, and told of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from textual.message import Message

from pushdesk.console.device_commands import report_failed
from pushdesk.console.refusals import Refuser, RefusingScreen
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
    _is_giving = False

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
        if action in self.CHANGES and self._is_giving:
            return "The last command is still under way."
        reason = pane.refusal(action) if action in self.CHANGES and isinstance(pane, Refuser) else None
        return reason or super().refusal(action)

    def give(self, order: Order[Any]) -> None:
        """Give a command to the server, which is then the only one under way here."""
        self._set_giving(giving=True)
        begin(self, partial(self._give, order), group="commands")

    def tell(self, what: str) -> None:
        """Say what was done, and list anew: whoever did something wants to see it at once."""
        self.app.notify(what)
        self.load()

    def on_ordered_listing_confirmation_asked(self, message: ConfirmationAsked) -> None:
        """Ask for the word, unless something else is looked at by now: nothing was done yet."""
        from pushdesk.console.screens.form import TypedScreen  # noqa: PLC0415 - not needed before it is asked for

        order = message.order
        if self.app.screen is not self.screen:
            self.app.notify(
                f"{order.title} Nothing was done: you had left before it could be asked.", severity="warning"
            )
            return

        def answered(result: object) -> None:
            if result is not None:
                self.tell(order.told(result))

        self.app.push_screen(TypedScreen(order.title, order.do, message.wanted, order.give), answered)

    def on_ordered_listing_order_taken(self, message: OrderTaken) -> None:
        """Say what was done."""
        self.tell(message.told)

    def on_ordered_listing_refused(self, message: Refused) -> None:
        """Show the error."""
        report_failed(self.app, message.error)

    def _set_giving(self, *, giving: bool) -> None:
        self._is_giving = giving
        if self.is_attached and isinstance(self.screen, RefusingScreen):
            self.screen.refresh_refusals()

    async def _give(self, order: Order[Any]) -> None:
        try:
            result = await order.give("")
        except PushdeskError as error:
            wants_word = error.code == CONFIRM_REQUIRED
            self.post_message(self.ConfirmationAsked(order, error) if wants_word else self.Refused(error))
        else:
            self.post_message(self.OrderTaken(order.told(result)))
        finally:
            self._set_giving(giving=False)
