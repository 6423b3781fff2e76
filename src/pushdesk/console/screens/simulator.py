"""What goes wrong in a simulator on this machine: seen and set from here, not through the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Static, TextArea

from pushdesk.console.figures import count, plural
from pushdesk.console.screens.form import FormScreen
from pushdesk.console.simulator_control import SUGGESTED, faults, set_faults
from pushdesk.console.status import BUSY, GOOD, QUIET
from pushdesk.console.text import plain
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pushdesk.console.simulator_control import SetFault

LOOK_S: Final = 2.0
"""How often it is looked what was met."""
CLEAR: Final = "clear"


class SimulatorScreen(FormScreen["tuple[SetFault, ...]"]):
    """The faults of a simulator. It stays open: what was set is seen to be met."""

    class Looked(Message):
        """The simulator said what goes wrong there, or did not."""

        def __init__(self, url: str, found: tuple[SetFault, ...] | PushdeskError) -> None:
            super().__init__()
            self.url = url
            self.found = found

    def __init__(self) -> None:
        super().__init__(title="Simulator faults", do="Set")
        self._url = Input(self.app.simulator or SUGGESTED, max_length=200, id="simulator", compact=True)
        self._text = TextArea(id="faults", compact=True, tab_behavior="focus", placeholder="429:retry-after=30@10%")
        self._now = Static(Content.styled("looking…", QUIET))
        self._filled_from = ""
        """The simulator whose faults were filled in to be changed."""

    def compose_fields(self) -> ComposeResult:
        """Compose where it is, what goes wrong there now, and what is to."""
        yield Static("The simulator, on this machine", classes="label")
        yield self._url
        yield Static("Now", classes="label")
        with VerticalScroll(classes="listed"):
            yield self._now
        yield Static("KIND[:DETAIL=VALUE,...][@WHOM]..., one on a line; none: all well", classes="label")
        yield self._text
        yield Button("All well", id=CLEAR, compact=True)

    def on_mount(self) -> None:
        """Look, and go on looking."""
        self._text.focus()
        self.set_interval(LOOK_S, self._look)
        self._look()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look at another simulator: the form has nothing to submit yet."""
        event.prevent_default()
        self._look()
        self._text.focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Have all go well, or do what the button says."""
        if event.button.id == CLEAR:
            event.prevent_default()
            self._text.text = ""
            self.action_submit()

    def on_simulator_screen_looked(self, message: Looked) -> None:
        """Show what goes wrong there; fill it in when this simulator is looked at for the first time."""
        if message.url != self._url.value:
            return
        if isinstance(message.found, PushdeskError):
            self._now.update(Content.styled(plain(str(message.found)), BUSY))
            return
        self._show(message.found)
        if self._filled_from != message.url:
            self._filled_from = message.url
            if not self._text.text.strip():
                self._text.text = "\n".join(plain(each.fault) for each in message.found)

    def missing(self) -> str:
        """Return that there is no address."""
        return "" if self._url.value.strip() else "Where is the simulator?"

    async def perform(self, confirm: str = "") -> tuple[SetFault, ...]:
        """Set the faults."""
        del confirm
        lines = [line.strip() for line in self._text.text.splitlines()]
        return await set_faults(self._url.value, [line for line in lines if line])

    def finish(self, result: tuple[SetFault, ...]) -> None:
        """Show what was set, and remember where."""
        self.app.remember_simulator(self._url.value.strip())
        self._filled_from = self._url.value
        self._show(result)
        self.answer(f"✓ {plural(len(result), 'fault')} set" if result else "✓ all is well", GOOD)

    def _show(self, found: tuple[SetFault, ...]) -> None:
        lines = [Content.assemble(plain(each.fault), (f"   {_met(each)}", QUIET)) for each in found]
        self._now.update(Content("\n").join(lines) if lines else Content.styled("✓ all is well", GOOD))

    def _look(self) -> None:
        begin(self, self._fetch, group="look", exclusive=True)

    async def _fetch(self) -> None:
        url = self._url.value
        try:
            found: tuple[SetFault, ...] | PushdeskError = await faults(url)
        except PushdeskError as error:
            found = error
        self.post_message(self.Looked(url, found))


def _met(fault: SetFault) -> str:
    left = "" if fault.left is None else f", {count(fault.left)} left"
    return f"met {count(fault.met)}{left}"
