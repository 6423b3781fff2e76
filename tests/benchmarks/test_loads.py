"""Loads: pushes that arrive are told with their moments, and each belongs to the notification that it was for."""

from __future__ import annotations

import time
from pathlib import Path

import aiohttp

from benchmarks.arrivals import Arrival, Arrivals, arrivals
from benchmarks.loads import Moments, matched, send
from benchmarks.processes import family, family_cpu_s
from benchmarks.stock import Stock, started, stock

NOWHERE = "http://127.0.0.1:1"
ONE_DEVICE = Stock(Path("stock"), NOWHERE, users=3, devices_each=1)
TWO_DEVICES = Stock(Path("stock"), NOWHERE, users=3, devices_each=2)


def test_arrivals_are_counted_by_whole_lines_and_kept_until_they_are_taken() -> None:
    found = Arrivals(NOWHERE)
    found.told(b"/a/1 100\n/a/2 2")
    assert found.count == 1
    assert found.take() == [Arrival("/a/1", 100)]
    found.told(b"00\n")
    assert found.count == 2
    assert found.take() == [Arrival("/a/2", 200)]
    assert found.take() == []


def test_the_first_that_a_user_was_sent_is_the_first_that_arrived_there() -> None:
    first, second, other = Moments(1, 10, 20), Moments(1, 30, 40), Moments(2, 15, 25)
    arrived = [Arrival("/stock/1", 50), Arrival("/stock/2", 55), Arrival("/stock/1", 60)]
    assert sorted(matched(ONE_DEVICE, [second, other, first], arrived)) == [(first, 50), (second, 60), (other, 55)]


def test_what_did_not_arrive_matches_nothing() -> None:
    asked = Moments(1, 10, 20)
    assert matched(TWO_DEVICES, [asked], [Arrival("/stock/3", 50)]) == [(asked, 50)]


async def test_a_push_service_tells_of_each_push_when_it_came() -> None:
    async with arrivals() as found, aiohttp.ClientSession() as session:
        began_ns = time.monotonic_ns()
        for path in ("/a/1", "/a/2"):
            async with session.post(f"{found.origin}{path}", data=b"sealed") as response:
                assert response.status == 201
        await found.reach(2)
        first, second = found.take()
        assert (first.path, second.path) == ("/a/1", "/a/2")
        assert began_ns <= first.at_ns <= second.at_ns <= time.monotonic_ns()


async def test_a_server_on_a_stock_sends_to_its_devices(tmp_path: Path) -> None:
    async with arrivals() as found:
        made = await stock(tmp_path / "made", found.origin, users=5, devices_each=2)
        async with started(made) as server:
            assert family(server.pid)[0] == server.pid
            sent = await send(made, server.url, server.pid, found, rate=20, seconds=0.5)
            assert family_cpu_s(server.pid) > 0
    assert sent.due == 20
    assert sent.lost == 0
    assert len(sent.since_asked_ms) == 20
    assert min(sent.since_asked_ms) > 0
