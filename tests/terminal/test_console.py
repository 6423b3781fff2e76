"""The real program in a real terminal: what it shows, what it sends, and that it leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import aiohttp
import pytest

from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_USAGE
from pushdesk.simulator.browser import VirtualBrowser
from pushdesk.simulator.service import Simulator
from tests.programs import PUSHDESK, bare_environment, run, serving
from tests.push_service import PushService
from tests.subscribing import subscribe
from tests.terminal.pseudo import Terminal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.pty

CTRL_C, CTRL_S = "\x03", "\x13"
READY = "First steps"
"""What the overview of a server without subscriptions shows once it has heard from the server."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def environment(tmp_path: Path, data: Path) -> dict[str, str]:
    return bare_environment(tmp_path, PUSHDESK_DATA_DIR=str(data), PUSHDESK_PORT="0")


def url_of(data: Path) -> str:
    url: str = json.loads((data / "server.lock").read_text())["url"]
    return url


async def is_served(url: str) -> bool:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"{url}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False


@pytest.mark.parametrize("key", ["q", CTRL_C])
async def test_the_overview_is_shown_with_the_server_behind_it_and_a_key_quits(
    key: str, environment: dict[str, str], data: Path
) -> None:
    async with Terminal(*PUSHDESK, env=environment) as terminal:
        await terminal.shows(READY)
        url = url_of(data)
        assert url in terminal.text
        assert await is_served(url)
        terminal.press(key)
        assert await terminal.end(within_s=10) == EXIT_DONE
        assert terminal.is_restored
        assert not await is_served(url)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, EXIT_DONE), (signal.SIGHUP, EXIT_DONE), (signal.SIGINT, EXIT_INTERRUPTED)],
)
async def test_a_signal_leaves_the_terminal_clean_although_somebody_follows_the_events(
    number: signal.Signals, code: int, environment: dict[str, str], data: Path
) -> None:
    async with Terminal(*PUSHDESK, env=environment) as terminal:
        await terminal.shows(READY)
        token = (data / "admin.token").read_text().strip()
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.ws_connect(f"{url_of(data)}/api/v1/admin/events") as events,
        ):
            await events.receive()
            terminal.send(number)
            assert await terminal.end(within_s=10) == code
        assert terminal.is_restored


async def test_a_signal_during_the_start_ends_it_cleanly(environment: dict[str, str], data: Path) -> None:
    async with Terminal(*PUSHDESK, env=environment) as terminal:
        # The alternate screen is entered, and nothing is painted on it yet.
        await terminal.says("\x1b[?1049h")
        terminal.send(signal.SIGTERM)
        assert await terminal.end(within_s=10) == EXIT_DONE
        assert terminal.is_restored
    assert (data / "server.lock").read_bytes() == b""


async def test_a_terminal_that_goes_away_ends_the_program(environment: dict[str, str], data: Path) -> None:
    async with Terminal(*PUSHDESK, env=environment) as terminal:
        await terminal.shows(READY)
        url = url_of(data)
        terminal.hang_up()
        await terminal.end(within_s=10)
        assert not await is_served(url)
    again = await run(*PUSHDESK, "send", "ada", "Hello", env=environment)
    assert "nobody to send to" in again.err


async def test_a_terminal_that_goes_away_ends_a_program_that_was_told_to_ignore_it(
    environment: dict[str, str], data: Path
) -> None:
    async with Terminal("sh", "-c", 'trap \'\' HUP; exec "$0" "$@"', *PUSHDESK, env=environment) as terminal:
        await terminal.shows(READY)
        url = url_of(data)
        terminal.hang_up()
        await terminal.end(within_s=10)
        assert not await is_served(url)


