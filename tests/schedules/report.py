"""Prints what the explorer finds into docs/cache.md: `scripts/cache-report`."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Final

from tests.figures import table, write_figures
from tests.programs import CHECKOUT
from tests.schedules.actions import ACTIONS
from tests.schedules.explorer import Explorer
from tests.schedules.invariants import INVARIANTS
from tests.schedules.mutants import MORE_MUTANTS, MUTANTS, SURVIVORS, Mutant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.schedules.explorer import Counterexample

DOCUMENT: Final = CHECKOUT / "docs" / "cache.md"
DEPTH: Final = 6
"""Of every run."""
HURRIED_DEPTH: Final = 3
"""Of the schedules at whose end two actions overlap."""


def main() -> None:
    """Explore, and write what comes of it into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "seconds",
        type=float,
        nargs="?",
        default=0.0,
        help=f"how long to go on beyond {DEPTH} actions; default: not at all",
    )
    seconds = parser.parse_args().seconds
    write_figures(DOCUMENT, "actions", table(("action", "what happens"), [*_code(ACTIONS)]))
    write_figures(DOCUMENT, "invariants", table(("", "what must hold"), [*INVARIANTS.items()]))
    write_figures(DOCUMENT, "mutants", _mutants(MUTANTS))
    write_figures(DOCUMENT, "more mutants", _mutants(MORE_MUTANTS))
    write_figures(DOCUMENT, "survivors", _survivors())
    write_figures(DOCUMENT, "overlaps", _overlaps())
    write_figures(DOCUMENT, "clean run", _clean_run(seconds))


def _code(names: dict[str, str]) -> list[tuple[object, ...]]:
    return [(f"`{name}`", text) for name, text in names.items()]


def _mutants(mutants: Sequence[Mutant]) -> str:
    rows: list[tuple[object, ...]] = []
    for mutant in mutants:
        explorer, began_at = Explorer(mutant.plant()), time.perf_counter()
        found = explorer.explore(DEPTH)
        if found is None:
            sys.exit(f"{mutant.name} is not found with {DEPTH} actions.")
        seconds = f"{time.perf_counter() - began_at:.2f}"
        rows.append((mutant.name, mutant.planted, f"`{found}`", found.broken, explorer.schedules, seconds))
    return table(("mutant", "what is planted", "schedule", "what it shows", "tried", "seconds"), rows)


def _survivors() -> str:
    return table(("mutant", "why nothing breaks"), [(mutant.name, mutant.planted) for mutant in SURVIVORS])


def _clean_run(seconds: float) -> str:
    explorer, began_at = Explorer(), time.perf_counter()
    rows: list[tuple[object, ...]] = []

    def went_on_for_long_enough() -> bool:
        return explorer.depth >= DEPTH and time.perf_counter() - began_at > seconds

    while True:
        depth = explorer.depth + 1
        _expect_nothing(explorer.explore(depth, give_up=went_on_for_long_enough))
        if explorer.depth < depth:
            return table(("actions", "states", "schedules", "seconds"), rows)
        rows.append((depth, explorer.states, explorer.schedules, f"{time.perf_counter() - began_at:.1f}"))


def _overlaps() -> str:
    explorer = Explorer()
    _expect_nothing(explorer.explore(HURRIED_DEPTH))
    before, began_at = explorer.schedules, time.perf_counter()
    _expect_nothing(explorer.hurry())
    schedules, seconds = explorer.schedules - before, f"{time.perf_counter() - began_at:.1f}"
    return table(("actions before", "schedules", "seconds"), [(HURRIED_DEPTH, schedules, seconds)])


def _expect_nothing(found: Counterexample | None) -> None:
    if found is not None:
        sys.exit(f"{found} shows: {found.broken}")


if __name__ == "__main__":
    main()
