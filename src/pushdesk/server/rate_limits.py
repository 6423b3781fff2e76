"""Rate limits: per access token, per address without one, and for wrong tokens and codes, which nobody shall guess."""

from __future__ import annotations

import math
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import web

from pushdesk.errors import PushdeskError
from pushdesk.log import write
from pushdesk.log_events import RequestsLimited
from pushdesk.log_fields import Id, Limit
from pushdesk.server.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pushdesk.server.client_address import Client

MAX_BUCKETS: Final = 10_000
"""Names that each limit remembers at once; the one that was asked for longest ago is forgotten: it is full again."""
TOKEN_BURST_S: Final = 2.0
"""For how many seconds' worth an access token's requests may come at once."""
ADDRESS_BURST_S: Final = 6.0
"""The same for an address: a page is several requests."""
FAILURES_AT_ONCE: Final = 10
FAILURES_PER_S: Final = 1 / 6
_ROUNDING: Final = 0.01
"""What sums of intervals may be off by, in intervals."""

_DETAILS: Final = {
    Limit.TOKEN: ("There are too many requests with this access token.", "`rate_per_token` in [server] is the limit."),
    Limit.ADDRESS: ("There are too many requests from this address.", "An access token has a limit of its own."),
    Limit.WRONG_TOKEN: ("Too many wrong tokens came from this address.", ""),
    Limit.WRONG_CODE: ("Too many wrong codes came from this address.", ""),
}


class Buckets:
    """Token buckets by name: each takes `burst` at once, and refills by `rate` per second.

    Of each, one number is kept: when it will be full again (the generic cell rate algorithm, ITU-T I.371). One that is
    full needs not be kept at all.

    Args:
        rate: How many per second, in the long run.
        burst: How many at once.
        now: A clock in seconds that never jumps.
        most: How many are kept; the one that was asked longest ago makes room.
    """

    def __init__(self, *, rate: float, burst: float, now: Callable[[], float], most: int = MAX_BUCKETS) -> None:
        self._interval_s = 1 / rate
        self._depth_s = burst / rate
        self._now = now
        self._most = most
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at_s)

    def wait_s(self, name: str) -> float:
        """Return in how many seconds there will be one to take; 0 if there is one."""
        now = self._now()
        wait_s = max(self._full_at_s.get(name, now), now) + self._interval_s - self._depth_s - now
        return wait_s if wait_s > self._interval_s * _ROUNDING else 0.0

    def take(self, name: str) -> float:
        """Take one and return 0, or return in how many seconds there will be one."""
        wait_s = self.wait_s(name)
        if not wait_s:
            now = self._now()
            self._full_at_s[name] = max(self._full_at_s.get(name, now), now) + self._interval_s
        # Also when there is none: who asks on and on is not forgotten.
        self._full_at_s.move_to_end(name)
        if len(self._full_at_s) > self._most:
            self._full_at_s.popitem(last=False)
        return wait_s

    def give_back(self, name: str) -> None:
        """Undo a `take` that got one."""
        if name in self._full_at_s:
            self._full_at_s[name] -= self._interval_s


class RateLimits:
    """Who may ask how often; a limit of 0 is none.

    Every method raises `rate_limited` with the seconds to wait (`retry_after_s`) when it is too often.

    Args:
        per_token: Requests per second with one access token.
        per_address: Requests per second without one, from one address that is not this machine's own.
        now: A clock in seconds that never jumps.
    """

    def __init__(self, *, per_token: int, per_address: int, now: Callable[[], float]) -> None:
        self._tokens = Buckets(rate=per_token, burst=per_token * TOKEN_BURST_S, now=now) if per_token else None
        self._addresses = (
            Buckets(rate=per_address, burst=per_address * ADDRESS_BURST_S, now=now) if per_address else None
        )
        # Apart: a script with an old token keeps nobody behind the same address from redeeming an invitation.
        self._wrong_tokens = Buckets(rate=FAILURES_PER_S, burst=FAILURES_AT_ONCE, now=now)
        self._wrong_codes = Buckets(rate=FAILURES_PER_S, burst=FAILURES_AT_ONCE, now=now)
        self._refused = {limit: Tally(now) for limit in Limit}

    @property
    def refused(self) -> dict[Limit, int]:
        """How many requests each limit refused."""
        return {limit: tally.total for limit, tally in self._refused.items()}

    def check_token(self, token: str) -> None:
        """Count a request with an access token.

        Args:
            token: The token's id. The admin token is not to be counted.
        """
        if self._tokens is not None:
            self._refuse_if(self._tokens.take(token), Limit.TOKEN, token=token)

    def check_address(self, client: Client) -> None:
        """Count a request without an access token; this machine's own programs may ask as often as they like."""
        if self._addresses is not None and not client.is_local:
            self._refuse_if(self._addresses.take(client.network), Limit.ADDRESS)

    def failed(self, client: Client) -> None:
        """Count a token that is not valid; this machine's own programs' too."""
        self._refuse_if(self._wrong_tokens.take(client.network), Limit.WRONG_TOKEN)

    @contextmanager
    def guess(self, client: Client) -> Iterator[None]:
        """Surround the redeeming of a code: it counts as a wrong one unless it succeeds; this machine's own too.

        It is counted before it is tried, so that many guesses at once are no way around the limit.
        """
        self._refuse_if(self._wrong_codes.take(client.network), Limit.WRONG_CODE)
        is_wrong = False
        try:
            yield
        except PushdeskError as error:
            is_wrong = error.code == "forbidden"
            raise
        finally:
            if not is_wrong:
                self._wrong_codes.give_back(client.network)

    def _refuse_if(self, wait_s: float, limit: Limit, *, token: str | None = None) -> None:
        if not wait_s:
            return
        if requests := self._refused[limit].add():
            write(RequestsLimited(limit=limit, requests=requests, token=None if token is None else Id(token)))
        seconds = math.ceil(wait_s)
        detail, more = _DETAILS[limit]
        hint = f"Wait {seconds} {'second' if seconds == 1 else 'seconds'}. {more}".rstrip()
        raise PushdeskError(detail, code="rate_limited", hint=hint, retry_after_s=seconds)


RATE_LIMITS: Final = web.AppKey("rate_limits", RateLimits)
