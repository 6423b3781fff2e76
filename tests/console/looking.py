"""How tests look at a console: at its text, once it has come to say what they wait for."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from textual.worker import WorkerState

from pushdesk.desk import DeliveryChanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App
    from textual.pilot import Pilot
    from textual.screen import Screen

    from pushdesk.console.app import PushdeskApp
    from pushdesk.model import Delivery

PATIENCE_S = 20.0
"""Seconds after which a test gives up."""
LOOK_S = 0.005
"""Seconds between two looks."""


def text_of(app: App[Any]) -> str:
    """Return the text of the screen on top, without what is behind it."""
    return screen_text(app.screen)


def screen_text(screen: Screen[Any]) -> str:
    """Return the text of a screen, line by line."""
    return "\n".join(strip.text.replace("\N{NO-BREAK SPACE}", " ") for strip in screen._compositor.render_strips())


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = monotonic() + PATIENCE_S
    while monotonic() < deadline:
        await pilot.pause(LOOK_S)
        if condition():
            return
    raise AssertionError("waited in vain; the screen says:\n" + text_of(pilot.app))


async def until_says(pilot: Pilot[Any], *words: str) -> None:
    """Wait until the screen says all of this."""
    await until(pilot, lambda: all(each in text_of(pilot.app) for each in words))


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until nobody works but the feed, and what they brought is shown."""
    app = pilot.app
    await until(
        pilot,
        lambda: all(
            worker.group == "feed" or worker.state not in {WorkerState.PENDING, WorkerState.RUNNING}
            for worker in app.workers
        ),
    )
    await pilot.pause()


def toasts(app: App[Any]) -> list[str]:
    """Return what the toasts say, the oldest first."""
    return [f"{each.title}: {each.message}" if each.title else each.message for each in app._notifications]


def unwrapped(app: App[Any]) -> str:
    """Return what the dialog on top says, as if it were one line."""
    lines = (line.split("│") for line in text_of(app).splitlines())
    return " ".join(parts[len(parts) // 2].strip() for parts in lines if len(parts) > 2)


async def heard(pilot: Pilot[Any], app: PushdeskApp, delivery: Delivery) -> None:
    """Wait until the console was told of a delivery."""
    await until(
        pilot,
        lambda: any(isinstance(event, DeliveryChanged) and event.delivery == delivery for event in app.events),
    )
