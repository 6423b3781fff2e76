"""The cache, in every schedule of so many actions."""

from __future__ import annotations

import pytest

from tests.figures import read_figures
from tests.schedules.actions import ACTIONS
from tests.schedules.explorer import Explorer
from tests.schedules.invariants import INVARIANTS
from tests.schedules.report import DEPTH, DOCUMENT, HURRIED_DEPTH
from tests.schedules.world import World


@pytest.mark.timeout(900)
def test_nothing_breaks_in_any_schedule() -> None:
    explorer = Explorer()
    assert explorer.explore(DEPTH) is None
    assert explorer.depth == DEPTH
    assert explorer.states > 80_000
    assert explorer.schedules > 150_000


@pytest.mark.timeout(900)
def test_nothing_breaks_when_two_actions_overlap() -> None:
    explorer = Explorer()
    assert explorer.explore(HURRIED_DEPTH) is None
    before = explorer.schedules
    assert explorer.hurry() is None
    assert explorer.schedules - before > 25_000


def test_nothing_breaks_when_the_cache_is_off() -> None:
    explorer = Explorer(lambda: World(ttl_s=0.0))
    assert explorer.explore(4) is None
    assert explorer.states > 500


@pytest.mark.parametrize(("figures", "names"), [("actions", ACTIONS), ("invariants", INVARIANTS)])
def test_the_document_has_the_actions_and_the_invariants(figures: str, names: dict[str, str]) -> None:
    rows = [row.strip("|").split("|") for row in read_figures(DOCUMENT, figures).splitlines()[2:]]
    assert {name.strip(" `"): text.strip() for name, text in rows} == names
