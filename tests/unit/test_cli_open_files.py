"""How many files the server may open: the limit is raised as far as need be, and what cannot be is said."""

from __future__ import annotations

import json
import resource
import signal
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from pushdesk.cli.open_files import FEWEST_CONNECTIONS, FEWEST_FILES, OTHER_FILES, files_needed, make_room
from pushdesk.config import Config, PushConfig, ServerConfig
from pushdesk.model import Service
from pushdesk.server.connections import REFUSED_AT_ONCE
from tests.programs import bare_environment, run, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.logs import Log

START = (
    "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (400, 600)); from pushdesk.cli.app import main; main()"
)
"""Of a server that may open 400 files, and 600 if it asks."""


@pytest.fixture(autouse=True)
def _soft_limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def config(data_dir: Path, *, connections: int, pushes: int = 1) -> Config:
    return Config(data_dir, server=ServerConfig(max_connections=connections), push=PushConfig(concurrency=pushes))


def test_every_connection_is_a_file_and_pushes_are_some_too(tmp_path: Path) -> None:
    pushes = 7 * len(Service)
    wanted = config(tmp_path, connections=1000, pushes=7)
    assert files_needed(wanted) == 1000 + pushes + REFUSED_AT_ONCE + OTHER_FILES
    assert files_needed(wanted, is_sending=False) == 1000 + REFUSED_AT_ONCE + OTHER_FILES


def test_the_limit_is_raised_to_what_is_needed_and_no_further(tmp_path: Path, log: Log) -> None:
    needed = files_needed(config(tmp_path, connections=300))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed - 100, hard))
    assert make_room(config(tmp_path, connections=300)).max_connections == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (needed, hard)
    assert make_room(config(tmp_path, connections=200)).max_connections == 200
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (needed, hard)
    assert log.lines == []


async def test_a_server_that_may_not_open_enough_says_so_and_takes_fewer_connections(tmp_path: Path) -> None:
    data = tmp_path / "data"
    env = bare_environment(tmp_path, PUSHDESK_DATA_DIR=str(data))
    async with serving(env=env, program=(sys.executable, "-c", START)) as server, aiohttp.ClientSession() as session:
        assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (600, 600)
        async with session.get(f"{server.url}/healthz") as response:
            assert response.status == 200
        assert await server.end(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in (data / "pushdesk.log").read_text().splitlines()]
    (said,) = [line for line in lines if line["event"] == "open_files_short"]
    # Pushes are other processes' to make.
    others = REFUSED_AT_ONCE + OTHER_FILES
    assert (said["level"], said["limit"], said["wanted"]) == ("warning", 600, 2000 + others)
    assert said["connections"] == 600 - others > FEWEST_CONNECTIONS


async def test_a_server_that_could_not_even_open_its_database_does_not_start(tmp_path: Path) -> None:
    few = FEWEST_FILES - 1
    start = START.replace("(400, 600)", f"(20, {few})")
    data = tmp_path / "data"
    env = bare_environment(tmp_path, PUSHDESK_DATA_DIR=str(data))
    ended = await run(sys.executable, "-c", start, "serve", "--port", "0", env=env)
    assert ended.code == 2
    assert ended.err == (
        f"pushdesk: Only {few} files may be open at once, and a server needs {FEWEST_FILES} at least. "
        "Raise the limit: `ulimit -n 4096` in a shell, LimitNOFILE= in a systemd unit.\n"
    )
    assert not data.exists()
