"""`pushdesk db`: beside a server that runs, and without one."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pushdesk.client import HttpDesk
from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_USAGE
from pushdesk.model import Notification, Outcome
from pushdesk.seal_key import make_key, write_key_file
from pushdesk.storage.backup import examine
from pushdesk.storage.revisions import HEAD
from tests.programs import PUSHDESK, bare_environment, run, serving
from tests.push_service import PushService
from tests.subscribing import subscribe

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Finished


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def environment(tmp_path: Path, data: Path) -> dict[str, str]:
    return bare_environment(tmp_path, PUSHDESK_DATA_DIR=str(data))


async def db(*arguments: str, env: dict[str, str]) -> Finished:
    return await run(*PUSHDESK, "db", *arguments, env=env)


def assert_refused(finished: Finished, code: int, says: str) -> None:
    assert (finished.code, finished.out, finished.err.count("\n")) == (code, "", 1), finished
    assert says in finished.err


def users(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT user FROM user_state ORDER BY user")]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def enroll(user: str, env: dict[str, str]) -> None:
    assert (await run(*PUSHDESK, "enroll", user, env=env)).code == EXIT_DONE


async def test_a_server_that_runs_is_backed_up_and_the_backup_restored(
    tmp_path: Path, data: Path, environment: dict[str, str]
) -> None:
    file = tmp_path / "backup.db"
    async with serving(env=environment) as server:
        await enroll("ada", environment)
        made = await db("backup", str(file), env=environment)
        assert made.code == EXIT_DONE, made.err
        assert re.fullmatch(rf"{file} has the database as it was just now: \d\.\d MB, schema {HEAD}\.\n", made.out)
        assert made.err == "pushdesk: it is not sealed: whoever has it has everything in it, the private keys too.\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert names(tmp_path) == ["backup.db", "data"]
        await enroll("bo", environment)
        running = await db("restore", str(file), env=environment)
        assert_refused(running, EXIT_USAGE, "Stop it first")
        assert server.url.rpartition(":")[2] in running.err
        await server.end(signal.SIGTERM)
    restored = await db("restore", str(file), env=environment)
    assert restored.code == EXIT_DONE, restored.err
    match = re.fullmatch(
        rf"The database is that of {file} now: schema {HEAD}\.\n"
        rf"The one from before is kept as ({data}/pushdesk\.db\.before-\d{{8}}T\d{{6}}Z)\.\n",
        restored.out,
    )
    assert match is not None, restored.out
    assert "is sent at the next start" in restored.err
    kept = data / match[1]
    assert (users(data / "pushdesk.db"), users(kept)) == (["ada"], ["ada", "bo"])
    assert {stat.S_IMODE((data / name).stat().st_mode) for name in names(data)} == {0o600}
    assert [name for name in names(data) if name.startswith("pushdesk.db")] == ["pushdesk.db", kept.name]
    # And back again; a server starts with it.
    assert (await db("restore", str(kept), env=environment)).code == EXIT_DONE
    async with serving(env=environment):
        pass
    assert users(data / "pushdesk.db") == ["ada", "bo"]


async def test_without_a_server_it_is_backed_up_too(tmp_path: Path, environment: dict[str, str]) -> None:
    await enroll("ada", environment)
    file = tmp_path / "backup.db"
    made = await db("backup", str(file), "--json", env=environment)
    assert json.loads(made.out) == {
        "file": str(file),
        "bytes": file.stat().st_size,
        "schema": HEAD,
        "key_id": None,
    }
    assert made.err == ""
    restored = await db("restore", str(file), "--json", "--data-dir", str(tmp_path / "other"), env=environment)
    assert restored.code == EXIT_DONE, restored.err
    assert json.loads(restored.out) == {"schema": HEAD, "key_id": None, "kept": None}
    assert users(tmp_path / "other" / "pushdesk.db") == ["ada"]
    assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o700


async def test_what_is_there_is_not_written_over(tmp_path: Path, data: Path, environment: dict[str, str]) -> None:
    await enroll("ada", environment)
    file = tmp_path / "mine"
    file.write_text("mine")
    assert_refused(await db("backup", str(file), env=environment), EXIT_USAGE, "is there already. Name another file")
    assert file.read_text() == "mine"
    assert (await db("backup", str(file), "--force", env=environment)).code == EXIT_DONE
    examine(file)
    (tmp_path / "link").symlink_to(data / "pushdesk.db")
    os.link(data / "pushdesk.db", tmp_path / "second name")
    for itself in (data / "pushdesk.db", data / "pushdesk.db-wal", tmp_path / "link", tmp_path / "second name"):
        refused = await db("backup", str(itself), "--force", env=environment)
        assert_refused(refused, EXIT_USAGE, f"{itself} is the database itself. Name another file.")
    for itself in (data / "pushdesk.db", tmp_path / "link", tmp_path / "second name"):
        refused = await db("restore", str(itself), env=environment)
        assert_refused(refused, EXIT_USAGE, f"{itself} is the database itself. Name a backup of it.")
    assert users(data / "pushdesk.db") == ["ada"]
    own = data / "admin.token"
    own.write_text("token")
    refused = await db("backup", str(own), "--force", env=environment)
    assert_refused(refused, EXIT_USAGE, f"{own} belongs to pushdesk, and is no backup. Name another file.")
    assert own.read_text() == "token"
    assert_refused(await db("backup", str(tmp_path), env=environment), EXIT_USAGE, "is a folder. Name a file in it.")
    nowhere = tmp_path / "no" / "where"
    assert_refused(await db("backup", str(nowhere), env=environment), EXIT_USAGE, "cannot be written: No such file")


async def test_what_is_no_backup_is_not_restored(tmp_path: Path, data: Path, environment: dict[str, str]) -> None:
    await enroll("ada", environment)
    before = names(data)
    good = tmp_path / "good"
    assert (await db("backup", str(good), env=environment)).code == EXIT_DONE
    newer, damaged, text = (tmp_path / name for name in ("newer", "damaged", "text"))
    newer.write_bytes(good.read_bytes())
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    content = bytearray(good.read_bytes())
    content[8 * 4096 : 12 * 4096] = b"\x07" * (4 * 4096)
    damaged.write_bytes(content)
    text.write_text("no database " * 1000)
    for file, code, says in (
        (newer, EXIT_USAGE, "has schema revision '9999', which this pushdesk does not know. It was written by a newer"),
        (damaged, EXIT_USAGE, "is not restored. It is damaged, or no database: "),
        (text, EXIT_NO, "could not be copied: file is not a database. Nothing was changed."),
        (tmp_path / "nowhere", EXIT_USAGE, "There is no file"),
        (tmp_path, EXIT_USAGE, "There is no file"),
    ):
        refused = await db("restore", str(file), env=environment)
        assert_refused(refused, code, says)
        assert "***" not in refused.err
    assert names(data) == before
    assert users(data / "pushdesk.db") == ["ada"]


async def test_what_is_sealed_with_another_key_is_not_restored(tmp_path: Path, environment: dict[str, str]) -> None:
    keys = [tmp_path / "one.key", tmp_path / "two.key"]
    for key in keys:
        write_key_file(key, make_key())
    sealed = environment | {"PUSHDESK_SEAL_KEY_FILE": str(keys[0])}
    await enroll("ada", sealed)
    file = tmp_path / "backup.db"
    # The copy needs no key.
    made = await db("backup", str(file), env=environment)
    assert made.code == EXIT_DONE
    key_id = examine(file).seal.key_id
    assert key_id is not None
    assert f"sealed with the key {key_id}, which is not in it" in made.err
    assert_refused(
        await db("restore", str(file), env=environment), EXIT_USAGE, f"the key {key_id}, and there is no key"
    )
    other = await db("restore", str(file), "--seal-key-file", str(keys[1]), env=environment)
    assert_refused(other, EXIT_USAGE, f"sealed with the key {key_id}, and this is another")
    restored = await db("restore", str(file), "--json", env=sealed)
    assert json.loads(restored.out)["key_id"] == key_id
    # One that is not sealed can be, once it is there.
    plain = environment | {"PUSHDESK_DATA_DIR": str(tmp_path / "plain")}
    await enroll("bo", plain)
    assert (await db("backup", str(tmp_path / "plain.db"), env=plain)).code == EXIT_DONE
    restored = await db("restore", str(tmp_path / "plain.db"), env=sealed)
    assert restored.code == EXIT_DONE
    assert "it is not sealed, and there is a key: run `pushdesk seal`" in restored.err
    assert (await run(*PUSHDESK, "seal", env=sealed)).code == EXIT_DONE


async def test_what_waited_when_the_backup_was_made_is_sent_after_it_is_restored(
    tmp_path: Path, data: Path, environment: dict[str, str]
) -> None:
    file = tmp_path / "backup.db"
    async with PushService() as service:
        environment["PUSHDESK_ALLOW_ENDPOINT"] = service.origin
        device = service.device("one")
        async with serving(env=environment) as server:
            await subscribe(server.url, "ada", device)
            service.hold = asyncio.Event()
            async with HttpDesk(server.url, (data / "admin.token").read_text().strip()) as desk:
                waiting = await desk.notify("ada", Notification("waiting"))
            await service.wait_for_pushes(2)
            assert (await db("backup", str(file), env=environment)).code == EXIT_DONE
            server.send(signal.SIGKILL)
        service.hold.set()
        service.hold = None
        assert (await db("restore", str(file), env=environment)).code == EXIT_DONE
        async with serving(env=environment) as server:
            await service.wait_for_pushes(3)
            async with HttpDesk(server.url, (data / "admin.token").read_text().strip()) as desk:
                assert (await desk.notify("ada", Notification("new"), wait_s=20)).counts == {Outcome.ACCEPTED: 1}
                assert (await desk.dispatch(waiting.id)).counts == {Outcome.ACCEPTED: 1}
    titles = [device.decrypt(push.body)["notification"]["title"] for push in service.pushes[1:]]
    assert sorted(titles) == ["new", "waiting", "waiting"]


@pytest.mark.parametrize("is_served", [True, False])
async def test_a_database_is_made_smaller(data: Path, environment: dict[str, str], *, is_served: bool) -> None:
    await enroll("ada", environment)
    with closing(sqlite3.connect(data / "pushdesk.db")) as connection, connection:
        connection.execute("CREATE TABLE filler (content BLOB)")
        connection.execute("INSERT INTO filler VALUES (zeroblob(5000000))")
        connection.execute("DROP TABLE filler")
    before = (data / "pushdesk.db").stat().st_size
    assert before > 5_000_000
    if is_served:
        async with serving(env=environment):
            vacuumed = await db("vacuum", env=environment)
            after = (data / "pushdesk.db").stat().st_size
    else:
        vacuumed = await db("vacuum", env=environment)
        after = (data / "pushdesk.db").stat().st_size
    assert vacuumed.code == EXIT_DONE, vacuumed.err
    assert re.fullmatch(r"The database takes 0\.\d MB; it took 5\.\d MB\.\n", vacuumed.out), vacuumed.out
    assert after < 1_000_000
    again = json.loads((await db("vacuum", "--json", env=environment)).out)
    assert again["after"] <= again["before"] < 1_000_000
    assert users(data / "pushdesk.db") == ["ada"]


async def test_what_cannot_be_done_is_one_line(tmp_path: Path, data: Path, environment: dict[str, str]) -> None:
    file = str(tmp_path / "backup.db")
    for arguments in (("vacuum",), ("backup", file)):
        assert_refused(await db(*arguments, env=environment), EXIT_USAGE, f"There is no database in {data}.")
    nobody = ("--server", "http://127.0.0.1:1", "--token-file", str(tmp_path / "token"))
    (tmp_path / "token").write_text("t" * 32)
    for arguments in (("vacuum",), ("backup", file)):
        assert_refused(await db(*arguments, *nobody, env=environment), EXIT_UNREACHABLE, "cannot be reached")
    async with serving(env=environment):
        for arguments in (("vacuum",), ("backup", file)):
            refused = await db(*arguments, "--token-file", str(tmp_path / "token"), env=environment)
            assert_refused(refused, EXIT_REFUSED, "token")
    assert names(tmp_path) == ["data", "token"]
