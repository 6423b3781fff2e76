"""What commands load: what a command does not need, it does not import."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_USAGE
from tests.programs import bare_environment, run, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TELLING: Final = (
    "import json, os, sys\n"
    "from pushdesk.cli.app import main\n"
    "try:\n    main()\n"
    "except SystemExit as end:\n    code = end.code or 0\n"
    "with open(os.environ['TOLD'], 'w') as told:\n    json.dump([code, sorted(sys.modules)], told)\n"
)
"""Runs a command, then writes down its exit code and every module that was loaded."""

CONSOLE: Final = {"textual", "rich", "pygments", "pushdesk.console"}
DATABASE: Final = {"sqlalchemy", "alembic", "pushdesk.storage"}
SENDING: Final = {"cryptography", "py_vapid", "http_ece", "httptools", "pushdesk.webpush", "pushdesk.sender"}
SERVER: Final = {"aiohttp.web", "prometheus_client", "structlog", "pushdesk.engine", "pushdesk.server.app"}
OTHERS: Final = {"markdown_it", "regex", "pushdesk.doctor", "pushdesk.simulator.service", "pushdesk.scaletest"}
CLIENT: Final = {"aiohttp", "asyncio", "ssl", "msgspec", "pydantic", "platformdirs"}
ALL: Final = CONSOLE | DATABASE | SENDING | SERVER | OTHERS

OVER_HTTP: Final = {
    "send ada Hello": EXIT_NO,
    "broadcast Hello --plan": EXIT_NO,
    "turn ada --conversation c --title Hello --status finished": EXIT_NO,
    "why ada": EXIT_NO,
    "cancel nothing": EXIT_NO,
    "users list": EXIT_DONE,
    "keys list": EXIT_DONE,
    "tokens list": EXIT_DONE,
    "services list": EXIT_DONE,
    "subscriptions list": EXIT_DONE,
    "broadcasts list": EXIT_DONE,
}
"""Commands that are done by a server, and how they end where nobody has a device."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path, TOLD=str(tmp_path / "told.json"))


def told(environment: dict[str, str]) -> tuple[int, set[str]]:
    code, modules = json.loads(Path(environment["TOLD"]).read_text(encoding="utf-8"))
    return code, {part for name in modules for part in above(name)}


def above(name: str) -> Iterator[str]:
    """Yield a module and the packages that it is in."""
    while name:
        yield name
        name = name.rpartition(".")[0]


async def loaded_by(*arguments: str, environment: dict[str, str]) -> tuple[int, set[str]]:
    await run(sys.executable, "-c", TELLING, *arguments, env=environment)
    return told(environment)


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        ("--version", ALL | CLIENT),
        ("--help", ALL | {"aiohttp"}),
        ("serve --help", ALL | {"aiohttp"}),
        ("send --help", ALL | {"aiohttp"}),
    ],
)
async def test_what_only_tells_loads_nothing_that_does(
    arguments: str, forbidden: set[str], environment: dict[str, str]
) -> None:
    code, modules = await loaded_by(*arguments.split(), environment=environment)
    assert code == EXIT_DONE
    assert modules & forbidden == set()


@pytest.mark.timeout(300)
async def test_what_a_server_does_is_asked_for_with_a_client_alone(environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {"PUSHDESK_ADMIN_TOKEN": "t" * 32, "PUSHDESK_TOKEN": "t" * 32}
    ended, unneeded = {}, {}
    async with serving(env=environment) as server:
        for number, arguments in enumerate(OVER_HTTP):
            environment["TOLD"] = str(tmp_path / f"told-{number}.json")
            code, modules = await loaded_by(*arguments.split(), "--server", server.url, environment=environment)
            assert "aiohttp" in modules, f"{arguments} asked nobody"
            ended[arguments] = code
            unneeded[arguments] = modules & ALL
    assert ended == OVER_HTTP
    assert not any(unneeded.values()), unneeded


async def test_a_command_does_not_load_the_others(environment: dict[str, str]) -> None:
    code, modules = await loaded_by("users", "list", "--server", "ftp://nowhere", environment=environment)
    assert code == EXIT_USAGE
    others = {f"pushdesk.cli.{name}" for name in ("broadcast", "db", "doctor", "keys", "seal", "tokens", "turn", "why")}
    assert modules & others == set()


async def test_a_server_loads_no_console_and_for_a_database_that_is_there_no_migrations(
    environment: dict[str, str],
) -> None:
    async with serving(env=environment) as server:
        assert await server.end(signal.SIGTERM) == EXIT_DONE
    async with serving(env=environment, program=(sys.executable, "-c", TELLING)) as server:
        assert await server.end(signal.SIGTERM) == EXIT_DONE
    code, modules = told(environment)
    assert code == EXIT_DONE
    assert "pushdesk.engine" in modules
    assert modules & (CONSOLE | {"alembic", "pushdesk.doctor", "pushdesk.simulator", "http_ece"}) == set()
