"""`pushdesk turn` as it runs: to the server, to an engine of its own, and what it refuses."""

from __future__ import annotations

import json
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_USAGE
from tests.chat_server import SUMMARY, ChatServer
from tests.programs import PUSHDESK, Finished, bare_environment, run, serving
from tests.push_service import PushService
from tests.subscribing import subscribe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.push_service import Device

TURN = ("--conversation", "c-1", "--title", "Parser", "--status")


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with PushService() as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path, service: PushService) -> dict[str, str]:
    return bare_environment(tmp_path, PUSHDESK_DATA_DIR=str(tmp_path / "data"), PUSHDESK_ALLOW_ENDPOINT=service.origin)


async def tell(environment: dict[str, str], *options: str) -> Finished:
    return await run(*PUSHDESK, "turn", "ada", *TURN, *options, env=environment)


async def shown(service: PushService, device: Device) -> dict[str, Any]:
    """Return what the only push shows."""
    (push,) = await service.wait_for_pushes(1)
    service.pushes.clear()
    notification: dict[str, Any] = device.decrypt(push.body)["notification"]
    return notification


async def test_a_turn_is_told_to_the_server_that_runs_and_else_sent_alone(
    environment: dict[str, str], service: PushService, tmp_path: Path
) -> None:
    phone = service.device("phone")
    (tmp_path / "text.md").write_text("# Done\n\nIt **works** 🎉.", encoding="utf-8")
    async with serving(env=environment) as server:
        await subscribe(server.url, "ada", phone)
        service.pushes.clear()
        told = await tell(environment, "finished", "--text-file", str(tmp_path / "text.md"), "--url", "/c/1")
        assert (told.code, told.err) == (EXIT_DONE, "")
        assert told.out.startswith("✓ accepted")
        notification = await shown(service, phone)
        assert (notification["title"], notification["body"]) == ("Parser", "Done: It works 🎉.")
        assert notification["navigate"] == f"{server.url}/c/1".replace("127.0.0.1", "localhost")
    # The server was killed: its lock is nobody's.
    told = await tell(environment, "needs-action", "--text", "Which **one**?", "--wait", "0")
    assert told.code == EXIT_DONE, told.err
    assert (await shown(service, phone))["body"] == "Which one?"
    piped = " ".join(["echo 'KeyError in *this*' |", *PUSHDESK, "turn ada --conversation c --title t --status failed"])
    told = await run("sh", "-c", f"{piped} --text-file - --error \"$(printf 'a\\nb')\"", env=environment)
    assert told.code == EXIT_DONE, told.err
    assert (await shown(service, phone))["body"] == "a b"
    told = await run("sh", "-c", f"{piped} --text-file -", env=environment)
    assert (await shown(service, phone))["body"] == "KeyError in this"


async def test_a_turn_for_nobody_is_a_no(environment: dict[str, str]) -> None:
    told = await tell(environment, "finished")
    assert (told.code, told.out) == (EXIT_NO, "")
    assert "nobody to send to" in told.err


async def test_a_sub_agents_turn_sends_nothing_and_says_so(environment: dict[str, str]) -> None:
    told = await tell(environment, "finished", "--parent", "run-1")
    assert told == (EXIT_DONE, "", "pushdesk: nothing is sent: it is the turn of a sub-agent.\n")
    told = await tell(environment, "finished", "--parent", "run-1", "--json")
    assert (told.code, json.loads(told.out)) == (EXIT_DONE, {"reason": "sub_agent"})


async def test_an_error_that_is_not_shown_is_said_to_be_none(environment: dict[str, str]) -> None:
    told = await tell(environment, "finished", "--error", "x")
    assert told.err.startswith("pushdesk: note: --error is only shown with --status failed.\n")
    assert "note:" not in (await tell(environment, "failed", "--error", "x")).err


async def test_a_repeat_is_the_first_dispatch(environment: dict[str, str]) -> None:
    async with serving(env=environment):
        told = [await tell(environment, "finished", "--json", "--idempotency-key", "k") for _ in range(2)]
        first, again = (json.loads(each.out) for each in told)
        assert (first["kind"], first["state"], first["id"]) == ("turn", "done", again["id"])
        other = await tell(environment, "failed", "--idempotency-key", "k")
    assert other.code == EXIT_USAGE
    assert "another body" in other.err


@pytest.mark.parametrize("runs", [True, False], ids=["server", "alone"])
async def test_the_configured_summariser_is_asked(
    environment: dict[str, str], service: PushService, *, runs: bool
) -> None:
    phone = service.device("phone")
    async with ChatServer() as chat:
        environment |= {"PUSHDESK_EXPERIMENTS_TURN_SUMMARIES": "true", "PUSHDESK_SUMMARY_BASE_URL": chat.url}
        environment["PUSHDESK_SUMMARY_API_KEY"] = "sk-secret"
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(serving(env=environment))
            await subscribe(server.url, "ada", phone)
            service.pushes.clear()
            if not runs:
                await stack.aclose()
            told = await tell(environment, "finished", "--text", "A text.", "--model", "m")
        assert told.code == EXIT_DONE, told.err
        assert (await shown(service, phone))["body"] == SUMMARY
        assert chat.headers[0]["Authorization"] == "Bearer sk-secret"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["done"], "--status must be finished, failed or needs-action."),
        (["finished", "--text", "a", "--text-file", "b"], "--text and --text-file cannot both be given."),
        (["finished", "--text-file", "/nowhere/x"], "--text-file: /nowhere/x cannot be read: No such file"),
        (["finished", "--text-file", "/"], "--text-file: / cannot be read: Is a directory."),
        (["finished", "--text-file", "/dev/zero"], "--text-file: more than 2097152 bytes."),
        (["finished", "--text", os.fsdecode(b"\xff")], "--text: not UTF-8."),
        (["finished", "--idempotency-key", "a b"], "--idempotency-key must be 1 to 255 visible ASCII characters."),
        (["finished", "--model", "m" * 201], "model: must have at most 200 characters."),
        (["finished", "--conversation", ""], "conversation: must not be empty."),
        (["finished", "--url", "javascript:alert(1)"], "These are no http or https addresses: url."),
    ],
)
async def test_what_cannot_be_used_is_refused_in_one_line(
    environment: dict[str, str], options: list[str], said: str
) -> None:
    told = await tell(environment, *options)
    assert (told.code, told.out) == (EXIT_USAGE, "")
    assert told.err.startswith(f"pushdesk: {said}"), told.err
    assert told.err.count("\n") == 1


async def test_a_text_that_is_not_utf_8_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\xff\xfe")
    told = await tell(environment, "finished", "--text-file", str(tmp_path / "text"))
    assert told.code == EXIT_USAGE
    assert "is not UTF-8" in told.err


async def test_a_turn_without_a_user_or_a_conversation_is_refused(environment: dict[str, str]) -> None:
    for arguments in (("turn", *TURN, "finished"), ("turn", "ada", "--title", "t", "--status", "failed")):
        assert (await run(*PUSHDESK, *arguments, env=environment)).code == EXIT_USAGE
    told = await run(*PUSHDESK, "turn", "a/b", *TURN, "finished", env=environment)
    assert told == (EXIT_USAGE, "", "pushdesk: A user's id has no slash.\n")
