"""The nouns: what pushdesk knows and shows, in memory and on the wire.

Every class is a frozen msgspec Struct: one definition serves the engine, the API and the console. Times are aware
datetimes in UTC and travel as RFC 3339; durations carry their unit in their name. `PushTarget` is the exception:
it holds a subscription's secrets, so it is no Struct, has no encoder and shows nothing of itself.

What a console or a server holds by the ten thousand is made with `gc=False`: nothing in it leads back to it, and a
garbage collector that looks through all of it takes a tenth of a second, in which nobody is answered.
"""

from __future__ import annotations

from pushdesk.model.access import (
    AccessToken,
    DeviceGrant,
    Enrolled,
    Invitation,
    InvitationFault,
    NewAccessToken,
    Scope,
    TokenGrant,
)
from pushdesk.model.broadcast import (
    Broadcast,
    BroadcastPart,
    BroadcastPlan,
    BroadcastRequest,
    BroadcastState,
    PlannedPart,
)
from pushdesk.model.cache import LOOK_UPS, CacheChange, CacheEntry, CacheStats, Discarded
from pushdesk.model.delivery import (
    UNSETTLED,
    Accepted,
    Attempt,
    Delivery,
    DeliveryRecord,
    Dispatch,
    DispatchKind,
    DispatchState,
    Outcome,
)
from pushdesk.model.health import BrakeOn, DecidedBrake, LaneState, ServiceHealth, StoppedKey
from pushdesk.model.key import ExportedKey, KeyState, RevokedKeys, VapidKey
from pushdesk.model.listing import Page, PageQuery, PartialPage
from pushdesk.model.log import LogEntry, LogLevel
from pushdesk.model.notification import Action, Direction, Notification, Urgency
from pushdesk.model.stats import Experiment, History, SenderStats, Shortage, Span, Stats, Vacuumed
from pushdesk.model.subscription import (
    PushTarget,
    PushTest,
    Restoration,
    RestoreResult,
    Service,
    Subscribed,
    Subscription,
    SubscriptionKeys,
    SubscriptionRequest,
    SubscriptionState,
    User,
)
from pushdesk.model.turn import AcceptedTurn, SummaryFault, Turn, TurnStatus
from pushdesk.model.verdict import Evidence, Measure, Remedy, Verdict, VerdictCode

__all__ = [
    "LOOK_UPS",
    "UNSETTLED",
    "Accepted",
    "AcceptedTurn",
    "AccessToken",
    "Action",
    "Attempt",
    "BrakeOn",
    "Broadcast",
    "BroadcastPart",
    "BroadcastPlan",
    "BroadcastRequest",
    "BroadcastState",
    "CacheChange",
    "CacheEntry",
    "CacheStats",
    "DecidedBrake",
    "Delivery",
    "DeliveryRecord",
    "DeviceGrant",
    "Direction",
    "Discarded",
    "Dispatch",
    "DispatchKind",
    "DispatchState",
    "Enrolled",
    "Evidence",
    "Experiment",
    "ExportedKey",
    "History",
    "Invitation",
    "InvitationFault",
    "KeyState",
    "LaneState",
    "LogEntry",
    "LogLevel",
    "Measure",
    "NewAccessToken",
    "Notification",
    "Outcome",
    "Page",
    "PageQuery",
    "PartialPage",
    "PlannedPart",
    "PushTarget",
    "PushTest",
    "Remedy",
    "Restoration",
    "RestoreResult",
    "RevokedKeys",
    "Scope",
    "SenderStats",
    "Service",
    "ServiceHealth",
    "Shortage",
    "Span",
    "Stats",
    "StoppedKey",
    "Subscribed",
    "Subscription",
    "SubscriptionKeys",
    "SubscriptionRequest",
    "SubscriptionState",
    "SummaryFault",
    "TokenGrant",
    "Turn",
    "TurnStatus",
    "Urgency",
    "User",
    "Vacuumed",
    "VapidKey",
    "Verdict",
    "VerdictCode",
]
