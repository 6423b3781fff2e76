"""Where connections may go: the guards of the sockets, which see what names, literals and resolvers really led to."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pushdesk.webpush.endpoint import is_allowed_address
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    from aiohttp import AddrInfoType


class AddressRefusedError(OSError):
    """A name led to an address that is not sent to. An OSError, so that the name's other addresses are still tried."""


def guarded_socket(address: AddrInfoType) -> socket.socket:
    """Make the socket for an address that is about to be connected to, if it is on the public internet.

    The last place before `connect`, so that it sees what names, literals and resolvers really led to.

    Raises:
        AddressRefusedError: The address is not on the public internet.
    """
    family, kind, protocol, _, sockaddr = address
    if not is_allowed_address(str(sockaddr[0])):
        raise AddressRefusedError(FaultKind.ADDRESS_REFUSED.sentence)
    return socket.socket(family, kind, protocol)


class ProxyGuard(AbstractResolver):
    """Lets connections be made to one proxy and to nothing else, wherever that is.

    Names of push services are resolved by the proxy, so here no name but its own is looked up. Where they lead is then
    the proxy's to see to: what is sent is encrypted for whoever has the certificate of that name.

    Args:
        proxy: Its origin, http or https.
        resolver: How its name is resolved.
    """

    def __init__(self, proxy: str, resolver: AbstractResolver) -> None:
        self._url = URL(proxy)
        self._resolver = resolver
        self._addresses: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = set()
        with suppress(ValueError):
            # aiohttp asks no resolver for a literal.
            self._addresses.add(ipaddress.ip_address(self._url.raw_host or ""))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve the proxy's name.

        Raises:
            OSError: It is another name, or leads nowhere.
        """
        if host != self._url.raw_host:
            raise AddressRefusedError(FaultKind.ADDRESS_REFUSED.sentence)
        found = await self._resolver.resolve(host, port, family)
        self._addresses |= {ipaddress.ip_address(result["host"]) for result in found}
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()

    def socket(self, address: AddrInfoType) -> socket.socket:
        """Make the socket for an address that is about to be connected to, if it is the proxy's.

        Raises:
            AddressRefusedError: It is not.
        """
        family, kind, protocol, _, sockaddr = address
        if ipaddress.ip_address(str(sockaddr[0])) not in self._addresses or sockaddr[1] != self._url.port:
            raise AddressRefusedError(FaultKind.ADDRESS_REFUSED.sentence)
        return socket.socket(family, kind, protocol)
