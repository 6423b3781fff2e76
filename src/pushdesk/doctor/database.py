"""The database: whether it opens, what schema it has, whether it is whole, and what waits in it.

It is only read, and by one thread; each question that fails is a finding, and the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pushdesk.doctor.data_directory import size
from pushdesk.doctor.findings import Check, Finding, broken, not_looked_at, ok, warning
from pushdesk.errors import DatabaseError
from pushdesk.model import Outcome, Service, SubscriptionState
from pushdesk.plain_text import plain_text
from pushdesk.storage.inspection import Schema, TookTooLongError, open_inspection, state_of_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pushdesk.clock import Clock
    from pushdesk.storage.inspection import Backlog, Inspection, Integrity, Trouble
    from pushdesk.storage.records import StoredKey
    from pushdesk.storage.seal_state import SealState

ATTEMPTS: Final = 3
INTEGRITY_S: Final = 4.0
LARGE_LOG: Final = 200_000_000
"""Bytes of a write-ahead log that is not taken back into the database as it should be."""
LATE_S: Final = 300
"""Seconds after which what waits and is due is late."""
HOUR_S: Final = 3600
RECENT_S: Final = 24 * HOUR_S
MUCH: Final = 0.2
"""Share of subscriptions that wait for their browser to come by, from which it is worth a warning."""

NAMES: Final = {
    Service.FCM: "FCM (Chrome)",
    Service.MOZILLA: "Mozilla",
    Service.APPLE: "Apple",
    Service.WNS: "WNS (Edge)",
    Service.OTHER: "another push service",
}
"""What a person calls the push services."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What other checks need to know of the database."""

    keys: tuple[StoredKey, ...] | None = None
    """The VAPID keys as they are stored; None if they could not be read."""
    seal: SealState | None = None
    """What it says of its sealing; None if that could not be read."""
    devices: dict[tuple[Service, SubscriptionState], int] | None = None
    edge_hosts: frozenset[str] = frozenset()

    def active(self, service: Service) -> int:
        """How many active subscriptions a push service has, as far as is known."""
        return (self.devices or {}).get((service, SubscriptionState.ACTIVE), 0)


def look_at_database(path: Path, *, is_served: bool, clock: Clock) -> tuple[list[Finding], Contents]:
    """Look at a database; once more if it was changed meanwhile by somebody who was not there before."""
    for _ in range(ATTEMPTS - 1):
        before = state_of_files(path)
        findings, contents = _look(path, is_served=is_served, clock=clock)
        if is_served or state_of_files(path) == before:
            return findings, contents
    return _look(path, is_served=is_served, clock=clock)


def _look(path: Path, *, is_served: bool, clock: Clock) -> tuple[list[Finding], Contents]:
    if not path.exists():
        why = "The first start of `pushdesk` makes it."
        return [not_looked_at(Check.DATABASE, "There is no database yet.", why=why)], Contents()
    findings = [_judge_size(path)]
    with open_inspection(path, is_served=is_served, monotonic=clock.monotonic) as inspection:
        try:
            schema, revision = inspection.schema()
        except DatabaseError as error:
            findings.append(_unreadable(path, error))
            return findings, Contents()
        findings.append(_judge_log(left_out=inspection.leaves_out_log))
        findings.append(judge_schema(schema, revision))
        findings.append(_asked(Check.INTEGRITY, lambda: judge_integrity(inspection.integrity(INTEGRITY_S))))
        if schema is not Schema.CURRENT:
            return findings, Contents()
        now_ms = round(clock.time() * 1000)
        findings += [
            _asked(Check.QUEUE, lambda: judge_backlog(inspection.backlog(now_ms), now_ms=now_ms, is_served=is_served)),
            _asked(Check.ANSWERS, lambda: judge_troubles(inspection.troubles(now_ms - RECENT_S * 1000))),
        ]
        contents = _contents(inspection, findings)
    return findings, contents


def _contents(inspection: Inspection, findings: list[Finding]) -> Contents:
    contents = Contents()
    try:
        contents = replace(contents, seal=inspection.seal_state())
        contents = replace(contents, keys=inspection.keys())
        contents = replace(contents, devices=inspection.devices())
        findings.append(judge_devices(contents, without_key=inspection.devices_without_key()))
        contents = replace(contents, edge_hosts=inspection.hosts(Service.WNS))
    except (DatabaseError, ValueError) as error:
        findings.append(_failed(Check.DEVICES, error))
    return contents


