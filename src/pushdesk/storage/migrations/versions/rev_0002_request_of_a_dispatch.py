"""A dispatch knows which request it came with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the revision."""
    op.add_column("dispatches", sa.Column("request", sa.String(length=32), nullable=True))
