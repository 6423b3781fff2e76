"""Bugs for the explorer to find, each planted in the cache's source or in the database that the cache relies on."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final

from pushdesk.engine import shelf, subscriptions
from pushdesk.storage.records import Raised, Targets
from tests.schedules.database import ALICE, Database, Row
from tests.schedules.world import TTL_S, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.engine.subscriptions import SubscriptionCache


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug.

    Attributes:
        name: What it is called.
        planted: What is done differently.
        cache: Replacements in the source of the cache: a part of it that is there once, and what stands there instead.
        shelf: The same in the source of its shelves.
        database: What the cache relies on.
        ttl_s: The cache's setting.
    """

    name: str
    planted: str
    cache: tuple[tuple[str, str], ...] = ()
    shelf: tuple[tuple[str, str], ...] = ()
    database: type[Database] = Database
    ttl_s: float = TTL_S

    def plant(self) -> Callable[[], World]:
        """Return what makes a world with this bug in it.

        Raises:
            ValueError: The source has changed, and the mutant has to follow.
        """
        planted = self._changed(subscriptions, self.cache)
        if self.shelf:
            planted.Shelf = self._changed(shelf, self.shelf).Shelf  # type: ignore[attr-defined]  # a module made here
        cache: type[SubscriptionCache] = planted.SubscriptionCache
        return lambda: World(cache, self.database, self.ttl_s)

    def _changed(self, module: ModuleType, changes: tuple[tuple[str, str], ...]) -> ModuleType:
        source = inspect.getsource(module)
        for old, new in changes:
            if source.count(old) != 1:
                raise ValueError(
                    f"{module.__name__} has this {source.count(old)} times; bring {self.name!r} up to date:\n{old}"
                )
            source = source.replace(old, new)
        # Under its own name, by which the dataclasses look for their module.
        changed = ModuleType(module.__name__)
        exec(compile(source, f"<{self.name}>", "exec"), changed.__dict__)  # noqa: S102 (our own source)
        return changed


class GenerationAfterRows(Database):
    def returned(self, user: str, targets: Targets) -> Targets:
        return Targets(self.targets(user).generation, targets.targets)


class EvictedGenerations(Database):
    def __init__(self) -> None:
        super().__init__()
        self._generations = {ALICE: 1}
        self._forget_generation(ALICE)

    def floor(self, user: str) -> int:
        return self._generations.get(user, 1)

    def targets(self, user: str) -> Targets:
        return Targets(self.floor(user), self.now(user).devices)

    def next_generation(self, user: str, _moment: int) -> int:
        self._generations = {user: self.floor(user) + 1}
        return self.floor(user)

    def subscribe(self, user: str, moment: int) -> Raised | None:
        raised = super().subscribe(user, moment)
        self._forget_generation(user)
        return raised

    def disable(self, user: str, moment: int) -> Raised | None:
        raised = super().disable(user, moment)
        self._forget_generation(user)
        return raised

    def _forget_generation(self, user: str) -> None:
        row = self.now(user)
        self.rows[user][-1] = Row(row.moment, None, row.devices)


class SilentDisabling(Database):
    def disable(self, user: str, moment: int) -> Raised | None:
        row = self.now(user)
        self.rows[user].append(Row(moment, row.generation, row.devices[1:]))
        return None


_GUARD: Final = "if not has_lease or (held is not None and targets.generation < held.targets.generation):"
_JOIN: Final = "if load is None or self._monotonic() - load.started_at > JOIN_AGE_S:"
_FOLLOW_SLOW: Final = "if self._reader is None or self._monotonic() - self._reading_since > JOIN_AGE_S:"
_END: Final = """        if self._reader is asyncio.current_task():
            self._reader = None
"""
_FAIL: Final = """        if self._loads.get(load.user) is load:
            del self._loads[load.user]
        self._tell(CacheChange.FAILED, load.user)
"""
_INVALIDATE: Final = """bring them back; tells if any were held.\"\"\"
        self._loads.pop(user, None)
"""

