"""What a push service remembers: its browsers, their subscriptions, and the pushes on their way.

Nothing in here waits or sends; everything is bounded by `Limits`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pushdesk.simulator import base64url
from pushdesk.simulator.refusal import Problem, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.simulator.personality import Personality
    from pushdesk.simulator.request import PushHeaders


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is remembered; the oldest goes first."""

    browsers: int = 20_000
    channels_per_browser: int = 100
    waiting_per_browser: int = 100
    """Pushes that a disconnected browser can have waiting (Mozilla: 100)."""
    unsubscribed: int = 20_000
    """Ended subscriptions that are answered 410; older ones get 404."""
    pushes: int = 2_000
    """POSTs that are listed."""


class PushState(StrEnum):
    """How far a push has come."""

    UNANSWERED = "unanswered"
    """Nothing has been said to it yet, or ever will be."""
    REFUSED = "refused"
    ANSWERED = "answered"
    """A prepared answer or a fault was given instead."""
    WAITING = "waiting"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    DROPPED = "dropped"
    """Its TTL was 0 and the browser away, or too many were waiting, or the subscription ended."""
    EXPIRED = "expired"
    REPLACED = "replaced"
    """A newer push had the same topic (RFC 8030 section 5.4)."""


@dataclass(slots=True, eq=False)
class Push:
    """One POST to an endpoint: what was answered, and what became of it."""

    id: str
    subscription: str = field(repr=False)
    at: float
    status: int | None = None
    """What was answered; None if nothing is."""
    size: int = 0
    errno: int | None = None
    reason: str = ""
    state: PushState = PushState.UNANSWERED
    headers: PushHeaders | None = None
    body: bytes = field(default=b"", repr=False)
    code: int | None = None
    """What the browser acknowledged with: 100 shown, 101 could not decrypt, 102 not delivered."""

    @property
    def expires_at(self) -> float:
        """When it is no longer worth delivering, in seconds since the epoch."""
        return self.at + (self.headers.ttl if self.headers else 0)


class Connection(Protocol):
    """A browser's open WebSocket, as far as the registry knows it."""

    def abort(self) -> None:
        """Close it, without waiting for it to be closed."""

    async def notify(self, channel: Channel, push: Push) -> None:
        """Send a push through it, if it is still open."""


@dataclass(slots=True, eq=False)
class Channel:
    """A subscription: one site in one browser."""

    id: str = field(repr=False)
    """The endpoint's last segment: who knows it may push."""
    channel_id: str
    browser: Browser = field(repr=False)
    key: bytes | None = None
    """The VAPID public key that it is restricted to (RFC 8292 section 4)."""
    endpoint: str = field(default="", repr=False)
    """As the browser was told."""


@dataclass(slots=True, eq=False)
class Browser:
    """A browser, or user agent (uaid): at most one connection, any number of subscriptions."""

    uaid: str
    number: int
    """The how-many-th browser it is, from 1."""
    personality: Personality
    """The push service that it is connected to."""
    connection: Connection | None = None
    channels: dict[str, Channel] = field(default_factory=dict)
    waiting: dict[str, tuple[Channel, Push]] = field(default_factory=dict)
    """Pushes that it has not acknowledged, by their version, the oldest first."""


