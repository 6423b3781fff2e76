"""Which entries give way when there is no more room."""

from __future__ import annotations

from pushdesk.engine.shelf import Entry, Shelf
from pushdesk.storage.records import Targets
from tests.engine.cache_bench import target


def _entry(user: str) -> Entry:
    return Entry(user, Targets(1, ()), started_at=0.0, expires_at=180.0)


def _full() -> Shelf:
    entries = [_entry(user) for user in ("a", "b", "c")]
    shelf = Shelf(sum(entry.size for entry in entries))
    for entry in entries:
        assert shelf.put(entry) == []
    return shelf


def test_the_least_recently_used_entry_gives_way() -> None:
    shelf = _full()
    shelf.find("a")
    assert [entry.user for entry in shelf.put(_entry("d"))] == ["b"]
    assert [entry.user for entry in shelf.all()] == ["d", "a", "c"]


def test_a_look_is_no_use() -> None:
    shelf = _full()
    shelf.peek("a")
    assert [entry.user for entry in shelf.put(_entry("d"))] == ["a"]


def test_what_replaces_an_entry_takes_its_place() -> None:
    shelf = _full()
    assert shelf.put(_entry("a")) == []
    assert [entry.user for entry in shelf.put(_entry("d"))] == ["a"]


def test_an_entry_that_is_too_large_on_its_own_is_not_held() -> None:
    entry = _entry("a")
    shelf = Shelf(entry.size - 1)
    assert shelf.put(entry) == [entry]
    assert (len(shelf), shelf.size) == (0, 0)


def test_an_entry_that_is_too_large_pushes_out_nobody_but_the_users_own() -> None:
    shelf = _full()
    targets = Targets(2, (target("phone"), target("laptop"), target("x" * shelf.size)))
    large = Entry("b", targets, started_at=0.0, expires_at=180.0)
    assert shelf.put(large) == [large]
    assert [entry.user for entry in shelf.all()] == ["c", "a"]
    assert shelf.size == sum(entry.size for entry in shelf.all())
