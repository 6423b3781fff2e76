from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest

from pushdesk.simulator.service import Simulator
from tests.simulator.application import Application
from tests.simulator.wire import Clock, Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def simulator(clock: Clock) -> AsyncIterator[Simulator]:
    async with Simulator(clock=clock) as simulator:
        yield simulator


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def application(session: aiohttp.ClientSession, clock: Clock) -> Application:
    return Application(session, clock)


@pytest.fixture
async def wire(session: aiohttp.ClientSession, simulator: Simulator) -> AsyncIterator[Wire]:
    async with Wire(session, simulator.url) as wire:
        yield wire


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
