"""A server that runs elsewhere: its URL, and the token to show to it."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from pushdesk.errors import StartUpError
from pushdesk.setting_values import origin


def server_url(url: str, *, insecure: bool) -> str:
    """Check the URL of a server that a token will be sent to; returns its origin.

    Raises:
        StartUpError: It is no origin, or plain http to another host and not `insecure`.
    """
    try:
        checked = origin(url)
    except ValueError as error:
        raise StartUpError(f"The server's URL {error}.") from None
    parts = urlsplit(checked)
    if parts.scheme == "http" and not insecure and not _is_loopback(parts.hostname or ""):
        raise StartUpError(
            f"{checked} is plain http: everybody on the way could read the token.",
            hint="Use https, a tunnel, or --insecure.",
        )
    return checked


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
