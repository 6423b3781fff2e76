"""A list that the server pages, while pages are on their way and things happen."""

from __future__ import annotations

from pushdesk.console.widgets.rows import Rows
from pushdesk.model import Outcome, SubscriptionState
from tests.console.fake_desk import NOON
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console

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
