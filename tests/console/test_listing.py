"""A list that the server pages, while pages are on their way and things happen."""

from __future__ import annotations

from datetime import timedelta

from pushdesk.console.app import PushdeskApp
from pushdesk.console.widgets.rows import Rows
from pushdesk.model import KeyState, Outcome, SubscriptionState
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console
from tests.console.verdicts import explained_desk

WIDE = (120, 40)


async def test_what_a_delivery_changes_does_not_hide_what_a_page_brings() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6")
        await settled(pilot)
        # Without a word about it, as when the connection was lost meanwhile.
        one = desk._subscriptions["sub-0001"]
        desk._subscriptions["sub-0001"] = type(one)(
            **{name: getattr(one, name) for name in one.__struct_fields__}
            | {"platform": "Haiku", "state": SubscriptionState.ACTIVE, "last_success_at": None}
        )
        desk.answering.clear()
        await pilot.press("R")
        await pilot.pause()
        desk.deliver(one, Outcome.ACCEPTED, at=NOON)
        await pilot.pause(0.2)
        desk.answering.set()
        await until_says(pilot, "Haiku")
        row = next(line for line in text_of(app).splitlines() if "Haiku" in line)
        assert "12:03:44" in row


async def test_pages_are_turned_one_at_a_time() -> None:
    desk = busy_desk()
    for number in range(350):
        desk.subscribe(f"crowd-{number:03}")
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 100")
        await settled(pilot)
        desk.answering.clear()
        await pilot.press("right_square_bracket", "right_square_bracket", "left_square_bracket")
        assert toasts(app) == ["A page is on its way."]
        desk.answering.set()
        await until_says(pilot, "101 to 200")
        await settled(pilot)
        await pilot.press("right_square_bracket")
        await until_says(pilot, "201 to 300")
        await settled(pilot)
        # A page that does not come leaves the one that is there, with its number.
        desk.lose()
        await until_says(pilot, "reconnecting")
        await pilot.press("right_square_bracket")
        await settled(pilot)
        await until_says(pilot, "201 to 300")
        desk.come_back()
        await until(pilot, lambda: "reconnecting" not in text_of(app))
        await settled(pilot)
        await until_says(pilot, "201 to 300")


async def test_a_log_that_is_held_still_stays_so_when_everything_is_fetched_anew() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("5")
        await until_says(pilot, "following")
        await settled(pilot)
        await pilot.press("p")
        one = desk._subscriptions["sub-0001"]
        desk.deliver(one, reason="while it was held")
        await until_says(pilot, "paused, 1 new")
        shown = list(app.screen.query_one(Rows).items)
        desk.lose()
        await until_says(pilot, "reconnecting")
        desk.forget_history()
        desk.come_back()
        await until(pilot, lambda: "reconnecting" not in text_of(app))
        await settled(pilot)
        await until_says(pilot, "paused, 1 new")
        assert app.screen.query_one(Rows).items == shown
        await pilot.press("p")
        await until_says(pilot, "while it was held")


async def test_ages_go_on_from_minute_to_minute_and_when_everything_is_fetched_anew() -> None:
    clock = [NOON]
    desk = FakeDesk()
    desk.hold_key("7f3a92aa", KeyState.CURRENT, created_at=NOON - timedelta(minutes=4))
    app = PushdeskApp(desk, url=URL, mode="embedded", now=lambda: clock[0])
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6")
        await until_says(pilot, "✓ current   4 min")
        clock[0] += timedelta(minutes=1)
        app.minute = "12:04"
        await until_says(pilot, "✓ current   5 min")
        await settled(pilot)
        clock[0] += timedelta(minutes=1)
        await pilot.press("R")
        await until_says(pilot, "✓ current   6 min")


async def test_how_long_ago_a_verdict_began_goes_on_from_minute_to_minute() -> None:
    clock = [NOON]
    app = PushdeskApp(explained_desk(), url=URL, mode="embedded", now=lambda: clock[0])
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await until_says(pilot, "1 to 6")
        await pilot.press("w")
        await until_says(pilot, "✓ accepted", ", just now")
        clock[0] += timedelta(minutes=5)
        app.minute = "12:08"
        await until_says(pilot, "✓ accepted", ", 5 min ago")


async def test_a_last_page_that_was_emptied_gives_way_to_the_one_before() -> None:
    desk = busy_desk()
    for number in range(97):
        desk.subscribe(f"crowd-{number:03}")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("2")
        await until_says(pilot, "1 to 100")
        await settled(pilot)
        await pilot.press("right_square_bracket")
        await until_says(pilot, "101 to 102")
        for user in [user.id for user in app.screen.query_one(Rows).items]:
            await desk.remove_user(user)
        await until_says(pilot, "1 to 100 of 100")
        assert "There are no users" not in text_of(app)
        assert len(app.screen.query_one(Rows).items) == 100


async def test_how_many_there_are_is_not_said_before_it_is_known() -> None:
    desk = busy_desk()
    desk.answering.clear()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await until_says(pilot, "loading…")
        assert "none" not in text_of(app)
        desk.answering.set()
        await until_says(pilot, "1 to 6")
        desk.lose()
        await until_says(pilot, "reconnecting")
        await pilot.press("slash", *"ada", "enter")
        await until_says(pilot, "filter: ada", "This could not be listed.")
        assert "none" not in text_of(app)


async def test_trying_again_is_proposed_only_where_it_can_be_done() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded)
        desk.shut_out()
        await until_says(pilot, "no longer let in")
        await pilot.press("3")
        await pilot.press("slash", *"ada", "enter")
        await until_says(pilot, "This could not be listed.")
        assert "R tries again" not in text_of(app)


async def test_a_user_is_not_proposed_to_be_fetched_again_while_that_cannot_be_done() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("2")
        await until_says(pilot, "1 to 5")
        desk.lose()
        await pilot.press("enter")
        await until_says(pilot, "reconnecting", "This could not be fetched.")
        assert "R tries again" not in text_of(app)
