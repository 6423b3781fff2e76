from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reference.bench import Bench, bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as running:
        yield running
