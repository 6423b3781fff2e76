"""What the doctor is sent to: circumstances, a push service with TLS and a clock of its own, and a proxy."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import trustme
from aiohttp import web

from pushdesk.clock import SystemClock
from pushdesk.config import Config
from pushdesk.doctor.examination import Circumstances
from pushdesk.storage.sealing import Sealer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    from pushdesk.doctor.findings import Check, Finding


def circumstances(data_dir: Path, **more: Any) -> Circumstances:
    """Return those of a first user whose machine has no network."""
    defaults: dict[str, Any] = {
        "config": Config(data_dir=data_dir, file=data_dir / "pushdesk.toml"),
        "config_error": None,
        "clock": SystemClock(),
        "environ": {},
        "sealer": Sealer(),
        "files_needed": 100,
        "server": None,
        "is_offline": True,
    }
    return Circumstances(**(defaults | more))


def found(findings: Iterable[Finding], check: Check) -> Finding:
    """Return the only finding about something."""
    (finding,) = (finding for finding in findings if finding.check is check)
    return finding


def tree(path: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return every file below a folder with its mode, time of change and content."""
    return {
        str(entry.relative_to(path)): (
            entry.lstat().st_mode,
            entry.lstat().st_mtime_ns,
            entry.read_bytes() if entry.is_file() else b"",
        )
        for entry in sorted(path.rglob("*"))
    }


class Authority:
    """Who issues certificates, and who trusts them."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def server(self, *, days: float = 90.0) -> ssl.SSLContext:
        """Return the context of a server at localhost, whose certificate ends in so many days."""
        now = datetime.now(UTC)
        certificate = self._authority.issue_cert(
            "localhost", not_before=now - timedelta(days=200), not_after=now + timedelta(days=days)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    def trusting(self) -> ssl.SSLContext:
        """Return the context of a client that trusts it."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context


@asynccontextmanager
async def listening(app: web.Application, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run an application; gives its URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def push_service(*, ahead_s: float = 0.0, requests: list[str] | None = None) -> web.Application:
    """Return a push service whose clock is so much ahead of ours, and which keeps what it was asked."""

    async def answer(request: web.Request) -> web.Response:
        if requests is not None:
            requests.append(f"{request.method} {request.path}")
        date = datetime.now(UTC) + timedelta(seconds=ahead_s)
        return web.Response(status=404, headers={"Date": format_datetime(date, usegmt=True)})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    return app


@dataclass
class Target:
    """The server behind a proxy: told when it is known."""

    url: str = ""


def proxy(
    to: Target,
    *,
    sets: Mapping[str, str] | None = None,
    drops: Iterable[str] = (),
    bodies: Mapping[str, bytes] | None = None,
) -> web.Application:
    """Return a reverse proxy that keeps `Host`.

    Args:
        to: The server behind it.
        sets: Headers that it sets on requests.
        drops: Headers that it takes from answers.
        bodies: What it answers itself, by path, with the headers of the server behind it.
    """
    dropped = {name.lower() for name in (*drops, "Content-Length", "Transfer-Encoding", "Connection")}

    async def forward(request: web.Request) -> web.Response:
        headers = {**request.headers, **(sets or {})}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, f"{to.url}{request.path}", data=await request.read(), headers=headers
            ) as answer,
        ):
            body = (bodies or {}).get(request.path, await answer.read())
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in dropped}
            return web.Response(status=answer.status, headers=kept, body=body)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", forward)
    return app
