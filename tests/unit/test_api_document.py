"""docs/api.md, held against what travels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from msgspec import structs

from pushdesk import model

DOCUMENT: Final = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
SHAPES: Final = dict(re.findall(r"^- `(\w+)`: (.*(?:\n {2}.*)*)", DOCUMENT.split("\n## Shapes\n")[1], re.MULTILINE))


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_documented_with_the_fields_that_it_has(name: str) -> None:
    fields = {field.encode_name for field in structs.fields(getattr(model, name))}
    code = re.findall(r"`([^`]+)`", SHAPES[name])
    # What is said of a field stands in brackets after it.
    listed = re.sub(r"\([^()]*\)|\[[^\]]*\]|\{[^}]*\}|: \w+", "", code[0])
    assert {field.strip() for field in listed.split(",")} <= fields
    assert fields <= set(re.findall(r"\w+", " ".join(code)))


def test_every_noun_that_travels_by_itself_is_there() -> None:
    assert {"User", "Subscription", "Delivery", "Dispatch", "VapidKey", "Stats", "History", "LogEntry"} <= set(SHAPES)
