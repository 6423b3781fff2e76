"""Loads of notifications on a server with a stock of devices, and what came of them at the push service."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from benchmarks.processes import family_cpu_s
from benchmarks.stock import settled
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from benchmarks.arrivals import Arrival, Arrivals
    from benchmarks.stock import Stock

SETTLED_S = 120.0
"""What was accepted is not waited for any longer."""


class Moments(NamedTuple):
    """When a notification was asked for and accepted, in nanoseconds of CLOCK_MONOTONIC."""

    user: int
    began_ns: int
    answered_ns: int


class Figures(msgspec.Struct):
    """What applications tell."""

    accepted: int
    seconds: float
    p50_ms: float
    p99_ms: float
    moments: list[Moments]


class Sent(NamedTuple):
    """What came of a load."""

    due: int
    """Pushes that were to arrive: one for each device of each that was accepted."""
    lost: int
    per_s: float
    """Pushes, from when the first was asked for until the last had arrived."""
    cpu_ms: float
    """Of the server and its children, for each push."""
    since_asked_ms: list[float]
    """Until the push arrived, from when its notification was asked for."""
    since_accepted_ms: list[float]
    """The same from when the application had its answer; less than nothing where the push was faster."""


async def send(on: Stock, url: str, pid: int, pushes: Arrivals, *, rate: float, seconds: float, users: int = 0) -> Sent:
    """Notify one user after the other until all pushes have arrived.

    Args:
        on: The users.
        url: Of the server.
        pid: Its process.
        pushes: What arrives.
        rate: How many a second; 0 is as many as are accepted.
        seconds: For how long.
        users: Only so many of them; 0 is all.
    """
    pushes.take()
    cpu_s = family_cpu_s(pid)
    applications = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "benchmarks.applications",
            url,
            str(rate),
            str(seconds),
            str(users or on.users),
            "moments",
        ),
        env=on.env,
        cwd=CHECKOUT,
        stdout=PIPE,
    )
    try:
        out, _ = await applications.communicate()
    finally:
        if applications.returncode is None:
            applications.kill()
            await applications.wait()
    if applications.returncode:
        raise AssertionError(f"the applications ended with {applications.returncode}")
    figures = msgspec.json.decode(out, type=Figures)
    async with asyncio.timeout(SETTLED_S):
        await settled(url)
    # What has been answered has been told by now, or is on its way through a pipe.
    await asyncio.sleep(0.2)
    cpu_s = family_cpu_s(pid) - cpu_s
    arrived = pushes.take()
    due = figures.accepted * on.devices_each
    began_ns = min(each.began_ns for each in figures.moments)
    ways = matched(on, figures.moments, arrived)
    return Sent(
        due=due,
        lost=max(0, due - len(ways)),
        per_s=len(arrived) / ((arrived[-1].at_ns - began_ns) / 1e9),
        cpu_ms=1000 * cpu_s / len(arrived),
        since_asked_ms=[(at_ns - each.began_ns) / 1e6 for each, at_ns in ways],
        since_accepted_ms=[(at_ns - each.answered_ns) / 1e6 for each, at_ns in ways],
    )


def matched(on: Stock, asked: list[Moments], arrived: list[Arrival]) -> list[tuple[Moments, int]]:
    """Return with each notification when its pushes arrived, one line for each.

    Of those to the same user, the first that was asked for is taken for the first that arrived.
    """
    at_ns: dict[str, list[int]] = defaultdict(list)
    for arrival in arrived:
        at_ns[arrival.path].append(arrival.at_ns)
    of_user: dict[int, list[Moments]] = defaultdict(list)
    for moments in sorted(asked, key=lambda each: each.began_ns):
        of_user[moments.user].append(moments)
    return [
        way
        for user, all_of in of_user.items()
        for device in range(on.devices_each)
        for way in zip(all_of, at_ns[on.path(user, device)], strict=False)
    ]
