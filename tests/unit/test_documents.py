"""What the documents say is there: the files they point to, the commands and the flags they name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from pushdesk.cli.app import app
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
ELSEWHERE = {"--json"}
"""Flags of other programs: curl's."""


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """Ask every command for its help; under the empty name, that of `pushdesk` itself."""
    commands = [command.callback.__name__ for command in app.registered_commands if command.callback]
    helps = {name: CliRunner().invoke(app, [name, "--help"]).output for name in commands}
    return {"": CliRunner().invoke(app, ["--help"]).output, **helps}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\[[^]]*\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_flags_exist(document: Path, helps: dict[str, str]) -> None:
    written = document.read_text(encoding="utf-8")
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", written)) - ELSEWHERE
    known = set(re.findall(r"--[a-z][a-z-]+", "".join(helps.values())))
    assert flags <= known
    commands = set(re.findall(r"(?:`|^|\$ )(?:pushdesk|\./scripts/run) ([a-z]+)(?![a-z:])", written, re.MULTILINE))
    assert commands <= set(helps)
