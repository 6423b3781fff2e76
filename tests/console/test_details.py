"""One subscription, one delivery and one dispatch: what is shown of them, what their keys do, and what they refuse."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from pushdesk.console.app import PushdeskApp
from pushdesk.console.following import RELOAD_S
from pushdesk.console.lookups import device_found, devices_of
from pushdesk.console.screens.confirm import ConfirmScreen
from pushdesk.console.screens.deliveries import DeliveriesScreen
from pushdesk.console.screens.delivery import DeliveryScreen
from pushdesk.console.screens.details import DispatchScreen, SubscriptionScreen
from pushdesk.console.screens.live_dialog import FAR_COUNTING_S
from pushdesk.console.screens.subscriptions import SubscriptionsScreen
from pushdesk.console.screens.verdict import VerdictScreen
from pushdesk.console.widgets.rows import HEADER, Rows
from pushdesk.errors import PushdeskError
from pushdesk.model import KeyState, Notification, Outcome, Page, SubscriptionState
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import heard, settled, text_of, toasts, until, until_says, unwrapped
from tests.console.scenes import busy_desk, console, empty_desk
from tests.console.test_delivery_pictures import retried_desk
from tests.console.test_subscription_pictures import storied_desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from textual.pilot import Pilot

    from pushdesk.model import Attempt, DeliveryRecord, PageQuery, Subscription

WIDE = (120, 40)
READ_ONLY = "This console was opened with --read-only."
REASON = (
    "The service says: " + "the key of the sender is another than the one the device subscribed with; " * 3 + "end."
)


def rows(app: PushdeskApp, name: str) -> Rows[Any]:
    return app.screen.query_one(f"#{name}", Rows)


async def test_a_subscription_follows_what_happens() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "last failure   never", "166 ms")
        desk.change("sub-0001", failures=3, last_failure_at=NOON)
        await until_says(pilot, "12:03:44, 3 in a row")
        desk.deliver(_subscription(desk, "sub-0001"), latency_ms=777.0)
        await until_says(pilot, "777 ms")


async def test_a_subscription_tells_of_its_key_and_of_what_becomes_of_it() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "7f3a92aa  ✓ current")
        await desk.rotate_key(confirm="rotate")
        await until_says(pilot, "7f3a92aa  ↻ retiring")
        await pilot.press("escape", "end", "up", "enter")
        await until_says(pilot, "0badc0de  ! unknown")
        desk.hold_key("0badc0de", KeyState.RETIRED)
        await pilot.press("R")
        await until_says(pilot, "0badc0de  ✗ retired")


async def test_a_subscription_tells_of_what_was_sent_to_it_only() -> None:
    desk = FakeDesk()
    gone, ada = desk.subscribe("gone"), desk.subscribe("ada")
    desk.deliver(ada, Outcome.GONE, reason="of another")
    for _ in range(3):
        desk.deliver(gone, reason="its own")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "3", "slash", *"gone", "enter")
        await until_says(pilot, "1 to 1")
        await pilot.press("enter")
        await until_says(pilot, "its own")
        lines = rows(app, "timeline").items
        assert [line.status.plain for line in lines] == ["✓ 201", "✓ 201", "✓ 201", "+ subscribed"]


async def test_the_timeline_tells_every_attempt_and_asks_once_for_those_that_are_over() -> None:
    desk = storied_desk()
    asked: list[str] = []
    answer: Callable[[str], Any] = desk.delivery

    async def count(delivery: str) -> DeliveryRecord:
        asked.append(delivery)
        record: DeliveryRecord = await answer(delivery)
        return record

    desk.delivery = count  # type: ignore[method-assign]  # the same, counted
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "↻ 429 throttled", "↻ 503 will retry")
        await pilot.press("R")
        await settled(pilot)
        assert asked == ["delivery-0004"]


async def test_an_attempt_that_is_not_known_is_told_by_the_last_one() -> None:
    desk = storied_desk()

    async def refuse(delivery: str) -> DeliveryRecord:
        raise PushdeskError(f"There is no delivery {delivery!r}.", code="not_found")

    desk.delivery = refuse  # type: ignore[method-assign]  # as an older server does
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "+ subscribed", "✗ 410 gone")
        assert "503" not in text_of(app)


async def test_a_line_of_the_timeline_leads_to_its_attempt() -> None:
    app = console(storied_desk())
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "↻ 429 throttled")
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DeliveryScreen))
        await until(pilot, lambda: rows(app, "attempts").items)
        assert _attempt(app) == 2
        await pilot.press("escape", "end", "enter")
        assert isinstance(app.screen, SubscriptionScreen)


async def test_what_is_shown_is_fetched_once_for_all_that_happens_in_a_second_and_for_what_concerns_it_only() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "166 ms")
        asked, began = len(desk.asked), monotonic()
        for number in range(6):
            changed = desk.deliver(_subscription(desk, "sub-0001"), latency_ms=500.0 + number)
            await heard(pilot, app, changed)
        await until_says(pilot, "505 ms")
        assert len(desk.asked) - asked <= (monotonic() - began) // RELOAD_S + 1
        details = app.screen
        assert isinstance(details, SubscriptionScreen)
        await until(pilot, lambda: details._resting is None)
        asked = len(desk.asked)
        for _ in range(3):
            await heard(pilot, app, desk.deliver(_subscription(desk, "sub-0003")))
        assert len(desk.asked) == asked


async def test_a_subscription_can_be_tested_and_removed_where_it_is_shown() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "166 ms")
        await pilot.press("T")
        await until(pilot, lambda: toasts(app) == ["ada, Firefox · Linux: ✓ 201"])
        await until_says(pilot, "61 ms")
        await pilot.press("d", "right", "enter")
        await until_says(pilot, "state          - removed")
        await pilot.press("T", "d")
        assert toasts(app)[1:] == ["Removed 1 subscription", "This subscription was removed."]
        assert isinstance(app.screen, SubscriptionScreen)
        assert [name for name, _ in desk.calls] == ["test", "remove_subscriptions"]


async def test_no_test_is_sent_to_a_device_that_has_ended_and_it_is_said_why() -> None:
    desk = busy_desk()
    app = console(desk)
    why = "Nothing is sent to this device: its push service no longer knows it."
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _press(pilot, "3", "down")
        await settled(pilot)
        await pilot.press("T")
        assert toasts(app) == [why]
        await pilot.press("enter")
        await until_says(pilot, "✗ gone", "subscribed")
        await pilot.press("T", "escape", "2")
        await until_says(pilot, "1 to 5 of 5")
        await pilot.press("down", "enter")
        await until_says(pilot, "1 device")
        await pilot.press("T")
        assert toasts(app) == [why]
        assert desk.calls == []
        desk.change("sub-0002", state=SubscriptionState.ACTIVE)
        await until_says(pilot, "✓ active")
        await pilot.press("T")
        await until(pilot, lambda: len(toasts(app)) == 2)
        assert desk.calls == [("test", ("bo", "sub-0002"))]


async def test_a_subscription_that_was_removed_while_nobody_could_tell_is_shown_as_removed() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "166 ms")
        desk.lose()
        await until_says(pilot, "↻ reconnecting")
        desk.come_back()
        await desk.remove_subscriptions(["sub-0001"])
        desk.forget_history()
        await until_says(pilot, "esc closes", "state          - removed")
        await pilot.press("T")
        assert toasts(app)[-1] == "This subscription was removed."


async def test_the_devices_of_a_user_are_looked_for_beyond_a_page_that_is_empty() -> None:
    desk = busy_desk()
    answer: Callable[[PageQuery], Any] = desk.subscriptions

    async def empty_first(query: PageQuery) -> Page[Subscription]:
        if query.cursor is None:
            return Page((), "next")
        page: Page[Subscription] = await answer(structs.replace(query, cursor=None))
        return page

    desk.subscriptions = empty_first  # type: ignore[method-assign]  # as when what a page held was removed meanwhile
    assert [one.id for one in await devices_of(desk, "ada")] == ["sub-0001", "sub-0005"]


async def test_of_too_many_devices_to_look_through_none_is_taken_for_removed() -> None:
    desk = busy_desk()
    device = _subscription(desk, "sub-0001")

    async def without_end(query: PageQuery) -> Page[Subscription]:
        del query
        return Page((_subscription(desk, "sub-0005"),), "next")

    assert await device_found(desk, structs.replace(device, id="sub-9999")) == (None, True)
    desk.subscriptions = without_end  # type: ignore[method-assign]  # as of a user with very many devices
    assert await device_found(desk, device) == (None, False)


async def test_a_subscription_that_ended_without_a_delivery_that_is_kept_says_when() -> None:
    desk = FakeDesk()
    desk.subscribe(
        "ada", state=SubscriptionState.KEY_MISMATCH, last_failure_at=NOON, created_at=NOON - timedelta(days=3)
    )
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "12:03:44      ✗ other key", "nothing is sent to it any more", "+ subscribed")


@pytest.mark.parametrize("keys", [["1", "enter"], ["5", "enter"], ["5", "enter", "enter"], ["3", "enter", "enter"]])
async def test_the_whole_reason_of_a_failed_push_can_be_read_in_a_small_terminal(keys: list[str]) -> None:
    desk = FakeDesk()
    one = desk.subscribe("ada", created_at=NOON - timedelta(days=1))
    desk.deliver(one, Outcome.KEY_MISMATCH, reason=REASON)
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await _press(pilot, *keys)
        await until(pilot, lambda: REASON in unwrapped(app))
        await until_says(pilot, "✗ 403 other key", "61 ms")


async def test_the_newest_lines_of_the_overview_lead_to_their_deliveries() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "upstream connect error")
        await pilot.press("enter")
        await until_says(pilot, "delivery-0048 of dispatch dispatch-0047", "It is tried again at 12:04:26")


async def test_a_delivery_shows_every_attempt_with_its_answer() -> None:
    app = console(retried_desk())
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "retry-after: 60", "apns-id: 2BF1C1D4")
        assert [attempt.number for attempt in rows(app, "attempts").items] == [1, 2, 3]
        await pilot.press("up")
        await until_says(pilot, "The push service did not answer in 10 s.")
        assert "retry-after" not in text_of(app)
        await pilot.press("up")
        await until_says(pilot, "via: 1.1 google")


async def test_the_attempt_that_was_chosen_is_the_one_under_the_cursor() -> None:
    desk = FakeDesk()
    failed = desk.deliver(desk.subscribe("ada"), Outcome.TRANSIENT, reason="upstream connect error")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "↻ 503 will retry")
        later = failed.at + timedelta(seconds=5)
        desk.update(structs.replace(failed, outcome=Outcome.ACCEPTED, status=201, attempts=2, reason="", at=later))
        await until_says(pilot, "✓ 201")
        # What happened is told by attempt; the newest stands above.
        await pilot.press("home", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DeliveryScreen))
        await until(pilot, lambda: rows(app, "attempts").items)
        assert _attempt(app) == 1
        await until_says(pilot, "outcome       ✓ 201", "upstream connect error")


async def test_an_answer_is_called_what_it_is_and_stands_below_the_table() -> None:
    desk = retried_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "Answer to attempt 3", "retry-after: 60")
        await pilot.press("up", "up", "up")
        await until_says(pilot, "Answer to attempt 1")
        for keys in (["D"], ["escape", "escape", "3", "enter"]):
            await _press(pilot, *keys)
            await until_says(pilot, "In full")
            await settled(pilot)
            table, below = app.screen.query_one(Rows), app.screen.query_one("#line")
            assert table.region.height == HEADER + len(table.items)
            assert below.region.y == table.region.bottom + 1


async def test_an_answer_without_headers_says_so() -> None:
    desk = FakeDesk()
    desk.deliver(desk.subscribe("ada"), Outcome.REFUSED, reason="No.")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "It came without headers that say more.")


async def test_a_dispatch_tells_latencies_and_next_tries_each_in_its_column() -> None:
    desk = FakeDesk()
    one = desk.subscribe("ada")
    desk.deliver(one, latency_ms=61.0)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter", "D")
        await until_says(pilot, "✓ done", "61 ms")
        lines = text_of(app).splitlines()
        header = next(line for line in lines if "next try" in line)
        row = next(line for line in lines if "61 ms" in line)
        assert row.index("61 ms") + len("61 ms") == header.index("latency") + len("latency")
        assert not row[header.index("next try") :].strip(" │╮╯")


async def test_a_new_attempt_is_shown_as_it_comes_and_the_cursor_follows_it() -> None:
    desk = FakeDesk()
    failed = desk.deliver(desk.subscribe("ada"), Outcome.TRANSIENT, reason="upstream connect error")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "It is sent as soon as it is its turn")
        desk.update(structs.replace(failed, outcome=Outcome.ACCEPTED, status=201, attempts=2, reason="And taken."))
        await until_says(pilot, "Nothing: Mozilla has taken it", "And taken.")
        await until(pilot, lambda: _attempt(app) == 2)


async def test_a_delivery_that_waits_says_so() -> None:
    desk = FakeDesk()
    desk.subscribe("ada")
    desk.settles = False
    await desk.notify("ada", Notification(title="Hello"))
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "… waiting", "It was not tried yet.", "It is sent as soon as it is its turn")


async def test_a_delivery_counts_down_to_its_next_attempt() -> None:
    clock = [NOON]

    def now() -> datetime:
        return clock[0]

    app = PushdeskApp(retried_desk(), url=URL, mode="embedded", now=now)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "at 12:04:26, in 00:42")
        clock[0] += timedelta(seconds=12)
        await until_says(pilot, "at 12:04:26, in 00:30")
        clock[0] += timedelta(seconds=60)
        await until_says(pilot, "It is sent as soon as it is its turn")


async def test_a_countdown_rests_while_something_is_over_it_and_goes_on_after_that() -> None:
    clock = [NOON]

    def now() -> datetime:
        return clock[0]

    app = PushdeskApp(retried_desk(), url=URL, mode="embedded", now=now)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "at 12:04:26, in 00:42")
        dialog = app.screen
        assert isinstance(dialog, DeliveryScreen)
        assert dialog._counting is not None
        await pilot.press("question_mark")
        await until(pilot, lambda: app.screen is not dialog and dialog._counting is None)
        clock[0] += timedelta(seconds=12)
        await pilot.press("escape")
        await until_says(pilot, "at 12:04:26, in 00:30")
        dialog.count_down(NOON + timedelta(hours=2))
        assert dialog._counting._interval == FAR_COUNTING_S


async def test_a_delivery_leads_to_its_dispatch_and_back_to_another_delivery() -> None:
    desk = FakeDesk()
    for number in range(12):
        desk.subscribe("ada", platform=f"Platform {number}")
    await desk.notify("ada", Notification(title="Hello"))
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await _press(pilot, "5")
        await until(pilot, lambda: len(rows(app, "deliveries").items) == 12)
        chosen = rows(app, "deliveries").current
        await pilot.press("enter")
        await until_says(pilot, "Platform 11")
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, DispatchScreen))
        await until(pilot, lambda: rows(app, "deliveries").current == chosen)
        await until_says(pilot, "title     Hello", "✓ accepted 12")
        await pilot.press("up", "enter")
        await until_says(pilot, "ada · Firefox · Platform 10")
        await pilot.press("escape", "escape", "escape")
        assert isinstance(app.screen, DeliveriesScreen)


async def test_a_dispatch_follows_what_happens() -> None:
    desk = FakeDesk()
    waiting = desk.deliver(desk.subscribe("ada"), Outcome.TRANSIENT)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter", "D")
        await until_says(pilot, "↻ sending", "↻ 503 will retry")
        desk.update(structs.replace(waiting, outcome=Outcome.ACCEPTED, status=201, attempts=2))
        await until_says(pilot, "✓ done", "✓ accepted 1")


async def test_a_dispatch_that_nobody_was_subscribed_for_says_so() -> None:
    desk = retried_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "retry-after")
        desk._deliveries.clear()
        await pilot.press("D")
        await until_says(pilot, "It has no deliveries: nobody was subscribed.", "none yet")
        await pilot.press("r", "w")
        assert toasts(app) == ["No delivery is selected.", "No user, device or delivery is selected."]


@pytest.mark.parametrize("keys", [["5"], ["5", "enter"], ["5", "enter", "D"]], ids=["log", "delivery", "dispatch"])
async def test_a_delivery_can_be_sent_again(keys: list[str]) -> None:
    desk = FakeDesk()
    one = desk.subscribe("ada")
    desk.deliver(one, Outcome.EXPIRED)
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _press(pilot, *keys)
        await until_says(pilot, "✗ expired", "r Send again")
        await pilot.press("r")
        await until(pilot, lambda: toasts(app) == ["ada, Firefox · Linux, sent again: ✓ 1 accepted"])
        assert desk.calls == [("resend", "delivery-0002")]


async def test_what_is_sent_again_and_not_settled_at_once_is_looked_at_until_it_is() -> None:
    desk = FakeDesk()
    one = desk.subscribe("ada")
    desk.deliver(one, Outcome.EXPIRED)
    desk.settles = False
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _press(pilot, "5")
        await until_says(pilot, "✗ expired")
        await pilot.press("r")
        await until_says(pilot, "… waiting")
        waiting = rows(app, "deliveries").items[-1]
        desk.update(structs.replace(waiting, outcome=Outcome.GONE, status=410, attempts=1))
        await until(pilot, lambda: toasts(app) == ["ada, Firefox · Linux, sent again: ✗ 1 gone"])


async def test_why_nothing_was_sent_again_is_said() -> None:
    desk = FakeDesk()
    desk.deliver(desk.subscribe("ada"), Outcome.GONE)
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "✗ 410 gone")
        await desk.remove_subscriptions(["sub-0001"])
        await pilot.press("r")
        await until(
            pilot,
            lambda: toasts(app) == ["There is no such subscription: That browser is no longer subscribed."],
        )


async def test_without_a_delivery_none_can_be_sent_again_or_asked_about() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await _press(pilot, "5")
        await settled(pilot)
        await pilot.press("r", "w")
        assert toasts(app) == ["No delivery is selected.", "No user, device or delivery is selected."]


async def test_without_a_subscription_none_can_be_asked_about() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await _press(pilot, "3")
        await settled(pilot)
        await pilot.press("w")
        assert toasts(app) == ["No user, device or delivery is selected."]


async def test_why_can_be_asked_wherever_a_device_or_a_delivery_is() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        for keys in (["3"], ["3", "enter"], ["5"], ["5", "enter"], ["5", "enter", "D"]):
            await _press(pilot, *keys, "w")
            await until(pilot, lambda: isinstance(app.screen, VerdictScreen))
            await settled(pilot)
            while len(app.screen_stack) > 1:
                await pilot.press("escape")
        device, delivery = ("", "sub-0001", ""), ("", "", "delivery-0048")
        assert [what for _, what in desk.calls] == [device, device, delivery, delivery, delivery]


async def test_read_only_changes_nothing_of_a_subscription_or_a_delivery() -> None:
    desk = busy_desk()
    app = console(desk, read_only=True)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        for keys, commands, screen in (
            (["3"], "Td", SubscriptionsScreen),
            (["enter"], "Td", SubscriptionScreen),
            (["escape", "5"], "r", DeliveriesScreen),
            (["enter"], "r", DeliveryScreen),
            (["D"], "r", DispatchScreen),
        ):
            await _press(pilot, *keys)
            await settled(pilot)
            for command in commands:
                await pilot.press(command)
            assert isinstance(app.screen, screen)
            assert not isinstance(app.screen, ConfirmScreen)
        assert toasts(app) == [READ_ONLY]
        assert desk.calls == []


async def test_details_keep_what_they_show_while_the_connection_is_lost_and_catch_up() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _press(pilot, "3", "enter")
        await until_says(pilot, "166 ms")
        desk.lose()
        await until_says(pilot, "↻ reconnecting", "166 ms")
        await pilot.press("T", "d", "w", "R")
        assert toasts(app) == ["The connection is lost; it is tried again all the time."]
        desk.deliver(_subscription(desk, "sub-0001"), latency_ms=777.0)
        desk.come_back()
        await until_says(pilot, "esc closes", "777 ms")


async def test_what_is_shown_can_be_copied() -> None:
    app = console(retried_desk())
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "retry-after")
        await pilot.press("y")
        assert toasts(app) == ["Copied what is shown"]
        for words in ("ada · Safari · iPhone\noutcome       ↻ 429 throttled", "attempt 1 · 1.2 s", "apns-id: 2BF1C1D4"):
            assert words in app.clipboard
        await pilot.press("D")
        await until_says(pilot, "title     Hello")
        await pilot.press("y")
        assert "Safari · iPhone · 12:03:26 · ↻ 429 throttled · attempt 3" in app.clipboard
        await pilot.press("escape", "escape", "3")
        await _press(pilot, "enter")
        await until_says(pilot, "+ subscribed")
        await pilot.press("y")
        assert "12:03:44 · + subscribed · Safari · iPhone" in app.clipboard


async def test_the_dialogs_have_help_of_their_own() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await _press(pilot, "5", "enter")
        await until_says(pilot, "w Why?", "r Send again", "D Dispatch", "? Help")
        await pilot.press("question_mark")
        await until_says(pilot, "All deliveries of the same dispatch", "Copy what is shown")
        await pilot.press("escape", "escape")
        assert isinstance(app.screen, DeliveriesScreen)


@pytest.mark.parametrize("text", ["[/x][red]boo[/red]", "\x1b[31mred\x1b]0;t\x07\u202eover", "W\u0301" * 50_000])
async def test_no_details_are_moved_by_hostile_texts(text: str) -> None:
    desk = FakeDesk()
    one = desk.subscribe(text, browser=text, platform=text, fingerprint=text, key_id=text)
    sent = desk.deliver(one, Outcome.REFUSED, reason=text, device=text, next_attempt_at=NOON)
    desk.headers[sent.id] = {text: text}
    app = console(desk)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        for keys in (["2", "enter"], ["tab", "enter"], ["escape", "escape", "3", "enter"], ["escape", "5", "enter"]):
            await _press(pilot, *keys)
            await settled(pilot)
            _assert_harmless(text_of(app))
        for key in ("y", "enter", "escape", "D", "y", "r", "question_mark", "escape", "escape", "escape", "2", "d"):
            await pilot.press(key)
            await settled(pilot)
            _assert_harmless(text_of(app))


def _assert_harmless(text: str) -> None:
    for character in text:
        assert character == "\n" or character.isprintable() or character in "\u200d\xa0", repr(character)


async def _press(pilot: Pilot[Any], *keys: str) -> None:
    app = pilot.app
    assert isinstance(app, PushdeskApp)
    await until(pilot, lambda: app.loaded)
    for key in keys:
        await settled(pilot)
        await pilot.press(key)


def _attempt(app: PushdeskApp) -> int:
    """Return the number of the attempt under the cursor."""
    current: Attempt | None = rows(app, "attempts").current
    assert current is not None
    return current.number


def _subscription(desk: FakeDesk, name: str) -> Subscription:
    return desk._subscriptions[name]
