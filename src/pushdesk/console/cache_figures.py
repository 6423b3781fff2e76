"""What is said of the subscription cache: how much of it is used, how often it had what was looked for, its guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from pushdesk.console.figures import count, moment, percent, size
from pushdesk.console.past import whole_hit_ratio
from pushdesk.console.status import QUIET, STRONG
from pushdesk.console.text import plain
from pushdesk.console.widgets.drawing import beside
from pushdesk.model import LOOK_UPS, CacheChange

if TYPE_CHECKING:
    from datetime import datetime

    from pushdesk.model import CacheStats, Discarded, History

COUNTED: Final = (
    (("hits", CacheChange.HIT), ("stored", CacheChange.STORED)),
    (("misses", CacheChange.MISS), ("evicted", CacheChange.EVICTED)),
    (("expired", CacheChange.EXPIRED), ("invalidated", CacheChange.INVALIDATED)),
    (("joined", CacheChange.JOINED), ("pruned", CacheChange.PRUNED)),
    (("outdated", CacheChange.OUTDATED), ("failed", CacheChange.FAILED)),
)
"""What is counted, in lines of two; what matters most comes first."""


def is_off(cache: CacheStats) -> bool:
    """Return whether the cache keeps nothing."""
    return cache.ttl_s <= 0


def held(cache: CacheStats) -> int:
    """Return of how many users something is held, though it be that they have no device."""
    return cache.entries + cache.negative


def hits(cache: CacheStats, history: History | None) -> str:
    """Return how many of the look-ups were served: of the history's, or all since the server started."""
    if is_off(cache):
        return "off"
    looked_up = sum(cache.counts.get(each, 0) for each in LOOK_UPS)
    since_start = cache.counts.get(CacheChange.HIT, 0) / looked_up if looked_up else None
    ratio = since_start if history is None else whole_hit_ratio(history)
    return "no look-ups" if ratio is None else f"{percent(ratio)} hits"


def kept_for(cache: CacheStats) -> str:
    """Return for how long what it holds is served."""
    if is_off(cache):
        return "off"
    return f"kept for {cache.ttl_s / 60:.0f} min" if cache.ttl_s % 60 == 0 else f"kept for {cache.ttl_s:.0f} s"


def use(cache: CacheStats) -> str:
    """Return how many bytes it takes, of how many it may."""
    taken, most = size(cache.size), size(cache.max_size)
    number, _, unit = taken.partition(" ")
    return f"{number} of {most}" if most.endswith(f" {unit}") else f"{taken} of {most}"


def discards(cache: CacheStats) -> Content:
    """Return how many reads the guard has discarded."""
    number = cache.counts.get(CacheChange.DISCARDED, 0)
    return Content.assemble(("discarded ", QUIET), (count(number), STRONG if number else ""))


def generations(discarded: Discarded) -> str:
    """Return which generation was read, and which was held instead: `generation 17 → 18`."""
    current = "none held" if discarded.current is None else count(discarded.current)
    return f"generation {count(discarded.read)} → {current}"


def last_discarded(cache: CacheStats, now: datetime, width: int) -> Content:
    """Return the last read that the guard discarded, in so many cells."""
    last = cache.last_discarded
    if last is None:
        return Content.styled("no stale read was discarded", QUIET)
    what = Content.assemble((plain(last.user), "bold"), f", {generations(last)}")
    words = Content.assemble(("last discarded ", QUIET), what)
    whole = Content.assemble(words, (f" at {moment(last.time, now)}", QUIET))
    return next((text for text in (whole, words) if text.cell_length <= width), what)


def guard_line(cache: CacheStats, now: datetime, *, is_lit: bool) -> list[Content]:
    """Return what the guard has done, in parts of which the first say most.

    Args:
        cache: The figures.
        now: The time.
        is_lit: Whether it has just done something.
    """
    number = cache.counts.get(CacheChange.DISCARDED, 0)
    last = cache.last_discarded
    if not number or last is None:
        return [Content.styled("✓ guard", QUIET), Content.styled("no stale read had to be discarded", QUIET)]
    when = "just now" if is_lit else moment(last.time, now)
    return [
        Content.assemble(("! guard ", STRONG), (f"{count(number)} discarded", f"bold {STRONG}")),
        Content.assemble(
            (f"{when} ", "bold" if is_lit else QUIET), (plain(last.user), "bold"), f", {generations(last)}"
        ),
        Content.styled("a read that was overtaken by a change is not kept", QUIET),
    ]


def in_figures(cache: CacheStats, width: int, height: int) -> Content:
    """Return what it holds and what happened since the server started, in so many columns and lines."""
    now = (("loading", cache.loading), ("users", held(cache)))
    lines = [beside([Content(use(cache)), *(_figure(name, number) for name, number in now)], width)]
    if height > len(COUNTED) + 1:
        lines.append(_bar(cache, width))
    names = [max(len(name) for name, _ in column) for column in zip(*COUNTED, strict=True)]
    numbers = [[cache.counts.get(change, 0) for _, change in column] for column in zip(*COUNTED, strict=True)]
    digits = [max(len(count(number)) for number in column) for column in numbers]
    for pair in COUNTED:
        figures = [
            _figure(name.ljust(room), cache.counts.get(change, 0), places)
            for (name, change), room, places in zip(pair, names, digits, strict=True)
        ]
        lines.append(beside(figures, width))
    return Content("\n").join(lines[:height])


def _figure(name: str, number: int, digits: int = 0) -> Content:
    return Content.assemble((f"{name} ", QUIET), count(number).rjust(digits))


def _bar(cache: CacheStats, width: int) -> Content:
    full = max(bool(cache.size), min(width, width * cache.size // cache.max_size)) if cache.max_size else 0
    return Content.assemble(("█" * full, STRONG), ("░" * (width - full), QUIET))
