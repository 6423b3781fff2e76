"""Pushes as a server makes them, for what takes them in a scale test."""

from __future__ import annotations

import msgspec

from pushdesk.scaletest.crowd import Member, said_in
from pushdesk.simulator import base64url
from pushdesk.webpush.encryption import encrypt


def pushed(member: Member, turn: int, **other: str) -> bytes:
    """Return the body of the push of a turn; `other` is what it says instead."""
    title, text = said_in(member.conversation, turn)
    notification = {"title": title, "body": text, "tag": f"turn:{member.conversation}", **other}
    keys = member.keys.shared()
    return encrypt(
        msgspec.json.encode({"web_push": 8030, "notification": notification, "mutable": True}),
        p256dh=base64url.decode(keys["p256dh"]),
        auth=base64url.decode(keys["auth"]),
    )
