"""The report of how fast pushdesk is puts what its parts print into the document, and nothing else."""

from __future__ import annotations

import os
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from benchmarks.report import DOCUMENT, PARTS, SCALETEST, PartFailedError, command, machine, measure
from tests.figures import read_figures
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

FIGURES = "| what | figure |"
LEAVES_A_CHILD = """
import subprocess, sys, tempfile
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=subprocess.DEVNULL)
print(child.pid, tempfile.mkdtemp())
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Return a document with what was measured before."""
    path = tmp_path / "performance.md"
    path.write_text("Before.\n<!-- figures: growth -->\nold\n<!-- end: growth -->\nAfter.\n", encoding="utf-8")
    return path


def test_the_document_has_a_place_for_each_part() -> None:
    for part in PARTS:
        read_figures(DOCUMENT, part)


@pytest.mark.parametrize("part", [part for part in PARTS if part != SCALETEST])
def test_each_part_is_a_program_of_the_benchmarks(part: str) -> None:
    *_, name = command(part)
    assert find_spec(name) is not None


def test_the_script_names_each_part() -> None:
    said = (CHECKOUT / "scripts" / "performance-report").read_text(encoding="utf-8")
    assert [part for part in PARTS if part not in said] == []


def test_what_a_part_prints_stands_in_the_document_below_the_machine(document: Path) -> None:
    measure("growth", document, program=(sys.executable, "-c", f"print({FIGURES!r})"), limit_s=60)
    first, _, figures = read_figures(document, "growth").partition("\n\n")
    assert first.startswith(machine().partition("load average")[0])
    assert figures == FIGURES
    assert document.read_text(encoding="utf-8").startswith("Before.\n")
    assert document.read_text(encoding="utf-8").endswith("After.\n")


def test_the_text_of_the_scale_test_stands_as_it_is_below_its_picture(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"<!-- figures: {SCALETEST} -->\n<!-- end: {SCALETEST} -->\n", encoding="utf-8")
    measure(SCALETEST, document, program=(sys.executable, "-c", "print('wall time   26.1 s')"), limit_s=60)
    figures = read_figures(document, SCALETEST)
    assert "(scaletest.svg)" in figures
    assert figures.endswith("```\nwall time   26.1 s\n```")


@pytest.mark.parametrize(
    ("written", "limit_s", "said"),
    [
        (f"print({FIGURES!r}); raise SystemExit(3)", 60, "ended with 3"),
        ("pass", 60, "printed nothing"),
        (f"import time; print({FIGURES!r}, flush=True); time.sleep(600)", 0.5, "went on for"),
    ],
)
def test_a_part_that_fails_leaves_the_document_as_it_was(
    document: Path, written: str, limit_s: float, said: str
) -> None:
    with pytest.raises(PartFailedError, match=said):
        measure("growth", document, program=(sys.executable, "-c", written), limit_s=limit_s)
    assert read_figures(document, "growth") == "old"


def test_nothing_that_a_part_began_is_left_behind(document: Path) -> None:
    measure("growth", document, program=(sys.executable, "-c", LEAVES_A_CHILD), limit_s=60)
    pid, folder = read_figures(document, "growth").split()[-2:]
    assert not os.path.exists(folder)  # noqa: PTH110 - a line, not a path
    ends_at = time.monotonic() + 20
    while runs(int(pid)):
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether a process is there, and not only to be waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - a line
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
