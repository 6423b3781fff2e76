"""`pushdesk seal` and starting on a sealed database, as an operator meets them."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NO, EXIT_USAGE, StartUpError
from pushdesk.seal_key import make_key, write_key_file
from pushdesk.storage.store import Store
from tests.contract.storing import put, subscription
from tests.contract.test_seal import raw
from tests.programs import PUSHDESK, bare_environment, run, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Finished

KEY, OTHER = "k" * 43, "Q" * 43
KILLED_AT_A_NONCE = """
import os, signal, sys
from pushdesk.cli.app import main
from pushdesk.storage.sealing import Sealer
real, left = Sealer.seal, int(sys.argv.pop(1))
def seal(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
Sealer.seal = seal
main()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path, PUSHDESK_DATA_DIR=str(tmp_path / "data"))


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A database with ten subscriptions, as a server left it."""
    (tmp_path / "data").mkdir(mode=0o700)
    path = tmp_path / "data" / "pushdesk.db"
    async with Store(path) as store:
        for number in range(10):
            await put(store, subscription(f"device-{number}", user=f"user-{number}"))
    return path


async def seal(*options: str, env: dict[str, str]) -> Finished:
    return await run(*PUSHDESK, "seal", *options, env=env)


def key_file(tmp_path: Path, content: str, mode: int = 0o600) -> str:
    path = tmp_path / "seal.key"
    path.write_text(content)
    path.chmod(mode)
    return str(path)


async def test_a_key_is_made_and_the_database_sealed_with_it(
    tmp_path: Path, file: Path, environment: dict[str, str]
) -> None:
    key = tmp_path / "seal.key"
    sealed = await seal("--new-key-file", str(key), env=environment)
    assert sealed.code == EXIT_DONE, sealed.err
    assert "10 endpoints, 10 auth secrets, 0 private keys" in sealed.out
    assert "apart from backups" in sealed.err
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().strip() not in sealed.out + sealed.err
    assert b"push.example" not in raw(file)
    again = await seal("--new-key-file", str(key), "--old-key-file", str(key), env=environment)
    assert again.code == EXIT_USAGE
    assert "never written over" in again.err
    known = await seal("--seal-key-file", str(key), env=environment)
    assert known.code == EXIT_DONE
    assert known.out.startswith("All is sealed with the key ")


async def test_a_server_starts_with_the_key_and_says_what_is_missing_without(
    tmp_path: Path, file: Path, environment: dict[str, str]
) -> None:
    assert (await seal(env=environment | {"PUSHDESK_SEAL_KEY": KEY})).code == EXIT_DONE
    before = raw(file)
    for wrong in ({}, {"PUSHDESK_SEAL_KEY": OTHER}):
        refused = await run(*PUSHDESK, "serve", "--port", "0", env=environment | wrong)
        assert (refused.code, refused.out) == (EXIT_USAGE, "")
        assert refused.err.count("\n") == 1
        for word in ("is sealed with the key", "subscribe anew", "access tokens", "PUSHDESK_SEAL_KEY", "--data-dir"):
            assert word in refused.err
        sent = await run(*PUSHDESK, "send", "user-1", "Hello", env=environment | wrong)
        assert sent.code == EXIT_USAGE
        assert "is sealed with the key" in sent.err
    assert raw(file) == before
    options = ("--port", "0", "--seal-key-file", key_file(tmp_path, KEY + "\n"))
    async with serving(*options, env=environment) as server:
        assert await server.end(signal.SIGTERM) == EXIT_DONE
    sent = await run(*PUSHDESK, "send", "nobody", "Hello", env=environment | {"PUSHDESK_SEAL_KEY": KEY})
    assert sent.code == EXIT_NO


TURN = ("--conversation", "c", "--title", "t", "--status", "finished")


@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--port", "0"),
        ("send", "ada", "Hello"),
        ("turn", "ada", *TURN),
        ("enroll", "ada"),
        ("users", "remove", "ada", "--yes"),
        ("tokens", "list"),
        ("keys", "list"),
    ],
    ids=lambda command: command[0],
)
async def test_what_is_said_of_a_missing_key_holds_for_the_command_that_says_it(
    file: Path, environment: dict[str, str], command: tuple[str, ...]
) -> None:
    assert file.exists()
    assert (await seal(env=environment | {"PUSHDESK_SEAL_KEY": KEY})).code == EXIT_DONE
    refused = await run(*PUSHDESK, *command, env=environment)
    assert (refused.code, refused.out) == (EXIT_USAGE, "")
    assert "is sealed with the key" in refused.err
    flags = set(re.findall(r"--[a-z-]+", refused.err))
    words = command[:2] if command[0] in {"users", "tokens", "keys"} else command[:1]
    known = (await run(*PUSHDESK, *words, "--help", env=environment)).out
    assert flags
    assert [flag for flag in flags if not re.search(rf"{flag}\b", known)] == []


@pytest.mark.parametrize("where", ["variable", "variable with the file", "configuration"])
async def test_the_key_is_taken_from_wherever_it_is_said_to_be_given(
    tmp_path: Path, file: Path, environment: dict[str, str], where: str
) -> None:
    assert (await seal(env=environment | {"PUSHDESK_SEAL_KEY": KEY})).code == EXIT_DONE
    refused = await run(*PUSHDESK, "tokens", "list", env=environment)
    named, key = re.findall(r"PUSHDESK_SEAL\w+|\[server\] \w+", refused.err), key_file(tmp_path, KEY)
    assert named == ["PUSHDESK_SEAL_KEY", "PUSHDESK_SEAL_KEY_FILE", "[server] seal_key_file"]
    if where == "configuration":
        file.with_name("pushdesk.toml").write_text(f'[server]\nseal_key_file = "{key}"\n')
    elif where == "variable":
        environment["PUSHDESK_SEAL_KEY"] = KEY
    else:
        environment["PUSHDESK_SEAL_KEY_FILE"] = key
    listed = await run(*PUSHDESK, "tokens", "list", env=environment)
    assert listed.code == EXIT_DONE, listed.err


async def test_a_key_for_a_database_that_is_not_sealed_starts_nothing_and_names_the_command(
    file: Path, environment: dict[str, str]
) -> None:
    before = raw(file)
    refused = await run(*PUSHDESK, "serve", "--port", "0", env=environment | {"PUSHDESK_SEAL_KEY": KEY})
    assert (refused.code, refused.out) == (EXIT_USAGE, "")
    assert "pushdesk seal" in refused.err
    # What was not there to be stored: no key of the server's own was made.
    assert raw(file) == before or b"BEGIN PRIVATE KEY" not in raw(file)


async def test_a_new_database_is_sealed_from_its_first_start_on(tmp_path: Path, environment: dict[str, str]) -> None:
    environment["PUSHDESK_SEAL_KEY"] = KEY
    async with serving(env=environment) as server:
        assert b"BEGIN PRIVATE KEY" not in raw(tmp_path / "data" / "pushdesk.db")
        await server.end(signal.SIGTERM)
    again = await seal("--json", env=environment)
    assert (again.code, json.loads(again.out)["private_keys"]) == (EXIT_DONE, 0)
    undone = await seal("--undo", "--json", env=environment)
    assert json.loads(undone.out) == {
        "key_id": None,
        "key_file": None,
        "endpoints": 0,
        "auths": 0,
        "private_keys": 1,
        "damaged": 0,
    }
    assert b"BEGIN PRIVATE KEY" in raw(tmp_path / "data" / "pushdesk.db")


async def test_while_a_server_runs_nothing_is_sealed(tmp_path: Path, environment: dict[str, str]) -> None:
    key = tmp_path / "seal.key"
    async with serving(env=environment) as server:
        refused = await seal("--new-key-file", str(key), env=environment)
        assert refused.code == EXIT_USAGE
        assert server.url.replace("localhost", "127.0.0.1") in refused.err.replace("localhost", "127.0.0.1")
        assert "Stop it first" in refused.err
    assert not key.exists()


@pytest.mark.parametrize("nonces", [1, 11, 20])
async def test_killed_in_the_middle_it_is_run_again_and_done(
    file: Path, environment: dict[str, str], nonces: int
) -> None:
    environment["PUSHDESK_SEAL_KEY"] = KEY
    killed = await run(sys.executable, "-c", KILLED_AT_A_NONCE, str(nonces), "seal", env=environment)
    assert killed.code == -signal.SIGKILL
    refused = await run(*PUSHDESK, "serve", "--port", "0", env=environment)
    assert refused.code == EXIT_USAGE
    assert "pushdesk seal" in refused.err
    done = await seal(env=environment)
    assert done.code == EXIT_DONE, done.err
    assert b"push.example" not in raw(file)
    async with serving(env=environment) as server:
        assert await server.end(signal.SIGTERM) != EXIT_INTERRUPTED


async def test_the_key_is_changed(tmp_path: Path, file: Path, environment: dict[str, str]) -> None:
    assert (await seal(env=environment | {"PUSHDESK_SEAL_KEY": KEY})).code == EXIT_DONE
    old, new = key_file(tmp_path, KEY), tmp_path / "new.key"
    without = await seal("--new-key-file", str(new), env=environment)
    assert without.code == EXIT_USAGE
    assert "--old-key-file" in without.err
    assert not new.exists()
    changed = await seal("--new-key-file", str(new), "--old-key-file", old, "--json", env=environment)
    assert changed.code == EXIT_DONE, changed.err
    assert json.loads(changed.out)["endpoints"] == 10
    with closing(sqlite3.connect(file)) as connection:
        (key_id,) = connection.execute("SELECT seal_key_id FROM server_state").fetchone()
    assert key_id == json.loads(changed.out)["key_id"]
    assert (await seal("--seal-key-file", old, env=environment)).code == EXIT_USAGE
    undone = await seal("--undo", "--seal-key-file", str(new), env=environment)
    assert undone.code == EXIT_DONE
    assert "Whoever has the database's files has them." in undone.out
    assert "of what" not in undone.out + undone.err


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (KEY, 0o644, "chmod 600"),
        (KEY, 0o640, "chmod 600"),
        (KEY, 0o604, "chmod 600"),
        ("", 0o600, "must hold a key"),
        (KEY[:-1], 0o600, "must hold a key"),
        (KEY + "A", 0o600, "must hold a key"),
        ("+/" + KEY[2:], 0o600, "must hold a key"),
        (f"{KEY}\n{KEY}\n", 0o600, "must hold a key"),
        ("k\u00e9y" * 15, 0o600, "must hold a key"),
    ],
)
async def test_key_file_that_cannot_be_used_is_told_and_nothing_is_done(
    tmp_path: Path, file: Path, environment: dict[str, str], content: str, mode: int, says: str
) -> None:
    before = raw(file)
    refused = await seal("--seal-key-file", key_file(tmp_path, content, mode), env=environment)
    assert (refused.code, refused.out) == (EXIT_USAGE, "")
    assert says in refused.err
    assert not content or content not in refused.err
    assert raw(file) == before


def test_a_disk_that_is_full_leaves_no_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StartUpError, match="cannot be written: No space left on device"):
        write_key_file(tmp_path / "seal.key", make_key())
    assert list(tmp_path.iterdir()) == []


async def test_what_else_is_wrong_is_said_in_a_line(tmp_path: Path, file: Path, environment: dict[str, str]) -> None:
    kept = key_file(tmp_path, KEY)
    for options, variables, says in (
        ((), {}, "There is no key."),
        (("--undo",), {}, "There is no key."),
        (("--undo", "--new-key-file", "x"), {"PUSHDESK_SEAL_KEY": KEY}, "only be one of them"),
        ((), {"PUSHDESK_SEAL_KEY": "short"}, "PUSHDESK_SEAL_KEY must hold a key"),
        (("--seal-key-file", kept), {"PUSHDESK_SEAL_KEY": OTHER}, "hold different keys"),
        (("--seal-key-file", "/nowhere/key"), {}, "cannot be read"),
        (("--old-key-file", "/nowhere/key"), {"PUSHDESK_SEAL_KEY": KEY}, "cannot be read"),
        (("--new-key-file", "/nowhere/key"), {}, "cannot be written"),
        (("--new-key-file", str(tmp_path)), {}, "is there already"),
        (("--data-dir", str(tmp_path / "other")), {"PUSHDESK_SEAL_KEY": KEY}, "There is no database"),
    ):
        refused = await seal(*options, env=environment | variables)
        assert (refused.code, refused.out) == (EXIT_USAGE, ""), refused
        assert says in refused.err
        assert refused.err.count("\n") == 1
    assert not (tmp_path / "other").exists()
    assert b"push.example" in raw(file)
    undone = await seal("--undo", "--seal-key-file", kept, env=environment)
    assert undone == (EXIT_DONE, "Nothing is sealed.\n", "")
