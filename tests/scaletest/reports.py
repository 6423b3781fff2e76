"""Reports, as they are made of runs."""

from __future__ import annotations

from pushdesk.scaletest.machine import Machine
from pushdesk.scaletest.measures import CacheFigures, Cpu, Latencies, Memory, Report, Run, Sample, Statement, Waits
from pushdesk.scaletest.plan import Variant

MACHINE = Machine(cores=2, load=0.5, python="3.11.7", system="Linux x86_64", processor="A <fast> one & more")


def run_of(*, wall_s: float = 30.0, per_second: tuple[float, ...] = (900.0, 1000.0), interval_s: float = 15.0) -> Run:
    latencies = Latencies(5.0, 20.0, 40.0)
    return Run(
        variant=Variant.FULL,
        complete=True,
        conversations=10,
        turns=3,
        connections=4,
        under_way=100,
        senders=None,
        patience_s=30.0,
        seed=0,
        probes=True,
        wall_s=wall_s,
        settle_s=0.1,
        register_s=1.0,
        arrived=30,
        accepted=30,
        duplicates=0,
        missing=0,
        first_missing=(),
        strange=(),
        refused={},
        put_off=0,
        reconnects=0,
        turns_per_s=950.0,
        per_second=per_second,
        interval_s=interval_s,
        last_interval_s=max(0.0, wall_s - max(0, len(per_second) - 1) * interval_s),
        latency=latencies,
        answer=latencies,
        cpu=Cpu(0.6, {"accept": 0.2, "encrypt": 0.3, "a new part": 0.1}, 0.0, 0.0, 0.2),
        statements={"insert dispatches": Statement(3, 30, 0.1)},
        waits={"writer": Waits(10, 1, 0.2, 0.2, 0.2)},
        wait_share=0.01,
        cache=CacheFigures(2, {"hit": 28}),
        memory=Memory(100_000_000, 110_000_000, 0, 1),
        sample=Sample(1.0, 30, 0),
        data_dir="",
        notes=(),
    )


def report_of(*runs: Run) -> Report:
    return Report("1.0", "2026-01-02T03:04:05+00:00", MACHINE, all(run.complete for run in runs), runs, 1.5)
