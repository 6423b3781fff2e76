"""Turns of agents: each becomes a notification out of what it brought along; nothing is read to build it.

With a remote summariser a turn is accepted as a dispatch with pushdesk's own summary, scheduled for when the remote one
is no longer waited for. When that arrives in time it takes the place of the other, and the dispatch is due at once.
Whatever else happens, be it a crash, the turn goes out with what it was accepted with; its text is never stored.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from weakref import WeakValueDictionary

from msgspec import structs

from pushdesk.engine.summariser import SummaryError
from pushdesk.errors import DatabaseError, PayloadTooLargeError
from pushdesk.log import write
from pushdesk.log_events import SummaryFailed, TurnNotSummarised
from pushdesk.log_fields import Failure, Id
from pushdesk.message import MAX_MESSAGE, build_message
from pushdesk.model import AcceptedTurn, DispatchKind, Notification, SummaryFault, TurnStatus, Urgency
from pushdesk.shortening import clean, shorten
from pushdesk.storage.times import to_datetime
from pushdesk.summary import summarise, summarise_error
from pushdesk.user_id import check_user
from pushdesk.webpush.request import message as pushed_message

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pushdesk.clock import Clock
    from pushdesk.engine.dispatcher import Dispatcher
    from pushdesk.engine.summariser import Summariser
    from pushdesk.model import Turn

T = TypeVar("T")

SUB_AGENT: Final = "sub_agent"
"""Why nobody is notified of a turn that has a parent."""
FALLBACKS: Final = {
    TurnStatus.FINISHED: "Agent has finished running.",
    TurnStatus.FAILED: "Agent encountered an error.",
    TurnStatus.NEEDS_ACTION: "Agent needs your input.",
}
NAMELESS: Final = "Agent"
"""The title of a turn whose own has nothing that can be seen."""
LONGEST_TITLE: Final = 4000
"""Characters of a title that are looked at: more bytes than a message may have."""
LONGEST_TAG: Final = 64
"""Characters of a conversation's id that are a tag as they are."""
LONG: Final = 16 * 1024
"""Characters above which a text is summed up in a thread: nasty Markdown takes a tenth of a second."""
MAX_PENDING: Final = 36
"""Turns that wait for a summary at once: beyond that, pushdesk's own one is used."""
_ANY_ID: Final = "0" * 26


