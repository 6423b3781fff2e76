"""What commands write: all of it or an error, and as much of it as can be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_DONE, EXIT_NO
from tests.programs import PUSHDESK, Finished, bare_environment, run

if TYPE_CHECKING:
    from pathlib import Path

FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path)


async def run_into(where: str, *arguments: str, environment: dict[str, str]) -> Finished:
    """Run a command with its results redirected or piped as a shell writes it."""
    return await run("sh", "-c", f'"$@" {where}', "sh", *PUSHDESK, *arguments, env=environment)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["send", "-h"],
        ["--version"],
        ["keys", "list"],
        ["keys", "export", "--yes"],
        ["tokens", "create", "backup", "--scope", "read"],
        ["enroll", "ada"],
        ["doctor", "--offline"],
    ],
)
async def test_results_that_find_no_room_are_an_error_in_a_line(
    arguments: list[str], environment: dict[str, str]
) -> None:
    finished = await run_into(">/dev/full", *arguments, environment=environment)
    assert (finished.code, finished.out) == (EXIT_NO, "")
    assert "Traceback" not in finished.err
    lines = [line for line in finished.err.splitlines() if "is not https" not in line]
    assert len(lines) == 1
    assert lines[0].endswith("No space left on device.")


async def test_a_closed_output_is_an_error_in_a_line(environment: dict[str, str]) -> None:
    finished = await run_into(">&-", "keys", "list", environment=environment)
    assert finished == (EXIT_NO, "", "pushdesk: The output is closed.\n")


@pytest.mark.parametrize("arguments", [["--help"], ["doctor", "--offline"]])
async def test_a_reader_that_has_gone_is_no_error(arguments: list[str], environment: dict[str, str]) -> None:
    finished = await run_into("| true", *arguments, environment=environment)
    assert finished == (EXIT_DONE, "", "")


async def test_signs_keep_their_meaning_where_only_ascii_is_shown(environment: dict[str, str]) -> None:
    environment["PYTHONIOENCODING"] = "ascii"
    seen = await run(*PUSHDESK, "doctor", "--offline", "--port", "x", env=environment)
    assert "  x --port must be a whole number" in seen.out
    assert "  ok " in seen.out
    assert "?" not in seen.out


async def test_joined_emoji_are_shown_as_they_are(environment: dict[str, str]) -> None:
    refused = await run(*PUSHDESK, "users", "remove", FAMILY, env=environment)
    assert refused.err.startswith(f"pushdesk: This removes {FAMILY}: ")
    made = await run(*PUSHDESK, "tokens", "create", FAMILY, "--scope", "read", env=environment)
    assert f"pushdesk: {FAMILY} (read) has the id " in made.err
    turned = await run(*PUSHDESK, "users", "remove", "a\u202eb", env=environment)
    assert "\u202e" not in turned.err
