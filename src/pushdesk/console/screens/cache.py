"""The subscription cache: what it holds, how often that was of use, and what its guard discards."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, cast

import msgspec
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message

from pushdesk.console.cache_figures import guard_line, held, hits, in_figures, is_off, kept_for
from pushdesk.console.cache_rows import CacheRow
from pushdesk.console.device_commands import report_failed
from pushdesk.console.feed import Connection
from pushdesk.console.figures import plural, rate, rate_on_scale
from pushdesk.console.keys import bind
from pushdesk.console.past import FLOORS, axis_of, hits_of_lookups, last, lookups_per_s, misses_per_s
from pushdesk.console.screens.charts import ChartsScreen
from pushdesk.console.status import BUSY, GOOD, QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.chart import Chart, ShareChart
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.drawing import Figures, beside
from pushdesk.console.widgets.listing import Listing
from pushdesk.console.widgets.paged import nothing_found
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.plot import FULL, SHADE
from pushdesk.console.workers import begin
from pushdesk.desk import CacheChanged
from pushdesk.errors import PushdeskError
from pushdesk.filters import passes
from pushdesk.model import LOOK_UPS

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from pushdesk.console.widgets.rows import Rows
    from pushdesk.desk import AnyEvent
    from pushdesk.model import Discarded, History, Page, PageQuery, Stats

SORTS: Final = ("age", "time_left", "user", "-generation", "-devices", "-size")
RELOAD_S: Final = 1.0
"""The list is fetched again at most this often: a busy cache changes all the time."""
AGEING_S: Final = 1.0
"""How often the ages in the list are looked at."""
LIT_S: Final = 5.0
"""For how long it is lit up that the guard has discarded something."""


class CacheScreen(ChartsScreen):
    """Whose devices are held in memory."""

    NAME: ClassVar[str] = "cache"
    CHANGES: ClassVar[frozenset[str]] = frozenset({"invalidate", "clear"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("d", "invalidate", "Invalidate", "cache.invalidate", "Let this user's devices be read again", show=True),
        bind("C", "clear", "Clear", "cache.clear", "Let everybody's devices be read again", show=True),
    ]

    class Invalidated(Message):
        """A user's devices were dropped from the cache, if they were in it."""

        def __init__(self, user: str, *, was_held: bool) -> None:
            super().__init__()
            self.user = user
            self.was_held = was_held

    class Cleared(Message):
        """Everybody's devices were dropped from the cache."""

        def __init__(self, users: int) -> None:
            super().__init__()
            self.users = users

    class Refused(Message):
        """The server refused something."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__()
        self._ageing: Timer | None = None
        self._discarded: Discarded | None = None
        self._has_stats = False
        self._going_out: Timer | None = None
        self._hits = ShareChart(GOOD, floors=FLOORS, name="ratio-chart")
        self._lookups = Chart("$primary", unit=rate_on_scale, least=0.1, name="lookups-chart")
        self._counts = Figures(self._tell_counts, name="cache-counts")
        self._guard = Figures(self._tell_guard, name="guard")
        self._listing: Listing[CacheRow] = Listing(
            title="Cached users",
            name="cache",
            columns=(
                Column("user", "user", 16, grows=3, sort="user"),
                Column("devices", "devices", 9, right=True, sort="devices"),
                Column("generation", "generation", 12, right=True, sort="generation"),
                Column("age", "age", 7, right=True, sort="age"),
                Column("left", "time left", 11, right=True, sort="time_left"),
                Column("size", "bytes", 9, priority=1, right=True, sort="size"),
            ),
            key=lambda row: row.entry.user,
            cells=CacheRow.cells,
            fetch=self._fetch,
            sorts=SORTS,
            filter_hint="part of a user's name; ^ and its beginning",
            empty=self._empty,
            reload_s=RELOAD_S,
        )

    def compose_body(self) -> ComposeResult:
        """Compose the figures, what the guard did, and the table."""
        with Horizontal(id="cache-figures"):
            yield Panel(self._hits, title="Hit ratio", name="ratio")
            yield Panel(self._lookups, title="Look-ups", name="lookups")
            yield Panel(self._counts, title="Since the start", name="counts")
        yield self._guard
        yield self._listing

    def on_mount(self) -> None:
        """Begin in the table."""
        self.watch(self.app, "connection", self._age, init=False)
        self.begin_in(self._listing.rows)

    def on_screen_resume(self) -> None:
        """Let the rows grow older again."""
        self._age()

    def show_stats(self, stats: Stats) -> None:
        """Show the figures; what the guard has done since they were last looked at lights up."""
        discarded = stats.cache.last_discarded
        if self._has_stats and discarded is not None and discarded != self._discarded:
            self._light_up()
        self._has_stats, self._discarded = True, discarded
        self._listing.set_total(held(stats.cache))
        self._counts.draw()
        self._guard.draw()
        self._entitle()

    def show_history(self, history: History) -> None:
        """Show the past."""
        axis = axis_of(history, self.app.now().tzinfo)
        self._hits.show(axis, *hits_of_lookups(history))
        self._lookups.show(axis, lookups_per_s(history), misses_per_s(history))
        self._entitle()

    def say_no_history(self, text: str) -> None:
        """Say why there are no charts."""
        self._hits.say(text)
        self._lookups.say(text)
        self._entitle()

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Change the rows that are shown; fetch again when others come, or when many changes are summed up."""
        changes = {event.user: event for event in batch if isinstance(event, CacheChanged)}
        if not changes:
            return
        if not self.is_shown or "" in changes:
            self._listing.changed()
            return
        now = self.app.now()
        for user, event in changes.items():
            is_shown = self._listing.find(user) is not None
            if not is_shown and (event.change in LOOK_UPS or not passes(user, self._listing.filter)):
                continue
            if event.entry is None:
                self._listing.drop(user)
            else:
                self._listing.put(CacheRow.of(event.entry, now, now))

    def on_rows_moved(self) -> None:
        """Let the rows grow older, when there are some."""
        self._age()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a cached user in full."""
        from pushdesk.console.screens.words import WordsScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, CacheRow):
            user = message.item.entry.user
            self.app.push_screen(WordsScreen("Cached user", message.item.in_full(self.app.now()), copies=plain(user)))

    def on_cache_screen_invalidated(self, message: Invalidated) -> None:
        """Say what was done; it costs one read and nothing else."""
        user = plain(message.user)
        said = f"{user} is read again when needed" if message.was_held else f"Nothing was held of {user} any more"
        self.app.notify(f"{said}. No push is lost by it.")

    def on_cache_screen_cleared(self, message: Cleared) -> None:
        """Say what was done."""
        self.app.notify(f"Cleared: {plural(message.users, 'user')}, each of whom is read again when needed.")
        self._listing.load()

    def on_cache_screen_refused(self, message: Refused) -> None:
        """Show the error."""
        report_failed(self.app, message.error)

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        refused = super().refusal(action)
        if refused is None and action == "invalidate" and self._listing.current is None:
            return "No user is selected."
        if refused is None and action == "clear" and self.app.stats is not None and not held(self.app.stats.cache):
            return "The cache is off." if is_off(self.app.stats.cache) else "The cache holds nothing."
        return refused

    def suggested_user(self) -> str:
        """Return the user under the cursor."""
        return self._listing.current.entry.user if self._listing.current else ""

    def copied(self) -> str:
        """Return the name of the user under the cursor; without one, the server's URL."""
        return plain(self._listing.current.entry.user) if self._listing.current else super().copied()

    def action_invalidate(self) -> None:
        """Drop the user under the cursor from the cache: harmless, so nothing is asked."""
        if (current := self._listing.current) is not None:
            begin(self, partial(self._invalidate, current.entry.user), group="commands")

    def action_clear(self) -> None:
        """Ask, and drop everybody from the cache."""
        from pushdesk.console.screens.confirm import DO, ConfirmScreen  # noqa: PLC0415 - not needed before it is asked for

        def answered(answer: str | None) -> None:
            if answer == DO:
                begin(self, self._clear, group="commands")

        users = held(self.app.stats.cache) if self.app.stats else 0
        text = Content.assemble(
            (plural(users, "user"), "bold"),
            " will each be read from the database again when something is next sent to them: a moment of load, "
            "and nothing is lost.",
        )
        self.app.push_screen(ConfirmScreen(title="Clear the cache?", text=text, do="Clear"), answered)

    async def _invalidate(self, user: str) -> None:
        try:
            was_held = await self.app.desk.invalidate_cache(user)
        except PushdeskError as error:
            self.post_message(self.Refused(error))
        else:
            self.post_message(self.Invalidated(user, was_held=was_held))

    async def _clear(self) -> None:
        try:
            users = await self.app.desk.clear_cache()
        except PushdeskError as error:
            self.post_message(self.Refused(error))
        else:
            self.post_message(self.Cleared(users))

    async def _fetch(self, query: PageQuery) -> Page[CacheRow]:
        page = await self.app.desk.cache(query)
        now = self.app.now()
        rows = tuple(CacheRow.of(entry, now, now) for entry in page.items)
        return cast("Page[CacheRow]", msgspec.structs.replace(page, items=rows))

    def _age(self) -> None:
        goes_on = bool(self._listing.rows.items) and self.is_shown and self.app.connection is Connection.LIVE
        if goes_on and self._ageing is None:
            self._ageing = self.set_interval(AGEING_S, self._grow_older)
        elif not goes_on and self._ageing is not None:
            self._ageing.stop()
            self._ageing = None

    def _grow_older(self) -> None:
        now = self.app.now()
        # Only the rows that say something else are painted.
        self._listing.rows.put([row.at(now) for row in self._listing.rows.items])
        self._age()

    def _light_up(self) -> None:
        self._guard.add_class("-lit")
        if self._going_out is not None:
            self._going_out.stop()
        self._going_out = self.set_timer(LIT_S, self._go_out)

    def _go_out(self) -> None:
        self._going_out = None
        self._guard.remove_class("-lit")
        self._guard.draw()

    def _entitle(self) -> None:
        stats, past = self.app.stats, self.past
        if stats is None:
            return
        self.query_one("#ratio", Panel).entitle(self.over_time("Hit ratio"), hits(stats.cache, past))
        now = (last(lookups_per_s(past)) or 0.0, last(misses_per_s(past)) or 0.0) if past else None
        note = f"{SHADE}look-ups {rate(now[0])}/s {FULL}not held {rate(now[1])}/s" if now else ""
        self.query_one("#lookups", Panel).entitle(self.over_time("Look-ups"), note)
        self.query_one("#counts", Panel).entitle("Since the start", kept_for(stats.cache))

    def _tell_counts(self, width: int, height: int) -> Content:
        if self.app.stats is None:
            return Content("")
        return in_figures(self.app.stats.cache, width, height)

    def _tell_guard(self, width: int, height: int) -> Content:
        del height
        if self.app.stats is None:
            return Content("")
        return beside(guard_line(self.app.stats.cache, self.app.now(), is_lit=self._going_out is not None), width)

    def _empty(self, wanted: str) -> Content:
        if wanted:
            return nothing_found("No cached user's name contains", wanted)
        if self.app.stats is not None and is_off(self.app.stats.cache):
            return Content.assemble(
                ("The cache is off: every push reads the database.\n", f"bold {BUSY}"),
                ("Set ttl under [cache] in the configuration to switch it on.", QUIET),
            )
        return Content.assemble(("Nothing is cached.\n", "bold"), ("A user is, once something is sent to them.", QUIET))
