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
    assert unknown == (
        EXIT_NO,
        "",
        "pushdesk: There is no such access token. pushdesk tokens list shows those there are.\n",
    )
    empty = await run(*PUSHDESK, "tokens", "list", env=environment)
    assert (empty.code, empty.out) == (EXIT_DONE, "")


async def test_a_use_is_listed_at_once(environment: dict[str, str]) -> None:
    async with serving(env=environment) as server:
        made = await run(*PUSHDESK, "tokens", "create", "watcher", "--scope", "read", env=environment)
        before = await run(*PUSHDESK, "tokens", "list", env=environment)
        assert "never used" in before.out
        watching = environment | {"PUSHDESK_TOKEN": made.out.strip()}
        listed = await run(*PUSHDESK, "tokens", "list", "--server", server.url, env=watching)
        assert "  used 2" in listed.out
        assert "never used" not in listed.out


async def test_a_token_is_revoked_by_itself_or_by_its_name(environment: dict[str, str]) -> None:
    made = [
        (await run(*PUSHDESK, "tokens", "create", name, "--scope", "read", env=environment)).out.strip()
        for name in ("one", "two", "twin", "twin")
    ]
    by_itself = await run(*PUSHDESK, "tokens", "revoke", made[0], env=environment)
    assert by_itself.out.startswith("one (")
    assert made[0] not in by_itself.out + by_itself.err
    again = await run(*PUSHDESK, "tokens", "revoke", made[0], env=environment)
    assert again.code == EXIT_NO
    assert made[0].rpartition("_")[2] not in again.err
    by_name = await run(*PUSHDESK, "tokens", "revoke", "two", env=environment)
    assert by_name.out.startswith(f"two ({made[1].split('_')[1]}) is revoked")
    twins = await run(*PUSHDESK, "tokens", "revoke", "twin", env=environment)
    assert twins.code == EXIT_USAGE
    assert twins.err.startswith("pushdesk: 2 access tokens have this name. Name the id: ")
    assert (await run(*PUSHDESK, "tokens", "revoke", "nobody", env=environment)).code == EXIT_NO
