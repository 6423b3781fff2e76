"""What is claimed is found without a look at everything that ever was."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the revision."""
    is_claimed = text("claim_id IS NOT NULL")
    op.create_index(
        "ix_deliveries_claimed_service",
        "deliveries",
        ["service"],
        sqlite_where=is_claimed,
        postgresql_where=is_claimed,
    )
