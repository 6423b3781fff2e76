"""The HTTP client that pushes are sent with, and its guarded sockets.

It is made for servers that mean harm: no redirects, no environment proxies, no cookies, no decompression, a total
timeout and a capped body. Every request ends in an answer or in a `TransportFault`, and neither shows the endpoint.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
from yarl import URL

from pushdesk.errors import EndpointRefusedError
from pushdesk.webpush.egress import AddressRefusedError, ProxyGuard, guarded_socket
from pushdesk.webpush.endpoint import check_endpoint, origin_of
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from aiohttp import AddrInfoType
    from aiohttp.abc import AbstractResolver

    from pushdesk.webpush.request import PushRequest

__all__ = ["AiohttpTransport", "FaultKind", "PushAnswer", "Transport", "TransportFault"]

MAX_ANSWER_BODY: Final = 4096
"""Bytes: every reason that a push service gives is far shorter."""


@dataclass(frozen=True, slots=True)
class PushAnswer:
    """What a push service answered. Its repr leaves out what may repeat the endpoint.

    Attributes:
        status: HTTP status.
        headers: Names in lower case; of a repeated one the first.
        body: The first `MAX_ANSWER_BODY` bytes, as they came; fewer if the rest never did.
        latency_s: Seconds from the start of the request to the end of the answer's headers.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    latency_s: float


class TransportFault(Exception):  # noqa: N818 - the answer that never came, not a failure of ours
    """There was no answer. The message is a sentence for a person, without the endpoint."""

    def __init__(self, kind: FaultKind) -> None:
        super().__init__(kind.sentence)
        self.kind = kind

    def __reduce__(self) -> tuple[type[TransportFault], tuple[FaultKind]]:
        return TransportFault, (self.kind,)


