"""The report of a scale test as text fits a terminal of 80 columns, and compares what is alike."""

from __future__ import annotations

import re

from msgspec import structs

from pushdesk.scaletest.machine import Machine
from pushdesk.scaletest.measures import CacheFigures, Cpu, Latencies, Report, Run, Statement, Waits
from pushdesk.scaletest.plan import Variant
from pushdesk.scaletest.report import report_lines
from tests.programs import CHECKOUT
from tests.scaletest.reports import report_of, run_of

COLUMNS = 80
SLOW = Latencies(14437.1, 25419.5, 25812.4)
LARGE = structs.replace(
    run_of(wall_s=2221.08),
    latency=SLOW,
    answer=SLOW,
    conversations=100_000,
    turns=100,
    arrived=10_000_000,
    cpu=Cpu(4.843, {"rereading": 4.149, "other": 0.694}, 0.0, 0.0, 0.34),
    statements={"select scaletest_conversations": Statement(10_000_000, 10_000_000, 9.0)},
    waits={"readers": Waits(1_150_649, 1_150_634, 55867.67, 99.0, 0.86), "books": Waits(7018, 972, 17.17, 9.0, 0.1)},
    wait_share=0.9978,
    cache=CacheFigures(133, {"miss": 5000, "stored": 10000, "hit": 40000, "expired": 5000}),
)


def compared(*runs: Run) -> dict[str, list[str]]:
    """Return the rows of the table that compares runs: what stands in each column."""
    lines = list(report_lines(report_of(*runs)))
    table = lines[max(number for number, line in enumerate(lines) if not line) + 1 :]
    return {line[:21].strip(): [cell.strip() for cell in line[21:].split("  ") if cell] for line in table}


def test_all_of_it_fits_a_terminal() -> None:
    runs = [structs.replace(LARGE, variant=variant) for variant in Variant]
    runs[0] = structs.replace(runs[0], wall_s=1.0, wait_share=0.0016, waits={"writer": Waits(9, 1, 0.05, 0.05, 0.05)})
    report = structs.replace(
        report_of(*runs),
        machine=Machine(64, 12.5, "3.11.7", "Linux x86_64", "Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz"),
    )
    assert [line for line in report_lines(report) if len(line) > COLUMNS] == []


def test_what_waits_before_it_asks_for_a_connection_is_not_compared_with_what_waits_for_one() -> None:
    books = Waits(100, 50, 49.8, 9.0, 0.1)
    first = structs.replace(run_of(), waits={"writer": Waits(10, 1, 0.1, 0.1, 0.1), "books": books})
    second = structs.replace(run_of(), waits={"writer": Waits(10, 3, 0.2, 0.1, 0.1), "readers": Waits(9, 5, 1.0)})
    assert compared(first, second)["waits added up, s"] == ["0.10", "1.20 (12.00x)"]


def test_by_nothing_there_is_no_ratio() -> None:
    first = structs.replace(run_of(), waits={"books": Waits(100, 50, 49.8, 9.0, 0.1)}, wait_share=0.0)
    rows = compared(first, run_of())
    assert rows["waits added up, s"] == ["0.00", "0.20"]
    assert rows["waits, % of the run"] == ["0.00", "1.00"]


def test_without_probes_nothing_is_told_of_parts_but_what_sender_processes_took() -> None:
    cpu = Cpu(1.2, {"other": 0.9, "senders": 0.3}, 0.3, 0.0, 0.2)
    lines = list(report_lines(report_of(structs.replace(run_of(), probes=False, cpu=cpu))))
    assert [line.split()[0] for line in lines if line.endswith(" %")] == ["senders"]


def test_the_document_has_every_key_of_the_report_for_programs() -> None:
    written = (CHECKOUT / "docs" / "performance.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`.+?) \|", written.partition("\n| key | unit | meaning |")[2], re.MULTILINE)
    told = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert {*Report.__struct_fields__, *Run.__struct_fields__} - told == set()
