"""Why somebody did not get what was sent."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from pushdesk.model.subscription import Service


class VerdictCode(StrEnum):
    """Why somebody did not get something, or did."""

    PUSH_DISABLED = "push_disabled"
    """This server sends nothing."""
    UNKNOWN_USER = "unknown_user"
    NO_SUBSCRIPTION = "no_subscription"
    NOTHING_SENT = "nothing_sent"
    SCHEDULED = "scheduled"
    WAITING = "waiting"
    ACCEPTED = "accepted"
    """The push service took it; of what came after, nothing is known."""
    GONE = "gone"
    KEY_MISMATCH = "key_mismatch"
    KEY_ENDED = "key_ended"
    """The subscription was made with a key of ours that is no longer used."""
    OUR_CONFIGURATION = "our_configuration"
    REFUSED = "refused"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    HELD = "held"
    CANCELLED = "cancelled"


class Remedy(StrEnum):
    """What helps."""

    NONE = "none"
    WAIT = "wait"
    INVITE = "invite"
    """Have the user subscribe."""
    TEST = "test"
    """Send the test push."""
    SEND_AGAIN = "send_again"
    SEE_KEYS = "see_keys"
    CONFIGURE = "configure"
    """Change the configuration of the server."""


class Measure(StrEnum):
    """What an operator can do about it besides, with a command of `pushdesk`.

    Apart from `Remedy`, which every version has to know: of these, one that is not known is left out.
    """

    RESUME = "resume"
    """Go on with what is paused: the dispatch's broadcast, or the push service."""
    RESET = "reset"
    """Forget what was wrong with the push service, and send to it at once."""
    RELEASE = "release"
    """Make active again what the brake of the push service holds."""
    CONFIRM = "confirm"
    """Disable it."""
    RESTORE = "restore"
    """Make the subscription active again, which is disabled."""
    CANCEL = "cancel"
    """Take the dispatch back."""


class Evidence(Struct, frozen=True):
    """A fact that a verdict rests on."""

    text: str
    time: datetime | None = None


class Verdict(Struct, frozen=True):
    """An answer to "why did this user not get it?", in words for a person. Times stand beside the words, in fields."""

    code: VerdictCode
    about: str
    """Of what: a user's id, or a device."""
    says: str
    """What happened, in a sentence or two."""
    advice: str
    """What to do next, in a sentence."""
    remedy: Remedy
    user: str
    subscription: str | None = None
    delivery: str | None = None
    since: datetime | None = None
    """When it began, where it has a beginning."""
    until: datetime | None = None
    """When something will happen by itself, where that is known."""
    evidence: tuple[Evidence, ...] = ()
    """What has happened, the latest first; then what is to come, the next first; then what has no time."""
    devices: tuple[Verdict, ...] = ()
    """Of a user: one for each of their subscriptions, at most 50."""
    measures: tuple[Measure, ...] = ()
    """What an operator can do about it, what helps most first."""
    service: Service | None = None
    """The push service that it is about, if it is about one."""
    dispatch: str | None = None
    """What was sent, if it is about that."""

    @property
    def apart(self) -> tuple[Verdict, ...]:
        """Those on the devices, unless there is one and nothing more to be said of it."""
        return () if [device.says for device in self.devices] == [self.says] else self.devices
