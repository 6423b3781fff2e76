"""What is said of a VAPID key: how far a retiring one is emptied, who is bound to it, what it costs to end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from pushdesk.console.figures import age, count, moment, plural
from pushdesk.console.status import BUSY, GOOD, KEYS, QUIET, SERVICES
from pushdesk.console.text import plain
from pushdesk.model import KeyState

if TYPE_CHECKING:
    from datetime import datetime

    from pushdesk.model import RevokedKeys, Service, VapidKey

BAR: Final = 6
"""Cells of the bar of a retiring key."""


def moved_share(key: VapidKey) -> float:
    """Return which share of a retiring key's devices have left it, from 0 to 1."""
    before = sum(key.before.values())
    return min(1.0, max(0.0, 1 - key.subscriptions / before)) if before else float(key.subscriptions == 0)


def progress(key: VapidKey) -> Content:
    """Return how far a retiring key is emptied: a bar, and whole percents of which 100 is said of all only."""
    share = moved_share(key)
    full = int(share * BAR)
    return Content.assemble(("█" * full, GOOD), ("░" * (BAR - full), QUIET), f" {key.moved_percent:3} %")


def who_loses(key: VapidKey) -> Content:
    """Return how many users would get nothing any more if the key were retired now."""
    if key.users_left == 0:
        return Content.styled("nobody", GOOD)
    return Content.styled(plural(key.users_left, "user"), BUSY)


def by_service(key: VapidKey) -> str:
    """Return the devices of a key for each push service; of a retiring one, what they were before too."""
    services = [each for each in SERVICES if each in key.services or each in key.before]
    return " · ".join(_of_service(key, each) for each in services)


def _of_service(key: VapidKey, service: Service) -> str:
    now, before = key.services.get(service, 0), key.before.get(service, 0)
    if key.state is KeyState.RETIRING and before:
        return f"{SERVICES[service]} {count(before)} → {count(now)}"
    return f"{SERVICES[service]} {count(now)}"


def said_of_revoking(revoked: RevokedKeys) -> str:
    """Return what came of revoking."""
    lost = sum(revoked.lost.values())
    services = ", ".join(f"{SERVICES[service]} {count(number)}" for service, number in revoked.lost.items() if number)
    said = f"The current key is {revoked.key.id} now; {plural(lost, 'subscription')} lost"
    return f"{said}: {services}." if services else f"{said}."


def expected_end(key: VapidKey, now: datetime) -> str:
    """Return when a retiring key will be empty, if it goes on as it did."""
    if key.subscriptions == 0:
        return "reached"
    return moment(key.expected_end, now) if key.expected_end else "not known"


def in_full(key: VapidKey, now: datetime) -> Content:
    """Return all that may be shown of a key."""
    facts: list[tuple[str, Content | str]] = [
        ("key", Content.styled(plain(key.id), "bold")),
        ("state", KEYS[key.state].content()),
        ("made", f"{moment(key.created_at, now)}, {age(key.created_at, now)}"),
        ("devices", f"{count(key.subscriptions)}  {by_service(key)}".rstrip()),
    ]
    if key.state is KeyState.RETIRING:
        facts += [
            ("retiring since", moment(key.retiring_at, now)),
            ("moved", progress(key)),
            ("expected end", expected_end(key, now)),
            ("retired now", Content.assemble(who_loses(key), " would get nothing any more")),
        ]
    lines = [Content.assemble((name.ljust(16), QUIET), value) for name, value in facts]
    public = Content.assemble(("public key (y copies it)\n", QUIET), plain(key.public_key))
    return Content("\n").join([*lines, Content(""), public])
