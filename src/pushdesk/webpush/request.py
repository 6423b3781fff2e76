"""What is pushed and how it is asked for: the message, and the request to the push service (RFC 8030)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from pushdesk.errors import PushdeskError
from pushdesk.webpush.encryption import check_size, encode_base64url, encrypt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.model import Action, Notification, PushTarget, Urgency

MIN_TTL_S: Final = 1
"""WNS answers 400 to a TTL of 0, and others deliver it only to a browser that is connected right now."""

MAX_TTL_S: Final = 2_419_200
"""Four weeks: the most that FCM keeps a message."""

TOPIC_SIZE: Final = 32
"""Characters of base64url: RFC 8030 section 5.4."""

_WEB: Final = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class PushRequest:
    """One POST to a push service. Its repr shows neither the endpoint nor the headers nor the body."""

    endpoint: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def message(notification: Notification, *, dispatch: str, access_url: str) -> bytes:
    """Build the message that is pushed: one JSON object in the shape of Declarative Web Push.

    Safari shows it by itself and our service worker reads it everywhere else. Safari takes absolute URLs only, so
    every URL is resolved against the access URL; what a notification leaves out is left out, but for `navigate`,
    which is then the access URL.

    Args:
        notification: What to show.
        dispatch: Id of the dispatch, for the service worker's reports.
        access_url: Where browsers reach this server.

    Raises:
        PayloadTooLargeError: The whole object is more than 3993 bytes; says both numbers.
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
    plaintext = msgspec.json.encode(_present(pushed))
    check_size(plaintext)
    return plaintext


def topic_header(topic: str) -> str:
    """Return the `Topic` header for a topic of any length and characters.

    The first 32 characters of base64url(SHA-256): what RFC 8030 section 5.4 allows, and it decodes, as Apple wants.
    """
    return encode_base64url(hashlib.sha256(topic.encode()).digest())[:TOPIC_SIZE]


def headers(*, ttl_s: int, urgency: Urgency, topic: str | None, authorization: str) -> dict[str, str]:
    """Return the headers of a push: RFC 8030 section 5, RFC 8188 section 2, RFC 8292 section 3.

    Args:
        ttl_s: Seconds for which the service is to keep the message; brought into what every service takes.
        urgency: Always sent, as services disagree about the default.
        topic: A newer message with the same topic replaces this one.
        authorization: What `Authorizer.authorization` returned.
    """
    fields = {
        "Authorization": authorization,
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(min(max(ttl_s, MIN_TTL_S), MAX_TTL_S)),
        "Urgency": urgency.value,
    }
    if topic is not None:
        fields["Topic"] = topic_header(topic)
    return fields


def build_request(
    target: PushTarget, plaintext: bytes, *, ttl_s: int, urgency: Urgency, topic: str | None, authorization: str
) -> PushRequest:
    """Encrypt a message for one subscription and address it.

    Raises:
        PayloadTooLargeError: More than 3993 bytes.
        BadKeysError: The subscription's keys cannot be used.
    """
    return PushRequest(
        endpoint=target.endpoint,
        headers=headers(ttl_s=ttl_s, urgency=urgency, topic=topic, authorization=authorization),
        body=encrypt(plaintext, p256dh=target.p256dh, auth=target.auth),
    )


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
