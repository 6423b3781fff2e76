"""What a verdict says, advises and names as the remedy: pure, and all of it our own words.

What push services answered, and whatever else came from outside, is looked at for what it means and not repeated here:
it is evidence. No moments either: they stand in a verdict's fields, for whoever shows them to put into their own zone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.model import DispatchKind, KeyState, Outcome, Remedy, Service

if TYPE_CHECKING:
    from pushdesk.model import Delivery


class Words(NamedTuple):
    """What happened, what to do next, and the action that helps."""

    says: str
    advice: str
    remedy: Remedy


WHO: Final = {
    Service.FCM: "Google's push service (FCM)",
    Service.MOZILLA: "Mozilla's push service",
    Service.APPLE: "Apple's push service",
    Service.WNS: "Microsoft's push service (WNS)",
    Service.OTHER: "The push service",
}
"""How a sentence begins that is about a push service."""

_HAVE_THEM_SUBSCRIBE: Final = (
    "Have the user open the page on this device and switch notifications on again, or invite them."
)
_RUNNING: Final = "; the browser must be running, if only in the background"
_ON_IPHONE: Final = (
    "only the app on the Home Screen that was subscribed shows pushes: see that it is still there, that Settings > "
    "Notifications allows it, and that no Focus is on"
)
_LOOK: Final = {
    "iPhone": f"On an iPhone {_ON_IPHONE}",
    "iPad": f"On an iPad {_ON_IPHONE}",
    "Android": "On Android, see that the system allows notifications of the browser and of this site, that battery "
    "settings do not restrict the browser, that nobody force-stopped it, and that Do Not Disturb is off",
    "macOS": "On a Mac, see that System Settings > Notifications allows the browser and that no Focus is on",
    "Windows": "On Windows, see that Settings > System > Notifications allows the browser and that do not disturb "
    f"(focus assist) is off{_RUNNING}",
    "ChromeOS": "On a Chromebook, see that Settings > Apps > Notifications allows this site and that Do Not Disturb "
    "is off",
    "Linux": "On Linux, see that the desktop shows notifications of the browser and that do not disturb is "
    f"off{_RUNNING}",
}
"""Where to look when a push service took a push and nobody has seen it, by what `user_agent.PLATFORMS` names."""
_LOOK_ANYWHERE: Final = (
    "See that the browser is running, that system and browser allow notifications of this site, and that no focus or "
    "do not disturb mode is on"
)
_THEN_TEST: Final = ". Then send the test push while somebody watches."

PUSH_DISABLED: Final = Words(
    "Web Push is switched off on this server: it sends nothing.",
    "Switch web-push on in [experiments] of the configuration, and start the server again.",
    Remedy.CONFIGURE,
)
UNKNOWN_USER: Final = Words(
    "Nobody of this id is known here.",
    "Look at the spelling: case counts. If it is right, invite the user.",
    Remedy.INVITE,
)
NO_SUBSCRIPTION: Final = Words(
    "No browser of this user is subscribed.",
    "Invite the user, or have them open the page and switch notifications on.",
    Remedy.INVITE,
)
NO_SUBSCRIPTION_ANY_MORE: Final = NO_SUBSCRIPTION._replace(
    says="No browser of this user is subscribed any more: what they had was switched off, removed or replaced."
)
NO_SUBSCRIPTION_THEN: Final = Words(
    "No browser of this user was subscribed when it was sent; one is now.", "Send it again.", Remedy.SEND_AGAIN
)
ONE_DEVICE_REMOVED: Final = Words(
    "It was for one device only, which was removed, or had ended, before it was sent.",
    "Send the test push to see that the devices which the user has now work.",
    Remedy.TEST,
)
ASKED_TO_COME: Final = "An invitation is open: have the user open its link, or make another."
NOTHING_SENT: Final = Words(
    "This device is subscribed, and nothing was sent to it yet.",
    "Send the test push to see that it works.",
    Remedy.TEST,
)
NOTHING_SENT_LATELY: Final = NOTHING_SENT._replace(
    says="This device is subscribed, and nothing that was sent to it lately is kept."
)
NOTHING_SENT_SINCE: Final = NOTHING_SENT._replace(
    says="This device had ended and is subscribed again; nothing was sent to it since."
)
NOTHING_SENT_TO_USER: Final = NOTHING_SENT._replace(says="The user is subscribed, and nothing was sent to them yet.")
SCHEDULED: Final = Words(
    "It is to be sent later, as was asked for.",
    "Wait: it is sent by itself when it is due. Until then it can be cancelled.",
    Remedy.WAIT,
)
SUMMARISED: Final = Words(
    "The turn waits for its summary.", "Wait: without one it is sent by itself in a moment.", Remedy.WAIT
)
WAITING: Final = Words(
    "It was accepted and waits to be sent.",
    "Wait a moment: what is due is sent at once. If it stays, look at the queue and the log.",
    Remedy.WAIT,
)
GONE: Final = Words(
    "The subscription has ended: its push service knows it no longer. The permission was taken back, the browser's "
    "data cleared, the app removed, or nobody used it for months.",
    _HAVE_THEM_SUBSCRIBE,
    Remedy.INVITE,
)
KEY_MISMATCH: Final = Words(
    "The subscription was made with another key than this server signs with for it, says the push service.",
    "Have the user open the page on this device, which subscribes it again. If many devices say so, a key is missing "
    "here: see the keys.",
    Remedy.INVITE,
)
KEY_MISSING: Final = Words(
    "The subscription was made with a key that this server does not have.",
    "Import that key, which helps all who subscribed with it; or have the user open the page on this device.",
    Remedy.SEE_KEYS,
)
_KEY_RETIRED: Final = Words(
    "The subscription was made with a key of this server that is retired: nothing is signed with it any more.",
    "Have the user open the page on this device, which subscribes it again; or roll the key back, which helps all.",
    Remedy.SEE_KEYS,
)
_KEY_ENDED: Final = Words(
    "The subscription was made with a key of this server that is not used any more.",
    "Have the user open the page on this device, which subscribes it again, or invite them.",
    Remedy.INVITE,
)
SUPERSEDED: Final = Words(
    "A newer one with the same topic took its place before it was sent.",
    "There is nothing to do: look at the newer one.",
    Remedy.NONE,
)
HELD: Final = Words(
    "It is held back: its push service says that it has ended, as of unusually many at once, which is not believed.",
    "See why they ended, the keys first. If it is not true, release them; if it is, confirm it.",
    Remedy.SEE_KEYS,
)
REAPED: Final = Words(
    "The subscription is not sent to any more: nothing was ever delivered to it, and its push service refused one push "
    "after another.",
    "See what it answered. If that is mended, restore the subscription; if not, have the user open the page on this "
    "device and switch notifications on again.",
    Remedy.INVITE,
)
CANCELLED: Final = Words(
    "It was taken back before it was sent.", "Send it again if it is still wanted.", Remedy.SEND_AGAIN
)
CANCELLED_BY_SOMEBODY: Final = CANCELLED._replace(says="Somebody cancelled it before it was sent.")
THEY_ARE_BACK: Final = "The user has subscribed again since: send it again."
IT_IS_BACK: Final = "The device is subscribed again since: send it again."
IT_IS_RELEASED: Final = "The device is sent to again: send it again if it is still wanted."
ONE_LEFT: Final = "The device was removed: have the user subscribe on it again, or invite them. They have others."
LAST_LEFT: Final = "The device was removed, and there is no other: have the user subscribe again, or invite them."

ALWAYS: Final = {
    Outcome.WAITING: WAITING,
    Outcome.GONE: GONE,
    Outcome.SUPERSEDED: SUPERSEDED,
    Outcome.HELD: HELD,
    Outcome.CANCELLED: CANCELLED,
}
"""The words for outcomes that need no closer look."""

KINDS: Final = {
    DispatchKind.NOTIFICATION: "The notification",
    DispatchKind.TURN: "The turn",
    DispatchKind.BROADCAST: "The broadcast",
    DispatchKind.TEST: "The test push",
}
"""What a person calls what was sent."""


class _Known(NamedTuple):
    """What an answer means that has one of these phrases in it, as whole words; phrases in lower case."""

    phrases: tuple[str, ...]
    advice: str
    remedy: Remedy

    def words(self, says: str) -> Words:
        """Return the words for what happened, with what it means."""
        return Words(says, self.advice, self.remedy)


_LOOK_AT_SUBSCRIBER: Final = _Known(
    (),
    "Set subscriber in [push] to a real mailto: or https: address, which localhost is not for Apple, and see that this "
    "machine's clock is right: pushdesk doctor looks at both.",
    Remedy.CONFIGURE,
)
"""What it means as a push service says it that is not known here, or one without a reason."""
_OUR_CONFIGURATION: Final = (
    # What each service says is in `webpush/services.py` and `docs/push-services.md`.
    _Known(
        ("domain blocked",),
        "Microsoft blocks the domain of the access URL: ask them why, or serve from another.",
        Remedy.CONFIGURE,
    ),
    _Known(
        ("badauthorizationheader", "authorization header", "auth scheme", "missing vapid token"),
        "Something on the way changes or drops the Authorization header: see egress_proxy in [push].",
        Remedy.CONFIGURE,
    ),
    _Known(
        ("badvapidpublickey", "public key"),
        "See the keys: the current one is not one that this service takes. pushdesk doctor checks what it signs.",
        Remedy.SEE_KEYS,
    ),
    _Known(
        ("exp", "token expiration", "token expired", "token has expired", "expiredtoken", "24 hours"),
        "Set this machine's clock, by NTP if it can be: what it signs is dated wrongly. pushdesk doctor compares it.",
        Remedy.CONFIGURE,
    ),
    _Known(
        ("aud claim", "audience"),
        "What is signed is for another address than was asked: see what redirects pushes on their way, such as "
        "egress_proxy in [push].",
        Remedy.CONFIGURE,
    ),
)
_REFUSED: Final = (
    _Known(
        ("payloadtoolarge", "too large", "too long", "limited in size"),
        "Send it again with less text: some devices take less than others, Firefox on Android about 2700 bytes.",
        Remedy.SEND_AGAIN,
    ),
    _Known(("topic", "badwebpushtopic"), "Send it again with another topic, or without one.", Remedy.SEND_AGAIN),
    _Known(("ttl", "badttl"), "Send it again with another ttl.", Remedy.SEND_AGAIN),
    _Known(("registration", "unauthorizedregistration", "push subscription"), _HAVE_THEM_SUBSCRIBE, Remedy.INVITE),
)
_SEE_ITS_ANSWER: Final = _Known(
    (), "See what it answered. Others are sent to this device as before: send the test push.", Remedy.TEST
)
_OURS: Final = (
    # What the engine itself says of an attempt that came to no push service.
    _Known(("subscriptions could not be read",), "If it goes on, look at the disk and at the log.", Remedy.WAIT),
    _Known(("a mistake of this server",), "The log tells what went wrong.", Remedy.WAIT),
)
WAIT: Final = "Wait: it is tried again by itself, until its time to live is over."


def accepted(service: Service, device: str) -> Words:
    """Return the words for what a push service took, of which nobody knows whether it was shown.

    Args:
        service: Who took it.
        device: Browser and platform, as a delivery names them.
    """
    names = device.split(" · ")
    look = next((_LOOK[name] for name in names if name in _LOOK), _LOOK_ANYWHERE)
    if "macOS" in names and "Safari" not in names:
        look += _RUNNING
    says = f"{WHO[service]} took it. Whether the browser has shown it, no push service tells."
    return Words(says, look + _THEN_TEST, Remedy.TEST)


def accepted_by_all(devices: int) -> Words:
    """Return the words for what the push services took for each of several devices."""
    says = f"It was taken for all {devices} devices. Whether a browser has shown it, no push service tells."
    return Words(says, _LOOK_ANYWHERE + _THEN_TEST, Remedy.TEST)


def key_ended(state: KeyState | None) -> Words:
    """Return the words for a subscription that was made with a key of ours in this state, or one that is not known."""
    return _KEY_RETIRED if state is KeyState.RETIRED else _KEY_ENDED


def our_configuration(delivery: Delivery) -> Words:
    """Return the words for what a push service refused because of what this server signs, or who it is."""
    says = f"{WHO[delivery.service]} refused how this server identifies itself. That is not the device's fault."
    return (_known(_OUR_CONFIGURATION, delivery.reason) or _LOOK_AT_SUBSCRIBER).words(says)


def refused(delivery: Delivery) -> Words:
    """Return the words for what is not tried again, and not because of the device."""
    status, who = delivery.status, WHO[delivery.service]
    if status is None:
        return Words(
            "This server did not send it: it does not send to where the endpoint leads.",
            "If that is a push service of yours, see allow_endpoint in [push]; if not, have the user subscribe again.",
            Remedy.CONFIGURE,
        )
    if status < 400:
        return Words(
            f"{who} answered with a redirect, which is never followed.",
            "See what stands between this server and the push service: a captive portal, or egress_proxy in [push].",
            Remedy.CONFIGURE,
        )
    says = f"{who} refused this notification, and it is not tried again."
    if status in {401, 403}:
        says = f"{who} does not let this server send to the device."
        return (_known(_OUR_CONFIGURATION + _REFUSED, delivery.reason) or _LOOK_AT_SUBSCRIBER).words(says)
    reason = "payload too large" if status == 413 else delivery.reason
    return (_known(_REFUSED, reason) or _SEE_ITS_ANSWER).words(says)


def retried(delivery: Delivery) -> Words:
    """Return the words for what is tried again."""
    if delivery.outcome is Outcome.THROTTLED:
        says = f"{WHO[delivery.service]} asks to wait: it gets too much for this device, or from this server."
        return Words(says, WAIT, Remedy.WAIT)
    if delivery.status is not None:
        return Words(f"{WHO[delivery.service]} has a fault of its own.", WAIT, Remedy.WAIT)
    known = _known(_OURS, delivery.reason)
    if known is not None:
        return Words("This server could not send it.", f"{WAIT} {known.advice}", known.remedy)
    says = "The push service could not be reached, or did not answer."
    return Words(says, f"{WAIT} If it goes on, pushdesk doctor tells what is in the way.", Remedy.WAIT)


def within(service: Service) -> str:
    """Return how a push service is called within a sentence."""
    return "the push service" if service is Service.OTHER else WHO[service]


def _known(table: tuple[_Known, ...], reason: str) -> _Known | None:
    said = reason.lower()
    return next((row for row in table if any(_has_words(said, phrase) for phrase in row.phrases)), None)


def _has_words(said: str, phrase: str) -> bool:
    return re.search(rf"\b{re.escape(phrase)}\b", said) is not None
