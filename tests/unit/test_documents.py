"""What the documents say is there: the files they point to, the commands and the flags they name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from pushdesk.cli.app import app
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
ELSEWHERE = {"--json"}
"""Flags of other programs: curl's."""


def commands(group: TyperGroup, *above: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, those of groups and of the commands in them; first none, `pushdesk` itself."""
    yield above
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *above, name)
        else:
            yield (*above, name)


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """Ask every command for its help; under the empty name, that of `pushdesk` itself."""
    top = get_command(app)
    assert isinstance(top, TyperGroup)
    return {" ".join(words): CliRunner().invoke(app, [*words, "--help"]).output for words in commands(top)}


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
    groups = {name.partition(" ")[0] for name in helps if " " in name}
    for command, word in re.findall(
        r"(?:`|^|\$ )(?:pushdesk|\./scripts/run) ([a-z]+)(?: ([a-z]+))?(?![a-z:])", written, re.MULTILINE
    ):
        assert command in helps
        if command in groups and word:
            assert f"{command} {word}" in helps
