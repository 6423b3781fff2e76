"""`HttpDesk`: a `Desk` over the admin API of a server, wherever it runs."""

from __future__ import annotations

from contextlib import aclosing
from types import NoneType
from typing import TYPE_CHECKING, Final, Self, TypeVar
from urllib.parse import quote

from msgspec import Raw, Struct

from pushdesk.desk import AnyEvent, Hello
from pushdesk.errors import PushdeskError
from pushdesk.invitation_code import DEFAULT_LIFETIME_S
from pushdesk.link import Link, Patience
from pushdesk.model import (
    AcceptedTurn,
    AccessToken,
    Broadcast,
    BroadcastPlan,
    CacheEntry,
    DecidedBrake,
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
    PartialPage,
    Restoration,
    RevokedKeys,
    Scope,
    ServiceHealth,
    Stats,
    Subscription,
    User,
    Vacuumed,
    VapidKey,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Mapping, Sequence

    from pushdesk.desk import Position
    from pushdesk.model import Notification, Service, Span, Turn

T = TypeVar("T")

_REMOVING_S: Final = 300.0
"""Seconds for removing a user, who may have been sent very much, and for what is done to very many subscriptions."""
_VACUUM_S: Final = 3600.0
_BROADCAST_S: Final = 300.0
"""Seconds for counting whom a broadcast goes to, who may be very many."""
_ADMIN: Final = "/api/v1/admin"


class _Counted(Struct, frozen=True):
    """How many items a page had."""

    items: tuple[Raw, ...]


class HttpDesk:
    """The desk of the server at `url`.

    Connects with the first request; to be closed with `aclose`, or used as an async context manager.

    Args:
        url: The server's origin.
        token: A token that the server takes.
        read_only: Whether nothing is to be changed, whatever the token allows: every request says so to the server, and
            commands are refused here too, since a server that is older does not know of it.
        patience: For how long the server is waited for.

    Raises:
        PushdeskError: `bad_field` if `url` is not the address of a server, `unauthorized` if the token cannot be one.
    """

    def __init__(self, url: str, token: str, *, read_only: bool = False, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._read_only = read_only
        self._link = Link(url, token, read_only=read_only, patience=self._patience)

    @property
    def url(self) -> str:
        """The server's origin."""
        return self._link.url

    @property
    def left_out(self) -> int:
        """How many parts of what the server has said so far could not be read and are missing."""
        return self._link.left_out

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, event streams included."""
        await self._link.aclose()

    async def stats(self) -> Stats:
        """Return the state of the server."""
        stats = await self._get(f"{_ADMIN}/stats", Stats)
        self._link.meet(stats.version)
        return stats

    async def scopes(self) -> frozenset[Scope]:
        """Return what the token allows; of a server that is too old to say so, everything."""
        try:
            allowed = self._member(await self._get(f"{_ADMIN}/scopes", dict[str, frozenset[Scope]]), "scopes")
        except PushdeskError as error:
            if error.code != "not_found":
                raise
            allowed = frozenset(Scope)
        return allowed & {Scope.READ} if self._read_only else allowed

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
        return await self._list("users", query, User)

    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        """List subscriptions."""
        return await self._list("subscriptions", query, Subscription)

    async def deliveries(self, query: PageQuery) -> Page[Delivery]:
        """List deliveries."""
        return await self._list("deliveries", query, Delivery)

    async def dispatches(self, query: PageQuery) -> Page[Dispatch]:
        """List dispatches without their deliveries."""
        return await self._list("dispatches", query, Dispatch)

    async def dispatch(self, dispatch: str) -> Dispatch:
        """Return one dispatch with its deliveries."""
        return await self._get(f"/api/v1/dispatches/{_segment(dispatch)}", Dispatch)

    async def delivery(self, delivery: str) -> DeliveryRecord:
        """Return all that is known of a delivery."""
        return await self._get(f"{_ADMIN}/deliveries/{_segment(delivery)}", DeliveryRecord)

    async def cancel(self, dispatch: str) -> Dispatch:
        """End a dispatch that is scheduled, queued or being sent."""
        path = f"/api/v1/dispatches/{quote(dispatch, safe='')}/cancel"
        return self._member(await self._link.ask("POST", path, dict[str, Dispatch]), "dispatch")

    async def resend(self, delivery: str) -> Dispatch:
        """Send what a delivery was of once more, to its subscription only."""
        answer = await self._link.ask(
            "POST", f"{_ADMIN}/deliveries/resend", dict[str, Dispatch], body={"delivery": delivery}
        )
        return self._member(answer, "dispatch")

    async def keys(self, query: PageQuery) -> Page[VapidKey]:
        """List VAPID keys."""
        return await self._list("keys", query, VapidKey)

    async def tokens(self, query: PageQuery) -> Page[AccessToken]:
        """List access tokens."""
        return await self._list("tokens", query, AccessToken)

    async def cache(self, query: PageQuery) -> Page[CacheEntry]:
        """List what the subscription cache holds."""
        return await self._list("cache", query, CacheEntry)

    async def log(self, query: PageQuery) -> Page[LogEntry]:
        """List the latest lines of the log."""
        return await self._list("log", query, LogEntry)

    async def notify(
        self,
        user: str,
        notification: Notification,
        *,
        wait_s: float = 0.0,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Accept a notification for a user; the server waits up to `wait_s` seconds for it to be settled."""
        answer = await self._link.ask(
            "POST",
            f"/api/v1/users/{_segment(user)}/notifications",
            dict[str, Dispatch],
            query={"wait": f"{wait_s:g}"} if wait_s else {},
            body=notification,
            headers={} if idempotency_key is None else {"Idempotency-Key": idempotency_key},
            within_s=self._patience.request_s + wait_s,
        )
        return self._member(answer, "dispatch")

    async def broadcasts(self, query: PageQuery) -> Page[Broadcast]:
        """List broadcasts."""
        return await self._list("broadcasts", query, Broadcast)

    async def plan_broadcast(
        self, notification: Notification, users: AsyncIterable[str] | None = None, *, skip_bad: bool = False
    ) -> BroadcastPlan:
        """Return what a broadcast would be."""
        asked = {"plan": True, "skip_bad": skip_bad}
        return self._member(await self._broadcast(notification, users, dict[str, BroadcastPlan], asked), "plan")

    async def broadcast(
        self,
        notification: Notification,
        users: AsyncIterable[str] | None = None,
        *,
        skip_bad: bool = False,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Accept a broadcast; a list is sent as it comes, and never held whole."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        asked = {"skip_bad": skip_bad}
        answer = await self._broadcast(notification, users, dict[str, Dispatch], asked, headers)
        return self._member(answer, "dispatch")

    async def pause_broadcast(self, broadcast: str) -> Broadcast:
        """Send nothing more of a broadcast until it is resumed."""
        return await self._change_broadcast(broadcast, "pause")

    async def resume_broadcast(self, broadcast: str) -> Broadcast:
        """Go on with a broadcast that is paused."""
        return await self._change_broadcast(broadcast, "resume")

    async def abort_broadcast(self, broadcast: str) -> Broadcast:
        """Send nothing more of a broadcast."""
        return await self._change_broadcast(broadcast, "abort")

    async def turn(self, turn: Turn, *, idempotency_key: str | None = None) -> AcceptedTurn:
        """Accept a turn of an agent."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return await self._link.ask("POST", "/api/v1/turns", AcceptedTurn, body=turn, headers=headers)

    async def test(self, user: str, subscription: str | None = None) -> tuple[Delivery, ...]:
        """Send the test push to a user's devices, or to one of them."""
        wanted = {"user": user, "subscription": subscription}
        answer = await self._link.ask("POST", f"{_ADMIN}/test", dict[str, tuple[Delivery, ...]], body=wanted)
        return self._member(answer, "deliveries")

    async def remove_subscriptions(self, ids: Sequence[str]) -> int:
        """Remove subscriptions; returns how many there were."""
        body = {"ids": list(ids)}
        return self._member(
            await self._link.ask("POST", f"{_ADMIN}/subscriptions/remove", dict[str, int], body=body), "removed"
        )

    async def restore_subscriptions(self, ids: Sequence[str]) -> tuple[Restoration, ...]:
        """Make subscriptions active again that are gone or of another key."""
        path, body = f"{_ADMIN}/subscriptions/restore", {"ids": list(ids)}
        return self._member(
            await self._link.ask("POST", path, dict[str, tuple[Restoration, ...]], body=body), "subscriptions"
        )

    async def invite(self, user: str, expires_s: int = DEFAULT_LIFETIME_S) -> Invitation:
        """Make an invitation for a user."""
        path = f"/api/v1/users/{_segment(user)}/invitations"
        return await self._link.ask("POST", path, Invitation, body={"expires": expires_s})

    async def remove_user(self, user: str) -> None:
        """Remove a user with everything of theirs."""
        path = f"/api/v1/users/{_segment(user)}"
        await self._link.ask("DELETE", path, NoneType, within_s=_REMOVING_S)

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
        return await self._link.ask("POST", f"{_ADMIN}/keys/revoke", RevokedKeys, body={"confirm": confirm})

    async def import_key(self, text: str, *, current: bool = False, confirm: str = "") -> VapidKey:
        """Take a key that was used elsewhere."""
        return await self._change_key("import", text=text, current=current, confirm=confirm)

    async def export_key(self, key: str, *, confirm: str = "") -> ExportedKey:
        """Return a key with its private half."""
        body = {"id": key, "confirm": confirm}
        answer = await self._link.ask("POST", f"{_ADMIN}/keys/export", dict[str, ExportedKey], body=body)
        return self._member(answer, "key")

    async def pause_service(self, service: Service) -> ServiceHealth:
        """Send nothing more to a push service, until it is resumed."""
        return await self._change_service("pause", service)

    async def resume_service(self, service: Service) -> ServiceHealth:
        """Send to a push service again that was paused."""
        return await self._change_service("resume", service)

    async def reset_service(self, service: Service) -> ServiceHealth:
        """Forget what was wrong with a push service, and try again at once."""
        return await self._change_service("reset", service)

    async def confirm_brake(self, service: Service, *, confirm: str = "") -> DecidedBrake:
        """Say that the subscriptions which a push service's brake holds have ended."""
        return await self._decide("confirm", service, confirm)

    async def release_brake(self, service: Service, *, confirm: str = "") -> DecidedBrake:
        """Say that the subscriptions which a push service's brake holds have not ended."""
        return await self._decide("release", service, confirm)

    async def backup(self, write: Callable[[bytes], object]) -> None:
        """Have the server copy its database, and hand the copy over in pieces."""
        await self._link.download(f"{_ADMIN}/database/backup", write)

    async def vacuum(self) -> Vacuumed:
        """Have the server make its database smaller."""
        return await self._link.ask("POST", f"{_ADMIN}/database/vacuum", Vacuumed, within_s=_VACUUM_S)

    async def create_token(self, name: str, scopes: Collection[Scope]) -> NewAccessToken:
        """Make an access token; the token itself is returned this once."""
        body = {"name": name, "scopes": list(scopes)}
        return await self._link.ask("POST", f"{_ADMIN}/tokens/create", NewAccessToken, body=body)

    async def revoke_token(self, token: str) -> AccessToken:
        """End an access token, by its id."""
        answer = await self._link.ask("POST", f"{_ADMIN}/tokens/revoke", dict[str, AccessToken], body={"id": token})
        return self._member(answer, "access")

    async def invalidate_cache(self, user: str) -> bool:
        """Let a user's subscriptions be read again when they are next needed; returns whether any were held."""
        answer = await self._link.ask("POST", f"{_ADMIN}/cache/invalidate", dict[str, bool], body={"user": user})
        return self._member(answer, "invalidated")

    async def clear_cache(self) -> int:
        """Let all subscriptions be read again; returns how many users' were held."""
        return self._member(await self._link.ask("POST", f"{_ADMIN}/cache/clear", dict[str, int]), "cleared")

    async def events(self, after: Position | None = None) -> AsyncGenerator[Sequence[AnyEvent], None]:
        """Follow what happens; ends with `UnreachableError` when the connection is lost.

        Raises:
            PushdeskError: `unauthorized` also when the token is revoked meanwhile.
        """
        query = {"after": str(after.seq), "epoch": after.epoch} if after else {}
        async with aclosing(self._link.messages(f"{_ADMIN}/events", query)) as messages:
            greeting = self._understand(await anext(messages))
            if not (greeting and isinstance(greeting[0], Hello)):
                raise self._link.foreign()
            self._link.meet(greeting[0].version)
            yield greeting
            async for message in messages:
                yield self._understand(message)

    def _understand(self, message: str) -> tuple[AnyEvent, ...]:
        return self._link.understand(message, tuple[AnyEvent, ...])

    async def _change_key(self, command: str, **body: object) -> VapidKey:
        answer = await self._link.ask("POST", f"{_ADMIN}/keys/{command}", dict[str, VapidKey], body=body)
        return self._member(answer, "key")

    async def _broadcast(
        self,
        notification: Notification,
        users: AsyncIterable[str] | None,
        shape: type[T],
        asked: Mapping[str, bool],
        headers: Mapping[str, str] | None = None,
    ) -> T:
        path, headers = "/api/v1/broadcasts", headers or {}
        query = {name: "true" for name, is_wanted in asked.items() if is_wanted}
        if users is None:
            return await self._link.ask(
                "POST", path, shape, query=query, body=notification, headers=headers, within_s=_BROADCAST_S
            )
        return await self._link.upload(path, shape, query=query, first=notification, lines=users, headers=headers)

    async def _change_broadcast(self, broadcast: str, command: str) -> Broadcast:
        path = f"/api/v1/broadcasts/{_segment(broadcast)}/{command}"
        return self._member(await self._link.ask("POST", path, dict[str, Broadcast]), "broadcast")

    async def _change_service(self, command: str, service: Service) -> ServiceHealth:
        path, body = f"{_ADMIN}/services/{command}", {"service": service}
        return self._member(await self._link.ask("POST", path, dict[str, ServiceHealth], body=body), "service")

    async def _decide(self, command: str, service: Service, confirm: str) -> DecidedBrake:
        path, body = f"{_ADMIN}/brake/{command}", {"service": service, "confirm": confirm}
        return await self._link.ask("POST", path, DecidedBrake, body=body, within_s=_REMOVING_S)

    async def _list(self, name: str, query: PageQuery, item: type[T]) -> Page[T]:
        asked = {
            "cursor": query.cursor,
            "limit": str(query.limit),
            "filter": query.filter or None,
            "sort": query.sort or None,
        }
        parameters = {name: value for name, value in asked.items() if value is not None}
        answer = await self._get(f"{_ADMIN}/{name}", Raw, query=parameters)
        page = self._link.understand(answer, Page[item])  # type: ignore[valid-type]  # a type made at run time
        missing = len(self._link.understand(answer, _Counted).items) - len(page.items)
        return PartialPage(page.items, page.next, missing) if missing else page

    async def _get(self, path: str, shape: type[T], *, query: Mapping[str, str] | None = None) -> T:
        return await self._link.ask("GET", path, shape, query=query or {})

    def _member(self, answer: dict[str, T], name: str) -> T:
        if name not in answer:
            raise self._link.foreign()
        return answer[name]


def _segment(text: str) -> str:
    """Return text as one segment of a path; dots too, which a URL would take for a way up."""
    return quote(text, safe="", errors="surrogatepass").replace(".", "%2E")
