"""What is said of a push service: how it is doing, how long it wants to be left alone, what it last complained of."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from textual.content import Content

from pushdesk.console.figures import count, milliseconds, moment, percent, span
from pushdesk.console.status import BAD, BUSY, GOOD, QUIET, SERVICES, Look
from pushdesk.console.text import plain, plain_lines

if TYPE_CHECKING:
    from datetime import datetime

    from pushdesk.model import ServiceHealth

FEW: Final = 20
"""One failure in so many is no reason for concern."""
LATELY: Final = timedelta(minutes=5)
"""After so long without a failure, those before it are none either."""
LABEL: Final = 14
LATENCIES: Final = 512
"""The server's answers that its latencies are of, at most."""


def waits_until(health: ServiceHealth, now: datetime) -> datetime | None:
    """Return until when a service wants nothing (`Retry-After`), if it does."""
    return health.retry_at if health.retry_at is not None and health.retry_at > now else None


def service_look(health: ServiceHealth, now: datetime) -> Look:
    """Return how a push service is doing: whether it throttles us now, then what it has mostly answered, and lately."""
    if waits_until(health, now) is not None:
        return Look("↻", "throttled", BUSY)
    if health.sent == 0:
        return Look("·", "idle", QUIET)
    if health.accepted == 0 and health.failed:
        return Look("✗", "failing", BAD)
    failed_lately = health.last_error_at is not None and now - health.last_error_at < LATELY
    if failed_lately and health.failed * FEW > health.sent:
        return Look("!", "errors", BUSY)
    return Look("✓", "healthy", GOOD)


def service_state(health: ServiceHealth, now: datetime, *, room: int, why: bool) -> Content:
    """Return the same in so many cells: with the time until it is tried again, or why if it is wanted and fits."""
    look = service_look(health, now)
    until = waits_until(health, now)
    if until is not None:
        left = span((until - now).total_seconds())
        texts = (f"throttled, resumes in {left}", f"resumes in {left}", f"resumes {left}")
        word = next((text for text in texts if len(text) + 2 <= room), texts[-1])
        return Content.styled(f"{look.glyph} {word}", look.style)
    if why and look.style in {BAD, BUSY} and health.last_error:
        whole = Content.assemble(look.content(), (f": {plain(health.last_error)}", QUIET))
        return whole if whole.cell_length <= room else look.content()
    return look.content()


def accepted_share(health: ServiceHealth) -> str:
    """Return how much of what was sent was accepted."""
    return percent(health.accepted / health.sent) if health.sent else "-"


def last_error(health: ServiceHealth, now: datetime) -> str:
    """Return when a service last failed, and how."""
    return f"{moment(health.last_error_at, now)} {plain(health.last_error)}" if health.last_error else ""


def service_in_full(health: ServiceHealth, now: datetime, *, longest: int) -> Content:
    """Return everything that is known of a push service."""
    until = waits_until(health, now)
    facts: list[tuple[str, Content | str]] = [
        ("push service", Content.styled(SERVICES[health.service], "bold")),
        ("state", service_look(health, now).content()),
        ("sent", f"{count(health.sent)} since the server started"),
        ("accepted", f"{count(health.accepted)}, {accepted_share(health)}"),
        ("failed", count(health.failed)),
        ("in flight", count(health.in_flight)),
        ("waiting", count(health.waiting)),
        ("latency", f"p50 {milliseconds(health.p50_ms)}, p95 {milliseconds(health.p95_ms)}, of the last {LATENCIES}"),
    ]
    if until is not None:
        facts.append(
            ("resumes", f"{moment(until, now)}, in {span((until - now).total_seconds())}: it asked us to wait")
        )
    lines = [Content.assemble((name.ljust(LABEL), QUIET), value) for name, value in facts]
    if health.last_error:
        lines += [
            Content.assemble(("last error".ljust(LABEL), QUIET), moment(health.last_error_at, now)),
            Content(plain_lines(health.last_error, longest=longest)),
        ]
    return Content("\n").join(lines)
