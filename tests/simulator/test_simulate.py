"""The program with faults, and as the push services themselves before the real server."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.programs import PUSHDESK, bare_environment, run, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Simulation:
    """A `pushdesk simulate` that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._out = process.stdout

    async def line(self, part: str) -> str:
        """Wait for a line with a text; returns what comes after it."""
        async with asyncio.timeout(30):
            while part not in (line := (await self._out.readline()).decode()):
                assert line, f"the simulator ended without saying {part!r}"
        return line.partition(part)[2].strip()


@asynccontextmanager
async def simulating(home: Path, *options: str) -> AsyncIterator[Simulation]:
    process = await asyncio.create_subprocess_exec(
        *PUSHDESK, "simulate", "--port", "0", *options, env=bare_environment(home), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Simulation(process)
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fault", "snooze"], "There is no fault “snooze”, only a status from 200 to 599, "),
        (["--fault", "503", "--fault", "429@lots%"], "A percentage cannot be “lots”"),
        (["--fault", "tls-expired"], "--tls"),
        (["--fault", "503"] * 51, "at most 50"),
        (["--tls", "--personality", "other"], "fcm, mozilla, apple, wns"),
        (["--personality", "gcm"], "fcm"),
        (["--seed", "x"], "seed"),
        (["--change", "--browsers", "3"], "--change goes with --port and --fault only"),
        (["--change", "--tls"], "--change goes with --port and --fault only"),
    ],
)
async def test_wrong_usage_is_exit_code_2(tmp_path: Path, options: list[str], said: str) -> None:
    finished = await run(*PUSHDESK, "simulate", *options, env=bare_environment(tmp_path, COLUMNS="200"))

    assert (finished.code, finished.out) == (2, "")
    assert said in finished.err
    assert "Traceback" not in finished.err


async def test_faults_are_changed_while_it_runs(tmp_path: Path) -> None:
    env = bare_environment(tmp_path)
    async with simulating(tmp_path, "--fault", "silence") as simulation:
        port = (await simulation.line("listening on ")).rpartition(":")[2]
        change = (*PUSHDESK, "simulate", "--change", "--port", port)
        two = await run(*change, "--fault", "429:retry-after=30@10%", "--fault", "503@next=2", env=env)
        wrong = await run(*change, "--fault", "tls-cut", env=env)
        none = await run(*change, env=env)

    assert (two.code, two.out) == (0, "429:retry-after=30@10%\n503@next=2\n")
    assert (wrong.code, wrong.out, wrong.err) == (
        2,
        "",
        "pushdesk: tls-cut needs TLS: start the simulator with --tls.\n",
    )
    assert (none.code, none.out) == (0, "no faults\n")


async def test_faults_of_a_simulator_that_is_not_there_are_not_changed(tmp_path: Path, unused_port: int) -> None:
    port = str(unused_port)
    finished = await run(*PUSHDESK, "simulate", "--change", "--port", port, env=bare_environment(tmp_path))

    assert (finished.code, finished.out) == (3, "")
    assert f"No simulator answers at http://127.0.0.1:{port}." in finished.err


async def test_faults_of_what_is_no_simulator_are_not_changed(tmp_path: Path) -> None:
    env = bare_environment(tmp_path)
    async with serving(env=env) as server:
        port = server.url.rpartition(":")[2]
        finished = await run(*PUSHDESK, "simulate", "--change", "--port", port, env=env)

    assert finished.code != 0
    assert (finished.out, finished.err.count("\n")) == ("", 1)


async def test_the_real_server_takes_it_for_the_four_services_and_one_that_fails_is_none_of_the_others(
    tmp_path: Path, unused_port: int
) -> None:
    url = f"http://localhost:{unused_port}"
    async with simulating(tmp_path, "--tls", "--browsers", "8", "--server", url) as simulation:
        simulator = await simulation.line("listening on ")
        variables = (await simulation.line("start the server with: ")).removesuffix(" pushdesk").split()
        env = bare_environment(
            tmp_path,
            PUSHDESK_PUSH_SUBSCRIBER="mailto:ada@chat.example",
            **dict(variable.split("=", 1) for variable in variables),
        )
        async with serving("--port", str(unused_port), env=env):
            await simulation.line("8 virtual browsers are subscribed")
            before = await sent(env)
            faults = ("--fault", "429:retry-after=600@service=fcm", "--fault", "tls-expired@service=wns")
            port = simulator.rpartition(":")[2]
            await run(*PUSHDESK, "simulate", "--change", "--port", port, *faults, env=env)
            after = await sent(env)

    assert before == dict.fromkeys(("fcm", "mozilla", "apple", "wns"), "accepted")
    assert after == {"fcm": "throttled", "mozilla": "accepted", "apple": "accepted", "wns": "transient"}


async def sent(env: dict[str, str]) -> dict[str, str]:
    """Notify those who have browsers of all four services; returns what each service made of it."""
    outcomes = {}
    for user in ("ada", "cy", "eli"):
        finished = await run(*PUSHDESK, "send", user, "Hello", "--wait", "2", "--json", env=env)
        for delivery in json.loads(finished.out)["deliveries"]:
            outcomes[delivery["service"]] = delivery["outcome"]
    return outcomes


async def test_a_browser_that_was_removed_for_good_goes_on_without_a_subscription(
    tmp_path: Path, unused_port: int
) -> None:
    url = f"http://localhost:{unused_port}"
    options = ("--fault", "removed@browser=2", "--browsers", "3", "--server", url)
    async with simulating(tmp_path, *options) as simulation:
        origin = await simulation.line("listening on ")
        env = bare_environment(tmp_path)
        async with serving("--port", str(unused_port), "--allow-endpoint", origin, env=env):
            await simulation.line("3 virtual browsers are subscribed")
            await run(*PUSHDESK, "send", "bo", "Hello", "--json", env=env)
            finished = await run(*PUSHDESK, "send", "ada", "Hello", "--json", env=env)

    assert len(json.loads(finished.out)["deliveries"]) == 1
