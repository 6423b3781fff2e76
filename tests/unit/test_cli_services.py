"""`pushdesk services`: through the server that runs, and by itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_DONE, EXIT_USAGE
from tests.programs import PUSHDESK, bare_environment, run, serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path)


async def test_a_service_is_paused_and_stays_so_over_a_restart(environment: dict[str, str]) -> None:
    async with serving(env=environment):
        nothing = await run(*PUSHDESK, "services", "list", env=environment)
        assert nothing == (EXIT_DONE, "", "pushdesk: no push service was sent to since the server started.\n")
        paused = await run(*PUSHDESK, "services", "pause", "wns", env=environment)
        assert paused.code == EXIT_DONE
        assert re.fullmatch(
            r"wns      paused     0 under way, 0 waiting; so since \d{4}-\d\d-\d\d \d\d:\d\d UTC: "
            r"An operator paused it.\n",
            paused.out,
        )
    async with serving(env=environment):
        listed = await run(*PUSHDESK, "services", "list", env=environment)
        assert listed.out == paused.out
        resumed = await run(*PUSHDESK, "services", "resume", "wns", env=environment)
        assert resumed.out == "wns      open       0 under way, 0 waiting\n"
        reset = await run(*PUSHDESK, "services", "reset", "wns", "--json", env=environment)
        assert (json.loads(reset.out)["service"], json.loads(reset.out)["state"]) == ("wns", "open")


async def test_without_a_server_a_service_is_paused_for_the_next_one(environment: dict[str, str]) -> None:
    assert (await run(*PUSHDESK, "services", "pause", "fcm", env=environment)).code == EXIT_DONE
    async with serving(env=environment):
        listed = await run(*PUSHDESK, "services", "list", "--json", env=environment)
        assert [(one["service"], one["state"]) for one in json.loads(listed.out)] == [("fcm", "paused")]


async def test_what_is_no_push_service_is_refused_in_one_line(environment: dict[str, str]) -> None:
    refused = await run(*PUSHDESK, "services", "pause", "google", env=environment)
    assert (refused.code, refused.out, refused.err.count("\n")) == (EXIT_USAGE, "", 1)
    assert "'google' is not one of 'fcm', 'mozilla', 'apple', 'wns', 'other'" in refused.err
