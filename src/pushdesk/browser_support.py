"""What browsers make of a notification: which of its fields they ignore, or heed in part. Pure.

`TABLE` is the one place for it. What it rests on, and of when, stands beside each row.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.model import Urgency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushdesk.model import Notification


class Browser(Enum):
    """A browser that shows what is pushed, as a person calls it."""

    CHROME = "Chrome"
    FIREFOX = "Firefox"
    MAC = "Safari on macOS"
    IPHONE = "Safari on iPhone"


class Source(Enum):
    """Where it is written, and of when that is."""

    COMPATIBILITY = "mdn/browser-compat-data 8.0.10 (2026-08-07), api/Notification.json"
    SHOWING = "mdn/browser-compat-data 8.0.10 (2026-08-07), api/ServiceWorkerRegistration.json, showNotification"
    BADGING = "mdn/browser-compat-data 8.0.10 (2026-08-07), api/Navigator.json, setAppBadge"
    MDN = "MDN (mdn/content 01515d2), ServiceWorkerRegistration.showNotification, options badge and requireInteraction"
    AUTOPUSH = "mozilla-services/autopush-rs 4ebe262 (2026-07-31), in which nothing reads Urgency"
    STANDARD = "Notifications Standard (WHATWG): renotify without a tag is a TypeError, so that sw.js leaves it out"
    WORKER = "assets/sw.js, which shows two where a browser does not say how many it takes"


class Ignored(NamedTuple):
    """Something in a notification that a browser does not heed, or not everywhere."""

    what: str
    """The field, as a person calls it."""
    heeded: str = ""
    """Where it is heeded; empty if nowhere."""

    def __str__(self) -> str:
        return f"{self.what} (except {self.heeded})" if self.heeded else self.what


class Row(NamedTuple):
    """A field, and what each browser makes of it."""

    field: str
    """Its name in `Notification`."""
    what: str
    """As a person calls it."""
    ignored: Mapping[Browser, str]
    """By browsers that do not heed it: where they do, if anywhere. Others heed it."""
    sources: tuple[Source, ...]
    matters: Callable[[Notification], object] | None = None
    """Whether what is filled in is affected; by default, whether anything is."""

    def affects(self, notification: Notification) -> bool:
        """Whether a notification has in it what this is about."""
        return bool(self.matters(notification) if self.matters else getattr(notification, self.field))


SAFARI: Final = {Browser.MAC: "", Browser.IPHONE: ""}
EVERYONE: Final = dict.fromkeys(Browser, "with a tag")

TABLE: Final = (
    Row("icon", "icon", SAFARI, (Source.COMPATIBILITY,)),
    Row(
        "badge",
        "badge",
        {Browser.CHROME: "on Android", Browser.FIREFOX: "", **SAFARI},
        (Source.COMPATIBILITY, Source.MDN),
    ),
    Row("image", "image", {Browser.FIREFOX: "", **SAFARI}, (Source.COMPATIBILITY,)),
    Row("tag", "tag", SAFARI, (Source.COMPATIBILITY,)),
    Row("actions", "buttons", {Browser.FIREFOX: "from 152 on", **SAFARI}, (Source.COMPATIBILITY, Source.SHOWING)),
    Row(
        "actions",
        "the third button on",
        {Browser.CHROME: "", Browser.FIREFOX: ""},
        (Source.WORKER,),
        lambda notification: len(notification.actions) > 2,
    ),
    Row(
        "require_interaction",
        "stays",
        {Browser.CHROME: "on large screens", Browser.FIREFOX: "on Windows", **SAFARI},
        (Source.COMPATIBILITY, Source.MDN),
    ),
    Row("silent", "silent", {Browser.IPHONE: ""}, (Source.COMPATIBILITY,)),
    Row(
        "renotify",
        "alerts again",
        {Browser.FIREFOX: "", **SAFARI},
        (Source.COMPATIBILITY,),
        lambda notification: notification.renotify and notification.tag,
    ),
    Row(
        "renotify",
        "alerts again",
        EVERYONE,
        (Source.STANDARD,),
        lambda notification: notification.renotify and not notification.tag,
    ),
    Row("lang", "language", {Browser.IPHONE: ""}, (Source.COMPATIBILITY,)),
    Row(
        "timestamp",
        "timestamp",
        {Browser.FIREFOX: "", **SAFARI},
        (Source.COMPATIBILITY,),
        lambda notification: notification.timestamp is not None,
    ),
    Row(
        "app_badge",
        "number on the app's icon",
        {
            Browser.CHROME: "on Windows and macOS",
            Browser.FIREFOX: "",
            Browser.MAC: "in installed apps",
        },
        (Source.BADGING,),
        lambda notification: notification.app_badge is not None,
    ),
    Row(
        "urgency",
        "urgency",
        {Browser.FIREFOX: ""},
        (Source.AUTOPUSH,),
        lambda notification: notification.urgency is not Urgency.NORMAL,
    ),
)

HEEDED: Final = frozenset({"title", "body", "url", "dir", "data", "ttl", "topic", "send_at"})
"""Fields that every browser heeds, its push service, or this server for it."""


def ignored(notification: Notification) -> dict[Browser, tuple[Ignored, ...]]:
    """Return, for every browser, what it ignores of what is filled in, in the order of the table."""
    affected = [row for row in TABLE if row.affects(notification)]
    return {
        browser: tuple(Ignored(row.what, row.ignored[browser]) for row in affected if browser in row.ignored)
        for browser in Browser
    }
