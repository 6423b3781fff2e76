"""The console: a Textual app that holds a `Desk`."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple

from msgspec import structs
from textual.app import App
from textual.command import CommandPalette
from textual.message import Message
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.worker import WorkerState

from pushdesk.console.feed import Connection, Feed, News
from pushdesk.console.keys import bind
from pushdesk.console.screens import SCREENS
from pushdesk.console.state import ServerState, View, load_state, save_state
from pushdesk.console.text import plain
from pushdesk.console.themes import DARK, LIGHT, filters_in
from pushdesk.console.workers import begin
from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, NoAnswerError, PushdeskError, UnreachableError
from pushdesk.garbage import keep_what_is_there
from pushdesk.model import Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from textual.binding import BindingType
    from textual.command import Provider
    from textual.filter import LineFilter
    from textual.notifications import Notify, SeverityLevel
    from textual.screen import Screen
    from textual.widget import Widget
    from textual.worker import Worker

    from pushdesk.desk import AnyEvent, Desk
    from pushdesk.model import Stats

TOAST_S: Final = 5.0
MOST_TOASTS: Final = 5
MINUTE_S: Final = 60
KEPT_FAILURES: Final = 20
PAINTED_AFTER_S: Final = 0.001
PREPARING_PAUSE_S: Final = 0.2
"""Between the making of two screens: keys are answered in it."""
WIDTHS: Final = [(0, "-narrow"), (81, "-wide"), (160, "-huge")]
"""The class that a screen has from so many columns on."""
HEIGHTS: Final = [(0, "-low"), (30, "-short"), (36, "-tall")]
"""The class that a screen has from so many lines on."""


class Failure(NamedTuple):
    """An error that the console met."""

    time: datetime
    text: str


def _commands() -> type[Provider]:
    from pushdesk.console.commands import Commands  # noqa: PLC0415 - not needed before the palette is opened

    return Commands


class PushdeskApp(App[int]):
    """The operator's console.

    `run()` returns the exit code; after it, `error` is the reason why the app ended by itself, if it did.

    Args:
        desk: The server that is looked at.
        url: Where its pages are, shown until it says so itself.
        mode: Whether the server runs in this program or elsewhere: what quitting means.
        now: The time, aware; its zone is the one in which times are shown.
        state_file: Where screen, sort orders and theme are kept.
        starting: Awaited once the first screen is painted and before the desk is asked anything: it starts the
            embedded server without delaying the picture. A `PushdeskError` from it ends the app.
        keymap: Ids of bindings, and the keys that they are to have.
        theme: The colours to begin with, unless others were chosen here since they were configured.
        read_only: Whether nothing is to be changed from here, whatever the server allows.
        prepares: Whether the screens are made while nobody waits for them, so that the first look at each is as quick
            as the others.
    """

    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    NOTIFICATION_TIMEOUT = TOAST_S
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {entry.name: entry.make for entry in SCREENS}
    DEFAULT_MODE = SCREENS[0].name
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            bind(entry.key, f"show('{entry.name}')", entry.title, f"screen.{entry.name}", entry.tooltip)
            for entry in SCREENS
        ),
        bind(
            "colon", "command_palette", "Command", "palette.open", "Find a command by its name", show=True, display=":"
        ),
        bind("question_mark", "help", "Help", "help.open", "What every key does", show=True, display="?"),
        bind("q", "quit", "Quit", "app.quit", "Leave the console", show=True),
        # Not printable, so they may have priority: they work from wherever the focus is.
        bind(
            "ctrl+p", "command_palette", "Command", "palette.open_anywhere", "Find a command by its name", priority=True
        ),
        bind("ctrl+c", "quit", "Quit", "app.interrupt", "Leave the console", priority=True),
        bind("f1", "help", "Help", "help.open_anywhere", "What every key does", priority=True),
    ]

    stats: reactive[Stats | None] = reactive(None)
    """The state of the server, as last heard of."""
    events: reactive[tuple[AnyEvent, ...]] = reactive(())
    """What happened in the last tick that brought anything."""
    connection: reactive[Connection] = reactive(Connection.STARTING)
    scopes: reactive[frozenset[Scope] | None] = reactive(None)
    """What the server allows; None until it has said so."""
    troubles: reactive[tuple[str, ...]] = reactive(())
    """What is wrong between console and server, in sentences; not that the connection is lost."""
    loaded: reactive[int] = reactive(0)
    """Rises when everything listed is to be listed again: connected for the first time, or events were missed."""
    failures: reactive[tuple[Failure, ...]] = reactive(())
    """The errors that the console met, the newest last."""
    hidden_warnings: reactive[tuple[str, ...]] = reactive(())
    """The server's warnings that are not to be shown; others are."""
    minute: reactive[str] = reactive("")
    """The time of day, to the minute: a clock with seconds would repaint an idle screen."""

    class NewsArrived(Message):
        """A tick's worth of news came from the server; `taken` is set once it has been handed on."""

        def __init__(self, news: News) -> None:
            super().__init__()
            self.news = news
            self.taken = asyncio.Event()

    def __init__(
        self,
        desk: Desk,
        *,
        url: str,
        mode: Literal["embedded", "attached"],
        now: Callable[[], datetime],
        state_file: Path | None = None,
        starting: Callable[[], Awaitable[None]] | None = None,
        keymap: Mapping[str, str] | None = None,
        theme: str = DARK.name,
        read_only: bool = False,
        prepares: bool = False,
    ) -> None:
        super().__init__()
        self.title = "pushdesk"
        self.desk = desk
        self.mode = mode
        self.now = now
        self.error: PushdeskError | None = None
        self.commands_under_way: set[Hashable] = set()
        """What was ordered and is not answered yet; each is given once at a time."""
        self._url = url
        self._is_opened_read_only = read_only
        self._prepares = prepares
        self._state_file = state_file
        self._starting = starting
        self._has_begun = False
        self._has_chosen = False
        """Whether somebody has gone to a screen."""
        self._has_missed = False
        """Whether the server did not answer something since it could be reached again."""
        self._leaving_with: int | None = None
        self.keymap = dict(keymap or {})
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self._remembered = load_state(state_file)
        server = self._remembered.servers.get(url, ServerState())
        self._focus, self._views = dict(server.focus), dict(server.views)
        self._simulator = server.simulator
        self._configured_theme = theme
        chosen = self._remembered.chosen_theme(theme)
        self.theme = chosen if chosen in self.available_themes else theme
        self._first_screen = server.screen if server.screen in self.MODES else self.DEFAULT_MODE

    @property
    def url(self) -> str:
        """Where the server's pages are."""
        return self.stats.url if self.stats else self._url

    def on_mount(self) -> None:
        """Start to listen: to signals, to the clock, to the server."""
        self.set_keymap(self.keymap)
        self._tell_minute()
        self.switch_mode(self._first_screen)
        self.call_after_refresh(self._begin)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return how colours are changed before they are painted."""
        return filters_in(super().get_line_filters(), ansi=self.native_ansi_color)

    def fail(self, error: PushdeskError) -> None:
        """End the app because of an error, with its exit code. From another thread: through `call_from_thread`."""
        self.error = error
        self.exit(error.exit_code, return_code=error.exit_code)

    def report(self, error: PushdeskError, *, toast: bool = True) -> None:
        """Show an error as a row of what happened, and as a toast unless it is said elsewhere.

        Not that the server is away, which is seen.
        """
        if isinstance(error, UnreachableError):
            self._has_missed = True
            if not isinstance(error, NoAnswerError):
                return
        self.failures = (*self.failures[1 - KEPT_FAILURES :], Failure(self.now(), str(error)))
        if toast:
            self.notify(str(error), severity="error", title=error.kind.title)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a toast. Its text is never markup, whatever is asked for: most of them repeat a text from outside."""
        del markup
        super().notify(plain(message), title=plain(title), severity=severity, timeout=timeout, markup=False)

    def delay_update(self, delay: float = PAINTED_AFTER_S) -> None:
        """Paint soon, where Textual waits for 0.05 s to hide how a screen is made: ours are made before."""
        super().delay_update(min(delay, PAINTED_AFTER_S))

    def on_notify(self, event: Notify) -> None:
        """Show what is said once at a time, and only the last few: every toast makes the next one dearer."""
        shown, new = list(self._notifications), event.notification
        if any((toast.title, toast.message) == (new.title, new.message) for toast in shown):
            event.prevent_default()
            return
        for toast in shown[: max(0, len(shown) + 1 - MOST_TOASTS)]:
            self._unnotify(toast, refresh=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should mend: between console and server, then at the server."""
        return (*self.troubles, *(self.stats.warnings if self.stats else ()))

    @property
    def read_only(self) -> str:
        """Why nothing can be changed from here; empty if it can."""
        if self._is_opened_read_only:
            return "This console was opened with --read-only."
        if self.scopes is not None and Scope.ADMIN not in self.scopes:
            return "Your access token allows to look, not to change anything."
        return ""

    def is_looked_at(self, widget: Widget) -> bool:
        """Whether a widget is on the screen that is shown, perhaps with a dialog over it that it shows through."""
        stack = self.screen_stack
        if widget.screen not in stack:
            return False
        return all(isinstance(above, ModalScreen) for above in stack[stack.index(widget.screen) + 1 :])

    def view(self, name: str) -> View:
        """Return how a list or a chart was last looked at."""
        return self._views.get(name, View())

    def remember_view(self, name: str, view: View) -> None:
        """Keep how a list or a chart is looked at for the next run."""
        self._views[name] = view
        self._save_state()

    def remembered_focus(self, screen: str) -> str:
        """Return the id of the widget that had the focus on a screen; empty if there is none."""
        return self._focus.get(screen, "")

    def remember_focus(self, screen: str, widget: str) -> None:
        """Keep which widget has the focus on a screen; written down with what is written next."""
        self._focus[screen] = widget

    @property
    def simulator(self) -> str:
        """Where the simulator is whose faults were last set; empty if none were."""
        return self._simulator

    def remember_simulator(self, url: str) -> None:
        """Keep where the simulator is for the next run."""
        self._simulator = url
        self._save_state()

    def action_simulator(self) -> None:
        """Show what goes wrong in a simulator on this machine."""
        from pushdesk.console.screens.simulator import SimulatorScreen  # noqa: PLC0415 - hardly ever needed

        if self.read_only:
            self.notify(self.read_only, severity="warning")
        elif not isinstance(self.screen, SimulatorScreen):
            self.push_screen(SimulatorScreen())

    def _meet(self, stats: Stats) -> None:
        """Begin on the overview where nobody is subscribed: the screen that is remembered may be of another server."""
        if not stats.users and not stats.subscriptions and not self._has_chosen:
            self.switch_mode(self.DEFAULT_MODE)

    def action_show(self, name: str) -> None:
        """Show a screen."""
        self._has_chosen = True
        self.switch_mode(name)
        self._save_state()

    def action_help(self) -> None:
        """Show what every key does."""
        from pushdesk.console.screens.help import HelpScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(self.screen, HelpScreen):
            self.screen.dismiss()
        elif not isinstance(self.screen, CommandPalette):
            self.push_screen(HelpScreen(self.screen))

    async def action_quit(self) -> None:
        """Quit; with a word first if something is in flight here. A second press quits at once."""
        from pushdesk.console.screens.confirm import QuitScreen  # noqa: PLC0415 - not needed before it is asked for

        under_way = self.stats.in_flight if self.stats and self.mode == "embedded" else 0
        if under_way == 0 or isinstance(self.screen, QuitScreen):
            self.quit_now()
        else:
            self.push_screen(QuitScreen(under_way))

    def quit_now(self) -> None:
        """Quit, with everything remembered."""
        self._save_state()
        self.exit(EXIT_DONE)

    def on_pushdesk_app_news_arrived(self, message: NewsArrived) -> None:
        """Hand the news to whoever watches."""
        news = message.news
        is_back = news.connection is Connection.LIVE is not self.connection
        self.troubles = news.troubles
        self.connection = news.connection
        if news.failure is not None:
            self.report(news.failure)
        if news.scopes is not None:
            self.scopes = news.scopes
        if news.stats is not None:
            if self.stats is None:
                self._meet(news.stats)
                if self._prepares:
                    begin(self, self._prepare_screens, group="screens")
            self.stats = news.stats
        if news.anew or (is_back and self._has_missed):
            self._has_missed = False
            self.loaded += 1
        if news.events:
            self.events = news.events
        message.taken.set()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """End the app when what it lives on has ended; anything less is shown."""
        error = event.worker.error
        if event.state is not WorkerState.ERROR or error is None:
            return
        known = error if isinstance(error, PushdeskError) else PushdeskError(f"The console failed: {error!r}")
        if event.worker.group == "feed":
            self.fail(known)
        else:
            self.report(known)

    def watch_theme(self) -> None:
        """Keep the theme for the next run."""
        if self.is_running:
            self._save_state()

    def _follow(self) -> None:
        begin(self, self._start_and_follow, group="feed")

    async def _start_and_follow(self) -> None:
        if self._starting is not None:
            await self._starting()
        await Feed(self.desk, self._publish).run()

    async def _prepare_screens(self) -> None:
        for mode in self.MODES:
            await asyncio.sleep(PREPARING_PAUSE_S)
            # Textual has no other way to make the screen of a mode than to show it.
            await self._init_mode(mode)
        keep_what_is_there()

    async def _publish(self, news: News) -> None:
        message = self.NewsArrived(news)
        # Nobody takes it from an app that is being left.
        if self.post_message(message):
            await message.taken.wait()

    def _tell_minute(self) -> None:
        now = self.now()
        self.minute = f"{now:%H:%M}"
        self.set_timer(MINUTE_S - now.second, self._tell_minute)

    def _save_state(self) -> None:
        server = ServerState(self.current_mode, self._focus, self._views, self._simulator)
        themes = {"theme": self.theme, "configured_theme": self._configured_theme}
        self._remembered = structs.replace(self._remembered, **themes).with_server(self._url, server)
        try:
            save_state(self._state_file, self._remembered)
        except OSError as error:
            self.notify(f"What the console remembers could not be written: {error.strerror}", severity="warning")

    def listen_to_signals(self) -> None:
        """Exit on the signals that Textual leaves to the default, which would leave the terminal in disorder.

        To be called on the loop before the app runs: the terminal is changed before the app is mounted. Signals that
        whoever started us wants ignored (`nohup`) stay ignored.
        """
        loop = asyncio.get_running_loop()
        for number, code in (
            (signal.SIGTERM, EXIT_DONE),
            (signal.SIGHUP, EXIT_DONE),
            (signal.SIGINT, EXIT_INTERRUPTED),
        ):
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self.leave, code)

    def leave(self, code: int) -> None:
        """End the app from outside, now or as soon as it can."""
        # An exit in the middle of the first mounting would end in an error of Textual's.
        self._leaving_with = code
        if self._has_begun:
            self.exit(code, code)

    def _begin(self) -> None:
        self._has_begun = True
        if self._leaving_with is None:
            self._follow()
        else:
            self.exit(self._leaving_with, self._leaving_with)
