"""Which endpoints may be sent to. Endpoints come from strangers, so both the URL and the address are checked.

`check_endpoint` judges the parsed URL, at subscribe and again at send; `is_allowed_address` judges the address that is
really connected to, because a name may lead anywhere. The URL is parsed by the same library that the transport sends
with, so that there is no second reading of it to slip through.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, TypeAlias
from urllib.parse import unquote

from yarl import URL

from pushdesk.errors import EndpointRefusedError
from pushdesk.model import Service
from pushdesk.webpush.services import service_of_host

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_ENDPOINT: Final = 2048
"""Characters. The longest ones seen are WNS's, well under 1 kB."""

REMOVED_HOST: Final = "permanently-removed.invalid"
"""Chromium's endpoint for a subscription that its push service has dropped for good."""

_HINT: Final = (
    "Known are the push services of Google, Mozilla, Apple and Microsoft; --allow-endpoint ORIGIN allows another."
)
_URL_CHARACTERS: Final = re.compile(r"[\x21-\x7e]+")
_AUTHORITY: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(?:%25\w+)?\])(?::[0-9]{0,5})?")
"""Host and port. Stricter than a parser, for which `4_43` is a number."""

SHORTEST_SECRET: Final = 8
"""Pieces of an endpoint's path that are shorter than this are words of the service's, such as `wpush`."""
_PIECE_ENDS: Final = re.compile(r"[/?&=#;]")

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}

REFUSED_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform address, public in form only
        "169.254.0.0/16",  # link-local, with the clouds' metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
"""The only block of IPv6 that has ever been handed out for the internet: whatever lies outside is refused."""

REFUSED_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments, with Teredo and ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: leads to any IPv4 address
        "3fff::/20",  # documentation
    )
)
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""How a network without IPv4 reaches it (RFC 6052): judged by the IPv4 address inside."""


def check_endpoint(endpoint: str, *, allowed_origins: frozenset[str]) -> Service:
    """Check that an endpoint may be sent to, and return whose it is.

    Args:
        endpoint: The URL, verbatim as the browser gave it.
        allowed_origins: What the operator allowed besides the known push services, as `origin_of` writes them. The
            only way to plain http, to another port or to a private address.

    Raises:
        EndpointRefusedError: It may not; the sentence says why and does not repeat the endpoint.
    """
    url = _parse(endpoint)
    host = _host(url)
    if host == REMOVED_HOST:
        raise _refused("The push service has removed this subscription for good.", hint="Subscribe anew.")
    service = service_of_host(host)
    if _origin(url) in allowed_origins:
        return service
    if url.scheme != "https":
        raise _refused("The endpoint is not https.", hint=_HINT)
    if url.port != 443:
        raise _refused("The endpoint names a port; push services are on 443.", hint=_HINT)
    if (address := _literal(host)) is not None:
        kind = "an address" if is_allowed_address(address) else "a private or reserved address"
        raise _refused(f"The endpoint's host is {kind}, not the name of a push service.", hint=_HINT)
    if service is Service.OTHER:
        raise _refused("The endpoint's host is not a push service that is known here.", hint=_HINT)
    return service


def origin_of(endpoint: str) -> str:
    """Return scheme, host and, unless it is the default, port: RFC 6454 section 6.1, the `aud` of RFC 8292.

    Raises:
        EndpointRefusedError: This is no URL that could be an endpoint.
    """
    return _origin(_parse(endpoint))


def is_permanently_removed(endpoint: str) -> bool:
    """Whether the browser has already been told that this subscription is gone."""
    try:
        return _host(_parse(endpoint)) == REMOVED_HOST
    except EndpointRefusedError:
        return False


def is_allowed_address(address: str | Address) -> bool:
    """Whether an address is one on the public internet, by a table of our own.

    `ipaddress.is_global` passes 6to4, NAT64 and multicast, which all lead elsewhere. IPv4 inside IPv6 (mapped, NAT64)
    is judged as IPv4. What is no address at all is not allowed.
    """
    try:
        # A scope (`%eth0`) belongs to link-local addresses, and those are refused below.
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped
        if inner is None and parsed in NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is None:
            return parsed in GLOBAL_V6 and not any(parsed in network for network in REFUSED_V6)
        parsed = inner
    return not any(parsed in network for network in REFUSED_V4)


def _parse(endpoint: str) -> URL:
    """Parse an endpoint, refusing whatever two parsers might read differently."""
    if len(endpoint) > MAX_ENDPOINT:
        raise _refused(f"The endpoint has {len(endpoint)} characters, and at most {MAX_ENDPOINT} are taken.")
    if not _URL_CHARACTERS.fullmatch(endpoint):
        raise _refused("The endpoint has characters that do not belong into a URL, or none at all.")
    try:
        url = URL(endpoint, encoded=True)
        authority = url.raw_authority if url.port is not None else ""  # yarl reads the port when it is asked for
    except ValueError:
        url, authority = URL(), ""
    if "@" in authority:
        raise _refused("The endpoint has a user name or a password.")
    if url.scheme not in _DEFAULT_PORTS or not _AUTHORITY.fullmatch(authority):
        raise _refused("The endpoint is not a complete https or http URL.")
    if "#" in endpoint:
        raise _refused("The endpoint has a fragment.")
    return url


def without_endpoint(text: str, endpoint: str, *keys: str) -> str:
    """Return what a push service says without what it repeats of the endpoint, which is a secret, and of the keys."""
    if len(text) < SHORTEST_SECRET:
        return text
    pieces = {piece for part in _PIECE_ENDS.split(endpoint.partition("://")[2])[1:] for piece in (part, unquote(part))}
    # Most texts repeat nothing, and finding that out takes far less time than making the pattern.
    folded = text.casefold()
    repeated = (piece for piece in (*pieces, *keys) if len(piece) >= SHORTEST_SECRET and piece.casefold() in folded)
    secrets = sorted(repeated, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, secrets)), "…", text, flags=re.IGNORECASE) if secrets else text


def _host(url: URL) -> str:
    return (url.raw_host or "").lower()


def _origin(url: URL) -> str:
    host = _host(url)
    bracketed = f"[{host}]" if ":" in host else host
    port = "" if url.port == _DEFAULT_PORTS[url.scheme] else f":{url.port}"
    return f"{url.scheme}://{bracketed}{port}"


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refused(detail: str, *, hint: str = "") -> EndpointRefusedError:
    return EndpointRefusedError(detail, hint=hint, fields=("endpoint",))
