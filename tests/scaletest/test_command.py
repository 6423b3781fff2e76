"""`pushdesk scaletest`, run as it is."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from pushdesk.scaletest.machine import children_of
from tests.scaletest.running import LONG, SMALL, in_the_middle, is_alive, left_behind, scaletest

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"


async def test_a_small_run_arrives_whole_and_is_told_in_text_json_and_a_picture(tmp_path: Path) -> None:
    report, picture = tmp_path / "report.json", tmp_path / "report.svg"
    done = await scaletest(*SMALL, "--json", str(report), "--svg", str(picture), folder=tmp_path)
    assert (done.code, "24 of 24 turns arrived" in done.out) == (0, True), done
    assert "turns: 24 of 24" in done.err
    assert left_behind(tmp_path) == []

    told = json.loads(report.read_text())
    (run,) = told["runs"]
    assert told["complete"] is run["complete"] is True
    assert (run["arrived"], run["accepted"], run["missing"], run["duplicates"]) == (24, 24, 0, 0)
    assert run["sample"] == {"share": 1.0, "good": 24, "bad": 0}
    # Every seam is there, nothing was refused, and nothing came that should not have.
    assert (run["notes"], run["refused"], run["strange"]) == ([], {}, [])
    assert sum(run["cpu"]["parts_ms"].values()) == pytest.approx(run["cpu"]["total_ms"])
    assert {"requests", "accept", "outbox", "cache", "encrypt", "http", "settle", "other"} <= set(
        run["cpu"]["parts_ms"]
    )
    # These two are what is left of what the system tells, which it may tell in hundredths of a second.
    assert all(took > 0 for part, took in run["cpu"]["parts_ms"].items() if part not in {"other", "senders"})
    # The cache was cleared, so each user was read once more; far fewer statements than turns read them.
    assert run["cache"]["counts"]["stored"] == 8
    assert 1 <= run["cache"]["reads"] <= 8
    assert run["statements"]["insert dispatches"]["rows"] == 24
    assert run["statements"]["insert deliveries"]["rows"] == 24
    assert set(run["waits"]) == {"writer", "readers", "books"}
    assert run["waits"]["writer"]["count"] > 0
    assert run["memory"]["server"] > 20_000_000
    assert 0 < run["latency"]["p50_ms"] <= run["latency"]["p99_ms"] <= 1000 * run["wall_s"] * 1.02
    *whole, last = run["per_second"]
    in_all = sum(whole) * run["interval_s"] + last * run["last_interval_s"]
    # Rates are told to a tenth.
    assert in_all == pytest.approx(24, abs=0.05 * run["wall_s"] + 0.01)

    drawn = ET.fromstring(picture.read_text())  # noqa: S314 (our own)
    legend = [text.text or "" for text in drawn.iter(f"{SVG}text") if text.get("class") == "legend"]
    assert any("turns/s" in line and "p50" in line and "p99" in line for line in legend)
    assert {"accept", "encrypt", "settle"} <= set(legend)


async def test_the_baseline_runs_each_variant_and_tells_the_ratios(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ("scaletest", "--conversations", "4", "--turns", "2", "--connections", "4")
    done = await scaletest(*options, "--baseline", "--json", str(report), folder=tmp_path)
    assert done.code == 0, done
    full, without_cache, rereading = json.loads(report.read_text())["runs"]
    assert [full["variant"], without_cache["variant"], rereading["variant"]] == ["full", "without_cache", "rereading"]
    assert full["cache"]["counts"]["stored"] == 4
    assert full["cache"]["counts"]["hit"] >= 4
    assert "stored" not in without_cache["cache"]["counts"]
    assert without_cache["cache"]["counts"]["miss"] + without_cache["cache"]["counts"].get("joined", 0) >= 8
    again = [f"select scaletest_{table}" for table in ("conversations", "models", "providers")]
    # Once for each attempt, be it the second of one push.
    assert all(rereading["statements"][name]["count"] >= 8 for name in again)
    assert not set(again) & set(full["statements"])
    assert rereading["cpu"]["parts_ms"]["rereading"] > 0
    assert "cache off" in done.out
    assert "x)" in done.out
    assert left_behind(tmp_path) == []


async def test_of_a_baseline_that_fails_later_what_was_run_is_told_all_the_same(tmp_path: Path) -> None:
    report, places = tmp_path / "report.json", tmp_path / "places"
    options = (*SMALL, "--baseline", "--data-dir", str(places), "--json", str(report))
    async with in_the_middle(*options, folder=tmp_path) as running:
        (places / "without_cache").mkdir()
        (places / "without_cache" / "in the way").touch()
        assert await running.ended() == 1
    why = f"cache off: The data directory {places / 'without_cache'} is not empty."
    assert running.said[-1].startswith(f"pushdesk: {why}")
    told = json.loads(report.read_text())
    assert (told["complete"], [run["variant"] for run in told["runs"]]) == (False, ["full"])
    assert told["runs"][0]["complete"]
    assert told["failed"].startswith(why)


async def test_a_server_without_meters_tells_what_it_took_all_the_same(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = await scaletest(*SMALL, "--no-probes", "--json", str(report), folder=tmp_path)
    assert done.code == 0, done
    (run,) = json.loads(report.read_text())["runs"]
    assert run["complete"]
    assert run["cpu"]["total_ms"] > 0
    assert "other" in run["cpu"]["parts_ms"]
    # Of the sender processes, where there are some, it is known what the system tells.
    assert set(run["cpu"]["parts_ms"]) <= {"other", "senders"}
    assert (run["probes"], run["statements"], run["waits"]) == (False, {}, {})
    # What was not counted is not told as none.
    rows = dict(line.split(None, 1) for line in done.out.splitlines() if line.startswith("statements"))
    assert rows == {"statements": "not counted, without probes"}
    assert "% of the run" not in done.out
    assert "  other " not in done.out


async def test_the_data_directory_is_kept_where_it_is_named_and_has_to_be_empty(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    one = ("scaletest", "--conversations", "1", "--turns", "1", "--data-dir", str(kept))
    done = await scaletest(*one, folder=tmp_path)
    assert done.code == 0, done
    assert (kept / "pushdesk.db").is_file()
    assert str(kept) in done.out
    (tmp_path / "temporary").rmdir()
    again = await scaletest(*one, folder=tmp_path)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "not empty" in again.err


async def test_a_database_elsewhere_is_named_by_its_url(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.db"
    url = f"sqlite:///{file}"
    done = await scaletest("scaletest", "--conversations", "1", "--turns", "1", "--database-url", url, folder=tmp_path)
    assert done.code == 0, done
    assert file.stat().st_size > 0
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--conversations", "0"), "conversations"),
        (("--conversations", "100001"), "conversations"),
        (("--turns", "1001"), "turns"),
        (("--connections", "x"), "connections"),
        (("--json", "nowhere/report.json"), "--json: there is no folder nowhere"),
        (("--svg", "."), "--svg: . is a folder"),
        (("--json", ""), "--json: the name is empty"),
        # Its folder may be written in, it seems.
        (("--json", "/proc/report"), "--json: /proc/report cannot be written: "),
        (("--svg", "x" * 300), "cannot be written: File name too long"),
        (("--json", "same", "--svg", "same"), "name the same file"),
        (("--database-url", "nonsense"), "no database URL"),
        (("--database-url", "postgresql+psycopg://u:secret-word@h/db"), "SQLite only"),
        (("--database-url", "sqlite://"), "no file"),
    ],
)
async def test_what_cannot_be_done_is_said_before_anything_runs(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = await scaletest("scaletest", *options, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert "secret-word" not in done.err


@pytest.mark.parametrize(
    ("there", "options", "said"),
    [
        ("data/rereading/file", ("--data-dir", "data"), "data/rereading is not empty"),
        ("scale-rereading.db", ("--database-url", "sqlite:///scale.db"), "scale-rereading.db is there already"),
    ],
)
async def test_of_a_baseline_every_place_is_looked_at_before_anything_runs(
    there: str, options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).touch()
    small = ("scaletest", "--conversations", "1", "--turns", "1", "--baseline")
    done = await scaletest(*small, *options, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "subscribing" not in done.err
    assert said in done.err


async def test_a_port_in_use_is_told_in_the_servers_own_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await scaletest(*SMALL, "--port", port, folder=tmp_path)
    assert done.code == 2, done
    assert "The server did not start. It said last: " in done.err
    assert port in done.err
    assert left_behind(tmp_path) == []


async def test_a_report_that_cannot_be_written_is_shown_all_the_same(tmp_path: Path) -> None:
    options = ("scaletest", "--conversations", "1", "--turns", "1", "--json", "/dev/full")
    done = await scaletest(*options, folder=tmp_path)
    assert done.code == 1, done
    assert "1 of 1 turns arrived" in done.out
    assert "--json: /dev/full cannot be written" in done.err


async def test_a_server_that_dies_is_told_at_once(tmp_path: Path) -> None:
    async with in_the_middle(*LONG, folder=tmp_path) as running:
        os.kill(running.server, signal.SIGKILL)
        assert await running.ended() == 1
    assert "The server has ended by SIGKILL" in running.said[-1]
    assert "of 10000 turns" in running.said[-1]
    assert "subscription_made" not in running.said[-1]
    # Its warnings about a start without https, say, have nothing to do with it.
    assert "It said last" not in running.said[-1]
    assert left_behind(tmp_path) == []


async def test_a_sender_process_that_dies_is_replaced_and_told(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ("scaletest", "--conversations", "4", "--turns", "250", "--senders", "1", "--json", str(report))
    async with in_the_middle(*options, folder=tmp_path) as running:
        (sender,) = children_of(running.server)
        os.kill(sender, signal.SIGKILL)
        assert await running.ended() == 0
    (run,) = json.loads(report.read_text())["runs"]
    assert run["notes"] == ["sender processes that ended meanwhile, and were replaced: 1"]
    assert (run["arrived"], run["missing"]) == (1000, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interruption_ends_everything(number: signal.Signals, tmp_path: Path) -> None:
    async with in_the_middle(*LONG, folder=tmp_path) as running:
        running.process.send_signal(number)
        assert await running.ended() == 130
    assert "interrupted" in running.said[-1]
    assert not any(is_alive(pid) for pid in running.children)
    assert left_behind(tmp_path) == []


async def test_of_a_baseline_that_is_interrupted_later_what_was_run_is_told_all_the_same(tmp_path: Path) -> None:
    report, picture = tmp_path / "report.json", tmp_path / "report.svg"
    options = (*SMALL, "--baseline", "--json", str(report), "--svg", str(picture))
    async with in_the_middle(*options, folder=tmp_path, until="cache off: subscribing: ") as running:
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 130
    assert running.said[-1].startswith("pushdesk: cache off: interrupted")
    told = json.loads(report.read_text())
    assert (told["complete"], told["failed"]) == (False, "cache off: interrupted")
    assert [(run["variant"], run["complete"]) for run in told["runs"]] == [("full", True)]
    assert ET.fromstring(picture.read_text()).tag == f"{SVG}svg"  # noqa: S314 (our own)
    assert not any(is_alive(pid) for pid in running.children)
    assert left_behind(tmp_path) == []
