"""What a scale test comes to: the shapes of its report and of what the server's probes tell."""

from __future__ import annotations

from msgspec import Struct

from pushdesk.scaletest.machine import Machine
from pushdesk.scaletest.plan import Variant

METERED, UNMETERED = "metered", "unmetered"
"""Whether a server's probes count all that they can, or only what costs next to nothing."""

BOOKS = "books"
"""The waits that are for no connection: transactions of the outbox that wait for each other before they ask for one."""

ASK, BEGIN = b"?", b"0"
"""What a server's probes are asked: what was counted since it started; the same, with the longest wait from now on."""


class Part(Struct, frozen=True):
    """What a part of the server has used of the processor."""

    cpu_s: float = 0.0
    switches: int = 0
    """How often the processor went over to it, each of which is measured and costs a little."""


class Statement(Struct, frozen=True):
    """What was asked of the database under one name."""

    count: int = 0
    """Statements: one that is executed for many rows is one."""
    rows: int = 0
    """Sets of parameters that they were executed with."""
    cpu_s: float = 0.0


class Waits(Struct, frozen=True):
    """Waiting for a connection to the database, all others being in use."""

    count: int = 0
    """How often somebody asked for a connection."""
    waited: int = 0
    """How often none was free."""
    total_s: float = 0.0
    """Their waiting, added up: two who wait a second each are two seconds."""
    anybody_s: float = 0.0
    """For how long at least one waited."""
    longest_s: float = 0.0


class Snapshot(Struct, frozen=True):
    """What the probes inside a server have counted since it started."""

    cpu_s: float = 0.0
    """Of the process, by all its threads."""
    parts: dict[str, Part] = {}
    statements: dict[str, Statement] = {}
    waits: dict[str, Waits] = {}
    """By kind of connection; `any` for all of them together, and `BOOKS` for what waits before it asks for one."""
    settled: int = 0
    """Deliveries that were written down as settled."""
    switch_s: float = 0.0
    """What measuring costs each time that the processor goes over to another part."""
    not_found: tuple[str, ...] = ()
    """Seams that this version of the server does not have."""


class Latencies(Struct, frozen=True):
    """Percentiles, in milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


class Cpu(Struct, frozen=True):
    """What a turn took of the processor, in milliseconds."""

    total_ms: float
    """The server's process and its children."""
    parts_ms: dict[str, float]
    """The same by part; they add up to it."""
    children_ms: float
    """Of that, the sender processes."""
    measuring_ms: float
    """Of that, what the probes themselves took."""
    driver_ms: float
    """Besides, what application and push service of the test took, on the same machine."""


class Memory(Struct, frozen=True):
    """Bytes."""

    server: int
    """Of the server's process, at the end."""
    server_most: int
    children: int
    """Of all its children, at the end."""
    processes: int
    """How many processes that is, with the server's."""


class CacheFigures(Struct, frozen=True):
    """What the subscription cache did while the turns ran."""

    reads: int
    """Statements that read subscriptions."""
    counts: dict[str, int]


class Sample(Struct, frozen=True):
    """What was decrypted."""

    share: float
    """Of the turns that arrived."""
    good: int
    """Title and text were those that were sent."""
    bad: int


class Missed(Struct, frozen=True):
    """A turn that did not arrive."""

    conversation: str
    turn: int
    was_accepted: bool


class Run(Struct, frozen=True):
    """One run with one variant."""

    variant: Variant
    complete: bool
    """Whether every turn was taken, arrived and was settled, and all that was decrypted was as sent."""
    conversations: int
    turns: int
    connections: int
    under_way: int
    senders: int | None
    """How many sender processes were asked for; None for as many as the server thinks right."""
    patience_s: float
    seed: int
    probes: bool
    """Whether the server told what its time went into; else nothing is known of parts, statements and waits."""
    wall_s: float
    """From the first request to the last arrival."""
    settle_s: float
    """From there until everything was settled."""
    register_s: float
    """For all subscriptions, before."""
    arrived: int
    accepted: int
    duplicates: int
    missing: int
    first_missing: tuple[Missed, ...]
    strange: tuple[str, ...]
    refused: dict[str, int]
    """Requests that the server refused, and pushes that the push service refused."""
    put_off: int
    """Turns that the server asked to be told of later."""
    reconnects: int
    turns_per_s: float
    per_second: tuple[float, ...]
    """Turns per second, for each interval of the run."""
    interval_s: float
    last_interval_s: float
    """Of the last one, which the end of the run may have cut short: of `per_second`, it tells of so long only."""
    latency: Latencies
    """From sending the request to the push at the push service."""
    answer: Latencies
    """From sending the request to its answer."""
    cpu: Cpu
    statements: dict[str, Statement]
    waits: dict[str, Waits]
    """For the `writer` and the `readers`; `books`: transactions of the outbox that wait for each other, before."""
    wait_share: float
    """The part of the run in which at least one waited for a connection."""
    cache: CacheFigures
    memory: Memory
    sample: Sample
    data_dir: str
    """Where the server worked, if it was kept."""
    notes: tuple[str, ...]
    """What could not be measured."""


class Report(Struct, frozen=True):
    """All runs of one command."""

    version: str
    started_at: str
    machine: Machine
    complete: bool
    """Whether all that was asked for was run, and each run is complete."""
    runs: tuple[Run, ...]
    load_after: float
    failed: str = ""
    """Why a variant has no run, and those after it have none."""
