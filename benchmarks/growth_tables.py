"""What was measured with more and more devices, as tables."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks.processes import load_average, percentile
from tests.figures import table

if TYPE_CHECKING:
    from benchmarks.growth import Dispatches, Grown


def report(found: list[Grown], small: int) -> str:
    """Return the tables.

    Args:
        found: What was measured, in the order of the lines.
        small: Devices of the database that all are compared with.
    """
    parts = (_starts(found), _dispatches(found, small), _broadcasts(found), _sends(found))
    return "\n\n".join((*parts, f"Load average after: {load_average():.2f}."))


def _starts(found: list[Grown]) -> str:
    rows: list[tuple[object, ...]] = [
        (
            each.stock.devices,
            round(each.file_mb),
            f"{each.start_s:.2f}",
            f"{each.small_start_s:.2f}",
            f"{each.start_s / each.small_start_s:.2f}",
            str(each.idle),
        )
        for each in found
    ]
    header = ("devices", "database, MB", "start, s", "small one's, s", "ratio", "idle, MB")
    return (
        "Start of a server until `/readyz` says that it is ready, beside that on the small database (medians), and the "
        f"memory of each of its processes when it is idle:\n\n{table(header, rows)}"
    )


def _dispatches(found: list[Grown], small: int) -> str:
    rows: list[tuple[object, ...]] = [
        (
            each.stock.devices,
            name,
            _told(this),
            _told(beside),
            f"{median(this.took_ms) / median(beside.took_ms):.2f}",
            f"{this.cpu_ms:.2f}",
            f"{beside.cpu_ms:.2f}",
            f"{this.cpu_ms / beside.cpu_ms:.2f}",
        )
        for each in found
        for name, (this, beside) in each.dispatches.items()
    ]
    header = ("devices", "", "ms", "small one's", "ratio of the medians", "CPU, ms", "small one's", "ratio")
    return (
        f"A dispatch, median / 95th percentile of {len(found[0].dispatches['cold'][0].took_ms)}, in turns with as many "
        f"on the small database, of {small} devices; and the CPU of the server with its children for each:\n\n"
        f"{table(header, rows)}"
    )


def _told(dispatches: Dispatches) -> str:
    return f"{median(dispatches.took_ms):.1f} / {percentile(dispatches.took_ms, 95):.1f}"


def _broadcasts(found: list[Grown]) -> str:
    rows: list[tuple[object, ...]] = [
        (
            told.devices,
            f"{told.seconds:.1f}",
            round(told.devices / told.seconds),
            f"{1000 * told.cpu_s / told.devices:.3f}",
            f"{told.more_mb:.1f}",
            round(1e6 * told.more_mb / told.devices),
        )
        for told in (each.broadcast for each in found)
        if told is not None
    ]
    header = ("devices", "s", "devices per second", "CPU each, ms", "MB more", "bytes each")
    left_out = [f"{each.stock.devices:,}".replace(",", " ") for each in found if each.broadcast is None]
    return (
        "A broadcast to all devices: the CPU of the server with its children by the number of devices, and how much "
        f"more memory they had meanwhile, at most:\n\n{table(header, rows)}"
        + (f"\n\nLeft out, as it takes too long: {', '.join(left_out)} devices." if left_out else "")
    )


def _sends(found: list[Grown]) -> str:
    rows: list[tuple[object, ...]] = [
        (each.stock.devices, round(each.sent.per_s), f"{each.sent.cpu_ms:.3f}", each.sent.lost) for each in found
    ]
    header = ("devices", "pushes per second", "CPU each, ms", "lost")
    return (
        "Notifications as fast as they are accepted, one user after the other, until all pushes have arrived:\n\n"
        f"{table(header, rows)}"
    )
