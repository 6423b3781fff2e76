"""How many cores there are to be used, and how many sender processes follow from that."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pushdesk.cores import senders_by_default, usable_cores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


def cores(folder: Path, name: str, **limits: str) -> int:
    """Return how many there are in a cgroup with these limits, by the group's name."""
    for group, limit in limits.items():
        place = folder if group == "root" else folder / group.replace("_", "/")
        place.mkdir(parents=True, exist_ok=True)
        (place / "cpu.max").write_text(limit)
    own = folder / "own"
    own.write_text(name)
    return usable_cores(cgroups=folder, own=own)


def test_without_a_cgroup_it_is_what_the_process_is_bound_to(tmp_path: Path) -> None:
    assert usable_cores(cgroups=tmp_path, own=tmp_path / "none") == 8


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("350000 100000\n", 3),
        ("50000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("nonsense", 8),
        ("1 0", 8),
    ],
)
def test_a_cgroup_takes_of_them(tmp_path: Path, limit: str, expected: int) -> None:
    assert cores(tmp_path, "0::/\n", root=limit) == expected


def test_the_narrowest_of_those_around_it_counts(tmp_path: Path) -> None:
    assert cores(tmp_path, "0::/a/b\n", a="300000 100000", a_b="max 100000") == 3


def test_an_old_cgroup_says_nothing(tmp_path: Path) -> None:
    assert cores(tmp_path, "4:cpu:/a\n", a="100000 100000") == 8


@pytest.mark.parametrize(("number", "expected"), [(1, 1), (2, 1), (3, 2), (64, 63), (500, 64)])
def test_one_core_is_left_to_the_engine(number: int, expected: int) -> None:
    assert senders_by_default(number) == expected
