"""Where connections may go: the guards of the sockets, which see what names, literals and resolvers really led to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from yarl import URL

from pushdesk.webpush.endpoint import is_allowed_address
from pushdesk.webpush.services import FaultKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohappyeyeballs import AddrInfoType

REMEMBERED_S: Final = 10.0
"""For which a name is not asked for again."""

MAX_REMEMBERED: Final = 1000
"""Names."""

THREADS: Final = 16
"""That names are asked for in. They are no one else's, as one of them waits for as long as the system does."""

PER_DOMAIN: Final = 2
"""Names of one domain that are asked for at once: its servers may keep silent, and may not take all threads with it."""

TURN_S: Final = 10.0
"""For how long a name waits for its turn within its domain."""

PROXY_ANSWERS: Final = 4
"""Of those that differ, where a proxy's name led to: a connection to an address of an earlier one may be under way."""


class AddressRefusedError(OSError):
    """A name led to an address that is not sent to. An OSError, so that the name's other addresses are still tried."""


class Resolver(Protocol):
    """How names are resolved."""

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Return the addresses of a name, as `socket.getaddrinfo` does.

        Raises:
            OSError: There are none.
            UnicodeError: It is no name.
        """
        ...


class SystemResolver:
    """Asks the system, in threads, of which each domain has its share."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="names")
        self._turns: dict[str, asyncio.Semaphore] = {}
        """By the last two labels; there are as many as there are push services and origins that are allowed."""

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Return the addresses of a name.

        Raises:
            OSError: There are none.
            TimeoutError: Others of its domain were asked for all the time.
            UnicodeError: It is no name: RFC 1035 section 2.3.4 has labels of 1 to 63 characters.
        """
        domain = ".".join(host.rstrip(".").split(".")[-2:])
        turns = self._turns.setdefault(domain, asyncio.Semaphore(PER_DOMAIN))
        async with asyncio.timeout(TURN_S):
            await turns.acquire()
        asked = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, asked)
        finally:
            turns.release()


class RememberedNames:
    """Asks a resolver, and remembers for a while what it said; those who want to know the same wait for one answer.

    Where an address may be connected to is judged each time that it is.

    Args:
        resolver: Who is asked.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._questions: dict[tuple[str, int], asyncio.Task[Sequence[AddrInfoType]]] = {}

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Return the addresses of a name. An address leads to itself.

        Raises:
            OSError: There are none.
            UnicodeError: It is no name.
        """
        with suppress(ValueError):
            ipaddress.ip_address(host)
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        asked = self._questions.get((host, port))
        if asked is None:
            asked = asyncio.get_running_loop().create_task(self._resolver.resolve(host, port))
            if len(self._questions) >= MAX_REMEMBERED:
                self.forget()
            self._questions[host, port] = asked
            asked.add_done_callback(lambda done: self._answered((host, port), done))
        # It is not one's own alone: who gives up does not have it given up for the others.
        return await asyncio.shield(asked)

    def forget(self) -> None:
        """Ask for every name anew."""
        self._questions.clear()

    async def aclose(self) -> None:
        """Give up what was asked."""
        questions = list(self._questions.values())
        self.forget()
        for asked in questions:
            asked.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    def _answered(self, question: tuple[str, int], done: asyncio.Task[Sequence[AddrInfoType]]) -> None:
        if self._questions.get(question) is not done:
            done.cancelled() or done.exception()
        elif done.cancelled() or done.exception() is not None:
            del self._questions[question]
        else:
            done.get_loop().call_later(REMEMBERED_S, self._expire, question, done)

    def _expire(self, question: tuple[str, int], done: asyncio.Task[Sequence[AddrInfoType]]) -> None:
        if self._questions.get(question) is done:
            del self._questions[question]


def guarded_socket(address: AddrInfoType) -> socket.socket:
    """Make the socket for an address that is about to be connected to, if it is on the public internet.

    The last place before `connect`, so that it sees what names, literals and resolvers really led to.

    Raises:
        AddressRefusedError: The address is not on the public internet.
    """
    family, kind, protocol, _, sockaddr = address
    if not is_allowed_address(str(sockaddr[0])):
        raise AddressRefusedError(FaultKind.ADDRESS_REFUSED.sentence)
    return socket.socket(family, kind, protocol)


class ProxyGuard:
    """Lets connections be made to one proxy and to nothing else, wherever that is.

    Names of push services are resolved by the proxy, so here no name but its own is looked up. Where they lead is then
    the proxy's to see to: what is sent is encrypted for whoever has the certificate of that name.

    Args:
        proxy: Its origin, http or https.
        resolver: How its name is resolved.
    """

    def __init__(self, proxy: str, resolver: Resolver) -> None:
        self._url = URL(proxy)
        self._resolver = resolver
        self._answers: deque[frozenset[ipaddress.IPv4Address | ipaddress.IPv6Address]] = deque(maxlen=PROXY_ANSWERS)
        with suppress(ValueError):
            self._answers.append(frozenset({ipaddress.ip_address(self._url.raw_host or "")}))

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfoType]:
        """Resolve the proxy's name.

        Raises:
            OSError: It is another name, or leads nowhere.
            UnicodeError: It is no name.
        """
        if host != self._url.raw_host:
            raise AddressRefusedError(FaultKind.ADDRESS_REFUSED.sentence)
        found = await self._resolver.resolve(host, port)
        answer = frozenset(ipaddress.ip_address(sockaddr[0]) for *_, sockaddr in found)
        with suppress(ValueError):
            self._answers.remove(answer)
        self._answers.append(answer)
        return found

    def socket(self, address: AddrInfoType) -> socket.socket:
        """Make the socket for an address that is about to be connected to, if it is the proxy's.

        Raises:
            AddressRefusedError: It is not.
        """
        family, kind, protocol, _, sockaddr = address
        to = ipaddress.ip_address(str(sockaddr[0]))
        if sockaddr[1] != self._url.port or not any(to in answer for answer in self._answers):
            raise AddressRefusedError(FaultKind.ADDRESS_REFUSED.sentence)
        return socket.socket(family, kind, protocol)
