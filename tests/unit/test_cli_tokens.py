"""`pushdesk tokens`: through the server that runs, and by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_REFUSED, EXIT_USAGE
from tests.programs import PUSHDESK, bare_environment, run, serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path)


async def test_a_token_is_made_used_listed_and_revoked_while_the_server_runs(environment: dict[str, str]) -> None:
    async with serving(env=environment) as server:
        made = await run(*PUSHDESK, "tokens", "create", "watcher", "--scope", "read", env=environment)
        assert made.code == EXIT_DONE
        token = made.out.strip()
        name = token.split("_")[1]
        assert f"watcher (read) has the id {name}." in made.err

        watching = environment | {"PUSHDESK_TOKEN": token}
        listed = await run(*PUSHDESK, "tokens", "list", "--json", "--server", server.url, env=watching)
        assert [(one["id"], one["scopes"]) for one in json.loads(listed.out)] == [(name, ["read"])]
        refused = await run(
            *PUSHDESK, "tokens", "create", "more", "--scope", "admin", "--server", server.url, env=watching
        )
        assert refused.code == EXIT_REFUSED
        assert refused.err.startswith("pushdesk: The token does not allow this: it needs the scope admin.")

        revoked = await run(*PUSHDESK, "tokens", "revoke", name, env=environment)
        assert revoked.out == f"watcher ({name}) is revoked: whoever shows it is refused from now on.\n"
        again = await run(*PUSHDESK, "tokens", "list", "--server", server.url, env=watching)
        assert again.code == EXIT_REFUSED
        assert "The token is not valid." in again.err


async def test_without_a_server_tokens_are_made_for_the_next_one(environment: dict[str, str]) -> None:
    made = await run(*PUSHDESK, "tokens", "create", "watcher", "--scope", "read", "--json", env=environment)
    token = json.loads(made.out)["token"]
    async with serving(env=environment) as server:
        listed = await run(
            *PUSHDESK, "tokens", "list", "--server", server.url, env=environment | {"PUSHDESK_TOKEN": token}
        )
        assert "read" in listed.out
        assert "watcher" in listed.out


async def test_what_cannot_be_is_refused_in_one_line(environment: dict[str, str]) -> None:
    unnamed = await run(*PUSHDESK, "tokens", "create", " ", "--scope", "read", env=environment)
    assert (unnamed.code, unnamed.err.count("\n")) == (EXIT_USAGE, 1)
    unknown = await run(*PUSHDESK, "tokens", "revoke", "0" * 26, env=environment)
    assert unknown == (EXIT_NO, "", "pushdesk: There is no such access token. List them for their ids.\n")
    empty = await run(*PUSHDESK, "tokens", "list", env=environment)
    assert (empty.code, empty.out) == (EXIT_DONE, "")
