"""The way to the push services' own names: a proxy (`CONNECT`, RFC 9110 section 9.3.6) behind which they are.

Whoever sends through it is led to the simulator, whatever name is asked for, and meets the certificate of that name.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast
from weakref import WeakSet

from aiohttp import web

from pushdesk.simulator.certificates import Authority
from pushdesk.simulator.faults import AT_CONNECTING, FaultKind
from pushdesk.simulator.misbehaviour import reset
from pushdesk.simulator.personality import personality_of_host

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from pushdesk.simulator.faults import Fault, Faults
    from pushdesk.simulator.personality import Personality

_CONNECT: Final = b"CONNECT "
_HEAD_END: Final = b"\r\n\r\n"
_LARGEST_HEAD: Final = 8192
_HANDSHAKE_WITHIN_S: Final = 10.0
_WELCOME: Final = b"HTTP/1.1 200 Connected\r\n\r\n"
_NO_SUCH_NAME: Final = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Names:
    """The certificates of those push services that are simulated, and what is wrong with them at present."""

    def __init__(self, personalities: Sequence[Personality], faults: Faults) -> None:
        self._personalities = personalities
        self._hosts = [one.rules.host for one in personalities]
        self._faults = faults
        self.authority = Authority()

    def service(self, authority: str) -> Personality | None:
        """Return whose `HOST:PORT` it is, if it is one that is simulated."""
        host, _, port = authority.rpartition(":")
        service = personality_of_host(host)
        return service if port == "443" and service in self._personalities else None

    def fault(self, service: Personality) -> Fault | None:
        """Return what goes wrong with the next handshake."""
        return self._faults.take(AT_CONNECTING, service=service)

    def context(self, fault: Fault | None) -> ssl.SSLContext:
        """Return what the handshake is made with."""
        match fault.kind if fault is not None else None:
            case FaultKind.TLS_EXPIRED:
                return self._expired
            case FaultKind.TLS_WRONG_NAME:
                return self._wrong_name
        return self._good

    @cached_property
    def _good(self) -> ssl.SSLContext:
        return self.authority.good(self._hosts)

    @cached_property
    def _expired(self) -> ssl.SSLContext:
        return self.authority.expired(self._hosts)

    @cached_property
    def _wrong_name(self) -> ssl.SSLContext:
        return self.authority.wrong_name()


class TunnelSite(web.BaseSite):
    """Listens for both: plain HTTP, and tunnels to the names of the push services."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, names: Names) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._names = names
        self._tunnels: WeakSet[asyncio.Transport] = WeakSet()

    @property
    def name(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen."""
        await super().start()
        make_protocol = cast("Callable[[], asyncio.Protocol]", self._runner.server)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Arrival(make_protocol, self._names, self._tunnels), self._host, self._port
        )

    def close_tunnels(self) -> None:
        """Close what was opened with the certificates of before."""
        for transport in tuple(self._tunnels):
            transport.abort()


class _Arrival(asyncio.Protocol):
    """A connection until it is known what it is for; then the HTTP server's protocol has it."""

    def __init__(
        self, make_protocol: Callable[[], asyncio.Protocol], names: Names, tunnels: WeakSet[asyncio.Transport]
    ) -> None:
        self._make_protocol = make_protocol
        self._names = names
        self._tunnels = tunnels
        self._received = bytearray()
        self._transport: asyncio.Transport
        self._opening: asyncio.Task[None] | None = None
        self._cuts = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's)
        if self._opening is not None:
            self._opening.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._cuts:
            reset(self._transport)
        elif self._opening is not None:
            pass  # the handshake is over, and who goes on is about to be told
        elif not self._received.startswith(_CONNECT[: len(self._received)]):
            self._hand_over(self._transport)
        elif self._received.endswith(_HEAD_END):
            self._connect(self._transport)
        elif _HEAD_END in self._received or len(self._received) > _LARGEST_HEAD:
            # Whoever wants a tunnel waits until there is one.
            self._transport.abort()

    def _connect(self, transport: asyncio.Transport) -> None:
        authority = self._received[len(_CONNECT) :].split(b" ", 1)[0].decode("latin-1")
        self._received.clear()
        service = self._names.service(authority)
        if service is None:
            transport.write(_NO_SUCH_NAME)
            transport.close()
            return
        fault = self._names.fault(service)
        if fault is not None and fault.kind is FaultKind.TLS_CUT:
            self._cuts = True
            transport.write(_WELCOME)
            return
        self._opening = asyncio.create_task(self._open(transport, self._names.context(fault)))

    async def _open(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        transport.write(_WELCOME)
        try:
            inside = await asyncio.get_running_loop().start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE_WITHIN_S
            )
        except OSError:
            # The other side does not trust the certificate, or has gone.
            transport.abort()
            return
        opened = cast("asyncio.Transport", inside)
        self._tunnels.add(opened)
        self._hand_over(opened)

    def _hand_over(self, transport: asyncio.Transport) -> None:
        protocol = self._make_protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._received:
            protocol.data_received(bytes(self._received))
