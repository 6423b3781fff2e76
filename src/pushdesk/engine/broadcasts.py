"""Broadcasts as they are asked for: planned, accepted, paused, resumed, aborted and listed."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from pushdesk.engine.broadcast_pace import all_s, duration_s
from pushdesk.engine.broadcast_run import to_broadcast
from pushdesk.engine.dispatcher import ADMIN, check_repeat, schedule_fault
from pushdesk.engine.publisher import to_dispatch
from pushdesk.errors import PushdeskError
from pushdesk.log import current_request, write
from pushdesk.log_events import BroadcastAccepted, BroadcastPaused, BroadcastResumed
from pushdesk.log_fields import Id
from pushdesk.message import MAX_MESSAGE
from pushdesk.model import Accepted, BroadcastPlan, DispatchKind, LaneState, Page, PlannedPart
from pushdesk.storage.records import IdempotencyKey, Message, NewBroadcast, Plan
from pushdesk.storage.times import to_milliseconds
from pushdesk.storage.transaction import to_its_end
from pushdesk.user_list import checked
from pushdesk.webpush.request import message as pushed_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Collection, Sequence

    from pushdesk.clock import Clock
    from pushdesk.config import PushConfig
    from pushdesk.engine.acceptance import FirstDispatch
    from pushdesk.engine.dispatcher import Dispatcher
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.outbox import Outbox
    from pushdesk.engine.pressure import Pressure
    from pushdesk.model import Broadcast, Notification, PageQuery, Service, ServiceHealth
    from pushdesk.storage.broadcast_users import BroadcastUsers
    from pushdesk.storage.broadcasts import BroadcastTable
    from pushdesk.storage.listings import Listings

BATCH: Final = 500
"""The most users of a list that one transaction writes."""


def share_of(push: PushConfig) -> int:
    """Return how many recipients of one push service are sent to at once, for all broadcasts together.

    Half of the requests that may be under way, so that there is room for who is notified by himself; and with a rate,
    no more than start within a second.
    """
    share = max(1, push.concurrency // 2)
    return min(share, push.rate) if push.rate else share


class Broadcasts:
    """What can be asked for.

    Args:
        table: The broadcasts in the database.
        users: Their lists there.
        outbox: What accepts and sends them.
        dispatcher: Refuses where nothing is sent.
        pressure: Refuses what there is no room for.
        listings: Tells of a dispatch that was accepted before.
        health: Tells how a push service is.
        push: How push services are talked to.
        access_url: Origin under which browsers reach the server.
        click_origins: Where clicks may lead besides.
        kept_days: Days for which anything is kept, 0 for ever.
        identifiers: For dispatches.
        clock: The time.
    """

    def __init__(
        self,
        table: BroadcastTable,
        users: BroadcastUsers,
        *,
        outbox: Outbox,
        dispatcher: Dispatcher,
        pressure: Pressure,
        listings: Listings,
        health: Callable[[Service], ServiceHealth],
        push: PushConfig,
        access_url: str,
        click_origins: Collection[str],
        kept_days: int,
        identifiers: Identifiers,
        clock: Clock,
    ) -> None:
        self._table = table
        self._users = users
        self._outbox = outbox
        self._dispatcher = dispatcher
        self._pressure = pressure
        self._listings = listings
        self._health = health
        self._push = push
        self._access_url = access_url
        self._click_origins = click_origins
        self._kept_days = kept_days
        self._identifiers = identifiers
        self._clock = clock

    async def accept(
        self,
        notification: Notification,
        users: AsyncIterable[str] | None,
        *,
        skip_bad: bool = False,
        sender: str = ADMIN,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Accept a broadcast; returns once it is committed.

        Args:
            notification: What is to be shown.
            users: To whom; None for all users.
            skip_bad: Leave out what cannot be a user's id.
            sender: Who asks: idempotency keys are each sender's own.
            idempotency_key: Makes a repeat return the first dispatch.

        Raises:
            PayloadTooLargeError: The pushed message would be over 3993 bytes.
            PushdeskError: `bad_field` for what cannot be users' ids, for a list of nobody, for a click that would lead
                elsewhere, or for `send_at`; `too_large` for more than a million users; `idempotency_conflict` when the
                key was used with another body or list; `push_disabled`, `queue_full`, `disk_full`.
            DatabaseError: It was not accepted.
        """
        self._dispatcher.check()
        dispatch, now_ms = self._identifiers.new(), self._now_ms()
        plaintext = self._pushed(notification, dispatch)
        digest = hashlib.sha256(msgspec.json.encode((notification, users is not None, skip_bad)))
        first: FirstDispatch | None = None
        if idempotency_key is not None:
            # Of a list, only its digest is wanted then.
            first = await self._outbox.remembered(IdempotencyKey(sender, idempotency_key, b""))
        if first is None:
            fault = schedule_fault(notification.send_at, now_ms, self._kept_days)
            if fault is not None:
                raise PushdeskError(f"send_at: {fault}.", code="bad_field", fields=("send_at",))
            self._pressure.admit()
        listed = dispatch if users is not None else None
        try:
            if users is not None:
                await self._read(users, digest, dispatch if first is None else None, skip_bad=skip_bad)
            key = None if idempotency_key is None else IdempotencyKey(sender, idempotency_key, digest.digest())
            if first is None:
                plan = await self._users.plan(listed)
                number = None if listed is None else await self._users.count(listed)
                message = self._message(
                    dispatch, notification, plaintext, now_ms, sender, key, NewBroadcast(plan, number)
                )
                # To its end: whether the list is needed is not known before.
                first = await to_its_end(self._outbox.accept(message))
                if first is None:
                    write(BroadcastAccepted(dispatch=Id(dispatch), recipients=sum(plan.planned.values())))
                    return Accepted(to_dispatch(message))
            check_repeat(first, key)
        except BaseException:
            self._drop(listed)
            raise
        self._drop(listed)
        return Accepted(await self._listings.dispatch(first.dispatch), repeated=True)

    async def plan(
        self, notification: Notification, users: AsyncIterable[str] | None, *, skip_bad: bool = False
    ) -> BroadcastPlan:
        """Return what a broadcast would be; nothing of it is kept. See `accept` for what it raises."""
        self._dispatcher.check()
        dispatch = self._identifiers.new()
        size = len(self._pushed(notification, dispatch))
        fault = schedule_fault(notification.send_at, self._now_ms(), self._kept_days)
        if fault is not None:
            raise PushdeskError(f"send_at: {fault}.", code="bad_field", fields=("send_at",))
        if users is None:
            return self._planned(await self._users.plan(None), None, 0, (), size)
        self._pressure.admit()
        try:
            await self._read(users, hashlib.sha256(), dispatch, skip_bad=skip_bad)
            plan = await self._users.plan(dispatch)
            number = await self._users.count(dispatch)
            unknown, named = await self._users.unknown(dispatch)
        finally:
            self._drop(dispatch)
        return self._planned(plan, number, unknown, named, size)

    async def page(self, query: PageQuery) -> Page[Broadcast]:
        """List broadcasts; see `Desk.broadcasts`."""
        page = await self._table.page(query)
        shown = []
        for stored in page.items:
            run = self._outbox.runs.get(stored.dispatch.id)
            shown.append(to_broadcast(stored) if run is None else self._outbox.runs.shown(run))
        return Page(tuple(shown), page.next)

    async def pause(self, broadcast: str, sender: str | None) -> Broadcast:
        """Send nothing more of a broadcast until it is resumed; what is under way ends. Returns how it is now.

        Raises:
            PushdeskError: `not_found`; `forbidden` for another one's; `already_ended`.
            DatabaseError: Nothing was changed.
        """
        now_ms = self._now_ms()
        await self._table.pause(broadcast, sender, now_ms)
        write(BroadcastPaused(dispatch=Id(broadcast)))
        return await self._set_paused(broadcast, now_ms)

    async def resume(self, broadcast: str, sender: str | None) -> Broadcast:
        """Go on with a broadcast that is paused; see `pause`."""
        await self._table.resume(broadcast, sender)
        write(BroadcastResumed(dispatch=Id(broadcast)))
        shown = await self._set_paused(broadcast, None)
        await self._outbox.broadcasts.free(broadcast)
        return shown

    async def abort(self, broadcast: str, sender: str | None) -> Broadcast:
        """Send nothing more of a broadcast; what is under way ends, and is not tried again. See `pause`."""
        await self._table.check(broadcast, sender)
        await self._outbox.cancel(broadcast, sender)
        return to_broadcast(await self._table.find(broadcast))

    async def _set_paused(self, broadcast: str, paused_at_ms: int | None) -> Broadcast:
        run = self._outbox.runs.get(broadcast)
        if run is None:
            return to_broadcast(await self._table.find(broadcast))
        run.set_paused(paused_at_ms)
        self._outbox.broadcasts.wake()
        self._outbox.runs.changed(run)
        return self._outbox.runs.shown(run)

    async def _read(
        self, users: AsyncIterable[str], digest: hashlib._Hash, listed: str | None, *, skip_bad: bool
    ) -> None:
        """Read a list as it comes in: into a digest, and into the database, if there is a list to be made."""
        batch: list[str] = []
        async for user in checked(users, skip_bad=skip_bad):
            # No id has a slash.
            digest.update(f"{user}/".encode())
            batch.append(user)
            if len(batch) == BATCH:
                await self._write(listed, batch)
                batch.clear()
        if batch:
            await self._write(listed, batch)

    async def _write(self, listed: str | None, users: Sequence[str]) -> None:
        if listed is None:
            return
        # There may be room for a list no more when the rest of it comes.
        self._pressure.admit()
        began = self._clock.monotonic()
        await self._users.add(listed, users)
        # So that others have the writer for half of the time at least.
        await asyncio.sleep(self._clock.monotonic() - began)

    def _drop(self, listed: str | None) -> None:
        if listed is not None:
            self._outbox.broadcasts.drop_list(listed)

    def _planned(self, plan: Plan, users: int | None, unknown: int, named: tuple[str, ...], size: int) -> BroadcastPlan:
        parts = tuple(self._part(service, number) for service, number in sorted(plan.planned.items()) if number)
        durations = [part.duration_s for part in parts]
        known = [seconds for seconds in durations if seconds is not None]
        return BroadcastPlan(
            parts=parts,
            subscriptions=sum(part.subscriptions for part in parts),
            users=users,
            unknown=unknown,
            unknown_users=named,
            message_bytes=size,
            limit_bytes=MAX_MESSAGE,
            duration_s=all_s(known, sum(plan.planned.values())) if len(known) == len(durations) else None,
        )

    def _part(self, service: Service, number: int) -> PlannedPart:
        health = self._health(service)
        seconds = duration_s(number, latency_ms=health.p50_ms, at_once=share_of(self._push), rate=self._push.rate)
        note = "" if health.state is LaneState.OPEN else f"Its lane is {health.state}. {health.reason}"
        return PlannedPart(service, number, None if seconds is None else round(seconds, 3), note)

    def _pushed(self, notification: Notification, dispatch: str) -> bytes:
        return pushed_message(
            notification, dispatch=dispatch, access_url=self._access_url, click_origins=self._click_origins
        )

    def _message(
        self,
        dispatch: str,
        notification: Notification,
        plaintext: bytes,
        now_ms: int,
        sender: str,
        key: IdempotencyKey | None,
        new: NewBroadcast,
    ) -> Message:
        due_ms = now_ms if notification.send_at is None else max(now_ms, to_milliseconds(notification.send_at))
        return Message(
            id=dispatch,
            user="",
            kind=DispatchKind.BROADCAST,
            title=notification.title,
            plaintext=plaintext,
            urgency=notification.urgency,
            topic=notification.topic,
            subscription=None,
            accepted_at_ms=now_ms,
            due_at_ms=due_ms,
            expires_at_ms=due_ms + notification.ttl * 1000,
            idempotency=key,
            request=current_request(),
            sender=sender,
            broadcast=new,
        )

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)
