"""Which push service the simulator takes after."""

from __future__ import annotations

from enum import StrEnum


class Personality(StrEnum):
    """A push service, with its statuses, error bodies and limits."""

    MOZILLA = "mozilla"
