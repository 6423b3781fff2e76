"""The command line as a person meets it: what it loads, what it refuses, and in how many lines."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from pushdesk import __version__
from pushdesk.cli.app import app
from pushdesk.config import SETTINGS
from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_USAGE
from tests.programs import PUSHDESK, bare_environment, run

HEAVY = {"textual", "sqlalchemy", "aiohttp", "aiosqlite", "alembic", "structlog", "rich", "cryptography"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path)


async def loaded_by(*arguments: str, environment: dict[str, str]) -> set[str]:
    """Run a command and return the packages that it loaded."""
    code = (
        "import json, sys\n"
        "from pushdesk.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    code = end.code or 0\n"
        "print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]))\n"
    )
    finished = await run(sys.executable, "-c", code, *arguments, env=environment)
    _code, modules = json.loads(finished.out.splitlines()[-1])
    return set(modules)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["send", "--help"]])
async def test_what_needs_no_server_loads_none(arguments: list[str], environment: dict[str, str]) -> None:
    assert not HEAVY & await loaded_by(*arguments, environment=environment)


async def test_sending_to_a_server_loads_neither_console_nor_database(environment: dict[str, str]) -> None:
    environment["PUSHDESK_TOKEN"] = "x" * 32
    arguments = ("send", "ada", "Hello", "--server", "http://127.0.0.1:9")
    assert not {"textual", "sqlalchemy", "cryptography"} & await loaded_by(*arguments, environment=environment)


async def test_the_version_is_told(environment: dict[str, str]) -> None:
    finished = await run(*PUSHDESK, "--version", env=environment)
    assert finished == (EXIT_DONE, f"pushdesk {__version__}\n", "")


async def test_without_a_terminal_it_says_to_use_serve(environment: dict[str, str]) -> None:
    finished = await run(*PUSHDESK, env=environment)
    line = "pushdesk: The console needs a terminal. Use `pushdesk serve` to run without a console.\n"
    assert finished == (EXIT_USAGE, "", line)
    assert not any(Path(environment["HOME"]).iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["serve", "--port", "http"], EXIT_USAGE, "--port must be a whole number from 0 to 65535."),
        (["serve", "--config", "/nowhere.toml"], EXIT_USAGE, "The configuration file /nowhere.toml does not exist."),
        (["serve", "--data-dir", "/proc/pushdesk"], EXIT_USAGE, "The data directory /proc/pushdesk cannot be used"),
        (["serve", "--host", "192.0.2.1"], EXIT_USAGE, "192.0.2.1 cannot be listened on"),
        (["serve", "--access-url", "localhost"], EXIT_USAGE, "--access-url must be an origin"),
        (
            ["serve", "--log-file", "/proc/pushdesk.log"],
            EXIT_USAGE,
            "The log file /proc/pushdesk.log cannot be written",
        ),
        (
            ["serve", "--data-dir", "a\tb"],
            EXIT_USAGE,
            "--data-dir must be a text in UTF-8 without control characters.",
        ),
        (["serve", "--log-level", "loud"], EXIT_USAGE, "--log-level must be one of debug, info, warning, error."),
        (
            ["serve", "--cache-ttl=-5s"],
            EXIT_USAGE,
            "--cache-ttl must be 0 or a duration from 1s to 24h, with its unit.",
        ),
        (["serve", "--cache-ttl", "-5s"], EXIT_USAGE, "--cache-ttl must be 0 or a duration from 1s to 24h"),
        (["serve", "--experiments-web-push", "maybe"], EXIT_USAGE, "--experiments-web-push must be true or false."),
        (["--port", "0", "serve"], EXIT_USAGE, "--port stands before the command. Write `pushdesk serve --port ...`."),
        (["--read-only", "serve"], EXIT_USAGE, "--read-only is for the console: `pushdesk --read-only` and"),
        (["--read-only", "tokens", "list"], EXIT_USAGE, "--read-only is for the console"),
        (
            ["--read-only", "attach", "http://localhost:1"],
            EXIT_USAGE,
            "--read-only stands before the command. Write `pushdesk attach --read-only ...`.",
        ),
        (["serve", "--read-only"], EXIT_USAGE, "No such option: --read-only"),
        (["send", "ada", "Hello", "--read-only"], EXIT_USAGE, "No such option: --read-only"),
        (["attach", "http://localhost:1"], EXIT_USAGE, "The console needs a terminal."),
        (["send", "ada", "Hello", "--server", "http://192.0.2.1"], EXIT_USAGE, "http://192.0.2.1 is plain http"),
        (["send", "ada", "Hello", "--server", "ftp://x"], EXIT_USAGE, "The server's URL must be an origin"),
        (["send", "ada", "Hello", "--server", "http://127.0.0.1:9"], EXIT_REFUSED, "There is no token"),
        (["send", "ada", "Hello", "--ttl", "0"], EXIT_USAGE, "ttl: must be a whole number of at least 1."),
        (
            ["send", "ada", "Hello", "--urgency", "now"],
            EXIT_USAGE,
            "urgency: must be one of very-low, low, normal, high.",
        ),
        (["send", "ada", os.fsdecode(b"\xff")], EXIT_USAGE, "TITLE: not UTF-8."),
        (["send", "a/b", "Hello"], EXIT_USAGE, "A user's id has no slash."),
        (["send", "a\x1b[2J", "Hello"], EXIT_USAGE, "A user's id has no control characters."),
        (["send", "ada", ""], EXIT_USAGE, "title: must not be empty."),
    ],
)
async def test_a_refusal_is_one_line_and_a_code(
    arguments: list[str], code: int, said: str, environment: dict[str, str]
) -> None:
    finished = await run(*PUSHDESK, *arguments, env=environment)
    assert finished.code == code, finished.err
    assert finished.out == ""
    assert finished.err.startswith(f"pushdesk: {said}")
    assert finished.err.count("\n") == 1


async def test_a_server_that_is_not_there_is_unreachable(environment: dict[str, str]) -> None:
    environment["PUSHDESK_TOKEN"] = "x" * 32
    finished = await run(*PUSHDESK, "send", "ada", "Hello", "--server", "http://127.0.0.1:9", env=environment)
    assert finished.code == EXIT_UNREACHABLE
    assert finished.err.count("\n") == 1


async def test_a_token_of_two_lines_is_refused_in_one(environment: dict[str, str]) -> None:
    environment["PUSHDESK_TOKEN"] = "x" * 32 + "\r\nX-Header: y"
    finished = await run(*PUSHDESK, "send", "ada", "Hello", "--server", "http://127.0.0.1:9", env=environment)
    line = "pushdesk: PUSHDESK_TOKEN must hold a token: one line of visible ASCII characters.\n"
    assert finished == (EXIT_USAGE, "", line)


async def test_json_is_what_was_sent_whatever_the_terminal_can_show(environment: dict[str, str]) -> None:
    title = "a\u00a0b\u2028c ö \N{PARTY POPPER} \x7f"
    sent = await run(*PUSHDESK, "send", "ada", title, "--json", env=environment | {"PYTHONIOENCODING": "ascii"})
    assert sent.code == EXIT_NO, sent.err
    assert json.loads(sent.out)["title"] == title
    assert sent.out.isascii()
    assert sent.out.count("\n") == 1


async def test_what_is_said_is_text_and_no_escape_sequence(environment: dict[str, str]) -> None:
    finished = await run(*PUSHDESK, "serve", "--config", "/\x1b[2J\n.toml", env=environment)
    assert finished.code == EXIT_USAGE
    assert "\x1b" not in finished.err
    assert finished.err.count("\n") == 1


def test_every_flag_that_is_a_setting_is_spelled_as_the_configuration_spells_it() -> None:
    known = {setting.flag for setting in SETTINGS} | {"--config"}
    callback = app.registered_callback
    assert callback is not None
    assert callback.callback is not None
    names = set(callback.callback.__kwdefaults__ or {}) - {"_version", "read_only"}
    assert {f"--{name.replace('_', '-')}" for name in names} <= known
