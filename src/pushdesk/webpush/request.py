"""What is pushed and how it is asked for: the message, and the request to the push service (RFC 8030)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from pushdesk.masked import Masked
from pushdesk.message import build_message
from pushdesk.webpush.encryption import check_size, encode_base64url, encrypt

if TYPE_CHECKING:
    from collections.abc import Collection

    from pushdesk.model import Notification, PushTarget, Urgency

MIN_TTL_S: Final = 1
"""WNS answers 400 to a TTL of 0, and others deliver it only to a browser that is connected right now."""

MAX_TTL_S: Final = 2_419_200
"""Four weeks: the most that FCM keeps a message."""

TOPIC_SIZE: Final = 32
"""Characters of base64url: RFC 8030 section 5.4."""

TOPICS: Final = 1024
"""Topics whose headers are remembered: of a conversation there is one for all its turns, of a broadcast for all."""


class PushRequest(Masked, Struct, frozen=True):
    """One POST to a push service. Its repr shows neither the endpoint nor the headers nor the body."""

    endpoint: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return "PushRequest()"


def message(
    notification: Notification, *, dispatch: str, access_url: str, click_origins: Collection[str] = ()
) -> bytes:
    """Build the message that is pushed, as `build_message` does, if it can be pushed.

    Raises:
        PayloadTooLargeError: The whole object is more than 3993 bytes; says both numbers.
        PushdeskError: `bad_field` with the names of all URLs that lead to no http or https address, or, if they are
            opened by a click, to an origin that is neither the access URL's nor one of `click_origins`.
    """
    plaintext = build_message(notification, dispatch=dispatch, access_url=access_url, click_origins=click_origins)
    check_size(plaintext)
    return plaintext


@lru_cache(TOPICS)
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
