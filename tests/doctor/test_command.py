"""`pushdesk doctor` as it is run: what it says, in how many columns, how it ends, and that it leaves no trace."""

from __future__ import annotations

import json
import signal
import socket
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.cli.doctor import WIDTH, report
from pushdesk.doctor.findings import Check, Level, broken, in_order, not_looked_at, ok, warning
from pushdesk.errors import EXIT_DONE, EXIT_NO, EXIT_USAGE
from tests.doctor.surroundings import listening, push_service, tree
from tests.programs import PUSHDESK, bare_environment, run, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.programs import Finished

SUBSCRIBER = {"PUSHDESK_PUSH_SUBSCRIBER": "mailto:ops@example.com"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path, PUSHDESK_PORT=str(free_port()), **SUBSCRIBER)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


async def doctor(environment: dict[str, str], *options: str) -> Finished:
    return await run(*PUSHDESK, "doctor", "--offline", *options, env=environment)


def said(finished: Finished) -> dict[str, dict[str, Any]]:
    """Return the findings of `--json` by check."""
    return {finding["check"]: finding for finding in json.loads(finished.out)["findings"]}


async def test_a_first_user_is_told_that_nothing_is_wrong_and_nothing_is_made(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    finished = await doctor(environment)
    assert finished.code == EXIT_DONE, finished.out
    assert finished.err == ""
    assert "is not there yet" in finished.out
    assert "0 broken, 0 warnings" in finished.out
    assert list(tmp_path.iterdir()) == []


async def test_every_line_fits_a_terminal_and_every_subject_stands_once(environment: dict[str, str]) -> None:
    finished = await doctor(environment | {"PUSHDESK_PUSH_SUBSCRIBER": "https://localhost"})
    lines = finished.out.splitlines()
    assert max(len(line) for line in lines if "/" not in line) <= WIDTH
    subjects = [line for line in lines if line and not line.startswith(" ") and "ok" not in line]
    assert len(subjects) == len(set(subjects))
    assert {line[2] for line in lines if line.startswith("  ") and line[2] != " "} == {"✓", "!", "-"}


async def test_json_says_the_same(environment: dict[str, str]) -> None:
    finished = await doctor(environment, "--json")
    assert finished.out.count("\n") == 1
    answer = json.loads(finished.out)
    assert answer["healthy"] is True
    for finding in answer["findings"]:
        assert set(finding) == {"check", "level", "what", "why", "advice"}
        assert Check(finding["check"])
        assert Level(finding["level"])


@pytest.mark.parametrize(
    ("subscriber", "options", "code"),
    [
        ("mailto:ops@example.com", (), EXIT_DONE),
        ("mailto:ops@localhost", (), EXIT_DONE),
        ("mailto:ops@localhost", ("--strict",), EXIT_NO),
        ("mailto:ops@example.com", ("--strict",), EXIT_DONE),
    ],
)
async def test_warnings_count_if_it_is_strict(
    environment: dict[str, str], subscriber: str, options: tuple[str, ...], code: int
) -> None:
    finished = await doctor(environment | {"PUSHDESK_PUSH_SUBSCRIBER": subscriber}, "--json", *options)
    assert finished.code == code
    assert json.loads(finished.out)["healthy"] is (code == EXIT_DONE)


async def test_what_is_broken_makes_it_end_with_1(tmp_path: Path, environment: dict[str, str]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    (data / "pushdesk.db").write_bytes(b"no database" * 1000)
    finished = await doctor(environment, "--json", "--data-dir", str(data))
    assert finished.code == EXIT_NO
    findings = said(finished)
    assert {findings[check]["level"] for check in (Check.MODES, Check.DATABASE)} == {"broken"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("[log]\nlevel = 'loud'\n", "line 2"),
        ("[server\n", "is not TOML"),
        ("[sever]\nport = 1\n", "line 1"),
    ],
)
async def test_a_configuration_that_cannot_be_read_is_a_finding_and_the_rest_is_looked_at(
    tmp_path: Path, environment: dict[str, str], content: str, what: str
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "pushdesk.toml").write_text(content, encoding="utf-8")
    finished = await doctor(environment, "--json", "--data-dir", str(data))
    assert finished.code == EXIT_USAGE
    findings = said(finished)
    assert findings[Check.CONFIGURATION]["level"] == "broken"
    assert what in findings[Check.CONFIGURATION]["what"]
    assert findings[Check.DATA_DIRECTORY]["level"] == "ok"
    assert findings[Check.SECURE_CONTEXT]["level"] == "not_looked_at"


async def test_the_data_directory_is_the_one_that_a_wrong_configuration_names(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    data, file = tmp_path / "data", tmp_path / "our.toml"
    data.mkdir()
    data.chmod(0o750)
    file.write_text(f'[server]\ndata_dir = "{data}"\nprot = 1\n', encoding="utf-8")
    finished = await doctor(environment, "--json", "--config", str(file))
    assert finished.code == EXIT_USAGE
    assert said(finished)[Check.CONFIGURATION]["what"].startswith(f"{file}, line 3")
    assert said(finished)[Check.MODES]["advice"] == f"chmod 700 {data}"


async def test_a_wrong_flag_is_a_finding_too_and_a_flag_that_is_none_is_usage(environment: dict[str, str]) -> None:
    finished = await doctor(environment, "--access-url", "localhost", "--json")
    assert finished.code == EXIT_USAGE
    assert "--access-url must be an origin" in said(finished)[Check.CONFIGURATION]["what"]
    finished = await doctor(environment, "--acces-url", "localhost")
    assert (finished.code, finished.out) == (EXIT_USAGE, "")


async def test_a_taken_port_is_broken(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finished = await doctor(environment, "--json", "--port", str(taken.getsockname()[1]))
    assert finished.code == EXIT_NO
    assert "taken by another program" in said(finished)[Check.LISTENING]["what"]


async def test_a_server_is_looked_at_while_it_runs_and_after_and_goes_on_as_it_was(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    data = tmp_path / ".local" / "share" / "pushdesk"
    async with serving("--port", "0", env=environment) as server:
        files = set(data.iterdir())
        finished = await doctor(environment, "--json")
        assert finished.code == EXIT_DONE, finished.out
        assert set(data.iterdir()) == files
        findings = said(finished)
        for check in (Check.SERVER, Check.VERSION, Check.READINESS, Check.WORKER, Check.SERVER_KEY, Check.VAPID_KEY):
            assert findings[check]["level"] == "ok", findings[check]
        assert findings[Check.SEALING]["level"] == "warning"
        assert str(server.pid) in findings[Check.SERVER]["what"]
        secrets = ((data / "admin.token").read_text(encoding="utf-8").strip(), "PRIVATE KEY")
        assert not any(secret in finished.out for secret in secrets)
        assert await server.end(signal.SIGTERM) == 0
    before = tree(data)
    finished = await doctor(environment, "--json")
    assert tree(data) == before
    assert finished.code == EXIT_DONE, finished.out
    assert said(finished)[Check.SERVER]["level"] == "not_looked_at"


async def test_what_a_killed_server_left_is_looked_at_and_left(tmp_path: Path, environment: dict[str, str]) -> None:
    data = tmp_path / ".local" / "share" / "pushdesk"
    async with serving("--port", "0", env=environment) as server:
        await server.end(signal.SIGKILL)
    before = tree(data)
    finished = await doctor(environment, "--json")
    assert tree(data) == before
    findings = said(finished)
    assert {findings[check]["level"] for check in (Check.DATABASE, Check.INTEGRITY, Check.VAPID_KEY)} == {"ok"}


async def test_a_sealed_database_is_looked_into_with_its_key_only(environment: dict[str, str]) -> None:
    key = {"PUSHDESK_SEAL_KEY": "A" * 43}
    async with serving("--port", "0", env=environment | key) as server:
        beside = said(await doctor(environment, "--json"))
        await server.end(signal.SIGTERM)
    with_it, without = [said(await doctor(environment | more, "--json")) for more in (key, {})]
    assert [findings[Check.SEALING]["level"] for findings in (with_it, without, beside)] == [
        "ok",
        "broken",
        "not_looked_at",
    ]
    assert [findings[Check.VAPID_KEY]["level"] for findings in (with_it, without, beside)] == [
        "ok",
        "not_looked_at",
        "not_looked_at",
    ]
    assert key["PUSHDESK_SEAL_KEY"] not in str((with_it, without, beside))


async def test_what_is_allowed_is_asked_from_the_command_line_too(environment: dict[str, str]) -> None:
    requests: list[str] = []
    async with listening(push_service(requests=requests)) as url:
        await run(*PUSHDESK, "doctor", "--allow-endpoint", url, "--json", env=environment)
        assert requests == ["GET /"]
        await doctor(environment, "--allow-endpoint", url)
    assert requests == ["GET /"]


def test_a_report_is_text_with_why_and_advice_below() -> None:
    lines = report(
        [
            ok(Check.DISK, "All is well.", why="Not shown.", advice="More is possible."),
            broken(Check.DATABASE, "It is \x1b[2Jbroken [/red].", why="Because.", advice="chmod 600 /a-b/c"),
            warning(Check.SCHEMA, "word " * 30, why="Why.", advice="Do."),
            not_looked_at(Check.QUEUE, "Not counted."),
        ]
    )
    assert lines == [
        "Data directory",
        "  ✓ All is well.",
        "    → More is possible.",
        "Database",
        "  ✗ It is \N{REPLACEMENT CHARACTER}[2Jbroken [/red].",
        "    Because.",
        "    → chmod 600 /a-b/c",
        "  ! word word word word word word word word word word word word word word word",
        "    word word word word word word word word word word word word word word word",
        "    Why.",
        "    → Do.",
        "  - Not counted.",
        "",
        "1 broken, 1 warning, 1 ok, 1 not looked at",
    ]


def test_findings_stand_in_the_order_of_the_checks() -> None:
    findings = [ok(Check.CLOCK, "b"), ok(Check.CONFIGURATION, "a"), ok(Check.CLOCK, "c")]
    assert [finding.what for finding in in_order(findings)] == ["a", "b", "c"]
    subjects = [check.subject for check in Check]
    # Each subject is one run.
    assert sum(first != second for first, second in pairwise(subjects)) + 1 == len(set(subjects))
