"""A virtual browser: it subscribes as a page does, and decrypts what it is pushed."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.simulator import base64url, frames
from pushdesk.simulator.changes import Changes
from pushdesk.simulator.decryption import BrowserKeys, ReceivedMessage, UndecryptableError
from pushdesk.simulator.personality import REMOVED_ORIGIN
from pushdesk.simulator.subscription_api import PushSubscription, SubscriptionApi

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

_ANSWERS_WITHIN_S = 10.0
_RECONNECT_AFTER_S = 0.3
_MOST_RECEIVED = 1000
_SHOWN, _UNDECRYPTABLE = 100, 101


@dataclass(frozen=True, slots=True)
class _Registration:
    """A subscription, as the browser keeps it."""

    channel: str
    endpoint: str = field(repr=False)
    server_key: str
    keys: BrowserKeys = field(repr=False)

    def to_json(self) -> PushSubscription:
        return PushSubscription(endpoint=self.endpoint, keys=self.keys.shared())


class VirtualBrowser:
    """A browser with one site open: connected to a push service, subscribed to at most one server.

    An async context manager. Like a real browser it reconnects when the connection is lost, and subscribes anew when
    the push service no longer knows it (`pushsubscriptionchange`).

    Args:
        push_service: The simulator's URL; one push service of several is named by the path, `/fcm`.
        user: For whom it subscribes.
        user_agent: As what it names itself to the server.
        report: Called with every message received, and with every error that nobody waits for.
        clock: Seconds since the epoch.
        random_bytes: Returns that many random bytes.
    """

    def __init__(
        self,
        push_service: str,
        *,
        user: str = "ada",
        user_agent: str = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
        report: Callable[[VirtualBrowser, ReceivedMessage | PushdeskError], None] | None = None,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.user = user
        self.user_agent = user_agent
        self.received: deque[ReceivedMessage] = deque(maxlen=_MOST_RECEIVED)
        self.token: str | None = None
        self._push_service = push_service.rstrip("/")
        self._report = report
        self._clock = clock
        self._random_bytes = random_bytes
        self._changes = Changes()
        self._uaid: str | None = None
        self._registration: _Registration | None = None
        self._replaces: str | None = None
        self._server: str | None = None
        self._answers: dict[str, asyncio.Future[frames.Registered | frames.Unregistered]] = {}

    async def __aenter__(self) -> Self:
        """Connect to the push service.

        Raises:
            UnreachableError: It does not answer.
        """
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._connect()
        except BaseException:
            await self._session.close()
            raise
        self._life = asyncio.create_task(self._live())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._life.cancel()
        try:
            await self.closed()
        except asyncio.CancelledError:
            if not self._life.cancelled():
                raise
        finally:
            await self._socket.close()
            await self._session.close()

    @property
    def subscription(self) -> PushSubscription | None:
        """What `PushManager.getSubscription()` gives: the subscription, while there is one."""
        return self._registration.to_json() if self._registration is not None else None

    @property
    def is_removed(self) -> bool:
        """Whether the push service gave it an endpoint that leads nowhere, as Chromium has it after a removal."""
        return self._registration is not None and self._registration.endpoint.startswith(f"{REMOVED_ORIGIN}/")

    async def closed(self) -> None:
        """Wait for the end of the browser; raises what ended it."""
        await asyncio.shield(self._life)

    async def subscribe(self, server: str) -> None:
        """Subscribe with a pushdesk server, as the page does on every load: anew if the server's key has changed.

        Raises:
            UnreachableError: The server or the push service does not answer.
            PushdeskError: The server refused.
        """
        self._server = server
        api = SubscriptionApi(self._session, server)
        key = await api.key()
        if self._registration is not None and self._registration.server_key != key.public_key:
            self._replaces = self._registration.endpoint
            await self.unregister()
        subscription = self.subscription or await self.register(key.public_key)
        answer = await api.subscribe(
            self.user,
            subscription,
            key_id=key.key_id,
            user_agent=self.user_agent,
            replaces=self._replaces,
            token=self.token,
        )
        self._replaces = None
        self.token = answer.token or self.token

    async def has_current_key(self) -> bool:
        """Whether the subscription, if there is one, was made with the key that its server has now.

        Raises:
            UnreachableError: The server does not answer.
            PushdeskError: The server refused.
        """
        if self._registration is None or self._server is None:
            return True
        key = await SubscriptionApi(self._session, self._server).key()
        return self._registration.server_key == key.public_key

    async def unsubscribe(self) -> None:
        """End the subscription at the push service and have the server remove it.

        Raises:
            UnreachableError: The server or the push service does not answer.
            PushdeskError: The server refused.
        """
        registration, server = self._registration, self._server
        if registration is None:
            return
        await self.unregister()
        if server is not None:
            api = SubscriptionApi(self._session, server)
            await api.unsubscribe(self.user, registration.endpoint, token=self.token)

    async def register(self, server_key: str) -> PushSubscription:
        """Make a subscription at the push service, for a VAPID key in base64url, and tell no server.

        Raises:
            UnreachableError: The push service does not answer.
            PushdeskError: The push service refused.
        """
        channel = str(uuid.UUID(bytes=self._random_bytes(16), version=4))
        answer = await self._ask(channel, frames.Register(channel=channel, key=server_key))
        if not isinstance(answer, frames.Registered) or answer.status != HTTPStatus.OK:
            raise PushdeskError(f"The push service answered {answer.status} to a registration.")
        self._registration = _Registration(
            channel=channel,
            endpoint=answer.endpoint,
            server_key=server_key,
            keys=BrowserKeys(self._random_bytes(16)),
        )
        return self._registration.to_json()

    async def unregister(self) -> None:
        """End the subscription at the push service, and tell no server: pushes are answered 410 from now on.

        Raises:
            UnreachableError: The push service does not answer.
        """
        if self._registration is not None:
            channel = self._registration.channel
            await self._ask(channel, frames.Unregister(channel=channel, code=200))
            self._registration = None

    async def wait_for_message(self, title: str | None = None) -> ReceivedMessage:
        """Return the first message received with that title, or the first of all, as soon as it is there."""
        return await self._changes.until(
            lambda: next((message for message in self.received if title in {None, message.title}), None)
        )

    async def _ask(self, channel: str, frame: frames.FromBrowser) -> frames.Registered | frames.Unregistered:
        answer: asyncio.Future[frames.Registered | frames.Unregistered] = asyncio.get_running_loop().create_future()
        self._answers[channel] = answer
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                await self._socket.send_str(frames.write(frame))
                return await answer
        except (TimeoutError, aiohttp.ClientError) as error:
            raise _no_push_service() from error
        finally:
            del self._answers[channel]

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._listen()
                if await self._reconnect():
                    tasks.create_task(self._renew())

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket and say hello; the browser's id is kept or replaced by the answer."""
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                socket = await self._session.ws_connect(
                    self._push_service, protocols=(frames.SUBPROTOCOL,), max_msg_size=frames.LARGEST_FRAME
                )
                await socket.send_str(frames.write(frames.Hello(uaid=self._uaid, use_webpush=True)))
                answer = frames.read_from_service(await socket.receive_str())
        except (aiohttp.ClientError, TimeoutError, TypeError, msgspec.DecodeError) as error:
            raise _no_push_service() from error
        if not isinstance(answer, frames.Welcome):
            raise _no_push_service()
        self._uaid = answer.uaid
        return socket

    async def _reconnect(self) -> bool:
        """Connect again, however long it takes; returns whether the subscription was lost over it."""
        before = self._uaid
        await self._socket.close()
        while True:
            await asyncio.sleep(_RECONNECT_AFTER_S)
            try:
                self._socket = await self._connect()
            except UnreachableError:
                continue
            break
        if self._uaid == before or self._registration is None:
            return False
        self._replaces = self._registration.endpoint
        self._registration = None
        return True

    async def _renew(self) -> None:
        """Subscribe anew after the push service forgot this browser, as on `pushsubscriptionchange`."""
        if self._server is None:
            return
        try:
            await self.subscribe(self._server)
        except PushdeskError as error:
            self._tell(error)

    async def _listen(self) -> None:
        """Take what the push service sends, until the connection is lost."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT or message.data == frames.PING:
                continue
            match frames.read_from_service(message.data):
                case frames.Notification() as notification:
                    await self._receive(notification)
                case frames.Welcome():
                    pass
                case answer:
                    waiting = self._answers.get(answer.channel)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(answer)

    async def _receive(self, notification: frames.Notification) -> None:
        registration = self._registration
        if registration is None or registration.channel != notification.channel:
            return
        data = notification.data
        try:
            plaintext = registration.keys.decrypt(base64url.decode(data)) if data is not None else None
        except (UndecryptableError, ValueError):
            code = _UNDECRYPTABLE
            self._tell(PushdeskError("A push could not be decrypted."))
        else:
            code = _SHOWN
            message = ReceivedMessage(self._clock(), plaintext)
            self.received.append(message)
            self._changes.tell()
            self._tell(message)
        update = frames.Update(channel=notification.channel, version=notification.version, code=code)
        with suppress(aiohttp.ClientError):
            await self._socket.send_str(frames.write(frames.Ack(updates=[update])))

    def _tell(self, event: ReceivedMessage | PushdeskError) -> None:
        if self._report is not None:
            self._report(self, event)


def _no_push_service() -> UnreachableError:
    return UnreachableError("The push service does not answer.", hint="Is the simulator running?")
