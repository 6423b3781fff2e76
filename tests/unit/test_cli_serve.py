"""`pushdesk serve` and `pushdesk send` as they run: one server per data directory, signals, what is sent and said."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import stat
from asyncio.subprocess import PIPE
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest

from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NO, EXIT_REFUSED, EXIT_USAGE
from tests.programs import PUSHDESK, bare_environment, run, serving
from tests.push_service import PushService
from tests.subscribing import subscribe

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def environment(tmp_path: Path, data: Path) -> dict[str, str]:
    return bare_environment(tmp_path, PUSHDESK_DATA_DIR=str(data))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, EXIT_DONE), (signal.SIGHUP, EXIT_DONE), (signal.SIGINT, EXIT_INTERRUPTED)],
)
async def test_an_idle_server_with_a_reader_of_events_ends(
    number: signal.Signals, code: int, environment: dict[str, str], data: Path
) -> None:
    async with serving(env=environment) as server:
        token = (data / "admin.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        # An event stream that nobody reads must not hold it up.
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(f"{server.url}/api/v1/admin/events"),
        ):
            assert await server.end(number, within_s=10) == code
    assert "waiting" not in await server.errors()


async def test_localhost_is_reached_over_both_protocols_and_the_url_has_the_real_port(
    environment: dict[str, str],
) -> None:
    async with serving(env=environment) as server, aiohttp.ClientSession() as session:
        address = urlsplit(server.url)
        assert (address.scheme, address.hostname) == ("http", "localhost")
        for host in ("127.0.0.1", "[::1]"):
            async with session.get(f"http://{host}:{address.port}/healthz") as answer:
                assert answer.status == 200


async def test_all_that_a_server_writes_is_for_its_owner_only(environment: dict[str, str], data: Path) -> None:
    async with serving(env=environment):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.rglob("*")}
    assert {"server.lock", "admin.token", "pushdesk.db", "pushdesk.log"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


async def test_a_second_server_names_the_first_and_ends(environment: dict[str, str], data: Path) -> None:
    async with serving(env=environment) as server:
        second = await run(*PUSHDESK, "serve", "--port", "0", env=environment)
    line = (
        f"pushdesk: {data} has a server already: process {server.pid}, listening at {server.url}. "
        f"Look at it with `pushdesk attach --data-dir {data} {server.url}`.\n"
    )
    assert second == (EXIT_USAGE, "", line)


async def test_a_taken_port_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    async with serving(env=environment) as server:
        port = urlsplit(server.url).port
        other = ("--data-dir", str(tmp_path / "other"))
        second = await run(*PUSHDESK, "serve", "--port", str(port), *other, env=environment)
    hint = "Choose one with --port, or a free one with 0."
    line = f"pushdesk: Port {port} on localhost is taken by another program. {hint}\n"
    assert second == (EXIT_USAGE, "", line)


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["send", "ada", "Hello"]])
async def test_a_variable_that_is_almost_a_setting_is_one_line(
    command: list[str], environment: dict[str, str], data: Path
) -> None:
    finished = await run(*PUSHDESK, *command, env=environment | {"PUSHDESK_EXPERIMENTS_WEBPUSH": "false"})
    hint = "Did you mean `PUSHDESK_EXPERIMENTS_WEB_PUSH`?"
    line = f"pushdesk: PUSHDESK_EXPERIMENTS_WEBPUSH is no setting of pushdesk's. {hint}\n"
    assert finished == (EXIT_USAGE, "", line)
    assert not data.exists()


async def test_a_broken_database_is_one_line_and_is_left_alone(environment: dict[str, str], data: Path) -> None:
    data.mkdir(mode=0o700)
    (data / "pushdesk.db").write_bytes(b"this is no database" * 100)
    finished = await run(*PUSHDESK, "serve", "--port", "0", env=environment)
    assert finished.code == EXIT_USAGE
    assert finished.err.startswith("pushdesk: ")
    assert finished.err.count("\n") == 1
    assert (data / "pushdesk.db").read_bytes() == b"this is no database" * 100


async def test_warnings_are_told_at_start(environment: dict[str, str]) -> None:
    async with serving(env=environment) as server:
        await server.end(signal.SIGTERM)
    warnings = [line for line in (await server.errors()).splitlines() if line.startswith("pushdesk: warning: ")]
    assert any("Apple" in line for line in warnings)
    assert any("https" in line for line in warnings)


async def test_a_good_subscriber_and_https_are_not_warned_of(environment: dict[str, str]) -> None:
    environment["PUSHDESK_PUSH_SUBSCRIBER"] = "mailto:ops@example.com"
    environment["PUSHDESK_ACCESS_URL"] = "https://push.example.com"
    async with serving(env=environment) as server:
        await server.end(signal.SIGTERM)
    assert "warning" not in await server.errors()


async def test_send_goes_through_the_running_server_and_tells_each_device(environment: dict[str, str]) -> None:
    async with PushService() as push_service:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = push_service.origin
        async with serving(env=environment) as server:
            phone = push_service.device("phone")
            await subscribe(server.url, "ada", phone)
            await subscribe(server.url, "ada", push_service.device("lost"))
            push_service.answer("lost", 410)
            sent = await run(*PUSHDESK, "send", "ada", "Hello", "there", "--url", "/news", env=environment)
            lines = sorted(sent.out.splitlines())
            assert (sent.code, sent.err) == (EXIT_DONE, "")
            assert [line.split("  ")[0] for line in lines] == ["✓ accepted", "✗ gone"]
            assert "(201)" in lines[0]
            assert "(410)" in lines[1]
            shown = phone.decrypt([push.body for push in push_service.pushes if push.path == "/phone"][-1])
            assert (shown["notification"]["title"], shown["notification"]["body"]) == ("Hello", "there")
            assert shown["notification"]["navigate"].endswith("/news")

            again = await run(*PUSHDESK, "send", "ada", "Hello", "--json", env=environment)
            assert again.code == EXIT_DONE
            assert json.loads(again.out)["counts"] == {"accepted": 1}


async def test_send_without_a_server_runs_the_engine_itself(environment: dict[str, str], data: Path) -> None:
    async with PushService() as push_service:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = push_service.origin
        phone = push_service.device("phone")
        async with serving(env=environment) as server:
            await subscribe(server.url, "ada", phone)
            assert await server.end(signal.SIGTERM) == EXIT_DONE
        before = len(push_service.pushes)
        sent = await run(*PUSHDESK, "send", "ada", "From a script", env=environment)
        assert sent.code == EXIT_DONE, sent.err
        assert sent.out.startswith("✓ accepted")
        (push,) = push_service.pushes[before:]
        assert phone.decrypt(push.body)["notification"]["title"] == "From a script"
    assert (data / "server.lock").read_bytes() == b""


async def test_send_without_a_server_sends_even_if_it_waits_for_nothing(environment: dict[str, str]) -> None:
    async with PushService() as push_service:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = push_service.origin
        async with serving(env=environment) as server:
            await subscribe(server.url, "ada", push_service.device("phone"))
            assert await server.end(signal.SIGTERM) == EXIT_DONE
        before = len(push_service.pushes)
        sent = await run(*PUSHDESK, "send", "ada", "Hello", "--wait", "0", env=environment)
        assert (sent.code, sent.err) == (EXIT_DONE, "")
        assert sent.out.startswith("✓ accepted")
        assert len(push_service.pushes) == before + 1

        push_service.answer("phone", 503)
        sent = await run(*PUSHDESK, "send", "ada", "Hello", "--wait", "0", env=environment)
        assert sent.code == EXIT_DONE
        assert sent.out.startswith("↻ will retry")
        assert sent.err.endswith(" is accepted and not settled yet. The next server to start here goes on with it.\n")


async def test_send_without_a_server_waits_for_what_it_took_up(environment: dict[str, str], data: Path) -> None:
    async with PushService() as push_service:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = push_service.origin
        async with serving(env=environment) as server:
            for user in ("ada", "bo"):
                await subscribe(server.url, user, push_service.device(user))
            push_service.hold = asyncio.Event()
            before = len(push_service.pushes)
            await run(*PUSHDESK, "send", "ada", "Left over", "--wait", "0", env=environment)
            await push_service.wait_for_pushes(before + 1)
            await server.end(signal.SIGKILL)

        sending = await asyncio.create_subprocess_exec(
            *PUSHDESK, "send", "bo", "Hello", "--wait", "0", env=environment, stdout=PIPE, stderr=PIPE
        )
        assert sending.stderr is not None
        await push_service.wait_for_pushes(before + 3)
        async with asyncio.timeout(20):
            line = (await sending.stderr.readline()).decode()
            assert line.startswith("pushdesk: waiting for 2 deliveries under way")
            push_service.hold.set()
            out, err = await sending.communicate()
        assert (sending.returncode, err) == (EXIT_DONE, b"")
        assert out.decode().startswith("✓ accepted")
        with closing(sqlite3.connect(data / "pushdesk.db")) as database:
            outcomes = database.execute("SELECT DISTINCT outcome FROM deliveries").fetchall()
        assert outcomes == [("accepted",)]
        assert len(push_service.pushes) == before + 3


async def test_nobody_to_send_to_is_a_no(environment: dict[str, str]) -> None:
    alone = await run(*PUSHDESK, "send", "ada", "Hello", env=environment)
    assert (alone.code, alone.out) == (EXIT_NO, "")
    assert alone.err == "pushdesk: nobody to send to: ada has no device that gets notifications.\n"
    async with serving(env=environment):
        through = await run(*PUSHDESK, "send", "ada", "Hello", env=environment)
    assert through == alone


async def test_nobody_took_it_is_a_no(environment: dict[str, str]) -> None:
    async with PushService() as push_service:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = push_service.origin
        async with serving(env=environment) as server:
            await subscribe(server.url, "ada", push_service.device("phone"))
            push_service.answer("phone", 410)
            sent = await run(*PUSHDESK, "send", "ada", "Hello", env=environment)
    assert sent.code == EXIT_NO
    assert sent.out.startswith("✗ gone")


async def test_a_refused_token_is_told_by_its_exit_code(environment: dict[str, str]) -> None:
    environment["PUSHDESK_TOKEN"] = "not the token of this server at all"
    async with serving(env=environment):
        sent = await run(*PUSHDESK, "send", "ada", "Hello", env=environment)
    assert sent.code == EXIT_REFUSED
    assert sent.err.count("\n") == 1


async def send_and_hold(url: str, push_service: PushService, environment: dict[str, str]) -> asyncio.Event:
    """Have a notification under way that the push service does not answer; returns what makes it answer."""
    await subscribe(url, "ada", push_service.device("phone"))
    push_service.hold = asyncio.Event()
    before = len(push_service.pushes)
    await run(*PUSHDESK, "send", "ada", "Hello", "--wait", "0", env=environment)
    await push_service.wait_for_pushes(before + 1)
    return push_service.hold


async def test_what_is_in_flight_is_waited_for_and_said(environment: dict[str, str]) -> None:
    async with PushService() as push_service:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = push_service.origin
        async with serving(env=environment) as server:
            hold = await send_and_hold(server.url, push_service, environment)
            ending = asyncio.create_task(server.end(signal.SIGTERM))
            assert "waiting for 1 delivery under way" in await server.error_line("waiting for")
            assert not ending.done()
            hold.set()
            assert await ending == EXIT_DONE


async def test_a_second_signal_ends_at_once_and_the_next_start_sends_what_was_left(
    environment: dict[str, str], data: Path
) -> None:
    async with PushService() as push_service:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = push_service.origin
        async with serving(env=environment) as server:
            hold = await send_and_hold(server.url, push_service, environment)
            sent = len(push_service.pushes)
            first = asyncio.create_task(server.end(signal.SIGTERM))
            await server.error_line("waiting for")
            assert await server.end(signal.SIGTERM, within_s=10) == 128 + signal.SIGTERM
            await first
            hold.set()
        with closing(sqlite3.connect(data / "pushdesk.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        async with serving(env=environment):
            await push_service.wait_for_pushes(sent + 1)


async def test_a_server_under_nohup_ignores_the_hangup(environment: dict[str, str]) -> None:
    async with serving(env=environment, program=("nohup", *PUSHDESK)) as server, aiohttp.ClientSession() as session:
        server.send(signal.SIGHUP)
        async with session.get(f"{server.url}/healthz") as answer:
            assert answer.status == 200
        assert await server.end(signal.SIGTERM) == EXIT_DONE
