"""Keys, and what they refuse."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from textual.widgets._toast import Toast

from pushdesk.console.app import PushdeskApp
from pushdesk.console.screens import SCREENS
from pushdesk.console.screens.compose import ComposeScreen
from pushdesk.console.screens.confirm import QuitScreen
from pushdesk.console.screens.details import SubscriptionScreen
from pushdesk.console.screens.help import HelpScreen
from pushdesk.console.widgets.bars import Banner
from pushdesk.console.widgets.filter import FilterInput
from pushdesk.console.widgets.rows import Rows
from pushdesk.errors import EXIT_INTERRUPTED, PushdeskError, StartUpError
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console, empty_desk

if TYPE_CHECKING:
    from pathlib import Path


async def test_number_keys_show_the_screens() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        for entry in SCREENS[::-1]:
            await pilot.press(entry.key)
            assert app.current_mode == entry.name


async def test_a_click_on_a_tab_shows_its_screen() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await until_says(pilot, "412/s")
        await pilot.click("ScreenTab", offset=(4, 0))
        await pilot.click(app.screen.query("ScreenTab").last())
        assert app.current_mode == SCREENS[-1].name


async def test_keys_can_be_remapped_by_their_ids() -> None:
    app = PushdeskApp(busy_desk(), url=URL, mode="embedded", now=lambda: NOON, keymap={"screen.deliveries": "f9"})
    async with app.run_test() as pilot:
        await pilot.press("5")
        assert app.current_mode == "overview"
        await pilot.press("f9")
        assert app.current_mode == "deliveries"


async def test_keys_go_into_a_field_while_someone_types() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await pilot.press("3", "slash", "1", "q", "d")
        assert app.current_mode == "subscriptions"
        assert app.screen.query_one(FilterInput).value == "1qd"


async def test_what_cannot_be_done_says_why() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("d", "T", "right_square_bracket", "left_square_bracket")
        assert toasts(app) == [
            "No subscription is selected.",
            "This is the last page.",
            "This is the first page.",
        ]


WARNING = "Apple will refuse every push: the subscriber claim mailto:admin@localhost is none that it takes, " * 2


async def test_warnings_are_told_on_the_overview_and_counted_elsewhere() -> None:
    desk = busy_desk()
    desk.set_stats(warnings=(WARNING, "Another."))
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_says(pilot, "! Apple will refuse", "…", "! Another.")
        assert app.screen.query_one(Banner).size.height == 2
        await pilot.press("3")
        await until_says(pilot, "! 2 warnings: see Overview")
        assert app.screen.query_one(Banner).size.height == 1
        await pilot.press("question_mark")
        await until_says(pilot, "To be mended", "! Apple will refuse", "! Another.")


async def test_warnings_are_hidden_until_there_are_others() -> None:
    desk = busy_desk()
    desk.set_stats(warnings=(WARNING,))
    app = console(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_says(pilot, "! Apple will refuse")
        assert app.screen.query_one(Banner).size.height == 2
        await pilot.press("W")
        await until(pilot, lambda: "! Apple" not in text_of(app))
        await pilot.press("W")
        await until_says(pilot, "! Apple")
        await pilot.press("W", "3")
        await until_says(pilot, "1 to 6 of 6 · ")
        assert "warning" not in text_of(app)
        desk.set_stats(warnings=("Another.",))
        await until_says(pilot, "! 1 warning: see Overview")


async def test_without_warnings_there_is_nothing_to_hide() -> None:
    app = console(busy_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("W")
        assert toasts(app) == ["There are no warnings."]


@pytest.mark.parametrize("pane", ["3", "5"])
async def test_escape_without_a_filter_does_nothing(pane: str) -> None:
    app = console(busy_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press(pane)
        await settled(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert toasts(app) == []


async def test_nothing_can_be_sent_before_the_server_answers() -> None:
    app = console(FakeDesk(reachable=False))
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("t")
        assert not isinstance(app.screen, ComposeScreen)
        assert toasts(app) == ["The server does not answer yet."]


async def test_help_lists_what_can_be_done_and_what_cannot() -> None:
    app = console(empty_desk())
    async with app.run_test(size=(120, 50)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3", "question_mark")
        assert isinstance(app.screen, HelpScreen)
        await until_says(pilot, "Remove this subscription (not now: No subscription is selected.)", "Leave the console")
        await pilot.press("escape")
        assert app.current_mode == "subscriptions"


async def test_the_palette_does_what_the_keys_do() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("ctrl+p")
        await pilot.press(*"deliveries")
        await until_says(pilot, "Every delivery with its latest attempt, live")
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.current_mode == "deliveries")


async def test_the_palette_says_why_not() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3", "colon")
        await pilot.press(*"remove")
        await until_says(pilot, "not now: No subscription is selected.")
        await pilot.press("down", "enter")
        await until(pilot, lambda: toasts(app) == ["No subscription is selected."])


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_quitting_when_nothing_is_in_flight_is_immediate(key: str) -> None:
    app = console(empty_desk())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press(key)
        await until(pilot, lambda: app._exit)
    assert app.return_value == 0


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_a_second_press_quits_though_something_is_in_flight(key: str) -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press(key)
        assert isinstance(app.screen, QuitScreen)
        assert not app._exit
        await pilot.press(key)
        await until(pilot, lambda: app._exit)


async def test_staying_is_what_the_focus_is_on() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("q", "enter")
        assert not isinstance(app.screen, QuitScreen)
        assert not app._exit
        await pilot.press("q", "right", "enter")
        await until(pilot, lambda: app._exit)


async def test_quitting_an_attached_console_does_not_ask() -> None:
    app = console(busy_desk(), mode="attached")
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


async def test_what_only_waits_in_the_queue_is_not_asked_about() -> None:
    desk = busy_desk()
    desk.set_stats(queue=40, in_flight=0)
    app = console(desk)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


async def test_ctrl_c_quits_from_a_field() -> None:
    app = console(empty_desk())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t", "ctrl+c")
        await until(pilot, lambda: app._exit)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, EXIT_INTERRUPTED)]
)
async def test_a_signal_ends_the_console(number: signal.Signals, code: int) -> None:
    app = console(busy_desk())
    app.listen_to_signals()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        os.kill(os.getpid(), number)
        await until(pilot, lambda: app._exit)
    assert app.return_code == code


async def test_a_signal_that_is_ignored_stays_so() -> None:
    kept = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        app = console(busy_desk())
        app.listen_to_signals()
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.loaded)
            os.kill(os.getpid(), signal.SIGHUP)
            await settled(pilot)
            assert not app._exit
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, kept)


async def test_a_second_signal_does_not_cut_off_the_end() -> None:
    app = console(busy_desk())
    app.listen_to_signals()
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(pilot, lambda: app._exit)
    assert signal.getsignal(signal.SIGTERM) not in {signal.SIG_DFL, signal.SIG_IGN}
    assert app.return_code == 0


async def test_a_server_that_cannot_start_ends_the_console_with_its_error() -> None:
    async def starting() -> None:
        raise StartUpError("The port 8484 is taken.")

    app = PushdeskApp(empty_desk(), url=URL, mode="embedded", now=lambda: NOON, starting=starting)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app._exit)
    assert app.return_code == 2
    assert str(app.error) == "The port 8484 is taken."


async def test_a_failing_server_ends_the_console_from_another_thread() -> None:
    app = console(empty_desk())
    async with app.run_test() as pilot:
        await asyncio.to_thread(app.call_from_thread, app.fail, StartUpError("The disk is gone."))
        await until(pilot, lambda: app._exit)
    assert app.return_code == 2


async def test_a_refusal_of_the_token_ends_the_console() -> None:
    class Closed(FakeDesk):
        def _answer(self) -> None:
            raise PushdeskError("The token is not known.", code="unauthorized")

    app = PushdeskApp(Closed(), url=URL, mode="attached", now=lambda: NOON)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app._exit)
    assert app.return_code == 4


async def test_a_server_in_trouble_does_not_end_the_console() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_says(pilot, "✓ healthy")
        desk.lose()
        await until_says(pilot, "reconnecting")
        desk.troubles.append(PushdeskError("The database is locked.", code="database_error"))
        desk.come_back()
        await until_says(pilot, "✗ error", "embedded")
        assert "The database is locked." in "".join(toasts(app))
        assert app.is_running


async def test_the_console_waits_for_its_server_to_start() -> None:
    started = asyncio.Event()
    desk = FakeDesk(reachable=False)
    app = PushdeskApp(desk, url=URL, mode="embedded", now=lambda: NOON, starting=started.wait)  # type: ignore[arg-type]
    async with app.run_test() as pilot:
        await until_says(pilot, "starting…")
        desk.come_back()
        started.set()
        await until_says(pilot, "No browser is subscribed yet.")


async def test_screen_sort_and_theme_are_remembered(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    app = console(busy_desk(), state_file=file)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3", "s", "S")
        app.theme = "nord"
        await pilot.pause()
    again = console(busy_desk(), state_file=file)
    async with again.run_test() as pilot:
        await until_says(pilot, "user ▼")
        assert again.current_mode == "subscriptions"
        assert again.theme == "nord"


async def test_a_server_without_subscriptions_opens_on_the_overview_whatever_was_looked_at_elsewhere(
    tmp_path: Path,
) -> None:
    file = tmp_path / "console.json"
    app = console(busy_desk(), state_file=file)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("4")
        await pilot.pause()
    first_start = console(empty_desk(), state_file=file)
    async with first_start.run_test() as pilot:
        await until_says(pilot, "No browser is subscribed yet.")
        assert first_start.current_mode == "overview"
        await pilot.press("3", "R")
        await settled(pilot)
        assert first_start.current_mode == "subscriptions"


async def test_state_that_cannot_be_written_is_told_and_nothing_else(tmp_path: Path) -> None:
    app = console(empty_desk(), state_file=tmp_path / "absent" / "console.json")
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("3")
        assert toasts(app) == ["What the console remembers could not be written: No such file or directory"]
        assert app.current_mode == "subscriptions"


async def test_copying_takes_what_is_under_the_cursor() -> None:
    app = console(busy_desk())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("y")
        assert app.clipboard == URL
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("y")
        assert app.clipboard == "mozilla#3779b1"


async def test_what_is_said_again_and_again_is_shown_once() -> None:
    app = console(busy_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press(*"yyyyyyyyyy")
        assert toasts(app) == [f"Copied: {URL}"]
        for number in range(12):
            app.notify(f"Said {number}")
        await until(pilot, lambda: toasts(app) == [f"Said {number}" for number in range(7, 12)])
        await until(pilot, lambda: len(app.screen.query(Toast)) == 5)


async def test_tab_goes_from_pane_to_pane() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await until_says(pilot, "✓ healthy")
        assert app.focused is app.screen.query_one("#happening", Rows)
        await pilot.press("tab")
        assert app.focused is app.screen.query_one("#services", Rows)
        await pilot.press("shift+tab")
        assert app.focused is app.screen.query_one("#happening", Rows)


async def test_a_row_is_opened_by_a_second_click() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until_says(pilot, "Safari")
        await pilot.click("#subscriptions", offset=(5, 3))
        assert not isinstance(app.screen, SubscriptionScreen)
        await pilot.click("#subscriptions", offset=(5, 3))
        assert isinstance(app.screen, SubscriptionScreen)
        await until_says(pilot, "cy", "Apple#")


async def test_narrow_terminals_lose_columns_and_frames_but_no_meaning() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(40, 15)) as pilot:
        await pilot.press("5")
        await until_says(pilot, "503 will retry", "eve.")
        assert "╭" not in text_of(app)
