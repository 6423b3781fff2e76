"""A population: users with devices at several push services, put into a database all at once."""

from __future__ import annotations

import hashlib
import os
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, update

from pushdesk.model import Service, SubscriptionState
from pushdesk.storage.schema import server_state, subscriptions, user_state
from pushdesk.webpush.encryption import decode_keys
from tests.push_service import Device

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.storage.store import Store

ENDPOINTS: Final = {
    Service.FCM: ("https://fcm.googleapis.com/fcm/send/", 152),
    Service.MOZILLA: ("https://updates.push.services.mozilla.com/wpush/v2/", 184),
    Service.APPLE: ("https://web.push.apple.com/", 172),
    Service.WNS: ("https://wns2-par02p.notify.windows.com/w/?token=", 236),
}
"""How the endpoints of the push services begin, and how many characters follow."""
BROWSERS: Final = {
    Service.FCM: ("Chrome", "Android"),
    Service.MOZILLA: ("Firefox", "Linux"),
    Service.APPLE: ("Safari", "iPhone"),
    Service.WNS: ("Edge", "Windows"),
}


async def populate(store: Store, devices: Mapping[str, int], *, key_id: str) -> None:
    """Put users with so many devices each into an empty database, their devices at one service after the other.

    One transaction: to subscribe them one by one takes longer than whole tests.
    """
    made = Device("").keys
    keys = decode_keys(made.p256dh, made.auth)
    numbers = count()
    users, rows = [], []
    for generation, (user, number_of_devices) in enumerate(devices.items(), start=1):
        users.append({"user": user, "generation": generation, "created_at": 0})
        rows += [
            subscription(store, next(numbers), user, os.urandom(13).hex(), key_id=key_id, keys=keys)
            for _ in range(number_of_devices)
        ]
    async with store._database.write() as transaction:
        await transaction.execute(insert(user_state), users)
        if rows:
            await transaction.execute(insert(subscriptions), rows)
        await transaction.execute(update(server_state).values(generation=len(users)))


def subscription(
    store: Store, number: int, user: str, id_: str, *, key_id: str, keys: tuple[bytes, bytes]
) -> dict[str, Any]:
    """Return the row of a subscription, at a push service by its number."""
    service = list(ENDPOINTS)[number % len(ENDPOINTS)]
    beginning, length = ENDPOINTS[service]
    browser, platform = BROWSERS[service]
    endpoint = beginning + hashlib.shake_256(str(number).encode()).hexdigest(length // 2)
    return {
        "id": id_,
        "user": user,
        "endpoint_digest": store.subscriptions.digest(endpoint),
        "endpoint": endpoint,
        "p256dh": keys[0],
        "auth": keys[1],
        "token_digest": bytes(32),
        "key_id": key_id,
        "service": service,
        "browser": browser,
        "platform": platform,
        "state": SubscriptionState.ACTIVE,
        "version": 1,
        "created_at": 0,
        "failures": 0,
    }
