"""A browser down to its frames, written from Mozilla's protocol and not from the simulator's code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import aiohttp

CHANNEL = "11111111-2222-4333-8444-555555555555"
OTHER_CHANNEL = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Wire:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def __aenter__(self) -> Self:
        self.socket = await self._session.ws_connect(self._url, protocols=("push-notification",))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.socket.close()

    async def ask(self, **frame: object) -> dict[str, Any]:
        await self.socket.send_json(frame)
        return await self.read()

    async def read(self) -> dict[str, Any]:
        frame = json.loads(await self.socket.receive_str())
        assert isinstance(frame, dict)
        return frame

    async def hello(self, uaid: str | None = None) -> str:
        more = {} if uaid is None else {"uaid": uaid}
        answer = await self.ask(messageType="hello", broadcasts={}, use_webpush=True, **more)
        assert answer == {
            "messageType": "hello",
            "uaid": answer["uaid"],
            "status": 200,
            "use_webpush": True,
            "broadcasts": {},
        }
        return str(answer["uaid"])

    async def register(self, key: str | None, channel: str = CHANNEL) -> str:
        more = {} if key is None else {"key": key}
        answer = await self.ask(messageType="register", channelID=channel, **more)
        assert (answer["messageType"], answer["status"], answer["channelID"]) == ("register", 200, channel)
        return str(answer["pushEndpoint"])

    async def closed(self) -> int | None:
        """Read until the other side closes; return the code."""
        while not self.socket.closed:
            await self.socket.receive()
        return self.socket.close_code
