"""Where a browser is not installed, its tests are skipped and say how to get it; where it is required, they fail."""

from __future__ import annotations

import os

import pytest


def required(name: str, binary: str | None, install: str) -> str:
    """Return the browser's path, or skip the test, or fail it if `PUSHDESK_REQUIRE` names `browsers`."""
    if binary is not None:
        return binary
    advice = f"{name} is not installed. To run the browser tests: {install}"
    if "browsers" in os.environ.get("PUSHDESK_REQUIRE", "").split(","):
        pytest.fail(advice)
    pytest.skip(advice)
