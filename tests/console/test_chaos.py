"""Whatever is pressed, clicked and resized, wherever, whatever the texts from outside are: nothing raises."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from textual.errors import NoWidget

from pushdesk.console.feed import Connection
from pushdesk.model import LogLevel, Outcome, PageQuery
from tests.console.hostile import HOSTILE, assert_harmless, hostile_desk
from tests.console.looking import text_of, until
from tests.console.scenes import console

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pushdesk.console.app import PushdeskApp
    from tests.console.fake_desk import FakeDesk

SIZES = [(80, 24), (120, 40), (200, 60), (30, 8), (1, 1), (81, 30), (300, 5)]
PRINTABLE = [*"abcdefghijklmnoprstuvwxyz", *"ABCDEFGHIJKLMNOPRSTUVWXYZ", *"1234567890"]
OTHERS = [
    *("slash", "colon", "question_mark", "right_square_bracket", "left_square_bracket", "space", "circumflex_accent"),
    *("enter", "escape", "tab", "shift+tab", "up", "down", "left", "right", "home", "end", "pageup", "pagedown"),
    *("backspace", "delete", "ctrl+p", "ctrl+s", "ctrl+t", "ctrl+a", "ctrl+z", "f1", "f5", "é", "漢", "\U0001f469"),
]
"""Not those that quit."""


@dataclass(frozen=True)
class Press:
    key: str


@dataclass(frozen=True)
class Click:
    x: int
    y: int


@dataclass(frozen=True)
class Resize:
    size: tuple[int, int]


@dataclass(frozen=True)
class Happen:
    what: str


async def _happen(desk: FakeDesk, what: str, text: str) -> None:
    subscriptions = (await desk.subscriptions(PageQuery())).items if desk.reachable else ()
    happenings: dict[str, Callable[[], object]] = {
        "lost": desk.lose,
        "back": desk.come_back,
        "anew": lambda: desk.come_back(anew=True),
        "subscribed": lambda: desk.subscribe(text or "x"),
        "delivered": lambda: [desk.deliver(one, Outcome.TRANSIENT, reason=text, device=text) for one in subscriptions],
        "written": lambda: desk.write(text, LogLevel.ERROR, user=text, reason=text),
        "warned": lambda: desk.set_stats(warnings=(text, text)),
        "mended": lambda: desk.set_stats(warnings=()),
    }
    happenings[what]()


HAPPENINGS = ["lost", "back", "back", "anew", "subscribed", "delivered", "written", "warned", "mended"]
STEPS = st.one_of(
    st.builds(Press, st.sampled_from(PRINTABLE)),
    st.builds(Press, st.sampled_from(OTHERS)),
    st.builds(Click, st.integers(0, 119), st.integers(0, 39)),
    st.builds(Resize, st.sampled_from(SIZES)),
    st.builds(Happen, st.sampled_from(HAPPENINGS)),
)


def _assert_alive(app: PushdeskApp) -> None:
    assert app._exception is None
    assert not app._exit
    assert [each.text for each in app.failures if "The console failed" in each.text] == []


async def _live_through(screen: str, text: str, steps: list[Any]) -> None:
    desk = hostile_desk(text)
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True, tooltips=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press(screen)
        for step in steps:
            match step:
                case Press(key):
                    await pilot.press(key)
                case Click(x, y):
                    if x < app.size.width and y < app.size.height:
                        # After a resize a screen may have been given its size and no layout yet.
                        with suppress(NoWidget):
                            await pilot.click(offset=(x, y))
                case Resize(size):
                    await pilot.resize_terminal(*size)
                case Happen(what):
                    await _happen(desk, what, text)
            _assert_alive(app)
        assert_harmless(text_of(app))
        await pilot.resize_terminal(120, 40)
        if not desk.reachable:
            desk.come_back()
        await until(pilot, lambda: app.connection is Connection.LIVE)
        _assert_alive(app)
        assert_harmless(text_of(app))


@pytest.mark.parametrize("screen", list("1234567"))
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(name=st.sampled_from(sorted(HOSTILE)), steps=st.lists(STEPS, min_size=40, max_size=60))
def test_nothing_raises(
    screen: str, name: str, steps: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Forms write files where somebody types: here, nowhere else.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    asyncio.run(_live_through(screen, HOSTILE[name], steps))
