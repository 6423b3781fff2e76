"""Mozilla's push WebSocket: one connection of one browser."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from pushdesk.simulator import base64url, frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.simulator.personality import Personality
    from pushdesk.simulator.registry import Browser, Channel, Push, Registry

_HELLO_WITHIN_S = 10.0
_SEND_WITHIN_S = 5.0
_CLOSE_WITHIN_S = 0.3
_PUBLIC_KEY_BYTES = 65


class _ProtocolError(Exception):
    """The browser does not keep to the protocol; the message is the reason in the close frame."""


class AutopushConnection:
    """Serves one WebSocket, from its hello to its end.

    Args:
        registry: What the push service remembers.
        endpoint_of: Returns the endpoint URL of a new subscription.
        personality: Which push service the browser connects to.
    """

    def __init__(self, registry: Registry, endpoint_of: Callable[[Channel], str], personality: Personality) -> None:
        self._registry = registry
        self._personality = personality
        self._endpoint_of = endpoint_of
        self._socket = web.WebSocketResponse(
            protocols=(frames.SUBPROTOCOL,), max_msg_size=frames.LARGEST_FRAME, timeout=_CLOSE_WITHIN_S
        )
        self._closing: asyncio.Task[bool] | None = None

    def can_serve(self, request: web.Request) -> bool:
        """Whether the request asks for a WebSocket at all."""
        return bool(self._socket.can_prepare(request))

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Talk with the browser until either side closes."""
        await self._socket.prepare(request)
        try:
            await self._talk()
        except _ProtocolError as error:
            await self._socket.close(code=WSCloseCode.PROTOCOL_ERROR, message=str(error).encode())
        except ConnectionError:
            # The browser is gone; nobody is left to be told.
            pass
        return self._socket

    def abort(self) -> None:
        """Close the connection, without waiting for it to be closed."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._socket.close(code=WSCloseCode.GOING_AWAY))

    async def close(self) -> None:
        """Close the connection; returns within a second."""
        self.abort()
        if self._closing is not None:
            await self._closing

    async def notify(self, channel: Channel, push: Push) -> None:
        """Send a push. What cannot be sent waits in the registry for the next connection."""
        frame = frames.Notification(
            channel=channel.channel_id,
            version=push.id,
            ttl=push.headers.ttl if push.headers else 0,
            data=base64url.encode(push.body) if push.body else None,
            headers={"encoding": push.headers.encoding} if push.headers and push.headers.encoding else None,
        )
        with suppress(ConnectionError):
            await self._send(frame)

    async def _talk(self) -> None:
        try:
            async with asyncio.timeout(_HELLO_WITHIN_S):
                hello = await self._receive()
        except TimeoutError:
            raise _ProtocolError(f"No hello within {_HELLO_WITHIN_S:.0f} seconds") from None
        if hello is None:
            return
        if not isinstance(hello, frames.Hello):
            raise _ProtocolError("The first frame has to be a hello")
        browser = self._registry.greet(hello.uaid, self._personality)
        if browser is None:
            raise _ProtocolError("There are too many browsers")
        await self._send(frames.Welcome(uaid=browser.uaid))
        waiting = self._registry.connect(browser, self)
        try:
            for channel, push in waiting:
                await self.notify(channel, push)
            while (frame := await self._receive()) is not None:
                await self._answer(browser, frame)
        finally:
            self._registry.disconnect(browser, self)

    async def _answer(self, browser: Browser, frame: frames.FromBrowser) -> None:
        match frame:
            case frames.Register():
                await self._send(self._register(browser, frame))
            case frames.Unregister():
                known = browser.channels.get(frame.channel)
                if known is not None:
                    self._registry.end(known)
                await self._send(frames.Unregistered(channel=frame.channel, status=200))
            case frames.Ack():
                for update in frame.updates:
                    self._registry.acknowledge(browser, update.version, update.code)
            case frames.BroadcastSubscribe():
                pass
            case frames.Hello():
                raise _ProtocolError("There was a hello already")

    def _register(self, browser: Browser, frame: frames.Register) -> frames.Registered:
        try:
            key = base64url.decode(frame.key) if frame.key else None
        except ValueError:
            return frames.Registered(channel=frame.channel, status=400)
        if key is not None and len(key) != _PUBLIC_KEY_BYTES:
            return frames.Registered(channel=frame.channel, status=400)
        channel = self._registry.register(browser, frame.channel, key)
        if channel is None:
            return frames.Registered(channel=frame.channel, status=503)
        channel.endpoint = channel.endpoint or self._endpoint_of(channel)
        return frames.Registered(channel=frame.channel, status=200, endpoint=channel.endpoint)

    async def _receive(self) -> frames.FromBrowser | None:
        """Return the next frame, None at the end; pings are answered in between."""
        while True:
            message = await self._socket.receive()
            if message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}:
                return None
            if message.type is not WSMsgType.TEXT:
                raise _ProtocolError("Frames are text")
            if message.data.strip() == frames.PING:
                await self._socket.send_str(frames.PING)
                continue
            try:
                return frames.read_from_browser(message.data)
            except msgspec.DecodeError:
                raise _ProtocolError("The frame is not one of this protocol") from None

    async def _send(self, frame: frames.FromService) -> None:
        try:
            async with asyncio.timeout(_SEND_WITHIN_S):
                await self._socket.send_str(frames.write(frame))
        except TimeoutError:
            self.abort()
