"""What the screens do while things happen."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import TYPE_CHECKING

import msgspec
import pytest

from pushdesk.console.app import PushdeskApp
from pushdesk.console.widgets import tail
from pushdesk.console.widgets.rows import Rows
from pushdesk.desk import LogWritten
from pushdesk.errors import PushdeskError
from pushdesk.model import Delivery, Notification, Outcome, Subscription
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import heard, settled, text_of, toasts, until, until_says, unwrapped
from tests.console.scenes import busy_desk, console, empty_desk

if TYPE_CHECKING:
    from datetime import datetime

    from textual.strip import Strip

WIDE = (120, 40)


def rows_of(app: PushdeskApp) -> Rows[Delivery]:
    return app.screen.query_one(Rows)


async def test_the_overview_shows_a_first_subscription_as_it_comes() -> None:
    desk = empty_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "No browser is subscribed yet.")
        desk.subscribe("ada")
        await until_says(pilot, "+ subscribed", "ada", "Firefox · Linux")


async def test_the_latest_attempt_stands_for_a_delivery_at_the_end() -> None:
    desk = empty_desk()
    ada, bo = desk.subscribe("ada"), desk.subscribe("bo")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: app.loaded)
        desk.settles = False
        await desk.notify(ada.user, _hello())
        await until_says(pilot, "… waiting")
        waiting = next(iter(desk._deliveries.values()))
        other = desk.deliver(bo)
        retried = msgspec.structs.replace(waiting, outcome=Outcome.TRANSIENT, status=503, attempts=1)
        desk.update(retried)
        await until_says(pilot, "↻ 503 will retry")
        assert rows_of(app).items == [other, retried]
        desk.deliver(bo)
        arrived = msgspec.structs.replace(waiting, outcome=Outcome.ACCEPTED, status=201, attempts=2)
        desk.update(arrived)
        await until(pilot, lambda: rows_of(app).items[-1] == arrived)
        assert "↻ 503 will retry" not in text_of(app)
        assert len(rows_of(app).items) == 3


@pytest.mark.parametrize("keys", [(), ("p",), ("slash", *"transient", "enter"), ("slash", *"ada", "enter", "p")])
async def test_what_was_told_is_what_is_listed_when_it_is_fetched_anew(keys: tuple[str, ...]) -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms", "following")
        await pilot.press(*keys)
        await settled(pilot)
        of_ada, of_cy = _subscription(desk, "sub-0001"), _subscription(desk, "sub-0003")
        wait_s = 0

        def later() -> datetime:
            nonlocal wait_s
            wait_s += 1
            return NOON + timedelta(seconds=wait_s)

        desk.now = later
        begun = [desk.deliver(one, Outcome.TRANSIENT) for one in (of_ada, of_cy, of_ada, of_cy)]
        for one, outcome in zip(begun, (Outcome.ACCEPTED, Outcome.TRANSIENT, Outcome.TRANSIENT), strict=False):
            desk._settle(one, outcome)
        # One that was listed before: it was tried again, and arrived.
        known = next(one for one in desk._deliveries.values() if one.outcome is Outcome.TRANSIENT)
        last = desk._settle(known, Outcome.ACCEPTED)
        await heard(pilot, app, last)
        if "p" in keys:
            await pilot.press("p")
        told = list(rows_of(app).items)
        assert len({one.id for one in told}) == len(told)
        asked = len(desk.asked)
        await pilot.press("R")
        await until(pilot, lambda: len(desk.asked) > asked)
        await settled(pilot)
        assert rows_of(app).items == told


async def test_a_paused_log_stands_still_and_catches_up() -> None:
    desk = busy_desk()
    one = desk.subscribe("fay")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms", "following")
        await pilot.press("p")
        desk.deliver(one)
        await until_says(pilot, "paused, 1 new")
        assert "fay" not in text_of(app)
        await pilot.press("p")
        await until_says(pilot, "fay", "following")


async def test_a_paused_log_counts_deliveries_and_not_their_attempts() -> None:
    desk = busy_desk()
    one = desk.subscribe("fay")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms", "following")
        await pilot.press("p")
        again = desk.deliver(one, Outcome.TRANSIENT)
        for attempts in (2, 3):
            desk.update(msgspec.structs.replace(again, attempts=attempts))
        known = desk._deliveries["delivery-0048"]
        last = msgspec.structs.replace(known, attempts=5)
        desk.update(last)
        await heard(pilot, app, last)
        await until_says(pilot, "paused, 1 new")
        await pilot.press("p", "p")
        await until_says(pilot, "paused, 0 new")


async def test_a_filter_that_is_set_while_the_log_is_paused_lists_at_once_and_counts_its_own() -> None:
    desk = busy_desk()
    fay, gus = desk.subscribe("fay"), desk.subscribe("gus")
    earlier = desk.deliver(fay)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms", "following")
        await pilot.press("p")
        held = [desk.deliver(gus), desk.deliver(fay)]
        await until_says(pilot, "paused, 2 new")
        await pilot.press("slash", *"fay", "enter")
        await until(pilot, lambda: rows_of(app).items == [earlier, held[1]])
        await until_says(pilot, "filter: fay", "paused, 0 new")
        desk.deliver(gus)
        after = desk.deliver(fay)
        await until_says(pilot, "paused, 1 new")
        assert rows_of(app).items == [earlier, held[1]]
        await pilot.press("p")
        await until(pilot, lambda: rows_of(app).items == [earlier, held[1], after])


async def test_a_filter_that_is_set_while_paused_and_away_is_listed_when_the_server_is_back() -> None:
    desk = busy_desk()
    one = desk.deliver(desk.subscribe("fay"))
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms", "following")
        await pilot.press("p")
        desk.lose()
        await until_says(pilot, "reconnecting")
        await pilot.press("slash", *"fay", "enter")
        await until_says(pilot, "filter: fay", "This could not be listed.")
        assert rows_of(app).items == []
        desk.come_back()
        await until(pilot, lambda: rows_of(app).items == [one])
        await until_says(pilot, "filter: fay", "paused, 0 new")


async def test_a_paused_log_that_cannot_hold_all_that_is_new_lists_it_anew_as_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tail, "KEPT", 30)
    desk = busy_desk()
    one = _subscription(desk, "sub-0001")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms", "following")
        await pilot.press("p")
        told = [desk.deliver(one) for _ in range(40)]
        await heard(pilot, app, told[-1])
        await until_says(pilot, "paused, 30+ new")
        await pilot.press("p")
        await until(pilot, lambda: rows_of(app).items[-40:] == told)


async def test_moving_up_leaves_the_newest_and_f_goes_back_to_it() -> None:
    desk = busy_desk()
    one = desk.subscribe("fay")
    app = console(desk)
    async with app.run_test() as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms")
        await pilot.press("up")
        await until_says(pilot, "f follows the newest")
        for _ in range(30):
            desk.deliver(one)
        await until(pilot, lambda: len(rows_of(app).items) == 54)
        assert "fay" not in text_of(app)
        await pilot.press("f")
        await until_says(pilot, "fay", "following")


async def test_older_deliveries_are_fetched_when_the_top_is_reached() -> None:
    desk = busy_desk(deliveries=450)
    app = console(desk)
    async with app.run_test() as pilot:
        await pilot.press("5")
        await until(pilot, lambda: len(rows_of(app).items) == 200)
        first = rows_of(app).items[0]
        await pilot.press("home", "up")
        await until(pilot, lambda: len(rows_of(app).items) == 400)
        assert rows_of(app).items[200] == first
        assert rows_of(app).current == first


async def test_the_filter_holds_for_what_comes_by_itself() -> None:
    desk = busy_desk()
    ada, bo = desk.subscribe("ada"), desk.subscribe("bo")
    app = console(desk)
    async with app.run_test() as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms")
        await pilot.press("slash", *"gone", "enter")
        await until_says(pilot, "filter: gone")
        await until(pilot, lambda: len(rows_of(app).items) == 4)
        desk.deliver(ada)
        desk.deliver(bo, Outcome.GONE)
        await until(pilot, lambda: len(rows_of(app).items) == 5)
        await pilot.press("escape")
        await until(pilot, lambda: len(rows_of(app).items) == 26)


async def test_what_comes_by_itself_is_filtered_as_the_server_filters() -> None:
    desk = busy_desk()
    gone = desk.subscribe("gone")
    ada, big_ada, bo = desk.subscribe("ada"), desk.subscribe("ADA"), desk.subscribe("bo")
    app = console(desk)
    async with app.run_test() as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms")
        await pilot.press("slash", *"gone", "enter")
        await until(pilot, lambda: len(rows_of(app).items) == 4)
        desk.deliver(gone)
        ended = desk.deliver(bo, Outcome.GONE)
        await until(pilot, lambda: ended in rows_of(app).items)
        assert len(rows_of(app).items) == 5
        await pilot.press("slash", *["backspace"] * 4, *"ad", "enter")
        await until(pilot, lambda: len(rows_of(app).items) == 8)
        desk.deliver(big_ada)
        arrived = desk.deliver(ada)
        await until(pilot, lambda: arrived in rows_of(app).items)
        assert len(rows_of(app).items) == 9


async def test_what_happens_while_a_page_comes_is_newer_than_the_page() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms")
        await settled(pilot)
        desk.answering.clear()
        asked = len(desk.asked)
        await pilot.press("R")
        await until(pilot, lambda: len(desk.asked) == asked + 1)
        waiting = desk.deliver(_subscription(desk, "sub-0001"), reason="while it came")
        retried = desk._deliveries["delivery-0048"]
        changed = msgspec.structs.replace(retried, reason="changed meanwhile", at=NOON)
        desk.update(changed)
        await until_says(pilot, "while it came", "changed meanwhile")
        desk.answering.set()
        await settled(pilot)
        await until_says(pilot, "while it came", "changed meanwhile")
        assert rows_of(app).items[-2:] == [waiting, changed]


async def test_what_happens_to_subscriptions_while_a_page_comes_is_newer_than_the_page() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · 5 active")
        desk.answering.clear()
        await pilot.press("R")
        await pilot.pause()
        desk.change("sub-0001", failures=17)
        await until_says(pilot, "17")
        desk.answering.set()
        await settled(pilot)
        await until_says(pilot, "17")


async def test_a_lost_connection_is_resumed_where_it_stopped() -> None:
    desk = busy_desk()
    one = desk.subscribe("fay")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until_says(pilot, "201 ms")
        loaded = app.loaded
        desk.lose()
        await until_says(pilot, "reconnecting")
        desk.deliver(one)
        desk.come_back()
        await until_says(pilot, "fay", "embedded")
        assert app.loaded == loaded


async def test_a_restarted_server_is_listed_anew() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        await until_says(pilot, "eve.")
        desk.lose()
        await until_says(pilot, "reconnecting")
        desk.come_back(anew=True)
        await until(pilot, lambda: app.loaded == 2)
        await until_says(pilot, "embedded", "eve.")


async def test_missed_events_that_are_no_longer_held_are_fetched() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        await until_says(pilot, "eve.")
        desk.lose()
        await until_says(pilot, "reconnecting")
        desk.subscribe("fay", created_at=NOON + timedelta(seconds=1))
        desk.forget_history()
        desk.come_back()
        await until_says(pilot, "fay")


async def test_a_subscription_changes_in_its_row() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3", "down")
        await until_says(pilot, "✗ gone", "1 to 6 of 6 · 5 active")
        desk.change("sub-0001", failures=17)
        await until_says(pilot, "17")
        desk.subscribe("fay", created_at=NOON + timedelta(seconds=1))
        await until_says(pilot, "fay", "1 to 7 of 7 · 6 active")


async def test_sort_and_pages_are_the_servers() -> None:
    desk = FakeDesk()
    for index in range(250):
        desk.subscribe(f"user-{index:03}", created_at=NOON - timedelta(minutes=index))
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        await until_says(pilot, "user-000", "1 to 100 ")
        await pilot.press("right_square_bracket")
        await until_says(pilot, "user-100", "101 to 200 ")
        await settled(pilot)
        await pilot.press("right_square_bracket")
        await until_says(pilot, "user-200", "201 to 250 ")
        await settled(pilot)
        await pilot.press("left_square_bracket")
        await until_says(pilot, "user-100", "101 to 200 ")
        await pilot.press("s", "S")
        await until_says(pilot, "user ▼", "user-249", "1 to 100 ")


async def test_no_page_of_another_sort_is_asked_for_while_the_first_one_comes() -> None:
    desk = FakeDesk()
    for index in range(150):
        desk.subscribe(f"user-{index:03}", created_at=NOON - timedelta(minutes=index))
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        await until_says(pilot, "subscribed ▼", "1 to 100 ")
        await settled(pilot)
        desk.answering.clear()
        await pilot.press("S", "right_square_bracket")
        desk.answering.set()
        await until_says(pilot, "subscribed ▲", "user-149", "1 to 100 ")
        assert "cursor" not in text_of(app)


async def test_a_header_that_is_clicked_sorts_by_its_column() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        await until_says(pilot, "subscribed ▼")
        await pilot.click("#subscriptions", offset=(2, 0))
        await until_says(pilot, "user ▲")
        await settled(pilot)
        await pilot.click("#subscriptions", offset=(2, 0))
        await until_says(pilot, "user ▼")


async def test_removing_removes_only_after_it_was_confirmed() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · 5 active")
        await pilot.press("d", "enter")
        await settled(pilot)
        assert desk.calls == []
        await pilot.press("d", "right", "enter")
        await until(pilot, lambda: len(rows_of(app).items) == 5)
        assert desk.calls == [("remove_subscriptions", ("sub-0001",))]
        await until(pilot, lambda: toasts(app) == ["Removed 1 subscription"])


async def test_one_device_can_be_tested() -> None:
    desk = busy_desk()
    desk.outcomes["sub-0003"] = Outcome.THROTTLED
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · 5 active")
        await pilot.press("down", "down", "T")
        await until(pilot, lambda: toasts(app) == ["cy, Safari · iPhone: ↻ 429 throttled"])
        assert desk.calls == [("test", ("cy", "sub-0003"))]


async def test_an_error_is_a_toast_and_a_row() -> None:
    desk = busy_desk()
    desk.refusals.append(PushdeskError("The database is locked.", code="database_error"))
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · 5 active")
        await pilot.press("T")
        await until(pilot, lambda: "The database is locked." in "".join(toasts(app)))
        await pilot.press("1")
        await until_says(pilot, "✗ error", "The database is locked.")


async def test_what_was_sent_before_the_start_is_not_denied() -> None:
    desk = FakeDesk()
    one = desk.subscribe("ada")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "No push was sent yet.")
        desk.deliver(one)
        await until_says(pilot, "No push since the start.", "✓ 201")


async def test_a_small_overview_has_the_key_and_the_outcomes() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_says(pilot, "key 7f3a92 · 12 d", "queue 3", "embedded", "12:03 ")
        desk.set_stats(queue=4821)
        await until_says(pilot, "key 7f3a92 · 12 d", "queue 4 821", "embedded", "12:03 ")
        await until_says(pilot, "✓ accepted 48 213   ↻ retried 96   ✗ ended 12   ✗ failed 3", "✓ healthy", "✗ failing")


REASON = (
    "The service says: " + "the key of the sender is another than the one the device subscribed with; " * 3 + "end."
)


async def test_an_error_of_the_console_can_be_read_in_full() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        app.report(PushdeskError(REASON))
        await until_says(pilot, "✗ error")
        await pilot.press("home", "enter")
        await until(pilot, lambda: REASON in unwrapped(app))
        await pilot.press("escape")
        await until_says(pilot, "Happening now")


async def test_nothing_is_drawn_when_nothing_changed() -> None:
    desk = busy_desk()
    app = console(desk)
    drawn: list[int] = []

    class Counting(Rows[Delivery]):
        def render_line(self, y: int) -> Strip:
            drawn.append(y)
            return super().render_line(y)

    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "✓ healthy", "upstream connect error")
        await settled(pilot)
        for rows in app.screen.query(Rows):
            rows.__class__ = Counting
        desk.set_stats(time=NOON)
        desk.set_stats(queue=3)
        desk.set_stats(version="0.1.1")
        await until_says(pilot, "0.1.1")
        await settled(pilot)
        assert drawn == []
        desk.deliver(_subscription(desk, "sub-0001"))
        await until(pilot, lambda: drawn)


async def test_times_are_shown_in_the_zone_that_was_handed_in() -> None:
    zone = timezone(timedelta(hours=5))
    app = PushdeskApp(busy_desk(), url=URL, mode="attached", now=lambda: NOON.astimezone(zone))
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "17:03:41", "17:03")


def _subscription(desk: FakeDesk, name: str) -> Subscription:
    return desk._subscriptions[name]


def _hello() -> Notification:
    return Notification(title="Hello")


@pytest.mark.parametrize("screen", ["1", "3", "5"])
async def test_what_no_screen_shows_yet_changes_none(screen: str) -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press(screen)
        await until(pilot, lambda: app.loaded)
        await settled(pilot)
        before = text_of(app)
        await desk.clear_cache()
        written = desk.write("request_answered", status=200)
        await until(pilot, lambda: any(isinstance(e, LogWritten) and e.entry == written for e in app.events))
        await settled(pilot)
        assert text_of(app) == before


async def test_older_lines_that_were_let_go_are_said_to_be_and_leave_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "KEPT", 300)
    desk = busy_desk(500)
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("5")
        await until_says(pilot, "following")
        await settled(pilot)
        one = _subscription(desk, "sub-0001")
        for _ in range(250):
            desk.deliver(one)
        rows = rows_of(app)
        await until(pilot, lambda: rows.has_let_go)
        asked = len(desk.asked)
        await pilot.press("g", "up")
        assert toasts(app) == [tail.LET_GO]
        assert len(desk.asked) == asked
        await pilot.press("R")
        await until(pilot, lambda: not rows.has_let_go)
        await pilot.press("g", "up")
        await until(pilot, lambda: len(desk.asked) == asked + 2)
