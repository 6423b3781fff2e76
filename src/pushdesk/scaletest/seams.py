"""Where the parts of a server begin: the functions at the seams of its rooms, and putting a wrapper around them."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pushdesk.scaletest.metering import metered_coroutine, metered_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.scaletest.metering import Meter


class Seam(NamedTuple):
    """A function where one part's work begins."""

    part: str
    module: str
    name: str
    """In the module: `Class.method`, or a function."""


REQUESTS: Final = "requests"
"""Reading requests of applications, checking them and writing the answers."""
ACCEPT: Final = "accept"
"""From a turn to its row in the database."""
OUTBOX: Final = "outbox"
"""Spreading what is due over its devices, and claiming what waits."""
CACHE: Final = "cache"
"""Looking up the devices of users, and reading those that are not held."""
SENDING: Final = "sending"
"""What is decided about a push before and after it is sent."""
CARRYING: Final = "carrying"
"""Handing pushes to the sender processes, and taking what became of them."""
ENCRYPT: Final = "encrypt"
"""Encryption, and signing for push services."""
HTTP: Final = "http"
"""Posting to push services."""
SETTLE: Final = "settle"
"""Writing down what became of pushes."""
REREADING: Final = "rereading"
"""What the variant of that name reads."""

OF_SENDING: Final = (
    Seam(HTTP, "pushdesk.sender.sending", "Sending.send"),
    Seam(HTTP, "pushdesk.webpush.connection", "Connection.buffer_updated"),
    Seam(ENCRYPT, "pushdesk.sender.sending", "encrypt"),
)
"""Those of a sender process, and of the server where that does the same itself."""
OF_SERVER: Final = (
    Seam(REQUESTS, "aiohttp.web_protocol", "RequestHandler.start"),
    Seam(REQUESTS, "aiohttp.web_protocol", "RequestHandler.data_received"),
    Seam(ACCEPT, "pushdesk.engine.turns", "Turns.accept"),
    Seam(ACCEPT, "pushdesk.engine.acceptance", "Acceptance._commit"),
    Seam(OUTBOX, "pushdesk.engine.worker", "Worker._work_on_what_is_due"),
    Seam(CACHE, "pushdesk.engine.subscriptions", "SubscriptionCache.get_many"),
    Seam(CACHE, "pushdesk.engine.subscriptions", "SubscriptionCache._read_queue"),
    Seam(SENDING, "pushdesk.engine.worker", "Worker._attempt"),
    Seam(CARRYING, "pushdesk.engine.senders", "Senders.carry"),
    Seam(CARRYING, "pushdesk.engine.sender_process", "SenderProcess.data_received"),
    Seam(CARRYING, "pushdesk.engine.sender_process", "SenderProcess._write"),
    Seam(ENCRYPT, "pushdesk.webpush.vapid", "Authorizer.authorization"),
    Seam(SETTLE, "pushdesk.engine.settling", "Settling._commit"),
    *OF_SENDING,
)
"""Those of the server. What no part begins is nobody's."""


def wrap(module: str, name: str, wrapper: Callable[[Any], Any]) -> bool:
    """Put a wrapper in the place of a function; returns whether there is such a function."""
    try:
        place: Any = importlib.import_module(module)
        *way, last = name.split(".")
        for step in way:
            place = getattr(place, step)
        function = getattr(place, last)
    except (ImportError, AttributeError):
        return False
    setattr(place, last, wrapper(function))
    return True


def metered(function: Callable[..., Any], part: str, meter: Meter) -> Callable[..., Any]:
    """Return a function, or a coroutine function, that works for a part."""
    is_coroutine = asyncio.iscoroutinefunction(function)
    return (metered_coroutine if is_coroutine else metered_function)(function, part, meter)
