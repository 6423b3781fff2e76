"""The real way of a push to the simulator: the server's transport over a socket, and what it makes of the answer."""

from __future__ import annotations

import ssl
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from pushdesk.webpush.endpoint import check_endpoint
from pushdesk.webpush.request import PushRequest
from pushdesk.webpush.services import Verdict, classify, classify_fault
from pushdesk.webpush.transport import FaultKind, HttpTransport, PushAnswer, TransportFault
from tests.simulator.application import Application
from tests.simulator.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from pushdesk.simulator.personality import Personality
    from pushdesk.simulator.service import Simulator
    from tests.simulator.wire import Clock

AMPLE_S = 60.0
SHORT_S = 0.3


class Sent(NamedTuple):
    """What came of a push: the answer, or why there was none, and what it means."""

    answer: PushAnswer | None
    fault: FaultKind | None
    verdict: Verdict


class Sender:
    """Sends as the server does, with tokens of somebody else's making."""

    def __init__(self, simulator: Simulator, transport: HttpTransport, application: Application, clock: Clock) -> None:
        self.application = application
        self._simulator = simulator
        self._transport = transport
        self._clock = clock

    async def send(
        self, endpoint: str, body: bytes = b"x", *, authorization: str | None = None, **headers: str | None
    ) -> Sent:
        """Push; a header that is None is left out."""
        usual = {
            "Authorization": authorization or self.application.authorization(endpoint),
            "TTL": "60",
            "Content-Encoding": "aes128gcm",
        }
        fields = usual | {name.replace("_", "-"): value for name, value in headers.items()}
        request = PushRequest(endpoint, {name: value for name, value in fields.items() if value}, body)
        service = check_endpoint(endpoint, allowed_origins=frozenset({self._simulator.origin}))
        try:
            answer = await self._transport.post(request)
        except TransportFault as fault:
            return Sent(None, fault.kind, classify_fault(fault.kind))
        verdict = classify(service, answer.status, answer.headers, answer.body, now=self._clock())
        return Sent(answer, None, verdict)


@asynccontextmanager
async def sending(
    simulator: Simulator,
    session: aiohttp.ClientSession,
    clock: Clock,
    *,
    total_timeout_s: float = AMPLE_S,
    trusts: bytes | None = None,
) -> AsyncIterator[Sender]:
    """Make a server's side, which reaches the services' own names if the simulator has them.

    Args:
        simulator: Where to.
        session: Of the application whose tokens are sent.
        clock: The simulator's.
        total_timeout_s: How long a push may take.
        trusts: The certificate of an authority; the simulator's if there is none.
    """
    authority = trusts or simulator.certificate
    trusted = ssl.create_default_context(cadata=authority.decode()) if authority is not None else None
    transport = HttpTransport(
        allowed_origins=frozenset({simulator.origin}),
        clock=time.monotonic,
        total_timeout_s=total_timeout_s,
        tls=trusted,
        proxy=simulator.origin if trusted is not None else None,
    )
    try:
        yield Sender(simulator, transport, Application(session, clock), clock)
    finally:
        await transport.aclose()


@asynccontextmanager
async def subscribed(
    simulator: Simulator, session: aiohttp.ClientSession, key: str, service: Personality | None = None
) -> AsyncIterator[str]:
    """Connect a browser to a push service and subscribe it; yields its endpoint."""
    async with Wire(session, f"{simulator.url}/{service or ''}") as wire:
        await wire.hello()
        yield await wire.register(key)
