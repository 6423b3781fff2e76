"""How many files the process may open, of which every connection is one."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.errors import StartUpError
from pushdesk.model import Service
from pushdesk.server.connections import REFUSED_AT_ONCE

if TYPE_CHECKING:
    from pushdesk.config import Config, ServerConfig

OTHER_FILES: Final = 200
"""The database, the log, libraries, sender processes."""
FEWEST_CONNECTIONS: Final = 16
FEWEST_FILES: Final = 128
"""With fewer, database, log, sender processes and the fewest connections could not be open together."""


def files_needed(config: Config, *, is_sending: bool = True) -> int:
    """Return how many files a server may have open at once: connections of clients and to push services, and others.

    Args:
        config: How many connections.
        is_sending: Whether it is this process that connects to push services.
    """
    pushes = config.push.concurrency * len(Service) if is_sending else 0
    return config.server.max_connections + REFUSED_AT_ONCE + pushes + OTHER_FILES


def require_room(config: Config, *, is_sending: bool = True) -> None:
    """Have the system let this process open as many files as it needs, or enough to run at all.

    Raises:
        StartUpError: It lets it open too few for that.
    """
    limit = _raise_limit(files_needed(config, is_sending=is_sending))
    if limit < FEWEST_FILES:
        raise StartUpError(
            f"Only {limit} files may be open at once, and a server needs {FEWEST_FILES} at least.",
            hint="Raise the limit: `ulimit -n 4096` in a shell, LimitNOFILE= in a systemd unit.",
        )


def make_room(config: Config, *, is_sending: bool = True) -> ServerConfig:
    """Have the system let this process open as many files as it needs; returns `[server]` as it can be.

    Where the system does not, fewer connections are taken than are set, and the log says so: one that cannot be
    accepted would wait for ever, and the database could not open its files.
    """
    from pushdesk.log import write
    from pushdesk.log_events import OpenFilesShort

    wanted = files_needed(config, is_sending=is_sending)
    limit = _raise_limit(wanted)
    if limit >= wanted:
        return config.server
    connections = max(FEWEST_CONNECTIONS, config.server.max_connections - (wanted - limit))
    write(OpenFilesShort(limit=limit, wanted=wanted, connections=connections))
    return structs.replace(config.server, max_connections=connections)


def _raise_limit(wanted: int) -> int:
    """Raise the soft limit to what is wanted, as far as the hard one lets it, and return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        highest = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        # Some systems refuse what they call possible.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else soft
