"""Planted bugs, each of which the explorer finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.figures import read_figures
from tests.schedules.explorer import Explorer
from tests.schedules.invariants import INVARIANTS, broken, broken_at_rest
from tests.schedules.mutants import MORE_MUTANTS, MUTANTS, SURVIVORS, Mutant
from tests.schedules.report import DEPTH, DOCUMENT
from tests.schedules.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence


def _rows(figures: str) -> list[list[str]]:
    lines = read_figures(DOCUMENT, figures).splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


DOCUMENTED = {name: rest for name, *rest in _rows("mutants") + _rows("more mutants")}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", [*MUTANTS, *MORE_MUTANTS], ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    found = Explorer(mutant.plant()).explore(DEPTH)
    assert found is not None
    assert found.broken.partition(":")[0] in INVARIANTS


@pytest.mark.parametrize("mutant", [*MUTANTS, *MORE_MUTANTS], ids=lambda mutant: mutant.name)
def test_the_schedule_in_the_document_shows_the_bug(mutant: Mutant) -> None:
    schedule, _, rest = DOCUMENTED[mutant.name][1].strip("`").partition("·")
    *before, last = (schedule + rest).split()
    world = mutant.plant()()
    for action in before:
        world.act(action)
        assert broken(world) is None
    world.act(last)
    assert (broken(world) or broken_at_rest(world)) == DOCUMENTED[mutant.name][2]

    unchanged = World()
    for action in schedule.split():
        unchanged.act(action)
        assert broken(unchanged) is None


def test_every_invariant_is_broken_by_one_of_them() -> None:
    assert {shown.partition(":")[0] for _, _, shown, *_ in DOCUMENTED.values()} == set(INVARIANTS)


@pytest.mark.parametrize("mutant", SURVIVORS, ids=lambda mutant: mutant.name)
def test_a_change_that_breaks_nothing_is_not_taken_for_a_bug(mutant: Mutant) -> None:
    assert Explorer(mutant.plant()).explore(4) is None


@pytest.mark.parametrize(
    ("figures", "mutants"), [("mutants", MUTANTS), ("more mutants", MORE_MUTANTS), ("survivors", SURVIVORS)]
)
def test_the_document_has_every_mutant(figures: str, mutants: Sequence[Mutant]) -> None:
    assert [(name, planted) for name, planted, *_ in _rows(figures)] == [(m.name, m.planted) for m in mutants]


def test_the_thirteen_bugs_of_the_design_are_planted() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == 13


@pytest.mark.parametrize("old", ["what the source does not have", "self"], ids=["missing", "ambiguous"])
def test_a_mutant_whose_place_in_the_source_is_not_clear_is_refused(old: str) -> None:
    with pytest.raises(ValueError, match="bring 'outdated' up to date"):
        Mutant("outdated", "", ((old, ""),)).plant()
