"""The log: JSON in a file that nobody else reads, readable on the terminal, the same in memory, and no secrets."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import sys
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pushdesk.log import bound, wants, write
from pushdesk.log_events import CacheCleared, DispatchAccepted, RequestUnreadable, ServerEnded
from pushdesk.log_fields import Id, UserId, Word
from pushdesk.model import DispatchKind, LogEntry, LogLevel
from pushdesk.storage.store import DATABASE_NAME, Store
from tests.logs import logging_to
from tests.programs import bare_environment, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.logs import Log

PROGRAM = """
import logging, pathlib, sys, warnings
from pushdesk.log import start_log, write
from pushdesk.log_events import CacheInvalidated, DispatchAccepted, ServerFailed
from pushdesk.log_fields import Failure, Id, UserId
from pushdesk.model import DispatchKind

start_log(pathlib.Path(sys.argv[1]), level=sys.argv[2], on_terminal=sys.argv[3] == "terminal")
write(DispatchAccepted(dispatch=Id("0a"), kind=DispatchKind.TEST, user=UserId("ada")))
write(CacheInvalidated(user=UserId("ada \\x1b[2J \\u202e")))
logging.getLogger("aiohttp.server").warning("from \\x1b[2Ja library")
warnings.warn_explicit("deprecated", UserWarning, "file.py", 12)

def fail(endpoint):
    raise ValueError("no " + endpoint)

try:
    fail("https://push.example/" + "secret" * 2)
except ValueError as error:
    write(ServerFailed(Failure.of(error)))
    logging.getLogger("aiohttp.server").exception("for %s", "https://push.example/" + "secret" * 2)
