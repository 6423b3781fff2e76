"""What is said of a push service: how it is doing, how long it wants to be left alone, what it last complained of."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from textual.content import Content

from pushdesk.console.figures import age, count, milliseconds, moment, percent, plural, span
from pushdesk.console.status import BAD, BUSY, GOOD, LANES, QUIET, SERVICES, Look
from pushdesk.console.text import plain
from pushdesk.console.widgets.drawing import beside
from pushdesk.model import LaneState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pushdesk.console.widgets.facts import Fact
    from pushdesk.model import ServiceHealth

FEW: Final = 20
"""One failure in so many is no reason for concern."""
LATELY: Final = timedelta(minutes=5)
"""After so long without a failure, those before it are none either."""
LATENCIES: Final = 512
"""The server's answers that its latencies are of, at most."""
GOES_ON: Final = dict.fromkeys(LaneState, "resumes") | {LaneState.BROKEN: "trial"}
"""What happens at the end of a lane's state."""
MEANS: Final = {
    LaneState.THROTTLED: "It asked us to wait: nothing is sent there until then. What is for it waits, and expires by "
    "its TTL.",
    LaneState.BROKEN: "Nothing is sent there but one now and then, to see whether it answers again. What is for it "
    "waits, and expires by its TTL.",
    LaneState.PAUSED: "Nothing is sent there until somebody resumes it. What is for it waits, and expires by its TTL.",
}
"""What it means that a lane is not open."""
MEANS_HELD: Final = (
    "That is not believed: they are neither sent to nor disabled. See why they ended, the keys first. Release them "
    "if it is not true, confirm it if it is."
)
MEANS_STOPPED: Final = "Nothing is sent there with this key but a trial now and then. Reset it when that is mended."


def waits_until(health: ServiceHealth, now: datetime) -> datetime | None:
    """Return until when nothing, or hardly anything, is sent to a service, if that is known."""
    until = health.retry_at if health.state is LaneState.OPEN else health.until
    return until if until is not None and until > now else None


def next_change(health: ServiceHealth, now: datetime) -> datetime | None:
    """Return when something about a service will next change by itself, if that is known."""
    moments = (waits_until(health, now), *(stop.until for stop in health.stopped))
    return min((each for each in moments if each is not None and each > now), default=None)


def in_trouble(services: Iterable[ServiceHealth]) -> list[ServiceHealth]:
    """Return the push services that an operator should look at, what matters most first."""
    found = [each for each in services if each.brake or each.stopped or each.state is not LaneState.OPEN]
    return sorted(found, key=lambda one: (one.brake is None, not one.stopped, one.state is LaneState.THROTTLED))


def service_look(health: ServiceHealth, now: datetime) -> Look:
    """Return how a push service is doing: what its lane says, then what it has mostly answered, and lately."""
    if health.state is not LaneState.OPEN:
        return LANES[health.state]
    if waits_until(health, now) is not None:
        return LANES[LaneState.THROTTLED]
    if health.sent == 0:
        return Look("·", "idle", QUIET)
    if health.accepted == 0 and health.failed:
        return Look("✗", "failing", BAD)
    failed_lately = health.last_error_at is not None and now - health.last_error_at < LATELY
    if failed_lately and health.failed * FEW > health.sent:
        return Look("!", "errors", BUSY)
    return Look("✓", "healthy", GOOD)


def service_state(health: ServiceHealth, now: datetime, *, room: int, why: bool) -> Content:
    """Return the same in so many cells: with the time until it is tried again, or why if it is wanted and fits.

    What a brake holds and which keys are stopped takes the place of how it mostly answers, or follows where it fits.
    """
    marks = list(_marks(health))
    if health.state is LaneState.OPEN and waits_until(health, now) is None and marks:
        return beside(marks, room, gap=2)
    return beside([_state(health, now, room=room, why=why), *marks], room, gap=2)


def accepted_share(health: ServiceHealth) -> str:
    """Return how much of what was sent was accepted."""
    return percent(health.accepted / health.sent) if health.sent else "-"


def last_error(health: ServiceHealth, now: datetime) -> str:
    """Return when a service last failed, and how."""
    return f"{moment(health.last_error_at, now)} {plain(health.last_error)}" if health.last_error else ""


def service_facts(health: ServiceHealth, now: datetime) -> list[Fact]:
    """Return all that is known of a push service, but for its last error: first what is wrong, and what that means."""
    look, until = service_look(health, now), waits_until(health, now)
    facts: list[Fact] = [("state", _with_times(look, health.since, until, now, what=GOES_ON[health.state]))]
    if health.state is not LaneState.OPEN:
        facts += [("", plain(health.reason))] * bool(health.reason)
        facts.append(("", Content.styled(MEANS[health.state], QUIET)))
    if (brake := health.brake) is not None:
        held = Look("!", f"on, {plural(brake.held, 'device')} held", BUSY)
        facts += [("brake", _with_times(held, brake.since, None, now)), ("", plain(brake.reason))]
        facts.append(("", Content.styled(MEANS_HELD, QUIET)))
    for stop in health.stopped:
        look = Look("!", "stopped", BAD)
        facts.append((f"key {plain(stop.key)}", _with_times(look, stop.since, stop.until, now, what="trial")))
        facts += [("", plain(stop.reason)), ("", Content.styled(MEANS_STOPPED, QUIET))]
    return [
        *facts,
        ("waiting", count(health.waiting)),
        ("in flight", count(health.in_flight)),
        ("sent", f"{count(health.sent)} since the server started"),
        ("accepted", f"{count(health.accepted)}, {accepted_share(health)}"),
        ("failed", count(health.failed)),
        ("latency", f"p50 {milliseconds(health.p50_ms)}, p95 {milliseconds(health.p95_ms)}, of the last {LATENCIES}"),
    ]


def held_by(services: Iterable[ServiceHealth]) -> str:
    """Return which brakes hold how many devices, in a sentence; empty if none is on."""
    on = [f"{SERVICES[one.service]} {count(one.brake.held)}" for one in services if one.brake is not None]
    return f"Devices are held by the brake: {', '.join(on)}." if on else ""


def _marks(health: ServiceHealth) -> Iterator[Content]:
    if health.brake is not None:
        yield Content.styled(f"! {count(health.brake.held)} held", BUSY)
    if health.stopped:
        yield Content.styled(f"! {plural(len(health.stopped), 'key')} stopped", BAD)


def _state(health: ServiceHealth, now: datetime, *, room: int, why: bool) -> Content:
    look, until = service_look(health, now), waits_until(health, now)
    if until is not None:
        left, then = span((until - now).total_seconds()), GOES_ON[health.state]
        texts = (f"{look.word}, {then} in {left}", f"{then} in {left}", f"{then} {left}")
        word = next((text for text in texts if len(text) + 2 <= room), texts[-1])
        return Content.styled(f"{look.glyph} {word}", look.style)
    reason = health.last_error if health.state is LaneState.OPEN else health.reason
    if why and look.style in {BAD, BUSY} and reason:
        whole = Content.assemble(look.content(), (f": {plain(reason)}", QUIET))
        return whole if whole.cell_length <= room else look.content()
    return look.content()


def _with_times(
    look: Look, since: datetime | None, until: datetime | None, now: datetime, *, what: str = ""
) -> Content:
    parts = [look.content()]
    if since is not None:
        old = age(since, now)
        parts.append(Content(f"since {moment(since, now)}, {'just now' if old == 'new' else f'{old} ago'}"))
    if until is not None:
        parts.append(Content.styled(f"{what} {moment(until, now)}, in {span((until - now).total_seconds())}", BUSY))
    return Content(" · ").join(parts)
