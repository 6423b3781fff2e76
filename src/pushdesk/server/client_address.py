"""Which address a request counts as coming from: the peer's, unless a proxy that is trusted tells of another.

Pure but for `client_of`, which takes what it needs from a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, TypeAlias

from aiohttp import web

from pushdesk.server.local_page import came_through_proxy, is_loopback

if TYPE_CHECKING:
    from collections.abc import Sequence

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

TRUSTED_PROXIES: Final[web.AppKey[tuple[Network, ...]]] = web.AppKey("trusted_proxies", tuple)
"""The networks of proxies that are believed."""

IPV6_NETWORK_BITS: Final = 64
"""What one customer is given at least (RFC 6177): all addresses in it are one."""

_V4_WITH_PORT: Final = re.compile(r"([0-9.]+)(?::[0-9]{1,5})?")
_V6_IN_BRACKETS: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
_FORWARDED_PAIR: Final = re.compile(
    r"""[ \t]*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([\w!#$%&'*+.^`|~-]+))[ \t]*([;,]|$)""", re.ASCII
)
"""A pair of `Forwarded` and what ends it (RFC 7239 section 4)."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, as far as the network tells."""

    address: Address | None
    """None where there is no address, as on a Unix socket."""
    is_local: bool
    """Whether it is a program of this machine's, which did not come through a proxy that shows itself."""

    @property
    def network(self) -> str:
        """What counts as one client: an IPv4 address, or the first 64 bits of an IPv6 one."""
        return network_of(self.address)


def network_of(address: Address | None) -> str:
    """Return what counts as one client: an IPv4 address, or the first 64 bits of an IPv6 one."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), IPV6_NETWORK_BITS), strict=False))
    return str(address or "")


def read_address(text: str) -> Address | None:
    """Return the address that is written, an IPv4 one also where it is mapped into IPv6; None for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_in(address: Address | None, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks."""
    return address is not None and any(address in network for network in networks)


def client_of(request: web.Request) -> Client:
    """Return who asks, as the application's `TRUSTED_PROXIES` tell."""
    trusted = request.app[TRUSTED_PROXIES]
    peername = request.transport.get_extra_info("peername") if request.transport else None
    peer = peername[0] if isinstance(peername, tuple) else ""
    address = address_behind(
        read_address(peer),
        forwarded_for=request.headers.getall("X-Forwarded-For", ()),
        forwarded=request.headers.getall("Forwarded", ()),
        trusted=trusted,
    )
    names = frozenset(name.lower() for name in request.headers)
    return Client(address, is_local=is_loopback(peer) and not came_through_proxy(names))


def address_behind(
    peer: Address | None, *, forwarded_for: Sequence[str], forwarded: Sequence[str], trusted: Sequence[Network]
) -> Address | None:
    """Return the address that a request counts as coming from.

    A peer that is no trusted proxy is it. Else it is the last one in the header that is no trusted proxy: what stands
    before it was written by strangers. Headers that cannot be read, or that contradict each other (a proxy writes the
    one and passes the other on as it came), tell nothing, and the peer is it.

    Args:
        peer: Who opened the connection.
        forwarded_for: Every `X-Forwarded-For` header.
        forwarded: Every `Forwarded` header (RFC 7239).
        trusted: The networks of proxies that are believed.
    """
    if not is_in(peer, trusted):
        return peer
    told = set()
    if forwarded_for:
        told.add(_last_untrusted([hop.strip() for hop in ",".join(forwarded_for).split(",")], trusted))
    if forwarded:
        told.add(_last_untrusted(_hops(",".join(forwarded)), trusted))
    return (told.pop() if len(told) == 1 else None) or peer


def _last_untrusted(hops: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    address = None
    for hop in reversed(hops):
        address = _node(hop)
        if not is_in(address, trusted):
            break
    return address


def _node(text: str) -> Address | None:
    """Read an address as headers have it, with a port or without; one that means something on a link only is none."""
    if "%" in text:
        return None
    match = _V4_WITH_PORT.fullmatch(text) or _V6_IN_BRACKETS.fullmatch(text)
    return read_address(match[1] if match else text)


def _hops(forwarded: str) -> list[str]:
    """Return the `for` of every element of `Forwarded`; nothing if it is not as RFC 7239 has it."""
    hops: list[str] = []
    position, node = 0, ""
    while position < len(forwarded):
        match = _FORWARDED_PAIR.match(forwarded, position)
        if match is None:
            return []
        name, quoted, plain, end = match.groups()
        if name.lower() == "for":
            node = re.sub(r"\\(.)", r"\1", quoted) if plain is None else plain
        if end != ";":
            hops.append(node)
            node = ""
        position = match.end()
    return hops
