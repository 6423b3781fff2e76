"""Listening: on which addresses, on one port, and what is said when it cannot be."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from pushdesk.cli.sockets import are_loopback, check_address, http_url, listen, local_url, port_of
from pushdesk.errors import StartUpError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def close(sockets: tuple[socket.socket, ...]) -> None:
    for opened in sockets:
        opened.close()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_localhost_is_both_loopback_addresses_on_one_port() -> None:
    sockets = listen("localhost", 0)
    addresses = [opened.getsockname()[:2] for opened in sockets]
    port = port_of(sockets)
    wanted = [("127.0.0.1", port), ("::1", port)] if has_ipv6() else [("127.0.0.1", port)]
    assert addresses == wanted
    assert are_loopback(sockets)
    close(sockets)


def test_a_connection_waits_until_the_server_takes_it() -> None:
    sockets = listen("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port_of(sockets)), timeout=5) as client:
        client.sendall(b"early")
        sockets[0].setblocking(True)
        accepted, _ = sockets[0].accept()
        assert accepted.recv(5) == b"early"
        accepted.close()
    close(sockets)


def test_a_wildcard_is_not_loopback() -> None:
    sockets = listen("0.0.0.0", 0)  # noqa: S104 - what is tested
    assert not are_loopback(sockets)
    close(sockets)


def test_a_taken_port_is_said_in_one_line(taken: int) -> None:
    for host in ("localhost", "127.0.0.1"):
        with pytest.raises(StartUpError, match=f"Port {taken} on {host} is taken.*--port"):
            listen(host, taken)


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(StartUpError, match=r"192\.0\.2\.1 cannot be listened on"):
        listen("192.0.2.1", 0)
    with pytest.raises(StartUpError, match=r"no\.such\.host\.invalid is not an address"):
        listen("no.such.host.invalid", 0)


def test_urls_are_spelled_for_people_and_for_clients() -> None:
    assert http_url("::1", 8484) == "http://[::1]:8484"
    assert local_url("0.0.0.0", 8484) == "http://127.0.0.1:8484"  # noqa: S104 - what is tested
    assert local_url("::", 8484) == "http://[::1]:8484"
    assert local_url("localhost", 8484) == "http://localhost:8484"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_address_is_checked_as_listening_would_and_left_free(host: str) -> None:
    (taken, *others) = listen("127.0.0.1", 0)
    port = port_of((taken,))
    with pytest.raises(StartUpError, match="is taken by another program"):
        check_address(host, port)
    for opened in (taken, *others):
        opened.close()
    check_address(host, port)
    for opened in listen("127.0.0.1", port):
        opened.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_here_is_refused_by_the_check_too(host: str) -> None:
    with pytest.raises(StartUpError, match="listen"):
        check_address(host, 0)
