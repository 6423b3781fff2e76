"""A server that keeps little: it goes on, and says of what it no longer has that it may have been there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pushdesk.config import RetentionConfig
from tests.server.running import Surroundings, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.logs import Log

NOTIFICATIONS = "/api/v1/users/ada/notifications"


async def test_what_is_too_much_goes_while_the_server_goes_on(
    tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushdesk.engine.retention.EVERY_S", 0.01)
    around = Surroundings(retention=RetentionConfig(rows=2))
    async with running(tmp_path, surroundings=around) as server:
        await server.subscribe("ada", "one")
        accepted = []
        for number in range(6):
            headers = {"Idempotency-Key": "kept"} if number == 0 else {}
            answer = await server.admin("POST", f"{NOTIFICATIONS}?wait=10", {"title": str(number)}, headers=headers)
            assert answer.status == 200
            accepted.append(answer.json["dispatch"])
        async with asyncio.timeout(10):
            while len((await server.admin("GET", "/api/v1/admin/dispatches")).json["items"]) > 3:
                pass
        listed = (await server.admin("GET", "/api/v1/admin/dispatches")).json["items"]
        # The test of the subscription went too; what an idempotency key stands for did not.
        assert [item["title"] for item in listed] == ["5", "4", "0"]
        repeated = await server.admin("POST", NOTIFICATIONS, {"title": "0"}, headers={"Idempotency-Key": "kept"})
        assert (repeated.status, repeated.json["dispatch"]["id"]) == (200, accepted[0]["id"])
        (delivery,) = accepted[1]["deliveries"]
        for path in (f"/api/v1/dispatches/{accepted[1]['id']}", f"/api/v1/admin/deliveries/{delivery['id']}"):
            gone = await server.admin("GET", path)
            assert_problem(gone, 404, "not_found")
            assert gone.json["hint"].endswith("it may have been removed.")
        again = await server.admin("POST", "/api/v1/admin/deliveries/resend", {"delivery": delivery["id"]})
        assert_problem(again, 404, "not_found")
        stats = (await server.admin("GET", "/api/v1/admin/stats")).json
        assert (stats["queue"], stats["outcomes"]) == (0, {"accepted": 7})
        assert (await server.admin("GET", "/api/v1/admin/verdict?user=ada")).status == 200
    assert log.of("trimming_failed") == []
