"""What is said of the subscription cache: how much of it is used, how often it had what was looked for, its guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from pushdesk.console.figures import count, moment, percent, size
from pushdesk.console.past import whole_hit_ratio
from pushdesk.console.status import QUIET, STRONG
from pushdesk.console.text import plain
from pushdesk.model import CacheChange

if TYPE_CHECKING:
    from datetime import datetime

    from pushdesk.model import CacheStats, Discarded, History

LOOK_UPS: Final = (
    CacheChange.HIT,
    CacheChange.MISS,
    CacheChange.EXPIRED,
    CacheChange.OUTDATED,
    CacheChange.JOINED,
)
"""What looking a user up comes to."""


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
    current = "none held" if discarded.current is None else str(discarded.current)
    return f"generation {discarded.read} → {current}"


def last_discarded(cache: CacheStats, now: datetime, width: int) -> Content:
    """Return the last read that the guard discarded, in so many cells."""
    last = cache.last_discarded
    if last is None:
        return Content.styled("no stale read was discarded", QUIET)
    what = Content.assemble((plain(last.user), "bold"), f", {generations(last)}")
    words = Content.assemble(("last discarded ", QUIET), what)
    whole = Content.assemble(words, (f" at {moment(last.time, now)}", QUIET))
    return next((text for text in (whole, words) if text.cell_length <= width), what)
