"""The frames of Mozilla's push WebSocket (autopush, subprotocol `push-notification`), in both directions."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

SUBPROTOCOL = "push-notification"
LARGEST_FRAME = 64 * 1024
PING = "{}"

ChannelId = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]


class Hello(Struct, tag_field="messageType", tag="hello"):
    """First of a connection: who the browser is, if it has been here before."""

    uaid: Annotated[str, Meta(max_length=64)] | None = None
    use_webpush: bool = False
    broadcasts: dict[str, str] = {}


class Register(Struct, tag_field="messageType", tag="register"):
    """A site subscribes; `key` is its VAPID public key."""

    channel: ChannelId = field(name="channelID")
    key: Annotated[str, Meta(max_length=128)] | None = None


class Unregister(Struct, tag_field="messageType", tag="unregister"):
    """A site unsubscribes."""

    channel: ChannelId = field(name="channelID")
    code: int | None = None


class Update(Struct):
    """What became of one notification: 100 shown, 101 could not be decrypted, 102 not delivered."""

    channel: ChannelId = field(name="channelID")
    version: str
    code: int | None = None


class Ack(Struct, tag_field="messageType", tag="ack"):
    """The browser has notifications."""

    updates: list[Update]


class BroadcastSubscribe(Struct, tag_field="messageType", tag="broadcast_subscribe"):
    """Firefox asks for its own remote settings; a push service without them ignores it."""


class Welcome(Struct, tag_field="messageType", tag="hello"):
    """Answers a hello: the browser's id, kept or new."""

    uaid: str
    status: int = 200
    use_webpush: bool = True
    broadcasts: dict[str, str] = {}


class Registered(Struct, tag_field="messageType", tag="register"):
    """Answers a register."""

    channel: ChannelId = field(name="channelID")
    status: int
    endpoint: str = field(name="pushEndpoint", default="")


class Unregistered(Struct, tag_field="messageType", tag="unregister"):
    """Answers an unregister."""

    channel: ChannelId = field(name="channelID")
    status: int


class Notification(Struct, tag_field="messageType", tag="notification", omit_defaults=True):
    """A push, still encrypted; without a body it has neither data nor headers."""

    channel: ChannelId = field(name="channelID")
    version: str
    ttl: int
    data: str | None = None
    headers: dict[str, str] | None = None


FromBrowser: TypeAlias = Hello | Register | Unregister | Ack | BroadcastSubscribe
FromService: TypeAlias = Welcome | Registered | Unregistered | Notification

_from_browser: msgspec.json.Decoder[FromBrowser] = msgspec.json.Decoder(FromBrowser)
_from_service: msgspec.json.Decoder[FromService] = msgspec.json.Decoder(FromService)


def read_from_browser(text: str) -> FromBrowser:
    """Read a frame that a browser sent.

    Raises:
        msgspec.DecodeError: It is not JSON, or not a frame of this protocol.
    """
    return _from_browser.decode(text)


def read_from_service(text: str) -> FromService:
    """Read a frame that a push service sent.

    Raises:
        msgspec.DecodeError: It is not JSON, or not a frame of this protocol.
    """
    return _from_service.decode(text)


def write(frame: FromBrowser | FromService) -> str:
    """Return a frame as text."""
    return msgspec.json.encode(frame).decode()
