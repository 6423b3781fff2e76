"""`pushdesk send --send-at` and `pushdesk cancel`: through the server that runs, and by itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_USAGE
from tests.programs import PUSHDESK, bare_environment, run, serving

if TYPE_CHECKING:
    from pathlib import Path

LATER = "2999-01-31T08:00:00Z"
FOREVER = {"PUSHDESK_RETENTION_DAYS": "0"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path) | FOREVER


async def test_what_is_scheduled_is_cancelled_once(environment: dict[str, str]) -> None:
    async with serving(env=environment):
        sent = await run(*PUSHDESK, "send", "anna", "Hello", "--send-at", LATER, env=environment)
        found = re.fullmatch(r"pushdesk: dispatch (?P<id>\w+) is scheduled for 2999-01-31 08:00:00 UTC\.\n", sent.err)
        assert found is not None
        assert (sent.code, sent.out) == (EXIT_DONE, "")
        cancelled = await run(*PUSHDESK, "cancel", found["id"], env=environment)
        assert cancelled == (EXIT_DONE, f"cancelled {found['id']}\n", "")
        again = await run(*PUSHDESK, "cancel", found["id"], env=environment)
        assert (again.code, again.out) == (EXIT_NO, "")
        assert "This dispatch is cancelled already." in again.err


async def test_without_a_server_too(environment: dict[str, str]) -> None:
    sent = await run(*PUSHDESK, "send", "anna", "Hello", "--send-at", LATER, "--json", env=environment)
    dispatch = json.loads(sent.out)
    assert (dispatch["state"], dispatch["send_at"]) == ("scheduled", LATER)
    cancelled = await run(*PUSHDESK, "cancel", dispatch["id"], "--json", env=environment)
    assert json.loads(cancelled.out)["state"] == "cancelled"


async def test_a_time_that_is_none_is_refused(environment: dict[str, str]) -> None:
    refused = await run(*PUSHDESK, "send", "anna", "Hello", "--send-at", "08:00", env=environment)
    assert (refused.code, refused.out) == (EXIT_USAGE, "")
    assert "send_at: must be a time" in refused.err
