"""The first screen: the server, the push services, and what happens now; or what to do first."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from pushdesk.console.figures import age, count, milliseconds, moment, plural, rate
from pushdesk.console.happenings import Happening, of_delivery, of_event, of_failure
from pushdesk.console.past import axis_of, last, peak, sends_per_s
from pushdesk.console.screens.charts import ChartsScreen
from pushdesk.console.status import QUIET, SERVICES, STRONG, service_status
from pushdesk.console.text import plain, plain_lines
from pushdesk.console.widgets.chart import Chart
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.mix import OutcomeMix
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.rows import Rows
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError
from pushdesk.model import PageQuery

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pushdesk.desk import AnyEvent
    from pushdesk.model import Delivery, History, ServiceHealth, Stats

HAPPENINGS: Final = 200
"""Lines of what happened that are kept."""
LONGEST_ERROR: Final = 4000
"""Characters of an error that are shown in full."""


class OverviewScreen(ChartsScreen):
    """What an operator sees first."""

    NAME: ClassVar[str] = "overview"
    TELLS_WARNINGS: ClassVar[bool] = True

    class DeliveriesLoaded(Message):
        """The latest deliveries came from the server."""

        def __init__(self, deliveries: tuple[Delivery, ...]) -> None:
            super().__init__()
            self.deliveries = deliveries

    def __init__(self) -> None:
        super().__init__()
        self._happenings: dict[str, Happening] = {}
        self._health: tuple[ServiceHealth, ...] = ()
        self._sends = Chart("$primary", unit=rate, name="sends-chart")
        self._latency = Chart("$accent", unit=milliseconds, name="latency-chart")
        self._mix = OutcomeMix()
        self._facts = Static(id="facts")
        self._steps = Static(id="steps")
        self._services: Rows[ServiceHealth] = Rows(
            (
                Column("service", "service", 7),
                Column("state", "state", 9),
                Column("p50", "p50", 7, priority=1, right=True),
                Column("p95", "p95", 7, right=True),
                Column("accepted", "accepted", 8, priority=2, right=True),
                Column("sent", "sent", 7, right=True),
                Column("error", "last error", 12, priority=3, grows=1),
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
                Column("remark", "", 12, priority=1, grows=3),
            ),
            key=lambda happening: happening.key,
            cells=self._happening_cells,
            name="happening",
        )

    def compose_body(self) -> ComposeResult:
        """Compose the figures above, what happens below."""
        with Horizontal(id="figures"):
            with Vertical(id="left"):
                yield Panel(self._sends, title="Sends", name="sends")
                yield Panel(self._latency, title="Latency", name="latency")
            with Vertical(id="right"):
                yield Panel(self._services, title="Push services", name="services-panel")
                yield Panel(self._mix, self._facts, title="Server", name="server")
        yield Panel(self._happening, title="Happening now", name="happening-panel")
        yield Panel(self._steps, title="First steps", name="steps-panel")

    def on_mount(self) -> None:
        """Watch, besides the rest, the errors that the console meets."""
        super().on_mount()
        self._say_no_services()
        self._happening.say_when_empty(
            Content.assemble(("Nothing has happened yet.\n", "bold"), ("Press t to send a test.", QUIET))
        )
        self.watch(self.app, "failures", self._take_failures)
        self.watch(self.app, "minute", self._say_facts, init=False)
        self._happening.focus()

    def show_stats(self, stats: Stats) -> None:
        """Show the figures."""
        self.set_class(stats.subscriptions == 0, "-empty")
        self._health = stats.services
        self._services.show(stats.services)
        self._mix.outcomes = stats.outcomes
        self._say_facts()
        if stats.subscriptions == 0:
            self._steps.update(first_steps(stats.url))

    def show_history(self, history: History) -> None:
        """Show the past."""
        axis = axis_of(history, self.app.now().tzinfo)
        sends = sends_per_s(history)
        self._sends.show(axis, sends)
        self._latency.show(axis, history.p95_ms, history.p50_ms)
        note = f"{rate(last(sends) or 0.0)}/s · peak {rate(peak(sends) or 0.0)}"
        self._panel("sends").entitle(f"Sends · {self.span_words}", note)
        known = last(history.p95_ms) is not None
        note = f"p50 {milliseconds(last(history.p50_ms))} · p95 {milliseconds(last(history.p95_ms))}"
        self._panel("latency").entitle(f"Latency · {self.span_words}", note if known else "no answers")

    def say_no_history(self, text: str) -> None:
        """Say why there are no charts."""
        for chart in (self._sends, self._latency):
            chart.say(text)

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Add what happened."""
        self._add(*(line for event in batch if (line := of_event(event)) is not None))

    def load(self) -> None:
        """Fetch the latest deliveries, and the past."""
        super().load()
        begin(self, self._load, group="happenings", exclusive=True)

    async def _load(self) -> None:
        try:
            page = await self.app.desk.deliveries(PageQuery(limit=50))
        except PushdeskError as error:
            self.app.report(error)
        else:
            self.post_message(self.DeliveriesLoaded(page.items))

    def on_overview_screen_deliveries_loaded(self, message: DeliveriesLoaded) -> None:
        """Show the latest deliveries among what happened, but for what has happened to them since."""
        lines = (of_delivery(delivery) for delivery in message.deliveries)
        self._add(*(line for line in lines if self._is_news(line)))

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show what is behind a line: a delivery, or the whole of an error."""
        from pushdesk.console.screens.words import WordsScreen  # noqa: PLC0415 - not needed before it is asked for

        match message.item:
            case Happening(delivery=delivery) if delivery is not None:
                self.show_delivery(delivery)
            case Happening(error=error) if error:
                self.app.push_screen(WordsScreen("Error", Content(plain_lines(error, longest=LONGEST_ERROR))))

    def suggested_user(self) -> str:
        """Return the user of the line under the cursor."""
        line = self._happening.current
        return line.user if line is not None and self._happening.has_focus else ""

    def _panel(self, name: str) -> Panel:
        return self.query_one(f"#{name}", Panel)

    def _take_failures(self) -> None:
        self._add(*(of_failure(failure.time, failure.text) for failure in self.app.failures))

    def _is_news(self, line: Happening) -> bool:
        known = self._happenings.get(line.key)
        return known is None or known.time < line.time

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

    def _say_facts(self) -> None:
        stats, now = self.app.stats, self.app.now()
        if stats is None or not self.is_shown:
            return
        facts = (
            ("subscriptions", f"{count(stats.subscriptions)}, of {plural(stats.users, 'user')}"),
            ("queue", f"{count(stats.queue)}, and {count(stats.in_flight)} in flight"),
            ("VAPID key", f"{plain(stats.key_id)}, made {moment(stats.key_created_at, now)}"),
            ("running", f"{age(stats.started_at, now)}, version {plain(stats.version)} on {plain(stats.storage)}"),
        )
        lines = (Content.assemble((name.ljust(15), QUIET), value) for name, value in facts)
        text = Content("\n").join(lines)
        if self._facts.content != text:
            self._facts.update(text)

    def _service_cells(self, health: ServiceHealth) -> list[Content]:
        accepted = f"{100 * health.accepted / health.sent:.1f} %" if health.sent else "-"
        error = (
            f"{moment(health.last_error_at, self.app.now())} {plain(health.last_error)}" if health.last_error else ""
        )
        return [
            Content(SERVICES[health.service]),
            service_status(health).content(),
            Content(milliseconds(health.p50_ms)),
            Content(milliseconds(health.p95_ms)),
            Content(accepted),
            Content(count(health.sent)),
            Content.styled(error, QUIET),
        ]

    def _happening_cells(self, line: Happening) -> list[Content]:
        return [
            Content.styled(moment(line.time, self.app.now())[-8:], QUIET),
            line.status,
            Content(line.user),
            Content(line.device),
            Content.styled(line.remark, QUIET),
        ]


def first_steps(url: str) -> Content:
    """Return what a first user is to do."""
    url = plain(url)
    return Content.assemble(
        ("No browser is subscribed yet.\n\n", "bold"),
        ("1 ", STRONG),
        "Open ",
        (url, "bold underline"),
        " in Firefox or Chromium ",
        ("(y copies it)\n", QUIET),
        "  or press ",
        ("e", "bold"),
        " for an invitation: a link and a QR code for a phone\n",
        ("2 ", STRONG),
        "Type a name, press the button and allow notifications\n",
        ("3 ", STRONG),
        "Come back here and press ",
        ("t", "bold"),
        " to send your first push\n\n",
        ("No internet, or no browser at hand?\n", QUIET),
        ("pushdesk simulate", "bold"),
        (" runs a push service with browsers of its own", QUIET),
    )
