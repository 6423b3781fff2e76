"""The data directory: who may read it, its token, its lock."""

from __future__ import annotations

import os
import resource
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pushdesk.cli.datadir import (
    DataDirectoryHeldError,
    Holder,
    ServerLock,
    admin_token,
    client_token,
    holder_of,
    holds_other_things,
    open_data_directory,
)
from pushdesk.errors import EXIT_REFUSED, EXIT_USAGE, PushdeskError, StartUpError
from tests.programs import bare_environment, run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    open_data_directory(path)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_directory_and_all_in_it_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    open_data_directory(path)
    admin_token(path, {})
    ServerLock.take(path).release()
    (path / "later").touch()
    assert mode(path) == 0o700
    assert {entry.name: mode(entry) for entry in path.iterdir()} == dict.fromkeys(
        ("server.lock", "admin.token", "later"), 0o600
    )


def test_an_empty_directory_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    open_data_directory(tmp_path / "data")
    (tmp_path / "data").chmod(0o755)
    open_data_directory(tmp_path / "data")
    assert mode(tmp_path / "data") == 0o700


def test_a_shared_directory_of_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letters").mkdir()
    with pytest.raises(StartUpError, match="holds other things"):
        open_data_directory(tmp_path)
    assert mode(tmp_path) == 0o755
    assert [entry.name for entry in tmp_path.iterdir()] == ["letters"]


