"""A database of a test's own, and what SQLite is told to do in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.tracing import tracing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.contract.tracing import Trace


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pushdesk.db"


@pytest.fixture
async def trace() -> AsyncIterator[Trace]:
    with tracing() as traced:
        yield traced
