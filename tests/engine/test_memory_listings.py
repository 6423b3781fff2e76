"""The listings of the subscription cache and of the log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pushdesk.engine.memory_listings import cache_page, log_page
from pushdesk.engine.shelf import Entry
from pushdesk.errors import PushdeskError
from pushdesk.model import LogEntry, LogLevel, PageQuery, PushTarget, Service
from pushdesk.storage.records import Targets


def entry(user: str, *, generation: int = 1, devices: int = 1, read_at: float = 0.0, ends_at: float = 180.0) -> Entry:
    target = PushTarget("s", 1, user, Service.OTHER, "0" * 8, "Firefox", "https://push.example/a", b"p", b"a")
    return Entry(user, Targets(generation, (target,) * devices), read_at, ends_at)


HELD = [
    entry("joanna", generation=7, devices=0, read_at=30.0, ends_at=60.0),
    entry("anna", generation=9, devices=2, read_at=10.0, ends_at=190.0),
    entry("bert", generation=8, devices=5, read_at=20.0, ends_at=170.0),
]


@pytest.mark.parametrize(
    ("sort", "users"),
    [
        ("", ["joanna", "bert", "anna"]),
        ("age", ["joanna", "bert", "anna"]),
        ("-age", ["anna", "bert", "joanna"]),
        ("time_left", ["joanna", "bert", "anna"]),
        ("user", ["anna", "bert", "joanna"]),
        ("generation", ["joanna", "bert", "anna"]),
        ("devices", ["joanna", "anna", "bert"]),
        ("-size", ["bert", "anna", "joanna"]),
    ],
)
def test_the_cache_is_sorted_by_every_field_that_it_shows(sort: str, users: list[str]) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while len(seen) < len(HELD):
        page = cache_page(HELD, PageQuery(sort=sort, limit=1, cursor=cursor), now=50.0)
        seen += [one.user for one in page.items]
        cursor = page.next
    assert (seen, cursor) == (users, None)


def test_an_entry_of_the_cache_is_shown_as_of_now() -> None:
    (one,) = cache_page(HELD, PageQuery(filter="bert"), now=50.0).items
    assert (one.user, one.generation, one.devices, one.age_s, one.time_left_s) == ("bert", 8, 5, 30.0, 120.0)
    assert one.size > 0


@pytest.mark.parametrize("sort", ["age", "-age", "time_left", "-time_left"])
def test_time_that_passes_between_two_pages_of_the_cache_repeats_and_loses_nobody(sort: str) -> None:
    first = cache_page(HELD, PageQuery(sort=sort, limit=2), now=50.0)
    second = cache_page(HELD, PageQuery(sort=sort, limit=2, cursor=first.next), now=59.5)
    assert sorted(one.user for one in (*first.items, *second.items)) == ["anna", "bert", "joanna"]


def test_a_user_who_is_evicted_between_two_pages_takes_no_other_along() -> None:
    first = cache_page(HELD, PageQuery(limit=1), now=50.0)
    left = [one for one in HELD if one.user != first.items[-1].user]
    second = cache_page(left, PageQuery(limit=1, cursor=first.next), now=50.0)
    assert [one.user for one in second.items] == ["bert"]


def test_the_filter_of_the_cache_is_a_part_of_the_users_id() -> None:
    assert [one.user for one in cache_page(HELD, PageQuery(filter="anna", sort="user"), now=50.0).items] == [
        "anna",
        "joanna",
    ]
    assert cache_page(HELD, PageQuery(filter="Anna"), now=50.0).items == ()


def line(seq: int, level: LogLevel, event: str, **fields: Any) -> LogEntry:
    return LogEntry(seq, datetime(2026, 1, 1, tzinfo=UTC), level, event, "pushdesk", fields)


LOG = [
    line(1, LogLevel.INFO, "server_started", url="http://localhost:8484"),
    line(2, LogLevel.DEBUG, "request_answered", status=404, path="/info"),
    line(3, LogLevel.ERROR, "stats_failed", error="disk I/O error"),
    line(4, LogLevel.WARNING, "error_told", retry=True, devices=["one", "two"]),
    line(5, LogLevel.CRITICAL, "worker_died", none=None),
]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("debug", [5, 4, 3, 2, 1]),
        ("info", [5, 4, 3, 1]),
        ("warning", [5, 4, 3]),
        ("error", [5, 3]),
        ("critical", [5]),
        ("INFO", [5, 4, 3, 1]),
        ("Error", [5, 3]),
        ("_failed", [3]),
        ("rror", [4, 3]),
        ("localhost", [1]),
        ("404", [2]),
        ("/info", [2]),
        ("true", [4]),
        ("two", [4]),
        ("pushdesk", []),
        ("Server", []),
        ("^server", [1]),
        ("^rror", []),
        ("disk I/O", [3]),
        ("warning two", [4]),
        ("ERROR  disk I/O", [3]),
        ("warning 404", []),
        ("debug ^request", [2]),
        ("warning ", [5, 4, 3]),
    ],
)
def test_the_filter_of_the_log_is_a_level_or_a_part_of_what_was_written_or_both(text: str, numbers: list[int]) -> None:
    assert [one.seq for one in log_page(LOG, PageQuery(filter=text)).items] == numbers


def test_the_log_is_paged_from_either_end_while_it_moves_on() -> None:
    newest = log_page(LOG, PageQuery(limit=2))
    moved_on = [*LOG[4:], line(6, LogLevel.INFO, "more")]
    assert [one.seq for one in newest.items] == [5, 4]
    assert log_page(moved_on, PageQuery(limit=2, cursor=newest.next)).items == ()
    oldest = log_page(LOG, PageQuery(limit=2, sort="seq"))
    assert [one.seq for one in log_page(moved_on, PageQuery(sort="seq", cursor=oldest.next)).items] == [5, 6]


def test_what_cannot_be_sorted_by_is_a_bad_field() -> None:
    for sort in ("level", "time", "-"):
        with pytest.raises(PushdeskError) as refused:
            log_page(LOG, PageQuery(sort=sort))
        assert refused.value.fields == ("sort",)
        with pytest.raises(PushdeskError) as refused:
            cache_page(HELD, PageQuery(sort=sort), now=0.0)
        assert refused.value.fields == ("sort",)
