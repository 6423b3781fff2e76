"""Asking pushdesk's own server, as a browser or a proxy would meet it: no redirects, capped, each with a timeout."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

FETCH_S: Final = 5.0
"""Seconds for one question, name and connection included."""
MAX_BODY: Final = 2_000_000
BAD_CERTIFICATE: Final = "its certificate is not trusted"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; of a repeated one all values, as RFC 9110 section 5.3 joins them."""
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:  # noqa: ANN401 (whatever was answered)
        """The body as JSON; None if it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


class Unfetched(Exception):  # noqa: N818 (the answer that never came, not a failure of ours)
    """There was no answer; the message is the end of a sentence."""


class Fetcher:
    """Asks; to be made inside a running event loop, and used as an async context manager.

    Args:
        tls: Which certificates are trusted; the system's by default.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=True if tls is None else tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=FETCH_S),
            trust_env=False,
            skip_auto_headers=("User-Agent",),
        )

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close every connection."""
        await self._session.close()

    async def get(self, url: str, *, token: str | None = None) -> Page:
        """Ask for a page, with a token if it is for this server.

        Raises:
            Unfetched: There was no answer.
        """
        return await self._ask("GET", url, None, {"Authorization": f"Bearer {token}"} if token else {})

    async def post(self, url: str, content: object) -> Page:
        """Post JSON.

        Raises:
            Unfetched: There was no answer.
        """
        return await self._ask("POST", url, msgspec.json.encode(content), {"Content-Type": "application/json"})

    async def _ask(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> Page:
        try:
            async with self._session.request(method, url, data=data, headers=headers, allow_redirects=False) as answer:
                body = await _read(answer)
                names = {name.lower() for name in answer.headers}
                return Page(answer.status, {name: ", ".join(answer.headers.getall(name)) for name in names}, body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = _reason(error)
        # Outside the handler, so that aiohttp's error and the token in its request are not kept as this one's context.
        raise Unfetched(reason)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while len(body) < MAX_BODY and (chunk := await answer.content.read(MAX_BODY - len(body))):
        body += chunk
    return bytes(body)


def _reason(error: Exception) -> str:
    """Say why there was no answer; the narrow ones first, as aiohttp's classes overlap."""
    if isinstance(error, TimeoutError):
        return f"no answer within {FETCH_S:.0f} s"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name was not found"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return BAD_CERTIFICATE
    if isinstance(error, aiohttp.ClientSSLError):
        return "no TLS connection came about"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "nothing listens there"
    return "the connection broke off, or what answers does not speak HTTP"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate, as far as it matters."""

    ends_at: float
    """Unix time in seconds."""


async def certificate_of(url: str, tls: ssl.SSLContext | None = None) -> Certificate:
    """Return the certificate of an https server that is trusted.

    Raises:
        Unfetched: It is not trusted (says why), or there was no TLS connection.
    """
    parts = urlsplit(url)
    context = ssl.create_default_context() if tls is None else tls
    try:
        async with asyncio.timeout(FETCH_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
    except ssl.SSLCertVerificationError as error:
        raise Unfetched(f"{BAD_CERTIFICATE}: {error.verify_message}") from None
    except TimeoutError:
        raise Unfetched(f"no answer within {FETCH_S:.0f} s") from None
    except (OSError, ValueError):
        raise Unfetched("no TLS connection came about") from None
    try:
        found = writer.get_extra_info("peercert")
    finally:
        writer.transport.abort()
    return Certificate(ssl.cert_time_to_seconds(str(found["notAfter"])))
