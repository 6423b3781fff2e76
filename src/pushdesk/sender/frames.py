"""What an engine and its sender processes tell each other: msgpack over a socket, each message behind its length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from pushdesk.masked import Masked
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_FRAME: Final = 2**20
"""Bytes of one message; what is longer is garbage."""
AT_ONCE: Final = 64
"""Pushes, or results, that one frame holds at most: by the bounds of each, they fit in."""
_LENGTH: Final = 4


class GarbageError(Exception):
    """What came is no frame, or none that belongs here. Nothing of it is repeated."""


class Push(Masked, Struct, frozen=True, array_like=True):
    """All that a process needs to send one message to one device. Its repr shows nothing of it."""

    endpoint: str
    p256dh: bytes
    auth: bytes
    plaintext: bytes
    headers: dict[str, str]
    """All that the request has, the signed token among them."""

    def __repr__(self) -> str:
        return "Push()"


class Mistake(Struct, frozen=True, array_like=True):
    """An error that is no answer and no fault of the network's: what `pushdesk.log_fields.Failure` may tell of it."""

    error: str
    where: str
    code: str | None = None
    reason: str | None = None


class Result(Masked, Struct, frozen=True, array_like=True):
    """What became of a push: an answer, a fault or a mistake. Its repr leaves out what may repeat the endpoint."""

    number: int
    """The push's, as the engine counts what it hands to a process."""
    seconds: float
    """To the end of the answer's headers, or until it was clear that there would be none."""
    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    fault: FaultKind | None = None
    mistake: Mistake | None = None

    def __repr__(self) -> str:
        return f"Result(number={self.number}, status={self.status}, fault={self.fault})"


class Settings(Masked, Struct, frozen=True, array_like=True, tag="settings"):
    """The first thing that a process is told: how to reach push services. Its repr does not show the proxy."""

    allowed_origins: tuple[str, ...] = ()
    connect_timeout_s: float = 10.0
    total_timeout_s: float = 30.0
    proxy: str | None = None
    files: int = 1024
    """Files that it should be able to open: one for each connection, and a few."""
    key_memory: int = 0
    """Bytes that devices' keys may take that are kept as they were read."""

    def __repr__(self) -> str:
        return "Settings()"


class Pushes(Struct, frozen=True, array_like=True, tag="pushes"):
    """To be sent."""

    first: int
    """The number of the first one; the others follow."""
    items: list[Push]


class Ping(Struct, frozen=True, array_like=True, tag="ping"):
    """To be answered at once."""


class Ready(Struct, frozen=True, array_like=True, tag="ready"):
    """Everything is loaded: pushes may come."""


class Results(Struct, frozen=True, array_like=True, tag="results"):
    """What became of some pushes, in any order."""

    items: list[Result]


class Pong(Struct, frozen=True, array_like=True, tag="pong"):
    """The answer to a ping."""


ToSender: TypeAlias = Settings | Pushes | Ping
ToEngine: TypeAlias = Ready | Results | Pong

_encoder: Final = msgspec.msgpack.Encoder()


def framed(message: ToSender | ToEngine) -> bytes:
    """Return a message as it goes over the socket.

    Raises:
        ValueError: It is too long for one frame.
    """
    frame = bytearray(_LENGTH)
    _encoder.encode_into(message, frame, _LENGTH)
    length = len(frame) - _LENGTH
    if length > MAX_FRAME:
        raise ValueError("This is too long for one frame.")
    frame[:_LENGTH] = length.to_bytes(_LENGTH, "big")
    return bytes(frame)


_Message = TypeVar("_Message", ToSender, ToEngine)


class Frames(Generic[_Message]):
    """Takes bytes as they come and gives messages.

    Args:
        expected: What may come from the other end.
    """

    def __init__(self, expected: object) -> None:
        self._decoder = msgspec.msgpack.Decoder(expected)
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[_Message]:
        """Yield the messages that are whole by now.

        Raises:
            GarbageError: What came is not what is expected.
        """
        if self._held:
            data = bytes(self._held) + data
            self._held.clear()
        start = 0
        with memoryview(data) as whole:
            while len(whole) - start >= _LENGTH:
                length = int.from_bytes(whole[start : start + _LENGTH], "big")
                if length > MAX_FRAME:
                    raise GarbageError("A frame is too long.")
                end = start + _LENGTH + length
                if end > len(whole):
                    break
                try:
                    message = self._decoder.decode(whole[start + _LENGTH : end])
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    raise GarbageError("A frame holds something else.") from None
                start = end
                yield message
            self._held += whole[start:]


def engine_frames() -> Frames[ToEngine]:
    """Read what a process says."""
    return Frames(ToEngine)


def sender_frames() -> Frames[ToSender]:
    """Read what the engine says."""
    return Frames(ToSender)


def chunks(items: Sequence[Push]) -> Iterator[tuple[int, Sequence[Push]]]:
    """Yield pushes as many together as a frame holds, each time with how many came before."""
    for first in range(0, len(items), AT_ONCE):
        yield first, items[first : first + AT_ONCE]
