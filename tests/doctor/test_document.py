"""docs/doctor.md has every check, and every level that the code gives it."""

from __future__ import annotations

import ast
import re

import pytest

from pushdesk.doctor.findings import Check
from tests.programs import CHECKOUT

COLUMNS = {"warning": 1, "broken": 2}


def rows() -> dict[str, list[str]]:
    """Return the cells of the table of checks, by the name in the first."""
    written = (CHECKOUT / "docs" / "doctor.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (`[a-z0-9_]+\.[a-z0-9_]+`) \|(.*)\|$", written, re.MULTILINE)
    return {name.strip("`"): [name, *(cell.strip() for cell in cells.split("|"))] for name, cells in lines}


def said() -> set[tuple[str, str]]:
    """Return which functions of `findings.py` are called with which checks, where the code names both."""
    calls = set()
    for source in (CHECKOUT / "src" / "pushdesk" / "doctor").glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                first = node.args[0]
                if isinstance(first, ast.Attribute) and isinstance(first.value, ast.Name) and first.value.id == "Check":
                    calls.add((node.func.id, first.attr))
    return calls


def test_every_check_stands_in_the_document_in_its_order() -> None:
    assert list(rows()) == list(Check)


def test_every_check_has_a_row_with_an_advice() -> None:
    assert [name for name, cells in rows().items() if len(cells) != 4 or not cells[3]] == []


@pytest.mark.parametrize("level", COLUMNS)
def test_every_warning_and_fault_that_the_code_names_is_documented(level: str) -> None:
    named = {Check[name] for function, name in said() if function == level}
    assert len(named) > 10
    assert [check for check in named if not rows()[check][COLUMNS[level]]] == []


def test_every_check_is_made() -> None:
    made = "".join(source.read_text() for source in (CHECKOUT / "src" / "pushdesk" / "doctor").glob("*.py"))
    assert [check.name for check in Check if made.count(f"Check.{check.name}") == 0] == []
