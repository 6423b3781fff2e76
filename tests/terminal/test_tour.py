"""The real program in a real terminal, with pushes that succeed and fail: what an operator sees on every screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_DONE
from tests.programs import PUSHDESK, bare_environment, run
from tests.push_service import PushService
from tests.subscribing import subscribe
from tests.terminal.pseudo import Terminal
from tests.terminal.test_console import READY, url_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.pty

ENTER, ESCAPE, CTRL_S, DOWN = "\r", "\x1b", "\x13", "\x1b[B"
CLOSES = "esc closes"
"""On the frame of every dialog."""
SCREENS = ("Overview", "Users", "Subscri", "Cache", "Deliveries", "Keys", "Log", "Broadcasts")
"""Of one that is called otherwise where columns are few, what is the same."""


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
async def test_a_tour_of_the_console(size: tuple[int, int], tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with PushService() as push_service:
        environment = bare_environment(
            tmp_path, PUSHDESK_DATA_DIR=str(data), PUSHDESK_PORT="0", PUSHDESK_ALLOW_ENDPOINT=push_service.origin
        )
        async with Terminal(*PUSHDESK, env=environment, size=size) as terminal:
            await terminal.shows(READY)
            await terminal.shows("No browser is subscribed yet.")
            for number, name in enumerate(SCREENS, start=1):
                assert f"{number} {name}" in terminal.text

            # Somebody whose device is reached, and somebody whose device is gone.
            await subscribe(url_of(data), "ada", push_service.device("phone"))
            await subscribe(url_of(data), "bo", push_service.device("tablet"))
            push_service.answer("tablet", 410)
            for user in ("ada", "bo"):
                await run(*PUSHDESK, "send", user, "Backup done", "--wait", "10", env=environment)
            await show(terminal, "1", "Push services", "Queue" if size[0] > 80 else "accepted", "✗ 410 gone")

            await show(terminal, "2", "last failure", "1 to 2 of 2")
            terminal.press("g")
            await show(terminal, ENTER, "Devices", "2 deliveries", "generation", "✗ 410 gone")
            await show(terminal, "w", "Did bo, unknown", "✗ gone", "What helps", "Answered 410", "Invite the user")
            await close_dialog(terminal)
            await show(terminal, ESCAPE, "last failure", "1 to 2 of 2")

            await show(terminal, "3", "last success", "✓ active", "✗ gone")
            await show(terminal, "4", "Cached users", "Hit ratio", "Since the start", "generation")
            await show(terminal, "5", "following", "✓ 201", "✗ 410 gone")
            await show(terminal, ENTER, "what is next", "asked for", "“Backup done”", "answer")
            await close_dialog(terminal)
            await show(terminal, "6", "VAPID keys", "✓ current", "Access tokens", "There are no access tokens.")
            await show(terminal, "7", "following", "server_listening", "delivery_not_accepted")

            await show(terminal, "8", "Nothing was sent to everybody yet.", "Nothing is scheduled.")
            await show(terminal, "7", "following")

            await show(terminal, "?", "To be mended", "This screen", "Show what matters more")
            await close_dialog(terminal)
            await show(terminal, ":", "Search for commands")
            await show(terminal, "subscr", "The browsers that are subscribed")
            terminal.press(DOWN)
            await show(terminal, ENTER, "last success", "✓ active", "✗ gone")

            await show(terminal, "t", "To user", "of 3\N{NO-BREAK SPACE}993 bytes", "ignored by no browser")
            before = len(push_service.pushes)
            # What is typed takes the place of what was suggested.
            terminal.press("ada")
            await show(terminal, CTRL_S, "ada, 1 device: ✓ 1 accepted")
            assert [push.path for push in push_service.pushes[before:]] == ["/phone"]

            terminal.press("q")
            assert await terminal.end(within_s=10) == EXIT_DONE
            assert terminal.is_restored


async def close_dialog(terminal: Terminal) -> None:
    """Close a dialog, and wait until it is gone: what is behind it can be seen beside it, too."""
    assert CLOSES in terminal.text
    terminal.press(ESCAPE)
    await terminal.hides(CLOSES)


async def show(terminal: Terminal, keys: str, *parts: str) -> None:
    """Press keys, and wait until the screen says all of this at once."""
    terminal.press(keys)
    await terminal.shows(*parts)
