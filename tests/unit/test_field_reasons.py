"""What the validator finds wrong, in words for people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from pushdesk.field_reasons import reason


@pytest.mark.parametrize(
    ("value", "hint", "said"),
    [
        ("", Annotated[str, Meta(min_length=1)], "must not be empty"),
        ([], Annotated[tuple[int, ...], Meta(min_length=1)], "must not be empty"),
        ("abcd", Annotated[str, Meta(max_length=3)], "must have at most 3 characters"),
        ([1, 2], Annotated[tuple[int, ...], Meta(max_length=1)], "must have at most 1 item"),
        ("a", Annotated[str, Meta(min_length=2)], "must have at least 2 characters"),
        (0, Annotated[int, Meta(ge=1)], "must be a whole number of at least 1"),
        (40, Annotated[float, Meta(le=30)], "must be a number of at most 30"),
        (1, str, "must be text, not a number"),
        (1, str | None, "must be text or null, not a number"),
        (None, str, "must be text, not null"),
        (1.5, int, "must be a whole number, not a fraction"),
        ("x", bool, "must be true or false, not text"),
        ({}, list[int], "must be a list, not an object"),
        ("x", Annotated[str, Meta(pattern="^[0-9a-f]{8}$")], "must be 8 hexadecimal digits"),
        ("x", Annotated[str, Meta(pattern="^[yz]$")], "must be of the form ^[yz]$"),
        ("soon", datetime, "must be a time (RFC 3339), such as 2030-01-31T08:00:00Z"),
        (
            "2030-01-31T08:00:00",
            Annotated[datetime, Meta(tz=True)],
            "must be a time with its zone, such as 2030-01-31T08:00:00Z",
        ),
    ],
)
def test_what_is_wrong_is_told_without_words_of_the_validator(value: object, hint: Any, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(value, hint)
    assert reason(raised.value) == said
