"""Times in the zone of whoever looks at them, however far away."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from pushdesk.local_time import in_zone

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)
ENDS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@pytest.fixture(params=["JST-9", "PST8", "UTC"])
def machine_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_a_time_is_in_the_zone_or_where_there_is_no_such_time_in_its_own(hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    assert in_zone(NOON, zone).utcoffset() == timedelta(hours=hours)
    for moment in (NOON, *ENDS):
        assert in_zone(moment, zone) == moment


@pytest.mark.usefixtures("machine_zone")
def test_so_it_is_with_the_zone_of_this_machine() -> None:
    for moment in (NOON, *ENDS):
        assert in_zone(moment) == moment
    assert in_zone(NOON).utcoffset() == NOON.astimezone().utcoffset()
