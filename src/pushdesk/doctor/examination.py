"""The examination: looks at everything, what takes time at once, and returns what was found in the order of the checks.

Nothing that fails keeps the rest from being looked at.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from pushdesk.doctor import access_url as access_urls
from pushdesk.doctor import configuration, data_directory, machine
from pushdesk.doctor import keys as vapid_keys
from pushdesk.doctor.database import Contents, look_at_database
from pushdesk.doctor.fetching import Fetcher
from pushdesk.doctor.findings import Check, Finding, Level, broken, in_order, not_looked_at, ok
from pushdesk.doctor.push_services import FOUR, judge_reached, places, reach
from pushdesk.doctor.sealing import judge_sealing
from pushdesk.doctor.server import (
    About,
    Pages,
    ask_about,
    judge_browser_files,
    judge_key,
    judge_server,
    judge_version,
    look_at_pages,
)
from pushdesk.errors import PushdeskError
from pushdesk.model import KeyState
from pushdesk.storage.sealing import PRIVATE_KEY
from pushdesk.storage.store import DATABASE_NAME
from pushdesk.webpush.transport import HttpTransport
from pushdesk.webpush.vapid import subscriber_from

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from pushdesk.clock import Clock
    from pushdesk.config import Config
    from pushdesk.doctor.push_services import Place
    from pushdesk.storage.records import StoredKey
    from pushdesk.storage.sealing import Sealer

CONNECT_S: Final = 4.0
TOTAL_S: Final = 6.0
"""Seconds for each push service: less than a push may take, as somebody waits."""
OFFLINE: Final = "--offline leaves the network out."
UNKNOWN_SETTINGS: Final = "The configuration has to be readable first."


class Server(NamedTuple):
    """The process that holds the data directory; without a URL it does not listen, or not yet."""

    pid: int
    url: str | None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Everything that an examination starts from."""

    config: Config
    """As it was read; the defaults where it could not be."""
    config_error: PushdeskError | None
    clock: Clock
    environ: Mapping[str, str] = field(repr=False)
    sealer: Sealer | PushdeskError
    """Of the configured sealing key, or why that cannot be used."""
    files_needed: int
    """Files that a server with this configuration may have open at once."""
    server: Server | None
    address_problem: PushdeskError | None = None
    """Why a server could not listen, if none runs."""
    holds_other_things: bool = False
    """Whether the data directory was not made for pushdesk."""
    token: str | None = field(default=None, repr=False)
    """The running server's admin token."""
    is_offline: bool = False
    tls: ssl.SSLContext | None = None
    """Which certificates are trusted; the system's by default."""
    four: Sequence[Place] = FOUR
    """The push services to be asked."""

    @property
    def knows_settings(self) -> bool:
        """Whether the settings are what the operator set."""
        return self.config_error is None


async def examine(found: Circumstances) -> tuple[Finding, ...]:
    """Look at everything. Takes seconds at most, and changes nothing."""
    findings = _here(found)
    path, is_served = found.config.data_dir / DATABASE_NAME, found.server is not None
    async with Fetcher(found.tls) as fetcher:
        (about_database, contents), (pages, about) = await asyncio.gather(
            asyncio.to_thread(look_at_database, path, is_served=is_served, clock=found.clock),
            _ask_server(found, fetcher),
        )
        findings += about_database
        access_url = about.access_url or found.config.server.access_url or _local_url(found)
        findings += _judge_secrets(found, contents, access_url)
        findings += _judge_server(found, pages, about, contents)
        groups = await asyncio.gather(
            _look_at_access_url(found, fetcher, access_url, pages), _look_at_push_services(found, contents)
        )
    return in_order([*findings, *groups[0], *groups[1]])