def judge_schema(schema: Schema, revision: str | None) -> Finding:
    """Say what is to be said of a schema."""
    if schema is Schema.CURRENT:
        return ok(Check.SCHEMA, f"Its schema is the one that this pushdesk works with ({revision}).")
    if schema is Schema.OLDER:
        return warning(
            Check.SCHEMA,
            f"Its schema is an older one ({revision}).",
            why="The next start brings it up to date, after which older versions of pushdesk no longer take it. What "
            "is in it was not looked at.",
            advice="Make a backup of the data directory, then start.",
        )
    if schema is Schema.NONE:
        return broken(
            Check.SCHEMA,
            "There is nothing of pushdesk's in the database.",
            why="It is empty, or another program's: a start would add tables to it.",
            advice="Restore it from a backup, or name another --data-dir.",
        )
    return broken(
        Check.SCHEMA,
        f"Its schema has the revision {plain_text(str(revision))}, which this pushdesk does not know.",
        why="It was written by a newer version, and this one does not start with it.",
        advice="Start the newer version, or restore a backup from before.",
    )


def judge_integrity(integrity: Integrity) -> Finding:
    """Say what is to be said of the tables."""
    if integrity.problems:
        return broken(
            Check.INTEGRITY,
            f"The database is damaged: {plain_text('; '.join(integrity.problems))[:200]}",
            why="What cannot be read is lost, and writing to it may lose more.",
            advice="Stop the server, keep a copy of the files, and restore a backup.",
        )
    if integrity.unchecked:
        return ok(
            Check.INTEGRITY, f"As far as there was time, it is whole; unchecked: {', '.join(integrity.unchecked)}."
        )
    return ok(Check.INTEGRITY, "It is whole.")


def judge_backlog(backlog: Backlog, *, now_ms: int, is_served: bool) -> Finding:
    """Say what is to be said of what waits."""
    due = backlog.open_dispatches + backlog.waiting
    later = f"; {_counted(backlog.scheduled, 'dispatch', 'dispatches')} for later" if backlog.scheduled else ""
    held = (
        f"{_counted(backlog.waiting, 'delivery waits', 'deliveries wait')}, "
        f"{_counted(backlog.open_dispatches, 'dispatch is', 'dispatches are')} open{later}."
    )
    if not due:
        return ok(Check.QUEUE, f"Nothing waits to be sent{later}.")
    if not is_served:
        return warning(
            Check.QUEUE,
            f"{held} No server runs to send it.",
            why="What is not sent before its TTL is over is dropped.",
            advice="Start the server.",
        )
    late_s = 0 if backlog.oldest_ms is None else (now_ms - backlog.oldest_ms) // 1000
    if late_s > LATE_S:
        return warning(
            Check.QUEUE,
            f"{held} The oldest was accepted {_ago(late_s)} ago.",
            why="A push service cannot be reached or refuses for now, or more is accepted than can be sent. What is "
            "not sent before its TTL is over is dropped.",
            advice="Look at the deliveries in the console: they say why.",
        )
    return ok(Check.QUEUE, held)


def judge_troubles(troubles: tuple[Trouble, ...]) -> Finding:
    """Say what push services said to the latest deliveries, of what an operator can do something about."""
    by_outcome = {outcome: [trouble for trouble in troubles if trouble.outcome is outcome] for outcome in Outcome}
    if ours := by_outcome[Outcome.OUR_CONFIGURATION]:
        return broken(
            Check.ANSWERS,
            f"{_services(ours)} refused what this server signs: {_said(ours[0])}",
            why="That is about the server and no device: everything there is refused, and nothing was removed.",
            advice="Set [push] subscriber to a mailto: address of yours and the clock right. If a key was imported, "
            "see that it is the one the browsers subscribed with.",
        )
    for outcome, what, why, advice in (
        (
            Outcome.EXPIRED,
            "deliveries were dropped because their TTL was over",
            "They waited too long: the server stood still, or a push service could not be reached.",
            "Let the server run, and send with a TTL as long as the message is worth reading.",
        ),
        (
            Outcome.REFUSED,
            "deliveries were refused",
            "The push service does not take the message or the request; it was not tried again.",
            "Look at the deliveries in the console: they say why.",
        ),
    ):
        if bad := by_outcome[outcome]:
            total = sum(trouble.count for trouble in bad)
            return warning(
                Check.ANSWERS,
                f"Within a day {total} {what} ({_services(bad)}): {_said(bad[0])}",
                why=why,
                advice=advice,
            )
    return ok(Check.ANSWERS, "No push service complained of this server within a day.")


