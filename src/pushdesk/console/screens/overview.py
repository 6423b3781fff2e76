"""The first screen: the server, the push services, and what happens now; or what to do first."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from pushdesk.console.cache_figures import discards, held, hits, is_off, last_discarded, use
from pushdesk.console.figures import age, count, milliseconds, moment, percent, plural, rate, rate_on_scale
from pushdesk.console.first_steps import first_steps
from pushdesk.console.happenings import Happening, of_delivery, of_event, of_failure
from pushdesk.console.key_figures import progress
from pushdesk.console.past import FLOORS, axis_of, hits_of_lookups, last, peak, sends_per_s
from pushdesk.console.screens.charts import ChartsScreen
from pushdesk.console.sender_figures import who_sends, who_sends_in_short
from pushdesk.console.service_figures import (
    LATENCIES,
    accepted_share,
    last_error,
    next_change,
    service_state,
)
from pushdesk.console.status import GOOD, KEYS, QUIET, SERVICES
from pushdesk.console.subject import Subject
from pushdesk.console.text import plain, plain_lines
from pushdesk.console.widgets.chart import Chart, ShareChart
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.drawing import Figures, beside, in_lines
from pushdesk.console.widgets.mix import OutcomeMix
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.plot import FULL, SHADE
from pushdesk.console.widgets.rows import Rows
from pushdesk.console.workers import begin
from pushdesk.desk import KeyChanged, SubscriptionChanged, SubscriptionRemoved
from pushdesk.errors import PushdeskError
from pushdesk.model import KeyState, Outcome, PageQuery, ServiceHealth

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.timer import Timer

    from pushdesk.desk import AnyEvent
    from pushdesk.model import Delivery, History, Stats, VapidKey

HAPPENINGS: Final = 200
"""Lines of what happened that are kept."""
LONGEST_ERROR: Final = 4000
"""Characters of an error that are shown in full."""
MOST_KEYS: Final = 200
"""VAPID keys among which those that are retiring are looked for; the newest."""
KEYS_RELOAD_S: Final = 3.0
"""The keys are fetched at most this often: the devices of every key are counted for it."""
COUNTDOWN_S: Final = 1.0
SECOND_MS: Final = 1000
LABEL: Final = 15
"""Cells of what a figure is called."""
GAP: Final = 3
"""Cells between two figures beside one another."""


class OverviewScreen(ChartsScreen):
    """What an operator sees first."""

    NAME: ClassVar[str] = "overview"
    TELLS_WARNINGS: ClassVar[bool] = True

    class DeliveriesLoaded(Message):
        """The latest deliveries came from the server."""

        def __init__(self, deliveries: tuple[Delivery, ...]) -> None:
            super().__init__()
            self.deliveries = deliveries

    class KeysLoaded(Message):
        """The VAPID keys came from the server."""

        def __init__(self, keys: tuple[VapidKey, ...]) -> None:
            super().__init__()
            self.keys = keys

    class LoadFailed(Message):
        """Something that is shown did not come."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__()
        self._happenings: dict[str, Happening] = {}
        self._retiring: tuple[VapidKey, ...] = ()
        self._keys_resting: Timer | None = None
        self._are_keys_stale = False
        self._countdown: Timer | None = None
        self._sends = Chart("$primary", unit=rate_on_scale, least=0.1, name="sends-chart")
        self._latency = Chart("$accent", unit=milliseconds, least=10.0, name="latency-chart")
        self._mix = OutcomeMix(name="mix")
        self._hits = ShareChart(GOOD, floors=FLOORS, name="hits-chart")
        self._cache_facts = Figures(self._tell_cache, name="cache-facts")
        self._queue = Chart("$secondary", unit=lambda number: count(round(number)), least=1.0, name="queue-chart")
        self._facts = Figures(self._tell_facts, name="facts")
        self._steps = Static(id="steps")
        self._services: Rows[ServiceHealth] = Rows(
            (
                Column("service", "service", 7),
                Column("state", "state", 15, grows=1),
                Column("p50", "p50", 6, priority=3, right=True),
                Column("p95", "p95", 6, right=True),
                Column("accepted", "ok %", 5, priority=2, right=True),
                Column("sent", "sent", 7, right=True),
                Column("waiting", "waiting", 7, priority=1, right=True),
                Column("error", "last error", 24, priority=4, grows=2),
            ),
            key=lambda health: health.service.value,
            cells=self._service_cells,
            name="services",
        )
        self._happening: Rows[Happening] = Rows(
            (
                Column("time", "time", 8),
                Column("status", "outcome", 16, grows=1),
                Column("user", "user", 10, grows=2),
                Column("device", "device", 18, priority=2, grows=2),
                Column("remark", "details", 12, priority=1, grows=3),
            ),
            key=lambda line: line.key,
            cells=self._happening_cells,
            name="happening",
        )

    def compose_body(self) -> ComposeResult:
        """Compose the figures above, what happens below."""
        with Horizontal(id="figures"):
            with Vertical(id="left"):
                yield Panel(self._sends, title="Sends", name="sends")
                yield Panel(self._latency, title="Latency", name="latency")
                yield Panel(self._mix, title="Outcomes", name="outcomes")
            with Vertical(id="right"):
                yield Panel(self._services, title="Push services", name="services-panel")
                yield Panel(self._hits, self._cache_facts, title="Cache", name="hits")
                yield Panel(self._queue, self._facts, title="Queue", name="server")
        yield Panel(self._happening, title="Happening now", name="happening-panel")
        yield Panel(self._steps, title="First steps", name="steps-panel")

    def on_mount(self) -> None:
        """Watch, besides the rest, the errors that the console meets."""
        self._say_no_services()
        self._happening.say_when_empty(
            Content.assemble(("Nothing has happened yet.\n", "bold"), ("Press t to send a test.", QUIET))
        )
        self.watch(self.app, "failures", self._take_failures)
        self.watch(self.app, "minute", self._facts.draw, init=False)
        self.watch(self.app, "scopes", self._say_first_steps, init=False)
        self.begin_in(self._happening)

    def show_stats(self, stats: Stats) -> None:
        """Show the figures."""
        self.set_class(_is_new(stats), "-empty")
        self._services.show(stats.services)
        self._count_down()
        self._mix.count(stats.outcomes)
        self._cache_facts.draw()
        self._facts.draw()
        self._entitle()
        self._say_first_steps()

    def show_history(self, history: History) -> None:
        """Show the past."""
        axis = axis_of(history, self.app.now().tzinfo)
        self._sends.show(axis, sends_per_s(history))
        self._latency.show(axis, history.p95_ms, history.p50_ms)
        self._mix.show(axis if self.past else None, history.outcomes)
        self._hits.show(axis, *hits_of_lookups(history))
        self._queue.show(axis, history.queue)
        self._cache_facts.draw()
        self._entitle()

    def say_no_history(self, text: str) -> None:
        """Say why there are no charts."""
        for chart in (self._sends, self._latency, self._hits, self._queue):
            chart.say(text)
        self._mix.show(None, {})
        self._cache_facts.draw()
        self._entitle()

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Add what happened; how far a retiring key is emptied is asked for when keys or what they are for change."""
        self._add(*(line for event in batch if (line := self._line_of(event)) is not None))
        moves = (SubscriptionChanged, SubscriptionRemoved) if self._retiring else ()
        if any(isinstance(event, (KeyChanged, *moves)) for event in batch):
            self._are_keys_stale = True
            self._refresh_keys()

    def on_screen_resume(self) -> None:
        """Catch up with how far the retiring keys are emptied, too."""
        self._refresh_keys()

    def load(self) -> None:
        """Fetch the latest deliveries, the keys and the past."""
        super().load()
        begin(self, self._load_deliveries, group="happenings", exclusive=True)
        self._fetch_keys()

    def _refresh_keys(self) -> None:
        if self._are_keys_stale and self._keys_resting is None and self.is_shown:
            self._fetch_keys()

    def _fetch_keys(self) -> None:
        self._are_keys_stale = False
        if self._keys_resting is not None:
            self._keys_resting.stop()
        self._keys_resting = self.set_timer(KEYS_RELOAD_S, self._keys_rested)
        begin(self, self._load_keys, group="keys", exclusive=True)

    def _keys_rested(self) -> None:
        self._keys_resting = None
        self._refresh_keys()

    async def _load_deliveries(self) -> None:
        try:
            page = await self.app.desk.deliveries(PageQuery(limit=50))
        except PushdeskError as error:
            self.post_message(self.LoadFailed(error))
        else:
            self.post_message(self.DeliveriesLoaded(page.items))

    async def _load_keys(self) -> None:
        try:
            page = await self.app.desk.keys(PageQuery(limit=MOST_KEYS))
        except PushdeskError as error:
            self.post_message(self.LoadFailed(error))
        else:
            self.post_message(self.KeysLoaded(page.items))

    def on_overview_screen_deliveries_loaded(self, message: DeliveriesLoaded) -> None:
        """Show the latest deliveries among what happened, but for what has happened to them since."""
        lines = (of_delivery(delivery) for delivery in message.deliveries)
        self._add(*(line for line in lines if self._is_news(line)))

    def on_overview_screen_keys_loaded(self, message: KeysLoaded) -> None:
        """Show how far the retiring keys are emptied."""
        self._retiring = tuple(key for key in message.keys if key.state is KeyState.RETIRING)
        self._facts.draw()

    def on_overview_screen_load_failed(self, message: LoadFailed) -> None:
        """Show the error."""
        self.app.report(message.error)

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show what is behind a line: a push service, a delivery, or the whole of an error."""
        from pushdesk.console.screens.words import WordsScreen  # noqa: PLC0415 - not needed before it is asked for

        match message.item:
            case ServiceHealth(service=service):
                self.show_service(service)
            case Happening(delivery=delivery) if delivery is not None:
                self.show_delivery(delivery)
            case Happening(error=error) if error:
                self.app.push_screen(WordsScreen("Error", Content(plain_lines(error, longest=LONGEST_ERROR))))

    def suggested_user(self) -> str:
        """Return the user of the line under the cursor."""
        line = self._happening.current
        return line.user if line is not None and self._happening.has_focus else ""

    def subject(self) -> Subject | None:
        """Return what the line under the cursor tells of: a delivery, else a user."""
        line = self._happening.current
        if line is not None and line.delivery is not None and self._happening.has_focus:
            return Subject.of_delivery(line.delivery)
        return super().subject()

    def _panel(self, name: str) -> Panel:
        return self.query_one(f"#{name}", Panel)

    def _take_failures(self) -> None:
        self._add(*(of_failure(failure.time, failure.text) for failure in self.app.failures))

    def _is_news(self, line: Happening) -> bool:
        known = self._happenings.get(line.key)
        return known is None or known.time < line.time

    def _line_of(self, event: AnyEvent) -> Happening | None:
        line = of_event(event)
        if line is None or not isinstance(event, SubscriptionRemoved):
            return line
        # Whose device it was is told; which one it was, what happened to it before may tell.
        devices = (each.device for each in self._happenings.values() if each.is_of(event.id))
        return line._replace(device=next(devices, ""))

    def _add(self, *lines: Happening) -> None:
        if not lines:
            return
        self._happenings.update({line.key: line for line in lines})
        latest = sorted(self._happenings.values(), key=lambda line: line.time, reverse=True)[:HAPPENINGS]
        self._happenings = {line.key: line for line in latest}
        self._happening.show(latest)
        self._say_no_services()

    def _say_no_services(self) -> None:
        # How the push services are is counted since the start; what happened before it is listed all the same.
        sent = any(line.delivery is not None for line in self._happenings.values())
        text = "No push since the start." if sent else "No push was sent yet."
        self._services.say_when_empty(Content.styled(text, QUIET))

    def _say_first_steps(self) -> None:
        stats = self.app.stats
        if stats is None or not _is_new(stats):
            return
        text = first_steps(stats.url, sends=stats.sends, can_change=not self.app.read_only)
        if self._steps.content != text:
            self._steps.update(text)

    def _entitle(self) -> None:
        stats, past = self.app.stats, self.past
        if stats is None:
            return
        peaks = f" · peak {rate(max(peak(sends_per_s(past)) or 0.0, stats.sends_per_s))}" if past else ""
        self._panel("sends").entitle(self.over_time("Sends"), f"{rate(stats.sends_per_s)}/s{peaks}")
        self._panel("latency").entitle(self.over_time("Latency"), self._latency_note(stats, past))
        self._panel("outcomes").entitle(
            self.over_time("Outcomes") if past else "Outcomes · since the start", _accepted_note(stats, past)
        )
        self._panel("services-panel").entitle("Push services", f"since the start · p50, p95 of the last {LATENCIES}")
        self._panel("hits").entitle(self.over_time("Cache"), hits(stats.cache, past))
        most = f" · most {count(max(stats.queue, *past.queue))}" if past and past.queue else ""
        self._panel("server").entitle(
            self.over_time("Queue"), f"{count(stats.queue)} now · {count(stats.in_flight)} in flight{most}"
        )

    def _latency_note(self, stats: Stats, past: History | None) -> str:
        p50, p95 = (last(past.p50_ms), last(past.p95_ms)) if past else (None, stats.p95_ms)
        if p95 is None:
            return "no answers" if past else "no answers in the last minute"
        if p50 is None:
            return f"p95 {milliseconds(p95)}" if past else f"p95 {milliseconds(p95)} in the last minute"
        # One unit will do, where it is the same.
        first = f"{p50:.0f}" if max(p50, p95) < SECOND_MS else milliseconds(p50)
        # Of the newest step: the scale is of the highest.
        newest = "" if self.has_class("-narrow") else "last "
        return f"{newest}{FULL}p50 {first} {SHADE}p95 {milliseconds(p95)}"

    def _tell_cache(self, width: int, height: int) -> Content:
        stats = self.app.stats
        if stats is None:
            return Content("")
        cache = stats.cache
        if is_off(cache):
            return Content.styled("The cache is off: every push reads the database.", QUIET)
        figures = [
            _named("users", count(held(cache))),
            _named("loads", count(cache.loading)),
            discards(cache),
            Content(use(cache)),
        ]
        if height == 1:
            ratio = Content.assemble(("Cache ", "bold"), hits(cache, self.past))
            return beside([ratio, *figures], width)
        return Content("\n").join([*in_lines(figures, width, height - 1), last_discarded(cache, self.app.now(), width)])

    def _tell_facts(self, width: int, height: int) -> Content:
        stats, now = self.app.stats, self.app.now()
        if stats is None:
            return Content("")
        glyph, word, style = KEYS[KeyState.RETIRING]
        emptied = [Content.assemble((plain(key.id), style), " ", progress(key)) for key in self._retiring]
        if height == 1:
            retiring = [Content.assemble((f"{glyph} key ", style), each) for each in emptied]
            who = f"{plural(stats.subscriptions, 'subscription')} · {plural(stats.users, 'user')}"
            first = beside([Content(who), *retiring], width)
            server, *senders = _server_and_senders(stats, now, width - first.cell_length - GAP)
            return beside([first, Content.styled(server, QUIET), *map(Content, senders)], width)
        room = width - LABEL
        key = Content(f"{plain(stats.key_id)}, {age(stats.key_created_at, now)}")
        keys = [("VAPID key", key), *((f"{glyph} {word}", each) for each in emptied)]
        others = [
            ("subscriptions", Content(f"{count(stats.subscriptions)} active · {plural(stats.users, 'user')}")),
            ("senders", Content(who_sends(stats, room))),
            ("server", Content(_server(stats, now, room))),
        ]
        if len(keys) + len(others) > height:
            retiring = [Content.assemble((f"{glyph} ", style), each) for each in emptied]
            keys = [("VAPID key", beside([key, *retiring], room))]
        if len(keys) + len(others) > height:
            others[1:] = [("server", beside([*map(Content, _server_and_senders(stats, now, room))], room))]
        lines = (Content.assemble((name.ljust(LABEL), QUIET), value) for name, value in (*keys, *others))
        return Content("\n").join(lines)

    def _count_down(self) -> None:
        now = self.app.now()
        waits = self.is_shown and any(next_change(health, now) for health in self._services.items)
        if waits and self._countdown is None:
            self._countdown = self.set_interval(COUNTDOWN_S, self._second_over)
        elif not waits and self._countdown is not None:
            self._countdown.stop()
            self._countdown = None

    def _second_over(self) -> None:
        self._services.redraw()
        self._count_down()

    def _service_cells(self, health: ServiceHealth) -> list[Content]:
        now = self.app.now()
        room, has_error = self._services.width_of("state"), self._services.width_of("error") > 0
        return [
            Content(SERVICES[health.service]),
            service_state(health, now, room=room, why=not has_error),
            Content(milliseconds(health.p50_ms)),
            Content(milliseconds(health.p95_ms)),
            Content(accepted_share(health).removesuffix(" %")),
            Content(count(health.sent)),
            Content(count(health.waiting)),
            Content.styled(last_error(health, now), QUIET),
        ]

    def _happening_cells(self, line: Happening) -> list[Content]:
        return [
            Content.styled(moment(line.time, self.app.now())[-8:], QUIET),
            line.status,
            Content(line.user),
            Content(line.device),
            Content.styled(line.remark, QUIET),
        ]


