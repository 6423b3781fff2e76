"""The part of a pushdesk server's API that a browser's page uses (docs/api.md, "Browsers")."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from msgspec import Struct

from pushdesk.errors import ERROR_KINDS, PushdeskError, UnreachableError
from pushdesk.masked import Masked
from pushdesk.simulator.display import plain

T = TypeVar("T")

_ANSWERS_WITHIN_S = 30.0
_TROUBLE_FROM = 300


class ServerKey(Struct):
    """The server's current VAPID key."""

    public_key: str
    key_id: str


class PushSubscription(Masked, Struct):
    """What `PushSubscription.toJSON()` gives in a browser."""

    endpoint: str
    keys: dict[str, str]
    expiration_time: int | None = msgspec.field(name="expirationTime", default=None)

    def __repr__(self) -> str:
        return "PushSubscription(...)"


class Subscribed(Masked, Struct):
    """The server's answer to a subscription."""

    subscription: dict[str, Any]
    token: str | None = None
    test: str = "skipped"

    def __repr__(self) -> str:
        return "Subscribed(...)"


class _Problem(Struct):
    """A problem document (RFC 9457), as far as it is shown."""

    code: str = "internal"
    title: str = ""
    detail: str = ""
    hint: str = ""
    fields: list[str] = []


class SubscriptionApi:
    """A pushdesk server, as a page sees it.

    Every method raises `UnreachableError` when the server does not answer, else the `PushdeskError` it answered with.

    Args:
        session: The HTTP client.
        server: The server's URL, for instance `http://localhost:8484`.
    """

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server.rstrip("/")

    async def key(self) -> ServerKey:
        """Return the key to subscribe with."""
        return self._decoded(await self._ask("GET", "/api/v1/vapid"), ServerKey)

    async def subscribe(
        self,
        user: str,
        subscription: PushSubscription,
        *,
        key_id: str,
        user_agent: str,
        replaces: str | None = None,
        token: str | None = None,
    ) -> Subscribed:
        """Hand a subscription over; `replaces` is the endpoint of the one that it takes the place of."""
        body = msgspec.to_builtins(subscription) | {"key_id": key_id, "user_agent": user_agent}
        if replaces is not None:
            body["replaces"] = replaces
        return self._decoded(await self._ask("POST", _path(user), body, token), Subscribed)

    async def unsubscribe(self, user: str, endpoint: str, *, token: str | None = None) -> None:
        """Have a subscription removed."""
        await self._ask("DELETE", _path(user), {"endpoint": endpoint}, token)

    async def _ask(self, method: str, path: str, body: object = None, token: str | None = None) -> bytes:
        try:
            async with self._session.request(
                method,
                self._server + path,
                json=body,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=_ANSWERS_WITHIN_S),
            ) as answer:
                content = await answer.read()
                if answer.status >= _TROUBLE_FROM:
                    raise self._trouble(answer.status, content, f"{method} {path}")
                return content
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(
                f"The server at {plain(self._server)} does not answer.", hint="Is pushdesk running there?"
            ) from error

    def _decoded(self, content: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise PushdeskError(
                f"What answers at {plain(self._server)} is not a pushdesk server.", hint="Check the URL."
            ) from error

    def _trouble(self, status: int, content: bytes, asked: str) -> PushdeskError:
        try:
            problem = msgspec.json.decode(content, type=_Problem)
        except msgspec.DecodeError:
            problem = _Problem()
        if problem.code not in ERROR_KINDS or not (problem.detail or problem.title):
            return PushdeskError(
                f"{plain(self._server)} answered {status} to {asked}.",
                hint="Is it a pushdesk server, with Web Push switched on?",
            )
        if problem.code == "not_found":
            # These routes are always there, but for this.
            return PushdeskError(
                f"Web Push is switched off on the server at {plain(self._server)}.",
                code="push_disabled",
                hint="Start it with web-push = true under [experiments], then try again.",
            )
        return PushdeskError(
            plain(problem.detail or problem.title),
            code=problem.code,
            hint=plain(problem.hint),
            fields=tuple(problem.fields),
        )


def _path(user: str) -> str:
    return f"/api/v1/users/{quote(user, safe='')}/webpush/subscription"
