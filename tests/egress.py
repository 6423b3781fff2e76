"""Looking at where connections really go, and leading those to the public internet to a server of the test's."""

from __future__ import annotations

import ipaddress
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pushdesk.webpush import transport
from pushdesk.webpush.egress import guarded_socket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest
    from aiohappyeyeballs import AddrInfoType

NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
        *("::/96", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        *("5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)
"""What security demands, written down a second time: the table of the program is not its own judge."""

_connects: list[tuple[Any, ...]] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _connects is not None:
        _connects.append(tuple(arguments[1][:2]) if isinstance(arguments[1], tuple) else (arguments[1],))


sys.addaudithook(_hook)


@contextmanager
def connects() -> Iterator[list[tuple[Any, ...]]]:
    """Note the address of every connection that the interpreter itself is asked to make, by whomever."""
    global _connects  # noqa: PLW0603 (an audit hook is never taken away)
    seen: list[tuple[Any, ...]] = []
    _connects = seen
    try:
        yield seen
    finally:
        _connects = None


def is_public(address: str) -> bool:
    """Whether an address may be connected to."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed in ipaddress.ip_network("64:ff9b::/96"):
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        elif parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
    inside = any(parsed in network for network in NOT_PUBLIC if network.version == parsed.version)
    return not inside and parsed.is_global and not parsed.is_multicast


class Led(socket.socket):
    """A socket that connects to a server of the test's, whatever it is told."""

    to: tuple[str, int]

    def connect(self, _address: object) -> None:
        super().connect(self.to)


class Factory:
    """The real socket factory, with an assertion behind it; what is public is led to a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.allowed: list[str] = []
        self.refused: list[str] = []

    def __call__(self, address: AddrInfoType) -> socket.socket:
        wanted = str(address[4][0])
        try:
            guarded_socket(address).close()
        except OSError:
            self.refused.append(wanted)
            raise
        assert is_public(wanted), f"a socket was made for {wanted}"
        self.allowed.append(wanted)
        led = Led(socket.AF_INET, socket.SOCK_STREAM)
        led.to = ("127.0.0.1", self.port)
        return led

    def put_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have every transport that is made from now on use it."""
        monkeypatch.setattr(transport, "guarded_socket", self)


def address_of(host: str, port: int) -> AddrInfoType:
    """Return what a resolver says of an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)


class Names:
    """A resolver that a stranger has in hand: each name leads where a test says, from the next question on."""

    def __init__(self) -> None:
        self.answers: dict[str, Sequence[str]] = {}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfoType]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError(f"no such name: {host}")
        return [address_of(address, port) for address in self.answers[host]]