def judge_devices(contents: Contents, *, without_key: int) -> Finding:
    """Say how many subscriptions can be sent to, and which cannot."""
    devices = contents.devices or {}
    active = sum(number for (_, state), number in devices.items() if state is SubscriptionState.ACTIVE)
    mismatched = sum(number for (_, state), number in devices.items() if state is SubscriptionState.KEY_MISMATCH)
    if without_key:
        return broken(
            Check.DEVICES,
            f"{_counted(without_key, 'subscription was', 'subscriptions were')} made with a key that is not there.",
            why="Nothing reaches them until their browser comes by the page and subscribes with the current key.",
            advice="If you have that key, bring it back with `pushdesk keys import`; else ask these users to open the "
            "page.",
        )
    if mismatched and mismatched >= MUCH * (active + mismatched):
        return warning(
            Check.DEVICES,
            f"{mismatched} of {active + mismatched} subscriptions belong to another key, said their push services.",
            why="They were made with a key that was replaced, and are sent to again once their browser has come by.",
            advice="If you have that key, bring it back with `pushdesk keys import`; else ask these users to open the "
            "page.",
        )
    return ok(Check.DEVICES, f"{_counted(active, 'subscription', 'subscriptions')} can be sent to.")


def _judge_size(path: Path) -> Finding:
    log = path.with_name(f"{path.name}-wal")
    try:
        own, logged = path.stat().st_size, log.stat().st_size if log.exists() else 0
    except OSError as error:
        return not_looked_at(Check.SIZE, f"Its files cannot be looked at: {error.strerror}.")
    what = f"It has {size(own)}, and its write-ahead log {size(logged)}."
    if logged > LARGE_LOG:
        return warning(
            Check.SIZE,
            what,
            why="The log is taken into the database as it grows, unless a program holds on to an old state of it.",
            advice="End whatever else reads the database; starting the server again takes the log in.",
        )
    return ok(Check.SIZE, what)


def _judge_log(*, left_out: bool) -> Finding:
    if not left_out:
        return ok(Check.DATABASE, "The database opens.")
    return warning(
        Check.DATABASE,
        "The database opens, and its write-ahead log was not looked at.",
        why="The log's index (-shm) is missing, as after a backup was restored: the newest changes are in the log.",
        advice="Start the server: it reads the log and makes the index anew.",
    )


def _unreadable(path: Path, error: DatabaseError) -> Finding:
    return broken(
        Check.DATABASE,
        f"{path} is no database that can be read: {_words(error)}",
        why="Subscriptions and keys are in it: without it nothing starts.",
        advice="Restore it from a backup. Without one, begin anew with another --data-dir: every browser has to "
        "subscribe again.",
    )


def _asked(check: Check, judge: Callable[[], Finding]) -> Finding:
    """Judge what has to be read first."""
    try:
        return judge()
    except (DatabaseError, ValueError) as error:
        return _failed(check, error)


def _failed(check: Check, error: Exception) -> Finding:
    if isinstance(error, TookTooLongError):
        return not_looked_at(check, "Not counted: the database is too large for a quick look.")
    return broken(
        check,
        f"This could not be read: {_words(error)}",
        why="The database is damaged, or its schema is not what it says.",
        advice="Stop the server, keep a copy of the files, and restore a backup.",
    )


def _words(error: Exception) -> str:
    return plain_text(error.detail if isinstance(error, DatabaseError) else str(error))[:200]


def _said(trouble: Trouble) -> str:
    return plain_text(trouble.reason)[:120] or "no reason given."


def _services(troubles: list[Trouble]) -> str:
    return ", ".join(NAMES[trouble.service] for trouble in troubles)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _ago(seconds: int) -> str:
    return f"{seconds // HOUR_S} h" if seconds >= HOUR_S else f"{seconds // 60} min"