"""
SECRET = "https://push.example/canary/kJ9_aZ-x04Pq7Lm2Vb8NcQ"


async def log_of(tmp_path: Path, *arguments: str) -> tuple[list[dict[str, Any]], str]:
    """Run a program that logs; returns the lines of its file, and what it wrote on the terminal."""
    file = tmp_path / "pushdesk.log"
    finished = await run(sys.executable, "-c", PROGRAM, str(file), *arguments, env=bare_environment(tmp_path))
    assert (finished.code, finished.out) == (0, ""), finished.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return [json.loads(line) for line in file.read_text().splitlines()], finished.err


async def test_events_of_ours_and_of_libraries_are_json_lines(tmp_path: Path) -> None:
    lines, terminal = await log_of(tmp_path, "info", "file")
    assert [(line["level"], line["logger"], line["event"]) for line in lines] == [
        ("info", "pushdesk", "cache_invalidated"),
        ("warning", "aiohttp.server", "from a library"),
        ("warning", "py.warnings", "file.py:12: UserWarning: deprecated"),
        ("error", "pushdesk", "server_failed"),
        ("error", "aiohttp.server", "for …"),
    ]
    assert [list(line)[:4] for line in lines] == [["time", "level", "logger", "event"]] * 5
    assert str(lines[0]["time"]).endswith("Z")
    assert lines[3]["error"] == lines[4]["error"] == "ValueError"
    assert " fail" in lines[3]["where"]
    assert terminal == ""


async def test_the_terminal_gets_the_same_without_colours_escapes_or_local_variables(tmp_path: Path) -> None:
    lines, terminal = await log_of(tmp_path, "info", "terminal")
    for line in lines:
        assert line["event"] in terminal
    assert "\x1b" not in terminal
    assert "\u202e" not in terminal
    assert "secretsecret" not in terminal
    assert "secretsecret" not in json.dumps(lines)


async def test_log_files_that_others_may_read_are_closed_to_them(tmp_path: Path) -> None:
    old = tmp_path / "pushdesk.log.1"
    for path in (tmp_path / "pushdesk.log", old):
        path.touch()
        path.chmod(0o644)
    await log_of(tmp_path, "info", "file")
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


async def test_only_what_is_loud_enough_is_logged(tmp_path: Path) -> None:
    lines, _ = await log_of(tmp_path, "error", "file")
    assert [line["level"] for line in lines] == ["error", "error"]


async def test_debug_is_asked_for(tmp_path: Path) -> None:
    lines, _ = await log_of(tmp_path, "debug", "file")
    assert lines[0]["event"] == "dispatch_accepted"


async def test_a_trip_to_the_database_is_no_line_at_debug_either(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log") as log:
        async with Store(tmp_path / DATABASE_NAME) as store:
            await store.outbox.precedence()
        write(ServerEnded(left=0))
    assert [line["logger"] for line in log.lines] == ["pushdesk"]


def test_whoever_has_to_put_an_event_together_can_ask_whether_it_is_wanted(tmp_path: Path) -> None:
    with logging_to(tmp_path / "log", level="info"):
        assert wants(ServerEnded)
        assert not wants(DispatchAccepted)


def test_what_is_in_memory_is_what_is_in_the_file(log: Log) -> None:
    with bound(request=Id("0b")):
        write(DispatchAccepted(dispatch=Id("0a"), kind=DispatchKind.TEST, user=UserId("ada")))
    logging.getLogger("aiohttp.client").warning("Unclosed client session")
    lines = [msgspec.to_builtins(entry) for entry in log.ring.entries()]
    assert [line["seq"] for line in lines] == [1, 2]
    for line, written in zip(lines, log.lines, strict=True):
        time = written.pop("time")
        fields = {name: written.pop(name) for name in set(written) - {"level", "event", "logger"}}
        assert line["fields"] == fields
        assert {name: line[name] for name in ("level", "event", "logger")} == written
        assert datetime.fromisoformat(line["time"]) - datetime.fromisoformat(time) < timedelta(milliseconds=1)
    assert lines[0]["fields"] == {"dispatch": "0a", "kind": "test", "user": "ada", "request": "0b"}


@pytest.mark.parametrize(
    ("number", "level"), [(5, LogLevel.DEBUG), (25, LogLevel.INFO), (50, LogLevel.CRITICAL), (99, LogLevel.CRITICAL)]
)
def test_a_level_of_a_librarys_own_is_the_nearest_below(log: Log, number: int, level: LogLevel) -> None:
    logging.getLogger().setLevel(1)
    logging.getLogger("library").log(number, "said")
    (entry,) = log.ring.entries()
    assert entry.level is level


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("Unclosed client session",), "Unclosed client session"),
        (("Executing %s took %.3f seconds", "<Handle f('Private')>", 0.2), "Executing … took … seconds"),
        (("%(name)s failed", {"name": "Private"}), "… failed"),
        (("Exception in callback f('Private')\nhandle: <Handle f('Private')>",), "Exception in callback f"),
        (("Task exception was never retrieved\nfuture: <Task Private>",), "Task exception was never retrieved"),
        (("%s", "Private"), "…"),
        (({"Private": 1},), "dict"),
        ((LookupError("Private"),), "LookupError"),
        (("",), "…"),
    ],
)
def test_of_a_library_only_its_own_words_are_kept(log: Log, said: tuple[Any, ...], told: str) -> None:
    logging.getLogger("library").error(*said)
    (line,) = log.lines
    assert (line["event"], line["logger"]) == (told, "library")


def test_what_a_library_says_is_short_and_holds_no_secret(log: Log) -> None:
    library = logging.getLogger("library")
    library.error("POST %s failed", SECRET)
    library.error("Task <Task name='x' coro=<f(%r)>> failed", SECRET)
    library.error("auth %s", SECRET.rpartition("/")[2], stack_info=True, extra={"endpoint": SECRET})
    library.error({"endpoint": SECRET})
    library.error("no " * 1000)
    failure = LookupError(SECRET)
    failure.__cause__ = ValueError(SECRET)
    library.error("failed", exc_info=failure)
    assert "canary" not in log.text
    assert "kJ9" not in log.text
    assert len(log.lines[4]["event"]) == 500
    assert log.lines[5]["error"] == "LookupError"
    assert "ValueError" in log.lines[5]["where"]


async def test_tasks_that_run_at_once_do_not_mix_their_ids(log: Log) -> None:
    meet = asyncio.Barrier(2)

    async def work(device: str) -> None:
        with bound(dispatch=Id("0d"), device=Id(device)):
            await meet.wait()
            write(RequestUnreadable(error=Word(f"of_{device}")))
            await meet.wait()
            logging.getLogger("library").warning("library")

    await asyncio.gather(work("1"), work("2"))
    write(ServerEnded(left=0))
    found = {(line.get("error") or line["event"], line.get("device"), line.get("dispatch")) for line in log.lines}
    assert found == {
        ("of_1", "1", "0d"),
        ("of_2", "2", "0d"),
        ("library", "1", "0d"),
        ("library", "2", "0d"),
        ("server_ended", None, None),
    }


def test_an_inner_id_ends_with_its_block(log: Log) -> None:
    with bound(request=Id("1")):
        with bound(request=Id("2"), device=Id("3")):
            write(CacheCleared(entries=1))
        write(CacheCleared(entries=2))
    assert [(line["request"], line.get("device")) for line in log.lines] == [("2", "3"), ("1", None)]


def test_lines_of_every_thread_come_to_one_file_and_one_ring(log: Log) -> None:
    def work() -> None:
        for _ in range(200):
            write(CacheCleared(entries=1))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log.lines) == 400
    assert [entry.seq for entry in log.ring.entries()] == list(range(1, 401))


def test_a_full_disk_is_told_once_where_it_still_can_be(tmp_path: Path) -> None:
    full = tmp_path / "log"
    full.symlink_to("/dev/full")
    with logging_to(full) as log:
        write(CacheCleared(entries=1))
        write(CacheCleared(entries=2))
    entries = log.ring.entries()
    assert sorted(entry.event for entry in entries) == ["cache_cleared", "cache_cleared", "log_line_lost"]
    (failed,) = (entry for entry in entries if entry.event == "log_line_lost")
    assert isinstance(failed, LogEntry)
    assert (failed.level, failed.fields["error"]) == (LogLevel.ERROR, "OSError")
