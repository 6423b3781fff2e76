"""What the forms of the console have in common: fields, what the server says to them, and two buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Static, TextArea
from textual.worker import WorkerState

from pushdesk.console.device_commands import PERHAPS_DONE, said_of_failing
from pushdesk.console.keys import bind
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.screens.pane import cannot_change
from pushdesk.console.status import BAD, BUSY
from pushdesk.console.text import plain
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.worker import Worker

Result = TypeVar("Result")

CONFIRM_REQUIRED: Final = "confirm_required"
SUBMIT: Final = "submit"


class FormScreen(Dialog[Result]):
    """A form that stays until the server took what is in it; returns what came of it.

    Where the server wants a word typed, it is asked for in a dialog of its own.

    Args:
        title: What the form is for.
        do: What the button says.
        dangerous: Whether the button is that of something that cannot be undone.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("ctrl+s", "submit", "Submit", "form.submit", "Do what the form is for", show=True),
    ]

    class Taken(Message):
        """The server did it."""

        def __init__(self, result: object) -> None:
            super().__init__()
            self.result = result

    class Refused(Message):
        """The server refused it."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, *, title: str, do: str, dangerous: bool = False) -> None:
        super().__init__()
        self._title = title
        self._do = do
        self._dangerous = dangerous
        self._busy = False

    def compose(self) -> ComposeResult:
        """Compose the fields, the line for the answer, and the buttons."""
        with Vertical(classes="dialog -small -fields") as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = Content("esc closes")
            yield from self.compose_fields()
            yield Static(id="answer")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(
                    Content(self._do), id=SUBMIT, variant="error" if self._dangerous else "primary", compact=True
                )

    def compose_fields(self) -> ComposeResult:
        """Compose what is to be filled in."""
        raise NotImplementedError

    def missing(self) -> str:
        """Return what keeps the form from being submitted, as a sentence; empty if nothing does."""
        raise NotImplementedError

    async def perform(self, confirm: str = "") -> Result:
        """Do it, with the word that was typed if one was asked for.

        Raises:
            PushdeskError: It was refused.
        """
        raise NotImplementedError

    def finish(self, result: Result) -> None:
        """Close, with what came of it."""
        self.end(result)

    def on_mount(self) -> None:
        """Keep cursors from blinking: they would repaint an idle screen. Textual calls this for every form."""
        for field in self.query(Input):
            field.cursor_blink = False
        for area in self.query(TextArea):
            area.cursor_blink = False

    def on_input_changed(self) -> None:
        """Take back what was said of the form: it was another one."""
        self._unsay()

    def on_text_area_changed(self) -> None:
        """Take back what was said of the form."""
        self._unsay()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the next field; from the last one, submit."""
        if event.input is list(self.query(Input))[-1]:
            self.action_submit()
        elif event.input.has_focus:
            # A key that was pressed twice goes on by one field.
            self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do what the button says."""
        if event.button.id == SUBMIT:
            self.action_submit()
        else:
            self.action_close()

    def action_submit(self) -> None:
        """Submit the form, if it is complete."""
        if self._busy or self.is_ending:
            return
        if missing := cannot_change(self.app) or self.missing():
            self.answer(missing, BAD)
            return
        self._set_busy(True)
        self.answer("one moment…", BUSY)
        begin(self, self._perform, group="form")

    def action_close(self) -> None:
        """Close the form. What is under way is no longer waited for, which is not to undo it."""
        if self._busy:
            self.app.notify(f"This is no longer waited for. {PERHAPS_DONE}", severity="warning", title=self._title)
        super().action_close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dim submitting while it is being done."""
        del parameters
        return None if self._busy and action == SUBMIT else True

    def answer(self, text: str, style: str) -> None:
        """Say something below the fields."""
        self.query_one("#answer", Static).update(Content.styled(plain(text), style))

    def on_form_screen_taken(self, message: Taken) -> None:
        """End the form."""
        result: Result = message.result  # type: ignore[assignment]  # what `perform` returned
        self._set_busy(False)
        self.finish(result)

    def on_form_screen_refused(self, message: Refused) -> None:
        """Say why, and leave what was filled in; or ask for the word."""
        self._set_busy(False)
        if message.error.code == CONFIRM_REQUIRED:
            self.answer("", BAD)
            self.ask(message.error)
            return
        self.answer(said_of_failing(message.error), BAD)
        # It is said in the form already, and a toast would cover the buttons.
        self.app.report(message.error, toast=False)

    def ask(self, wanted: PushdeskError) -> None:
        """Ask for the word that the server wants typed."""

        def answered(result: Result | None) -> None:
            if result is not None:
                self.finish(result)

        self.app.push_screen(TypedScreen(self._title, self._do, wanted, self.perform), answered)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Give the form back when it failed in a way that nobody foresaw."""
        if event.state is WorkerState.ERROR:
            self._set_busy(False)
            self.answer("It could not be done.", BAD)

    async def _perform(self) -> None:
        try:
            result = await self.perform()
        except PushdeskError as error:
            self.post_message(self.Refused(error))
        else:
            self.post_message(self.Taken(result))

    def _unsay(self) -> None:
        if not self._busy:
            self.answer("", BAD)

    def _set_busy(self, busy: bool) -> None:  # noqa: FBT001 - a setter's one value
        self._busy = busy
        self.refresh_bindings()
        self.query_one(f"#{SUBMIT}", Button).disabled = busy


class TypedScreen(FormScreen[Result]):
    """Says what something destructive costs, as the server told it, and wants a word typed.

    Args:
        title: What is about to be done.
        do: What the button says.
        wanted: The server's answer `confirm_required`: its detail says what it costs, its hint names the word.
        give: Gives the command with the word that was typed.
        word: What the word is called.
    """

    def __init__(
        self,
        title: str,
        do: str,
        wanted: PushdeskError,
        give: Callable[[str], Awaitable[Result]],
        *,
        word: str = "the word",
    ) -> None:
        super().__init__(title=title, do=do, dangerous=True)
        self._called = word
        self._wanted = wanted
        self._give = give

    def compose_fields(self) -> ComposeResult:
        """Compose the cost, and the field for the word."""
        yield Static(self._cost(), id="cost")
        yield Input(placeholder=self._called, max_length=200, id="word", compact=True)

    def on_mount(self) -> None:
        """Begin with the field: while it is empty, `enter` does nothing."""
        self.query_one("#word", Input).focus()

    def missing(self) -> str:
        """Return that the word is missing."""
        return "" if self._word else f"Nothing is done before {self._called} is typed."

    async def perform(self, confirm: str = "") -> Result:
        """Give the command with the word."""
        return await self._give(confirm or self._word)

    def ask(self, wanted: PushdeskError) -> None:
        """Say that it was another word, and what the server says now: it may cost more than a moment ago."""
        self._wanted = wanted
        self.query_one("#cost", Static).update(self._cost())
        self.answer(f"That is not {self._called}; nothing was done.", BAD)

    @property
    def _word(self) -> str:
        return self.query_one("#word", Input).value.strip()

    def _cost(self) -> Content:
        return Content.assemble(plain(self._wanted.detail, longest=2000), "\n\n", (plain(self._wanted.hint), "bold"))
