"""Access tokens, invitations and the browsers that came by them; keys that retire; sealed secrets; kept attempts.

Listings have indexes of all that they look at.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the revision."""
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scopes", sa.String(length=64), nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_tokens")),
    )
    op.create_table(
        "user_removals",
        sa.Column("user", sa.String(length=128), nullable=False),
        sa.Column("last_dispatch", sa.String(length=32), nullable=False),
        sa.Column("last_delivery", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("user", name=op.f("pk_user_removals")),
    )
    op.create_table(
        "invitations",
        sa.Column("code_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user"], ["user_state.user"], name=op.f("fk_invitations_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("code_digest", name=op.f("pk_invitations")),
    )
    op.create_index("ix_invitations_user", "invitations", ["user"])
    op.create_index("ix_invitations_expires_at", "invitations", ["expires_at"])
    op.create_table(
        "enrollments",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user", sa.String(length=128), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["user_state.user"], name=op.f("fk_enrollments_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollments")),
    )
    op.create_index("ix_enrollments_user", "enrollments", ["user"])
    op.create_index("ix_idempotency_keys_dispatch", "idempotency_keys", ["dispatch"])
    op.add_column("server_state", sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("server_state", sa.Column("seal_key_id", sa.String(length=16), nullable=True))
    op.add_column("server_state", sa.Column("seal_check", sa.LargeBinary(), nullable=True))
    op.add_column("vapid_keys", sa.Column("retiring_at", sa.BigInteger(), nullable=True))
    op.add_column("vapid_keys", sa.Column("bound_before", sa.Text(), nullable=True))
    op.add_column("subscriptions", sa.Column("enrollment", sa.String(length=32), nullable=True))
    op.drop_index("ix_subscriptions_key_id", "subscriptions")
    op.create_index("ix_subscriptions_key_id_state_service", "subscriptions", ["key_id", "state", "service"])
    op.create_index("uq_subscriptions_enrollment", "subscriptions", ["enrollment"], unique=True)
    op.add_column("dispatches", sa.Column("ttl_s", sa.Integer(), nullable=True))
    op.add_column("deliveries", sa.Column("headers", sa.Text(), nullable=True))
    op.create_table(
        "attempts",
        sa.Column("delivery", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery"], ["deliveries.id"], name=op.f("fk_attempts_delivery"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("delivery", "number", name=op.f("pk_attempts")),
    )
    _index_listings()


def _index_listings() -> None:
    op.create_index("ix_user_state_created_at_user", "user_state", ["created_at", "user"])
    op.drop_index("ix_subscriptions_created_at_id", "subscriptions")
    op.create_index("ix_subscriptions_id_user_state_failures", "subscriptions", ["id", "user", "state", "failures"])
    op.create_index("ix_subscriptions_service_id_user", "subscriptions", ["service", "id", "user"])
    for name, words in (("state", "state <> 'active'"), ("failures", "failures > 0")):
        op.create_index(
            f"ix_subscriptions_{name}_id_user",
            "subscriptions",
            [name, "id", "user"],
            sqlite_where=sa.text(words),
            postgresql_where=sa.text(words),
        )
    op.drop_index("ix_deliveries_at_id", "deliveries")
    op.create_index(
        "ix_deliveries_at_id_user_outcome_subscription",
        "deliveries",
        ["at", "id", "user", "outcome", "subscription"],
    )
