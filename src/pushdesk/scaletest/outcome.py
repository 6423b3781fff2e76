"""What a run came to, worked out of what was counted before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.scaletest.ledger import TICK_S
from pushdesk.scaletest.measures import (
    CacheFigures,
    Cpu,
    Latencies,
    Memory,
    Missed,
    Part,
    Run,
    Sample,
    Snapshot,
    Statement,
    Waits,
)
from pushdesk.scaletest.metering import OTHER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pushdesk.scaletest.histogram import Histogram
    from pushdesk.scaletest.ledger import Ledger
    from pushdesk.scaletest.plan import Plan
    from pushdesk.scaletest.run import Moment

MOST_INTERVALS: Final = 60
"""In which the turns per second are told."""
FIRST_MISSING: Final = 1000
FIRST_UNTAKEN: Final = 20
SENDERS: Final = "senders"
"""What else sender processes do than to encrypt and to post: to read what they are given, and to tell of it."""
MEASURING: Final = "measuring"
"""The part of the probes themselves."""


def make_run(
    plan: Plan,
    ledger: Ledger,
    before: Moment,
    after: Moment,
    *,
    folder: Path,
    registered_s: float,
    tests_settled: bool,
    settle_s: float | None,
    refused: Mapping[str, int],
    put_off: int,
    reconnects: int,
    decrypted: tuple[int, int],
    exit_code: int | None,
) -> Run:
    """Return what a run came to.

    Args:
        plan: What was to be done.
        ledger: What arrived.
        before: What was used before the first turn.
        after: The same after the last was settled.
        folder: The server's data directory.
        registered_s: How long subscribing took.
        tests_settled: Whether the test pushes of new devices were settled before the first turn.
        settle_s: How long settling took after the last arrival; None if it has not ended.
        refused: What was refused, by reason.
        put_off: How many turns the server wanted to be told of later.
        reconnects: How many connections to it were lost with a request under way.
        decrypted: Of how many pushes the content was what was sent, and of how many it was not.
        exit_code: The server's; None if it has not ended when it was asked to.
    """
    is_settled = tests_settled and settle_s is not None
    wall_s = max(ledger.last_at - (ledger.began_at or 0.0), 1e-9) if ledger.arrived else 0.0
    missing = ledger.missing()
    good, bad = decrypted
    notes = [
        f"not found in this version of the server, and so counted as {OTHER}: {name}"
        for name in after.snapshot.not_found
    ]
    notes += [
        f"a turn of {conversation} arrived that the server did not say that it took"
        for conversation in ledger.untaken()[:FIRST_UNTAKEN]
    ]
    if replaced := after.stats.senders.restarts - before.stats.senders.restarts:
        notes.append(f"sender processes that ended meanwhile, and were replaced: {replaced}")
    if not tests_settled:
        notes.append("test pushes of new devices were not settled before the turns, and may be counted with them")
    if settle_s is None:
        notes.append("the server has not settled everything that arrived")
    if exit_code is None:
        notes.append("the server has not ended when it was asked to")
    elif exit_code:
        notes.append(f"the server has ended with exit code {exit_code} when it was asked to")
    interval_s, last_interval_s, per_second = intervals(ledger.ticks, wall_s)
    waits = {kind: _waited(before.snapshot, after.snapshot, kind) for kind in after.snapshot.waits}
    share = waits["any"].anybody_s / (after.at - before.at) if "any" in waits else 0.0
    return Run(
        variant=plan.variant,
        complete=ledger.is_complete and is_settled and not bad and not ledger.strange and exit_code == 0,
        conversations=plan.conversations,
        turns=plan.turns,
        connections=plan.connections,
        under_way=plan.under_way,
        senders=plan.senders,
        patience_s=plan.patience_s,
        seed=plan.seed,
        probes=plan.probes,
        wall_s=wall_s,
        settle_s=settle_s or 0.0,
        register_s=registered_s,
        arrived=ledger.arrived,
        accepted=ledger.accepted,
        duplicates=ledger.duplicates,
        missing=ledger.total - ledger.arrived,
        first_missing=tuple(Missed(*one) for one in missing[:FIRST_MISSING]),
        strange=tuple(ledger.strange),
        refused=dict(refused),
        put_off=put_off,
        reconnects=reconnects,
        turns_per_s=ledger.arrived / wall_s if wall_s else 0.0,
        per_second=per_second,
        interval_s=interval_s,
        last_interval_s=last_interval_s,
        latency=_latencies(ledger.to_arrive),
        answer=_latencies(ledger.to_accept),
        cpu=cpu_of(before, after, ledger.arrived),
        statements=_statements(before.snapshot, after.snapshot),
        waits={kind: figures for kind, figures in waits.items() if kind != "any"},
        wait_share=share,
        cache=CacheFigures(
            after.stats.cache.reads - before.stats.cache.reads,
            {
                what: count - before.stats.cache.counts.get(what, 0)
                for what, count in after.stats.cache.counts.items()
                if count != before.stats.cache.counts.get(what, 0)
            },
        ),
        memory=_memory(after),
        sample=Sample((good + bad) / ledger.arrived if ledger.arrived else 0.0, good, bad),
        data_dir=str(folder) if plan.keeps_data else "",
        notes=tuple(notes),
    )


def intervals(ticks: list[int], wall_s: float) -> tuple[float, float, tuple[float, ...]]:
    """Return how long intervals of the run are, of which there are at most `MOST_INTERVALS`, and what was in them.

    Returns:
        How long each is, in seconds; how long the last one is, which the end of the run may have cut short; and for
        each the turns per second of the time that it had, so that rates and lengths come to all turns.
    """
    if not ticks:
        return TICK_S, 0.0, ()
    width = -(-len(ticks) // MOST_INTERVALS)
    interval_s = width * TICK_S
    counts = [sum(ticks[first : first + width]) for first in range(0, len(ticks), width)]
    # Not nothing, should it end where the run does.
    last_s = min(interval_s, max(wall_s - (len(counts) - 1) * interval_s, 1e-3))
    whole = [count / interval_s for count in counts[:-1]]
    return interval_s, last_s, tuple(round(rate, 1) for rate in (*whole, counts[-1] / last_s))


def cpu_of(before: Moment, after: Moment, turns: int) -> Cpu:
    """Return what each of so many turns took of the processor between two moments."""
    server, *children = after.processes
    own_s = after.snapshot.cpu_s - before.snapshot.cpu_s
    # Those that have ended meanwhile are counted where they were waited for, with all that they ever used.
    earlier = sum(usage.cpu_s for pid, usage in before.processes.items() if pid != server)
    reaped_s = after.processes[server].reaped_s - before.processes[server].reaped_s
    children_s = sum(after.processes[pid].cpu_s for pid in children) - earlier + reaped_s
    switch_s = after.snapshot.switch_s
    parts, measuring_s = _parts(before.snapshot.parts, after.snapshot.parts, switch_s)
    # With threads of which nothing is known, such as the interpreter's own.
    parts[OTHER] = own_s - measuring_s - sum(took_s for part, took_s in parts.items() if part != OTHER)
    known_s = 0.0
    for pid in children:
        sent, cost_s = _parts(before.senders.get(pid, {}), after.senders.get(pid, {}), switch_s)
        measuring_s += cost_s
        known_s += cost_s
        for part, took_s in sent.items():
            if part != OTHER:
                parts[part] = parts.get(part, 0.0) + took_s
                known_s += took_s
    if children or children_s:
        parts[SENDERS] = children_s - known_s
    if measuring_s:
        parts[MEASURING] = measuring_s
    per_turn_ms = 1000 / max(turns, 1)
    return Cpu(
        total_ms=(own_s + children_s) * per_turn_ms,
        parts_ms={name: took_s * per_turn_ms for name, took_s in parts.items()},
        children_ms=children_s * per_turn_ms,
        measuring_ms=measuring_s * per_turn_ms,
        driver_ms=(after.driver_cpu_s - before.driver_cpu_s) * per_turn_ms,
    )


def _parts(before: Mapping[str, Part], after: Mapping[str, Part], switch_s: float) -> tuple[dict[str, float], float]:
    """Return what each part has used of the processor, in seconds, and what measuring that has cost."""
    nothing = Part()
    parts: dict[str, float] = {}
    measuring_s = 0.0
    for name, now in after.items():
        then = before.get(name, nothing)
        took_s = now.cpu_s - then.cpu_s
        # What entering and leaving a part costs falls into it, and into the one around it.
        cost_s = min((now.switches - then.switches) * switch_s, took_s)
        measuring_s += cost_s
        parts[name] = took_s - cost_s
    return parts, measuring_s


def _statements(before: Snapshot, after: Snapshot) -> dict[str, Statement]:
    nothing = Statement()
    found = {}
    for name, now in after.statements.items():
        then = before.statements.get(name, nothing)
        if now.count > then.count:
            found[name] = Statement(now.count - then.count, now.rows - then.rows, now.cpu_s - then.cpu_s)
    return dict(sorted(found.items(), key=lambda item: -item[1].count))


def _waited(before: Snapshot, after: Snapshot, kind: str) -> Waits:
    then, now = before.waits.get(kind, Waits()), after.waits[kind]
    return Waits(
        now.count - then.count,
        now.waited - then.waited,
        now.total_s - then.total_s,
        now.anybody_s - then.anybody_s,
        now.longest_s,
    )


def _memory(after: Moment) -> Memory:
    own, *children = after.processes.values()
    return Memory(own.resident, own.most_resident, sum(child.resident for child in children), len(after.processes))


def _latencies(times: Histogram) -> Latencies:
    return Latencies(*(round(1000 * times.percentile(percent), 2) for percent in (50, 95, 99)))
