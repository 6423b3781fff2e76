"""The local page: when a request may name a user without a token ("Who may name a user without a token", docs/api.md).

Pure: everything a decision rests on is in a `Visit`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROXY_HEADERS: Final = frozenset({"forwarded", "x-real-ip", "via"})
_PROXY_PREFIX: Final = "x-forwarded-"
_BY_INVITATION: Final = "This server lets browsers in by invitation only."
_ASK: Final = "Ask for an invitation, and enter its code."


class Refusal(NamedTuple):
    """Why a user may not be named without a token."""

    detail: str
    """For whoever has the page before them."""
    hint: str
    """What they can do, and after that what an operator should know."""


IS_INVITED: Final = Refusal(
    "An invitation let a browser of that user in, so that others need one as well.",
    f"{_ASK} pushdesk enroll makes one.",
)
"""What the request itself does not tell: an invited user is named by nobody without a token."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a request before its body is read."""

    peer: str
    """The peer's address; empty if it has none."""
    hosts: tuple[str, ...]
    """Every `Host` header."""
    origins: tuple[str, ...]
    """Every `Origin` header."""
    header_names: frozenset[str]
    """The names of all headers, in lower case."""
    is_json: bool
    """Whether the body is said to be JSON."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server stands."""

    access_url: str
    """Origin under which browsers reach the server."""
    listens_on_loopback_only: bool
    local_identity: bool
    """`[identity] local`"""
    allowed_origins: frozenset[str] = frozenset()
    """Origins of other sites whose pages may use the browser routes, with a token."""


def local_page_refusal(visit: Visit, place: Place) -> Refusal | None:
    """Say why a request may not name a user without a token; None if it may.

    Args:
        visit: The request.
        place: The server.
    """
    elsewhere = f"Open {place.access_url} on that machine, or ask for an invitation."
    clauses = (
        (
            place.local_identity,
            Refusal(_BY_INVITATION, f"{_ASK} For operators: [identity] local is false; pushdesk enroll invites."),
        ),
        (
            place.listens_on_loopback_only,
            Refusal(
                _BY_INVITATION,
                f"{_ASK} For operators: the server listens on more than loopback; pushdesk enroll invites.",
            ),
        ),
        (
            is_loopback(visit.peer),
            Refusal("Only browsers on the server's own machine need no invitation.", elsewhere),
        ),
        (
            len(visit.hosts) == 1 and _authority(visit.hosts[0], place.access_url) == _own_authority(place.access_url),
            Refusal(f"Without an invitation, this has to be sent to {place.access_url}.", elsewhere),
        ),
        (
            not came_through_proxy(visit.header_names),
            Refusal(
                _BY_INVITATION, f"{_ASK} For operators: the request came through a proxy; pushdesk enroll invites."
            ),
        ),
        (
            is_own_origin(visit.origins, place.access_url),
            Refusal("A page of another origin needs an invitation.", "Give it the code of one: docs/sites.md."),
        ),
        (visit.is_json, Refusal("The Content-Type is not application/json.", "Send it as JSON, or with a token.")),
    )
    return next((refusal for holds, refusal in clauses if not holds), None)


def takes_names(visit: Visit, place: Place) -> bool:
    """Whether a page that is asked for like this could name a user without a token."""
    return local_page_refusal(replace(visit, is_json=True), place) is None


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def is_own_origin(origins: Sequence[str], access_url: str) -> bool:
    """Whether `Origin`, if there, is the access URL's."""
    return not origins or (len(origins) == 1 and origins[0] == str(URL(access_url).origin()))


def is_listed_origin(origins: Sequence[str], listed: frozenset[str]) -> bool:
    """Whether `Origin` is there, once, and a listed one."""
    return len(origins) == 1 and origins[0] in listed


def came_through_proxy(header_names: frozenset[str]) -> bool:
    """Whether a proxy left its mark."""
    return any(name in _PROXY_HEADERS or name.startswith(_PROXY_PREFIX) for name in header_names)


def is_local_caller(visit: Visit) -> bool:
    """Whether a program on this machine asks, under a loopback name, without a proxy that shows itself.

    The name is looked at because a foreign page can have its own name resolve to this machine.
    """
    if len(visit.hosts) != 1 or came_through_proxy(visit.header_names) or not is_loopback(visit.peer):
        return False
    try:
        host = URL(f"http://{visit.hosts[0]}").host or ""
    except ValueError:
        return False
    return host == "localhost" or is_loopback(host)


def has_other_local_name(visit: Visit, access_url: str) -> bool:
    """Whether somebody on this machine asks under another loopback name than the access URL's, itself a loopback one.

    Not where the access URL is a public one: a proxy on this machine asks under any name, and would ask for ever.
    """
    own = _own_authority(access_url)
    if not is_local_caller(visit) or not (own[0] == "localhost" or is_loopback(own[0])):
        return False
    return _authority(visit.hosts[0], access_url) != own


def _own_authority(access_url: str) -> tuple[str, int | None]:
    url = URL(access_url)
    return (url.host or "", url.port)


def _authority(host: str, access_url: str) -> tuple[str, int | None] | None:
    """Return host and port of a `Host` header; the scheme of the access URL tells the default port."""
    if any(character in host for character in "/@?#\\"):
        return None
    try:
        url = URL(f"{URL(access_url).scheme}://{host}")
    except ValueError:
        return None
    return (url.host or "", url.port)
