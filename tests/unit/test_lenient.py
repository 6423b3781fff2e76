"""What is understood of a server of another version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import structs

from pushdesk.desk import AnyEvent, DeliveryChanged, Gap, StatsChanged
from pushdesk.lenient import MOST_LEFT_OUT, understand
from pushdesk.model import (
    CacheChange,
    Delivery,
    History,
    Measure,
    Outcome,
    Page,
    Remedy,
    Scope,
    Service,
    Span,
    Stats,
    Verdict,
    VerdictCode,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DELIVERY = Delivery("delivery", "dispatch", "ada", "sub", Service.FCM, Outcome.ACCEPTED, NOON, status=201)
STATS = Stats(NOON, "0.9.0", "http://localhost:8484", NOON, "sqlite", "7f3a92aa", NOON, users=3)
EVENTS = tuple[AnyEvent, ...]


def wire(value: object, **others: object) -> dict[str, Any]:
    """Return what travels of a value, with other fields."""
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return fields | others


def event(kind: str, seq: int, **fields: object) -> Mapping[str, object]:
    return {"type": kind, "seq": seq, "time": "2026-11-22T12:00:00Z", **fields}


def encode(value: object) -> bytes:
    return msgspec.json.encode(value)


def test_what_is_of_this_version_is_whole() -> None:
    events = (DeliveryChanged(1, NOON, DELIVERY), StatsChanged(2, NOON, STATS))
    assert understand(encode(events), EVENTS) == (events, 0)


def test_fields_that_are_not_known_are_passed_over() -> None:
    assert understand(encode(wire(STATS, weather="fair")), Stats) == (STATS, 0)
    assert understand(encode([event("gap", 4, until=9)]), EVENTS) == ((Gap(4, NOON),), 0)


def test_events_that_cannot_be_read_are_left_out_of_their_batch() -> None:
    batch = [
        event("delivery", 1, delivery=wire(DELIVERY)),
        event("weather", 2),
        event("delivery", 3, delivery=wire(DELIVERY, outcome="vanished")),
        event("delivery", 4, delivery={"id": "delivery"}),
        event("gap", 5),
        "gap",
    ]
    assert understand(encode(batch), EVENTS) == ((DeliveryChanged(1, NOON, DELIVERY), Gap(5, NOON)), 4)


def test_rows_that_cannot_be_read_are_left_out_of_their_page() -> None:
    rows = [wire(DELIVERY), wire(DELIVERY, service="semaphore"), wire(DELIVERY, next_attempt_at="soon")]
    page, left_out = understand(encode({"items": rows, "next": "cursor"}), Page[Delivery])
    # What a row can do without takes its default.
    assert page == Page((DELIVERY, DELIVERY), "cursor")
    assert left_out == 2


def test_figures_that_cannot_be_read_are_left_out_of_the_state() -> None:
    said = wire(
        STATS,
        outcomes={"accepted": 4, "vanished": 2},
        services=[{"service": "fcm", "sent": 7}, {"service": "semaphore"}],
        cache={"entries": 5, "counts": {"hit": 9, "guessed": 1}, "ttl_s": "long"},
        warnings=["Mind the gap."],
    )
    stats, left_out = understand(encode(said), Stats)
    assert left_out == 4
    assert (stats.users, stats.warnings, stats.outcomes) == (3, ("Mind the gap.",), {Outcome.ACCEPTED: 4})
    assert [(health.service, health.sent) for health in stats.services] == [(Service.FCM, 7)]
    assert (stats.cache.entries, stats.cache.ttl_s, stats.cache.counts) == (5, 0.0, {CacheChange.HIT: 9})


def test_series_and_scopes_that_are_not_known_are_left_out() -> None:
    history = History(Span.HOUR, 60.0, 60, NOON, sends=(1, 2), outcomes={Outcome.GONE: (0, 1)})
    said = wire(history, outcomes={"gone": [0, 1], "vanished": [1, 1]})
    assert understand(encode(said), History) == (history, 1)
    assert understand(b'{"scopes": ["read", "paint"]}', dict[str, frozenset[Scope]]) == (
        {"scopes": frozenset({Scope.READ})},
        1,
    )


def test_a_series_is_whole_or_left_out() -> None:
    history = History(Span.HOUR, 60.0, 60, NOON, sends=(1, 2), queue=(3, 4))
    said = wire(history, queue=[3, "many"], p50_ms=[1.5, "long"], outcomes={"gone": ["one", 1], "accepted": [1, 1]})
    understood, left_out = understand(encode(said), History)
    assert (understood.sends, understood.queue, understood.p50_ms) == ((1, 2), (), ())
    assert understood.outcomes == {Outcome.ACCEPTED: (1, 1)}
    assert left_out == 3


def test_measures_and_services_that_are_not_known_are_left_out_of_a_verdict() -> None:
    verdict = Verdict(
        VerdictCode.WAITING,
        "ada",
        "It waits.",
        "Resume it.",
        Remedy.WAIT,
        "ada",
        measures=(Measure.RESUME,),
        service=Service.FCM,
        dispatch="d",
    )
    assert understand(encode(verdict), Verdict) == (verdict, 0)
    newer = wire(verdict, measures=["rewind", "resume"], service="semaphore")
    assert understand(encode(newer), Verdict) == (structs.replace(verdict, service=None), 2)
    # A server that is older says nothing of them.
    older = {name: value for name, value in wire(verdict).items() if name not in {"measures", "service", "dispatch"}}
    assert understand(encode(older), Verdict) == (
        structs.replace(verdict, measures=(), service=None, dispatch=None),
        0,
    )


def test_a_verdict_s_remedy_is_one_that_every_version_knows() -> None:
    known = {"none", "wait", "invite", "test", "send_again", "see_keys", "configure"}
    assert {remedy.value for remedy in Remedy} == known


@pytest.mark.parametrize(
    ("content", "shape"),
    [
        (encode({name: value for name, value in wire(STATS).items() if name != "time"}), Stats),
        (encode(wire(STATS, time="noon")), Stats),
        (b"{}", Stats),
        (b"[]", Stats),
        (b"{}", Page[Delivery]),
        (b'{"items": "all"}', Page[Delivery]),
        (b"{}", EVENTS),
        (b'{"code": "moody", "about": "ada", "says": "", "advice": "", "remedy": "none", "user": "ada"}', Verdict),
        (b"", EVENTS),
        (b"<html>", Stats),
        (b"\xff\xfe", Stats),
        (b'{"items": [', Page[Delivery]),
        (b"[" * 100_000, EVENTS),
        (b'{"items":' * 100_000, Page[Delivery]),
        (b'{"fields":' * 100_000, dict[str, object]),
        (encode([{}] * (MOST_LEFT_OUT + 1)), EVENTS),
    ],
)
def test_where_nothing_can_be_read_it_is_an_error(content: bytes, shape: Any) -> None:
    with pytest.raises(msgspec.DecodeError):
        understand(content, shape)