class Registry:
    """The push service's memory.

    Args:
        clock: Seconds since the epoch.
        random_bytes: Returns that many random bytes.
        limits: How much is remembered.
        changed: Called after every change.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        limits: Limits,
        changed: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._limits = limits
        self._changed = changed
        self._channels: dict[str, Channel] = {}
        self._ended: dict[str, Personality] = {}
        self._greeted = 0
        self.browsers: dict[str, Browser] = {}
        self.pushes: deque[Push] = deque(maxlen=limits.pushes)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Every subscription that can be pushed to."""
        return tuple(self._channels.values())

    def greet(self, uaid: str | None, personality: Personality) -> Browser | None:
        """Return the browser with that id, or a new one; None if there is no room."""
        if uaid is not None and uaid in self.browsers:
            return self.browsers[uaid]
        if len(self.browsers) >= self._limits.browsers:
            away = next((browser for browser in self.browsers.values() if browser.connection is None), None)
            if away is None:
                return None
            self.forget_browser(away)
        self._greeted += 1
        browser = Browser(self._random_bytes(16).hex(), self._greeted, personality)
        self.browsers[browser.uaid] = browser
        self._changed()
        return browser

    def connect(self, browser: Browser, connection: Connection) -> list[tuple[Channel, Push]]:
        """Note that a browser is there, in place of an older connection; return what has been waiting for it."""
        if browser.connection is not None:
            browser.connection.abort()
        browser.connection = connection
        self._expire(browser)
        waiting = list(browser.waiting.values())
        for _, push in waiting:
            push.state = PushState.SENT
        self._changed()
        return waiting

    def disconnect(self, browser: Browser, connection: Connection) -> None:
        """Note that a connection is gone."""
        if browser.connection is connection:
            browser.connection = None
            self._changed()

    def register(self, browser: Browser, channel_id: str, key: bytes | None) -> Channel | None:
        """Return a subscription, the same one for a repeated channel and key; None if there is no room."""
        known = browser.channels.get(channel_id)
        if known is not None:
            if known.key == key:
                return known
            self.end(known)
        if len(browser.channels) >= self._limits.channels_per_browser:
            return None
        channel = Channel(base64url.encode(self._random_bytes(32)), channel_id, browser, key)
        browser.channels[channel_id] = channel
        self._channels[channel.id] = channel
        self._changed()
        return channel

    def end(self, channel: Channel) -> None:
        """End a subscription: its endpoint answers 410 from now on."""
        del self._channels[channel.id]
        del channel.browser.channels[channel.channel_id]
        for version, (other, _) in list(channel.browser.waiting.items()):
            if other is channel:
                self._settle(channel.browser, version, PushState.DROPPED)
        while len(self._ended) >= self._limits.unsubscribed:
            del self._ended[next(iter(self._ended))]
        self._ended[channel.id] = channel.browser.personality
        self._changed()

    def forget_browser(self, browser: Browser) -> None:
        """End everything of a browser: with its next hello it gets a new id."""
        for channel in list(browser.channels.values()):
            self.end(channel)
        del self.browsers[browser.uaid]
        self._changed()

    def channel(self, subscription: str) -> Channel | None:
        """Return the subscription of an endpoint, if it can be pushed to."""
        return self._channels.get(subscription)

    def personality_of(self, subscription: str) -> Personality | None:
        """Return whose an endpoint is or was, if it is remembered."""
        channel = self._channels.get(subscription)
        return channel.browser.personality if channel is not None else self._ended.get(subscription)

    def find(self, subscription: str) -> Channel:
        """Return the subscription of an endpoint.

        Raises:
            Refusal: There never was one, or it has ended.
        """
        channel = self._channels.get(subscription)
        if channel is not None:
            return channel
        if subscription in self._ended:
            raise Refusal(Problem.ENDED, "This subscription has ended")
        raise Refusal(Problem.UNKNOWN, "There is no such endpoint")

    def note(self, subscription: str) -> Push:
        """List a POST, without doing anything about it."""
        push = Push(base64url.encode(self._random_bytes(16)), subscription, self._clock())
        self.pushes.append(push)
        self._changed()
        return push

    def answered(self, push: Push, status: int, state: PushState) -> None:
        """Note what was said to a push that is not taken."""
        push.status, push.state = status, state
        self._changed()

    def accept(self, push: Push, channel: Channel, headers: PushHeaders, body: bytes, *, status: int | None) -> None:
        """Take a push: it is to be sent now if the browser is there, and waits for it otherwise."""
        browser = channel.browser
        push.status, push.state = status, PushState.WAITING
        push.headers, push.body = headers, body
        if headers.topic is not None:
            for version, (other, older) in list(browser.waiting.items()):
                if other is channel and older.headers is not None and older.headers.topic == headers.topic:
                    self._settle(browser, version, PushState.REPLACED)
        if browser.connection is not None:
            push.state = PushState.SENT
        else:
            # What was sent is not expired before the browser has had its time to acknowledge.
            self._expire(browser)
        while len(browser.waiting) >= self._limits.waiting_per_browser:
            oldest, (_, unread) = next(iter(browser.waiting.items()))
            self._settle(browser, oldest, PushState.DROPPED if browser.connection is None else unread.state)
        browser.waiting[push.id] = (channel, push)
        if browser.connection is None and headers.ttl == 0:
            self._settle(browser, push.id, PushState.DROPPED)
        self._changed()

    def acknowledge(self, browser: Browser, version: str, code: int | None) -> None:
        """Note what a browser did with a notification; unknown ones are ignored."""
        if version in browser.waiting:
            _, push = browser.waiting[version]
            push.code = code
            self._settle(browser, version, PushState.ACKNOWLEDGED)

    def _expire(self, browser: Browser) -> None:
        now = self._clock()
        for version, (_, push) in list(browser.waiting.items()):
            if push.expires_at <= now:
                self._settle(browser, version, PushState.EXPIRED)

    def _settle(self, browser: Browser, version: str, state: PushState) -> None:
        _, push = browser.waiting.pop(version)
        push.state = state
        push.body = b""
        self._changed()
