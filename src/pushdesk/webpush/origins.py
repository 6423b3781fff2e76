"""Where requests go: an endpoint is an origin, which is connected to, and a target, which is asked for there."""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from pushdesk.webpush.endpoint import MAX_ENDPOINT, check_endpoint, origin_of
from pushdesk.webpush.http_request import head_of_origin

MAX_SPELLINGS: Final = 1000
"""Beginnings of endpoints that are remembered: as many as there are hosts of push services, and more."""

_PARTS: Final = re.compile(r"(https?://[A-Za-z0-9._:\[\]%-]+)(/[!\"$-~]*)")
"""An endpoint without a fragment: scheme and authority, path and query."""


class Origin:
    """An origin that may be sent to.

    Attributes:
        name: Scheme, host and, unless it is the default, port, as `origin_of` writes them.
        host: In lower case, without brackets; a zone behind a `%`.
        port: Where it listens.
        is_tls: Whether its scheme is https.
        is_trusted: The operator allowed it: it may be at a private address.
        head: What `head_of_origin` returns for it.
    """

    __slots__ = ("head", "host", "is_tls", "is_trusted", "name", "port")

    def __init__(self, name: str, *, is_trusted: bool = False) -> None:
        url = URL(name, encoded=True)
        self.name = name
        self.host = (url.raw_host or "").lower().replace("%25", "%")
        self.port = url.port or 0
        self.is_tls = url.scheme == "https"
        self.is_trusted = is_trusted
        # A zone says something on this machine only: RFC 6874 section 4.
        self.head = head_of_origin(re.sub(r"%25\w+", "", name.partition("://")[2]))

    @property
    def tls_name(self) -> str:
        """What the certificate has to name: RFC 6066 section 3 knows no trailing dot."""
        return self.host.partition("%")[0].rstrip(".")

    @property
    def authority(self) -> str:
        """Host and port, as `CONNECT` wants both: RFC 9110 section 7.1."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Origins:
    """Tells which origin an endpoint is at, if it may be sent to.

    What `check_endpoint` looks at behind the authority is characters and length; so it is asked once for each
    authority, and those two are looked at here each time.

    Args:
        allowed: What the operator allowed besides the known push services, as `origin_of` writes them.
    """

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._by_start: dict[str, Origin] = {}

    def find(self, endpoint: str) -> tuple[Origin, str]:
        """Return the origin of an endpoint, and path and query verbatim.

        Raises:
            EndpointRefusedError: It may not be sent to.
        """
        parts = _PARTS.fullmatch(endpoint)
        if parts is not None and len(endpoint) <= MAX_ENDPOINT:
            known = self._by_start.get(parts[1])
            if known is not None:
                return known, parts[2]
        check_endpoint(endpoint, allowed_origins=self._allowed)
        name = origin_of(endpoint)
        origin = Origin(name, is_trusted=name in self._allowed)
        if parts is None:
            rest = endpoint.partition("://")[2]
            query = rest.partition("?")
            return origin, f"/{query[1]}{query[2]}" if "/" not in query[0] else rest[rest.index("/") :]
        if len(self._by_start) >= MAX_SPELLINGS:
            self._by_start.clear()
        self._by_start[parts[1]] = origin
        return origin, parts[2]
