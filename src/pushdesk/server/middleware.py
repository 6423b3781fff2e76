"""What every answer carries."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pushdesk.server.request_log import HEADER, request_id

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Final = web.AppKey("security_headers", dict[str, str])


def security_headers(*, is_https: bool) -> dict[str, str]:
    """Return the security headers of every answer, errors included.

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
    return headers


def add_security_headers(app: web.Application, response: web.StreamResponse) -> None:
    """Put them on an answer."""
    response.headers.update(app[SECURITY_HEADERS])
    if not response.headers.get("Cache-Control"):
        response.headers["Cache-Control"] = "no-store"


async def before_answer(request: web.Request, response: web.StreamResponse) -> None:
    """Put them, and the request's id, on every answer to a request: for the application's `on_response_prepare`."""
    add_security_headers(request.app, response)
    response.headers[HEADER] = request_id(request.app, request)
