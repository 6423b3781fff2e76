"""What a person mistypes: one line that names it and where to read on, for every command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_USAGE
from tests.programs import PUSHDESK, bare_environment, run, serving

if TYPE_CHECKING:
    from pathlib import Path

NOT_UTF8 = os.fsdecode(b"\xff")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "No such command 'nothing'. Try `pushdesk -h`."),
        (["tokens", "nothing"], "No such command 'nothing'. Try `pushdesk tokens -h`."),
        (
            ["tokens", "create", "x", "--scope", "foo"],
            "--scope: 'foo' is not one of 'notify', 'read', 'admin'. Try `pushdesk tokens create -h`.",
        ),
        (["send"], "Missing argument 'USER'. Try `pushdesk send -h`."),
        (["send", "--nothing"], "No such option: --nothing. Try `pushdesk send -h`."),
        (["send", "a", "b", "--wait", "x"], "--wait must be a valid number. Try `pushdesk send -h`."),
        (["send", "a", "b", "--wait", "31"], "--wait must be less than or equal to 30. Try `pushdesk send -h`."),
        (
            ["keys", "export", "--format", "x"],
            "--format: 'x' is not one of 'pem', 'raw'. Try `pushdesk keys export -h`.",
        ),
        (
            ["--data-dir", "/nowhere", "tokens", "list"],
            "--data-dir stands before the command. Write `pushdesk tokens COMMAND --data-dir ...`.",
        ),
        (["send", NOT_UTF8, "t"], "USER: not UTF-8. Try `pushdesk send -h`."),
        (["enroll", NOT_UTF8], "USER: not UTF-8. Try `pushdesk enroll -h`."),
        (["enroll", "ada", "--expires", NOT_UTF8], "--expires: not UTF-8. Try `pushdesk enroll -h`."),
        (["serve", "--allow-origin", NOT_UTF8], "--allow-origin: not UTF-8. Try `pushdesk serve -h`."),
        (["keys", "list", "--data-dir", NOT_UTF8], "--data-dir: not UTF-8. Try `pushdesk keys list -h`."),
    ],
)
async def test_what_is_mistyped_is_told_in_one_line(
    arguments: list[str], said: str, environment: dict[str, str]
) -> None:
    assert await run(*PUSHDESK, *arguments, env=environment) == (EXIT_USAGE, "", f"pushdesk: {said}\n")


@pytest.mark.parametrize("group", ["keys", "tokens", "users"])
async def test_a_group_without_a_command_shows_its_help(group: str, environment: dict[str, str]) -> None:
    finished = await run(*PUSHDESK, group, env=environment)
    assert (finished.code, finished.out) == (EXIT_USAGE, "")
    assert finished.err.startswith(f"Usage: pushdesk {group} ")
    assert "Commands:" in finished.err


async def test_what_is_not_utf_8_gets_to_no_server(environment: dict[str, str]) -> None:
    async with serving(env=environment):
        for arguments, name in (
            (["tokens", "create", NOT_UTF8, "--scope", "read"], "NAME"),
            (["tokens", "revoke", NOT_UTF8], "ID|NAME|TOKEN"),
            (["keys", "retire", NOT_UTF8, "--yes"], "ID"),
            (["keys", "rollback", NOT_UTF8, "--yes"], "ID"),
            (["keys", "export", NOT_UTF8, "--yes"], "ID"),
        ):
            finished = await run(*PUSHDESK, *arguments, env=environment)
            assert finished.code == EXIT_USAGE
            assert finished.err.startswith(f"pushdesk: {name}: not UTF-8.")
            assert finished.err.count("\n") == 1


async def test_a_file_may_be_called_anything(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / NOT_UTF8).write_text("nothing")
    finished = await run(*PUSHDESK, "keys", "import", NOT_UTF8, "--yes", env=environment, cwd=tmp_path)
    assert "not UTF-8" not in finished.err
    assert finished.err.count("\n") == 1


@pytest.mark.parametrize("group", [[], ["keys"], ["tokens"], ["users"]])
async def test_what_commands_do_is_told_in_whole_sentences(group: list[str], environment: dict[str, str]) -> None:
    shown = await run(*PUSHDESK, *group, "-h", env=environment | {"COLUMNS": "80"})
    lines = shown.out.partition("Commands:\n")[2].splitlines()
    assert len(lines) > 1
    assert all(line.endswith(".") and not line.endswith("...") for line in lines), lines
