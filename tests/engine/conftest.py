"""A real engine on a real database, sending to a real local HTTP server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

import pytest

from pushdesk.config import Config, PushConfig
from pushdesk.engine import worker
from pushdesk.engine.opening import open_engine
from pushdesk.engine.rest import wait_at_most
from tests.chat_server import ChatServer
from tests.engine.outbox_bench import OutboxBench, open_bench
from tests.push_service import PushService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pushdesk.engine.engine import Engine

ACCESS_URL = "http://localhost:8484"

OpenEngine: TypeAlias = "Callable[[], AbstractAsyncContextManager[Engine]]"


def at_once(_low: float, _high: float) -> float:
    """Retry without waiting."""
    return 0.0


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with PushService() as running:
        yield running


@pytest.fixture
async def chat() -> AsyncIterator[ChatServer]:
    async with ChatServer() as running:
        yield running


@pytest.fixture
def start(service: PushService, tmp_path: Path) -> OpenEngine:
    """Start an engine, as often as a test likes, on the same data directory."""
    config = Config(data_dir=tmp_path, push=PushConfig(allow_endpoint=(service.origin,), max_devices=3))
    return lambda: open_engine(config, access_url=ACCESS_URL, uniform=at_once)


@pytest.fixture
async def engine(start: OpenEngine) -> AsyncIterator[Engine]:
    async with start() as running:
        yield running


@pytest.fixture
def rests_s(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[float]:
    """For how long the outbox's worker rests if it is not woken, each time that it does."""
    rests_s: asyncio.Queue[float] = asyncio.Queue()

    async def rest(seconds: float, event: asyncio.Event) -> None:
        rests_s.put_nowait(seconds)
        await wait_at_most(seconds, event)

    monkeypatch.setattr(worker, "wait_at_most", rest)
    return rests_s


@pytest.fixture
async def bench(service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OutboxBench]:
    """An engine whose database does what a test says."""
    for module in ("worker", "settling"):
        monkeypatch.setattr(f"pushdesk.engine.{module}.BACK_OFF_S", 0.01)
    async with open_bench(service, tmp_path, monkeypatch) as running:
        yield running
