"""Applications that notify without rest, and try again what was not answered."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aiohttp

from tests.faults.ledger import Asked
from tests.faults.stage import USERS, session

if TYPE_CHECKING:
    from tests.faults.stage import Stage

CLIENTS: Final = 8
TTL_S: Final = 3600
REST_S: Final = 0.03
"""How long a client rests between two requests, on average."""
SHARES: Final = {"topic": 0.3, "scheduled": 0.1, "unkeyed": 0.2, "repeated": 0.1, "broadcast": 0.05}
"""Of what is asked for; what is scheduled has no topic, and what is repeated was answered."""
TOPICS: Final = 3
"""Of each user."""
AGAIN_S: Final = 60.0
"""Within which time a server accepts again when all is well."""
AHEAD_S: Final = 1.0
"""For how far ahead something is scheduled, at most."""


class Refusal(NamedTuple):
    """What an application was told instead of 202."""

    status: int
    content_type: str
    code: str
    retry_after: str


class Load:
    """What clients ask for.

    Args:
        stage: Whose ledger is kept.
        broadcasts: Whether some of it is for all users at once.
    """

    def __init__(self, stage: Stage, *, broadcasts: bool = True) -> None:
        self._stage = stage
        self._broadcasts = broadcasts
        self._numbers = count(1)
        self._unanswered: deque[tuple[Asked, str, dict[str, Any]]] = deque()
        """What has a key, and may have been accepted."""
        self._accepts = asyncio.Event()
        self.refusals: Counter[Refusal] = Counter()

    async def run(self, url: str) -> None:
        """Notify until cancelled, or until the server is gone."""
        async with session(self._stage.token) as kept:
            await asyncio.gather(*(self._client(kept, url) for _ in range(CLIENTS)))

    async def accepts_again(self, running: asyncio.Task[None]) -> None:
        """Wait until the server that is notified by `run` has accepted something from now on."""
        self._accepts.clear()
        accepting = asyncio.create_task(self._accepts.wait())
        done, _ = await asyncio.wait({running, accepting}, timeout=AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
        accepting.cancel()
        if running in done:
            await running
        if accepting not in done:
            raise AssertionError(f"The server has not accepted anything for {AGAIN_S:g} s: {self.refusals}")

    async def repeat_unanswered(self, url: str) -> None:
        """Ask again for all that has a key and was not answered."""
        async with session(self._stage.token) as kept:
            while self._unanswered:
                if not await self._ask(kept, url, *self._unanswered.popleft()):
                    raise AssertionError("The server does not accept, and nothing is wrong with it.")

    async def ask(self, url: str, user: str | None, body: dict[str, Any], *, key: bool = True) -> Asked:
        """Ask for one thing, with a title of its own; what is not answered is kept if it has a key.

        Args:
            url: The server.
            user: For whom; None for all users at once.
            body: What besides the title.
            key: Whether it has an idempotency key.
        """
        asked, path, body = self._make(user, body, key=key)
        async with session(self._stage.token) as kept:
            await self._ask(kept, url, asked, path, body)
        return asked

    async def _client(self, kept: aiohttp.ClientSession, url: str) -> None:
        random = self._stage.random
        goes_on = True
        while goes_on:
            await asyncio.sleep(random.expovariate(1 / REST_S))
            if self._unanswered:
                asked, path, body = self._unanswered.popleft()
            else:
                asked, path, body = self._draw()
            goes_on = await self._ask(kept, url, asked, path, body)
            if goes_on and asked.key is not None and random.random() < SHARES["repeated"]:
                goes_on = await self._ask(kept, url, asked, path, body)

    def _draw(self) -> tuple[Asked, str, dict[str, Any]]:
        random = self._stage.random
        body: dict[str, Any] = {"ttl": TTL_S}
        if random.random() < SHARES["topic"]:
            body["topic"] = f"topic {random.randrange(TOPICS)}"
        elif random.random() < SHARES["scheduled"]:
            due_at = datetime.now(UTC) + timedelta(seconds=random.uniform(0, AHEAD_S))
            body["send_at"] = due_at.isoformat()
        user = None if self._broadcasts and random.random() < SHARES["broadcast"] else random.choice(USERS)
        return self._make(user, body, key=random.random() >= SHARES["unkeyed"])

    def _make(self, user: str | None, body: dict[str, Any], *, key: bool) -> tuple[Asked, str, dict[str, Any]]:
        title = f"Number {next(self._numbers)}"
        topic = None if user is None or "topic" not in body else f"{user}: {body['topic']}"
        if user is None:
            # Of its own: a topic's newest would be somebody's, and not everybody's.
            body.pop("topic", None)
        asked = self._stage.clients.ask(
            Asked(title, self._stage.endpoints(user), topic, f"key of {title}" if key else None)
        )
        path = "/api/v1/broadcasts" if user is None else f"/api/v1/users/{user}/notifications"
        return asked, path, {"title": title, **body}

    async def _ask(self, kept: aiohttp.ClientSession, url: str, asked: Asked, path: str, body: dict[str, Any]) -> bool:
        """Ask, and write down the answer; returns whether there was one."""
        headers = {} if asked.key is None else {"Idempotency-Key": asked.key.replace(" ", "-")}
        try:
            async with kept.post(url + path, json=body, headers=headers) as answer:
                told = await answer.json()
        except (aiohttp.ClientError, TimeoutError, asyncio.CancelledError) as error:
            # Nobody knows whether it was accepted: whoever has a key asks again.
            self._keep(asked, path, body)
            if isinstance(error, asyncio.CancelledError):
                raise
            return False
        if answer.status in {200, 202}:
            self._stage.clients.accepted(asked, told["dispatch"]["id"])
            self._accepts.set()
            return True
        if answer.status == 400 and told.get("fields") == ["send_at"]:
            # It was never accepted, and its time has passed meanwhile.
            asked.is_refused = True
            return True
        said = Refusal(answer.status, answer.content_type, told["code"], answer.headers.get("Retry-After", ""))
        self.refusals[said] += 1
        if answer.status < 500:
            raise AssertionError(f"{answer.status}: {told}")
        self._keep(asked, path, body)
        return True

    def _keep(self, asked: Asked, path: str, body: dict[str, Any]) -> None:
        if asked.key is not None:
            self._unanswered.append((asked, path, body))
