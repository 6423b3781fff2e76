"""What is said when the database fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.database_changes import change_database
from tests.server.running import running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.logs import Log


async def drop(data_dir: Path, table: str) -> None:
    await change_database(data_dir / "pushdesk.db", f"DROP TABLE {table}")


async def test_a_failing_database_is_told_without_secrets(tmp_path: Path, log: Log) -> None:
    async with running(tmp_path) as server:
        body = server.subscription("canary-endpoint")
        path = "/api/v1/users/anna/webpush/subscription"
        assert (await server.ask("POST", path, body)).status == 201
        await drop(tmp_path, "subscriptions")
        for method, content in (("DELETE", {"endpoint": body["endpoint"]}), ("POST", body)):
            answer = await server.ask(method, path, content)
            assert_problem(answer, 500, "database_error")
            assert int(answer.headers["Retry-After"]) > 0
            assert b"canary" not in answer.content
        answer = await server.admin("GET", "/api/v1/admin/subscriptions")
        assert_problem(answer, 500, "database_error")
        failures = log.of("request_failed")
        assert [line["method"] for line in failures] == ["DELETE", "POST", "GET"]
        for line in failures:
            assert (line["level"], line["code"]) == ("error", "database_error")
            assert "no such table" in line["reason"]
            assert re.search(r"database\.py:\d+ (read|write|snapshot)", line["where"])
        assert "canary" not in log.text
        assert body["keys"]["auth"] not in log.text


async def test_readiness_names_a_failing_database(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await drop(tmp_path, "server_state")
        answer = await server.ask("GET", "/readyz")
        assert answer.status == 503
        assert answer.json["status"] == "not_ready"
        assert set(answer.json["problems"]) == {"database"}
        assert (await server.ask("GET", "/healthz")).status == 200
