"""Lanes, brakes, topics and broadcasts.

Push services that are paused, keys that one of them refuses, brakes, since when a subscription is disabled, which of
the messages of a topic is the newest, and how far broadcasts have come.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "paused_services",
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", name=op.f("pk_paused_services")),
    )
    op.add_column("deliveries", sa.Column("awaits_key", sa.String(length=8), nullable=True))
    op.create_index(
        "ix_deliveries_service_awaits_key_id",
        "deliveries",
        ["service", "awaits_key", "id"],
        sqlite_where=sa.text("awaits_key IS NOT NULL"),
        postgresql_where=sa.text("awaits_key IS NOT NULL"),
    )
    op.create_table(
        "brakes",
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("service", name=op.f("pk_brakes")),
    )
    op.add_column("subscriptions", sa.Column("refusals", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("subscriptions", sa.Column("disabled_at", sa.BigInteger(), nullable=True))
    op.add_column("subscriptions", sa.Column("held_as", sa.String(length=16), nullable=True))
    # Nobody knows since when: they are kept from now on as long as those that are disabled now.
    now_ms = round(time.time() * 1000)
    op.execute(sa.text("UPDATE subscriptions SET disabled_at = :now WHERE state <> 'active'").bindparams(now=now_ms))
    for name, columns in (
        ("ix_subscriptions_disabled_at_id", ["disabled_at", "id"]),
        ("ix_subscriptions_service_held_as_id", ["service", "held_as", "id"]),
    ):
        words = sa.text("disabled_at IS NOT NULL" if "disabled_at" in columns else "held_as IS NOT NULL")
        op.create_index(name, "subscriptions", columns, sqlite_where=words, postgresql_where=words)
    _add_topics()
    _add_broadcasts()


def _add_topics() -> None:
    op.add_column("server_state", sa.Column("precedence", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("dispatches", sa.Column("precedence", sa.BigInteger(), nullable=True))
    op.add_column("dispatches", sa.Column("sender", sa.String(length=64), nullable=True))
    op.add_column("deliveries", sa.Column("topic", sa.String(length=200), nullable=True))
    op.add_column("deliveries", sa.Column("precedence", sa.BigInteger(), nullable=True))
    # What has ended stays as it is: only what may still be sent is looked at.
    op.execute(
        "UPDATE dispatches SET precedence = due_at * 1000 WHERE topic IS NOT NULL AND state IN ('queued', 'scheduled')"
    )
    op.execute(
        "UPDATE deliveries SET topic = (SELECT topic FROM dispatches WHERE id = deliveries.dispatch), "
        "precedence = (SELECT due_at * 1000 FROM dispatches WHERE id = deliveries.dispatch) "
        "WHERE next_attempt_at IS NOT NULL"
    )
    for table, name, columns, condition in (
        ("dispatches", "ix_dispatches_sending_expires_at", ["expires_at"], "state = 'sending'"),
        (
            "deliveries",
            "ix_deliveries_subscription_topic_precedence",
            ["subscription", "topic", "precedence", "dispatch"],
            "topic IS NOT NULL",
        ),
        (
            "deliveries",
            "ix_deliveries_unsettled_subscription_topic",
            ["subscription", "topic"],
            "topic IS NOT NULL AND next_attempt_at IS NOT NULL",
        ),
    ):
        words = sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=words, postgresql_where=words)
    op.execute(
        "UPDATE deliveries SET outcome = 'superseded', reason = 'A newer one of its topic took its place.', "
        "next_attempt_at = NULL, claim_id = NULL WHERE next_attempt_at IS NOT NULL AND topic IS NOT NULL AND EXISTS "
        "(SELECT * FROM deliveries AS newer WHERE newer.subscription = deliveries.subscription "
        "AND newer.topic = deliveries.topic AND (newer.precedence > deliveries.precedence "
        "OR (newer.precedence = deliveries.precedence AND newer.dispatch > deliveries.dispatch)))"
    )
    op.execute(
        "UPDATE dispatches SET state = 'done' WHERE state = 'sending' AND NOT EXISTS "
        "(SELECT * FROM deliveries WHERE dispatch = dispatches.id AND next_attempt_at IS NOT NULL)"
    )


def _add_broadcasts() -> None:
    # Nothing was ever written into it.
    op.drop_table("chunks")
    op.create_table(
        "broadcasts",
        sa.Column("dispatch", sa.String(length=32), nullable=False),
        sa.Column("users", sa.Integer(), nullable=True),
        sa.Column("planned", sa.Text(), nullable=False),
        sa.Column("last_subscription", sa.String(length=32), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("reached_at", sa.BigInteger(), nullable=True),
        sa.Column("unreached", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.ForeignKeyConstraint(
            ["dispatch"], ["dispatches.id"], name=op.f("fk_broadcasts_dispatch"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dispatch", name=op.f("pk_broadcasts")),
    )
    words = sa.text('"user" IS NULL AND topic IS NOT NULL')
    op.create_index(
        "ix_dispatches_broadcast_topic_precedence",
        "dispatches",
        ["topic", "precedence"],
        sqlite_where=words,
        postgresql_where=words,
    )
    op.create_index(
        "ix_broadcasts_open_dispatch",
        "broadcasts",
        ["dispatch"],
        sqlite_where=sa.text("reached_at IS NULL"),
        postgresql_where=sa.text("reached_at IS NULL"),
    )
    op.create_table(
        "broadcast_users",
        sa.Column("dispatch", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("dispatch", "user", name=op.f("pk_broadcast_users")),
    )
    op.create_table(
        "chunks",
        sa.Column("dispatch", sa.String(length=32), nullable=False),
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("after", sa.String(length=32), nullable=False),
        sa.Column("last", sa.String(length=32), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("superseded", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["dispatch"], ["dispatches.id"], name=op.f("fk_chunks_dispatch"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("dispatch", "service", "after", name=op.f("pk_chunks")),
    )
