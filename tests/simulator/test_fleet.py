"""The crowd of virtual browsers, and the program that runs it."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from pushdesk.simulator.fleet import personas, run_browsers
from pushdesk.simulator.personality import THE_FOUR, Personality
from tests.programs import PUSHDESK, bare_environment, run, serving
from tests.simulator.application import Application, encrypted
from tests.simulator.desk_server import DeskServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

    from pushdesk.simulator.service import Simulator
    from tests.programs import Finished
    from tests.simulator.wire import Clock

Line = tuple[str, str]


def test_personas_are_the_same_every_time_and_some_users_have_two_browsers() -> None:
    twenty = list(islice(personas(), 20))

    assert twenty == list(islice(personas(), 20))
    assert [persona.user for persona in twenty[:3]] == ["ada", "ada", "bo"]
    assert len({(persona.user, persona.browser) for persona in twenty}) == 20
    assert len({persona.user_agent for persona in twenty}) >= 5


def test_a_browser_is_at_its_own_push_service_if_that_is_there() -> None:
    own = {persona.browser: persona.service(THE_FOUR) for persona in islice(personas(), 20)}

    assert own["Firefox on Android"] is Personality.MOZILLA
    assert own["Chrome on Windows"] is Personality.FCM
    assert own["Safari on iPhone"] is Personality.APPLE
    assert own["Edge on Windows"] is Personality.WNS
    two = (Personality.APPLE, Personality.WNS)
    assert {persona.service(two) for persona in islice(personas(), 20) if "Chrome" in persona.browser} == {two[0]}


@asynccontextmanager
async def crowd(
    count: int, simulator: Simulator, server: str
) -> AsyncIterator[tuple[asyncio.Queue[Line], asyncio.Task[None]]]:
    lines: asyncio.Queue[Line] = asyncio.Queue()
    task = asyncio.create_task(
        run_browsers(
            count,
            push_service=simulator.url,
            server=server,
            say=lambda line: lines.put_nowait(("say", line)),
            complain=lambda line: lines.put_nowait(("complain", line)),
            key_again_after_s=0.05,
        )
    )
    try:
        yield lines, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_every_push_is_a_line_without_control_characters(simulator: Simulator, application: Application) -> None:
    async with DeskServer(application.public_key) as server, crowd(3, simulator, server.url) as (lines, _):
        assert await lines.get() == ("say", "3 virtual browsers are subscribed, for ada, bo")
        assert [user for _, user, _, _ in server.asked] == ["ada", "ada", "bo"]
        body = json.dumps(
            {"notification": {"title": "Red\x1b[31m\nalert [/x] ä", "body": "It is\n" + "long " * 99}}
        ).encode()
        await application.post(server.last["endpoint"], encrypted(body, server.last["keys"]))

        shown = (await lines.get())[1]
        assert ": Red [31m alert [/x] ä | It is long long " in shown
        assert shown.endswith("…")
        assert len(shown) < 300


async def test_a_rotated_key_is_followed_by_all_each_in_the_place_of_what_it_had(
    simulator: Simulator, application: Application, session: aiohttp.ClientSession, clock: Clock
) -> None:
    rotated = Application(session, clock)
    async with DeskServer(application.public_key) as server, crowd(3, simulator, server.url) as (lines, _):
        assert await lines.get() == ("say", "3 virtual browsers are subscribed, for ada, bo")
        before = [body["endpoint"] for _, _, _, body in server.asked]
        server.public_key = rotated.public_key
        again = "the server has another key: 3 virtual browsers have subscribed again"
        assert await lines.get() == ("say", again)
        after = [body for _, _, _, body in server.asked[3:]]
        assert [body["replaces"] for body in after] == before
        assert not {body["endpoint"] for body in after} & set(before)
        body = json.dumps({"notification": {"title": "With the new key"}}).encode()
        await rotated.post(server.last["endpoint"], encrypted(body, server.last["keys"]))
        assert (await lines.get())[1].endswith(": With the new key")


async def test_a_server_that_is_not_up_is_waited_for_and_said_once(
    simulator: Simulator, application: Application, unused_port: int
) -> None:
    server = DeskServer(application.public_key, unused_port)
    async with crowd(2, simulator, server.url) as (lines, _):
        first = await lines.get()
        assert first == ("complain", f"The server at {server.url} does not answer. Trying again.")
        async with server:
            assert await lines.get() == ("say", "2 virtual browsers are subscribed, for ada")


async def simulate_for(server: str, folder: Path) -> Finished:
    """Run two virtual browsers for a server that does not take them."""
    options = ("--port", "0", "--browsers", "2", "--server", server)
    return await run(*PUSHDESK, "simulate", *options, env=bare_environment(folder))


async def test_a_refusal_ends_the_program_with_one_line(tmp_path: Path, application: Application) -> None:
    async with DeskServer(application.public_key) as server:
        problem = {"code": "forbidden", "title": "No", "detail": "Not you.", "hint": "Ask."}
        server.refusal = (403, json.dumps(problem).encode(), "application/problem+json")
        finished = await simulate_for(server.url, tmp_path)

    assert (finished.code, finished.err) == (4, "pushdesk: Not you. Ask.\n")


async def test_a_server_with_push_off_is_one_line(tmp_path: Path) -> None:
    options = ("--port", "0", "--experiments-web-push", "false")
    async with serving(*options, env=bare_environment(tmp_path)) as server:
        finished = await simulate_for(server.url, tmp_path)

    hint = "Start it with web-push = true under [experiments], then try again."
    line = f"pushdesk: Web Push is switched off on the server at {server.url}. {hint}\n"
    assert (finished.code, finished.err) == (1, line)


async def test_a_server_that_does_not_send_there_is_one_line_with_the_option_that_has_it_do_so(
    tmp_path: Path, unused_port: int
) -> None:
    async with serving("--port", "0", env=bare_environment(tmp_path)) as server:
        local = server.url.replace("127.0.0.1", "localhost")
        options = ("--port", str(unused_port), "--browsers", "2", "--server", local)
        finished = await run(*PUSHDESK, "simulate", *options, env=bare_environment(tmp_path))

    hint = f"Start the server with --allow-endpoint http://127.0.0.1:{unused_port}, then try again."
    assert (finished.code, finished.err) == (2, f"pushdesk: The endpoint is not https. {hint}\n")


async def test_what_is_no_pushdesk_server_is_one_line(tmp_path: Path, simulator: Simulator) -> None:
    finished = await simulate_for(simulator.origin, tmp_path)

    line = f"pushdesk: {simulator.origin} answered 404 to GET /api/v1/vapid. Is it a pushdesk server, "
    assert (finished.code, finished.err.count("\n")) == (1, 1)
    assert finished.err.startswith(line)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--browsers", "2"], "--browsers needs a server"),
        (["--server", "http://localhost:8484"], "--server is for virtual browsers"),
        (["--browsers", "2", "--server", "localhost:8484"], "--server must be an origin"),
        (["--browsers", "2", "--server", "http://u:p@localhost"], "--server must be an origin"),
        (["--browsers", "2", "--server", "http://localhost:x"], "--server must be an origin"),
        (["--browsers", "2", "--server", "http://localhost:0"], "--server must be an origin"),
        (["--browsers", "-1"], "browsers"),
        (["--port", "99999"], "port"),
        (["--personality", "grumpy"], "mozilla"),
    ],
)
async def test_wrong_usage_is_exit_code_2(tmp_path: Path, options: list[str], said: str) -> None:
    finished = await run(*PUSHDESK, "simulate", *options, env=bare_environment(tmp_path))

    assert (finished.code, finished.out) == (2, "")
    assert said in finished.err
    assert "Traceback" not in finished.err


async def test_a_taken_port_is_one_line_and_exit_code_2(tmp_path: Path, simulator: Simulator) -> None:
    port = simulator.origin.rpartition(":")[2]
    finished = await run(*PUSHDESK, "simulate", "--port", port, env=bare_environment(tmp_path))

    assert (finished.code, finished.out, finished.err.count("\n")) == (2, "", 1)
    assert finished.err.startswith(f"pushdesk: Port {port} on 127.0.0.1 is taken by another program. ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)])
async def test_a_signal_ends_the_program_with_browsers_connected(
    tmp_path: Path, application: Application, number: signal.Signals, code: int
) -> None:
    async with DeskServer(application.public_key) as server:
        options = ("--port", "0", "--browsers", "3", "--server", server.url)
        process = await asyncio.create_subprocess_exec(
            *PUSHDESK, "simulate", *options, env=bare_environment(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        said = [(await process.stdout.readline()).decode() for _ in range(3)]
        process.send_signal(number)
        async with asyncio.timeout(10):
            assert await process.wait() == code

    url = said[0].removeprefix("pushdesk simulator: listening on ").strip()
    assert url.startswith("http://127.0.0.1:")
    assert f"--allow-endpoint {url}\n" in said[1]
    assert said[2] == "3 virtual browsers are subscribed, for ada, bo\n"
