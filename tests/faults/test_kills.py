"""A server that is killed again and again, under load: nothing that was accepted is lost. `kills.py` does it longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.kills import kill_again_and_again

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(600)
async def test_nothing_accepted_is_lost_however_often_a_server_is_killed(tmp_path: Path) -> None:
    found = await kill_again_and_again(tmp_path, 20, seed=1)
    assert found.comparison.faults == []
    assert len(found.in_flight) == 20
    # It was worth it: there was something to be lost, and something that came twice was in flight.
    assert found.comparison.received > 100
    assert sum(found.in_flight) > 0
    assert all(again <= flight for again, flight in zip(found.again, found.in_flight, strict=True))
    assert found.memory.growth < 50_000_000
