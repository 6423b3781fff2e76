"""A database that is locked, full, read-only, push services that are hostile: the server lives, and loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.disasters import DISASTERS, NotPossibleError, befall

if TYPE_CHECKING:
    from pathlib import Path

CODES = {"full": (507, "disk_full"), "unwritable": (500, "database_error")}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", DISASTERS)
async def test_it_is_told_and_nothing_accepted_is_lost(tmp_path: Path, name: str) -> None:
    try:
        found = await befall(tmp_path, name, 2.0, busy_ms=300)
    except NotPossibleError as error:
        pytest.skip(str(error))
    assert found.comparison.faults == []
    assert found.comparison.duplicates == 0
    assert found.comparison.received > 0
    assert found.readable
    # Where only push services are hostile, it goes on accepting.
    assert bool(found.refusals) == (name != "hostile")
    status, code = CODES.get(name, (500, "database_error"))
    for refusal in found.refusals:
        assert (refusal.status, refusal.content_type, refusal.code) == (status, "application/problem+json", code)
        assert int(refusal.retry_after) > 0
    assert found.growth < 50_000_000
