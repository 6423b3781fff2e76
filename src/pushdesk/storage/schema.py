"""The tables.

Plain SQLAlchemy Core that SQLite and PostgreSQL both take. Times are integers, milliseconds since the epoch in UTC.
Changes go through a new revision in `migrations/versions`; a test holds the two against each other.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

IS_NOT_ACTIVE: Final = "state <> 'active'"
"""The words of an index of subscriptions."""
HAS_FAILED: Final = "failures > 0"
"""The words of another."""
_IS_OPEN: Final = "state IN ('queued', 'scheduled')"
_IS_SENDING: Final = "state = 'sending'"

# One row for the whole database: the generation counter, and the key of the endpoint digests.
server_state = Table(
    "server_state",
    metadata,
    Column("id", Integer, primary_key=True),
    # The last generation given out. Global, so that a user who was deleted and came back never repeats one.
    Column("generation", BigInteger, nullable=False),
    Column("digest_key", LargeBinary, nullable=False),
    # What was read before this generation is out of date for every user: raised where a change touches more of them
    # than one transaction should write.
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    # Which key seals endpoints, `auth` and private keys, and a constant sealed with it, so that another is recognised.
    Column("seal_key_id", String(16)),
    Column("seal_check", LargeBinary),
    # The latest that was given to a dispatch: what is accepted after it is newer, whatever the clock says.
    Column("precedence", BigInteger, nullable=False, server_default=text("0")),
)

user_state = Table(
    "user_state",
    metadata,
    Column("user", String(128), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_user_state_created_at_user", "created_at", "user"),
)

vapid_keys = Table(
    "vapid_keys",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("public_key", String(87), nullable=False, unique=True),
    Column("private_key", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retiring_at", BigInteger),
    # Active subscriptions per push service when it began to retire, as JSON.
    Column("bound_before", Text),
    Index(
        "uq_vapid_keys_one_current",
        "state",
        unique=True,
        sqlite_where=text("state = 'current'"),
        postgresql_where=text("state = 'current'"),
    ),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user", String(128), ForeignKey("user_state.user", ondelete="CASCADE"), nullable=False),
    # HMAC-SHA256 of the endpoint: unique, and the source of the fingerprint, so that `endpoint` itself can be sealed.
    Column("endpoint_digest", LargeBinary(32), nullable=False, unique=True),
    Column("endpoint", Text, nullable=False),
    Column("p256dh", LargeBinary(65), nullable=False),
    # 16 bytes, more when sealed.
    Column("auth", LargeBinary, nullable=False),
    Column("token_digest", LargeBinary(32), nullable=False),
    Column("key_id", String(8), nullable=False),
    Column("service", String(16), nullable=False),
    Column("browser", String(64), nullable=False),
    Column("platform", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    # Raised with every change of endpoint, keys, owner or state: a late answer cannot disable what came after.
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_success_at", BigInteger),
    Column("last_failure_at", BigInteger),
    Column("failures", Integer, nullable=False),
    # How many of its pushes were refused, before one was ever taken.
    Column("refusals", Integer, nullable=False, server_default=text("0")),
    # Since when it is gone or of another key; it is kept for a while.
    Column("disabled_at", BigInteger),
    # Of one that a brake holds, and of no other: what it would be without.
    Column("held_as", String(16)),
    # The invited browser that it belongs to: each has one at most.
    Column("enrollment", String(32)),
    Index("ix_subscriptions_user_id", "user", "id"),
    # For listings: what is sorted by, and after it all that is looked at while a page is looked for. Those that most
    # subscriptions would have the same value in have only the others: to write the most costs nothing there, and no
    # planner takes them for a way to a user's active ones.
    Index("ix_subscriptions_id_user_state_failures", "id", "user", "state", "failures"),
    Index("ix_subscriptions_service_id_user", "service", "id", "user"),
    Index(
        "ix_subscriptions_state_id_user",
        "state",
        "id",
        "user",
        sqlite_where=text(IS_NOT_ACTIVE),
        postgresql_where=text(IS_NOT_ACTIVE),
    ),
    Index(
        "ix_subscriptions_failures_id_user",
        "failures",
        "id",
        "user",
        sqlite_where=text(HAS_FAILED),
        postgresql_where=text(HAS_FAILED),
    ),
    # How many are bound to a key is counted from the index alone.
    Index("ix_subscriptions_key_id_state_service", "key_id", "state", "service"),
    Index("uq_subscriptions_enrollment", "enrollment", unique=True),
    Index(
        "ix_subscriptions_disabled_at_id",
        "disabled_at",
        "id",
        sqlite_where=text("disabled_at IS NOT NULL"),
        postgresql_where=text("disabled_at IS NOT NULL"),
    ),
    # How many are held is counted from the index alone.
    Index(
        "ix_subscriptions_service_held_as_id",
        "service",
        "held_as",
        "id",
        sqlite_where=text("held_as IS NOT NULL"),
        postgresql_where=text("held_as IS NOT NULL"),
    ),
)

# Users who are gone while what they were sent is not, and up to which ids it is still to be removed.
user_removals = Table(
    "user_removals",
    metadata,
    Column("user", String(128), primary_key=True),
    Column("last_dispatch", String(32), nullable=False),
    Column("last_delivery", String(32), nullable=False),
)

# Each lets one browser in, once. Only the code's SHA-256 is kept.
invitations = Table(
    "invitations",
    metadata,
    Column("code_digest", LargeBinary(32), primary_key=True),
    Column("user", String(128), ForeignKey("user_state.user", ondelete="CASCADE"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # Kept for a while after, so that whoever comes second is told that somebody was first.
    Column("used_at", BigInteger),
    Index("ix_invitations_user", "user"),
    Index("ix_invitations_expires_at", "expires_at"),
)

# The browsers that came by an invitation, each with its device token: it outlives the subscription.
enrollments = Table(
    "enrollments",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user", String(128), ForeignKey("user_state.user", ondelete="CASCADE"), nullable=False),
    Column("token_digest", LargeBinary(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_enrollments_user", "user"),
)

# The tokens of applications and operators. Only the secret's SHA-256 is kept.
access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    # Separated by spaces.
    Column("scopes", String(64), nullable=False),
    Column("secret_digest", LargeBinary(32), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
)

dispatches = Table(
    "dispatches",
    metadata,
    Column("id", String(32), primary_key=True),
    # Null for a broadcast.
    Column("user", String(128)),
    Column("kind", String(16), nullable=False),
    Column("title", Text, nullable=False),
    # The message as it is pushed, before it is encrypted for each device.
    Column("message", LargeBinary, nullable=False),
    Column("urgency", String(8), nullable=False),
    Column("topic", String(200)),
    # Set when only one subscription is meant: the test push.
    Column("subscription", String(32)),
    Column("state", String(16), nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # As it was asked for: `due_at` changes where something is put off. Null for what is older than this column.
    Column("ttl_s", Integer),
    # The id of the request that it came with, so that the log of an attempt leads back to it.
    Column("request", String(32)),
    # By which it is newer or older than others of its topic; of two of the same, the later id is newer.
    Column("precedence", BigInteger),
    # The token that the request came with. Null for what is older than this column.
    Column("sender", String(64)),
    Index("ix_dispatches_user_id", "user", "id"),
    Index(
        "ix_dispatches_open_due_at",
        "due_at",
        sqlite_where=text(_IS_OPEN),
        postgresql_where=text(_IS_OPEN),
    ),
    # Those of broadcasts: whoever sends something else of their topic asks for newer ones.
    Index(
        "ix_dispatches_broadcast_topic_precedence",
        "topic",
        "precedence",
        sqlite_where=text('"user" IS NULL AND topic IS NOT NULL'),
        postgresql_where=text('"user" IS NULL AND topic IS NOT NULL'),
    ),
    Index(
        "ix_dispatches_sending_expires_at",
        "expires_at",
        sqlite_where=text(_IS_SENDING),
        postgresql_where=text(_IS_SENDING),
    ),
)

# The words of its indexes, as they stand there: of a parameter a planner knows only with each execution what it is, so
# that it plans anew, or does not take the index.
IS_OPEN: Final = text(f"dispatches.{_IS_OPEN}")
IS_SENDING: Final = text(f"dispatches.{_IS_SENDING}")

# A repeated request returns the first dispatch. `sender` is the token that the request came with.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("sender", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("body_digest", LargeBinary(32), nullable=False),
    Column("dispatch", String(32), ForeignKey("dispatches.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_idempotency_keys_created_at", "created_at"),
    # A dispatch that is removed takes its key along: without it, each would be looked for among all keys.
    Index("ix_idempotency_keys_dispatch", "dispatch"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("dispatch", String(32), ForeignKey("dispatches.id", ondelete="CASCADE"), nullable=False),
    Column("user", String(128), nullable=False),
    Column("subscription", String(32), nullable=False),
    Column("service", String(16), nullable=False),
    Column("device", String(140), nullable=False),
    Column("outcome", String(24), nullable=False),
    Column("status", Integer),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("latency_ms", Double),
    Column("next_attempt_at", BigInteger),
    Column("at", BigInteger, nullable=False),
    # The fence of a claim: who claimed a delivery settles it with the same value, or not at all.
    Column("claim_id", String(32)),
    # Of the last answer, as JSON: those that say something of the push; null without any.
    Column("headers", Text),
    # The VAPID key that its push service refuses: it is not due before its end, unless that is over or one is tried.
    Column("awaits_key", String(8)),
    # Its dispatch's, where that has a topic: of each topic, only the newest is sent to a subscription.
    Column("topic", String(200)),
    Column("precedence", BigInteger),
    Index("ix_deliveries_dispatch_id", "dispatch", "id"),
    # With all that a filter looks at: a look at every row would take many times as long.
    Index("ix_deliveries_at_id_user_outcome_subscription", "at", "id", "user", "outcome", "subscription"),
    Index("ix_deliveries_user_id", "user", "id"),
    Index(
        "ix_deliveries_due",
        "service",
        "next_attempt_at",
        sqlite_where=text("next_attempt_at IS NOT NULL AND claim_id IS NULL"),
        postgresql_where=text("next_attempt_at IS NOT NULL AND claim_id IS NULL"),
    ),
    # Those that somebody works on, or worked on when it ended: looked for at every start.
    Index(
        "ix_deliveries_claimed_service",
        "service",
        sqlite_where=text("claim_id IS NOT NULL"),
        postgresql_where=text("claim_id IS NOT NULL"),
    ),
    Index(
        "ix_deliveries_service_awaits_key_id",
        "service",
        "awaits_key",
        "id",
        sqlite_where=text("awaits_key IS NOT NULL"),
        postgresql_where=text("awaits_key IS NOT NULL"),
    ),
    Index(
        "ix_deliveries_subscription_topic_precedence",
        "subscription",
        "topic",
        "precedence",
        "dispatch",
        sqlite_where=text("topic IS NOT NULL"),
        postgresql_where=text("topic IS NOT NULL"),
    ),
    # Those that can still be sent: very few beside all that ever were.
    Index(
        "ix_deliveries_unsettled_subscription_topic",
        "subscription",
        "topic",
        sqlite_where=text("topic IS NOT NULL AND next_attempt_at IS NOT NULL"),
        postgresql_where=text("topic IS NOT NULL AND next_attempt_at IS NOT NULL"),
    ),
)

# The push services that an operator has paused.
paused_services = Table(
    "paused_services",
    metadata,
    Column("service", String(16), primary_key=True),
    Column("paused_at", BigInteger, nullable=False),
)

# The brakes on mass death, of each push service the latest one: it is on, or an operator has decided what becomes of
# what it holds.
brakes = Table(
    "brakes",
    metadata,
    Column("service", String(16), primary_key=True),
    # Raised with each that goes on: an answer of before a decision does not put on the next one.
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

# What came of the attempts after which another one was due. The last one is the delivery itself: most have no other.
attempts = Table(
    "attempts",
    metadata,
    Column("delivery", String(32), ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("outcome", String(24), nullable=False),
    Column("status", Integer),
    Column("reason", Text, nullable=False),
    Column("latency_ms", Double),
    Column("headers", Text),
)

# What a broadcast is besides its dispatch. It goes on until everybody was got to: `reached_at`.
broadcasts = Table(
    "broadcasts",
    metadata,
    Column("dispatch", String(32), ForeignKey("dispatches.id", ondelete="CASCADE"), primary_key=True),
    # Of a list, how many users it names; null for all users.
    Column("users", Integer),
    # Subscriptions per push service, as JSON; and the last one that it is for: ids sort by the time they were made.
    Column("planned", Text, nullable=False),
    Column("last_subscription", String(32), nullable=False),
    Column("paused_at", BigInteger),
    Column("started_at", BigInteger),
    Column("reached_at", BigInteger),
    # How many of those planned were never got to: its time was over, or it was aborted.
    Column("unreached", Integer, nullable=False, server_default=text("0")),
    # Those that go on, or will: very few beside all that ever were.
    Index(
        "ix_broadcasts_open_dispatch",
        "dispatch",
        sqlite_where=text("reached_at IS NULL"),
        postgresql_where=text("reached_at IS NULL"),
    ),
)

# The users of broadcasts to lists. Written before the dispatch that they belong to, so without a foreign key: those of
# one that never came about are removed at the next start, the others once everybody was got to.
broadcast_users = Table(
    "broadcast_users",
    metadata,
    Column("dispatch", String(32), primary_key=True),
    Column("user", String(128), primary_key=True),
)

# A broadcast's recipients of one push service in stretches of up to 500, each written once it is settled: what lies
# between two of them, or after the last one, is still to be got to. `after` and `last` are ids of subscriptions.
chunks = Table(
    "chunks",
    metadata,
    Column("dispatch", String(32), ForeignKey("dispatches.id", ondelete="CASCADE"), primary_key=True),
    Column("service", String(16), primary_key=True),
    Column("after", String(32), primary_key=True),
    Column("last", String(32), nullable=False),
    Column("recipients", Integer, nullable=False),
    # Of them, those that were accepted at once: they are no more than this number. So are the ones below; all others
    # have a delivery.
    Column("accepted", Integer, nullable=False),
    # And those to whom something newer of its topic was sent before.
    Column("superseded", Integer, nullable=False),
)
