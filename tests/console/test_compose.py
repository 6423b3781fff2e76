"""The form of a notification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.events import Paste
from textual.widgets import Button, Input, Select, Static, TextArea

from pushdesk.console.previews import ignored_by, preview, size_of
from pushdesk.console.screens.compose import ComposeScreen
from pushdesk.console.screens.compose_fields import LONGEST_TEXT, read_buttons, read_ttl
from pushdesk.console.widgets.tick import Tick
from pushdesk.errors import PushdeskError
from pushdesk.message import build_message
from pushdesk.model import Action, Notification, Outcome, Urgency
from tests.console.fake_desk import URL
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console, empty_desk

if TYPE_CHECKING:
    from pushdesk.console.app import PushdeskApp


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
        await until_says(pilot, "1 to 6 of 6 · ")
        await pilot.press("down", "down", "t")
        assert app.screen.query_one("#user", Input).value == "cy"
        assert app.focused is app.screen.query_one("#user", Input)


async def test_typing_replaces_the_suggested_user_and_tab_goes_on_to_the_title() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · ")
        await pilot.press("t", *"eve", "tab", *"Tea")
        assert app.screen.query_one("#user", Input).value == "eve"
        assert app.screen.query_one("#title", Input).value == "Tea"


@pytest.mark.parametrize("name", ["text", "buttons"])
async def test_of_a_long_text_that_is_pasted_only_the_beginning_is_taken(name: str) -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        area = app.screen.query_one(f"#{name}", TextArea)
        area.focus()
        area.text = "begin"
        area.select_all()
        area.post_message(Paste("0123456789\n" * 100_000))
        await until(pilot, lambda: toasts(app))
        assert area.text == ("0123456789\n" * 100_000)[:LONGEST_TEXT]
        assert toasts(app) == ["Only 8000 characters are taken; the rest is left out."]


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
        await until_says(pilot, "1 to 6 of 6 · ")
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
        await until_says(pilot, "1 to 6 of 6 · ")
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


async def test_a_user_without_devices_is_said_to_have_none_and_what_was_written_stays() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t", *"nobody", "ctrl+s")
        await until_says(pilot, "nobody has no devices: nobody was sent to.")
        assert isinstance(app.screen, ComposeScreen)
        assert app.screen.query_one("#user", Input).value == "nobody"
        # It can be sent again, to whoever was meant.
        assert not app.screen.query_one("#send", Button).disabled
        assert toasts(app) == []


async def test_what_had_no_turn_yet_is_not_said_to_reach_nobody() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        app.screen.post_message(ComposeScreen.Sent("ada", {}, devices=0, is_done=False))
        await until(pilot, lambda: toasts(app) == ["ada: queued"])
        assert not isinstance(app.screen, ComposeScreen)


async def test_the_test_push_tells_what_each_device_did() -> None:
    desk = busy_desk()
    desk.outcomes["sub-0005"] = Outcome.GONE
    app = console(desk)
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · ")
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
        await until_says(pilot, "1 to 6 of 6 · ")
        await pilot.press("t")
        app.screen.query_one("#url", Input).value = url
        await pilot.press("ctrl+s")
        await until(pilot, lambda: str(app.screen.query_one("#answer", Static).content) == says)
        assert desk.calls == []


EVERYTHING = {
    "user": "ada",
    "title": "Tea [/x]",
    "url": "/kettle",
    "tag": "tea",
    "icon": "/i.png",
    "image": "https://cdn.example/i.jpg",
    "badge": "b.png",
    "ttl": "30m",
    "topic": "kettle",
}


def fill(app: PushdeskApp, filled: dict[str, str]) -> None:
    for name, value in filled.items():
        app.screen.query_one(f"#{name}", Input).value = value


async def test_everything_that_is_filled_in_is_sent_and_its_size_is_exact() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        fill(app, EVERYTHING)
        app.screen.query_one("#buttons", TextArea).text = "Pour | /pour\n\nThrow | away | https://bin.example/\nLater"
        for name in ("stays", "silent", "again"):
            app.screen.query_one(f"#{name}", Tick).value = True
        app.screen.query_one("#urgency", Select).value = Urgency.HIGH
        sent = Notification(
            title="Tea [/x]",
            body="It works.",
            url="/kettle",
            tag="tea",
            icon="/i.png",
            image="https://cdn.example/i.jpg",
            badge="b.png",
            actions=(
                Action("1", "Pour", "/pour"),
                Action("3", "Throw | away", "https://bin.example/"),
                Action("4", "Later"),
            ),
            require_interaction=True,
            silent=True,
            renotify=True,
            urgency=Urgency.HIGH,
            ttl=1800,
            topic="kettle",
        )
        size = len(build_message(sent, dispatch="01JD0000000000000000000000", access_url=URL))
        await until_says(pilot, f" {size} of 3 993 bytes", "▣ Tea [/x]", "image", "Pour", "Throw | away")
        await until_says(pilot, "the third button on", "Firefox  badge, image", "urgency")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(toasts(app)) == 1)
        assert desk.calls == [("notify", ("ada", sent))]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ttl", "soon", "TTL must be a duration from 1s to 28d, with its unit."),
        ("ttl", "0", "TTL must be a duration from 1s to 28d, with its unit."),
        ("ttl", "29d", "TTL must be a duration from 1s to 28d, with its unit."),
        ("icon", "ftp://x/y", "These are no http or https addresses: icon."),
        ("image", "javascript:x", "These are no http or https addresses: image."),
    ],
)
async def test_what_cannot_be_sent_is_said_and_not_sent(name: str, value: str, says: str) -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        fill(app, {"user": "ada", name: value})
        await pilot.press("ctrl+s")
        await until(pilot, lambda: _answer(app) == says)
        assert desk.calls == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Open\n | /x", "Buttons: line 2 has no title before the |."),
        ("Open | data:x", "These are no http or https addresses: actions[0].url."),
        ("a\n" * 9, "actions: must have at most 8 items."),
        ("x" * 201, "actions[0].title: must have at most 200 characters."),
    ],
)
async def test_buttons_that_cannot_be_are_said_and_not_sent(text: str, says: str) -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t", *"ada")
        app.screen.query_one("#buttons", TextArea).text = text
        await pilot.press("ctrl+s")
        await until(pilot, lambda: _answer(app) == says)
        assert desk.calls == []


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_every_field_is_gone_to_by_tab_and_is_then_in_sight(size: tuple[int, int]) -> None:
    app = console(busy_desk())
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        await settled(pilot)
        gone_to = []
        for _ in range(21):
            focused = app.focused
            assert focused is not None
            assert app.screen.can_view_entire(focused)
            gone_to.append(focused.id)
            await pilot.press("tab")
        fields = [
            "user",
            "title",
            "text",
            "url",
            "tag",
            "icon",
            "image",
            "badge",
            "buttons",
            "stays",
            "silent",
            "again",
        ]
        assert gone_to[:19] == [*fields, "urgency", "ttl", "topic", "send-at", "send", "test", "cancel"]
        assert gone_to[19:] == fields[:2]


async def test_what_is_beside_the_fields_is_gone_to_where_it_is_longer_than_the_terminal() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t")
        fill(app, EVERYTHING)
        app.screen.query_one("#text", TextArea).text = "\n".join("abcdefg")
        await settled(pilot)
        app.screen.query_one("#send-at", Input).focus()
        await pilot.press("tab")
        assert app.focused is app.screen.query_one("#shown")
        await pilot.press("end")
        await until_says(pilot, "Safari on iPhone")


async def test_a_space_ticks_and_what_was_said_of_the_form_is_taken_back() -> None:
    app = console(empty_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t", "ctrl+s")
        await until_says(pilot, "Whom is it for?", "[ ] silent", "ignored by no browser")
        app.screen.query_one("#silent", Tick).focus()
        await pilot.press("space")
        await until_says(pilot, "[x] silent", "Safari on iPhone  silent", "Chrome  nothing")
        assert "Whom is it for?" not in text_of(app)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 86400), (" ", 86400), ("90s", 90), ("28d", 2419200), ("1s", 1), ("0", None), ("1h30m", None), ("60", None)],
)
def test_a_ttl_is_a_duration(text: str, seconds: int | None) -> None:
    assert read_ttl(text) == seconds


@pytest.mark.parametrize(
    ("text", "buttons"),
    [
        ("", []),
        ("Open", [Action("1", "Open")]),
        (" Open | /x ", [Action("1", "Open", "/x")]),
        ("Open|", [Action("1", "Open")]),
        ("\n|/x\nOpen", [Action("3", "Open")]),
    ],
)
def test_buttons_are_a_title_and_perhaps_a_url_in_each_line(text: str, buttons: list[Action]) -> None:
    assert list(read_buttons(text)) == buttons


def test_a_preview_never_reads_markup() -> None:
    hostile = "[/x]\x1b[2J\u202e"
    shown = Notification(hostile, hostile, icon="/i", image="/i", actions=(Action("1", hostile),))
    text = preview(shown, leads_to=hostile, access_url="https://push.example.com/desk").plain
    assert text.splitlines() == [
        "▣ [/x]",
        "[/x]",
        "▒▒▒▒ image ▒▒▒▒",
        "push.example.com",
        " [/x] ",
        "→ [/x]",
    ]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("one", ["one"]),
        ("1\n2\n3\n4", ["1", "2", "3", "4"]),
        ("1\n2\n3\n4\n5", ["1", "2", "3", "4…"]),
        ("x" * 160, ["x" * 160]),
        ("x" * 161, ["x" * 159 + "…"]),
        ("x" * 9000, ["x" * 159 + "…"]),
    ],
)
def test_a_preview_has_as_much_of_a_long_body_as_browsers_show(body: str, shown: list[str]) -> None:
    text = preview(Notification("Tea", body), leads_to="/", access_url=URL).plain
    assert text.splitlines() == ["Tea", *shown, "localhost:8484", "→ /"]


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (2800, "2 800 of 3 993 bytes"),
        (2801, "2 801 of 3 993 bytes\n! Firefox on Android takes about 2 800"),
        (3993, "3 993 of 3 993 bytes\n! Firefox on Android takes about 2 800"),
        (3994, "3 994 of 3 993 bytes\n✗ too large: no push service takes it"),
    ],
)
def test_a_size_says_whom_it_is_too_large_for(size: int, says: str) -> None:
    assert size_of(size).plain.replace("\N{NO-BREAK SPACE}", " ") == says


def test_every_browser_is_named_when_one_ignores_something() -> None:
    assert ignored_by(Notification("Tea")).plain == "✓ ignored by no browser"
    assert ignored_by(Notification("Tea", silent=True, tag="t")).plain.splitlines() == [
        "Ignored by",
        "Chrome  nothing",
        "Firefox  nothing",
        "Safari on macOS  tag",
        "Safari on iPhone  tag, silent",
    ]


def _answer(app: PushdeskApp) -> str:
    return str(app.screen.query_one("#answer", Static).content)
