"""`HttpDesk`: a `Desk` over the admin API of a server, wherever it runs."""

from __future__ import annotations

import asyncio
from io import BytesIO
from types import NoneType
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from pushdesk.desk import AnyEvent
from pushdesk.errors import ERROR_KINDS, PushdeskError, UnreachableError
from pushdesk.invitation_code import DEFAULT_LIFETIME_S
from pushdesk.model import (
    AcceptedTurn,
    AccessToken,
    CacheEntry,
    Delivery,
    DeliveryRecord,
    Dispatch,
    ExportedKey,
    History,
    Invitation,
    LogEntry,
    NewAccessToken,
    Page,
    PageQuery,
    RevokedKeys,
    Scope,
    Stats,
    Subscription,
    User,
    VapidKey,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    from pushdesk.desk import Position
    from pushdesk.model import Notification, Span, Turn

T = TypeVar("T")

_PROBLEM: Final = "application/problem+json"
_TIMEOUT_S: Final = 15.0
"""Seconds for one request, beside what the server is asked to wait."""
_REMOVING_TIMEOUT_S: Final = 300.0
"""Seconds for removing a user, who may have been sent very much."""
_CONNECT_TIMEOUT_S: Final = 5.0
_HEARTBEAT_S: Final = 15.0
_LARGEST_FRAME: Final = 64 * 1024 * 1024
_ADMIN: Final = "/api/v1/admin"
_READ_ONLY: Final = "Pushdesk-Read-Only"


class _Problem(Struct, frozen=True):
    """What is read of a problem document (RFC 9457)."""

    code: str
    detail: str
    hint: str = ""
    fields: tuple[str, ...] = ()


class _RedirectedError(aiohttp.ClientError):
    """A server sent the WebSocket elsewhere."""


class HttpDesk:
    """The desk of the server at `url`.

    Connects with the first request; to be closed with `aclose`, or used as an async context manager.

    Args:
        url: The server's origin.
        token: A token that the server takes.
        read_only: Whether nothing is to be changed, whatever the token allows: every request says so to the server, and
            commands are refused here too, since a server that is older does not know of it.
        handshake_timeout_s: Seconds in which the event stream must be there.

    Raises:
        PushdeskError: `bad_field` if `url` is not the address of a server, `unauthorized` if the token cannot be one.
    """

    def __init__(self, url: str, token: str, *, read_only: bool = False, handshake_timeout_s: float = 10.0) -> None:
        try:
            self._origin = URL(url).origin()
        except ValueError:
            raise PushdeskError(
                "That is not the address of a server.",
                code="bad_field",
                hint="It looks like http://localhost:8484.",
                fields=("url",),
            ) from None
        if not token.isascii() or not token.isprintable():
            raise PushdeskError(
                "The token has characters that cannot be sent.",
                code="unauthorized",
                hint="A token is one line of visible ASCII characters.",
            )
        self._headers = {"Authorization": f"Bearer {token}"} | ({_READ_ONLY: "1"} if read_only else {})
        self._read_only = read_only
        self._handshake_timeout_s = handshake_timeout_s
        self._session: aiohttp.ClientSession | None = None
        self.left_out = 0

    @property
    def url(self) -> str:
        """The server's origin."""
        return str(self._origin)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, event streams included."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def stats(self) -> Stats:
        """Return the state of the server."""
        return await self._get(f"{_ADMIN}/stats", Stats)

    async def scopes(self) -> frozenset[Scope]:
        """Return what the token allows."""
        return self._member(await self._get(f"{_ADMIN}/scopes", dict[str, frozenset[Scope]]), "scopes")

    async def history(self, span: Span) -> History:
        """Return how the server has been doing."""
        return await self._get(f"{_ADMIN}/history", History, query={"span": span})

    async def explain(self, *, user: str = "", subscription: str = "", delivery: str = "") -> Verdict:
        """Return why a user, a device or a delivery did not get what was sent, or that it did."""
        asked = {"user": user, "subscription": subscription, "delivery": delivery}
        named = {name: value for name, value in asked.items() if value}
        return await self._get(f"{_ADMIN}/verdict", Verdict, query=named)

    async def users(self, query: PageQuery) -> Page[User]:
        """List users."""
        return await self._list("users", query, Page[User])

    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        """List subscriptions."""
        return await self._list("subscriptions", query, Page[Subscription])

    async def deliveries(self, query: PageQuery) -> Page[Delivery]:
        """List deliveries."""
        return await self._list("deliveries", query, Page[Delivery])

    async def dispatches(self, query: PageQuery) -> Page[Dispatch]:
        """List dispatches without their deliveries."""
        return await self._list("dispatches", query, Page[Dispatch])

    async def dispatch(self, dispatch: str) -> Dispatch:
        """Return one dispatch with its deliveries."""
        return await self._get(f"/api/v1/dispatches/{_segment(dispatch)}", Dispatch)

    async def delivery(self, delivery: str) -> DeliveryRecord:
        """Return all that is known of a delivery."""
        return await self._get(f"{_ADMIN}/deliveries/{_segment(delivery)}", DeliveryRecord)

    async def resend(self, delivery: str) -> Dispatch:
        """Send what a delivery was of once more, to its subscription only."""
        answer = await self._request(
            "POST", f"{_ADMIN}/deliveries/resend", dict[str, Dispatch], body={"delivery": delivery}
        )
        return self._member(answer, "dispatch")

    async def keys(self, query: PageQuery) -> Page[VapidKey]:
        """List VAPID keys."""
        return await self._list("keys", query, Page[VapidKey])

    async def tokens(self, query: PageQuery) -> Page[AccessToken]:
        """List access tokens."""
        return await self._list("tokens", query, Page[AccessToken])

    async def cache(self, query: PageQuery) -> Page[CacheEntry]:
        """List what the subscription cache holds."""
        return await self._list("cache", query, Page[CacheEntry])

    async def log(self, query: PageQuery) -> Page[LogEntry]:
        """List the latest lines of the log."""
        return await self._list("log", query, Page[LogEntry])

    async def notify(
        self,
        user: str,
        notification: Notification,
        *,
        wait_s: float = 0.0,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Accept a notification for a user; the server waits up to `wait_s` seconds for it to be settled."""
        answer = await self._request(
            "POST",
            f"/api/v1/users/{_segment(user)}/notifications",
            dict[str, Dispatch],
            query={"wait": f"{wait_s:g}"} if wait_s else {},
            body=notification,
            headers={} if idempotency_key is None else {"Idempotency-Key": idempotency_key},
            timeout_s=_TIMEOUT_S + wait_s,
        )
        return self._member(answer, "dispatch")

    async def turn(self, turn: Turn, *, idempotency_key: str | None = None) -> AcceptedTurn:
        """Accept a turn of an agent."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return await self._request("POST", "/api/v1/turns", AcceptedTurn, body=turn, headers=headers)

    async def test(self, user: str, subscription: str | None = None) -> tuple[Delivery, ...]:
        """Send the test push to a user's devices, or to one of them."""
        wanted = {"user": user, "subscription": subscription}
        answer = await self._request("POST", f"{_ADMIN}/test", dict[str, tuple[Delivery, ...]], body=wanted)
        return self._member(answer, "deliveries")

    async def remove_subscriptions(self, ids: Sequence[str]) -> int:
        """Remove subscriptions; returns how many there were."""
        body = {"ids": list(ids)}
        return self._member(
            await self._request("POST", f"{_ADMIN}/subscriptions/remove", dict[str, int], body=body), "removed"
        )

    async def invite(self, user: str, expires_s: int = DEFAULT_LIFETIME_S) -> Invitation:
        """Make an invitation for a user."""
        path = f"/api/v1/users/{_segment(user)}/invitations"
        return await self._request("POST", path, Invitation, body={"expires": expires_s})

    async def remove_user(self, user: str) -> None:
        """Remove a user with everything of theirs."""
        path = f"/api/v1/users/{_segment(user)}"
        await self._request("DELETE", path, NoneType, timeout_s=_REMOVING_TIMEOUT_S)

    async def rotate_key(self, *, confirm: str = "") -> VapidKey:
        """Make a new current VAPID key."""
        return await self._change_key("rotate", confirm=confirm)

    async def retire_key(self, key: str, *, confirm: str = "") -> VapidKey:
        """End a retiring key."""
        return await self._change_key("retire", id=key, confirm=confirm)

    async def roll_back_key(self, key: str, *, confirm: str = "") -> VapidKey:
        """Make a retiring or retired key current again."""
        return await self._change_key("rollback", id=key, confirm=confirm)

    async def revoke_keys(self, *, confirm: str = "") -> RevokedKeys:
        """Make a new current key, and end all others for good."""
        return await self._request("POST", f"{_ADMIN}/keys/revoke", RevokedKeys, body={"confirm": confirm})

    async def import_key(self, text: str, *, current: bool = False, confirm: str = "") -> VapidKey:
        """Take a key that was used elsewhere."""
        return await self._change_key("import", text=text, current=current, confirm=confirm)

    async def export_key(self, key: str, *, confirm: str = "") -> ExportedKey:
        """Return a key with its private half."""
        body = {"id": key, "confirm": confirm}
        answer = await self._request("POST", f"{_ADMIN}/keys/export", dict[str, ExportedKey], body=body)
        return self._member(answer, "key")

    async def create_token(self, name: str, scopes: Collection[Scope]) -> NewAccessToken:
        """Make an access token; the token itself is returned this once."""
        body = {"name": name, "scopes": list(scopes)}
        return await self._request("POST", f"{_ADMIN}/tokens/create", NewAccessToken, body=body)

    async def revoke_token(self, token: str) -> AccessToken:
        """End an access token, by its id."""
        answer = await self._request("POST", f"{_ADMIN}/tokens/revoke", dict[str, AccessToken], body={"id": token})
        return self._member(answer, "access")

    async def invalidate_cache(self, user: str) -> bool:
        """Let a user's subscriptions be read again when they are next needed; returns whether any were held."""
        answer = await self._request("POST", f"{_ADMIN}/cache/invalidate", dict[str, bool], body={"user": user})
        return self._member(answer, "invalidated")

    async def clear_cache(self) -> int:
        """Let all subscriptions be read again; returns how many users' were held."""
        return self._member(await self._request("POST", f"{_ADMIN}/cache/clear", dict[str, int]), "cleared")

    async def events(self, after: Position | None = None) -> AsyncGenerator[Sequence[AnyEvent], None]:
        """Follow what happens; ends with `UnreachableError` when the connection is lost.

        Raises:
            PushdeskError: `unauthorized` also when the token is revoked meanwhile.
        """
        path = f"{_ADMIN}/events"
        query = {"after": str(after.seq), "epoch": after.epoch} if after else {}
        try:
            # Without it aiohttp would wait for five minutes.
            async with asyncio.timeout(self._handshake_timeout_s):
                socket = await self._open().ws_connect(
                    self._address(path, query),
                    headers=self._headers,
                    heartbeat=_HEARTBEAT_S,
                    max_msg_size=_LARGEST_FRAME,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
        except (aiohttp.WSServerHandshakeError, _RedirectedError):
            # The handshake's error has no body: the same request without it is answered with the reason.
            await self._request("GET", path, msgspec.Raw, query=query)
            self._fail_foreign()
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise self._unreachable() from None
        async with socket:
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                yield self._decode(message.data, tuple[AnyEvent, ...])
        # What the server said: the socket's own `close_code` is another when the connection went before our answer.
        if message.type is aiohttp.WSMsgType.CLOSE and message.data == aiohttp.WSCloseCode.POLICY_VIOLATION:
            raise PushdeskError(
                f"{self.url} no longer takes the token.",
                code="unauthorized",
                hint="It was revoked. pushdesk tokens create makes another.",
            )
        raise UnreachableError(
            f"The connection to {self.url} was lost.", hint="It may be stopping, or the network in between."
        )

    async def _change_key(self, command: str, **body: object) -> VapidKey:
        answer = await self._request("POST", f"{_ADMIN}/keys/{command}", dict[str, VapidKey], body=body)
        return self._member(answer, "key")

    async def _list(self, name: str, query: PageQuery, shape: type[T]) -> T:
        asked = {
            "cursor": query.cursor,
            "limit": str(query.limit),
            "filter": query.filter or None,
            "sort": query.sort or None,
        }
        parameters = {name: value for name, value in asked.items() if value is not None}
        return await self._get(f"{_ADMIN}/{name}", shape, query=parameters)

    async def _get(self, path: str, shape: type[T], *, query: Mapping[str, str] | None = None) -> T:
        return await self._request("GET", path, shape, query=query)

    async def _request(
        self,
        method: str,
        path: str,
        shape: type[T],
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> T:
        if self._read_only and method != "GET":
            raise PushdeskError("The console is read-only.", code="forbidden", hint="It was started with --read-only.")
        sent = self._headers | dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            async with self._open().request(
                method,
                self._address(path, query or {}),
                headers=sent,
                # Not as bytes: aiohttp warns of large ones.
                data=None if body is None else BytesIO(msgspec.json.encode(body)),
                # A redirect would carry the token elsewhere.
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_TIMEOUT_S),
            ) as response:
                content = await response.read()
                status, content_type = response.status, response.content_type
        except (aiohttp.ClientError, TimeoutError, OSError):
            # The cause is left out: aiohttp's errors show requests.
            raise self._unreachable() from None
        if content_type == _PROBLEM:
            self._fail(self._decode(content, _Problem))
        if status >= 300:
            self._fail_foreign()
        return self._decode(b"null" if status == 204 else content, shape)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A WebSocket's handshake has no `allow_redirects` of its own.
            tracing = aiohttp.TraceConfig()
            tracing.on_request_redirect.append(_refuse_redirect)
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, trace_configs=[tracing]
            )
        return self._session

    def _address(self, path: str, query: Mapping[str, str]) -> URL:
        return URL(
            f"{self._origin}{path}" + (f"?{urlencode(query, errors='surrogatepass')}" if query else ""), encoded=True
        )

    def _decode(self, content: bytes | str, shape: type[T]) -> T:
        try:
            return msgspec.json.decode(content, type=shape)
        except (msgspec.DecodeError, msgspec.ValidationError):
            self._fail_foreign()

    def _member(self, answer: dict[str, T], name: str) -> T:
        if name not in answer:
            self._fail_foreign()
        return answer[name]

    def _fail(self, problem: _Problem) -> NoReturn:
        code = problem.code if problem.code in ERROR_KINDS else "internal"
        raise PushdeskError(problem.detail, code=code, hint=problem.hint, fields=problem.fields)

    def _fail_foreign(self) -> NoReturn:
        raise UnreachableError(
            f"What answers at {self.url} is not this version of pushdesk.",
            hint="Check the address, and what stands between.",
        ) from None

    def _unreachable(self) -> UnreachableError:
        return UnreachableError(
            f"The server at {self.url} cannot be reached.", hint="Check that it runs there, and the network in between."
        )


async def _refuse_redirect(_session: aiohttp.ClientSession, _context: object, _redirect: object) -> None:
    raise _RedirectedError


def _segment(text: str) -> str:
    """Return text as one segment of a path; dots too, which a URL would take for a way up."""
    return quote(text, safe="", errors="surrogatepass").replace(".", "%2E")
