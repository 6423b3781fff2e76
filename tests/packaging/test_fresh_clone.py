"""The README's two commands, in a fresh clone and an empty environment; and what they say where they cannot work."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from pushdesk import __version__
from tests.programs import CHECKOUT, run

if TYPE_CHECKING:
    from pathlib import Path

SETTING_UP = "setting up .venv"


@pytest.mark.clone
@pytest.mark.timeout(300)
@pytest.mark.skipif(not (CHECKOUT / ".git").exists(), reason="not a checkout: there is nothing to clone")
async def test_both_commands_work_in_a_fresh_clone_and_set_up_once(environment: dict[str, str], tmp_path: Path) -> None:
    clone = tmp_path / "pushdesk"
    cloned = await run("git", "clone", "--quiet", str(CHECKOUT), str(clone), env=environment)
    assert cloned.code == 0, cloned.err

    first = await run("./scripts/run", "--version", env=environment, cwd=clone, timeout_s=200)
    assert (first.code, first.out) == (0, f"pushdesk {__version__}\n"), first.err
    assert SETTING_UP in first.err

    second = await run(str(clone / "scripts" / "run"), "--version", env=environment, cwd=tmp_path)
    assert second == (0, f"pushdesk {__version__}\n", "")

    tested = await run("./scripts/test", "tests/unit/test_config.py", env=environment, cwd=clone, timeout_s=200)
    assert tested.code == 0, tested.out + tested.err
    assert SETTING_UP in tested.err
    assert " passed" in tested.out.splitlines()[-1]

    # What was set up to test serves to run; and nothing that git would see was left behind.
    third = await run("./scripts/run", "--version", env=environment, cwd=clone)
    assert third == (0, f"pushdesk {__version__}\n", "")
    status = await run("git", "status", "--porcelain", env=environment, cwd=clone)
    assert status.out == ""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Make a folder of programs without a Python; tests add one that is not good enough."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "sha256sum", "dirname", "env"):
        (programs / name).symlink_to(shutil.which(name) or name)
    shutil.copytree(CHECKOUT / "scripts", tmp_path / "checkout" / "scripts")
    shutil.copytree(CHECKOUT / "requirements", tmp_path / "checkout" / "requirements")
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path / "checkout")
    return programs


def install_python(machine: Path, *, version: str, refuses: str) -> None:
    """Install what answers like a Python of a version that fails on code with a word in it."""
    program = machine / "python3"
    program.write_text(
        f'#!/usr/bin/env bash\nif [ "$1" = -V ]; then echo "Python {version}"; exit; fi\n'
        f'case "$2" in *{refuses}*) exit 1;; esac\n'
    )
    program.chmod(0o755)


@pytest.mark.parametrize("command", ["run", "test"])
@pytest.mark.parametrize(
    ("version", "refuses", "line"),
    [
        (None, "", "pushdesk: there is no python3. On Debian: sudo apt install python3 python3-venv\n"),
        ("3.9.2", "version_info", "pushdesk: Python 3.9.2 is too old, 3.11 or later is needed. "),
        (
            "3.11.2",
            "ensurepip",
            "pushdesk: this Python makes no virtual environments. On Debian: sudo apt install python3-venv\n",
        ),
    ],
)
async def test_a_machine_that_lacks_something_gets_one_line(
    machine: Path, command: str, version: str | None, refuses: str, line: str
) -> None:
    if version is not None:
        install_python(machine, version=version, refuses=refuses)
    checkout = machine.parent / "checkout"
    finished = await run(f"./scripts/{command}", env={"PATH": str(machine)}, cwd=checkout)
    assert finished.code == 2
    assert finished.out == ""
    assert finished.err.startswith(line)
    assert finished.err.count("\n") == 1
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("command", ["run", "test"])
@pytest.mark.parametrize("kind", ["an environment", "a folder of hidden files", "a link", "a file"])
async def test_an_environment_of_somebody_elses_is_left_alone(machine: Path, command: str, kind: str) -> None:
    install_python(machine, version="3.11.2", refuses="nothing")
    checkout = machine.parent / "checkout"
    theirs = machine.parent / "theirs"
    kept = theirs / (".hidden" if kind == "a folder of hidden files" else "pyvenv.cfg")
    theirs.mkdir()
    kept.write_text("theirs")
    if kind == "a link":
        (checkout / ".venv").symlink_to(theirs)
    elif kind == "a file":
        (checkout / ".venv").write_text("theirs")
        kept = checkout / ".venv"
    else:
        kept = theirs.rename(checkout / ".venv") / kept.name

    finished = await run(f"./scripts/{command}", env={"PATH": str(machine)}, cwd=checkout)
    line = "there is a .venv that this script did not make, and will not overwrite: move it away or delete it."
    assert finished == (1, "", f"pushdesk: {line}\n")
    assert kept.read_text() == "theirs"


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "one that was made elsewhere"])
async def test_an_environment_that_could_not_be_finished_is_begun_anew(machine: Path, left: str) -> None:
    # As if the disk were full, or somebody pressed ctrl+c, when pip is put into it.
    program = machine / "python3"
    program.write_text(
        f'#!/usr/bin/env bash\nif [ "$*" = "-m venv .venv" ]; then exit 1; fi\nexec {sys.executable} "$@"\n'
    )
    program.chmod(0o755)
    environment = machine.parent / "checkout" / ".venv"
    if left != "nothing":
        environment.mkdir()
    if left == "one that was made elsewhere":
        (environment / "made-at").write_text("/elsewhere Python 3.10.1")
        (environment / ".left").write_text("")
    for _ in range(2):
        finished = await run("./scripts/run", env={"PATH": str(machine)}, cwd=environment.parent)
        assert (finished.code, finished.out) == (2, "")
        assert finished.err.endswith("pushdesk: the virtual environment could not be made.\n")
        assert (environment / "pyvenv.cfg").exists()
        assert not (environment / ".left").exists()
        (environment / ".left").write_text("")


def test_the_commands_can_be_executed() -> None:
    for name in ("scripts/run", "scripts/test", "scripts/lock", ".ci/run"):
        assert os.access(CHECKOUT / name, os.X_OK), name