MUTANTS: Final = (
    Mutant("no guard", "what was read is stored, whatever happened meanwhile", ((_GUARD, "if False:"),)),
    Mutant(
        "prune without invalidate",
        "what cannot be pruned is left as it is",
        (("!= before:\n            self._drop(user, CacheChange.INVALIDATED)\n", "!= before:\n"),),
    ),
    Mutant(
        "joiners not forgotten",
        "a read that must not be stored is still joined",
        (
            (
                "    result: asyncio.Future[",
                "    is_doomed: bool = field(default=False, init=False)\n    result: asyncio.Future[",
            ),
            ("from dataclasses import dataclass", "from dataclasses import dataclass, field"),
            (
                _INVALIDATE,
                _INVALIDATE.replace(
                    "self._loads.pop(user, None)",
                    "if user in self._loads:\n            self._loads[user].is_doomed = True",
                ),
            ),
            ("if not has_lease or", "if load.is_doomed or not has_lease or"),
        ),
    ),
    Mutant(
        "generation read after the rows",
        "the reader has two statements: the rows, then the generation",
        database=GenerationAfterRows,
    ),
    Mutant(
        "generation evicted and restarted",
        "generations are counted by user, in memory, with room for one user",
        database=EvictedGenerations,
    ),
    Mutant(
        "TTL from store",
        "entries expire a TTL after they were stored",
        (("load.started_at + self._lifetime_s(targets)", "self._monotonic() + self._lifetime_s(targets)"),),
    ),
    Mutant(
        "load owned by its caller",
        "who missed first takes the load away when cancelled",
        (
            (
                "            if load is None or self",
                "            is_mine = load is None\n            if load is None or self",
            ),
            (
                "            targets = await asyncio.shield(load.result)\n",
                """            try:
                targets = await asyncio.shield(load.result)
            except asyncio.CancelledError:
                if is_mine:
                    load.result.cancel()
                raise
""",
            ),
        ),
    ),
    Mutant(
        "floor not re-checked by joiners",
        "what is read is returned to all who waited for it",
        (("if targets.generation >= floor and age_s", "if age_s"),),
    ),
    Mutant(
        "negative entry outliving a subscribe",
        "only entries with devices are dropped",
        (("return any([self._held.remove(user), self._nobodies.remove(user)])", "return self._held.remove(user)"),),
    ),
    Mutant("errors cached", "a load that failed stays in the books", ((_FAIL, _FAIL.partition("load]\n")[2] or ""),)),
    Mutant(
        "prune keeping the old generation",
        "a pruned entry has the generation of before",
        (("Targets(after, left, held)", "Targets(before, left, held)"),),
    ),
    Mutant(
        "prune not dooming the load",
        "what is being read while something is pruned is stored",
        (("        self._loads.pop(user, None)\n        entry = ", "        entry = "),),
    ),
    Mutant(
        "prune applied across a gap of generations",
        "whatever is held is pruned",
        (("if entry is None or entry.targets.generation != before:", "if entry is None:"),),
    ),
)
"""Those of the design."""

