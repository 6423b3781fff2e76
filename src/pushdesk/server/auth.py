"""Who may do what: tokens, the local page, what a foreign page may never do, and who asks to change nothing."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from aiohttp import web

from pushdesk.errors import PushdeskError
from pushdesk.model import Scope, TokenGrant
from pushdesk.server.body import is_json
from pushdesk.server.client_address import client_of
from pushdesk.server.local_page import (
    IS_INVITED,
    Place,
    Visit,
    is_listed_origin,
    is_local_caller,
    is_own_origin,
    local_page_refusal,
)
from pushdesk.server.rate_limits import RATE_LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler, Middleware

    from pushdesk.engine.engine import Engine
    from pushdesk.model import DeviceGrant

_DEVICE_TOKEN: Final = "pdd_"  # noqa: S105 (how such a token begins)
READ_ONLY: Final = "Pushdesk-Read-Only"
"""A request with this header, whatever its value, is refused where it would change something."""
_OWN: Final = "admin"
"""The id of the tokens that are no access tokens: the admin token and the session token."""
_GRANT: Final = web.RequestKey("grant", TokenGrant)
"""What the access token of a request allows, if it has a valid one."""
_OWN_FETCH_SITES: Final = frozenset({"same-origin", "none"})


class Access(Enum):
    """Who may use a route; `scopes` are those of access tokens, any one of which is enough."""

    OPEN = ("open", frozenset[Scope]())
    """Anybody."""
    LOCAL = ("local", frozenset({Scope.READ}))
    """Programs on this machine, else a token that may read."""
    PAGE = ("page", frozenset[Scope]())
    """Anybody but a page of an origin that is not listed."""
    DEVICE = ("device", frozenset({Scope.ADMIN}))
    """The local page, the device itself, or the admin token."""
    NOTIFY = ("notify", frozenset({Scope.NOTIFY}))
    """Applications that notify."""
    FOLLOW = ("follow", frozenset({Scope.NOTIFY, Scope.READ}))
    """Applications that notify, and whoever may read."""
    READ = ("read", frozenset({Scope.READ}))
    """Whoever may see what operators see."""
    ADMIN = ("admin", frozenset({Scope.ADMIN}))
    """Operators."""

    def __init__(self, name: str, scopes: frozenset[Scope]) -> None:
        self.scopes: Final = scopes
        """The scopes of access tokens, any one of which is enough; `admin` always is. Empty where none is needed."""
        self.is_for_pages: Final = name in {"page", "device"}
        """Whether pages use it: their origin is looked at, and may be a listed one."""
        self.is_for_readers: Final = not scopes or Scope.READ in scopes
        """Whether to read is enough to use them, as far as they are asked with GET."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as a token says it: an application or operator, a device, or nobody that is known."""

    token: TokenGrant | None = None
    device: DeviceGrant | None = None

    @property
    def sender(self) -> str:
        """Whose idempotency keys are looked at: the id of the access token; empty without one."""
        return self.token.id if self.token else ""


_NOBODY: Final = Caller()


