"""The faults of a simulator, set from the console: against a real simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, TextArea

from pushdesk.console.screens.simulator import SimulatorScreen
from pushdesk.console.simulator_control import check_url
from pushdesk.errors import PushdeskError
from pushdesk.simulator.service import Simulator
from tests.console.looking import text_of, toasts, until, until_says, unwrapped
from tests.console.scenes import busy_desk, console
from tests.console.sizes import smallest_size

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from textual.pilot import Pilot

    from pushdesk.console.app import PushdeskApp
    from tests.console.conftest import Snap

WIDE = (120, 40)


async def show(pilot: Pilot[Any], app: PushdeskApp) -> None:
    """Open the dialog from the palette."""
    await until(pilot, lambda: app.loaded)
    await pilot.press("colon", *"simulator")
    await until_says(pilot, "What goes wrong in a push service simulator")
    await pilot.press("down", "enter")
    await until(pilot, lambda: isinstance(app.screen, SimulatorScreen))


def lines(app: PushdeskApp) -> TextArea:
    return app.screen.query_one("#faults", TextArea)


@smallest_size
def test_dialog_without_a_simulator(snap: Snap, size: tuple[int, int]) -> None:
    app = console(busy_desk())
    # Nobody listens there.
    app.remember_simulator("http://127.0.0.1:1")
    press = ["colon", *"simulator", "down", "enter"]
    snap(app, size, press=press, says=["Simulator faults", "No simulator answers at http://127.0.0.1:1."])


async def test_faults_are_set_seen_and_cleared(tmp_path: Path) -> None:
    app = console(busy_desk(), state_file=tmp_path / "console.json")
    async with Simulator() as simulator, app.run_test(size=WIDE, notifications=True) as pilot:
        simulator.set_faults(["503@10%"])
        app.remember_simulator(simulator.origin)
        await show(pilot, app)
        await until_says(pilot, "503@10%   met 0")
        await until(pilot, lambda: lines(app).text == "503@10%")
        lines(app).text = "429:retry-after=30@next=3\n\n  silence@browser=2 "
        await pilot.press("ctrl+s")
        await until_says(pilot, "✓ 2 faults set", "429:retry-after=30@next=3   met 0, 3 left")
        assert [each.fault.text for each in simulator.faults.active()] == [
            "429:retry-after=30@next=3",
            "silence@browser=2",
        ]
        lines(app).text = "nonsense"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "nonsense" in unwrapped(app))
        assert len(simulator.faults.active()) == 2
        await pilot.click("#clear")
        await until_says(pilot, "✓ all is well")
        assert simulator.faults.active() == ()
    again = console(busy_desk(), state_file=tmp_path / "console.json")
    assert again.simulator == simulator.origin


@pytest.mark.parametrize(
    "url", ["", "https://127.0.0.1:8485", "http://example.org:80", "http://127.0.0.1", "http://[", "http://localhost:x"]
)
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(PushdeskError, match="A simulator is on this machine"):
        check_url(url)


async def test_what_is_no_simulator_is_said_to_be_none() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await show(pilot, app)
        app.screen.query_one(Input).value = "http://example.org:80"
        app.screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: "A simulator is on this machine, such as http://127" in unwrapped(app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: text_of(app).count("A simulator is on this machine") == 2)
        assert app.simulator == ""


async def test_nothing_is_set_from_a_console_that_only_looks() -> None:
    app = console(busy_desk(), read_only=True)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("colon", *"simulator")
        await until_says(pilot, "(not now: This console was opened")
        await pilot.press("down", "enter")
        await until(pilot, lambda: toasts(app) == ["This console was opened with --read-only."])