MORE_MUTANTS: Final = (
    Mutant(
        "guard without the lease",
        "only the generation is compared",
        ((_GUARD, _GUARD.replace("not has_lease or ", "")),),
    ),
    Mutant(
        "waits not shielded",
        "who is cancelled cancels the load",
        (("await asyncio.shield(load.result)", "await load.result"),),
    ),
    Mutant("clear dooms no load", "what is being read is stored", (("        self._loads.clear()\n", ""),)),
    Mutant(
        "invalidate keeps the entry",
        "only the load is doomed",
        (("return self._drop(user, CacheChange.INVALIDATED)", "return False"),),
    ),
    Mutant(
        "unknown commit pruned",
        "a commit of which nobody knows how it ended is taken for one",
        (("if is_certain and change.removed", "if change.removed"),),
    ),
    Mutant(
        "gone devices raise no generation",
        "and nobody is told",
        database=SilentDisabling,
    ),
    Mutant(
        "entry not compared with the floor",
        "what is held is served to whoever asks",
        (("elif entry.targets.generation < floor:", "elif False:"),),
    ),
    Mutant(
        "expiry not checked", "what is held is served", (("if self._monotonic() >= entry.expires_at:", "if False:"),)
    ),
    Mutant(
        "age of a read not checked",
        "however long it took, it is returned",
        ((" and age_s <= self._ttl_s + JOIN_AGE_S", ""),),
    ),
    Mutant("one try", "who gets too little fails", (("TRIES: Final = 3", "TRIES: Final = 1"),)),
    Mutant(
        "nobodies held as long as others",
        "the TTL is the same",
        (("self._ttl_s if targets.targets else min(self._ttl_s, NEGATIVE_TTL_S)", "self._ttl_s"),),
    ),
    Mutant(
        "pruned entries start anew",
        "they expire a TTL after they were pruned",
        (("entry.started_at, entry.expires_at))", "entry.started_at, self._monotonic() + self._ttl_s))"),),
    ),
    Mutant(
        "pruned entries dropped",
        "and read again",
        (
            (
                "self._put(Entry(user, Targets(after, left, held), entry.started_at, entry.expires_at))",
                "self._drop(user, CacheChange.INVALIDATED)",
            ),
        ),
    ),
    Mutant(
        "a list returned",
        "what is left after a prune can be changed",
        (
            (
                "tuple(target for target in entry.targets.targets if target.subscription not in removed)",
                "[target for target in entry.targets.targets if target.subscription not in removed]",
            ),
        ),
    ),
    Mutant("one exception for all", "all who wait raise the same", (("raise copy(targets)", "raise targets"),)),
    Mutant("nothing stored", "what was read is returned only", (("elif self._ttl_s > 0:", "elif False:"),)),
    Mutant("stored when the cache is off", "also with a TTL of 0", (("elif self._ttl_s > 0:", "else:"),), ttl_s=0.0),
    Mutant(
        "outdated entry kept when waited for",
        "it stays until it is read again, as the least recently used one",
        (
            (
                """            held = self._peek(user)
            if held is not None and held.targets is targets:
                self._drop(user, CacheChange.INVALIDATED)
""",
                "",
            ),
        ),
    ),
    Mutant("misses not joined", "everybody has a load", ((_JOIN, "if True:"),)),
    Mutant("slow reads joined", "however long they take", ((_JOIN, "if load is None:"),)),
    Mutant(
        "slow reads waited for", "the queue waits for the read before it", ((_FOLLOW_SLOW, "if self._reader is None:"),)
    ),
    Mutant("a reader for each miss", "nothing is queued", ((_FOLLOW_SLOW, "if True:"),)),
    Mutant(
        "misses read one by one",
        "a statement reads one user",
        (("size = 1 if self._suspects else BATCH", "size = 1"),),
    ),
    Mutant(
        "start of a read not noted",
        "the queue waits from when the reader began, not from its present statement",
        (("_next_batch()\n            self._reading_since = self._monotonic()\n", "_next_batch()\n"),),
    ),
    Mutant(
        "replaced reader goes on",
        "two readers take from the queue",
        (("while self._queue and self._reader is asyncio.current_task():", "while self._queue:"),),
    ),
    Mutant(
        "replaced reader ends the other", "it takes itself for the only one", ((_END, "        self._reader = None\n"),)
    ),
    Mutant("reader never ends", "it is taken to be reading for ever", ((_END, ""),)),
    Mutant(
        "reader ends with an error",
        "what is queued is left",
        (
            (
                "                    self._fail(load, error)\n",
                "                    self._fail(load, error)\n                return\n",
            ),
        ),
    ),
    Mutant(
        "lease not given back",
        "what was read stays in the books",
        (("        if has_lease:\n            del self._loads[user]\n", ""),),
    ),
    Mutant(
        "lease of another given back",
        "a load that lost its lease takes its successor's away",
        (("        if has_lease:\n            del self._loads[user]\n", "        self._loads.pop(user, None)\n"),),
    ),
    Mutant(
        "lease of another given back after an error",
        "the same when the read failed",
        ((_FAIL, "        self._loads.pop(load.user, None)\n        self._tell(CacheChange.FAILED, load.user)\n"),),
    ),
    Mutant(
        "held on both shelves",
        "a user without devices is not taken from the others",
        (("        other.remove(entry.user)\n", ""),),
    ),
    Mutant(
        "size of what is replaced kept",
        "it is counted twice",
        shelf=((" - (0 if present is None else present.size)", ""),),
    ),
    Mutant(
        "size of what is removed kept",
        "it is counted on",
        shelf=(("        if entry is not None:\n            self.size -= entry.size\n", ""),),
    ),
    Mutant("size of what is evicted kept", "it is counted on", shelf=(("            self.size -= oldest.size\n", ""),)),
    Mutant(
        "size kept when all is cleared",
        "it is counted on",
        shelf=(("        self._entries.clear()\n        self.size = 0\n", "        self._entries.clear()\n"),),
    ),
    Mutant(
        "the newest evicted", "what was just put in gives way", shelf=(("popitem(last=False)", "popitem(last=True)"),)
    ),
)
"""Each of a line of the cache that none of those touches."""

SURVIVORS: Final = (
    Mutant(
        "guard without the generation",
        "The lease is enough: while it is held, nobody else stores. The comparison is a second lock on the door.",
        ((_GUARD, "if not has_lease:"),),
    ),
    Mutant(
        "outdated entry kept when looked up",
        "It is never served again, and what is read instead takes its place. It takes room until then.",
        (
            (
                "                return entry.targets\n            self._forget(user)\n",
                "                return entry.targets\n",
            ),
        ),
    ),
    Mutant(
        "start of a load not noted",
        "Its age counts from when it was queued, which is safe. `tests/engine/test_subscription_cache.py` sees it.",
        (("            for load in batch:\n                load.started_at = self._reading_since\n", ""),),
    ),
    Mutant(
        "start of a reader not noted",
        "Two users who are asked for at once start a reader each; the first of them finds that it is not needed.",
        ((f"{_FOLLOW_SLOW}\n            self._reading_since = self._monotonic()\n", f"{_FOLLOW_SLOW}\n"),),
    ),
    Mutant(
        "use does not count",
        "The order in which entries give way is not to be seen with two users. `tests/unit/test_shelf.py` sees it.",
        shelf=(("            self._entries.move_to_end(user)\n", "            pass\n"),),
    ),
)
"""Those that break nothing, and why: `planted` says it."""
