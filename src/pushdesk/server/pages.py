"""The files that browsers receive: read once, served from a fixed table, so that no path can lead elsewhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from aiohttp import web

from pushdesk.server.auth import visit_of
from pushdesk.server.local_page import has_other_local_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

Handler: TypeAlias = "Callable[[web.Request], Awaitable[web.StreamResponse]]"

CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""What is served, and as what; other files are left where they are."""


class Asset(NamedTuple):
    """One file."""

    content: bytes
    content_type: str
    etag: str


def read_assets(directory: Path) -> dict[str, Asset]:
    """Return every file to serve by its path; `/` and `/enroll`, where invitations lead, are the page itself."""
    assets = {
        f"/{file.relative_to(directory).as_posix()}": _asset(file)
        for file in sorted(directory.rglob("*"))
        if file.is_file() and file.suffix in CONTENT_TYPES and not file.name.startswith(".")
    }
    if "/index.html" in assets:
        assets["/"] = assets["/enroll"] = assets["/index.html"]
    return assets


def register_assets(app: web.Application, assets: dict[str, Asset], *, access_url: str) -> None:
    """Add a route for every file."""
    for path, asset in assets.items():
        page = _page(path, asset)
        app.router.add_get(path, _under_its_own_name(page, f"{access_url}{path}") if asset is assets.get("/") else page)


def _under_its_own_name(page: Handler, address: str) -> Handler:
    """Send a browser that opens the page under another name of this machine (127.0.0.1) to the one that works."""

    async def named(request: web.Request) -> web.StreamResponse:
        is_navigation = request.headers.get("Sec-Fetch-Mode") == "navigate"
        if is_navigation and has_other_local_name(visit_of(request), address):
            raise web.HTTPFound(address)
        return await page(request)

    return named


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    return Asset(content, CONTENT_TYPES[file.suffix], hashlib.sha256(content).hexdigest()[:32])


def _page(path: str, asset: Asset) -> Handler:
    headers = {"Cache-Control": "no-cache", "ETag": f'"{asset.etag}"'}
    if path == "/sw.js":
        headers["Service-Worker-Allowed"] = "/"

    async def page(request: web.Request) -> web.StreamResponse:
        known = request.if_none_match or ()
        if any(tag.value in {asset.etag, "*"} for tag in known):
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.content, headers=headers | {"Content-Type": asset.content_type})

    return page
