"""The form of a notification."""

from __future__ import annotations

import pytest
from textual.widgets import Input, Static, TextArea

from pushdesk.console.screens.compose import ComposeScreen
from pushdesk.errors import PushdeskError
from pushdesk.message import build_message
from pushdesk.model import Notification, Outcome, Urgency
from tests.console.fake_desk import URL
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console, empty_desk


async def test_a_notification_is_sent_as_it_was_written() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        for name, value in (("user", "ada"), ("title", "Tea [/x]"), ("url", "/kettle")):
            app.screen.query_one(f"#{name}", Input).value = value
        app.screen.query_one("#text", TextArea).text = "is\nready"
        await until_says(pilot, "Tea [/x]", "/kettle")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: toasts(app) == ["ada, 2 devices: ✓ 2 accepted"])
        sent = Notification(title="Tea [/x]", body="is\nready", url="/kettle", urgency=Urgency.NORMAL)
        assert desk.calls == [("notify", ("ada", sent))]
        assert not isinstance(app.screen, ComposeScreen)


async def test_the_row_under_the_cursor_says_whom_it_is_for() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6")
        await pilot.press("down", "down", "t")
        assert app.screen.query_one("#user", Input).value == "cy"
        assert app.focused is app.screen.query_one("#user", Input)


async def test_typing_replaces_the_suggested_user_and_tab_goes_on_to_the_title() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6")
        await pilot.press("t", *"eve", "tab", *"Tea")
        assert app.screen.query_one("#user", Input).value == "eve"
        assert app.screen.query_one("#title", Input).value == "Tea"


async def test_what_was_missing_is_no_longer_said_when_a_field_changes() -> None:
    app = console(empty_desk())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t", "ctrl+s")
        await until_says(pilot, "Whom is it for?")
        await pilot.press("a")
        await until(pilot, lambda: "Whom is it for?" not in text_of(app))


async def test_a_form_that_is_not_complete_is_not_sent() -> None:
    desk = empty_desk()
    app = console(desk)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t", "ctrl+s")
        await until_says(pilot, "Whom is it for?")
        app.screen.query_one("#user", Input).value = "ada"
        app.screen.query_one("#title", Input).value = ""
        await pilot.press("ctrl+s")
        await until_says(pilot, "It needs a title.")
        assert desk.calls == []


async def test_a_refusal_leaves_what_was_written() -> None:
    desk = busy_desk()
    desk.refusals.append(PushdeskError("The queue is full.", code="queue_full"))
    app = console(desk)
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6")
        await pilot.press("t", "tab", *"Tea!", "ctrl+s")
        await until_says(pilot, "The queue is full.", " Send ", " Cancel ")
        assert toasts(app) == []
        assert [failure.text for failure in app.failures] == ["The queue is full."]
        assert app.screen.query_one("#title", Input).value == "Tea!"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not isinstance(app.screen, ComposeScreen))


async def test_a_click_that_leads_elsewhere_is_refused_by_the_server_and_nothing_that_was_typed_is_lost() -> None:
    url = "https://shop.example.com/orders/" + "4711/" * 120
    # The server's own words: the console does not know where it lets clicks lead.
    with pytest.raises(PushdeskError) as refused:
        build_message(Notification("Tea", url=url), dispatch="0" * 26, access_url=URL, click_origins=())
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("url",))
    desk = busy_desk()
    desk.refusals.append(refused.value)
    app = console(desk)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6")
        await pilot.press("t")
        typed = {"user": "ada", "title": "Tea", "url": url}
        for name, value in typed.items():
            app.screen.query_one(f"#{name}", Input).value = value
        app.screen.query_one("#text", TextArea).text = "is\nready"
        await until_says(pilot, "shop.example.com")
        await pilot.press("ctrl+s")
        await until_says(
            pilot,
            "an origin that is not allowed: url.",
            "[push] click_origin",
            "--click-origin ORIGIN",
            " Send ",
            " Cancel ",
        )
        assert toasts(app) == []
        assert {name: app.screen.query_one(f"#{name}", Input).value for name in typed} == typed
        assert app.screen.query_one("#text", TextArea).text == "is\nready"
        # What is put right is sent.
        app.screen.query_one("#url", Input).value = "/orders/4711"
        await until(pilot, lambda: "not allowed" not in text_of(app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not isinstance(app.screen, ComposeScreen))


async def test_a_message_that_is_too_large_is_seen_before_it_is_sent() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        app.screen.query_one("#text", TextArea).text = "x" * 3000
        await until_says(pilot, "! Firefox on Android")
        app.screen.query_one("#text", TextArea).text = "x" * 3990
        await until_says(pilot, "✗ too large")


async def test_a_user_without_devices_is_said_to_have_none() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t", *"nobody", "ctrl+s")
        await until(pilot, lambda: toasts(app) == ["nobody has no devices: nobody was sent to."])


async def test_the_test_push_tells_what_each_device_did() -> None:
    desk = busy_desk()
    desk.outcomes["sub-0005"] = Outcome.GONE
    app = console(desk)
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6")
        await pilot.press("t", "ctrl+t")
        await until(pilot, lambda: toasts(app) == ["ada, 2 devices: ✓ 1 accepted, ✗ 1 gone"])


async def test_the_name_of_a_known_user_is_completed() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        user = app.screen.query_one("#user", Input)
        user.value = ""
        user.focus()
        # A part of another name, which is sooner in the alphabet, but not its beginning.
        await pilot.press("e")
        await until(pilot, lambda: user._suggestion == "eve.longname@department.example.org")
        await pilot.press("right")
        assert user.value == "eve.longname@department.example.org"


async def test_escape_closes_the_form_and_sends_nothing() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t", "escape")
        await settled(pilot)
        assert not isinstance(app.screen, ComposeScreen)
        assert desk.calls == []


async def test_preview_and_size_are_those_of_the_message_that_is_pushed() -> None:
    app = console(empty_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        app.screen.query_one("#title", Input).value = "äää"
        app.screen.query_one("#url", Input).value = "kettle"
        notification = Notification(title="äää", body="It works.", url="kettle")
        size = len(build_message(notification, dispatch="01JD0000000000000000000000", access_url=URL))
        await until_says(pilot, f"{URL}/kettle", f" {size} of 3 993 bytes")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("javascript:alert(1)", "These are no http or https addresses: url."),
        ("https://x/" + "x" * 2048, "url: must have at most 2048 characters."),
    ],
)
async def test_a_url_that_cannot_be_pushed_is_told_and_not_sent(url: str, says: str) -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6")
        await pilot.press("t")
        app.screen.query_one("#url", Input).value = url
        await pilot.press("ctrl+s")
        await until(pilot, lambda: str(app.screen.query_one("#answer", Static).content) == says)
        assert desk.calls == []
