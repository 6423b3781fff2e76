"""Which address counts: the peer's, and behind trusted proxies the last one that none of them has."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from pushdesk.server.client_address import address_behind, network_of, read_address

TRUSTED = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/24"), ip_network("fd00::/8"))
PROXY = "10.0.0.1"
CLIENT = "203.0.113.9"
OTHER = "198.51.100.7"


def counted(*forwarded_for: str, forwarded: tuple[str, ...] = (), peer: str = PROXY) -> str:
    address = address_behind(read_address(peer), forwarded_for=forwarded_for, forwarded=forwarded, trusted=TRUSTED)
    return str(address)


def test_a_peer_that_is_not_trusted_is_believed_nothing() -> None:
    assert counted(CLIENT, forwarded=(f"for={CLIENT}",), peer=OTHER) == OTHER
    assert counted(CLIENT, peer="10.0.1.1") == "10.0.1.1"


def test_without_a_header_the_peer_counts() -> None:
    assert counted() == PROXY


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((CLIENT,), CLIENT),
        ((f" {CLIENT} ",), CLIENT),
        ((f"{CLIENT}:4711",), CLIENT),
        (("2001:db8::1",), "2001:db8::1"),
        (("[2001:db8::1]",), "2001:db8::1"),
        (("[2001:db8::1]:4711",), "2001:db8::1"),
        ((f"::ffff:{CLIENT}",), CLIENT),
        # What stands before the last one that is not trusted was written by strangers, whatever it is.
        ((f"{OTHER}, {CLIENT}",), CLIENT),
        ((f"nonsense;\x01, {CLIENT}, 10.0.0.7, fd00::5",), CLIENT),
        ((OTHER, CLIENT), CLIENT),
        ((f"{OTHER}, {CLIENT}", "10.0.0.9"), CLIENT),
        # All of them are proxies: the first asked.
        (("10.0.0.8, 10.0.0.7",), "10.0.0.8"),
    ],
)
def test_the_last_that_is_no_trusted_proxy_counts(headers: tuple[str, ...], expected: str) -> None:
    assert counted(*headers) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "unknown",
        f"{CLIENT},",
        f"{CLIENT}, nonsense",
        f"{CLIENT}, 10.0.0.7, 300.1.1.1",
        f"{CLIENT}:port",
        f"{CLIENT}:123456",
        "[2001:db8::1",
        "[2001:db8::1]x",
        f"[{CLIENT}]]",
        "٢٠٣.0.113.9",
        "0xCB007109",
        "203.0.113.009",
        f"{CLIENT}/32",
        "fe80::1%eth0",
        "[fe80::1%eth0]",
    ],
)
def test_a_header_that_cannot_be_read_leaves_the_peer(header: str) -> None:
    assert counted(header) == PROXY


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((f"for={CLIENT}",), CLIENT),
        ((f"For={CLIENT};proto=https;by=10.0.0.1",), CLIENT),
        ((f'by=10.0.0.1; for="{CLIENT}:4711" ; host="a, for={OTHER}"',), CLIENT),
        ((f'host="a, for={OTHER};x=", for={CLIENT}',), CLIENT),
        ((f'for={CLIENT};host="a, for={OTHER};x="',), CLIENT),
        (('for="[2001:db8::1]:4711"',), "2001:db8::1"),
        (('for="[2001:db8::1]"',), "2001:db8::1"),
        ((f"for={OTHER}, for={CLIENT}, for=10.0.0.7",), CLIENT),
        ((f"for={OTHER}", f"for={CLIENT}"), CLIENT),
        ((f'for="{CLIENT[:-1]}\\{CLIENT[-1]}"',), CLIENT),
        # What cannot be read, or tells no address.
        (("for=unknown",), PROXY),
        (("for=_hidden",), PROXY),
        (("proto=https",), PROXY),
        ((f"for={OTHER}, proto=https",), PROXY),
        ((f'for="{CLIENT}',), PROXY),
        ((f"for={CLIENT} for={OTHER}",), PROXY),
        ((f"for = {CLIENT}",), PROXY),
        (("for=2001:db8::1",), PROXY),
        ((CLIENT,), PROXY),
        (("",), PROXY),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(headers: tuple[str, ...], expected: str) -> None:
    assert counted(forwarded=headers) == expected


def test_two_headers_that_contradict_each_other_leave_the_peer() -> None:
    assert counted(CLIENT, forwarded=(f"for={CLIENT}",)) == CLIENT
    assert counted(CLIENT, forwarded=(f"for={OTHER}",)) == PROXY
    assert counted(CLIENT, forwarded=("nonsense",)) == PROXY
    assert counted("nonsense", forwarded=(f"for={OTHER}",)) == PROXY


def test_no_header_takes_long_to_read() -> None:
    for header in ('for="' + "\\" * 8000, "a=" * 4000, ";" * 8000, "for=a;" * 1500 + '"', " " * 8000):
        assert counted(forwarded=(header,)) == PROXY


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_what_counts_as_one_client(address: str, network: str) -> None:
    assert network_of(read_address(address)) == network
