"""The last lines of the log in memory: the newest thousand, in order, from any thread."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pushdesk.log_ring import LogRing
from pushdesk.model import LogLevel

if TYPE_CHECKING:
    from pushdesk.model import LogEntry

TIME = datetime(2026, 1, 2, tzinfo=UTC)


def add(ring: LogRing, event: str) -> None:
    ring.add(TIME, LogLevel.INFO, event, "pushdesk", {"left": 1})


def test_the_newest_thousand_lines_are_held_the_oldest_first() -> None:
    ring = LogRing()
    for number in range(1, 1502):
        add(ring, f"event_{number}")
    entries = ring.entries()
    assert [entry.seq for entry in entries] == list(range(502, 1502))
    assert (entries[0].event, entries[-1].event) == ("event_502", "event_1501")
    assert entries[0].fields == {"left": 1}


def test_a_listener_hears_of_every_line_until_it_stops_listening() -> None:
    ring = LogRing()
    heard: list[LogEntry] = []
    add(ring, "before")
    with ring.listen(heard.append):
        add(ring, "meanwhile")
    add(ring, "after")
    assert [entry.event for entry in heard] == ["meanwhile"]


def test_lines_of_two_threads_are_numbered_and_heard_in_one_order() -> None:
    ring = LogRing()
    heard: list[LogEntry] = []
    begin = threading.Barrier(2)

    def write() -> None:
        begin.wait()
        for _ in range(2000):
            add(ring, "written")

    threads = [threading.Thread(target=write) for _ in range(2)]
    with ring.listen(heard.append):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [entry.seq for entry in heard] == list(range(1, 4001))
    assert ring.entries() == tuple(heard[-1000:])


def test_a_listener_may_ask_for_what_is_held() -> None:
    ring = LogRing()
    held: list[int] = []
    with ring.listen(lambda _: held.append(len(ring.entries()))):
        add(ring, "first")
        add(ring, "second")
    assert held == [1, 2]
