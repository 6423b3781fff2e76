"""How a notification will look, how large it is, and what browsers ignore of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from textual.content import Content

from pushdesk.browser_support import ignored
from pushdesk.console.figures import count
from pushdesk.console.status import BAD, BUSY, GOOD, QUIET, STRONG
from pushdesk.console.text import plain, plain_lines
from pushdesk.message import MAX_MESSAGE

if TYPE_CHECKING:
    from pushdesk.model import Notification

WARN_AT: Final = 2800
"""Bytes above which Firefox on Android may refuse a message."""
SHOWN_BODY: Final = (4, 160)
"""Lines and characters of a body that are shown, about as many as browsers show."""


def preview(notification: Notification, *, leads_to: str, access_url: str) -> Content:
    """Return a notification about as a browser shows it, and where a click on it leads.

    Args:
        notification: What was filled in.
        leads_to: What a click opens.
        access_url: Where the page is that subscribed: browsers tell it with every notification.
    """
    icon = ("▣ ", STRONG) if notification.icon else ("", "")
    lines = [Content.assemble(icon, (plain(notification.title) or "no title", "bold"))]
    if notification.body:
        lines.append(Content(_shortened(notification.body)))
    if notification.image:
        lines.append(Content.styled("▒▒▒▒ image ▒▒▒▒", QUIET))
    lines.append(Content.styled(urlsplit(plain(access_url)).netloc, QUIET))
    if notification.actions:
        buttons = [Content.styled(f" {plain(action.title)} ", "reverse") for action in notification.actions]
        lines.append(Content(" ").join(buttons))
    lines.append(Content.styled(f"→ {plain(leads_to)}", QUIET))
    return Content("\n").join(lines)


def _shortened(body: str) -> str:
    most_lines, most = SHOWN_BODY
    lines = plain_lines(body).split("\n")
    shown = "\n".join(lines[:most_lines])
    return shown if len(lines) <= most_lines and len(shown) <= most else f"{shown[: most - 1]}…"


def size_of(size: int) -> Content:
    """Return how much of the room for a message is taken."""
    style = BAD if size > MAX_MESSAGE else BUSY if size > WARN_AT else GOOD
    remark = ""
    if size > MAX_MESSAGE:
        remark = "\n✗ too large: no push service takes it"
    elif size > WARN_AT:
        remark = f"\n! Firefox on Android takes about {count(WARN_AT)}"
    return Content.assemble((count(size), style), (f" of {count(MAX_MESSAGE)} bytes", QUIET), (remark, style))


def ignored_by(notification: Notification) -> Content:
    """Return what each browser ignores of what is filled in."""
    found = ignored(notification)
    if not any(found.values()):
        return Content.assemble(("✓ ", GOOD), ("ignored by no browser", QUIET))
    lines = [Content.styled("Ignored by", QUIET)]
    for browser, fields in found.items():
        what = ", ".join(str(field) for field in fields)
        lines.append(Content.assemble((browser.value, "bold"), "  ", (what, BUSY) if what else ("nothing", QUIET)))
    return Content("\n").join(lines)
