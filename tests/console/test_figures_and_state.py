"""Figures as they are written, and what is remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from pushdesk.console.figures import age, count, milliseconds, moment, percent, plural, rate, size, span
from pushdesk.console.state import SERVERS, ServerState, UiState, View, load_state, save_state
from pushdesk.console.status import DISPATCHES, KEYS, OUTCOMES, SERVICES, SUBSCRIPTIONS
from pushdesk.model import DispatchState, KeyState, Outcome, Service, SubscriptionState

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, 12, 3, 44, tzinfo=UTC)
FIRST, LAST = (end.replace(tzinfo=UTC) for end in (datetime.min, datetime.max))  # noqa: DTZ901 (the zone is added)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (NOW, "12:03:44"),
        (NOW - timedelta(days=1), "Nov 21 12:03"),
        (NOW - timedelta(days=181), "2026-05-25"),
        (NOW - timedelta(days=400), "2025-10-18"),
        (NOW + timedelta(days=60), "Jan 21 12:03"),
        (None, "never"),
    ],
)
def test_a_moment_is_as_exact_as_it_is_near(time: datetime | None, text: str) -> None:
    assert moment(time, NOW) == text


def test_a_moment_before_the_year_began_has_its_time() -> None:
    new_year = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert moment(new_year - timedelta(seconds=10), new_year) == "Dec 31 23:59"


def test_a_moment_may_be_any_that_a_server_tells() -> None:
    for hours, far, text in ((9, LAST, "9999-12-31"), (-9, FIRST, "1-01-01")):
        now = NOW.astimezone(timezone(timedelta(hours=hours)))
        assert moment(far, now).lstrip("0") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "new"), (59, "new"), (61, "1 min"), (7200, "2 h"), (86400 * 12, "12 d"), (-5, "new")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, text: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0.0 %"), (0.974, "97.4 %"), (0.99999, "99.9 %"), (1.0, "100 %"), (1 / 3, "33.3 %")]
)
def test_a_hundred_percent_is_said_of_all_only(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (812, "812 B"), (1240, "1.2 kB"), (40_000_000, "40 MB"), (1_240_000, "1.2 MB"), (3 * 10**9, "3 GB")],
)
def test_bytes_are_told_in_their_largest_unit(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00"), (-3, "00:00"), (41.6, "00:42"), (725, "12:05"), (3900, "1 h 05")]
)
def test_a_time_to_wait_is_told_to_the_second_while_it_is_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.4, "0 ms"), (61.2, "61 ms"), (1234.0, "1.2 s"), (12345.0, "12 s")]
)
def test_durations(value: float | None, text: str) -> None:
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.002, "<0.1"),
        (0.05, "0.1"),
        (0.4, "0.4"),
        (7.25, "7.2"),
        (412, "412"),
        (1234, "1.2k"),
        (12345, "12k"),
    ],
)
def test_rates(value: float, text: str) -> None:
    assert rate(value) == text


def test_counts() -> None:
    assert count(48213) == "48\N{NO-BREAK SPACE}213"
    assert plural(1, "device") == "1 device"
    assert plural(2, "delivery", "deliveries") == "2 deliveries"


def test_every_state_has_a_look_of_its_own() -> None:
    for looks, states in (
        (OUTCOMES, Outcome),
        (SUBSCRIPTIONS, SubscriptionState),
        (KEYS, KeyState),
        (DISPATCHES, DispatchState),
    ):
        assert set(looks) == set(states)
        assert len({(look.glyph, look.word) for look in looks.values()}) == len(states)
    assert set(SERVICES) == set(Service)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    server = ServerState(
        "deliveries", {"deliveries": "deliveries"}, {"subscriptions": View(sort="-user", filter="ada")}
    )
    state = UiState(theme="nord").with_server("http://localhost:8484", server)
    save_state(file, state)
    assert load_state(file) == state
    assert [each.name for each in tmp_path.iterdir()] == ["console.json"]


def test_the_servers_that_were_looked_at_last_are_remembered() -> None:
    state = UiState()
    for number in range(SERVERS + 5):
        state = state.with_server(f"http://{number}", ServerState(str(number)))
        state = state.with_server("http://first", ServerState("overview"))
    assert list(state.servers)[-2:] == [f"http://{SERVERS + 4}", "http://first"]
    assert len(state.servers) == SERVERS


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1, "screen": "overview"}', '{"version": 2, "servers": 3}', "\x00\xff"]
)
def test_state_that_cannot_be_read_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "console.json"
    file.write_bytes(text.encode("latin-1"))
    assert load_state(file) == UiState()
    assert load_state(tmp_path / "absent.json") == UiState()


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    file.mkdir()
    with pytest.raises(OSError, match="directory"):
        save_state(file, UiState())
    assert [each.name for each in tmp_path.iterdir()] == ["console.json"]
