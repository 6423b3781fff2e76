"""Pictures of the form of a notification, each taken after what it says was asserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input, TextArea

from pushdesk.console.widgets.tick import Tick
from pushdesk.errors import PushdeskError
from tests.console.scenes import busy_desk, console
from tests.console.sizes import each_size, every_size, smallest_size

if TYPE_CHECKING:
    import pytest

    from pushdesk.console.app import PushdeskApp
    from tests.console.conftest import Snap


def fill(app: PushdeskApp) -> None:
    """Fill in what only some browsers heed."""
    for name, value in (("icon", "/tea.png"), ("image", "https://cdn.example/kettle.jpg"), ("tag", "tea")):
        app.screen.query_one(f"#{name}", Input).value = value
    app.screen.query_one("#buttons", TextArea).text = "Pour | /pour\nLater"
    app.screen.query_one("#stays", Tick).value = True


@every_size
def test_the_form_of_a_notification(snap: Snap, size: tuple[int, int]) -> None:
    says = ["To user", "ada", "Hello from pushdesk", "of 3 993 bytes", "[ ] silent", "✓ ignored by no browser"]
    snap(console(busy_desk()), size, press=["3", "t"], says=says)


@each_size
def test_what_browsers_ignore_is_said(snap: Snap, size: tuple[int, int]) -> None:
    app = console(busy_desk())
    snap(
        app,
        size,
        press=["3", "t"],
        says=["✓ ignored by no browser"],
        act=lambda: fill(app),
        then_says=["▣ Hello from pushdesk", "Pour", "Chrome  stays", "Firefox  image, buttons", "[x] stays"],
    )


@smallest_size
def test_a_notification_that_the_server_refuses(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    desk.refusals.append(PushdeskError("The queue is full.", code="queue_full", hint="Try again in a minute."))
    snap(console(desk), size, press=["3", "t", "ctrl+s"], says=["The queue is full. Try again in a minute."])


@each_size
def test_a_notification_that_is_too_large(snap: Snap, size: tuple[int, int]) -> None:
    app = console(busy_desk())

    def write() -> None:
        app.screen.query_one("#text", TextArea).text = "Tea. " * 900

    says = ["✗ too large: no push", "4 6"]
    snap(app, size, press=["3", "t"], says=["of 3 993 bytes"], act=write, then_says=says)


@smallest_size
def test_the_form_of_a_notification_without_colours(
    snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = console(busy_desk())
    then_says = ["[x] stays", "Chrome  stays"]
    snap(app, size, press=["3", "t"], says=["[ ] silent"], act=lambda: fill(app), then_says=then_says)
