"""What a `Desk` knows of one user: its listings filter by the beginning of a name, and here it is exactly that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from pushdesk.errors import PushdeskError
from pushdesk.filters import BEGINNING
from pushdesk.model import PageQuery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.desk import Desk
    from pushdesk.model import Broadcast, CacheEntry, Delivery, KeyState, Page, Subscription, User

T = TypeVar("T")

PAGE: Final = 200
MOST_PAGES: Final = 5
"""Pages that are looked through: many users may have names that begin like the one that is looked for."""
LONGEST_TITLE: Final = 100
"""Characters of a title that are looked for."""
WANTED: Final = 100
"""Deliveries of one user that are enough."""


class Found(NamedTuple):
    """Some deliveries of a user, the newest first."""

    deliveries: list[Delivery]
    all: bool
    """Whether there are no older ones."""


async def user_of(desk: Desk, user: str) -> User | None:
    """Return a user; None if they are not known."""
    found, _ = await _exactly(desk.users, user, sort="id", of=lambda one: one.id)
    return next(iter(found), None)


async def devices_of(desk: Desk, user: str) -> list[Subscription]:
    """Return a user's subscriptions, at most a thousand."""
    devices, _ = await _exactly(desk.subscriptions, user, sort="user", of=lambda one: one.user)
    return devices


async def device_found(desk: Desk, device: Subscription) -> tuple[Subscription | None, bool]:
    """Return a subscription as it is now, None if it was not found; and whether all of its user's were looked at."""
    devices, are_all = await _exactly(desk.subscriptions, device.user, sort="user", of=lambda one: one.user)
    return next((one for one in devices if one.id == device.id), None), are_all


async def cached(desk: Desk, user: str) -> CacheEntry | None:
    """Return what the cache holds of a user; None if it holds nothing."""
    found, _ = await _exactly(desk.cache, user, sort="user", of=lambda one: one.user)
    return next(iter(found), None)


async def deliveries_of(desk: Desk, user: str) -> Found:
    """Return the latest deliveries of a user that are found among those of all whose names begin so."""
    found: list[Delivery] = []
    cursor = None
    for _ in range(MOST_PAGES):
        page = await desk.deliveries(PageQuery(cursor=cursor, limit=PAGE, filter=f"{BEGINNING}{user}"))
        found += [one for one in page.items if one.user == user]
        cursor = page.next
        if cursor is None or len(found) >= WANTED:
            break
    return Found(found[:WANTED], cursor is None and len(found) <= WANTED)


async def broadcast_found(desk: Desk, broadcast: Broadcast) -> Broadcast:
    """Return a broadcast as it is now: looked for among those that are called alike.

    Raises:
        PushdeskError: `not_found`, or why they could not be listed.
    """
    wanted = f"{BEGINNING}{broadcast.title[:LONGEST_TITLE]}"
    cursor = None
    for _ in range(MOST_PAGES):
        page = await desk.broadcasts(PageQuery(cursor=cursor, limit=PAGE, filter=wanted))
        if (found := next((one for one in page.items if one.id == broadcast.id), None)) is not None:
            return found
        cursor = page.next
        if cursor is None:
            break
    raise PushdeskError("This broadcast is not there any more.", code="not_found")


async def key_states(desk: Desk) -> dict[str, KeyState]:
    """Return the states of the VAPID keys, by their ids."""
    return {key.id: key.state for key in (await desk.keys(PageQuery(limit=PAGE))).items}


async def _exactly(
    fetch: Callable[[PageQuery], Awaitable[Page[T]]], user: str, *, sort: str, of: Callable[[T], Any]
) -> tuple[list[T], bool]:
    """Return a user's items of a listing that is sorted by users, and whether these are all.

    Theirs are the first whose names begin so.
    """
    found: list[T] = []
    cursor = None
    for _ in range(MOST_PAGES):
        page = await fetch(PageQuery(cursor=cursor, limit=PAGE, filter=f"{BEGINNING}{user}", sort=sort))
        found += [one for one in page.items if of(one) == user]
        cursor = page.next
        # A page may be empty and not the last: what it held can be gone by now.
        if cursor is None or (page.items and of(page.items[-1]) != user):
            return found, True
    return found, False
