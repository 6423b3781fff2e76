"""When something is to be sent, as a person writes it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from pushdesk.console.send_at import read_send_at

NOW = datetime(2026, 11, 22, 12, 3, 44, 500_000, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", None),
        ("  ", None),
        ("18:30", "2026-11-22T18:30:00+02:00"),
        ("9:05", "2026-11-23T09:05:00+02:00"),
        ("12:03", "2026-11-23T12:03:00+02:00"),
        ("2h", "2026-11-22T14:03:44+02:00"),
        ("in 90s", "2026-11-22T12:05:14+02:00"),
        ("2026-12-24 08:00", "2026-12-24T08:00:00+02:00"),
        (" 2026-12-24T08:00:30 ", "2026-12-24T08:00:30+02:00"),
        ("2026-12-24T08:00Z", "2026-12-24T08:00:00+00:00"),
        ("2026-12-24T08:00-05:00", "2026-12-24T08:00:00-05:00"),
    ],
)
def test_a_time_a_date_or_a_duration_is_understood(text: str, wanted: str | None) -> None:
    read = read_send_at(text, NOW)
    assert (read.isoformat() if read is not None else None) == wanted


@pytest.mark.parametrize("text", ["2026-11-22 12:03", "2026-11-22T10:03:44Z", "1999-01-01"])
def test_what_is_past_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^Send at must not be past\.$"):
        read_send_at(text, NOW)


@pytest.mark.parametrize("text", ["tomorrow", "25:00", "0s", "2 hours", "900d", "-1h", "2026-13-01 08:00"])
def test_what_cannot_be_read_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="18:30, 2026-12-24 08:00, or 2h"):
        read_send_at(text, NOW)
