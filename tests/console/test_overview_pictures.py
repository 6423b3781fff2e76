"""Pictures of the overview."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.model import Scope, Span
from tests.console.fake_desk import FakeDesk
from tests.console.scenes import busy_desk, console, empty_desk, past, rotated_desk
from tests.console.sizes import each_size, every_size, smallest_size

if TYPE_CHECKING:
    from tests.console.conftest import Snap

WARNING = "Apple will refuse every push: the subscriber claim mailto:admin@localhost is not one it takes."
PLAIN_HTTP = "The access URL is not https: only browsers on this machine can subscribe."
usual_size = pytest.mark.parametrize("size", [pytest.param((120, 40), id="120x40")])


@every_size
def test_overview(snap: Snap, size: tuple[int, int]) -> None:
    says = ["412/s · peak 412", "█p50 73 ░p95 179 ms", "✓ healthy", "✗ failing", "98.3", "97.9 % hits", "✓ 201", "now"]
    says += ["✓ accepted 24 786" if size[0] > 80 else "↻ retried 96", "0badc0de ████░░  81 %"]
    snap(console(rotated_desk()), size, says=says)


@usual_size
@pytest.mark.parametrize("span", [Span.HOUR, Span.DAY])
def test_overview_of_a_longer_time(snap: Snap, size: tuple[int, int], span: Span) -> None:
    press = ["h"] * list(Span).index(span)
    words, times = {Span.HOUR: ("1 hour", "11:15"), Span.DAY: ("1 day", "00:00")}[span]
    says = [f"Sends · {words}", f"Latency · {words}", f"Outcomes · {words}", f"Queue · {words}", times]
    snap(console(busy_desk()), size, press=press, says=says)


@smallest_size
def test_overview_of_a_server_that_has_just_started(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    desk.histories[Span.MINUTES] = past(Span.MINUTES, known=0.2)
    snap(console(desk), size, says=["Sends · 5 min", "peak 412", "✓ 201"])


@usual_size
def test_overview_of_a_server_without_a_history(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    desk.history_trouble = PushdeskError("There is nothing here.", code="not_found")
    says = ["This server keeps no history", "Outcomes · since the start", "✓ accepted 48 213", "✓ healthy"]
    snap(console(desk), size, says=says)


@each_size
def test_overview_of_a_first_start(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(empty_desk()), size, says=["Open http://localhost:8484", "press t to send", "pushdesk simulate"])


@smallest_size
def test_overview_of_a_first_start_with_warnings(snap: Snap, size: tuple[int, int]) -> None:
    desk = empty_desk()
    desk.set_stats(warnings=(WARNING, PLAIN_HTTP))
    says = ["! Apple will refuse", "! The access URL is not https", "press t to send", "pushdesk simulate"]
    snap(console(desk), size, says=says)


@smallest_size
def test_overview_of_a_first_start_without_push(snap: Snap, size: tuple[int, int]) -> None:
    desk = empty_desk()
    desk.set_stats(sends=False, warnings=("Web Push is switched off on this server.",))
    snap(console(desk), size, says=["Browsers cannot subscribe, and nothing is sent.", "web-push = true"])


@smallest_size
def test_overview_while_the_server_starts(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(FakeDesk(reachable=False)), size, says=["starting…", "http://localhost:8484"])


@smallest_size
def test_overview_after_the_connection_was_lost(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    snap(console(desk), size, says=["✓ 201", "queue 3", "now"], act=desk.lose, then_says=["↻ reconnecting", "✓ 201"])


@each_size
def test_overview_after_the_token_was_revoked(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    then_says = [
        "✗ no longer let in",
        "A valid token is needed",
        "! http://localhost:8484 no longer takes the token.",
        "✓ 201",
        "(t Test send)",
    ]
    snap(console(desk), size, says=["✓ 201", "queue 3", "now"], act=desk.shut_out, then_says=then_says)


@smallest_size
def test_overview_with_a_token_that_only_reads(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    desk.allowed = frozenset({Scope.READ})
    snap(console(desk), size, says=["READ-ONLY", "412/s", "✓ 201"])


@each_size
def test_overview_with_warnings(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    desk.set_stats(warnings=(WARNING, PLAIN_HTTP))
    snap(console(desk), size, says=["! Apple will refuse every push", "! The access URL is not https", "✓ 201"])


@each_size
def test_overview_without_colours(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    says = ["✓ healthy", "✗ failing", "! 403 our key", "↻ 429 throttled", "✗ 410 gone", "░░"]
    snap(console(busy_desk()), size, says=says)


@usual_size
@pytest.mark.parametrize("theme", ["pushdesk-light", "ansi-dark"])
def test_overview_in_other_themes(snap: Snap, size: tuple[int, int], theme: str) -> None:
    app = console(busy_desk())
    app.theme = theme
    snap(app, size, says=["✓ healthy", "█p50 73 ░p95 179 ms"])


@usual_size
def test_overview_in_a_terminal_without_parts_of_cells(
    snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "linux")
    snap(console(busy_desk()), size, says=["✓ healthy", "▄██"])


@smallest_size
def test_a_push_service_in_full(snap: Snap, size: tuple[int, int]) -> None:
    press = ["tab", "down", "down", "enter"]
    says = ["↻ throttled", "80, 83.3 %", "12:04:26, in 00:42", "429 TooManyRequests"]
    snap(console(busy_desk()), size, press=press, says=says)