class Transport(Protocol):
    """What pushes are sent with."""

    async def post(self, request: PushRequest) -> PushAnswer:
        """Send one push.

        Raises:
            TransportFault: There was no answer.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class AiohttpTransport:
    """Sends with aiohttp. To be made inside a running event loop, and closed there.

    A socket guard sees the address and not who it is for, so there are two pools of connections: one guarded, and one
    for the origins that the operator allowed, the only ones that may be private. Without redirects a request never
    leaves the pool that its endpoint's origin chose. Where there is a proxy, the guarded pool connects to it only.

    Args:
        allowed_origins: What the operator allowed besides the known push services, as `origin_of` writes them.
        clock: Monotonic time in seconds.
        connect_timeout_s: For name, connection and TLS together.
        total_timeout_s: For the whole request, the answer's body included.
        tls: Which certificates are trusted; the system's by default.
        resolver: How names are resolved; the system's way by default.
        proxy: Origin of the proxy through which known push services are reached (`CONNECT`, RFC 9110 section 9.3.6).
            What the operator allowed by origin is reached without it.
    """

    def __init__(
        self,
        *,
        allowed_origins: frozenset[str],
        clock: Callable[[], float],
        connect_timeout_s: float = 10.0,
        total_timeout_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        proxy: str | None = None,
    ) -> None:
        self._allowed_origins = allowed_origins
        self._clock = clock
        self._total_timeout_s = total_timeout_s

        def session(
            guard: Callable[[AddrInfoType], socket.socket] | None,
            resolver: AbstractResolver | None = resolver,
            proxy: str | None = None,
        ) -> aiohttp.ClientSession:
            # No limit of its own: how many are in flight is decided per push service, by who sends.
            connector = aiohttp.TCPConnector(
                limit=0, ssl=True if tls is None else tls, resolver=resolver, socket_factory=guard
            )
            return aiohttp.ClientSession(
                connector=connector,
                proxy=proxy,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout_s),
                auto_decompress=False,
                trust_env=False,
                # Answers are read as they come, so none may be compressed.
                headers={"Accept-Encoding": "identity"},
                skip_auto_headers=("User-Agent", "Accept"),
            )

        if proxy is None:
            self._guarded = session(guarded_socket)
        else:
            to_proxy = ProxyGuard(proxy, resolver or aiohttp.ThreadedResolver())
            self._guarded = session(to_proxy.socket, to_proxy, proxy)
        self._goes_by_proxy = proxy is not None
        self._trusted = session(None) if allowed_origins else self._guarded

    async def post(self, request: PushRequest) -> PushAnswer:
        """Send one push, to the endpoint verbatim. The status decides: what comes of the body is no matter.

        One exception: aiohttp tells no status when broken chunks arrive together with it; that is a fault.

        Raises:
            TransportFault: There was no answer, or the endpoint is not one that is sent to.
        """
        return await self._ask("POST", request.endpoint, request.headers, request.body)

    async def look(self, origin: str) -> PushAnswer:
        """Ask an origin for its first page, the way pushes go: to see whether a push service can be reached.

        Raises:
            TransportFault: There was no answer, or the origin is not one that is sent to.
        """
        return await self._ask("GET", f"{origin}/", {}, None)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._guarded.close()
        await self._trusted.close()

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> PushAnswer:
        by_proxy = False
        try:
            check_endpoint(url, allowed_origins=self._allowed_origins)
            is_trusted = origin_of(url) in self._allowed_origins
            by_proxy = self._goes_by_proxy and not is_trusted
            return await self._exchange(self._trusted if is_trusted else self._guarded, method, url, headers, body)
        except (EndpointRefusedError, aiohttp.ClientError, OSError, UnicodeError) as error:
            kind = _kind_of(error)
            if by_proxy and kind in {FaultKind.CONNECT, FaultKind.DNS}:
                kind = FaultKind.PROXY
        # Outside the handler, so that aiohttp's error and the endpoint in it are not kept as this one's context.
        raise TransportFault(kind)

    async def _exchange(
        self, session: aiohttp.ClientSession, method: str, url: str, headers: Mapping[str, str], sent: bytes | None
    ) -> PushAnswer:
        started = self._clock()
        deadline = asyncio.get_running_loop().time() + self._total_timeout_s
        async with asyncio.timeout_at(deadline):
            response = await session.request(
                method,
                # yarl would rewrite percent-escapes, and WNS's endpoints break by that.
                URL(url, encoded=True),
                headers=headers,
                data=sent,
                allow_redirects=False,
            )
        latency_s = self._clock() - started
        body = bytearray()
        content = response.content
        try:
            async with asyncio.timeout_at(deadline):
                await _read_into(body, content)
        except (aiohttp.ClientError, OSError):
            pass  # a body that breaks off or never ends: the status has said what there is to say
        finally:
            if content.at_eof() and content.exception() is None:
                response.release()
            else:
                response.close()
        fields: dict[str, str] = {}
        for name, value in response.headers.items():
            fields.setdefault(name.lower(), value)
        return PushAnswer(response.status, fields, bytes(body), latency_s)


async def _read_into(body: bytearray, content: aiohttp.StreamReader) -> None:
    """Read up to `MAX_ANSWER_BODY` bytes; what has been read stays when the reading fails."""
    while len(body) < MAX_ANSWER_BODY:
        chunk = await content.read(MAX_ANSWER_BODY - len(body))
        if not chunk:
            return
        body += chunk


def _kind_of(error: Exception) -> FaultKind:
    """Say what an error of aiohttp's means; the narrow ones first, as its classes overlap."""
    if isinstance(error, EndpointRefusedError):
        return FaultKind.ADDRESS_REFUSED
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefusedError):
        return FaultKind.ADDRESS_REFUSED
    kinds: tuple[tuple[tuple[type[Exception], ...], FaultKind], ...] = (
        ((TimeoutError,), FaultKind.TIMEOUT),
        ((aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError), FaultKind.PROXY),
        # UnicodeError: a label of more than 63 characters, which no resolver is asked for.
        ((aiohttp.ClientConnectorDNSError, UnicodeError), FaultKind.DNS),
        ((aiohttp.ClientSSLError, ssl.SSLError), FaultKind.TLS),
        ((aiohttp.ClientConnectorError,), FaultKind.CONNECT),
        ((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, OSError), FaultKind.RESET),
    )
    return next((kind for classes, kind in kinds if isinstance(error, classes)), FaultKind.PROTOCOL)
