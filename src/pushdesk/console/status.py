"""What a state looks like: a glyph, a word and a colour, so that any one of them may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from textual.content import Content

from pushdesk.model import (
    BroadcastState,
    DispatchState,
    KeyState,
    LaneState,
    Outcome,
    Service,
    SubscriptionState,
    VerdictCode,
)

if TYPE_CHECKING:
    from pushdesk.model import Attempt, Delivery

GOOD: Final = "$text-success"
BUSY: Final = "$text-warning"
BAD: Final = "$text-error"
QUIET: Final = "$foreground 65%"
STRONG: Final = "$text-accent"


class Look(NamedTuple):
    """How a state is shown."""

    glyph: str
    word: str
    style: str

    def content(self, between: str = "") -> Content:
        """Return the glyph, what stands between (a status code), and the word."""
        return Content.styled(" ".join(part for part in (self.glyph, between, self.word) if part), self.style)


OUTCOMES: Final[dict[Outcome, Look]] = {
    Outcome.WAITING: Look("…", "waiting", QUIET),
    Outcome.ACCEPTED: Look("✓", "accepted", GOOD),
    Outcome.GONE: Look("✗", "gone", BAD),
    Outcome.KEY_MISMATCH: Look("✗", "other key", BAD),
    Outcome.REFUSED: Look("✗", "refused", BAD),
    Outcome.OUR_CONFIGURATION: Look("!", "our key", BAD),
    Outcome.THROTTLED: Look("↻", "throttled", BUSY),
    Outcome.TRANSIENT: Look("↻", "will retry", BUSY),
    Outcome.EXPIRED: Look("✗", "expired", BAD),
    Outcome.SUPERSEDED: Look("-", "superseded", QUIET),
    Outcome.HELD: Look("!", "held", BUSY),
    Outcome.CANCELLED: Look("-", "cancelled", QUIET),
}

SUBSCRIPTIONS: Final[dict[SubscriptionState, Look]] = {
    SubscriptionState.ACTIVE: Look("✓", "active", GOOD),
    SubscriptionState.GONE: Look("✗", "gone", BAD),
    SubscriptionState.KEY_MISMATCH: Look("✗", "other key", BAD),
    SubscriptionState.HELD: Look("!", "held", BUSY),
}

KEYS: Final[dict[KeyState, Look]] = {
    KeyState.CURRENT: Look("✓", "current", GOOD),
    KeyState.RETIRING: Look("↻", "retiring", BUSY),
    KeyState.RETIRED: Look("✗", "retired", BAD),
    KeyState.REVOKED: Look("✗", "revoked", BAD),
}
UNKNOWN_KEY: Final = Look("!", "unknown", BAD)

DISPATCHES: Final[dict[DispatchState, Look]] = {
    DispatchState.SCHEDULED: Look("…", "scheduled", QUIET),
    DispatchState.QUEUED: Look("…", "queued", QUIET),
    DispatchState.SENDING: Look("↻", "sending", BUSY),
    DispatchState.DONE: Look("✓", "done", GOOD),
    DispatchState.CANCELLED: Look("-", "cancelled", QUIET),
}

BROADCASTS: Final[dict[BroadcastState, Look]] = {
    BroadcastState.SCHEDULED: Look("…", "scheduled", QUIET),
    BroadcastState.SENDING: Look("↻", "sending", BUSY),
    BroadcastState.PAUSED: Look("‖", "paused", BUSY),
    BroadcastState.DONE: Look("✓", "done", GOOD),
    BroadcastState.CANCELLED: Look("-", "cancelled", QUIET),
}

LANES: Final[dict[LaneState, Look]] = {
    LaneState.OPEN: Look("✓", "open", GOOD),
    LaneState.THROTTLED: Look("↻", "throttled", BUSY),
    LaneState.BROKEN: Look("✗", "broken", BAD),
    LaneState.PAUSED: Look("‖", "paused", BUSY),
}

VERDICTS: Final[dict[VerdictCode, Look]] = {
    VerdictCode.PUSH_DISABLED: Look("!", "push is switched off", BAD),
    VerdictCode.UNKNOWN_USER: Look("✗", "unknown user", BAD),
    VerdictCode.NO_SUBSCRIPTION: Look("✗", "not subscribed", BAD),
    VerdictCode.NOTHING_SENT: Look("·", "nothing sent", QUIET),
    VerdictCode.SCHEDULED: Look("…", "scheduled", QUIET),
    VerdictCode.WAITING: OUTCOMES[Outcome.WAITING],
    VerdictCode.ACCEPTED: OUTCOMES[Outcome.ACCEPTED],
    VerdictCode.GONE: OUTCOMES[Outcome.GONE],
    VerdictCode.KEY_MISMATCH: OUTCOMES[Outcome.KEY_MISMATCH],
    VerdictCode.KEY_ENDED: Look("✗", "key has ended", BAD),
    VerdictCode.OUR_CONFIGURATION: Look("!", "our configuration", BAD),
    VerdictCode.REFUSED: OUTCOMES[Outcome.REFUSED],
    VerdictCode.THROTTLED: OUTCOMES[Outcome.THROTTLED],
    VerdictCode.TRANSIENT: OUTCOMES[Outcome.TRANSIENT],
    VerdictCode.EXPIRED: OUTCOMES[Outcome.EXPIRED],
    VerdictCode.SUPERSEDED: OUTCOMES[Outcome.SUPERSEDED],
    VerdictCode.HELD: OUTCOMES[Outcome.HELD],
    VerdictCode.CANCELLED: OUTCOMES[Outcome.CANCELLED],
}

NOT_SENT_TO: Final[dict[SubscriptionState, str]] = {
    SubscriptionState.GONE: "Nothing is sent to this device: its push service no longer knows it.",
    SubscriptionState.KEY_MISMATCH: "Nothing is sent to this device: it subscribed with another key.",
    SubscriptionState.HELD: "Nothing is sent to this device: it is held.",
}
"""Why a test is not sent to a device in this state."""

SERVICES: Final[dict[Service, str]] = {
    Service.FCM: "FCM",
    Service.MOZILLA: "Mozilla",
    Service.APPLE: "Apple",
    Service.WNS: "WNS",
    Service.OTHER: "other",
}
UNNAMED_SERVICE: Final = "the push service"
"""What one that is none of these is called in a sentence."""


def service_name(service: Service) -> str:
    """Return what a push service is called in a sentence."""
    return UNNAMED_SERVICE if service is Service.OTHER else SERVICES[service]


def delivery_status(delivery: Delivery | Attempt) -> Content:
    """Return the status of a delivery or an attempt: `✓ 201`, `✗ 410 gone`, `↻ 429 throttled`."""
    look = OUTCOMES[delivery.outcome]
    if delivery.status is None:
        return look.content()
    if delivery.outcome is Outcome.ACCEPTED:
        return Content.styled(f"{look.glyph} {delivery.status}", look.style)
    return look.content(str(delivery.status))
