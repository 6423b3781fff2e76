"""What every answer carries, and what is counted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def security_headers(*, is_https: bool) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return the signal that puts the security headers on every answer, errors included.

    Args:
        is_https: Whether browsers reach the server by https, and should go on doing so.
    """
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        # aiohttp would name its own and Python's version.
        "Server": "pushdesk",
    }
    if is_https:
        headers["Strict-Transport-Security"] = "max-age=31536000"

    async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)
        if not response.headers.get("Cache-Control"):
            response.headers["Cache-Control"] = "no-store"

    return add_headers
