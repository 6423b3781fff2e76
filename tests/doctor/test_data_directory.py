"""The data directory: modes, owners, disk and log."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pushdesk.cli.datadir import admin_token, open_data_directory
from pushdesk.doctor.data_directory import (
    FULL_BYTES,
    SCARCE_BYTES,
    Directory,
    Disk,
    Entry,
    judge_directory,
    judge_disk,
    judge_log,
    look_at_directory,
    look_at_disk,
    name_of,
)
from pushdesk.doctor.findings import Check, Finding, Level
from tests.doctor.surroundings import found

ME = os.geteuid()
ROOMY = Disk(free_bytes=10**11, free_files=10**6, is_read_only=False, kind="ext4")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    open_data_directory(path)
    admin_token(path, {})
    return path


def look(path: Path, *, holds_other_things: bool = False) -> list[Finding]:
    return judge_directory(look_at_directory(path, holds_other_things=holds_other_things))


def test_a_data_directory_as_pushdesk_makes_it_is_ok(data: Path) -> None:
    findings = look(data)
    assert {finding.check for finding in findings} == {Check.DATA_DIRECTORY, Check.OWNER, Check.MODES}
    assert {finding.level for finding in findings} == {Level.OK}


def test_one_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    (finding,) = look(tmp_path / "a" / "b")
    assert finding.level is Level.NOT_LOOKED_AT
    assert "first start" in finding.why


def test_one_that_cannot_be_made_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (finding,) = look(tmp_path / "file" / "data")
    assert finding.level is Level.BROKEN
    assert f"{tmp_path / 'file'} is no folder" in finding.what


def test_a_file_in_its_place_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o644)
    (finding,) = look(tmp_path / "file")
    assert (finding.check, finding.level) == (Check.DATA_DIRECTORY, Level.BROKEN)
    assert "chmod" not in finding.advice


def test_an_open_folder_and_open_files_are_broken_with_the_commands_that_close_them(data: Path) -> None:
    data.chmod(0o755)
    (data / "admin.token").chmod(0o640)
    (data / "pushdesk.db-wal").touch()
    (data / "pushdesk.db-wal").chmod(0o604)
    finding = found(look(data), Check.MODES)
    assert finding.level is Level.BROKEN
    assert "the folder (0755), admin.token (0640) and pushdesk.db-wal (0604)" in finding.what
    assert finding.advice == f"chmod 700 {data} && chmod 600 {data}/admin.token {data}/pushdesk.db-wal"
    for command in finding.advice.split(" && "):
        _, mode, *names = command.split()
        for name in names:
            Path(name).chmod(int(mode, 8))
    assert found(look(data), Check.MODES).level is Level.OK


def test_many_open_files_are_counted(data: Path) -> None:
    for number in range(10):
        (data / f"copy{number}").touch()
        (data / f"copy{number}").chmod(0o644)
    assert "and 7 more" in found(look(data), Check.MODES).what


def test_a_folder_of_other_things_that_others_may_read_is_broken_as_a_start_would_refuse_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.txt").touch()
    (tmp_path / "thesis.txt").chmod(0o644)
    (finding,) = look(tmp_path, holds_other_things=True)
    assert (finding.check, finding.level) == (Check.DATA_DIRECTORY, Level.BROKEN)
    assert finding.advice == "Name a folder of its own with --data-dir."
    tmp_path.chmod(0o700)
    findings = look(tmp_path, holds_other_things=True)
    assert [finding.check for finding in findings] == [Check.DATA_DIRECTORY, Check.OWNER]
    assert {finding.level for finding in findings} == {Level.OK}


def test_one_that_may_not_be_written_is_broken() -> None:
    itself = Entry("/data", 0o500, ME)
    directory = Directory(Path("/data"), ME, itself, problem="Permission denied")
    assert "cannot be used: Permission denied" in found(judge_directory(directory), Check.DATA_DIRECTORY).what


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_one_that_is_closed_to_us_is_broken(data: Path) -> None:
    data.chmod(0o500)
    assert found(look(data), Check.DATA_DIRECTORY).level is Level.BROKEN
    data.chmod(0o000)
    finding = found(look(data), Check.DATA_DIRECTORY)
    data.chmod(0o700)
    assert "Permission denied" in finding.what


def test_a_file_of_another_user_is_broken() -> None:
    itself = Entry("data", 0o700, ME)
    files = (Entry("pushdesk.db", 0o600, ME), Entry("pushdesk.db-wal", 0o600, ME + 1))
    finding = found(judge_directory(Directory(Path("/data"), ME, itself, files)), Check.OWNER)
    assert finding.level is Level.BROKEN
    assert finding.what.startswith("pushdesk.db-wal in /data")
    assert finding.advice == f"chown -R {name_of(ME)} /data"


def test_who_is_not_the_owner_is_warned() -> None:
    findings = judge_directory(Directory(Path("/data"), ME, Entry("data", 0o700, 4_000_000)))
    finding = found(findings, Check.OWNER)
    assert finding.level is Level.WARNING
    assert "sudo -u '#4000000' pushdesk doctor" in finding.advice


def test_this_machines_disk_is_seen(tmp_path: Path) -> None:
    disk = look_at_disk(tmp_path / "not" / "there")
    assert disk is not None
    assert disk.free_bytes > 0
    assert not disk.is_read_only
    assert disk.lock_problem == ""
    assert disk.kind is None or disk.kind.isprintable()


@pytest.mark.parametrize(
    ("disk", "check", "level"),
    [
        (ROOMY, Check.FILE_SYSTEM, Level.OK),
        (ROOMY, Check.DISK, Level.OK),
        (replace(ROOMY, kind=None, free_files=None), Check.DISK, Level.OK),
        (replace(ROOMY, free_bytes=SCARCE_BYTES - 1), Check.DISK, Level.WARNING),
        (replace(ROOMY, free_bytes=FULL_BYTES - 1), Check.DISK, Level.BROKEN),
        (replace(ROOMY, free_files=0), Check.DISK, Level.BROKEN),
        (replace(ROOMY, is_read_only=True), Check.FILE_SYSTEM, Level.BROKEN),
        (replace(ROOMY, lock_problem="No locks available"), Check.FILE_SYSTEM, Level.BROKEN),
        (replace(ROOMY, kind="nfs4"), Check.FILE_SYSTEM, Level.WARNING),
    ],
)
def test_what_is_said_of_a_disk(disk: Disk, check: Check, level: Level) -> None:
    assert found(judge_disk(disk), check).level is level


def test_a_log_that_others_may_read_or_that_nobody_rotates_is_a_warning(tmp_path: Path) -> None:
    log = tmp_path / "pushdesk.log"
    assert judge_log(log).level is Level.OK
    log.touch()
    log.chmod(0o644)
    assert judge_log(log).advice == f"chmod 600 {log}"
    log.chmod(0o600)
    assert judge_log(log).level is Level.OK
    os.truncate(log, 60_000_000)
    assert judge_log(log).level is Level.WARNING
    assert "60.0 MB" in judge_log(log).what


def test_a_log_that_is_a_folder_is_broken(tmp_path: Path) -> None:
    assert judge_log(tmp_path).level is Level.BROKEN


def test_a_log_to_a_device_is_none_that_grows() -> None:
    assert judge_log(Path("/dev/null")).level is Level.OK
