from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest
from textual import _wait
from textual.widgets import Input

from tests.console.looking import settled, text_of, until, until_says

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.pilot import Pilot

    from pushdesk.console.app import PushdeskApp


class Snap(Protocol):
    """Compares a console with its picture, after it has said what it is to say.

    One that `waits` is looked at while something that it asked for is not there yet.
    """

    def __call__(
        self,
        app: PushdeskApp,
        size: tuple[int, int],
        *,
        press: Sequence[str] = (),
        says: Sequence[str],
        act: Callable[[], object] | None = None,
        then_says: Sequence[str] = (),
        waits: bool = False,
    ) -> None: ...


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Textual look more often whether an app is at rest: half of these tests' time was waiting for its looks."""
    monkeypatch.setattr(_wait, "SLEEP_GRANULARITY", 0.004)
    monkeypatch.setattr(_wait, "SLEEP_IDLE", 0.0004)


@pytest.fixture
def snap(snap_compare: Callable[..., bool]) -> Snap:
    def compare(
        app: PushdeskApp,
        size: tuple[int, int],
        *,
        press: Sequence[str] = (),
        says: Sequence[str],
        act: Callable[[], object] | None = None,
        then_says: Sequence[str] = (),
        waits: bool = False,
    ) -> None:
        said: list[str] = []

        async def look(pilot: Pilot[Any]) -> None:
            if press:
                await until(pilot, lambda: app.loaded)
            for key in press:
                if not waits:
                    await settled(pilot)
                await pilot.press(key)
            for field in app.screen.query(Input):
                field.cursor_blink = False
            await until_says(pilot, *says)
            if act is not None:
                act()
                await until_says(pilot, *then_says)
            # For a moment a button is shown pressed.
            await until(pilot, lambda: not app.screen.query("Button.-active"))
            if not waits:
                await settled(pilot)
            said.append(text_of(app))

        same = snap_compare(app, terminal_size=size, run_before=look)
        # The plugin ends the app whatever happens in it: that the looking came to its end is asserted here.
        assert said
        assert same

    return compare