def test_a_configuration_does_not_make_somebodys_project_a_data_directory(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    project.chmod(0o755)
    (project / "pushdesk.toml").touch()
    (project / "src").mkdir()
    with pytest.raises(StartUpError, match="holds other things"):
        open_data_directory(project)
    assert mode(project) == 0o755
    assert sorted(entry.name for entry in project.iterdir()) == ["pushdesk.toml", "src"]

    project.chmod(0o700)
    open_data_directory(project)


@pytest.mark.parametrize("names", [["pushdesk.toml"], ["server.lock", "notes"], ["pushdesk.db", "pushdesk.log"]])
def test_a_data_directory_that_others_may_read_is_closed_to_them(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "data"
    path.mkdir()
    path.chmod(0o755)
    for name in names:
        (path / name).touch()
    open_data_directory(path)
    assert mode(path) == 0o700


def test_what_cannot_be_a_directory_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/pushdesk")):
        with pytest.raises(StartUpError) as caught:
            open_data_directory(path)
        assert str(path) in str(caught.value)
        assert "--data-dir" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_admin_token_is_made_once_and_kept(data: Path) -> None:
    token = admin_token(data, {})
    assert len(token) >= 43
    assert admin_token(data, {}) == token
    assert client_token(data, None, {}) == token


def test_files_that_others_may_read_are_closed_to_them(data: Path) -> None:
    token = admin_token(data, {})
    for name in ("admin.token", "server.lock"):
        (data / name).chmod(0o644)
    assert admin_token(data, {}) == token
    ServerLock.take(data).release()
    assert (mode(data / "admin.token"), mode(data / "server.lock")) == (0o600, 0o600)


def test_a_token_that_could_not_be_written_is_made_at_the_next_start(data: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(StartUpError, match=r"admin\.token cannot be written"):
            admin_token(data, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (data / "admin.token").exists()
    assert len(admin_token(data, {})) >= 43
    assert sorted(entry.name for entry in data.iterdir()) == ["admin.token", "server.lock"]


def test_the_environments_admin_token_is_taken_and_not_written(data: Path) -> None:
    assert admin_token(data, {"PUSHDESK_ADMIN_TOKEN": "x" * 32}) == "x" * 32
    assert not (data / "admin.token").exists()


@pytest.mark.parametrize("token", ["x" * 31, "x" * 32 + " y", "ö" * 40, "x" * 32 + "\n"])
def test_an_unfit_admin_token_is_refused_without_being_shown(data: Path, token: str) -> None:
    with pytest.raises(StartUpError, match="PUSHDESK_ADMIN_TOKEN must hold at least 32") as caught:
        admin_token(data, {"PUSHDESK_ADMIN_TOKEN": token})
    assert token not in str(caught.value)


def test_an_emptied_token_file_is_refused_by_its_name(data: Path) -> None:
    (data / "admin.token").write_text("")
    with pytest.raises(StartUpError, match=r"admin\.token must hold at least 32"):
        admin_token(data, {})


def test_a_client_shows_the_variable_then_the_file_then_that_of_the_directory(data: Path, tmp_path: Path) -> None:
    admin_token(data, {})
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert client_token(data, file, {"PUSHDESK_TOKEN": "from-variable"}) == "from-variable"
    assert client_token(data, file, {}) == "from-file"


@pytest.mark.parametrize("token", ["one\ntwo", "über", "\udcff", "a\x00b"])
def test_what_cannot_stand_in_a_header_is_refused_without_being_shown(tmp_path: Path, token: str) -> None:
    with pytest.raises(StartUpError, match="PUSHDESK_TOKEN must hold a token: one line") as caught:
        client_token(tmp_path, None, {"PUSHDESK_TOKEN": token})
    assert token not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", "über".encode()])
def test_a_token_file_without_a_token_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(StartUpError, match=r"The token file .*/token must hold a token: one line"):
        client_token(tmp_path, tmp_path / "token", {})


def test_no_token_at_all_says_where_one_may_come_from(tmp_path: Path) -> None:
    with pytest.raises(PushdeskError, match=r"PUSHDESK_TOKEN.*--token-file") as caught:
        client_token(tmp_path, None, {})
    assert caught.value.exit_code == EXIT_REFUSED
    with pytest.raises(StartUpError, match="cannot be read"):
        client_token(tmp_path, tmp_path / "absent", {})


def test_a_second_taker_learns_pid_url_and_command(data: Path) -> None:
    lock = ServerLock.take(data)
    lock.announce("http://localhost:8484")
    with pytest.raises(DataDirectoryHeldError) as caught:
        ServerLock.take(data, attach_command="pushdesk attach --data-dir /d")
    text = str(caught.value)
    assert f"process {os.getpid()}" in text
    assert "http://localhost:8484" in text
    assert "`pushdesk attach --data-dir /d http://localhost:8484`" in text
    assert caught.value.exit_code == EXIT_USAGE
    assert caught.value.holder == Holder(os.getpid(), "http://localhost:8484")
    lock.release()
    ServerLock.take(data).release()


def test_a_holder_that_does_not_listen_is_named_without_a_command(data: Path) -> None:
    lock = ServerLock.take(data)
    with pytest.raises(DataDirectoryHeldError, match="is at work") as caught:
        ServerLock.take(data)
    assert "attach" not in str(caught.value)
    lock.release()


async def test_the_lock_of_a_killed_process_is_free(data: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from pushdesk.cli.datadir import ServerLock\n"
        "lock = ServerLock.take(pathlib.Path(sys.argv[1]))\n"
        "lock.announce('http://localhost:1')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    finished = await run(sys.executable, "-c", code, str(data), env=bare_environment(data))
    assert finished.code == -9
    assert (data / "server.lock").read_text()
    ServerLock.take(data).release()


def test_who_holds_the_lock_is_seen_without_taking_or_making_it(tmp_path: Path, data: Path) -> None:
    assert holder_of(tmp_path) is None
    assert list(tmp_path.iterdir()) == [data]
    assert holder_of(data) is None
    lock = ServerLock.take(data)
    lock.announce("http://localhost:8484")
    before = (data / "server.lock").read_bytes()
    assert holder_of(data) == Holder(os.getpid(), "http://localhost:8484")
    assert (data / "server.lock").read_bytes() == before
    lock.release()
    assert holder_of(data) is None
    ServerLock.take(data).release()


def test_a_folder_is_ours_that_is_empty_or_was_a_data_directory_or_holds_a_configuration_alone(tmp_path: Path) -> None:
    assert not holds_other_things(tmp_path)
    (tmp_path / "pushdesk.toml").touch()
    assert not holds_other_things(tmp_path)
    (tmp_path / "thesis.txt").touch()
    assert holds_other_things(tmp_path)
    (tmp_path / "pushdesk.db").touch()
    assert not holds_other_things(tmp_path)
