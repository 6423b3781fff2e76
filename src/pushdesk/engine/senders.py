"""Sending, each in its turn: what is at hand for a push service waits here until its lane has room for it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pushdesk.engine.lane import Slot

if TYPE_CHECKING:
    from pushdesk.engine.carrier import Carried, Carrier
    from pushdesk.engine.lanes import Lanes, Wait
    from pushdesk.model import PushTarget, Service
    from pushdesk.sender.frames import Push
    from pushdesk.webpush.services import Verdict


class _Waiting(NamedTuple):
    target: PushTarget
    expires_at_ms: int
    admitted: asyncio.Future[Slot | Wait | None]


class Senders:
    """Lets pushes start, and hands them to whoever carries them.

    Args:
        carrier: What encrypts and posts.
        lanes: Say who may start, and when.
    """

    def __init__(self, carrier: Carrier, lanes: Lanes) -> None:
        self._carrier = carrier
        self._lanes = lanes
        self._waiting: dict[Service, tuple[deque[_Waiting], deque[_Waiting]]] = {}
        """Those who come first, and those who give way to them."""
        self._timers: dict[Service, asyncio.TimerHandle] = {}
        self._closed = False
        lanes.listeners.append(self._admit)

    async def slot(self, target: PushTarget, expires_at_ms: int, *, gives_way: bool = False) -> Slot | Wait | None:
        """Return once a request to a subscription may start, first come, first served; `leave` it in any case.

        Args:
            target: The subscription.
            expires_at_ms: When the message's TTL ends, in milliseconds since the epoch.
            gives_way: Whether all others come first that do not, whenever they come.

        Returns:
            Its slot; or why it is to wait in the database; or None where that is as it did, until its lane opens.
        """
        if self._closed:
            return None
        queues = self._waiting.setdefault(target.service, (deque(), deque()))
        if not any(queues) and self._lanes.may_start(target.service):
            return self._start(target, expires_at_ms)
        waiting = _Waiting(target, expires_at_ms, asyncio.get_running_loop().create_future())
        queues[gives_way].append(waiting)
        self._admit(target.service)
        try:
            return await waiting.admitted
        except asyncio.CancelledError:
            if waiting.admitted.done() and not waiting.admitted.cancelled():
                slot = waiting.admitted.result()
                if isinstance(slot, Slot):
                    self.leave(target.service, slot, None)
            raise

    async def carry(self, delivery: str, push: Push) -> Carried:
        """Have a push carried that has its slot; see `Carrier.carry`."""
        return await self._carrier.carry(delivery, push)

    def leave(self, service: Service, slot: Slot, verdict: Verdict | None) -> None:
        """Note what a request came to, None if the push service was not asked after all, and let others start."""
        self._lanes.finish(service, slot, verdict)
        self._admit(service)

    def close(self) -> None:
        """Let nothing more start."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        for service in self._waiting:
            self._admit(service)

    def _admit(self, service: Service) -> None:
        first_ones, others = self._waiting.get(service, (None, None))
        while waiting := first_ones or others:
            if self._closed or self._lanes.is_shut(service):
                _let_go(waiting.popleft(), None)
            elif self._lanes.may_start(service):
                first = waiting.popleft()
                if not first.admitted.done():
                    _let_go(first, self._start(first.target, first.expires_at_ms))
            else:
                self._look_again(service)
                return

    def _start(self, target: PushTarget, expires_at_ms: int) -> Slot | Wait:
        wait = self._lanes.wait(target, expires_at_ms)
        return self._lanes.start(target) if wait is None else wait

    def _look_again(self, service: Service) -> None:
        seconds = self._lanes.opens_in_s(service)
        if service in self._timers:
            self._timers.pop(service).cancel()
        if seconds is not None:
            self._timers[service] = asyncio.get_running_loop().call_later(seconds, self._admit, service)


def _let_go(waiting: _Waiting, result: Slot | Wait | None) -> None:
    if not waiting.admitted.done():
        waiting.admitted.set_result(result)
