"""The push services: whether each can be reached, the way pushes go, and what time it is there. Nothing is pushed."""

from __future__ import annotations

import asyncio
import email.utils
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.doctor.database import NAMES
from pushdesk.doctor.findings import Check, Finding, broken, ok, warning
from pushdesk.model import Service
from pushdesk.webpush.services import FaultKind
from pushdesk.webpush.transport import TransportFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pushdesk.clock import Clock
    from pushdesk.doctor.database import Contents
    from pushdesk.webpush.transport import HttpTransport

EDGE_HOSTS: Final = 3
"""Hosts of WNS that are tried, of those that browsers named."""


class Place(NamedTuple):
    """An origin that pushes go to."""

    service: Service
    origin: str


class Reached(NamedTuple):
    """What came of asking one."""

    place: Place
    fault: FaultKind | None = None
    offset_s: float | None = None
    """By how many seconds this machine's clock is ahead, if the answer had a date."""


FOUR: Final = (
    Place(Service.FCM, "https://fcm.googleapis.com"),
    Place(Service.MOZILLA, "https://updates.push.services.mozilla.com"),
    Place(Service.APPLE, "https://web.push.apple.com"),
    # Microsoft names *.notify.windows.com (learn.microsoft.com, "Enterprise Firewall Configurations to Support WNS
    # Traffic"), and each Edge is given a host of its region: this one is of rpush/rpush#714. The hosts that our own
    # subscriptions have are asked instead, where there are any.
    Place(Service.WNS, "https://wns2-par02p.notify.windows.com"),
)


def places(contents: Contents, allowed: Iterable[str], four: Sequence[Place] = FOUR) -> tuple[Place, ...]:
    """Return which origins to ask: the four services, WNS by the hosts that browsers named, and what is allowed."""
    edge = [
        Place(Service.WNS, f"https://{host}")
        for host in sorted(contents.edge_hosts)
        if host.endswith(".notify.windows.com")
    ]
    known = [place for place in four if place.service is not Service.WNS or not edge]
    others = [Place(Service.OTHER, origin) for origin in allowed]
    return tuple(dict.fromkeys([*known, *edge[:EDGE_HOSTS], *others]))


async def reach(transport: HttpTransport, wanted: Sequence[Place], clock: Clock) -> tuple[Reached, ...]:
    """Ask them all at once."""
    return tuple(await asyncio.gather(*(_reach(transport, place, clock) for place in wanted)))


async def _reach(transport: HttpTransport, place: Place, clock: Clock) -> Reached:
    try:
        answer = await transport.look(place.origin)
    except TransportFault as fault:
        return Reached(place, fault.kind)
    now = clock.time()
    return Reached(place, offset_s=_offset(answer.headers.get("date", ""), now))


def _offset(date: str, now: float) -> float | None:
    try:
        # In whole seconds: the middle of the one that is named.
        return now - (email.utils.parsedate_to_datetime(date).timestamp() + 0.5)
    except (ValueError, OverflowError):
        return None


def judge_reached(reached: Sequence[Reached], contents: Contents, environ: Mapping[str, str]) -> list[Finding]:
    """Say which push services can be reached.

    Args:
        reached: What came of asking.
        contents: The subscriptions: a service that nobody is at is not missed.
        environ: For the proxies that are named there, and not used.
    """
    return [_judge(found, contents, environ) for found in reached]


def _judge(found: Reached, contents: Contents, environ: Mapping[str, str]) -> Finding:
    service, origin = found.place
    name = NAMES[service] if service is not Service.OTHER else origin
    if found.fault is None:
        return ok(Check.PUSH_SERVICE, f"{name} can be reached.")
    devices = contents.active(service)
    say = broken if devices else warning
    host = origin.partition("://")[2]
    return say(
        Check.PUSH_SERVICE,
        f"{name} cannot be reached at {host}: {found.fault.sentence}",
        why=f"{devices} subscriptions are there: they get nothing."
        if devices
        else "Browsers that subscribe there will get nothing.",
        advice=_advice(found.fault, host, environ),
    )


def _advice(fault: FaultKind, host: str, environ: Mapping[str, str]) -> str:
    if fault is FaultKind.ADDRESS_REFUSED:
        return f"{host} leads to a private address: see who answers for DNS here. Pushes go to the internet only."
    if fault is FaultKind.TLS:
        return "Look at the clock, and whether a proxy on the way shows a certificate of its own."
    if fault is FaultKind.PROXY:
        return "Look at egress_proxy in [push]: that proxy is not there, or does not let this server through."
    proxies = [name for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy") if environ.get(name)]
    if proxies:
        return f"{proxies[0]} is not used: name the proxy as egress_proxy in [push], or connect directly."
    if fault is FaultKind.DNS:
        return "Look at the name servers in /etc/resolv.conf."
    return f"Let this machine connect to {host} on port 443: look at firewall and routes."
