"""What the overview says while things happen."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from pushdesk.console.app import PushdeskApp
from pushdesk.console.screens import overview
from pushdesk.console.screens.push_service import ServiceScreen
from pushdesk.console.widgets.drawing import Drawing
from pushdesk.errors import PushdeskError
from pushdesk.model import (
    CacheStats,
    Outcome,
    PageQuery,
    Scope,
    SenderStats,
    Service,
    ServiceHealth,
    Span,
    SubscriptionState,
)
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import text_of, toasts, until, until_says, unwrapped
from tests.console.scenes import busy_desk, console, empty_desk, past, rotated_desk

if TYPE_CHECKING:
    from datetime import datetime

    from pushdesk.model import Page, VapidKey

WIDE = (120, 40)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def go_on(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


async def test_the_time_until_a_service_is_tried_again_counts_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "COUNTDOWN_S", 0.01)
    clock = Clock()
    app = PushdeskApp(busy_desk(), url=URL, mode="embedded", now=clock)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "↻ resumes in 00:42")
        clock.go_on(40)
        await until_says(pilot, "↻ resumes in 00:02")
        clock.go_on(2)
        await until_says(pilot, "✓ healthy")
        await until(pilot, lambda: "resumes" not in text_of(app))


async def test_a_countdown_goes_on_after_another_screen_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "COUNTDOWN_S", 0.01)
    clock = Clock()
    app = PushdeskApp(busy_desk(), url=URL, mode="embedded", now=clock)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "↻ resumes in 00:42")
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · ")
        clock.go_on(10)
        await pilot.press("1")
        await until_says(pilot, "↻ resumes in 00:32")


@pytest.mark.parametrize(("width", "says"), [(200, "↻ resumes 00:42"), (120, "↻ resumes in 00:42")])
async def test_how_long_a_service_waits_is_said_in_the_room_there_is(width: int, says: str) -> None:
    app = console(busy_desk())
    async with app.run_test(size=(width, 40)) as pilot:
        await until_says(pilot, says)


@pytest.mark.parametrize(
    ("health", "says"),
    [
        (ServiceHealth(Service.FCM), "· idle"),
        (ServiceHealth(Service.FCM, sent=100, accepted=96, failed=4, last_error="503 busy"), "✓ healthy"),
        (
            ServiceHealth(Service.FCM, sent=100, accepted=90, failed=10, last_error="503 busy", last_error_at=NOON),
            "! errors: 503 busy",
        ),
        (
            ServiceHealth(
                Service.FCM,
                sent=100,
                accepted=90,
                failed=10,
                last_error="503 busy",
                last_error_at=NOON - timedelta(minutes=5),
            ),
            "✓ healthy",
        ),
        (ServiceHealth(Service.FCM, sent=9, failed=9, last_error="403 who?"), "✗ failing: 403 who?"),
        (ServiceHealth(Service.FCM, sent=9, failed=9, last_error="403 who are you, anyway"), "✗ failing  "),
        (ServiceHealth(Service.FCM, sent=9, accepted=9, retry_at=NOON - timedelta(seconds=1)), "✓ healthy"),
        (ServiceHealth(Service.FCM, sent=9, retry_at=NOON + timedelta(hours=2, seconds=5)), "resumes in 2 h 00"),
    ],
)
async def test_how_a_service_does_is_said_in_a_word_with_its_reason(health: ServiceHealth, says: str) -> None:
    desk = busy_desk()
    desk.set_stats(services=(health,))
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_says(pilot, says)


async def test_a_service_is_healthy_again_five_minutes_after_its_last_error_which_is_still_told() -> None:
    clock = [NOON]

    def now() -> datetime:
        return clock[0]

    desk = busy_desk()
    desk.set_stats(
        services=(
            ServiceHealth(Service.FCM, sent=100, accepted=90, failed=10, last_error="503 busy", last_error_at=NOON),
        )
    )
    app = PushdeskApp(desk, url=URL, mode="embedded", now=now)
    async with app.run_test(size=(200, 60)) as pilot:
        await until_says(pilot, "! errors", "12:03:44 503 busy")
        clock[0] += timedelta(minutes=5)
        await until_says(pilot, "✓ healthy", "12:03:44 503 busy")


async def test_what_is_counted_is_called_what_it_is() -> None:
    desk = busy_desk()
    desk.set_stats(subscriptions=5, users=7)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "subscriptions  5 active · 7 users")
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · 5 active")


async def test_enter_on_a_service_shows_all_of_it() -> None:
    desk = busy_desk()
    error = "connection reset by peer " * 20
    failing = ServiceHealth(Service.FCM, sent=4, failed=4, in_flight=2, waiting=7, last_error=error, last_error_at=NOON)
    desk.set_stats(services=(failing,))
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "✗ failing")
        await pilot.press("tab", "enter")
        assert isinstance(app.screen, ServiceScreen)
        await until_says(
            pilot, "4 since the server started", "0, 0.0 %", "in flight     2", "waiting       7", "12:03:44"
        )
        assert unwrapped(app).count("connection reset by") == 20
        await pilot.press("escape")
        assert app.current_mode == "overview"


async def test_a_rotation_shows_how_far_the_old_key_is_emptied() -> None:
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "7f3a92aa, 2 d", "↻ 0badc0de ████░░  81 %")
        await desk.retire_key("0badc0de", confirm="retire")
        await until(pilot, lambda: "0badc0de ██" not in text_of(app))
        await desk.rotate_key(confirm="rotate")
        await until_says(pilot, "↻ 7f3a92aa")


async def test_a_rotation_is_followed_as_devices_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "KEYS_RELOAD_S", 0.01)
    desk = rotated_desk()
    moving = [one.id for one in desk._subscriptions.values() if one.key_id == "0badc0de"]
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "↻ 0badc0de ████░░  81 %")
        desk.change(moving[0], key_id="7f3a92aa")
        await until_says(pilot, "↻ 0badc0de █████░  90 %")
        await pilot.press("3")
        await until_says(pilot, "1 to 7 of 7 · ")
        desk.change(moving[1], key_id="7f3a92aa")
        await pilot.press("1")
        await until_says(pilot, "↻ 0badc0de ██████ 100 %")


async def test_keys_are_not_counted_for_every_device_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "KEYS_RELOAD_S", 3600.0)
    desk = rotated_desk()
    asked: list[PageQuery] = []

    async def keys(query: PageQuery) -> Page[VapidKey]:
        asked.append(query)
        return await FakeDesk.keys(desk, query)

    monkeypatch.setattr(desk, "keys", keys)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "↻ 0badc0de ████░░  81 %")
        for number in range(5):
            told = desk.subscribe(f"user-{number}", key_id="0badc0de")
            await until_says(pilot, told.user)
        assert len(asked) == 1


async def test_keys_that_do_not_come_are_an_error_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise PushdeskError("The database is locked.", code="database_error")

    desk = busy_desk()
    monkeypatch.setattr(desk, "keys", fail)
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until_says(pilot, "✗ error", "The database is locked.", "7f3a92aa, 12 d", "✓ healthy")


async def test_a_device_that_is_gone_is_told_once() -> None:
    desk = FakeDesk()
    device = desk.subscribe("bo", last_success_at=NOON)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Nothing has happened yet.")
        desk.change(device.id, state=SubscriptionState.GONE, last_failure_at=NOON)
        desk.deliver(device, Outcome.GONE, reason="unsubscribed")
        await until_says(pilot, "✗ 410 gone")
        lines = [line for line in text_of(app).splitlines() if "✗" in line and " bo " in line]
        assert len(lines) == 1


async def test_a_device_that_is_removed_is_called_what_it_was_called_before() -> None:
    desk = busy_desk()
    told = desk.subscribe("hana", browser="Firefox", platform="Linux")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "✓ 201")
        desk.change(told.id, state=SubscriptionState.KEY_MISMATCH)
        await until_says(pilot, "✗ other key", "Firefox · Linux")
        await desk.remove_subscriptions([told.id])
        await until(
            pilot,
            lambda: any("removed" in line and "Firefox · Linux" in line for line in text_of(app).splitlines()),
        )


ALONE = SenderStats(in_hand=1200)
FEW = SenderStats(wanted=3, running=2, in_hand=1, waiting=9)
MANY = SenderStats(wanted=64, running=64, in_hand=16384)


@pytest.mark.parametrize(
    ("size", "senders", "says"),
    [
        (WIDE, FEW, "senders        2 of 3 processes · 1 push in hand "),
        (WIDE, MANY, "senders        64 of 64 processes · 16 384 pushes in hand "),
        (WIDE, ALONE, "senders        the server by itself · 1 200 in hand "),
        ((160, 60), FEW, "senders        2 of 3 · 1 in hand "),
        ((160, 60), MANY, "senders        64 of 64 "),
        ((160, 60), ALONE, "senders        the server by itself "),
        ((120, 30), FEW, "server         0.1.0 on sqlite, 5 h   2 of 3 senders "),
        ((120, 30), ALONE, "server         0.1.0 on sqlite, 5 h   sends by itself "),
        ((80, 24), FEW, "users   0.1.0 on sqlite, 5 h   2 of 3 senders "),
        ((80, 24), ALONE, "users   0.1.0 on sqlite, 5 h   sends by itself "),
    ],
)
async def test_what_sends_is_said_in_the_room_there_is(size: tuple[int, int], senders: SenderStats, says: str) -> None:
    desk = busy_desk()
    desk.set_stats(senders=senders)
    app = console(desk)
    async with app.run_test(size=size) as pilot:
        await until_says(pilot, says)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ((100, 30), "server         5 h, 0.1.0   3 of 3 senders "),
        ((80, 24), "48 213 subscriptions · 7 users   5 h, 0.1.0   3 of 3 senders "),
    ],
)
async def test_what_sends_is_said_before_where_the_database_is(size: tuple[int, int], says: str) -> None:
    desk = busy_desk()
    desk.set_stats(storage="sqlite pushdesk.db", subscriptions=48213, users=7)
    app = console(desk)
    async with app.run_test(size=size) as pilot:
        await until_says(pilot, says)


async def test_how_many_senders_run_is_said_as_they_come_and_go() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "3 of 3 processes · 2 pushes in hand")
        desk.set_stats(senders=SenderStats(wanted=3, running=2))
        await until_says(pilot, "2 of 3 processes · 0 pushes in hand")


@pytest.mark.parametrize(("size", "says"), [(WIDE, "senders        push is switched off "), ((80, 24), "push is off ")])
async def test_no_sender_is_told_while_push_is_switched_off(size: tuple[int, int], says: str) -> None:
    desk = busy_desk()
    desk.set_stats(sends=False, senders=SenderStats())
    app = console(desk)
    async with app.run_test(size=size) as pilot:
        await until_says(pilot, says)


async def test_a_version_with_a_long_name_leaves_room_for_the_age_of_the_server() -> None:
    desk = busy_desk()
    desk.set_stats(version="0.1.0.dev314+g1d2c3b4a5f6e7d8c")
    app = console(desk)
    async with app.run_test(size=(160, 60)) as pilot:
        await until_says(pilot, "server         5 h, 0.1.0.dev")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 60)])
async def test_the_first_steps_are_read_whole_beside_warnings(size: tuple[int, int]) -> None:
    desk = empty_desk()
    desk.set_stats(warnings=("The access URL is not https.", "Apple will refuse every push."))
    app = console(desk)
    async with app.run_test(size=size) as pilot:
        await until_says(pilot, "Open http://localhost:8484", "press t to send", "pushdesk simulate")


async def test_a_send_now_and_then_has_a_rate_and_a_scale() -> None:
    desk = busy_desk()
    hour = past(Span.HOUR)
    rare = tuple(int(number % 20 == 0) for number in range(len(hour.sends)))
    desk.histories[Span.HOUR] = msgspec.structs.replace(hour, sends=rare)
    desk.set_stats(sends_per_s=0.0)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("h")
        await until_says(pilot, "0/s · peak <0.1", "0.1/s")


async def test_a_read_that_the_cache_discards_happens_now() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "discarded 4", "last discarded ada, generation 17 → 18")
        desk.cache_user("bo", generation=25)
        desk.discard("bo", read=24, current=25)
        await until_says(pilot, "↻ stale read", "generation 25 is held", "last discarded bo, generation 24 → 25")
        await until_says(pilot, "discarded 5")


async def test_a_cache_that_is_off_is_said_to_be() -> None:
    desk = busy_desk()
    desk.set_stats(cache=CacheStats())
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "The cache is off: every push reads the database.")


async def test_the_ratio_of_the_cache_is_that_of_the_time_that_is_shown_in_a_line_too() -> None:
    desk = busy_desk()
    hour = desk.histories[Span.HOUR]
    desk.histories[Span.HOUR] = msgspec.structs.replace(hour, cache_hits=(0,) * len(hour.cache_lookups))
    desk.histories[Span.DAY] = past(Span.DAY, known=0.0)
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_says(pilot, "Cache 97.9 % hits")
        await pilot.press("h")
        await until_says(pilot, "Cache 0.0 % hits")
        await pilot.press("h")
        # Of a history of which no step is over nothing is known: it is of all since the start.
        await until_says(pilot, "Cache 97.9 % hits")


async def test_outcomes_are_those_of_the_time_that_is_shown() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "✓ accepted 24 786", "↻ retried      81", "✗ ended         5", "✗ failed        2")
    async with console(busy_desk()).run_test(size=(80, 24)) as pilot:
        await until_says(pilot, "✓ accepted 48 213", "↻ retried 96", "✗ ended 12", "✗ failed 3")


async def test_outcomes_that_are_rare_are_told_when_there_are_any() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_says(pilot, "✓ accepted 48 213")
        assert "dropped" not in text_of(app)
        desk.set_stats(outcomes={Outcome.ACCEPTED: 1, Outcome.SUPERSEDED: 2, Outcome.CANCELLED: 1})
        await until_says(pilot, "- dropped 3")


async def test_what_is_more_than_ever_is_the_most_though_its_step_is_not_over() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "412/s · peak 412", "3 now · 2 in flight · most 40")
        desk.set_stats(sends_per_s=905.0, queue=99)
        await until_says(pilot, "905/s · peak 905", "99 now · 2 in flight · most 99")


async def test_when_all_devices_have_ended_at_once_what_happened_is_shown_and_not_first_steps() -> None:
    desk = busy_desk()
    desk.set_stats(subscriptions=0)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Push services", "Happening now", "subscriptions  0 active")
        assert "No browser is subscribed yet." not in text_of(app)


async def test_what_no_push_service_was_to_take_counts_for_nothing_in_what_was_accepted() -> None:
    desk = busy_desk()
    recent = past(Span.MINUTES)
    nothing = (0,) * (len(recent.sends) - 1)
    numbers = {Outcome.ACCEPTED: 3, Outcome.GONE: 1, Outcome.SUPERSEDED: 90, Outcome.CANCELLED: 9}
    outcomes = {outcome: (*nothing, number) for outcome, number in numbers.items()}
    desk.histories[Span.MINUTES] = msgspec.structs.replace(recent, outcomes=outcomes)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "75.0 % accepted")


async def test_first_steps_promise_nothing_while_push_is_switched_off() -> None:
    desk = empty_desk()
    desk.set_stats(sends=False)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Push is switched off on this server.", "web-push = true")
        assert "press t to" not in text_of(app)
        assert "press e" not in text_of(app)
        desk.set_stats(sends=True)
        await until_says(pilot, "press t to", "press e")


async def test_first_steps_promise_no_more_than_the_token_allows() -> None:
    desk = empty_desk()
    desk.allowed = frozenset({Scope.READ})
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "No browser is subscribed yet.", URL, "see it among the subscriptions")
        assert "press t to" not in text_of(app)
        assert "press e" not in text_of(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 24), (120, 30), (120, 40), (160, 40), (200, 60)])
async def test_every_size_has_every_figure(size: tuple[int, int]) -> None:
    app = console(rotated_desk())
    async with app.run_test(size=size) as pilot:
        await until_says(
            pilot,
            *("http://localhost:8484", "queue 3", "7f3a92", "2 d", "sqlite", "embedded", "0badc0de ████░░  81 %"),
            *("412/s · peak 412", "█p50 73 ░p95 179 ms", "now", "500/s", "400 ms"),
            *("FCM", "Mozilla", "Apple", "WNS", "✓ healthy", "↻ resumes", "✗ failing", "210 ms", "98.3", "1 204"),
            *("✓ accepted", "↻ retried", "✗ ended", "✗ failed"),
            *("97.9 % hits", "users 1 621", "loads 2", "discarded 4", "1.2 of 40 MB"),
            *("7", "6 users", "0.1.0", "Happening now", "✓ 201", "↻ 503 will retry"),
        )


async def test_a_console_that_only_looks_can_still_choose_the_time() -> None:
    desk = busy_desk()
    desk.allowed = frozenset({Scope.READ})
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until_says(pilot, "READ-ONLY", "Sends · 5 min", "12:01")
        await pilot.press("h")
        await until_says(pilot, "Sends · 1 hour")
        assert toasts(app) == []


@pytest.mark.parametrize(("presses", "words"), [(1, "1 hour"), (2, "1 day")])
async def test_what_happened_in_a_step_that_is_not_over_is_not_denied(presses: int, words: str) -> None:
    desk = busy_desk()
    desk.histories = {span: past(span, known=0.0) for span in Span}
    desk.set_stats(outcomes={Outcome.ACCEPTED: 20}, p95_ms=3.0)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press(*["h"] * presses)
        await until_says(pilot, f"Latency · {words}, not yet told", "p95 3 ms in the last minute")
        await until_says(pilot, "Outcomes · since the start", "✓ accepted 20", "100 % accepted")
        assert "no answers" not in text_of(app)


async def test_long_charts_say_how_far_they_reach() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min ─", "last █p50 73 ░p95 179 ms")
        await pilot.press("h")
        await until_says(pilot, "Sends · 1 hour to 12:03", "Latency · 1 hour to 12:03")


async def test_latencies_of_services_say_what_they_are_of() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "since the start · p50, p95 of the last 512")


async def test_the_first_picture_in_another_size_is_of_that_size(monkeypatch: pytest.MonkeyPatch) -> None:
    app = console(busy_desk())
    async with app.run_test(size=(80, 24)) as pilot:
        await until_says(pilot, "✓ accepted 48 213")
        # As if no widget had heard of it yet.
        monkeypatch.setattr(Drawing, "on_resize", lambda _: None)
        await pilot.resize_terminal(200, 60)
        await until_says(pilot, "✓ accepted 24 786", "VAPID key", "last discarded ada")
