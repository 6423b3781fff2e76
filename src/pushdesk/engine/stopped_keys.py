"""Keys with which a push service refuses everything as our mistake: not used there until a trial succeeds. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SUBSCRIPTIONS: Final = 3
"""So many different subscriptions, without a success between, and the key is stopped."""
TRIAL_S: Final = 600.0
"""After how long one is tried, and then another."""
REFUSED: Final = "What is signed with key"
"""How the reason begins, and that of a delivery that waits for a key."""


class Stop(NamedTuple):
    """A key that is stopped. Moments are the lane's."""

    key: str
    since: float
    reason: str
    until: float
    """From when on one may be tried."""


@dataclass(slots=True, eq=False)
class Refusals:
    """How a push service has been refusing one key."""

    subscriptions: set[str] = field(default_factory=set)
    """Whose pushes; no more than are needed to stop it."""
    since: float | None = None
    """When it was stopped; None while it is not."""
    reason: str = ""
    trial_at: float = 0.0
    is_tried: bool = False
    asked_at: float | None = None
    """When somebody was last asked for to be tried."""


class StoppedKeys:
    """The keys of one push service that are refused there. There are as few of them as there are keys."""

    def __init__(self) -> None:
        self._refused: dict[str, Refusals] = {}
        self.freed: set[str] = set()
        """Keys that are not stopped any longer, and what waits for them is still to be told."""

    def __iter__(self) -> Iterator[Stop]:
        """Yield those that are stopped, by key."""
        for key, refusals in sorted(self._refused.items()):
            if refusals.since is not None:
                yield Stop(key, refusals.since, refusals.reason, refusals.trial_at)

    def why(self, key: str, now: float) -> str | None:
        """Return why nothing may be sent with a key; None if something may, be it a trial."""
        refusals = self._stopped(key)
        if refusals is None or (not refusals.is_tried and now >= refusals.trial_at):
            return None
        return refusals.reason

    def start(self, key: str) -> Refusals | None:
        """Something starts with a key; returns what it is the trial of, if the key is stopped."""
        refusals = self._stopped(key)
        if refusals is not None:
            refusals.is_tried = True
        return refusals

    def refused(self, key: str, subscription: str, trial: Refusals | None, now: float, said: str) -> None:
        """A push with a key was refused as our mistake."""
        refusals = self._refused.setdefault(key, Refusals())
        if refusals.since is None:
            refusals.subscriptions.add(subscription)
            if len(refusals.subscriptions) < SUBSCRIPTIONS:
                return
            refusals.since = now
        elif refusals is not trial:
            # Started before it was stopped: it is known already.
            return
        refusals.reason = f"{REFUSED} {key} is refused as a mistake of this server's: {said}"
        self._try_later(refusals, now)

    def accepted(self, key: str) -> None:
        """A push with a key was accepted."""
        refusals = self._refused.pop(key, None)
        if refusals is not None and refusals.since is not None:
            self.freed.add(key)

    def undecided(self, key: str, trial: Refusals | None, now: float, *, asked: bool) -> None:
        """A push with a key came to something that says nothing of the key; `asked` is whether anybody was."""
        if trial is None or self._refused.get(key) is not trial:
            return
        if asked:
            self._try_later(trial, now)
        else:
            trial.is_tried, trial.asked_at = False, None

    def to_try(self, now: float) -> list[str]:
        """Return keys of which something should be tried now; each is asked for once in a while."""
        due = [
            key
            for key, refusals in self._refused.items()
            if refusals.since is not None and not refusals.is_tried and now >= _ask_at(refusals)
        ]
        for key in due:
            self._refused[key].asked_at = now
        return due

    @property
    def next_trial_at(self) -> float | None:
        """When something of a key should next be tried."""
        stopped = (item for item in self._refused.values() if item.since is not None and not item.is_tried)
        return min((_ask_at(item) for item in stopped), default=None)

    def reset(self) -> None:
        """Forget everything."""
        self.freed.update(stopped.key for stopped in self)
        self._refused.clear()

    def _stopped(self, key: str) -> Refusals | None:
        refusals = self._refused.get(key)
        return None if refusals is None or refusals.since is None else refusals

    def _try_later(self, refusals: Refusals, now: float) -> None:
        refusals.trial_at = now + TRIAL_S
        refusals.is_tried, refusals.asked_at = False, None


def _ask_at(refusals: Refusals) -> float:
    return refusals.trial_at if refusals.asked_at is None else max(refusals.trial_at, refusals.asked_at + TRIAL_S)
