"""Broadcasts: how far they are, what is done about them, and how one is written; and what is scheduled."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from pushdesk.console.screens.broadcast import BroadcastScreen
from pushdesk.console.screens.broadcast_form import BroadcastFormScreen, PlanScreen
from pushdesk.console.screens.broadcasts import BroadcastsScreen
from pushdesk.console.screens.confirm import ConfirmScreen
from pushdesk.errors import PushdeskError
from pushdesk.model import BroadcastPart, BroadcastState, DispatchState, LaneState, Outcome, Service
from tests.console.fake_desk import NOON
from tests.console.looking import settled, text_of, toasts, until, until_says, unwrapped
from tests.console.scenes import busy_desk, console, empty_desk
from tests.console.sizes import each_size, smallest_size

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from textual.pilot import Pilot

    from pushdesk.console.app import PushdeskApp
    from pushdesk.model import Broadcast
    from tests.console.conftest import Snap
    from tests.console.fake_desk import FakeDesk

WIDE = (120, 40)
PARTS = (
    BroadcastPart(Service.FCM, 700_000, 410_000),
    BroadcastPart(Service.MOZILLA, 200_000, 20_000),
    BroadcastPart(Service.APPLE, 100_000, 100_000),
)


def broadcasting_desk() -> FakeDesk:
    """Return a busy server with broadcasts in every state, and something scheduled."""
    desk = busy_desk()
    then = {"accepted_at": NOON - timedelta(days=2), "ended_at": NOON - timedelta(days=2)}
    desk.hold_broadcast(
        "Terms of use", BroadcastState.DONE, **(then | {"parts": (BroadcastPart(Service.FCM, 50, 50),)})
    )
    desk.hold_broadcast("Wrong price", BroadcastState.CANCELLED, **then)
    desk.hold_broadcast("Maintenance tonight", BroadcastState.PAUSED, accepted_at=NOON - timedelta(hours=1))
    tomorrow = NOON + timedelta(days=1)
    desk.hold_broadcast(
        "Good morning",
        BroadcastState.SCHEDULED,
        parts=(),
        counts={},
        accepted_at=NOON - timedelta(hours=9),
        send_at=tomorrow,
        started_at=None,
    )
    desk.hold_broadcast(
        "Summer sale begins",
        BroadcastState.SENDING,
        parts=PARTS,
        counts={Outcome.ACCEPTED: 528_400, Outcome.GONE: 1570, Outcome.TRANSIENT: 30},
        accepted_at=NOON - timedelta(minutes=3),
        started_at=NOON - timedelta(minutes=3),
        per_s=4210.0,
        left_s=112.0,
    )
    desk.change_service(Service.MOZILLA, state=LaneState.BROKEN, until=NOON + timedelta(seconds=10))
    desk.schedule("ada", "Your table is booked", NOON + timedelta(hours=6))
    desk.schedule("bo", "Trip to the sea", NOON + timedelta(minutes=20))
    return desk


@each_size
def test_broadcasts(snap: Snap, size: tuple[int, int]) -> None:
    says = [
        "Summer sale",
        "↻ sending",
        "█████░░░░░  53 %",
        "01:52",
        "‖ paused",
        "✓ done",
        "- cancelled",
        "Trip to the sea",
    ]
    snap(console(broadcasting_desk()), size, press=["8"], says=[*says, "at Nov 23 12:03", "everybody"])


@smallest_size
def test_broadcasts_of_a_server_without_any(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(empty_desk()), size, press=["8"], says=["Nothing was sent to everybody yet.", "Nothing is scheduled."])


@each_size
def test_broadcast(snap: Snap, size: tuple[int, int]) -> None:
    says = ["530 000 of 1 000 000 devices", "4.2k/s, 01:52 left", "✗ gone 1 570", "58 %", "100 %", "trial"]
    snap(console(broadcasting_desk()), size, press=["8", "down", "up", "home", "enter"], says=says)


@each_size
def test_form_of_a_broadcast(snap: Snap, size: tuple[int, int]) -> None:
    says = ["all users; or a file", "Plan", "of 3 993 bytes"]
    snap(console(broadcasting_desk()), size, press=["8", "b"], says=says)


@smallest_size
def test_plan_of_a_broadcast(snap: Snap, size: tuple[int, int]) -> None:
    says = [
        "Hello from pushdesk to all users",
        "FCM",
        "5 devices",
        "What was sent cannot be taken back.",
        '"broadcast"',
    ]
    snap(console(broadcasting_desk()), size, press=["8", "b", "ctrl+s"], says=says)


async def show(pilot: Pilot[Any], app: PushdeskApp, *keys: str) -> None:
    """Show the broadcasts, and press keys there."""
    await until(pilot, lambda: app.loaded and app.stats)
    await pilot.press("8")
    await settled(pilot)
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


def of(desk: FakeDesk, title: str) -> Broadcast:
    return next(each for each in desk._broadcasts.values() if each.title == title)


async def test_a_broadcast_is_seen_as_it_goes_on() -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show(pilot, app)
        await until_says(pilot, "53 %", "4.2k/s")
        going = of(desk, "Summer sale begins")
        desk.get_to(going.id, 200_000, per_s=3900.0, left_s=69.0)
        await until_says(pilot, "73 %", "3.9k/s", "01:09")
        await pilot.press("home", "enter")
        await until_says(pilot, "730 000 of 1 000 000 devices", "3.9k/s, 01:09 left")
        desk.get_to(going.id, 270_000)
        await until_says(pilot, "✓ done", "1 000 000 of 1 000 000 devices", "100 %")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BroadcastsScreen) and text_of(app).count("✓ done") == 2)


async def test_one_that_is_accepted_elsewhere_comes_to_the_list() -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show(pilot, app)
        held = desk.hold_broadcast("From the shop", BroadcastState.SENDING)
        desk.change_broadcast(held.id)
        await until_says(pilot, "From the shop")


@pytest.mark.parametrize(
    ("title", "key", "call", "said", "state"),
    [
        ("Summer sale begins", "p", "pause_broadcast", "‖ paused", BroadcastState.PAUSED),
        ("Maintenance tonight", "r", "resume_broadcast", "↻ sending", BroadcastState.SENDING),
        ("Summer sale begins", "x", "abort_broadcast", "- cancelled", BroadcastState.CANCELLED),
        ("Good morning", "x", "abort_broadcast", "- cancelled", BroadcastState.CANCELLED),
    ],
)
@pytest.mark.parametrize("in_full", [False, True])
async def test_a_broadcast_is_paused_resumed_and_aborted_once_that_is_confirmed(
    title: str, key: str, call: str, said: str, state: BroadcastState, *, in_full: bool
) -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(pilot, app)
        assert isinstance(app.screen, BroadcastsScreen)
        app.screen._broadcasts.rows.go_to(of(desk, title).id)
        if in_full:
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, BroadcastScreen) and not app.screen.has_class("-unknown"))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("enter")
        await settled(pilot)
        assert call not in dict(desk.calls)
        await pilot.press(key, "right", "enter")
        await until(pilot, lambda: (call, of(desk, title).id) in desk.calls)
        await until(pilot, lambda: toasts(app) == [f"{title}: {said}"])
        assert of(desk, title).state is state


@pytest.mark.parametrize(
    ("title", "key", "reason"),
    [
        ("Maintenance tonight", "p", "It is paused already."),
        ("Summer sale begins", "r", "It is not paused."),
        ("Terms of use", "x", "This broadcast is done already."),
        ("Wrong price", "r", "This broadcast is cancelled already."),
    ],
)
async def test_a_command_that_would_change_nothing_says_why(title: str, key: str, reason: str) -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(pilot, app)
        assert isinstance(app.screen, BroadcastsScreen)
        app.screen._broadcasts.rows.go_to(of(desk, title).id)
        await pilot.press(key)
        await until(pilot, lambda: toasts(app) == [reason])


async def test_a_broadcast_that_is_not_there_any_more_says_so() -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show(pilot, app, "home")
        desk._broadcasts.clear()
        await pilot.press("enter")
        await until_says(pilot, "This broadcast is not there any more.")


# Writing one.


async def write_to(pilot: Pilot[Any], app: PushdeskApp, file: str) -> None:
    """Open the form of a broadcast to those in a file, and ask what it would be."""
    await show(pilot, app, "b")
    app.screen.query_one("#file", Input).value = file
    await pilot.press("ctrl+s")


async def test_a_broadcast_to_all_users_is_planned_and_sent_with_its_word_only() -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(pilot, app, "b")
        await pilot.press("ctrl+s")
        await until_says(pilot, "Hello from pushdesk to all users", "5 devices", 'Confirm with the word "broadcast".')
        await pilot.press(*"yes", "enter")
        await until_says(pilot, "That is not the word; nothing was done.")
        assert [name for name, _ in desk.calls] == ["plan_broadcast"]
        await pilot.press("backspace", "backspace", "backspace", *"broadcast", "enter")
        await until(pilot, lambda: toasts(app) == ["Hello from pushdesk: accepted"])
        assert [name for name, _ in desk.calls] == ["plan_broadcast", "broadcast"]
        assert desk.calls[-1][1][1] is None
        await until_says(pilot, "Hello from pushdesk", "✓ done")


async def test_a_file_names_whom_it_is_for_and_who_is_not_known_is_said(tmp_path: Path) -> None:
    listed = tmp_path / "users.txt"
    listed.write_text("ada\r\n\ncy\nnobody\nada\n")
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await write_to(pilot, app, str(listed))
        await until_says(
            pilot, "The list names 3 users.", "! 1 user not known, or without a device: nobody", "to 2 users"
        )
        await pilot.press(*"broadcast", "enter")
        await until(pilot, lambda: toasts(app) == ["Hello from pushdesk: accepted"])
        assert desk.calls[-1][1][1] == ["ada", "cy", "nobody", "ada"]


async def test_bad_lines_are_named_and_nothing_is_planned_unless_they_are_to_be_skipped(tmp_path: Path) -> None:
    listed = tmp_path / "users.txt"
    listed.write_bytes(b"ada\n" + b"x" * 200 + b"\ncy\n\xff\n")
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await write_to(pilot, app, str(listed))
        await until(pilot, lambda: "2 of the list cannot be users' ids" in unwrapped(app))
        assert "line 2:" in unwrapped(app)
        assert "line 4:" in unwrapped(app)
        assert desk.calls == []
        app.screen.query_one("#skip").focus()
        await pilot.press("space", "ctrl+s")
        await until_says(pilot, "The list names 2 users.")


async def test_a_file_that_cannot_be_read_is_said_to_be(tmp_path: Path) -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await write_to(pilot, app, str(tmp_path / "none.txt"))
        await until(pilot, lambda: "cannot be read: No such file or directory." in unwrapped(app))
        app.screen.query_one("#file", Input).value = str(tmp_path)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "is not a file." in unwrapped(app))
        assert desk.calls == []
        assert isinstance(app.screen, BroadcastFormScreen)


async def test_what_reaches_nobody_is_not_offered(tmp_path: Path) -> None:
    listed = tmp_path / "users.txt"
    listed.write_text("nobody\n")
    app = console(broadcasting_desk())
    async with app.run_test(size=WIDE) as pilot:
        await write_to(pilot, app, str(listed))
        await until_says(pilot, "There is no device that it would be sent to.")
        assert isinstance(app.screen, BroadcastFormScreen)


async def test_a_refusal_leaves_what_was_written() -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show(pilot, app, "b")
        desk.refusals.append(PushdeskError("The queue is full.", code="queue_full"))
        await pilot.press("ctrl+s")
        await until_says(pilot, "The queue is full.")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen))
        desk.refusals.append(PushdeskError("The queue is full.", code="queue_full"))
        await pilot.press(*"broadcast", "enter")
        await until_says(pilot, "The queue is full.")
        await pilot.press("ctrl+s")
        await until_says(pilot, "✓ done")


# What is scheduled.


async def test_a_broadcast_is_scheduled_from_its_form() -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(pilot, app, "b")
        app.screen.query_one("#send-at", Input).value = "18:30"
        await pilot.press("ctrl+s")
        await until_says(pilot, "to all users at 18:30:00; who is")
        await pilot.press(*"broadcast", "enter")
        await until(pilot, lambda: toasts(app) == ["Hello from pushdesk: scheduled for 18:30:00"])
        await until_says(pilot, "at 18:30:00")


async def test_a_notification_is_scheduled_seen_and_taken_back() -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(pilot, app, "t")
        app.screen.query_one("#user", Input).value = "ada"
        app.screen.query_one("#send-at", Input).value = "yesterday"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Send at must be a time, a date with a time, or a duration" in unwrapped(app))
        app.screen.query_one("#send-at", Input).value = "10m"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any("ada: scheduled for 12:13:44" in each for each in toasts(app)))
        await until_says(pilot, "12:13:44      Hello from pushdesk")
        assert isinstance(app.screen, BroadcastsScreen)
        app.screen._scheduled.rows.focus()
        app.clear_notifications()
        await pilot.press("home", "x")
        await until_says(pilot, "Hello from pushdesk for ada is not sent.")
        await pilot.press("right", "enter")
        await until(pilot, lambda: toasts(app) == ["Hello from pushdesk: taken back"])
        await until(pilot, lambda: "12:13:44      Hello" not in text_of(app))
        cancelled = [each for each in desk._dispatches.values() if each.state is DispatchState.CANCELLED]
        assert [each.title for each in cancelled if each.user] == ["Hello from pushdesk"]


async def test_what_is_scheduled_is_in_the_order_in_which_it_is_due_and_shown_in_full() -> None:
    desk = broadcasting_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(pilot, app, "tab")
        assert isinstance(app.screen, BroadcastsScreen)
        titles = [each.title for each in app.screen._scheduled.rows.items]
        assert titles == ["Trip to the sea", "Your table is booked", "Good morning"]
        await pilot.press("home", "enter")
        await until_says(pilot, "… scheduled", "send at   12:23:44", "It is not due yet")
        await pilot.press("x", "right", "enter")
        await until_says(pilot, "- cancelled", "It was taken back before anything was sent.")
        app.clear_notifications()
        await pilot.press("x")
        await until(pilot, lambda: toasts(app) == ["There is nothing left that could be taken back."])


async def test_a_list_that_does_not_come_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise PushdeskError("The database is locked.", code="database_error")

    desk = broadcasting_desk()
    monkeypatch.setattr(desk, "dispatches", fail)
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(pilot, app)
        await until_says(pilot, "This could not be listed.", "Summer sale begins", "The database is locked.")
