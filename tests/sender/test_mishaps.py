"""The reckoning of processes that die: who is to be sent alone, and who is not to be sent any more."""

from __future__ import annotations

from pushdesk.engine.mishaps import REMEMBERED, Mishaps


def test_a_push_is_a_suspect_from_the_second_loss_on() -> None:
    mishaps = Mishaps()
    assert not mishaps.is_suspect("one")
    mishaps.lost_among_others(["one", "two"])
    assert not mishaps.is_suspect("one")
    mishaps.lost_among_others(["one"])
    assert mishaps.is_suspect("one")
    assert not mishaps.is_suspect("two")


def test_it_is_guilty_when_it_was_lost_alone_twice() -> None:
    mishaps = Mishaps()
    assert not mishaps.lost_alone("one")
    assert mishaps.lost_alone("one")
    assert not mishaps.lost_alone("one"), "the reckoning begins anew"


def test_an_answer_clears_a_suspect() -> None:
    mishaps = Mishaps()
    mishaps.lost_among_others(["one"])
    mishaps.lost_among_others(["one"])
    mishaps.lost_alone("one")
    mishaps.answered("one")
    assert not mishaps.is_suspect("one")
    assert not mishaps.lost_alone("one")


def test_memory_is_bounded_and_the_oldest_are_forgotten() -> None:
    mishaps = Mishaps()
    for _ in range(2):
        mishaps.lost_among_others(["first"])
    mishaps.lost_among_others(map(str, range(REMEMBERED - 1)))
    assert mishaps.is_suspect("first")
    mishaps.lost_among_others(["last"])
    assert not mishaps.is_suspect("first")
