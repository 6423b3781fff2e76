"""The files that browsers receive: read once, served from a fixed table, so that no path can lead elsewhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from aiohttp import web

from pushdesk.server.auth import visit_of
from pushdesk.server.local_page import has_other_local_name, takes_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pushdesk.server.local_page import Place

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
_BY_INVITATION: Final = (b"<form>", b"<form data-by-invitation>")
"""How the page is told that it takes no names."""


class Asset(NamedTuple):
    """One file."""

    content: bytes
    content_type: str
    etag: str


def read_assets(directory: Path) -> dict[str, Asset]:
    """Return every file to serve by its path; `/` and `/enroll`, where invitations lead, are the page itself."""
    assets = {
        f"/{file.relative_to(directory).as_posix()}": _asset(file.read_bytes(), CONTENT_TYPES[file.suffix])
        for file in sorted(directory.rglob("*"))
        if file.is_file() and file.suffix in CONTENT_TYPES and not file.name.startswith(".")
    }
    if "/index.html" in assets:
        assets["/"] = assets["/enroll"] = assets["/index.html"]
    return assets


def register_assets(app: web.Application, assets: dict[str, Asset], place: Place) -> None:
    """Add a route for every file."""
    for path, asset in assets.items():
        page = _page(path, asset)
        app.router.add_get(path, _local_page(path, asset, place) if asset is assets.get("/") else page)


def _local_page(path: str, asset: Asset, place: Place) -> Handler:
    """Serve the page, which is told whether it takes names: an invitation is the only way in where it does not.

    A browser that opens it under another name of this machine (127.0.0.1) is sent to the one that works.
    """
    address = f"{place.access_url}{path}"
    by_name = _page(path, asset)
    by_invitation = _page(path, _asset(asset.content.replace(*_BY_INVITATION), asset.content_type))

    async def local_page(request: web.Request) -> web.StreamResponse:
        visit = visit_of(request)
        is_navigation = request.headers.get("Sec-Fetch-Mode") == "navigate"
        if is_navigation and has_other_local_name(visit, address):
            raise web.HTTPFound(address)
        return await (by_name if takes_names(visit, place) else by_invitation)(request)

    return local_page


def _asset(content: bytes, content_type: str) -> Asset:
    return Asset(content, content_type, hashlib.sha256(content).hexdigest()[:32])


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
