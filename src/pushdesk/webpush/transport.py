"""The HTTP client that pushes are sent with: HTTP/1.1 over connections that are kept, by origin.

It is made for servers that mean harm: no redirects, no environment proxies, no cookies, no decompression, a total
timeout and a capped answer. Every request ends in an answer or in a `TransportFault`, and neither shows the endpoint.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from pushdesk.errors import EndpointRefusedError
from pushdesk.webpush.connecting import Connector
from pushdesk.webpush.connection_pool import ConnectionPool
from pushdesk.webpush.egress import guarded_socket
from pushdesk.webpush.http_request import write_request
from pushdesk.webpush.origins import Origins
from pushdesk.webpush.push_answer import MAX_ANSWER_BODY, PushAnswer, TransportFault
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from pushdesk.webpush.egress import Resolver
    from pushdesk.webpush.request import PushRequest

__all__ = ["MAX_ANSWER_BODY", "FaultKind", "HttpTransport", "PushAnswer", "Transport", "TransportFault"]


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


class HttpTransport:
    """Sends over connections that are kept. To be used inside one event loop, and closed there.

    A push is sent once: a POST may have been processed as soon as any of it has left, and is not repeated then (RFC
    9110 section 9.2.2). So a kept connection is looked at before anything is sent on it, and if the other side has
    closed it by then, the push goes over another one. If it closes it afterwards and before a status, that is a fault,
    `RESET`: whether to send the push again is for the caller to decide, who can wait.

    How many are in flight to a push service is decided by who sends; here connections are bounded, per origin.

    Args:
        allowed_origins: What the operator allowed besides the known push services, as `origin_of` writes them: the only
            ones that may be at a private address.
        clock: Monotonic time in seconds.
        connect_timeout_s: For name, connection, the proxy's tunnel and TLS together.
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
        resolver: Resolver | None = None,
        proxy: str | None = None,
    ) -> None:
        self._clock = clock
        self._total_timeout_s = total_timeout_s
        self._origins = Origins(allowed_origins)
        self._connector = Connector(guard=guarded_socket, tls=tls, resolver=resolver, proxy=proxy)
        self._pool = ConnectionPool(self._connector, clock, connect_timeout_s=connect_timeout_s)

    async def post(self, request: PushRequest) -> PushAnswer:
        """Send one push, to the endpoint verbatim. The status decides: what comes of the body is no matter.

        Raises:
            TransportFault: There was no answer, or the endpoint is not one that is sent to.
            ValueError: A header is not one that can be sent.
        """
        return await self._ask("POST", request.endpoint, request.headers, request.body)

    async def look(self, origin: str) -> PushAnswer:
        """Ask an origin for its first page, the way pushes go: to see whether a push service can be reached.

        Raises:
            TransportFault: There was no answer, or the origin is not one that is sent to.
        """
        return await self._ask("GET", f"{origin}/", {}, None)

    async def aclose(self) -> None:
        """Close every connection; what is under way ends in a fault."""
        await self._pool.aclose()

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> PushAnswer:
        started = self._clock()
        deadline = asyncio.get_running_loop().time() + self._total_timeout_s
        try:
            origin, target = self._origins.find(url)
        except EndpointRefusedError:
            origin, target = None, ""
        if origin is None:
            raise TransportFault(FaultKind.ADDRESS_REFUSED)
        sent = write_request(method, target, origin.head, headers, body)
        connection = self._pool.take(origin)
        if connection is None:
            connection = await self._pool.open(origin, deadline)
        answering = connection.exchange(sent, started=started, deadline=deadline)
        try:
            answer = await answering
        except BaseException:
            connection.abandon(answering)
            raise
        if isinstance(answer, FaultKind):
            raise TransportFault(answer)
        return answer
