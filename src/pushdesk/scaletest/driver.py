"""Driving: subscribing all users, then telling of one turn of each conversation after the other."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from pushdesk.scaletest.application import refusal
from pushdesk.scaletest.crowd import USER_AGENT, turn_body

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from pushdesk.scaletest.application import Answer, Application
    from pushdesk.scaletest.crowd import Member
    from pushdesk.scaletest.ledger import Ledger
    from pushdesk.scaletest.plan import Plan

_LATER: Final = frozenset({429, 503})
"""Answers that ask for some patience."""
_LATER_S: Final = 1


class ServerKey(msgspec.Struct):
    """What browsers subscribe with."""

    public_key: str
    key_id: str


async def subscribe(
    application: Application, crowd: Sequence[Member], *, origin: str, key: ServerKey, done: Callable[[int], None]
) -> None:
    """Subscribe one virtual browser for each user, as pages do.

    Args:
        application: Asks the server.
        crowd: The users.
        origin: Of the push service.
        key: What they subscribe with.
        done: Told how many are.

    Raises:
        UnreachableError: The server does not answer.
        PushdeskError: It refused.
    """
    waiting = deque(crowd)
    subscribed = 0

    async def work() -> None:
        nonlocal subscribed
        while waiting:
            member = waiting.popleft()
            body = {
                "endpoint": origin + member.path.decode(),
                "keys": member.keys.shared(),
                "key_id": key.key_id,
                "user_agent": USER_AGENT,
            }
            path = f"/api/v1/users/{quote(member.user, safe='')}/webpush/subscription"
            await application.ask("POST", path, msgspec.json.encode(body))
            subscribed += 1
            done(subscribed)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(application.connections):
            tasks.create_task(work())


class Driver:
    """Tells of turns: of each conversation the next one when the one before has arrived.

    Args:
        plan: How many at once.
        application: Asks the server.
        crowd: Whose conversations.
        chance: Draws in which order they begin.
    """

    def __init__(self, plan: Plan, application: Application, crowd: Sequence[Member], chance: Random) -> None:
        self._plan = plan
        self._application = application
        self._crowd = crowd
        self._ready = deque(chance.sample(range(len(crowd)), len(crowd)))
        self._asking = 0
        self._stopped = False
        self._timers: set[asyncio.TimerHandle] = set()
        self.refused: Counter[str] = Counter()
        """Turns that were not taken, by reason."""
        self.put_off = 0

    @property
    def is_done(self) -> bool:
        """Whether all that was asked for was answered and has arrived, and there is nothing left to ask for."""
        return not (self._ready or self._asking or self._timers or self._ledger.under_way)

    def start(self, ledger: Ledger) -> None:
        """Begin."""
        self._ledger = ledger
        self._feed()

    def stop(self) -> None:
        """Ask for nothing more."""
        self._stopped = True
        for timer in self._timers:
            timer.cancel()

    def arrived(self, number: int) -> None:
        """A conversation's turn has arrived."""
        if self._ledger.may_go_on(number):
            self._ready.append(number)
        self._feed()

    def _feed(self) -> None:
        ledger = self._ledger
        while self._ready and not self._stopped and self._asking < self._plan.connections:
            if ledger.under_way >= self._plan.under_way:
                return
            self._ask(self._ready.popleft())

    def _ask(self, number: int) -> None:
        member, turn = self._crowd[number], self._ledger.ask(number)
        content = self._application.request(
            "POST", "/api/v1/turns", turn_body(member, turn), key=f"{member.conversation}-{turn}"
        )
        self._send(number, content)

    def _send(self, number: int, content: bytes) -> None:
        self._asking += 1
        self._application.submit(content, lambda answer: self._answered(number, content, answer))

    def _answered(self, number: int, content: bytes, answer: Answer) -> None:
        self._asking -= 1
        if answer.status in {200, 202}:
            self._ledger.accept(number)
            if self._ledger.may_go_on(number):
                self._ready.append(number)
        elif answer.status in _LATER:
            self.put_off += 1
            self._later(number, content, answer.retry_after_s or _LATER_S)
        else:
            # The conversation ends here: its next turn would say nothing about this one.
            self.refused[refusal(answer).detail] += 1
        self._feed()

    def _later(self, number: int, content: bytes, seconds: float) -> None:
        def again() -> None:
            self._timers.discard(timer)
            if not self._stopped:
                self._send(number, content)

        self._ledger.put_off(seconds)
        timer = asyncio.get_running_loop().call_later(seconds, again)
        self._timers.add(timer)