async def test_t_sends_a_push_that_a_browser_decrypts(environment: dict[str, str], data: Path) -> None:
    async with Simulator() as simulator, VirtualBrowser(simulator.url, user="ada") as browser:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = simulator.origin
        async with Terminal(*PUSHDESK, env=environment) as terminal:
            await terminal.shows(READY)
            await browser.subscribe(url_of(data))
            await terminal.shows("subscriptions  1 active · 1 user")
            terminal.press("t")
            await terminal.shows("To user")
            # What is typed takes the place of what was suggested.
            terminal.press("ada")
            terminal.press(CTRL_S)
            async with asyncio.timeout(20):
                await browser.wait_for_message("Hello from pushdesk")
            await terminal.shows("ada, 1 device: ✓ 1 accepted")
            terminal.press(CTRL_C)
            assert await terminal.end(within_s=10) == EXIT_DONE
            assert terminal.is_restored


async def test_e_makes_an_invitation_that_lets_a_browser_in_and_leaves_no_code_behind(
    environment: dict[str, str], data: Path
) -> None:
    async with Terminal(*PUSHDESK, env=environment) as terminal:
        await terminal.shows(READY)
        terminal.press("e")
        await terminal.shows("Invite a browser")
        terminal.press(f"ada{CTRL_S}")
        await terminal.shows("for ada")
        await terminal.shows("█▀▀▀▀▀█")
        found = re.search(r"\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}\b", terminal.text)
        assert found is not None, terminal.text
        code = found[0]
        assert f"{url_of(data)}/enroll#" in terminal.text
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url_of(data)}/api/v1/enrollments", json={"code": code}) as answer,
        ):
            assert answer.status == 200
            assert (await answer.json())["user"] == "ada"
        terminal.press("\x1b")
        await terminal.hides("Copy link")
        assert code not in terminal.text
        terminal.press(CTRL_C)
        assert await terminal.end(within_s=10) == EXIT_DONE
        assert terminal.is_restored
    left = [file for file in data.parent.rglob("*") if file.is_file() and code.encode() in file.read_bytes()]
    assert left == []


async def test_a_key_is_rotated_by_typing_the_word_on_the_keys_screen(environment: dict[str, str]) -> None:
    async with Terminal(*PUSHDESK, env=environment) as terminal:
        await terminal.shows(READY)
        terminal.press("6")
        await terminal.shows("✓ current")
        terminal.press("r")
        await terminal.shows('Confirm with the word "rotate".')
        terminal.press("rotate\r")
        await terminal.shows("↻ retiring")
        assert terminal.text.count("✓ current") == 1
        listed = await run(*PUSHDESK, "keys", "list", "--json", env=environment)
        assert [key["state"] for key in json.loads(listed.out)] == ["current", "retiring"]
        terminal.press(CTRL_C)
        assert await terminal.end(within_s=10) == EXIT_DONE
        assert terminal.is_restored


@pytest.mark.parametrize("leave", ["release", "signal"])
async def test_what_is_in_flight_is_waited_for_on_the_terminal_that_is_restored(
    leave: str, environment: dict[str, str], data: Path
) -> None:
    async with PushService() as push_service:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = push_service.origin
        async with Terminal(*PUSHDESK, env=environment) as terminal:
            await terminal.shows(READY)
            await subscribe(url_of(data), "ada", push_service.device("phone"))
            push_service.hold = asyncio.Event()
            before = len(push_service.pushes)
            await run(*PUSHDESK, "send", "ada", "Hello", "--wait", "0", env=environment)
            await push_service.wait_for_pushes(before + 1)
            terminal.send(signal.SIGTERM)
            await terminal.says("waiting for 1 delivery under way")
            assert terminal.is_restored
            assert "waiting for 1 delivery" in terminal.after_console
            if leave == "release":
                push_service.hold.set()
                assert await terminal.end(within_s=10) == EXIT_DONE
            else:
                terminal.press(CTRL_C)
                assert await terminal.end(within_s=10) == EXIT_INTERRUPTED
                push_service.hold.set()


async def test_a_second_start_names_the_first_and_opens_no_console(environment: dict[str, str]) -> None:
    async with serving(env=environment) as server, Terminal(*PUSHDESK, env=environment) as terminal:
        assert await terminal.end(within_s=10) == EXIT_USAGE
        said = terminal.text.replace("\n", "")
        assert f"process {server.pid}, listening at {server.url}" in said
        assert "pushdesk attach" in said
        assert terminal.modes == terminal.modes_before
        assert "\x1b" not in terminal.after_console


