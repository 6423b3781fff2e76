"""What is pushed: the one shape of a message (Declarative Web Push), for who sends it and for who shows it before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from pushdesk.model import Action, Notification

MAX_MESSAGE: Final = 3993
"""Bytes that encrypt to the 4096 of one record (RFC 8291), which is as much as every push service takes."""

_WEB: Final = frozenset({"http", "https"})


def build_message(notification: Notification, *, dispatch: str, access_url: str) -> bytes:
    """Build the message that is pushed, of whatever size: one JSON object in the shape of Declarative Web Push.

    Safari shows it by itself and our service worker reads it everywhere else. Safari takes absolute URLs only, so
    every URL is resolved against the access URL; what a notification leaves out is left out, but for `navigate`,
    which is then the access URL.

    Args:
        notification: What to show.
        dispatch: Id of the dispatch, for the service worker's reports.
        access_url: Where browsers reach this server.

    Raises:
        PushdeskError: `bad_field` with the names of all URLs that lead to no http or https address.
    """
    links = _Links(access_url)
    data: dict[str, Any] = {"id": dispatch}
    if notification.data is not None:
        data["data"] = notification.data
    shown: dict[str, Any] = {
        "title": notification.title,
        "navigate": links.resolve("url", notification.url) or access_url,
        "body": notification.body,
        "icon": links.resolve("icon", notification.icon),
        "badge": links.resolve("badge", notification.badge),
        "image": links.resolve("image", notification.image),
        "tag": notification.tag,
        "lang": notification.lang,
        "dir": notification.dir,
        "silent": notification.silent,
        "requireInteraction": notification.require_interaction,
        "renotify": notification.renotify,
        "timestamp": notification.timestamp,
        "actions": [links.button(i, action) for i, action in enumerate(notification.actions)] or None,
        "data": data,
    }
    links.check()
    pushed = {
        "web_push": 8030,
        "notification": _present(shown),
        "app_badge": notification.app_badge,
        "mutable": True,
    }
    return msgspec.json.encode(_present(pushed))


class _Links:
    """Resolves a notification's URLs and remembers those that lead to no web address, so that all are named at once.

    Safari opens `navigate` itself: no service worker of ours stands between it and a `javascript:` or `data:`.
    """

    def __init__(self, access_url: str) -> None:
        # With a slash at its end, so that an access URL with a path is what relative URLs are relative to.
        self._base = access_url.rstrip("/") + "/"
        self._refused: list[str] = []

    def resolve(self, name: str, url: str | None) -> str | None:
        if not url:
            return None
        resolved = self._web_address(url)
        if resolved is None:
            self._refused.append(name)
        return resolved

    def _web_address(self, url: str) -> str | None:
        try:
            resolved = urljoin(self._base, url)
            parts = urlsplit(resolved)
        except ValueError:
            return None
        return resolved if parts.scheme in _WEB and parts.hostname else None

    def button(self, index: int, action: Action) -> dict[str, str]:
        shown = {"action": action.action, "title": action.title}
        if (navigate := self.resolve(f"actions[{index}].url", action.url)) is not None:
            shown["navigate"] = navigate
        return shown

    def check(self) -> None:
        if self._refused:
            raise PushdeskError(
                f"These are no http or https addresses: {', '.join(self._refused)}.",
                code="bad_field",
                fields=tuple(self._refused),
            )


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