class Schedule(Protocol):
    """What holds accepted turns until they are due: the outbox."""

    async def release(self, dispatch: str, plaintext: bytes | None = None) -> bool:
        """Make a scheduled dispatch due, with another message if one is given; whether it was still scheduled."""
        ...

    async def release_kind(self, kind: DispatchKind) -> None:
        """Make every scheduled dispatch of a kind due."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    """An accepted turn whose remote summary is waited for."""

    repeat: tuple[str, str] | None
    """The idempotency key that it came with, and whose that is."""
    fetching: asyncio.Task[bytes | None]
    releasing: asyncio.Task[None]


class Turns:
    """Accepts turns.

    Args:
        dispatcher: What notifies.
        schedule: What holds turns that wait for a summary.
        access_url: Where browsers reach this server.
        click_origins: Where else clicks may lead.
        clock: Wall-clock time decides when a turn is due.
        summariser: What writes summaries besides pushdesk itself, if anything.
    """

    def __init__(
        self,
        *,
        dispatcher: Dispatcher,
        schedule: Schedule,
        access_url: str,
        click_origins: Collection[str],
        clock: Clock,
        summariser: Summariser | None,
    ) -> None:
        self._dispatcher = dispatcher
        self._schedule = schedule
        self._access_url = access_url
        self._click_origins = click_origins
        self._clock = clock
        self._summariser = summariser
        self._pending: dict[tuple[str, str], _Pending] = {}
        self._waiting = 0
        """Turns that wait for a summary, or will once they are accepted."""
        self._order: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def start(self) -> None:
        """Let go what an earlier process left behind: nobody writes its summaries any longer.

        Raises:
            DatabaseError: The database does not answer.
        """
        await self._schedule.release_kind(DispatchKind.TURN)

    async def aclose(self) -> None:
        """Wait for no summary any longer: what waits for one is due at once."""
        self._summariser = None
        pending = list(self._pending.values())
        for each in pending:
            each.fetching.cancel()
        await asyncio.gather(*[each.releasing for each in pending])

    async def accept(self, turn: Turn, *, sender: str, idempotency_key: str | None = None) -> AcceptedTurn:
        """Accept a turn: return once it is committed, or why nobody is notified of it.

        Args:
            turn: With all that is to be known of it.
            sender: Whose idempotency keys are looked at.
            idempotency_key: Makes a repeat return the first dispatch.

        Raises:
            PayloadTooLargeError: Even without a title, the pushed message would be over 3993 bytes.
            PushdeskError: `bad_field` for a user or URL that cannot be one; `idempotency_conflict` when the key was
                used with another body; `push_disabled`.
            DatabaseError: It was not accepted.
        """
        self._dispatcher.check()
        check_user(turn.user)
        if turn.parent:
            return AcceptedTurn(None, reason=SUB_AGENT)
        repeat = None if idempotency_key is None else (sender, idempotency_key)
        conversation = (turn.user, turn.conversation)
        # One after the other, from what is shown of it on, which takes as long as its text is long: an older turn that
        # were due after a newer one would take its place on the screen.
        async with self._order.setdefault(conversation, asyncio.Lock()):
            notification = self._fitting(to_notification(turn, await _body(turn)))
            older = self._pending.get(conversation)
            if older is not None and (repeat is None or older.repeat != repeat):
                older.fetching.cancel()
                await asyncio.wait((older.releasing,))
            summariser = self._summariser_of(turn)
            if summariser is None:
                return await self._dispatch(turn, notification, sender, idempotency_key)
            due_ms = round((self._clock.time() + summariser.timeout_s) * 1000)
            notification = structs.replace(notification, send_at=to_datetime(due_ms))
            self._waiting += 1
            try:
                accepted = await self._dispatch(turn, notification, sender, idempotency_key)
                if accepted.dispatch is not None and not accepted.repeated:
                    await self._wait_for_summary(accepted.dispatch.id, turn, summariser, repeat)
            finally:
                self._waiting -= 1
            return accepted

    def _summariser_of(self, turn: Turn) -> Summariser | None:
        """Return what is to summarise a turn; None where pushdesk's own summary is all that there will be."""
        is_wanted = turn.model and has_summary(turn) and self._waiting < MAX_PENDING
        return self._summariser if is_wanted else None

    async def _dispatch(
        self, turn: Turn, notification: Notification, sender: str, idempotency_key: str | None
    ) -> AcceptedTurn:
        accepted = await self._dispatcher.dispatch(
            turn.user,
            notification,
            kind=DispatchKind.TURN,
            sender=sender,
            idempotency_key=idempotency_key,
            request=turn,
        )
        return AcceptedTurn(accepted.dispatch, repeated=accepted.repeated)

    def _fitting(self, notification: Notification) -> Notification:
        """Cut a title that would make the message too large."""
        while len(notification.title) > 1 and self._size(notification) > MAX_MESSAGE:
            title = shorten(notification.title, max(2, len(notification.title) * 3 // 4))
            notification = structs.replace(notification, title=title if len(title) > 2 else title[:1])
        return notification

    def _size(self, notification: Notification) -> int:
        return len(
            build_message(
                notification, dispatch=_ANY_ID, access_url=self._access_url, click_origins=self._click_origins
            )
        )

    async def _wait_for_summary(
        self, dispatch: str, turn: Turn, summariser: Summariser, repeat: tuple[str, str] | None
    ) -> None:
        if self._summariser is None:
            # Meanwhile nothing is waited for any longer.
            await self._let_go(dispatch, None)
            return
        conversation = (turn.user, turn.conversation)
        fetching = asyncio.create_task(self._fetch(dispatch, turn, summariser), name=f"summary of {dispatch}")
        releasing = asyncio.create_task(self._release(dispatch, fetching), name=f"release of {dispatch}")
        pending = self._pending[conversation] = _Pending(repeat, fetching, releasing)
        self._waiting += 1

        def forget(_done: object) -> None:
            self._waiting -= 1
            if self._pending.get(conversation) is pending:
                del self._pending[conversation]

        releasing.add_done_callback(forget)

    async def _release(self, dispatch: str, fetching: asyncio.Task[bytes | None]) -> None:
        """Make a turn due, once its summary is there or not waited for any longer."""
        await asyncio.wait((fetching,))
        await self._let_go(dispatch, None if fetching.cancelled() else fetching.result())

    async def _let_go(self, dispatch: str, plaintext: bytes | None) -> None:
        try:
            await self._schedule.release(dispatch, plaintext)
        except DatabaseError as error:
            write(SummaryFailed(Failure.of(error), dispatch=Id(dispatch)))

    async def _fetch(self, dispatch: str, turn: Turn, summariser: Summariser) -> bytes | None:
        """Return the message with the remote summary, or nothing if there is none."""
        try:
            notification = self._fitting(await _summarised(turn, summariser))
            return pushed_message(
                notification, dispatch=dispatch, access_url=self._access_url, click_origins=self._click_origins
            )
        except SummaryError as error:
            write(TurnNotSummarised(dispatch=Id(dispatch), fault=error.fault, status=error.status))
        except PayloadTooLargeError:
            write(TurnNotSummarised(dispatch=Id(dispatch), fault=SummaryFault.UNUSABLE, status=None))
        except Exception as error:  # noqa: BLE001 (whatever it was, the turn goes out)
            write(SummaryFailed(Failure.of(error), dispatch=Id(dispatch)))
        return None


async def _summarised(turn: Turn, summariser: Summariser) -> Notification:
    """Return what is shown of a turn, with a remote summary."""
    written = await summariser.summarise(turn.text or "", turn.model or "")
    body = await _summed_up(len(written), summarise, written)
    if not body:
        raise SummaryError(SummaryFault.UNUSABLE)
    return to_notification(turn, body)


def to_notification(turn: Turn, body: str) -> Notification:
    """Return what is shown of a turn, with a summary of it."""
    return Notification(
        title=clean(turn.title[:LONGEST_TITLE]) or NAMELESS,
        body=body,
        tag=topic_of(turn.conversation),
        url=turn.url,
        renotify=True,
        urgency=Urgency.HIGH,
        topic=topic_of(turn.conversation),
    )


def has_summary(turn: Turn) -> bool:
    """Whether what is shown of a turn is a summary of its text."""
    return bool(turn.text and turn.text.strip()) and not (turn.status is TurnStatus.FAILED and turn.error)


def topic_of(conversation: str) -> str:
    """Return what a newer turn of a conversation replaces an older one by, on its way and on the screen."""
    if len(conversation) <= LONGEST_TAG and conversation.isascii() and conversation.isprintable():
        return f"turn:{conversation}"
    return f"turn:{hashlib.sha256(conversation.encode()).hexdigest()}"


async def _body(turn: Turn) -> str:
    return await _summed_up(len(turn.text or "") + len(turn.error or ""), _body_of, turn)


def _body_of(turn: Turn) -> str:
    error = summarise_error(turn.error) if turn.error and turn.status is TurnStatus.FAILED else ""
    return error or (summarise(turn.text) if turn.text else "") or FALLBACKS[turn.status]


async def _summed_up(length: int, sum_up: Callable[[T], str], what: T) -> str:
    """Sum up what has so many characters: if they are many, in a thread, beside the event loop."""
    return await asyncio.to_thread(sum_up, what) if length > LONG else sum_up(what)
