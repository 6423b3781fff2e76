"""How large a notification will be when it is pushed, told before it is sent.

The server builds the message and has the last word; this has the same shape (Declarative Web Push), so that someone
who types sees the limit coming.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pushdesk.model import Direction, Notification

LIMIT: Final = 3993
"""Bytes of plaintext that encrypt to 4096 (RFC 8291), which is as much as FCM and Apple take."""

# A dispatch's id is not known before it is accepted; it is taken to be as long as a ULID.
_ID: Final = "0" * 26


class _Action(msgspec.Struct, omit_defaults=True):
    action: str
    title: str
    navigate: str | None = None


class _Data(msgspec.Struct, omit_defaults=True):
    id: str
    data: object = None


class _Shown(msgspec.Struct, rename="camel", omit_defaults=True):
    title: str
    navigate: str
    data: _Data
    body: str | None = None
    icon: str | None = None
    badge: str | None = None
    image: str | None = None
    tag: str | None = None
    lang: str | None = None
    dir: Direction | None = None
    silent: bool | None = None
    require_interaction: bool | None = None
    renotify: bool | None = None
    timestamp: int | None = None
    actions: tuple[_Action, ...] = ()


class _Message(msgspec.Struct):
    web_push: int
    notification: _Shown
    mutable: bool


def pushed_size(notification: Notification, access_url: str) -> int:
    """Return about how many bytes will be pushed."""
    one = notification
    shown = _Shown(
        title=one.title,
        navigate=one.url or access_url,
        data=_Data(_ID, one.data),
        body=one.body,
        icon=one.icon,
        badge=one.badge,
        image=one.image,
        tag=one.tag,
        lang=one.lang,
        dir=one.dir,
        silent=one.silent,
        require_interaction=one.require_interaction,
        renotify=one.renotify,
        timestamp=one.timestamp,
        actions=tuple(_Action(each.action, each.title, each.url) for each in one.actions),
    )
    return len(msgspec.json.encode(_Message(8030, shown, mutable=True)))
