"""The files that browsers receive: read once, served from a fixed table, so that no path can lead elsewhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

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
    """Return every file to serve by its path, `/` being the page itself."""
    assets = {
        f"/{file.relative_to(directory).as_posix()}": _asset(file)
        for file in sorted(directory.rglob("*"))
        if file.is_file() and file.suffix in CONTENT_TYPES and not file.name.startswith(".")
    }
    if "/index.html" in assets:
        assets["/"] = assets["/index.html"]
    return assets


def register_assets(app: web.Application, assets: dict[str, Asset]) -> None:
    """Add a route for every file."""
    for path, asset in assets.items():
        app.router.add_get(path, _page(path, asset))


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    return Asset(content, CONTENT_TYPES[file.suffix], hashlib.sha256(content).hexdigest()[:32])


def _page(path: str, asset: Asset) -> Callable[[web.Request], Awaitable[web.Response]]:
    headers = {"Cache-Control": "no-cache", "ETag": f'"{asset.etag}"'}
    if path == "/sw.js":
        headers["Service-Worker-Allowed"] = "/"

    async def page(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(tag.value in {asset.etag, "*"} for tag in known):
            return web.Response(status=304, headers=headers)
        return web.Response(body=asset.content, headers=headers | {"Content-Type": asset.content_type})

    return page
