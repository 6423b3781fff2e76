"""The commands of `pushdesk` for what an operator can do about a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.model import Measure

if TYPE_CHECKING:
    from pushdesk.model import Verdict

_OF_SERVICES: Final = frozenset({Measure.RESUME, Measure.RESET, Measure.RELEASE, Measure.CONFIRM})


def commands(verdict: Verdict) -> list[str]:
    """Return a command for each measure of a verdict that says what it is about; not fit to be shown as they are."""
    return [command for measure in verdict.measures if (command := _command(verdict, measure))]


def _command(verdict: Verdict, measure: Measure) -> str:
    if measure is Measure.RESUME and verdict.service is None:
        return f"pushdesk broadcasts resume {verdict.dispatch}" if verdict.dispatch else ""
    if measure in _OF_SERVICES:
        return f"pushdesk services {measure} {verdict.service}" if verdict.service is not None else ""
    if measure is Measure.RESTORE:
        return f"pushdesk subscriptions restore {verdict.subscription}" if verdict.subscription else ""
    return f"pushdesk cancel {verdict.dispatch}" if verdict.dispatch else ""
