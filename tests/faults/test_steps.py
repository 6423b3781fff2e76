"""A server that ends without warning at its steps: nothing that was accepted is lost. `steps.py` tries all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.steps import try_every_step

if TYPE_CHECKING:
    from pathlib import Path

EVERY = 25


@pytest.mark.timeout(600)
async def test_nothing_accepted_is_lost_at_whichever_step_a_server_ends(tmp_path: Path) -> None:
    tried = await try_every_step(tmp_path, every=EVERY, first=EVERY)
    assert tried.faults == []
    assert tried.steps >= 100
    assert abs(len(tried.points) - tried.steps / EVERY) <= 2
