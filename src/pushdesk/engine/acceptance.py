"""Accepting: what comes in is durable before it is acknowledged, and what comes in together is committed together."""

from __future__ import annotations

import asyncio
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.engine.groups import GroupCommit
from pushdesk.engine.topics import Precedence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pushdesk.engine.outbox_observer import Observer
    from pushdesk.engine.stock import Stock
    from pushdesk.engine.worker import Worker
    from pushdesk.storage.outbox import OutboxTable
    from pushdesk.storage.records import Message

BATCH: Final = 500
"""The most messages that one transaction takes."""


class FirstDispatch(NamedTuple):
    """What an idempotency key was first used for: the dispatch, and the digest of the request's body."""

    dispatch: str
    body_digest: bytes


class _Incoming(NamedTuple):
    message: Message
    accepted: asyncio.Future[FirstDispatch | None]


class Acceptance:
    """Commits messages.

    Args:
        table: The outbox in the database.
        stock: Where they are counted.
        observer: Told of them.
        worker: Starts them.
        wake: Called when there is something new to be worked on.
    """

    def __init__(
        self, table: OutboxTable, *, stock: Stock, observer: Observer, worker: Worker, wake: Callable[[], None]
    ) -> None:
        self._table = table
        self._stock = stock
        self._observer = observer
        self._worker = worker
        self._wake = wake
        self._precedence = Precedence()
        self._incoming = GroupCommit(self._commit, limit=BATCH)

    def take_up(self, precedence: int) -> None:
        """Go on after the latest precedence that an earlier process gave to a dispatch."""
        self._precedence.latest = precedence

    async def accept(self, message: Message) -> FirstDispatch | None:
        """Return once a message is committed; see `Outbox.accept`."""
        accepted: asyncio.Future[FirstDispatch | None] = asyncio.get_running_loop().create_future()
        if message.topic is not None:
            message = replace(message, precedence=self._precedence.of(message))
        self._incoming.add(_Incoming(message, accepted))
        return await accepted

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for a message to be committed."""
        return self._incoming.is_busy

    async def run(self) -> None:
        """Commit what comes in until closed, and then what is left."""
        await self._incoming.run()

    def close(self) -> None:
        """Let `run` end after the transaction that it is in."""
        self._incoming.close()

    async def _commit(self, group: list[_Incoming]) -> None:
        try:
            # Counted before anybody else's turn comes.
            async with self._stock.books:
                self._incoming.fill(group)
                repeats = await self._accept([item.message for item in group])
        except Exception as error:  # noqa: BLE001 (whatever it was, those who wait for it are told)
            # It may be committed all the same.
            self._stock.is_unsure = True
            self._wake()
            for item in group:
                if not item.accepted.done():
                    # One for each: whoever raises an exception adds a traceback to it.
                    item.accepted.set_exception(copy(error))
            return
        for item in group:
            if not item.accepted.done():
                first = repeats.get(item.message.id)
                item.accepted.set_result(None if first is None else FirstDispatch(*first))

    async def _accept(self, messages: Sequence[Message]) -> Mapping[str, tuple[str, bytes]]:
        """Commit messages, and start what need not wait for its turn; returns what is a repeat of what."""
        sheet = self._worker.sheet(messages)
        now_ms = self._worker.now_ms()
        accepted = await self._table.accept(messages, self._precedence.latest, sheet.spread, sheet.generations, now_ms)
        sheet = sheet.but_for(accepted.outdated.union(accepted.repeats))
        fresh = [message for message in messages if message.id not in accepted.repeats]
        started = {message.id for message in sheet.messages}
        left = [message for message in fresh if message.id not in started]
        self._stock.queued += len(left)
        self._worker.leave(message.user for message in left if message.due_at_ms <= now_ms)
        self._observer.dispatches_accepted(fresh)
        self._worker.begin(sheet, accepted.ended)
        if left or sheet.left:
            self._wake()
        return accepted.repeats
