"""Verdicts as a server gives them, on the devices of the busy server in `scenes`."""

from __future__ import annotations

from datetime import timedelta

from pushdesk.model import Evidence, Remedy, Verdict, VerdictCode
from tests.console.fake_desk import NOON, FakeDesk
from tests.console.scenes import busy_desk

SUBSCRIBED = Evidence("The device was subscribed.", NOON - timedelta(days=12, hours=4))
KEY = Evidence("Its key is 7f3a92aa, which is current.")
ACCEPTED = Verdict(
    VerdictCode.ACCEPTED,
    "Firefox · Linux",
    "Mozilla's push service took it. Whether the browser has shown it, no push service tells.",
    "On Linux, see that the desktop shows notifications of the browser and that do not disturb is off; the browser "
    "must be running, if only in the background. Then send the test push while somebody watches.",
    Remedy.TEST,
    user="ada",
    subscription="sub-0001",
    delivery="delivery-0038",
    since=NOON - timedelta(seconds=18),
    evidence=(
        Evidence("Answered 201.", NOON - timedelta(seconds=18)),
        Evidence("The notification “Hello” was accepted here.", NOON - timedelta(seconds=19)),
        Evidence("Its time to live, 1 d, ends.", NOON + timedelta(days=1)),
        SUBSCRIBED,
        KEY,
    ),
)
THROTTLED = Verdict(
    VerdictCode.THROTTLED,
    "Chromium · Linux",
    "Google's push service (FCM) asks to wait: it gets too much for this device, or from this server.",
    "Wait: it is tried again by itself, until its time to live is over.",
    Remedy.WAIT,
    user="ada",
    subscription="sub-0005",
    delivery="delivery-0046",
    since=NOON - timedelta(seconds=6),
    until=NOON + timedelta(seconds=42),
    evidence=(
        Evidence("Answered 429: TooManyRequests", NOON - timedelta(seconds=6)),
        Evidence("It was tried once."),
        SUBSCRIBED,
    ),
)
GONE = Verdict(
    VerdictCode.GONE,
    "Chrome · Android",
    "The subscription has ended: its push service knows it no longer. The permission was taken back, the browser's "
    "data cleared, the app removed, or nobody used it for months.",
    "Have the user open the page on this device and switch notifications on again, or invite them.",
    Remedy.INVITE,
    user="bo",
    subscription="sub-0002",
    delivery="delivery-0040",
    since=NOON - timedelta(days=3, hours=1),
    evidence=(Evidence("Answered 410: unsubscribed", NOON - timedelta(days=3, hours=1)), SUBSCRIBED, KEY),
)
OF_ADA = Verdict(
    VerdictCode.THROTTLED,
    "ada",
    f"It was taken for 1 of 2 devices. Chromium · Linux: {THROTTLED.says}",
    THROTTLED.advice,
    Remedy.WAIT,
    user="ada",
    subscription="sub-0005",
    delivery="delivery-0046",
    since=THROTTLED.since,
    until=THROTTLED.until,
    evidence=(
        Evidence("Chromium · Linux: Answered 429: TooManyRequests", NOON - timedelta(seconds=6)),
        Evidence("Firefox · Linux: Answered 201.", NOON - timedelta(seconds=18)),
        Evidence("The notification “Hello” was accepted here.", NOON - timedelta(seconds=19)),
    ),
    devices=(THROTTLED, ACCEPTED),
)


def explained_desk() -> FakeDesk:
    """Return the busy server, which says why."""
    desk = busy_desk()
    desk.verdicts = {
        "ada": OF_ADA,
        "bo": GONE,
        "sub-0001": ACCEPTED,
        "sub-0002": GONE,
        "sub-0005": THROTTLED,
        "delivery-0046": THROTTLED,
    }
    return desk
