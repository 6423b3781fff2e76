"""Files of a report are looked at before it is made, and are afterwards as they were."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pushdesk.cli.report_files import check_writable
from pushdesk.errors import StartUpError

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_made_and_nothing_is_lost(tmp_path: Path) -> None:
    there, new, link = tmp_path / "there", tmp_path / "new", tmp_path / "link"
    there.write_text("before")
    link.symlink_to(tmp_path / "elsewhere")
    for file in (there, new, link):
        check_writable("--json", file)
    assert sorted(tmp_path.iterdir()) == [link, there]
    assert there.read_text() == "before"


def test_a_pipe_is_left_to_who_reads_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Opening it would wait for a reader.
    check_writable("--json", pipe)


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(StartUpError, match=r"--svg: .*loop cannot be written: "):
        check_writable("--svg", loop)
