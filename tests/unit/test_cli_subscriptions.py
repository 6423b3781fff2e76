"""`pushdesk subscriptions`, and what `pushdesk services` does about brakes: without a server."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_REFUSED, EXIT_USAGE
from pushdesk.storage.store import DATABASE_NAME
from tests.programs import PUSHDESK, bare_environment, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path, PUSHDESK_DATA_DIR=str(tmp_path))


@pytest.fixture
async def with_devices(environment: dict[str, str]) -> dict[str, str]:
    """Have a user with a device that is gone and two that are held."""
    made = await run(*PUSHDESK, "enroll", "ada", env=environment)
    assert made.code == EXIT_DONE, made.err
    with closing(sqlite3.connect(f"{environment['PUSHDESK_DATA_DIR']}/{DATABASE_NAME}")) as database, database:
        ((key,),) = database.execute("SELECT id FROM vapid_keys").fetchall()
        database.executemany(
            "INSERT INTO subscriptions (id, user, endpoint_digest, endpoint, p256dh, auth, token_digest, key_id, "
            "service, browser, platform, state, version, created_at, failures, disabled_at, held_as) VALUES "
            "(?, 'ada', ?, 'https://push.example', x'00', x'00', x'00', ?, 'fcm', 'Chrome', 'Linux', ?, 1, 0, 1, ?, ?)",
            [
                (id_, id_.encode(), key, state, disabled_at, held_as)
                for id_, state, disabled_at, held_as in (
                    ("one", "gone", 4_000_000_000_000, None),
                    ("two", "held", None, "gone"),
                    ("three", "held", None, "gone"),
                )
            ],
        )
        database.execute("INSERT INTO brakes VALUES ('fcm', 1, 'on', 0, 'So many.')")
    return environment


async def test_disabled_devices_are_listed_and_restored(with_devices: dict[str, str]) -> None:
    listed = await run(*PUSHDESK, "subscriptions", "list", "--state", "gone", env=with_devices)
    assert listed == (EXIT_DONE, "one  gone          fcm      ada  Chrome · Linux  never sent to\n", "")
    restored = await run(*PUSHDESK, "subscriptions", "restore", "one", "two", env=with_devices)
    first, second = restored.out.splitlines()
    assert (restored.code, first) == (EXIT_NO, "one  restored")
    assert second.startswith("two  held  The brake of its push service holds it")
    again = await run(*PUSHDESK, "subscriptions", "restore", "one", "--json", env=with_devices)
    assert again.code == EXIT_DONE
    assert [found["result"] for found in json.loads(again.out)] == ["already_active"]
    nobody = await run(*PUSHDESK, "subscriptions", "list", "--filter", "bob", env=with_devices)
    assert nobody == (EXIT_DONE, "", "pushdesk: there are no such devices.\n")


async def test_without_ids_nothing_is_restored(environment: dict[str, str]) -> None:
    refused = await run(*PUSHDESK, "subscriptions", "restore", env=environment)
    assert (refused.code, refused.out) == (EXIT_USAGE, "")


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        ("confirm", "fcm: 2 devices are disabled\n"),
        ("release", "fcm: 2 devices are sent to again; what they missed is not sent\n"),
    ],
)
async def test_a_brake_is_shown_and_decided(with_devices: dict[str, str], decision: str, says: str) -> None:
    listed = await run(*PUSHDESK, "services", "list", env=with_devices)
    assert "the brake is on since 1970-01-01 00:00 UTC, 2 devices held: So many." in listed.out
    refused = await run(*PUSHDESK, "services", decision, "fcm", env=with_devices)
    assert refused.code != EXIT_DONE
    assert "2 subscriptions of FCM" in refused.err
    assert "--yes" in refused.err
    decided = await run(*PUSHDESK, "services", decision, "fcm", "--yes", env=with_devices)
    assert decided == (EXIT_DONE, says, "")
    nothing = await run(*PUSHDESK, "services", decision, "fcm", "--yes", env=with_devices)
    assert nothing.code in {EXIT_USAGE, EXIT_REFUSED}
    assert "Nothing is held of FCM." in nothing.err