def _named(name: str, value: str) -> Content:
    return Content.assemble((f"{name} ", QUIET), value)


def _server(stats: Stats, now: datetime, width: int) -> str:
    """Return what the server is and how old, as much as fits into so many cells."""
    whole, brief = _servers(stats, now)
    return whole if len(whole) <= width else brief


def _server_and_senders(stats: Stats, now: datetime, width: int) -> list[str]:
    """Return what the server is, and what sends if that fits beside it, though it be without the database."""
    senders = who_sends_in_short(stats)
    for server in _servers(stats, now):
        if len(server) + GAP + len(senders) <= width:
            return [server, senders]
    return [_server(stats, now, width)]


def _servers(stats: Stats, now: datetime) -> tuple[str, str]:
    version, started = plain(stats.version), age(stats.started_at, now)
    return f"{version} on {plain(stats.storage)}, {started}", f"{started}, {version}"


def _is_new(stats: Stats) -> bool:
    """Whether nobody is subscribed, and nobody was whom anything was sent to: all may have ended at once."""
    return not (stats.subscriptions or stats.services)


def _accepted_note(stats: Stats, past: History | None) -> str:
    counts = {each: sum(steps) for each, steps in past.outcomes.items()} if past else stats.outcomes
    # What somebody took back, or a newer one took the place of, no push service was to accept.
    total = sum(number for each, number in counts.items() if each not in {Outcome.SUPERSEDED, Outcome.CANCELLED})
    return f"{percent(counts.get(Outcome.ACCEPTED, 0) / total)} accepted" if total else "none"