def _here(found: Circumstances) -> list[Finding]:
    """Look at what is on this machine, but for the database."""
    config = found.config
    directory = data_directory.look_at_directory(config.data_dir, holds_other_things=found.holds_other_things)
    limit = machine.look_at_file_limit(found.server.pid if found.server else None)
    findings = [
        configuration.judge_error(found.config_error, config.file),
        *configuration.judge_mode(config.file),
        *configuration.judge_sites(config.server.allow_origin),
        *configuration.judge_summaries(config),
        *data_directory.judge_directory(directory),
        *data_directory.judge_disk(data_directory.look_at_disk(config.data_dir)),
        data_directory.judge_log(config.log.file or config.data_dir / "pushdesk.log"),
        vapid_keys.judge_encryption(),
        machine.judge_file_limit(limit, needed=found.files_needed),
    ]
    if config.server.host == "localhost":
        addresses = machine.resolve_localhost()
        findings.append(machine.judge_ipv6_loopback(machine.look_at_ipv6_loopback(), localhost=addresses))
    return findings


async def _ask_server(found: Circumstances, fetcher: Fetcher) -> tuple[Pages | None, About]:
    if found.server is None or found.server.url is None:
        return None, About()
    return await asyncio.gather(
        look_at_pages(fetcher, found.server.url), ask_about(fetcher, found.server.url, found.token)
    )


def _judge_secrets(found: Circumstances, contents: Contents, access_url: str) -> list[Finding]:
    """Judge sealing, keys and subscriber."""
    findings = []
    sealer, stored = found.sealer, contents.keys
    if contents.seal is not None:
        findings.append(judge_sealing(contents.seal, sealer, is_served=found.server is not None))
    subscriber = subscriber_from(found.config.push.subscriber, access_url)
    if stored is None:
        findings.append(not_looked_at(Check.VAPID_KEY, "The VAPID keys were not looked at."))
    elif contents.seal is not None and contents.seal.key_id is not None and not _fits(sealer, contents.seal.key_id):
        why = "They are sealed, and the key for them is not here."
        findings.append(not_looked_at(Check.VAPID_KEY, "The VAPID keys were not looked at.", why=why))
    else:

        def unseal(key: StoredKey) -> bytes:
            if isinstance(sealer, PushdeskError):
                return key.private_key
            return sealer.unseal(PRIVATE_KEY, key.id, key.private_key)

        findings += vapid_keys.judge_keys(stored, unseal, subscriber=subscriber, now=found.clock.time())
    if found.knows_settings:
        findings += vapid_keys.judge_subscriber(subscriber, contents)
    else:
        findings.append(not_looked_at(Check.SUBSCRIBER, "The subscriber is not known.", why=UNKNOWN_SETTINGS))
    return findings


def _fits(sealer: Sealer | PushdeskError, key_id: str) -> bool:
    return not isinstance(sealer, PushdeskError) and sealer.key_id == key_id


def _judge_server(found: Circumstances, pages: Pages | None, about: About, contents: Contents) -> list[Finding]:
    if found.server is None:
        findings = [not_looked_at(Check.SERVER, "No server runs on this data directory.")]
        if not found.knows_settings:
            findings.append(not_looked_at(Check.LISTENING, "The address is not known.", why=UNKNOWN_SETTINGS))
        elif found.address_problem is not None:
            findings.append(
                broken(
                    Check.LISTENING,
                    found.address_problem.detail,
                    why="A server could not listen there.",
                    advice=found.address_problem.hint,
                )
            )
        else:
            server = found.config.server
            findings.append(ok(Check.LISTENING, f"A server can listen on {server.host}, port {server.port}."))
        return findings
    if pages is None:
        who = f"Process {found.server.pid}" if found.server.pid else "A process"
        what = f"{who} works on the data directory and does not listen."
        why = "It is a command, or a server that is just starting."
        return [not_looked_at(Check.SERVER, what, why=why)]
    findings = judge_server(pages, found.server.pid)
    if pages.fault:
        return findings
    current = next((key.public_key for key in contents.keys or () if key.state is KeyState.CURRENT), None)
    return [*findings, judge_version(about), *judge_browser_files(pages), judge_key(pages, current)]


