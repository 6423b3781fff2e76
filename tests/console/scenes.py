"""What the console looks at in its tests: servers that stand still in a telling moment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pushdesk.console.app import PushdeskApp
from pushdesk.model import (
    BrakeOn,
    CacheChange,
    CacheStats,
    Discarded,
    History,
    KeyState,
    LaneState,
    LogLevel,
    Outcome,
    Scope,
    SenderStats,
    Service,
    ServiceHealth,
    Span,
    StoppedKey,
    SubscriptionState,
)
from tests.console.fake_desk import NOON, URL, FakeDesk

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Literal

SENDS = (
    *(0, 0, 0, 0, 2, 4, 9, 14, 22, 31, 38, 44, 52, 49, 41, 36, 30, 26, 22, 18),
    *(16, 15, 17, 21, 28, 40, 61, 84, 110, 142, 171, 190, 204, 211, 198, 176, 150, 121, 98, 77),
    *(60, 48, 41, 37, 36, 40, 49, 62, 80, 97, 118, 132, 150, 171, 188, 240, 301, 356, 390, 412),
)
"""Per second."""
STEPS = {Span.MINUTES: (150, 2.0), Span.HOUR: (120, 30.0), Span.DAY: (144, 600.0)}
PEOPLE = (
    ("ada", Service.MOZILLA, "Firefox", "Linux"),
    ("bo", Service.FCM, "Chrome", "Android"),
    ("cy", Service.APPLE, "Safari", "iPhone"),
    ("dee", Service.WNS, "Edge", "Windows"),
    ("ada", Service.FCM, "Chromium", "Linux"),
    ("eve.longname@department.example.org", Service.OTHER, "Firefox", "macOS"),
)
PEOPLE_CACHED = ("ada", "bo", "cy", "dee", "eve", "fay", "gus")
OUTCOMES = (
    Outcome.ACCEPTED,
    Outcome.GONE,
    Outcome.ACCEPTED,
    Outcome.OUR_CONFIGURATION,
    Outcome.THROTTLED,
    Outcome.TRANSIENT,
)
REASONS = {
    Outcome.GONE: "unsubscribed",
    Outcome.OUR_CONFIGURATION: "BadJwtToken",
    Outcome.THROTTLED: "TooManyRequests",
    Outcome.TRANSIENT: "upstream connect error",
}


def empty_desk() -> FakeDesk:
    """Return a server that was started for the first time."""
    return FakeDesk()


def busy_desk(deliveries: int = 24) -> FakeDesk:
    """Return a server in the middle of its work."""
    desk = FakeDesk()
    made = [
        desk.subscribe(
            user,
            service=service,
            browser=browser,
            platform=platform,
            created_at=NOON - timedelta(days=index * 3, hours=index),
            last_success_at=NOON - timedelta(minutes=index * 7) if index != 3 else None,
            last_failure_at=NOON - timedelta(minutes=2) if index in {1, 3} else None,
            failures=4 if index == 3 else 0,
            state=SubscriptionState.GONE if index == 1 else SubscriptionState.ACTIVE,
            key_id="7f3a92aa" if index != 4 else "0badc0de",
        )
        for index, (user, service, browser, platform) in enumerate(PEOPLE)
    ]
    for index in range(deliveries):
        outcome = OUTCOMES[index % len(OUTCOMES)]
        desk.deliver(
            made[index % len(made)],
            outcome,
            at=NOON - timedelta(seconds=3 * (deliveries - index)),
            reason=REASONS.get(outcome, ""),
            latency_ms=40.0 + index * 7,
            next_attempt_at=NOON + timedelta(seconds=42) if not outcome.is_settled else None,
        )
    desk.set_stats(
        key_created_at=NOON - timedelta(days=12),
        started_at=NOON - timedelta(hours=5),
        queue=3,
        in_flight=2,
        senders=SenderStats(wanted=3, running=3, in_hand=2),
        outcomes={Outcome.ACCEPTED: 48213, Outcome.GONE: 12, Outcome.REFUSED: 3, Outcome.THROTTLED: 96},
        sends_per_s=412.0,
        services=(
            ServiceHealth(Service.FCM, sent=1204, accepted=1183, failed=3, p50_ms=84, p95_ms=210),
            ServiceHealth(Service.MOZILLA, sent=310, accepted=310, p50_ms=61, p95_ms=140),
            ServiceHealth(
                Service.APPLE,
                sent=96,
                accepted=80,
                waiting=3,
                p50_ms=112,
                p95_ms=320,
                last_error="429 TooManyRequests",
                last_error_at=NOON - timedelta(seconds=9),
                retry_at=NOON + timedelta(seconds=42),
            ),
            ServiceHealth(
                Service.WNS, sent=11, failed=11, last_error="403 our key", last_error_at=NOON - timedelta(minutes=3)
            ),
        ),
    )
    counts = {
        CacheChange.HIT: 47_190,
        CacheChange.MISS: 612,
        CacheChange.EXPIRED: 388,
        CacheChange.JOINED: 31,
        CacheChange.STORED: 996,
        CacheChange.DISCARDED: 4,
        CacheChange.INVALIDATED: 57,
        CacheChange.PRUNED: 12,
    }
    desk.set_stats(
        cache=CacheStats(
            ttl_s=180.0,
            entries=1604,
            negative=17,
            size=1_240_000,
            max_size=40_000_000,
            loading=2,
            reads=871,
            counts=counts,
            last_discarded=Discarded(NOON - timedelta(minutes=4), "ada", 17, 18),
        )
    )
    desk.histories = {span: past(span) for span in Span}
    return desk


def troubled_desk() -> FakeDesk:
    """Return a busy server that has trouble of every kind with its push services."""
    desk = busy_desk()
    for number in range(3):
        desk.subscribe(f"held{number}", service=Service.APPLE, state=SubscriptionState.HELD)
    reason = "3 subscriptions were throttled within 10 s."
    throttled = {"state": LaneState.THROTTLED, "reason": reason, "until": NOON + timedelta(seconds=42)}
    desk.change_service(Service.FCM, since=NOON - timedelta(seconds=5), waiting=1200, **throttled)
    reason = "14 of 25 requests failed within 30 s, the last one with 503."
    broken = {"state": LaneState.BROKEN, "reason": reason, "until": NOON + timedelta(seconds=10)}
    desk.change_service(Service.MOZILLA, since=NOON - timedelta(minutes=2), waiting=88, **broken)
    brake = BrakeOn(NOON - timedelta(minutes=7), "51 subscriptions ended within 10 minutes.", 3)
    desk.change_service(Service.APPLE, brake=brake, retry_at=None)
    reason = "It refuses the key 7f3a92aa: 403 our key."
    stop = StoppedKey("7f3a92aa", NOON - timedelta(minutes=1), reason, NOON + timedelta(minutes=9))
    desk.change_service(Service.WNS, stopped=(stop,), waiting=11)
    paused = {"state": LaneState.PAUSED, "reason": "An operator paused it.", "since": NOON - timedelta(hours=3)}
    desk.change_service(Service.OTHER, waiting=7, **paused)
    desk.set_stats(warnings=("Apple: 51 subscriptions ended within 10 minutes. That is not believed: 3 are held.",))
    return desk


def past(span: Span, *, known: float = 0.9) -> History:
    """Return how a busy server has been doing; `known` is the share of the span for which it has been running."""
    steps, step_s = STEPS[span]
    number = round(steps * known)
    sends = tuple(round(SENDS[index * len(SENDS) // number] * step_s) for index in range(number))
    p50 = tuple(
        None if not sent else 60.0 + index * 37 % 23 + (90 if index % 61 == 30 else 0)
        for index, sent in enumerate(sends)
    )
    lookups = tuple(sent // 2 for sent in sends)
    return History(
        span,
        step_s,
        steps,
        NOON,
        sends=sends,
        p50_ms=p50,
        p95_ms=tuple(None if middle is None else middle * 2.4 + index % 7 * 4 for index, middle in enumerate(p50)),
        outcomes={
            Outcome.ACCEPTED: sends,
            Outcome.GONE: tuple(int(index % 29 == 11) for index in range(number)),
            Outcome.REFUSED: tuple(int(index % 53 == 40) for index in range(number)),
            Outcome.THROTTLED: tuple(max(0, 9 - abs(index - number * 2 // 3)) for index in range(number)),
        },
        cache_hits=tuple(count - count * (30 if index % 47 == 20 else 2) // 100 for index, count in enumerate(lookups)),
        cache_lookups=lookups,
        queue=tuple(max(0, 40 - 3 * abs(index - number * 2 // 3)) + sent % 4 for index, sent in enumerate(sends)),
    )


def caching_desk(users: int = 60) -> FakeDesk:
    """Return a busy server with so many more users in its cache."""
    desk = busy_desk()
    cache = desk._stats.cache
    for number in range(users):
        name, age_s = PEOPLE_CACHED[number % len(PEOPLE_CACHED)], 3.0 + number * 2.9
        fields = {"generation": 18_400 - number * 37, "devices": number % 4, "size": 420 + 310 * (number % 4)}
        desk.cache_user(f"{name}.{number:02}", age_s=age_s, time_left_s=max(0.0, 180 - age_s), **fields)
    desk.set_stats(cache=cache)
    return desk


def rotated_desk() -> FakeDesk:
    """Return a busy server whose key was rotated two days ago, with an older key that was revoked."""
    desk = busy_desk()
    desk.hold_key("00c0ffee", KeyState.REVOKED, created_at=NOON - timedelta(days=400))
    desk.hold_key(
        "0badc0de",
        KeyState.RETIRING,
        created_at=NOON - timedelta(days=80),
        retiring_at=NOON - timedelta(days=2),
        before={Service.FCM: 8, Service.APPLE: 3},
    )
    desk.hold_key("7f3a92aa", KeyState.CURRENT, created_at=NOON - timedelta(days=2))
    desk.set_stats(key_created_at=NOON - timedelta(days=2))
    desk.subscribe("gus", service=Service.APPLE, browser="Safari", platform="iPad", key_id="0badc0de")
    return desk


def let_in(desk: FakeDesk) -> FakeDesk:
    """Return a server with access tokens."""
    desk.hold_token(
        "grafana", Scope.READ, created_at=NOON - timedelta(days=200), last_used_at=NOON - timedelta(minutes=1)
    )
    desk.hold_token(
        "shop checkout, production",
        Scope.NOTIFY,
        created_at=NOON - timedelta(days=31),
        last_used_at=NOON - timedelta(seconds=40),
    )
    desk.hold_token("mira's laptop", Scope.READ, Scope.ADMIN, created_at=NOON - timedelta(hours=3))
    return desk


def logged_desk(lines: int = 30) -> FakeDesk:
    """Return a busy server that has written a log."""
    desk = busy_desk()
    ids = {
        "request": "5f0c9a3e7d214b68",
        "dispatch": "01997e3f6a5b8c0d1e2f3a4b5c",
        "device": "01997e3f00112233445566778f",
    }
    written: tuple[tuple[str, LogLevel, dict[str, Any]], ...] = (
        ("server_listening", LogLevel.INFO, {"url": URL, "access_url": URL, "version": "0.1.0"}),
        ("delivery_accepted", LogLevel.DEBUG, {"user": "ada", "service": "mozilla", "status": 201, "latency_ms": 61.2}),
        (
            "delivery_not_accepted",
            LogLevel.INFO,
            {"user": "bo", "service": "fcm", "outcome": "gone", "status": 410, "reason": "unsubscribed", **ids},
        ),
        (
            "turn_not_summarised",
            LogLevel.WARNING,
            {"dispatch": ids["dispatch"], "fault": "timeout", "request": ids["request"]},
        ),
        (
            "settle_failed",
            LogLevel.ERROR,
            {"error": "DatabaseError", "where": ["outbox.py:210", "store.py:88"], "code": "database_error"},
        ),
        ("request_answered", LogLevel.DEBUG, {"method": "GET", "route": "/healthz", "status": 200, "ms": 1.2}),
        ("Task exception was never retrieved", LogLevel.CRITICAL, {}),
    )
    for index in range(lines):
        event, level, fields = written[index % len(written)]
        desk.write(event, level, time=NOON - timedelta(seconds=2 * (lines - index)), **fields)
    return desk


def console(
    desk: FakeDesk,
    *,
    mode: Literal["embedded", "attached"] = "embedded",
    state_file: Path | None = None,
    read_only: bool = False,
) -> PushdeskApp:
    """Return a console on a server, its clock standing still."""
    return PushdeskApp(desk, url=URL, mode=mode, now=lambda: NOON, state_file=state_file, read_only=read_only)
