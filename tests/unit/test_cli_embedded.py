"""The server in the console's second thread: however it ends, the console hears of it, and no secret is logged."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.programs import bare_environment, run

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import asyncio, pathlib, sys
from pushdesk.cli import embedded
from pushdesk.cli.hosting import prepare
from pushdesk.config import load
from pushdesk.errors import PushdeskError
from pushdesk.model import Scope

async def fail(*_arguments, **_named):
    raise {error}("https://push.example/" + "secret" * 2)

async def main():
    config = load({{"--data-dir": sys.argv[1], "--port": "0"}}, {{}}, default_data_dir=pathlib.Path(sys.argv[1]))
    server = embedded.EmbeddedServer(prepare(config, {{}}), session_scope=Scope.ADMIN)
    async with asyncio.timeout(20):
        try:
            await server.start()
        except PushdeskError as error:
            print(error)
        await server.end()

embedded.host = fail
asyncio.run(main())
"""


@pytest.mark.parametrize("error", ["ValueError", "SystemExit", "asyncio.CancelledError"])
async def test_whatever_ends_the_server_is_told_and_can_be_waited_for(tmp_path: Path, error: str) -> None:
    data = tmp_path / "data"
    program = PROGRAM.format(error=error)
    finished = await run(sys.executable, "-c", program, str(data), env=bare_environment(tmp_path))
    name = error.rpartition(".")[2]
    assert (finished.code, finished.out) == (0, f"The server ended with {name}. The log tells more.\n"), finished.err
    written = (data / "pushdesk.log").read_text()
    (event,) = (event for line in written.splitlines() if (event := json.loads(line))["event"] == "server_failed")
    assert event["error"] == name
    assert " fail" in event["where"]
    assert "secretsecret" not in written + finished.out + finished.err
