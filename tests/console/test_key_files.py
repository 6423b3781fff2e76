"""Keys in files: what is read, and that nothing is overwritten."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pushdesk.console.key_files import LARGEST, check_new, read_key, write_new
from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_written_for_its_owner_only_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    assert write_new(str(file), "a key\n") == file
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_key(str(file)) == "a key\n"


def test_a_name_may_begin_at_home_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert write_new("~/one", "1") == tmp_path / "one"
    assert write_new("two", "2") == tmp_path / "two"
    assert read_key("~/two") == "2"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file, link, dangling = tmp_path / "file", tmp_path / "link", tmp_path / "dangling"
    file.write_text("mine")
    link.symlink_to(file)
    dangling.symlink_to(tmp_path / "elsewhere")
    for each in (file, link, dangling, tmp_path):
        for refuse in (check_new, lambda name: write_new(name, "new")):
            with pytest.raises(PushdeskError, match="is there already"):
                refuse(str(each))
    assert file.read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("absent/key.pem", "There is no folder"), ("nul\x00.pem", "cannot be made"), ("x" * 300, "cannot be made")],
)
def test_a_file_that_cannot_be_made_says_why(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(PushdeskError, match=reason):
        check_new(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_leaves_no_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PushdeskError, match="could not be written: no space left on device"):
        write_new(str(tmp_path / "key.pem"), "a key")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_key_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * (LARGEST + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    reasons = {
        "pipe": "is not a file",
        "": "is a",
        "large": "too large",
        "binary": "not a text",
        "absent": "no such file",
        "nul\x00": "could not be read",
        "~nobody-of-this-name/key": "a home directory that is not known",
    }
    for name, reason in reasons.items():
        with pytest.raises(PushdeskError, match=reason):
            read_key(name if name.startswith("~") else str(tmp_path / name))
