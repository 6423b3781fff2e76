"""`pushdesk broadcast` and `pushdesk broadcasts`: the programs, through the server that runs, and by themselves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NO, EXIT_USAGE
from tests.programs import PUSHDESK, Finished, bare_environment, run, serving
from tests.push_service import PushService
from tests.subscribing import subscribe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path


@pytest.fixture
async def push_service() -> AsyncIterator[PushService]:
    async with PushService() as service:
        yield service


@pytest.fixture
def environment(tmp_path: Path, push_service: PushService) -> dict[str, str]:
    return bare_environment(tmp_path, PUSHDESK_ALLOW_ENDPOINT=push_service.origin)


async def subscribed(url: str, push_service: PushService) -> None:
    """Subscribe two devices of anna and one of bert, and forget their first pushes."""
    for user, name in (("anna", "a"), ("anna", "b"), ("bert", "c")):
        await subscribe(url, user, push_service.device(name))
    push_service.pushes.clear()


async def pushdesk(*command: str, env: Mapping[str, str]) -> Finished:
    return await run(*PUSHDESK, *command, env=env)


async def test_a_broadcast_is_planned_confirmed_sent_and_listed(
    environment: dict[str, str], push_service: PushService, tmp_path: Path
) -> None:
    nobody = await pushdesk("broadcast", "Hello", "--plan", env=environment)
    assert (nobody.code, nobody.err) == (EXIT_NO, "")
    async with serving(env=environment) as server:
        assert await pushdesk("broadcasts", "list", env=environment) == (
            EXIT_DONE,
            "",
            "pushdesk: there is no broadcast.\n",
        )
        await subscribed(server.url, push_service)
        (tmp_path / "users").write_bytes(b"anna\n\nbert\nzoe\nanna\n")
        planned = await pushdesk("broadcast", "Hello", "--users", str(tmp_path / "users"), "--plan", env=environment)
        assert (planned.code, planned.err) == (EXIT_DONE, "")
        assert planned.out.startswith("other            3 devices")
        assert "the list names 3 users\n1 user not known" in planned.out
        as_json = await pushdesk("broadcast", "Hello", "--plan", "--json", env=environment)
        assert (json.loads(as_json.out)["subscriptions"], json.loads(as_json.out)["users"]) == (3, None)

        asked = await pushdesk("broadcast", "Hello", env=environment)
        assert (asked.code, asked.out) == (EXIT_USAGE, "")
        assert "“Hello” goes to 3 devices of all users. What was sent cannot be taken back. Confirm with" in asked.err
        assert not push_service.pushes

        refused = await typing("no", "broadcast", "Hello", env=environment)
        assert (refused.code, refused.out) == (EXIT_USAGE, "")
        assert refused.err.endswith("That was something else: nothing was done.\n")
        assert not push_service.pushes
        sent = await typing("broadcast", "broadcast", "Hello", env=environment)
        assert (sent.code, sent.out) == (EXIT_DONE, "✓ accepted    3\n")
        assert "type broadcast to confirm:\n" in sent.err
        assert "3 of 3 devices, 100 %, done\n" in sent.err
        assert sorted(push.path for push in push_service.pushes) == ["/a", "/b", "/c"]
        some = await pushdesk(
            "broadcast", "More", "--users", str(tmp_path / "users"), "--yes", "--json", env=environment
        )
        assert (some.code, json.loads(some.out)["counts"]) == (EXIT_DONE, {"accepted": 3})
        listed = await pushdesk("broadcasts", "list", env=environment)
        assert [line.rpartition("  ")[2] for line in listed.out.splitlines()] == ["More", "Hello"]
        assert "done       " in listed.out
        assert "3 of 3  3 accepted" in listed.out
        found = json.loads((await pushdesk("broadcasts", "list", "--limit", "1", "--json", env=environment)).out)
        assert [(one["title"], one["state"], one["users"]) for one in found] == [("More", "done", 3)]


async def test_a_file_with_bad_lines_is_refused_unless_they_are_to_be_skipped(
    environment: dict[str, str], push_service: PushService, tmp_path: Path
) -> None:
    users = tmp_path / "users"
    users.write_bytes(b"anna\na/b\nbert\n\xff\n")
    async with serving(env=environment) as server:
        await subscribed(server.url, push_service)
        refused = await pushdesk("broadcast", "Hello", "--users", str(users), "--yes", env=environment)
        assert (refused.code, refused.out, refused.err.count("\n")) == (EXIT_USAGE, "", 1)
        assert "2 of the list cannot be users' ids, and nothing was sent." in refused.err
        assert "line 2: A user's id has no slash. line 4: It is not UTF-8." in refused.err
        assert "--skip-bad" in refused.err
        assert not push_service.pushes
        sent = await pushdesk("broadcast", "Hello", "--users", str(users), "--skip-bad", "--yes", env=environment)
        assert (sent.code, sent.out) == (EXIT_DONE, "✓ accepted    3\n")
        assert "skipped: line 2" in sent.err


async def test_without_a_server_it_sends_to_the_end_by_itself(
    environment: dict[str, str], push_service: PushService
) -> None:
    async with serving(env=environment) as server:
        await subscribed(server.url, push_service)
        assert await server.end(signal.SIGTERM) == EXIT_DONE
    sent = await pushdesk("broadcast", "Hello", "--yes", env=environment)
    assert (sent.code, sent.out) == (EXIT_DONE, "✓ accepted    3\n")
    assert len(push_service.pushes) == 3


async def test_left_by_ctrl_c_it_is_gone_on_with_or_aborted(
    environment: dict[str, str], push_service: PushService
) -> None:
    async with serving(env=environment) as server:
        await subscribed(server.url, push_service)
        assert (await pushdesk("services", "pause", "other", env=environment)).code == EXIT_DONE
        with_server = await left("broadcast", "One", "--yes", env=environment)
        assert "The server goes on with it." in with_server
        assert await server.end(signal.SIGTERM) == EXIT_DONE
    alone = await left("broadcast", "Two", "--yes", env=environment)
    assert "0 of 3 devices were got to. The next server to start here goes on with it." in alone
    id_ = alone.partition("broadcasts abort ")[2].partition(" ")[0]
    paused = await pushdesk("broadcasts", "pause", id_, env=environment)
    assert (paused.code, paused.out.split()[:2]) == (EXIT_DONE, [id_, "paused"])
    resumed = await pushdesk("broadcasts", "resume", id_, "--json", env=environment)
    assert json.loads(resumed.out)["state"] == "sending"
    aborted = await pushdesk("broadcasts", "abort", id_, env=environment)
    assert (aborted.code, aborted.out.split()[:2]) == (EXIT_DONE, [id_, "cancelled"])
    again = await pushdesk("broadcasts", "abort", id_, env=environment)
    assert (again.code, again.out, again.err.count("\n")) == (EXIT_NO, "", 1)
    assert not push_service.pushes
    async with serving(env=environment):
        assert (await pushdesk("services", "resume", "other", env=environment)).code == EXIT_DONE
        async with asyncio.timeout(20):
            assert len(await push_service.wait_for_pushes(3)) == 3


async def left(*command: str, env: Mapping[str, str]) -> str:
    """Run a command until it has accepted, press ctrl+c, and return what it said."""
    process = await asyncio.create_subprocess_exec(
        *PUSHDESK,
        *command,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(30):
        while " of 3 devices" not in said:
            line = (await process.stderr.readline()).decode()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        _, rest = await process.communicate()
    assert process.returncode == EXIT_INTERRUPTED, said + rest.decode()
    return said + rest.decode()


async def typing(word: str, *command: str, env: Mapping[str, str]) -> Finished:
    """Run a command at a terminal at which a word is typed."""
    ours, theirs = os.openpty()
    try:
        os.write(ours, f"{word}\n".encode())
        process = await asyncio.create_subprocess_exec(
            *PUSHDESK, *command, env=env, stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        return Finished(process.returncode or 0, out.decode(), err.decode())
    finally:
        os.close(ours)
        os.close(theirs)
