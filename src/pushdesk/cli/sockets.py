"""The sockets the server listens on, opened before anything else so that a taken port is known at once."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from typing import Final

from pushdesk.errors import StartUpError

BACKLOG: Final = 128
ATTEMPTS: Final = 20
"""Free ports tried until one is free on every address."""
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""How a machine says that it has no IPv6."""


def listen(host: str, port: int) -> tuple[socket.socket, ...]:
    """Listen on every address of a host, all on one port; `localhost` is 127.0.0.1 and, if there is IPv6, ::1.

    Connections wait in the backlog until the server takes them.

    Args:
        host: A name or an address of this machine.
        port: 0 for a free one.

    Raises:
        StartUpError: The port is taken, not allowed, or the address is not one of this machine.
    """
    addresses = _addresses(host)
    for attempt in range(ATTEMPTS):
        sockets: list[socket.socket] = []
        try:
            for family, address in addresses:
                wanted = sockets[0].getsockname()[1] if sockets else port
                try:
                    sockets.append(_listen_on(family, address, wanted))
                except OSError as error:
                    if host != "localhost" or error.errno not in _NOT_HERE:
                        raise
            if sockets:
                return tuple(sockets)
        except OSError as error:
            for opened in sockets:
                opened.close()
            if port == 0 and error.errno == errno.EADDRINUSE and attempt + 1 < ATTEMPTS:
                continue
            raise _refused(host, port, error) from None
    raise StartUpError(f"{host} has no address to listen on.", hint="Name another with --host.")


def check_address(host: str, port: int) -> None:
    """Check that a host could be listened on, without listening: nobody who connects meanwhile is taken for a client.

    Raises:
        StartUpError: As `listen` would.
    """
    for family, address in _addresses(host):
        try:
            _bound(family, address, port).close()
        except OSError as error:
            if host != "localhost" or error.errno not in _NOT_HERE:
                raise _refused(host, port, error) from None


def port_of(sockets: tuple[socket.socket, ...]) -> int:
    """Return the port that is really listened on."""
    return int(sockets[0].getsockname()[1])


def are_loopback(sockets: tuple[socket.socket, ...]) -> bool:
    """Say whether only this machine can reach the sockets."""
    return all(ip_address(opened.getsockname()[0].partition("%")[0]).is_loopback for opened in sockets)


def http_url(host: str, port: int) -> str:
    """Return the URL of a host, which may be an IPv6 address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def local_url(host: str, port: int) -> str:
    """Return a URL under which this machine reaches what listens on a host: a wildcard is no address to connect to."""
    return http_url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104 - a wildcard is avoided


def _addresses(host: str) -> list[tuple[int, str]]:
    if host == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise StartUpError(f"{host} is not an address to listen on.", hint="Name another with --host.") from None
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bound(family: int, address: str, port: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
    except OSError:
        opened.close()
        raise
    return opened


def _listen_on(family: int, address: str, port: int) -> socket.socket:
    opened = _bound(family, address, port)
    try:
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _refused(host: str, port: int, error: OSError) -> StartUpError:
    if error.errno == errno.EADDRINUSE:
        return StartUpError(
            f"Port {port} on {host} is taken by another program.", hint="Choose one with --port, or a free one with 0."
        )
    if error.errno == errno.EACCES:
        return StartUpError(f"Port {port} needs rights that you don't have.", hint="Choose one above 1023 with --port.")
    return StartUpError(f"{host} cannot be listened on: {error.strerror}.", hint="Name another with --host.")
