"""The broadcasts of which something is left to do, as the outbox's observer keeps them in step with the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.engine.broadcast_run import Run
from pushdesk.engine.publisher import to_dispatch
from pushdesk.model import DispatchState, Outcome
from pushdesk.storage.records import IS_PAUSED, StoredBroadcast, Topic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.broadcast_chain import Chain
    from pushdesk.engine.tellers import BroadcastTeller
    from pushdesk.model import Broadcast, Delivery, Service
    from pushdesk.storage.records import Chunk, Message, NewBroadcast, Settled, Settlement


class Runs:
    """What is known of them.

    Args:
        teller: Tells of them.
        clock: When they moved on.
    """

    def __init__(self, teller: BroadcastTeller, clock: Clock) -> None:
        self._teller = teller
        self._clock = clock
        self._runs: dict[str, Run] = {}
        self.chains: dict[str, tuple[Chain, ...]] = {}
        """Of those that are being sent."""
        self.to_free: set[str] = set()
        """Those of whose deliveries some may still wait although they go on."""
        self.is_unsure = True
        """Whether there may be some in the database that are not known."""

    def __iter__(self) -> Iterator[Run]:
        return iter(tuple(self._runs.values()))

    def __contains__(self, broadcast: str) -> bool:
        """Whether something may be left to do for it."""
        return broadcast in self._runs

    @property
    def left(self) -> int:
        """How many recipients they have not got to yet."""
        return sum(run.left for run in self._runs.values())

    def get(self, broadcast: str) -> Run | None:
        """Return one, if something is left to do for it."""
        return self._runs.get(broadcast)

    def add(self, run: Run) -> None:
        """Take one in that is in the database."""
        self._runs.setdefault(run.id, run)

    def drop(self, run: Run) -> None:
        """Leave one alone of which nothing is left to do in the database."""
        self._runs.pop(run.id, None)

    def shown(self, run: Run) -> Broadcast:
        """Return how one is now."""
        return run.shown(self._clock.monotonic())

    def changed(self, run: Run) -> None:
        """Tell of one that has moved on."""
        if run.is_ended and not run.unsettled:
            self._runs.pop(run.id, None)
        self._teller.changed(run.id, lambda: self.shown(run))

    def is_paused(self, broadcast: str) -> bool:
        """Whether it is paused."""
        run = self._runs.get(broadcast)
        return run is not None and run.is_paused

    def topics_changed(self, topics: Collection[str]) -> None:
        """Note that something newer of these topics is on its way."""
        for chains in self.chains.values():
            for chain in chains:
                chain.topics_changed(topics)

    def users_changed(self, users: Collection[str]) -> None:
        """Note that subscriptions of these users have changed."""
        for chains in self.chains.values():
            for chain in chains:
                chain.users_changed(users)

    def wake(self) -> None:
        """Have those that wait see whether they go on."""
        for chains in self.chains.values():
            for chain in chains:
                chain.wake()

    def resumed(self, _waiting: Mapping[Service, int]) -> None:
        """Note that the stock was taken: there may be some that nobody was told of."""
        self.is_unsure = True

    def dispatches_accepted(self, messages: Sequence[Message]) -> None:
        """Take in those that are durable."""
        for message in messages:
            if message.broadcast is not None:
                run = Run(_stored(message, message.broadcast))
                self.add(run)
                self.changed(run)

    def deliveries_made(self, deliveries: Sequence[Delivery]) -> None:
        """Note nothing: theirs come with their chunks."""

    def settled(self, settlements: Sequence[Settlement], settled: Settled) -> None:
        """Note what their deliveries came to, and which of them are done."""
        if not self._runs:
            return
        moved: dict[str, Run] = {}
        for delivery in settled.removed:
            if (run := self._runs.get(delivery.dispatch)) is not None:
                moved[run.id] = run
                run.delivery_removed(delivery)
        for delivery in (item.delivery for item in settlements):
            run = self._runs.get(delivery.dispatch)
            if run is None:
                continue
            moved[run.id] = run
            run.delivery_settled(delivery)
            if delivery.reason == IS_PAUSED and not run.is_paused:
                # It went on before this was written down.
                self.to_free.add(run.id)
        for dispatch in settled.done:
            run = self._runs.get(dispatch.id)
            if run is not None:
                moved[run.id] = run
                is_cancelled = dispatch.state is DispatchState.CANCELLED
                run.ended(dispatch, Outcome.CANCELLED if is_cancelled else Outcome.EXPIRED, self._now_ms())
        for run in moved.values():
            self.changed(run)

    def chunk_settled(self, chunk: Chunk, _settled: Settled) -> None:
        """Note what came of a chunk."""
        run = self._runs.get(chunk.dispatch)
        if run is not None:
            run.chunk_settled(chunk, self._clock.monotonic())
            self.changed(run)

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)


def _stored(message: Message, new: NewBroadcast) -> StoredBroadcast:
    return StoredBroadcast(
        dispatch=to_dispatch(message),
        due_at_ms=message.due_at_ms,
        expires_at_ms=message.expires_at_ms,
        topic=None if message.topic is None else Topic(message.topic, message.precedence),
        users=new.users,
        plan=new.plan,
        done={},
        counts={},
        unreached=0,
        paused_at_ms=None,
        started_at_ms=None,
        reached_at_ms=None,
        settled_at_ms=None,
    )
