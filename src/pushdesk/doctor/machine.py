"""The machine: its clock, the files that a process may have open, and its IPv6 loopback."""

from __future__ import annotations

import errno
import resource
import socket
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.doctor.findings import Check, Finding, broken, not_looked_at, ok, warning
from pushdesk.webpush.vapid import RENEW_BEFORE_S, TOKEN_LIFETIME_S

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_S: Final = 24 * 3600
AHEAD_S: Final = DAY_S - TOKEN_LIFETIME_S
"""A clock that is further ahead signs tokens that end more than 24 h from now, which services refuse."""
BEHIND_S: Final = RENEW_BEFORE_S
"""A clock that is further behind uses tokens that have ended: each is used until so much of it is left."""
NOTICED_S: Final = 60


class FileLimit(NamedTuple):
    """How many files a process may have open."""

    soft: int | None
    """None: no limit."""
    hard: int | None
    is_servers: bool
    """Whether it was read from the running server; else it is what this shell would give one."""


def judge_clock(offsets: Sequence[float]) -> Finding:
    """Say how this machine's clock stands to others'.

    Args:
        offsets: By how many seconds this machine's clock was ahead of the `Date` of each answer.
    """
    if not offsets:
        return not_looked_at(Check.CLOCK, "The clock was compared with nothing.", why="No push service was reached.")
    ahead = statistics.median(offsets)
    by = f"{_time(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
    advice = "Let NTP set the clock: `timedatectl set-ntp true`, or chrony."
    if ahead > AHEAD_S or -ahead > BEHIND_S:
        return broken(
            Check.CLOCK,
            f"The clock is {by}.",
            why="What is signed for push services has a time: with this one it is over, or too far away, and refused.",
            advice=advice,
        )
    if abs(ahead) > NOTICED_S:
        return warning(
            Check.CLOCK,
            f"The clock is {by}.",
            why="What is signed is still taken; but messages for later go out at the wrong time.",
            advice=advice,
        )
    return ok(Check.CLOCK, f"The clock agrees with {len(offsets)} push service{'s' if len(offsets) > 1 else ''}.")


def look_at_file_limit(pid: int | None) -> FileLimit:
    """Return the limit of a running server, where Linux tells it, else our own."""
    if pid is not None:
        try:
            lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
            fields = next(line for line in lines if line.startswith("Max open files")).split()
            return FileLimit(_number(fields[3]), _number(fields[4]), is_servers=True)
        except (OSError, ValueError, StopIteration, IndexError):
            pass
    soft, hard = (None if n == resource.RLIM_INFINITY else n for n in resource.getrlimit(resource.RLIMIT_NOFILE))
    return FileLimit(soft, hard, is_servers=False)


def judge_file_limit(limit: FileLimit, *, needed: int) -> Finding:
    """Say whether a server may have as many files open as its settings need, of which every connection is one."""
    # A server raises its own limit as far as it may.
    most = limit.soft if limit.is_servers else limit.hard
    whose = "The running server" if limit.is_servers else "A server started here"
    if most is None or most >= needed:
        return ok(Check.OPEN_FILES, f"{whose} may have {'any number of' if most is None else most} files open.")
    return warning(
        Check.OPEN_FILES,
        f"{whose} may have {most} files open, and its settings need {needed}.",
        why="It takes fewer connections than max_connections in [server], so that the database and pushes have theirs.",
        advice=f"Raise it (LimitNOFILE={needed} in the systemd unit, or `ulimit -Hn {needed}`), or set a lower "
        "max_connections.",
    )


def look_at_ipv6_loopback() -> str:
    """Say why nothing can listen on `::1`; empty if something can."""
    if not socket.has_ipv6:
        return "Python was built without IPv6"
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as opened:
            opened.bind(("::1", 0))
    except OSError as error:
        if error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
            return "this machine has none"
        return error.strerror or str(error)
    return ""


def judge_ipv6_loopback(problem: str, *, localhost: Sequence[str]) -> Finding:
    """Say whether `localhost` leads to where the server listens.

    Args:
        problem: Why nothing can listen on `::1`; empty if something can.
        localhost: The addresses that `localhost` resolves to.
    """
    if "127.0.0.1" not in localhost and (problem or "::1" not in localhost):
        return broken(
            Check.IPV6_LOOPBACK,
            f"localhost leads to {', '.join(localhost) or 'no address'}.",
            why="Programs of this machine do not find the server under http://localhost.",
            advice="Put `127.0.0.1 localhost` into /etc/hosts.",
        )
    if not problem:
        return ok(Check.IPV6_LOOPBACK, "localhost is to be had by IPv4 and IPv6.")
    if "::1" in localhost:
        return warning(
            Check.IPV6_LOOPBACK,
            f"localhost leads to ::1 too, where nothing can listen: {problem}.",
            why="The server listens on 127.0.0.1 only; programs that try ::1 alone do not find it.",
            advice="Take localhost from the line of ::1 in /etc/hosts, or switch IPv6 on.",
        )
    return ok(Check.IPV6_LOOPBACK, f"localhost is to be had by IPv4 ({problem} for IPv6).")


def resolve_localhost() -> tuple[str, ...]:
    """Return the addresses that `localhost` leads to."""
    try:
        found = socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _time(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds / 60:.0f} min"
        if seconds >= 120
        else f"{seconds:.0f} s"
    )


def _number(text: str) -> int | None:
    return None if text == "unlimited" else int(text)
