"""`pushdesk enroll` and `pushdesk users`: through the server that runs, by themselves, and what they refuse."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_USAGE
from tests.programs import PUSHDESK, Finished, bare_environment, run, serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path)


async def redeem(url: str, code: str) -> Any:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/api/v1/enrollments", json={"code": code}) as it:
        return await it.json()


def printed(finished: Finished) -> dict[str, str]:
    """Return what `enroll` printed: a word and what it is, on each line."""
    assert finished.code == EXIT_DONE, finished.err
    return {word: rest.strip() for word, _, rest in (line.partition(" ") for line in finished.out.splitlines())}


async def test_what_was_printed_lets_a_browser_in(environment: dict[str, str]) -> None:
    async with serving(env=environment) as server:
        made = await run(*PUSHDESK, "enroll", "ada", env=environment)
        shown = printed(made)
        assert list(shown) == ["link", "code", "until"]
        assert shown["link"].endswith(f"/enroll#{shown['code']}")
        assert shown["until"].endswith(" UTC, for one browser")
        assert made.err.startswith("pushdesk: the link is not https: it works on the server's own machine only.")
        assert (await redeem(server.url, shown["code"]))["user"] == "ada"
        assert (await redeem(server.url, shown["code"]))["code"] == "forbidden"


async def test_without_a_server_invitations_are_made_for_the_next_one(environment: dict[str, str]) -> None:
    made = await run(*PUSHDESK, "enroll", "ada", "--expires", "1h", "--json", env=environment)
    invitation = json.loads(made.out)
    assert set(invitation) == {"code", "url", "expires_at"}
    assert invitation["url"] == f"http://localhost:8484/enroll#{invitation['code']}"
    async with serving(env=environment) as server:
        assert (await redeem(server.url, invitation["code"]))["user"] == "ada"
        removed = await run(*PUSHDESK, "users", "remove", "ada", "--yes", env=environment)
        assert removed == (EXIT_DONE, "ada is removed, with everything of theirs.\n", "")
        assert (await redeem(server.url, invitation["code"]))["code"] == "forbidden"


async def test_a_user_is_removed_without_a_server_too(environment: dict[str, str]) -> None:
    printed(await run(*PUSHDESK, "enroll", "ada", env=environment))
    assert (await run(*PUSHDESK, "users", "remove", "ada", "--yes", env=environment)).code == EXIT_DONE
    again = await run(*PUSHDESK, "users", "remove", "ada", "--yes", env=environment)
    assert again == (EXIT_NO, "", "pushdesk: There is no user 'ada'. Ids are case-sensitive.\n")


async def test_nobody_is_removed_where_nobody_can_be_asked(environment: dict[str, str]) -> None:
    printed(await run(*PUSHDESK, "enroll", "ada", env=environment))
    refused = await run(*PUSHDESK, "users", "remove", "ada", env=environment)
    assert (refused.code, refused.out) == (EXIT_USAGE, "")
    assert refused.err.endswith("Confirm with --yes.\n")
    assert (await run(*PUSHDESK, "users", "remove", "ada", "--yes", env=environment)).code == EXIT_DONE


async def test_users_are_listed_a_part_of_them_too(environment: dict[str, str]) -> None:
    none = await run(*PUSHDESK, "users", "list", env=environment)
    assert none == (EXIT_DONE, "", "pushdesk: there are no users yet.\n")
    for user in ("ada", "bob"):
        printed(await run(*PUSHDESK, "enroll", user, env=environment))
    listed = await run(*PUSHDESK, "users", "list", env=environment)
    assert sorted(listed.out.splitlines()) == ["ada  0 devices  never sent to", "bob  0 devices  never sent to"]
    async with serving(env=environment):
        some = await run(*PUSHDESK, "users", "list", "--filter", "bo", "--json", env=environment)
        assert [(one["id"], one["subscriptions"]) for one in json.loads(some.out)] == [("bob", 0)]
        nobody = await run(*PUSHDESK, "users", "list", "--filter", "zoe", env=environment)
        assert nobody == (EXIT_DONE, "", "pushdesk: there are no such users.\n")
        removed = await run(*PUSHDESK, "users", "remove", "bob", "--yes", "--json", env=environment)
        assert json.loads(removed.out) == {"removed": "bob"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["enroll", "ada", "--expires", "59s"], EXIT_USAGE, "--expires must be a duration from 60s to 30d"),
        (["enroll", "ada", "--expires", "31d"], EXIT_USAGE, "--expires must be a duration from 60s to 30d"),
        (["enroll", "ada", "--expires", "soon"], EXIT_USAGE, "--expires must be a duration from 60s to 30d"),
        (["enroll", "ada", "--expires", os.fsdecode(b"\xff")], EXIT_USAGE, "--expires: not UTF-8."),
        (["enroll", "a/b"], EXIT_USAGE, "A user's id has no slash."),
        (["enroll", ""], EXIT_USAGE, "A user's id has 1 to 128 characters."),
        (["enroll", os.fsdecode(b"\xff")], EXIT_USAGE, "USER: not UTF-8."),
        (["enroll", "ada", "--server", "http://192.0.2.1"], EXIT_USAGE, "http://192.0.2.1 is plain http"),
        (["enroll", "ada", "--server", "http://127.0.0.1:9"], EXIT_REFUSED, "There is no token"),
        (["users", "remove", "a/b"], EXIT_USAGE, "A user's id has no slash."),
        (["users", "remove", "me", "--yes"], EXIT_USAGE, "A user's id cannot be “me”, which is reserved."),
    ],
)
async def test_a_refusal_is_one_line_and_a_code(
    arguments: list[str], code: int, said: str, environment: dict[str, str]
) -> None:
    finished = await run(*PUSHDESK, *arguments, env=environment)
    assert (finished.code, finished.out) == (code, ""), finished.err
    assert finished.err.startswith(f"pushdesk: {said}")
    assert finished.err.count("\n") == 1


@pytest.mark.parametrize("command", [["enroll", "ada"], ["users", "remove", "ada", "--yes"]])
async def test_a_server_that_is_not_there_is_unreachable(command: list[str], environment: dict[str, str]) -> None:
    environment["PUSHDESK_TOKEN"] = "x" * 32
    finished = await run(*PUSHDESK, *command, "--server", "http://127.0.0.1:9", env=environment)
    assert (finished.code, finished.err.count("\n")) == (EXIT_UNREACHABLE, 1)
