"""What is pushed: the one shape of a message (Declarative Web Push), for who sends it and for who shows it before."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Struct

from pushdesk.errors import PushdeskError
from pushdesk.model import Direction
from pushdesk.setting_values import ANY, origin

if TYPE_CHECKING:
    from collections.abc import Collection

    from pushdesk.model import Action, Notification

MAX_MESSAGE: Final = 3993
"""Bytes that encrypt to the 4096 of one record (RFC 8291), which is as much as every push service takes."""

HINT: Final = (
    "Clicks lead to {origin}, to the sites of [server] allow_origin, and where [push] click_origin says: "
    "--click-origin ORIGIN, * for anywhere."
)
_WEB: Final = frozenset({"http", "https"})
_AUTHORITY_END: Final = re.compile("[/?#]")
_REMEMBERED: Final = 256
"""Addresses and origins that are remembered: most notifications lead to one of a few, and each asks several times."""


class _Shown(Struct, omit_defaults=True, rename="camel", kw_only=True):
    """What is left out is None."""

    title: str
    navigate: str
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
    actions: list[dict[str, str]] | None = None
    data: dict[str, Any]


class _Pushed(Struct, omit_defaults=True, kw_only=True):
    web_push: int
    notification: _Shown
    app_badge: int | None = None
    mutable: bool


def build_message(
    notification: Notification, *, dispatch: str, access_url: str, click_origins: Collection[str] = (ANY,)
) -> bytes:
    """Build the message that is pushed, of whatever size: one JSON object in the shape of Declarative Web Push.

    Safari shows it by itself and our service worker reads it everywhere else. Safari takes absolute URLs only, so
    every URL is resolved against the access URL; what a notification leaves out is left out, but for `navigate`,
    which is then the access URL.

    Args:
        notification: What to show.
        dispatch: Id of the dispatch, for the service worker's reports.
        access_url: Where browsers reach this server.
        click_origins: Where clicks may lead besides there; `*` is any web address. What is pushed is built with what
            the server allows, what is only shown before with what may be allowed.

    Raises:
        PushdeskError: `bad_field` with the names of all URLs that lead to no http or https address, or, if they are
            opened by a click, to an origin that is not allowed.
    """
    links = _Links(access_url, click_origins)
    data: dict[str, Any] = {"id": dispatch}
    if notification.data is not None:
        data["data"] = notification.data
    shown = _Shown(
        title=notification.title,
        navigate=links.click("url", notification.url) or access_url,
        body=notification.body,
        icon=links.resolve("icon", notification.icon),
        badge=links.resolve("badge", notification.badge),
        image=links.resolve("image", notification.image),
        tag=notification.tag,
        lang=notification.lang,
        dir=notification.dir,
        silent=notification.silent,
        require_interaction=notification.require_interaction,
        renotify=notification.renotify,
        timestamp=notification.timestamp,
        actions=[links.button(i, action) for i, action in enumerate(notification.actions)] or None,
        data=data,
    )
    links.check()
    return msgspec.json.encode(
        _Pushed(web_push=8030, notification=shown, app_badge=notification.app_badge, mutable=True)
    )


def with_id(message: bytes, dispatch: str) -> bytes:
    """Return a message that `build_message` built as another dispatch's: the same, byte for byte, but for the id."""
    parts = dict[str, msgspec.Raw]
    pushed = msgspec.json.decode(message, type=parts)
    shown = msgspec.json.decode(pushed["notification"], type=parts)
    data = msgspec.json.decode(shown["data"], type=parts)
    data["id"] = msgspec.Raw(msgspec.json.encode(dispatch))
    shown["data"] = msgspec.Raw(msgspec.json.encode(data))
    pushed["notification"] = msgspec.Raw(msgspec.json.encode(shown))
    return msgspec.json.encode(pushed)


class _Links:
    """Resolves a notification's URLs and remembers those that lead to no web address, so that all are named at once.

    Safari opens `navigate` itself: no service worker of ours stands between it and a `javascript:` or `data:`.
    """

    def __init__(self, access_url: str, click_origins: Collection[str]) -> None:
        # With a slash at its end, so that an access URL with a path is what relative URLs are relative to.
        self._base = access_url.rstrip("/") + "/"
        self._click_origins = click_origins
        self._refused: list[str] = []
        self._elsewhere: list[str] = []

    def resolve(self, name: str, url: str | None) -> str | None:
        if not url:
            return None
        resolved = _web_address(self._base, url)
        if resolved is None:
            self._refused.append(name)
        return resolved

    def click(self, name: str, url: str | None) -> str | None:
        resolved = self.resolve(name, url)
        if resolved is not None and ANY not in self._click_origins:
            leads_to = _origin(resolved)
            if leads_to is None or not (leads_to in self._click_origins or leads_to == _origin(self._base)):
                self._elsewhere.append(name)
        return resolved

    def button(self, index: int, action: Action) -> dict[str, str]:
        shown = {"action": action.action, "title": action.title}
        if (navigate := self.click(f"actions[{index}].url", action.url)) is not None:
            shown["navigate"] = navigate
        return shown

    def check(self) -> None:
        problems = []
        if self._refused:
            problems.append(f"These are no http or https addresses: {', '.join(self._refused)}.")
        if self._elsewhere:
            problems.append(f"These lead to an origin that is not allowed: {', '.join(self._elsewhere)}.")
        if problems:
            raise PushdeskError(
                " ".join(problems),
                code="bad_field",
                fields=(*self._refused, *self._elsewhere),
                hint=HINT.format(origin=_origin(self._base)) if self._elsewhere else "",
            )


@lru_cache(_REMEMBERED)
def _web_address(base: str, url: str) -> str | None:
    """Return a URL as seen from another; None if it is no http or https address then."""
    try:
        resolved = urljoin(base, url)
        parts = urlsplit(resolved)
    except ValueError:
        return None
    return resolved if parts.scheme in _WEB and parts.hostname else None


def _origin(url: str) -> str | None:
    """Return the origin of a web address as settings write it; None if browsers may read its host in another way.

    A backslash is a slash to browsers and a letter to others, and what stands before an @ is not the host.
    """
    scheme, _, rest = url.partition("://")
    return _origin_of(scheme, _AUTHORITY_END.split(rest, maxsplit=1)[0])


@lru_cache(_REMEMBERED)
def _origin_of(scheme: str, authority: str) -> str | None:
    try:
        return origin(f"{scheme}://{authority}")
    except ValueError:
        return None