class Gate:
    """Decides whether a request may pass.

    Args:
        engine: Knows the access tokens and those of devices.
        place: Where the server is, for the local page.
        own_tokens: The admin token and the session token, with what each allows; only digests of them are kept.
    """

    def __init__(self, engine: Engine, *, place: Place, own_tokens: Mapping[str, Scope]) -> None:
        self._engine = engine
        self._place = place
        self._own_grants = tuple(
            (_digest(token), TokenGrant(_OWN, frozenset({scope}))) for token, scope in own_tokens.items()
        )

    def count(self, request: web.Request) -> None:
        """Count a request, whatever it asks for: for its access token, or for the address that it came from.

        What its token allows is looked up here, once, and kept for `admit`.

        Raises:
            PushdeskError: `rate_limited`.
        """
        try:
            grant = self._grant(_bearer_token(request) or "")
        except PushdeskError:
            # How a token is sent is for `admit` to refuse.
            grant = None
        if grant is None:
            request.app[RATE_LIMITS].check_address(client_of(request))
            return
        request[_GRANT] = grant
        if grant.id != _OWN:
            request.app[RATE_LIMITS].check_token(grant.id)

    async def admit(self, request: web.Request, access: Access, user: str) -> Caller:
        """Let a request pass, and tell whose it is.

        Raises:
            PushdeskError: `unauthorized` without a token where one is needed, or with one that is not valid;
                `forbidden` when the token does not allow this, the request comes from a foreign page, or it is one
                that is to change nothing and would;
                `rate_limited` when there were too many tokens that are not valid.
        """
        is_read_only = READ_ONLY in request.headers
        if is_read_only and not (request.method == "GET" and access.is_for_readers):
            raise PushdeskError(
                "The request is to change nothing, and this would.",
                code="forbidden",
                hint=f"Its header {READ_ONLY} says so: a console that was started with --read-only sends it.",
            )
        if access is Access.OPEN:
            return _NOBODY
        self._check_origin(request, access)
        if access is Access.PAGE:
            return _NOBODY
        if (grant := request.get(_GRANT)) is not None:
            self._check_grant(grant, request, access)
            return Caller(token=_reading(grant) if is_read_only else grant)
        token = _bearer_token(request)
        if token is None:
            await self._admit_without_token(visit_of(request), access, user)
            return _NOBODY
        return Caller(device=await self._device(request, token, access, user))

    def _grant(self, token: str) -> TokenGrant | None:
        """Return what an access token, or one of our own, allows."""
        digest = _digest(token)
        # All are compared: how long it takes tells nothing of them.
        own = [grant for known, grant in self._own_grants if hmac.compare_digest(digest, known)]
        return own[0] if own else self._engine.token_grant(token)

    def _check_grant(self, grant: TokenGrant, request: web.Request, access: Access) -> None:
        """Refuse an access token that a page uses, or that does not allow enough."""
        if origins_of(request):
            raise PushdeskError("Such a token is not for pages: the request has an Origin.", code="forbidden")
        if grant.scopes.isdisjoint(access.scopes) and Scope.ADMIN not in grant.scopes:
            needed = " or ".join(sorted(access.scopes))
            raise PushdeskError(
                f"The token does not allow this: it needs the scope {needed}.",
                code="forbidden",
                hint=f"pushdesk tokens create NAME --scope {min(access.scopes)} makes one that does.",
            )

    async def _device(self, request: web.Request, token: str, access: Access, user: str) -> DeviceGrant:
        """Return what a device token allows, if that is enough."""
        grant = await self._engine.device_grant(token) if token.startswith(_DEVICE_TOKEN) else None
        if grant is None:
            request.app[RATE_LIMITS].failed(client_of(request))
            raise PushdeskError(
                "The token is not valid.",
                code="unauthorized",
                hint="Look whether it was copied whole. If so, it was revoked, or a newer one took its place.",
            )
        if access is not Access.DEVICE:
            raise PushdeskError("A device token does not allow this.", code="forbidden")
        if grant.user != user:
            raise PushdeskError("The device token belongs to another user.", code="forbidden")
        return grant

    def _check_origin(self, request: web.Request, access: Access) -> None:
        origins = origins_of(request)
        if access.is_for_pages:
            if is_listed_origin(origins, self._place.allowed_origins):
                return
            site = request.headers.get("Sec-Fetch-Site", "none")
            if site not in _OWN_FETCH_SITES or not is_own_origin(origins, self._place.access_url):
                raise foreign_page(self._place.access_url)
        elif access is not Access.LOCAL and origins:
            raise PushdeskError("This is not for pages: the request has an Origin.", code="forbidden")

    async def _admit_without_token(self, visit: Visit, access: Access, user: str) -> None:
        if access is Access.LOCAL and is_local_caller(visit):
            return
        if access is not Access.DEVICE:
            raise PushdeskError(
                f"A token with the scope {' or '.join(sorted(access.scopes))} is needed.",
                code="unauthorized",
                hint="Send it as Authorization: Bearer TOKEN. pushdesk tokens create makes one.",
            )
        refusal = local_page_refusal(visit, self._place)
        if refusal is None and await self._engine.is_invited(user):
            refusal = IS_INVITED
        if refusal is not None:
            raise PushdeskError(refusal.detail, code="unauthorized", hint=refusal.hint)


def limit(gate: Gate) -> Middleware:
    """Return the middleware that counts every request, those for pages and for nothing at all too."""

    @web.middleware
    async def limit_rates(request: web.Request, handler: Handler) -> web.StreamResponse:
        gate.count(request)
        return await handler(request)

    return limit_rates


def foreign_page(access_url: str) -> PushdeskError:
    """Return the refusal of a page that is neither our own nor of a listed origin."""
    return PushdeskError(
        "This comes from a page of another origin.",
        code="forbidden",
        hint=f"Open the page at {access_url}, or have its origin listed with --allow-origin.",
    )


def origins_of(request: web.Request) -> tuple[str, ...]:
    """Return every `Origin` header."""
    return tuple(request.headers.getall("Origin", ()))


def visit_of(request: web.Request) -> Visit:
    """Return what is known of a request before its body is read."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return Visit(
        peer=peer[0] if isinstance(peer, tuple) else "",
        hosts=tuple(request.headers.getall("Host", [])),
        origins=origins_of(request),
        header_names=frozenset(name.lower() for name in request.headers),
        is_json=is_json(request),
    )


def _reading(grant: TokenGrant) -> TokenGrant:
    """Return what is left of a grant to whoever asks to change nothing."""
    return TokenGrant(grant.id, frozenset(scope for scope in (Scope.READ,) if grant.allows(scope)))


def _bearer_token(request: web.Request) -> str | None:
    values = request.headers.getall("Authorization", [])
    if not values:
        return None
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise PushdeskError("A token is sent once, as Authorization: Bearer TOKEN.", code="unauthorized")
    return token.strip()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
