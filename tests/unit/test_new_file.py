"""Files for a secret: whose they are, and what is left of them after an error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pushdesk.new_file import NewFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_its_owner_may_read_it_and_nobody_else_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with NewFile(tmp_path / "key") as file:
            file.fill("a key, schlüssel\n")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key").read_text(encoding="utf-8") == "a key, schlüssel\n"


def test_after_an_error_there_is_no_file_even_if_it_was_filled(tmp_path: Path) -> None:
    def fail(text: str) -> None:
        with NewFile(tmp_path / "key") as file:
            file.fill(text)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail("a key")
    assert list(tmp_path.iterdir()) == []


def test_after_an_error_there_is_no_file_even_if_it_cannot_be_closed(tmp_path: Path) -> None:
    def fail() -> None:
        with NewFile(tmp_path / "key") as file:
            os.close(file._handle)
            raise KeyboardInterrupt

    with pytest.raises(OSError, match="Bad file descriptor"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    file, dangling = tmp_path / "file", tmp_path / "dangling"
    file.write_text("mine")
    dangling.symlink_to(tmp_path / "elsewhere")
    for each in (file, dangling, tmp_path):
        with pytest.raises(FileExistsError):
            NewFile(each)
    assert file.read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
