"""Every device has its own outcome, whatever becomes of the others: it is sent to, counted and cleaned up."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.push_service import Device
from tests.reference.bench import Bench, bench

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Fate(NamedTuple):
    """What happens to a push, and what is made of it."""

    name: str
    status: int | None
    outcome: str
    state: str
    is_pushed: bool = True


ACCEPTED = Fate("accepted", 201, "accepted", "active")
GONE = Fate("gone", 410, "gone", "gone")
NOT_FOUND = Fate("not-found", 404, "gone", "gone")
REFUSED = Fate("refused", 400, "refused", "active")
FAILING = Fate("failing", 500, "transient", "active")
RESET = Fate("reset", None, "transient", "active")
REMOVED = Fate("removed", None, "gone", "gone", is_pushed=False)
SILENT = Fate("silent", None, "transient", "active")
FATES = (ACCEPTED, GONE, NOT_FOUND, REFUSED, FAILING, RESET, REMOVED)


async def meets(desk: Bench, user: str, fates: Sequence[Fate]) -> None:
    """Make a user with a device for each of these fates."""
    service = desk.server.push_service
    keys = Device("")
    for number, fate in enumerate(fates):
        name = f"{user}-{number}"
        endpoint = service.endpoint(name)
        if fate.status is not None:
            service.answer(name, fate.status, body="as it was told to")
        elif fate is RESET:
            service.broken.add(f"/{name}")
        elif fate is SILENT:
            service.silent.add(f"/{name}")
        elif fate is REMOVED:
            endpoint = f"https://permanently-removed.invalid/fcm/send/{name}"
        await desk.store_unchecked(user, name, keys, endpoint)


async def check(desk: Bench, dispatch: str, user: str, fates: Sequence[Fate]) -> None:
    """Check what became of each device, and what is left for the next notification."""
    found = await desk.tried(dispatch)
    told = {item["subscription"]: (item["outcome"], item["status"], item["attempts"]) for item in found["deliveries"]}
    devices = {f"{user}-{number}": fate for number, fate in enumerate(fates)}
    expected = {name: (fate.outcome, fate.status, int(fate.is_pushed)) for name, fate in devices.items()}
    assert told == expected, [item["reason"] for item in found["deliveries"]]
    assert found["counts"] == Counter(fate.outcome for fate in fates)
    assert (found["state"] == "done") is all(fate.outcome != "transient" for fate in fates)


async def check_what_is_left(desk: Bench, users: Mapping[str, Sequence[Fate]]) -> None:
    """Check that those that are gone, and no others, are never sent to again."""
    left = {
        f"{user}-{number}"
        for user, fates in users.items()
        for number, fate in enumerate(fates)
        if fate.state == "active"
    }
    desk.pushes.clear()
    for user, fates in users.items():
        again = await desk.accepted(user, "Again")
        remaining = [fate for fate in fates if fate.state == "active"]
        found = await (desk.tried(again) if remaining else desk.settled(again))
        assert found["counts"] == Counter(fate.outcome for fate in remaining)
        assert await desk.cached_devices(user) == len(remaining)
        assert desk.reads_of(user) == 1
        await desk.forget_faults()
    assert sorted(desk.pushed_to()) == sorted(left)


# A server of their own for each two: with more that end, the brake would hold them.
@pytest.mark.parametrize(("first", "second"), product(FATES, repeat=2), ids=lambda fate: fate.name)
async def test_each_of_three_siblings_has_its_own_outcome(desk: Bench, first: Fate, second: Fate) -> None:
    users = {f"{first.name}-{second.name}-{third.name}": (first, second, third) for third in FATES}
    for user, fates in users.items():
        await meets(desk, user, fates)
    for user, fates in users.items():
        await check(desk, await desk.accepted(user), user, fates)
        await desk.forget_faults()
    pushed = [
        f"{user}-{number}" for user, fates in users.items() for number, fate in enumerate(fates) if fate.is_pushed
    ]
    assert desk.pushed_to() == sorted(pushed)
    every = Counter(fate.outcome for fates in users.values() for fate in fates)
    stats = (await desk.server.admin("GET", "/api/v1/admin/stats")).json
    assert {outcome: count for outcome, count in stats["outcomes"].items() if count} == every
    await check_what_is_left(desk, users)


async def test_a_sibling_that_never_answers_holds_up_none_of_the_others(tmp_path: Path) -> None:
    async with bench(tmp_path, timeout_s=2.0) as desk:
        users = {f"silent-{fate.name}": (SILENT, fate, ACCEPTED) for fate in (*FATES, SILENT)}
        for user, fates in users.items():
            await meets(desk, user, fates)
        dispatches = {user: await desk.accepted(user) for user in users}
        for user, fates in users.items():
            await check(desk, dispatches[user], user, fates)
        for user, fates in users.items():
            assert await desk.states(user) == sorted(fate.state for fate in fates)


async def test_a_gone_device_is_removed_while_its_sibling_is_still_waited_for(desk: Bench) -> None:
    await meets(desk, "anna", (GONE, SILENT))
    first = await desk.accepted("anna")
    await desk.server.push_service.wait_for_pushes(2)
    async with desk.following() as changes:
        async for _ in changes:
            if await desk.states("anna") == ["active", "gone"]:
                break
    found = (await desk.server.admin("GET", f"/api/v1/dispatches/{first}")).json
    assert found["counts"] == {"gone": 1, "waiting": 1}
    desk.pushes.clear()
    await desk.accepted("anna", "Next")
    await desk.server.push_service.wait_for_pushes(1)
    assert desk.pushed_to() == ["anna-1"]
    assert await desk.cached_devices("anna") == 1
