"""What is known of a broadcast and a device that it has no delivery for. Pure.

What a push service took of a broadcast at once has none: it is counted in a stretch of devices, and told as that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.engine import verdict_waiting_words as words
from pushdesk.engine.verdict_evidence import MAX_ABOUT, fit, in_order, of_sending, of_subscription
from pushdesk.engine.verdict_surroundings import InTheWay, in_the_way
from pushdesk.engine.verdict_surroundings import of_device as around_device
from pushdesk.engine.verdict_words import accepted
from pushdesk.model import Delivery, DispatchKind, DispatchState, Evidence, Measure, Outcome, Verdict, VerdictCode

if TYPE_CHECKING:
    from datetime import datetime

    from pushdesk.engine.verdict_surroundings import Surroundings
    from pushdesk.storage.explaining import Device
    from pushdesk.storage.explaining_broadcasts import Reach
    from pushdesk.storage.sendings import Sending


def untold(device: Device) -> Reach | None:
    """Return how the newest broadcast stands to a device, if it is what was sent last, and has no delivery for it."""
    reach, latest = device.reach, device.latest
    if reach is None:
        return None
    is_told = latest is not None and (
        latest.sending.dispatch.id == reach.sending.dispatch.id or latest.sending.due_at > reach.sending.due_at
    )
    return None if is_told else reach


def paused(sending: Sending, device: Device | None) -> InTheWay | None:
    """Return what keeps a delivery of a broadcast waiting that somebody has paused; None if that is something else."""
    reach = device.reach if device is not None else None
    if sending.dispatch.kind is not DispatchKind.BROADCAST or reach is None or reach.paused_at is None:
        return None
    if reach.sending.dispatch.id != sending.dispatch.id:
        return None
    return InTheWay(
        VerdictCode.WAITING, words.BROADCAST_PAUSED, reach.paused_at, None, (Measure.RESUME,), is_of_service=False
    )


def of_device(device: Device, reach: Reach, around: Surroundings) -> Verdict:
    """Tell of a device by a broadcast that has no delivery for it."""
    found, subscription = _without_delivery(device, reach, around), device.subscription
    evidence = of_sending(reach.sending, around.now) + _of_reach(reach, subscription.last_success_at)
    evidence += of_subscription(device)
    if reach.reached_at is None and not reach.is_settled:
        evidence += around_device(device, around)
    return Verdict(
        found.code,
        fit(device.label, MAX_ABOUT),
        *found.said,
        user=subscription.user,
        subscription=subscription.id,
        since=found.since,
        until=found.until if found.until is not None and found.until > around.now else None,
        evidence=in_order(evidence, around.now),
        measures=found.measures,
        service=subscription.service if found.is_of_service else None,
        dispatch=reach.sending.dispatch.id,
    )


def _without_delivery(device: Device, reach: Reach, around: Surroundings) -> InTheWay:
    if not reach.is_for:
        return InTheWay(VerdictCode.NOTHING_SENT, words.NOT_FOR_IT, device.subscription.created_at)
    if reach.is_settled:
        look = accepted(device.subscription.service, device.label)
        return InTheWay(VerdictCode.ACCEPTED, look._replace(says=words.TAKEN_IN_STRETCH), reach.sending.due_at)
    return _not_reached(reach) if reach.reached_at is not None else _not_reached_yet(device, reach, around)


def _not_reached_yet(device: Device, reach: Reach, around: Surroundings) -> InTheWay:
    """Tell of a broadcast that is still to get to a device."""
    due_at, dispatch, one = reach.sending.due_at, reach.sending.dispatch, device.subscription
    if reach.paused_at is not None:
        since = max(due_at, reach.paused_at)
        return InTheWay(
            VerdictCode.WAITING, words.BROADCAST_PAUSED, since, measures=(Measure.RESUME,), is_of_service=False
        )
    to_come = Delivery("", dispatch.id, one.user, one.id, one.service, Outcome.WAITING, around.now)
    lane = in_the_way(to_come, one.key_id, around)
    if lane is not None and lane.measures:
        return lane._replace(since=due_at if lane.since is None else max(due_at, lane.since))
    return InTheWay(VerdictCode.WAITING, words.NOT_REACHED_YET, due_at)


def _not_reached(reach: Reach) -> InTheWay:
    """Tell of a broadcast that got to nobody more, and did not get to a device."""
    if reach.sending.dispatch.state is DispatchState.CANCELLED:
        return InTheWay(VerdictCode.CANCELLED, words.NOT_REACHED_BY_ABORTED, reach.reached_at)
    if reach.is_cut_short:
        return InTheWay(VerdictCode.EXPIRED, words.NOT_REACHED_IN_TIME, reach.reached_at)
    return InTheWay(VerdictCode.NOTHING_SENT, words.PASSED_OVER, reach.sending.due_at)


def _of_reach(reach: Reach, since: datetime | None) -> list[Evidence]:
    """Return what is known of how far a broadcast is.

    Args:
        reach: How it stands to a device.
        since: When a push service took something for that device last.
    """
    found = []
    if reach.paused_at is not None:
        found.append(Evidence("The broadcast was paused.", reach.paused_at))
    if reach.reached_at is not None:
        ended = "Nobody more was got to" if reach.is_cut_short else "Everybody had been got to"
        found.append(Evidence(f"{ended}.", reach.reached_at))
    if reach.is_settled and since is not None and since < reach.sending.due_at:
        found.append(Evidence("A success since then would be noted at most once an hour.", None))
    return found
