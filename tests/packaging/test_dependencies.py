"""What the package imports is what it says that it needs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.programs import CHECKOUT


def normalized(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """Return the top-level modules that the package imports, but for Python's own."""
    modules = set()
    for source in (CHECKOUT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add((node.module or "").partition(".")[0])
    return modules - sys.stdlib_module_names - {"pushdesk"}


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {normalized(re.split(r"[\[<>=~! ;]", line)[0]) for line in project["dependencies"]}
    distributions = packages_distributions()
    undeclared = {
        module for module in imported() if declared.isdisjoint(normalized(name) for name in distributions[module])
    }
    assert undeclared == set()
