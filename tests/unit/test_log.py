"""The log: JSON in a file that nobody else reads, readable on the terminal, and no secrets out of tracebacks."""

from __future__ import annotations

import json
import stat
import sys
from typing import TYPE_CHECKING

from tests.programs import bare_environment, run

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import logging, pathlib, sys, warnings
import structlog
from pushdesk.log import start_log

start_log(pathlib.Path(sys.argv[1]), level=sys.argv[2], on_terminal=sys.argv[3] == "terminal")
log = structlog.get_logger()
log.debug("too quiet")
log.info("sent", user="ada \\x1b[2J", devices=2)
logging.getLogger("aiohttp.server").warning("from a library")
warnings.warn("deprecated", stacklevel=1)

def fail(endpoint):
    raise ValueError("it failed")

try:
    fail("https://push.example/" + "secret" * 2)
except ValueError:
    log.exception("failed")
"""


async def log_of(tmp_path: Path, *arguments: str) -> tuple[list[dict[str, object]], str]:
    """Run a program that logs; returns the events of its file, and what it wrote on the terminal."""
    file = tmp_path / "pushdesk.log"
    finished = await run(sys.executable, "-c", PROGRAM, str(file), *arguments, env=bare_environment(tmp_path))
    assert (finished.code, finished.out) == (0, ""), finished.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return [json.loads(line) for line in file.read_text().splitlines()], finished.err


async def test_events_of_ours_and_of_libraries_are_json_lines(tmp_path: Path) -> None:
    events, terminal = await log_of(tmp_path, "info", "file")
    assert [(event["level"], event["logger"]) for event in events] == [
        ("info", "__main__"),
        ("warning", "aiohttp.server"),
        ("warning", "py.warnings"),
        ("error", "__main__"),
    ]
    assert [event["event"] for event in events[:2]] == ["sent", "from a library"]
    assert events[0]["devices"] == 2
    assert str(events[0]["timestamp"]).endswith("Z")
    assert "ValueError: it failed" in str(events[3]["exception"])
    assert terminal == ""


async def test_the_terminal_gets_the_same_without_colours_escapes_or_local_variables(tmp_path: Path) -> None:
    events, terminal = await log_of(tmp_path, "info", "terminal")
    assert "sent" in terminal
    assert "from a library" in terminal
    assert "it failed" in terminal
    assert "\x1b" not in terminal
    assert "secretsecret" not in terminal
    assert "secretsecret" not in json.dumps(events)


async def test_log_files_that_others_may_read_are_closed_to_them(tmp_path: Path) -> None:
    old = tmp_path / "pushdesk.log.1"
    for path in (tmp_path / "pushdesk.log", old):
        path.touch()
        path.chmod(0o644)
    await log_of(tmp_path, "info", "file")
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


async def test_only_what_is_loud_enough_is_logged(tmp_path: Path) -> None:
    events, _ = await log_of(tmp_path, "error", "file")
    assert [event["event"] for event in events] == ["failed"]


async def test_debug_is_asked_for(tmp_path: Path) -> None:
    events, _ = await log_of(tmp_path, "debug", "file")
    assert events[0]["event"] == "too quiet"
