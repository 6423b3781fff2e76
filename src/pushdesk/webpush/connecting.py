"""How a connection to a push service comes about: name, address, guard, perhaps a proxy's tunnel, TLS."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from functools import cache
from typing import TYPE_CHECKING, Final

import aiohappyeyeballs

from pushdesk.webpush.egress import AddressRefusedError, ProxyGuard, RememberedNames, SystemResolver
from pushdesk.webpush.http_answer import AnswerReader
from pushdesk.webpush.http_request import head_of_origin, write_request
from pushdesk.webpush.origins import Origin
from pushdesk.webpush.push_answer import TransportFault
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohappyeyeballs import AddrInfoType

    from pushdesk.webpush.connection import Connection
    from pushdesk.webpush.egress import Resolver

NEXT_ADDRESS_S: Final = 0.25
"""After which the next address of a name is tried beside the one before: RFC 8305 section 5."""


class Connector:
    """Connects, to the checked address and with the name in the certificate.

    A socket's guard sees the address and not who it is for; so what the operator allowed by origin goes without it, and
    everything else through it. Where there is a proxy, all but the allowed goes to it, and the guard lets nothing else
    through.

    Args:
        guard: Makes the socket for an address that is about to be connected to, or refuses it.
        tls: Which certificates are trusted; the system's by default. Renegotiation is switched off on it.
        resolver: How names are resolved; the system's way by default.
        proxy: Origin of the proxy.
    """

    def __init__(
        self,
        *,
        guard: Callable[[AddrInfoType], socket.socket],
        tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
        proxy: str | None = None,
    ) -> None:
        self._guard = guard
        self._tls = _without_renegotiation(tls) if tls is not None else _system_tls()
        self._names = RememberedNames(resolver or SystemResolver())
        self._proxy = None if proxy is None else Origin(proxy)
        self._proxy_guard = None if proxy is None else ProxyGuard(proxy, self._names)

    async def connect(self, origin: Origin, connection: Connection) -> None:
        """Connect, and let the connection begin. Leaves no socket behind if that fails, or is cancelled.

        Raises:
            TransportFault: It failed.
        """
        proxy = None if origin.is_trusted else self._proxy
        connected = await self._reach(origin)
        transport, tunnel = await asyncio.get_running_loop().create_connection(_Tunnel, sock=connected)
        # What TLS wraps is closed here, whatever became of the wrapping.
        try:
            if proxy is not None:
                if proxy.is_tls:
                    await self._secure(tunnel, tunnel, proxy, cut=FaultKind.PROXY)
                await tunnel.open(origin)
            if origin.is_tls:
                cut = FaultKind.CONNECT if proxy is None else FaultKind.PROXY
                await self._secure(tunnel, connection, origin, cut=cut)
            else:
                tunnel.transport.set_protocol(connection)
            connection.begin(tunnel.transport)
        except BaseException:
            transport.abort()
            raise

    def forget_names(self) -> None:
        """Ask for every name anew."""
        self._names.forget()

    async def aclose(self) -> None:
        """Give up what names were asked for."""
        await self._names.aclose()

    async def _reach(self, origin: Origin) -> socket.socket:
        """Return a socket that is connected to the origin, or to the proxy."""
        kind = FaultKind.DNS
        try:
            if origin.is_trusted:
                addresses = await self._names.resolve(origin.host, origin.port)
                kind = FaultKind.CONNECT
                return await _connected(addresses, None)
            if self._proxy is not None and self._proxy_guard is not None:
                addresses = await self._proxy_guard.resolve(self._proxy.host, self._proxy.port)
                return await _connected(addresses, self._proxy_guard.socket)
            addresses = await self._names.resolve(origin.host, origin.port)
            kind = FaultKind.CONNECT
            return await _connected(addresses, self._guard)
        except AddressRefusedError:
            kind = FaultKind.ADDRESS_REFUSED
        except TimeoutError:
            kind = FaultKind.TIMEOUT
        except (OSError, UnicodeError) as error:
            if _lacks_files(error):
                kind = FaultKind.NO_FILE
            elif self._proxy is not None and not origin.is_trusted:
                kind = FaultKind.PROXY
        # Outside the handler, so that the error and the name in it are not kept as this one's context.
        raise TransportFault(kind)

    async def _secure(self, tunnel: _Tunnel, protocol: asyncio.BaseProtocol, origin: Origin, *, cut: FaultKind) -> None:
        """Put TLS on what has connected, and a protocol on that; `cut` if the other side hangs up meanwhile."""
        secured: asyncio.Transport | None = None
        kind = cut
        try:
            if not tunnel.transport.is_closing():
                # None, whatever the annotation says, if the other side hangs up in the middle.
                secured = await asyncio.get_running_loop().start_tls(
                    tunnel.transport, protocol, self._tls, server_hostname=origin.tls_name
                )
        except (ssl.SSLError, ValueError, TypeError):
            # ValueError: a name that no certificate can have. TypeError: what Python 3.11 makes of a certificate that
            # is not trusted, where TLS is inside TLS.
            kind = FaultKind.TLS
        except OSError:
            pass
        if secured is None:
            raise TransportFault(kind)
        tunnel.transport = secured


class _Tunnel(asyncio.Protocol):
    """What has connected, until there is a connection to a push service on it: perhaps by way of a proxy."""

    def __init__(self) -> None:
        self._reader = AnswerReader(lambda: 0.0)
        self._opened: asyncio.Future[bool] | None = None
        self.transport: asyncio.Transport

    async def open(self, origin: Origin) -> None:
        """Have the proxy connect to an origin: RFC 9110 section 9.3.6.

        Raises:
            TransportFault: It does not.
        """
        self._opened = asyncio.get_running_loop().create_future()
        if not self.transport.is_closing():
            self.transport.write(write_request("CONNECT", origin.authority, head_of_origin(origin.authority), {}, None))
            if await self._opened:
                return
        raise TransportFault(FaultKind.PROXY)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        reader = self._reader
        reader.feed(data)
        if reader.is_broken or reader.is_flooded:
            self._answered(is_open=False)
        elif reader.status:
            # Another 2xx is that of a server that is no proxy. And it is not the server that begins with TLS.
            self._answered(is_open=reader.status == 200 and not reader.body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        del exc
        self._answered(is_open=False)

    def _answered(self, *, is_open: bool) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(is_open)


async def _connected(
    addresses: Sequence[AddrInfoType], guard: Callable[[AddrInfoType], socket.socket] | None
) -> socket.socket:
    """Connect to one of the addresses, of which each goes through the guard."""
    return await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, socket_factory=guard)


def _lacks_files(error: Exception) -> bool:
    """Whether no more files can be opened. A resolver that would like to says all sorts of things then."""
    wanted: OSError | None = error if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror):
        try:
            socket.socket().close()
        except OSError as tried:
            wanted = tried
    return wanted is not None and wanted.errno in {errno.EMFILE, errno.ENFILE}


def _without_renegotiation(tls: ssl.SSLContext) -> ssl.SSLContext:
    """Refuse the handshakes that a server may ask for again and again: each costs as much as a connection."""
    tls.options |= ssl.OP_NO_RENEGOTIATION
    return tls


@cache
def _system_tls() -> ssl.SSLContext:
    """Return what trusts the system's authorities; reading them takes a while."""
    made = ssl.create_default_context()
    made.set_alpn_protocols(["http/1.1"])
    return _without_renegotiation(made)
