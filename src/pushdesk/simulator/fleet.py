"""A crowd of virtual browsers for made-up users."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple

from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.simulator.browser import VirtualBrowser
from pushdesk.simulator.decryption import ReceivedMessage
from pushdesk.simulator.display import shortened
from pushdesk.simulator.personality import Personality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SERVER_AGAIN_AFTER_S = 0.5
_KEY_AGAIN_AFTER_S = 5.0
_RETRIED = frozenset({"rate_limited", "unreachable"})

_USERS = ("ada", "bo", "cy", "dee", "eli", "fay", "gus", "hana", "ivo", "jun", "kai", "lea", "mo", "nia", "oz")
_MOZILLA = "Mozilla/5.0"
_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0"
_MAC, _WINDOWS = "(Macintosh; Intel Mac OS X 10_15_7)", "(Windows NT 10.0; Win64; x64)"
_BROWSERS = (
    ("Firefox on Linux", f"{_MOZILLA} (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"),
    ("Chrome on Windows", f"{_MOZILLA} {_WINDOWS} {_CHROME} Safari/537.36"),
    ("Safari on iPhone", f"{_MOZILLA} (iPhone; CPU iPhone OS 18_7 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1"),
    ("Chrome on Android", f"{_MOZILLA} (Linux; Android 10; K) {_CHROME} Mobile Safari/537.36"),
    ("Edge on Windows", f"{_MOZILLA} {_WINDOWS} {_CHROME} Safari/537.36 Edg/156.0.0.0"),
    ("Firefox on Android", f"{_MOZILLA} (Android 16; Mobile; rv:153.0) Gecko/153.0 Firefox/153.0"),
    ("Safari on macOS", f"{_MOZILLA} {_MAC} {_SAFARI} Safari/605.1.15"),
)
"""What a person calls a browser, and what it calls itself."""


_SERVICES = {
    "Firefox": Personality.MOZILLA,
    "Chrome": Personality.FCM,
    "Safari": Personality.APPLE,
    "Edge": Personality.WNS,
}
"""Whose push service a browser has by its nature."""


class Persona(NamedTuple):
    """A made-up user with one of their browsers."""

    user: str
    browser: str
    user_agent: str

    def service(self, among: Sequence[Personality]) -> Personality:
        """Return the push service of the browser; the first there is, if its own is not simulated."""
        own = _SERVICES[self.browser.partition(" ")[0]]
        return own if own in among else among[0]


def personas() -> Iterator[Persona]:
    """Make up users without end, the same ones every time; every third has two devices."""
    place = 0
    while True:
        lap, index = divmod(place, len(_USERS))
        user = _USERS[index] + (str(lap + 1) if lap else "")
        for device in range(2 if place % 3 == 0 else 1):
            yield Persona(user, *_BROWSERS[(place + 3 * device) % len(_BROWSERS)])
        place += 1


async def run_browsers(
    count: int,
    *,
    push_service: str,
    server: str,
    say: Callable[[str], None],
    complain: Callable[[str], None],
    personalities: Sequence[Personality] = (Personality.OTHER,),
    key_again_after_s: float = _KEY_AGAIN_AFTER_S,
) -> None:
    """Subscribe `count` virtual browsers with a server and show what they are pushed, until cancelled.

    When the server's key has changed they subscribe again, as pages and workers do that come by.

    Args:
        count: How many.
        push_service: The simulator's URL.
        server: The pushdesk server's URL; waited for if it is not up yet.
        say: Takes a line about what happens, for instance a push received.
        complain: Takes a line about what went wrong and is tried again.
        personalities: The push services that the simulator takes after.
        key_again_after_s: Seconds between two looks at the server's key.

    Raises:
        PushdeskError: The server refused a subscription.
    """
    names: dict[VirtualBrowser, str] = {}

    def report(browser: VirtualBrowser, event: ReceivedMessage | PushdeskError) -> None:
        if isinstance(event, ReceivedMessage):
            title, body = shortened(event.title), shortened(event.body)
            say(f"{names[browser]}: {title or '(no title)'}{f' | {body}' if body else ''}")
        else:
            complain(f"{names[browser]}: {event}")

    async with AsyncExitStack() as stack:
        for persona, _ in zip(personas(), range(count), strict=False):
            browser = VirtualBrowser(
                f"{push_service}/{persona.service(personalities)}",
                user=persona.user,
                user_agent=persona.user_agent,
                report=report,
            )
            names[browser] = f"{persona.user}, {persona.browser}"
            await stack.enter_async_context(browser)
            await _subscribe(browser, server, complain)
        users = list(dict.fromkeys(browser.user for browser in names))
        named = ", ".join(users[: len(_USERS)]) + (", ..." if len(users) > len(_USERS) else "")
        say(f"{count} virtual browsers are subscribed, for {named}")
        following = asyncio.create_task(_follow_key(tuple(names), server, say, complain, key_again_after_s))
        stack.callback(following.cancel)
        await asyncio.gather(following, *(browser.closed() for browser in names))


async def _follow_key(
    browsers: Sequence[VirtualBrowser],
    server: str,
    say: Callable[[str], None],
    complain: Callable[[str], None],
    again_after_s: float,
) -> None:
    """Have the browsers subscribe again whenever the server has another key; one of them looks, for all."""
    while browsers:
        await asyncio.sleep(again_after_s)
        try:
            if await browsers[-1].has_current_key():
                continue
            for browser in browsers:
                await _subscribe(browser, server, complain)
            say(f"the server has another key: {len(browsers)} virtual browsers have subscribed again")
        except UnreachableError:
            # It is looked at again, and whoever runs the server knows.
            continue
        except PushdeskError as error:
            complain(str(error))


async def _subscribe(browser: VirtualBrowser, server: str, complain: Callable[[str], None]) -> None:
    """Subscribe, again and again while the server is not there or has had too many requests; says so once.

    A browser whose push service has dropped it (the fault `removed`) goes on without a subscription.
    """
    complained = False
    while True:
        try:
            await browser.subscribe(server)
        except PushdeskError as error:
            if error.code == "endpoint_refused" and browser.is_removed:
                complain(str(error))
                return
            if error.code not in _RETRIED:
                raise
            if not complained:
                complain(f"{error.detail} Trying again.")
                complained = True
            await asyncio.sleep(_SERVER_AGAIN_AFTER_S)
        else:
            return