async def _look_at_access_url(
    found: Circumstances, fetcher: Fetcher, access_url: str, pages: Pages | None
) -> list[Finding]:
    config = found.config
    if not found.knows_settings and (pages is None or pages.fault):
        return [not_looked_at(Check.SECURE_CONTEXT, "The access URL is not known.", why=UNKNOWN_SETTINGS)]
    is_local = configuration.is_local(access_url)
    findings = [
        *configuration.judge_allowed(config.push.allow_endpoint, is_for_others=not is_local),
        access_urls.judge_context(access_url),
        *access_urls.judge_trusted_proxy(access_url, config.server.trusted_proxy),
    ]
    port = _port(found)
    if port and (wrong_port := access_urls.judge_port(access_url, port)):
        return [*findings, wrong_port]
    local_page = access_urls.judge_local_page(
        access_url,
        is_on=config.identity.local,
        is_on_loopback=configuration.is_local(
            f"http://{config.server.host}" if ":" not in config.server.host else f"http://[{config.server.host}]"
        ),
    )
    if found.is_offline and not is_local:
        findings.append(not_looked_at(Check.ACCESS_URL, f"{access_url} was not asked.", why=OFFLINE))
    else:
        asked, seen = await asyncio.gather(
            _ask_through(fetcher, access_url, pages, tries_local_page=local_page is None),
            _look_at_certificate(found, access_url),
        )
        findings += asked + seen
    if local_page is not None:
        findings.append(local_page)
    elif not any(finding.check is Check.LOCAL_PAGE for finding in findings):
        what = "Whether strangers may name a user could not be tried."
        findings.append(not_looked_at(Check.LOCAL_PAGE, what, why="No server was asked through the access URL."))
    return findings


async def _look_at_certificate(found: Circumstances, access_url: str) -> list[Finding]:
    if not access_url.startswith("https:"):
        return []
    return [await access_urls.look_at_certificate(access_url, found.tls, now=found.clock.time())]


async def _ask_through(
    fetcher: Fetcher, access_url: str, pages: Pages | None, *, tries_local_page: bool
) -> list[Finding]:
    """Ask the running server through its access URL, if that is another than the one it was asked at."""
    if pages is None or pages.fault or pages.url == access_url:
        return []
    there = await look_at_pages(fetcher, access_url)
    findings = access_urls.judge_way(pages, there)
    if any(finding.level is Level.BROKEN for finding in findings):
        return findings
    findings += judge_browser_files(there)
    if tries_local_page:
        findings.append(await access_urls.look_at_local_page(fetcher, access_url))
    return findings


async def _look_at_push_services(found: Circumstances, contents: Contents) -> list[Finding]:
    if found.is_offline:
        return [
            not_looked_at(Check.PUSH_SERVICE, "The push services were not asked.", why=OFFLINE),
            not_looked_at(Check.CLOCK, "The clock was compared with nothing.", why=OFFLINE),
        ]
    push = found.config.push
    transport = HttpTransport(
        allowed_origins=frozenset((*push.allow_endpoint, *(place.origin for place in found.four if place not in FOUR))),
        clock=found.clock.monotonic,
        connect_timeout_s=min(push.connect_timeout_s, CONNECT_S),
        total_timeout_s=min(push.total_timeout_s, TOTAL_S),
        tls=found.tls,
        proxy=push.egress_proxy,
    )
    try:
        reached = await reach(transport, places(contents, push.allow_endpoint, found.four), found.clock)
    finally:
        await transport.aclose()
    offsets = [one.offset_s for one in reached if one.offset_s is not None]
    return [*judge_reached(reached, contents, found.environ), machine.judge_clock(offsets)]


def _local_url(found: Circumstances) -> str:
    return f"http://localhost:{_port(found) or found.config.server.port}"


def _port(found: Circumstances) -> int | None:
    """Return the port that is listened on, or would be; None if it is chosen at the start."""
    if found.server is not None and found.server.url is not None:
        try:
            return urlsplit(found.server.url).port
        except ValueError:
            return None
    return found.config.server.port or None