async def test_a_server_that_cannot_start_ends_the_console_with_its_reason(
    environment: dict[str, str], data: Path
) -> None:
    data.mkdir(mode=0o700)
    (data / "pushdesk.db").write_bytes(b"this is no database" * 100)
    async with Terminal(*PUSHDESK, env=environment) as terminal:
        assert await terminal.end(within_s=20) == EXIT_USAGE
        assert terminal.is_restored
        said = terminal.after_console
        assert "pushdesk: The database" in said
        assert "Traceback" not in said


async def test_a_keymap_with_an_unknown_binding_is_refused_before_the_console_opens(
    environment: dict[str, str], data: Path
) -> None:
    data.mkdir(mode=0o700)
    (data / "pushdesk.toml").write_text('[keymap]\n"app.qiut" = "ctrl+q"\n')
    async with Terminal(*PUSHDESK, env=environment) as terminal:
        assert await terminal.end(within_s=10) == EXIT_USAGE
        assert "line 2: `app.qiut` in [keymap]" in terminal.text.replace("\n", "")
        assert "\x1b" not in terminal.after_console


async def test_attach_shows_a_server_that_goes_on_when_the_console_is_left(environment: dict[str, str]) -> None:
    async with serving(env=environment) as server:
        async with Terminal(*PUSHDESK, "attach", server.url, env=environment) as terminal:
            await terminal.shows(READY)
            assert "attached" in terminal.text
            terminal.press("q")
            assert await terminal.end(within_s=10) == EXIT_DONE
            assert terminal.is_restored
        assert await is_served(server.url)


@pytest.mark.parametrize("command", [["--read-only"], ["attach", "--read-only"]])
async def test_a_console_that_only_looks_says_so_and_changes_nothing(
    command: list[str], environment: dict[str, str], data: Path
) -> None:
    async with AsyncExitStack() as stack:
        push_service = await stack.enter_async_context(PushService())
        environment["PUSHDESK_ALLOW_ENDPOINT"] = push_service.origin
        if "attach" in command:
            server = await stack.enter_async_context(serving(env=environment))
            command = [*command, server.url]
        terminal = await stack.enter_async_context(Terminal(*PUSHDESK, *command, env=environment))
        await terminal.shows(READY)
        await terminal.shows("READ-ONLY")
        terminal.press("e")
        await terminal.shows("This console was opened with --read-only.")
        assert "Invite a browser" not in terminal.text
        # The server goes on with its work.
        await subscribe(url_of(data), "ada", push_service.device("phone"))
        await terminal.shows("ada")
        terminal.press(CTRL_C)
        assert await terminal.end(within_s=10) == EXIT_DONE
        assert terminal.is_restored


async def test_attach_says_what_it_waits_for(environment: dict[str, str]) -> None:
    environment["PUSHDESK_TOKEN"] = "not the token of any server at all"
    # Connections are taken, and nobody reads what comes by them.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with Terminal(*PUSHDESK, "attach", url, env=environment) as terminal:
            await terminal.says(f"Waiting for {url} to answer")
            terminal.press(CTRL_C)
            assert await terminal.end(within_s=10) == EXIT_INTERRUPTED


async def test_attach_tells_a_server_that_is_away_from_one_that_refuses(environment: dict[str, str]) -> None:
    environment["PUSHDESK_TOKEN"] = "not the token of any server at all"
    async with Terminal(*PUSHDESK, "attach", "http://127.0.0.1:9", env=environment) as terminal:
        assert await terminal.end(within_s=10) == EXIT_UNREACHABLE
        assert "\x1b" not in terminal.after_console
    async with (
        serving(env=environment) as server,
        Terminal(*PUSHDESK, "attach", server.url, env=environment) as terminal,
    ):
        assert await terminal.end(within_s=10) == EXIT_REFUSED
        assert "\x1b" not in terminal.after_console
