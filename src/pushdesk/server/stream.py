"""The event stream over a WebSocket (RFC 6455), one way, to readers who may be slow or gone."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Meta, Struct

from pushdesk.desk import AnyEvent, Position
from pushdesk.errors import PushdeskError
from pushdesk.log import write
from pushdesk.log_events import EventStreamFailed
from pushdesk.log_fields import Failure

if TYPE_CHECKING:
    from pushdesk.desk import Desk
    from pushdesk.server.routes import Call

HEARTBEAT_S: Final = 20.0
"""Seconds between pings; half of it is how long a pong may take."""
SLOW_READER_S: Final = 10.0
"""Seconds after which a reader that takes nothing is cut off."""
CLOSE_S: Final = 0.5
"""Seconds for the closing handshake: the end of the program does not wait for a reader."""

EVENTS: Final[Any] = tuple[AnyEvent, ...]
"""What a text frame is."""


class EventsQuery(Struct, frozen=True):
    """After which event to begin; both or neither."""

    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    epoch: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class Stream:
    """One reader's WebSocket, and the id of the access token that it was let in with."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.BaseTransport | None, *, token: str) -> None:
        self.socket = socket
        self.token = token
        self._transport = transport

    async def write(self, desk: Desk, after: Position | None) -> None:
        """Send events until there are no more, or the reader does not take them."""
        try:
            async with aclosing(desk.events(after)) as events:
                async for batch in events:
                    async with asyncio.timeout(SLOW_READER_S):
                        await self.socket.send_frame(msgspec.json.encode(batch), WSMsgType.TEXT)
        except (ConnectionError, TimeoutError):
            # A close frame would only wait behind what is not read. Who sent one already sees to the end of it.
            if not self.socket.closed:
                self._abort()
        except PushdeskError as error:
            await self.close(WSCloseCode.INTERNAL_ERROR, error.detail)
        except Exception as error:  # noqa: BLE001 (whatever it is, the reader is told and the log too)
            # What the error says stays out of the log, as everywhere.
            write(EventStreamFailed(Failure.of(error)))
            await self.close(WSCloseCode.INTERNAL_ERROR, "The stream failed.")
        else:
            await self.close(WSCloseCode.GOING_AWAY, "The stream ended.")

    async def close(self, code: WSCloseCode, reason: str) -> None:
        """Close the stream: gently if its reader takes part in it, else at once."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CLOSE_S):
                await self.socket.close(code=code, message=reason.encode()[:120])
                return
        self._abort()

    def _abort(self) -> None:
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()


STREAMS: Final[web.AppKey[set[Stream]]] = web.AppKey("streams", set)
"""The open streams."""


async def follow(call: Call[EventsQuery, None]) -> web.StreamResponse:
    """Send events until the reader goes, or the server does."""
    after = _position(call.query)
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, timeout=CLOSE_S, max_msg_size=4096)
    if not socket.can_prepare(call.request):
        raise PushdeskError("This route is a WebSocket.", code="bad_field", fields=("Upgrade",))
    stream = Stream(socket, call.request.transport, token=call.caller.sender)
    # Before anything is waited for: a token that is revoked meanwhile finds it.
    call.request.app[STREAMS].add(stream)
    try:
        await socket.prepare(call.request)
        writer = asyncio.create_task(stream.write(call.engine, after))
        try:
            async for _ in socket:
                # Only the end of it is of interest.
                pass
        finally:
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
    finally:
        call.request.app[STREAMS].discard(stream)
    return socket


async def close_streams(app: web.Application) -> None:
    """Close every stream, so that nothing waits for them."""
    await asyncio.gather(*(stream.close(WSCloseCode.GOING_AWAY, "The server stops.") for stream in app[STREAMS].copy()))


async def close_streams_of(app: web.Application, token: str) -> None:
    """Close the streams of an access token that has ended."""
    ended = [stream for stream in app[STREAMS] if stream.token == token]
    await asyncio.gather(*(stream.close(WSCloseCode.POLICY_VIOLATION, "The token was revoked.") for stream in ended))


def _position(query: EventsQuery) -> Position | None:
    if query.after is None and query.epoch is None:
        return None
    if query.after is None or query.epoch is None:
        missing = "after" if query.after is None else "epoch"
        raise PushdeskError("after and epoch go together.", code="bad_field", fields=(missing,))
    return Position(query.epoch, query.after)
