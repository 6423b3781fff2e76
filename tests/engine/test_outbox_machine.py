"""The outbox beside its model; and that the bugs which were planted for that can still be planted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.engine.outbox_machine import OutboxMachine
from tests.engine.outbox_mutants import DOCUMENT, FIGURES, MUTANTS, SOURCE, Mutant
from tests.figures import read_figures

if TYPE_CHECKING:
    from pathlib import Path

OutboxMachine.TestCase.settings = settings(
    max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestOutbox = OutboxMachine.TestCase


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.planted)
def test_what_was_planted_can_still_be_planted(mutant: Mutant, tmp_path: Path) -> None:
    copy = tmp_path / "pushdesk" / mutant.file
    copy.parent.mkdir(parents=True)
    original = (SOURCE / "pushdesk" / mutant.file).read_text(encoding="utf-8")
    copy.write_text(original, encoding="utf-8")
    mutant.plant(tmp_path)
    compile(copy.read_text(encoding="utf-8"), mutant.file, "exec")
    assert copy.read_text(encoding="utf-8") != original


def test_the_document_has_every_mutant_and_each_was_found() -> None:
    rows = [row.strip("| ").split(" | ") for row in read_figures(DOCUMENT, FIGURES).splitlines()[2:]]
    assert [planted for planted, _ in rows] == [mutant.planted for mutant in MUTANTS]
    assert not [planted for planted, found in rows if "not found" in found]
