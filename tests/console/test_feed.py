"""The stream, brought to a pace."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from pushdesk import __version__
from pushdesk.console.app import PushdeskApp
from pushdesk.console.feed import LONGEST_REST_S, MOST_EVENTS, SAVED_S, SHARE, TICK_S, Budget, Connection, Feed, News
from pushdesk.errors import NoAnswerError, PushdeskError
from pushdesk.model import Scope
from tests.console.fake_desk import VERSION, FakeDesk
from tests.console.looking import until, until_says
from tests.console.scenes import busy_desk, console

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


@asynccontextmanager
async def following(desk: FakeDesk) -> AsyncIterator[asyncio.Queue[News]]:
    news: asyncio.Queue[News] = asyncio.Queue()
    task = asyncio.create_task(Feed(desk, news.put).run())
    try:
        yield news
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_first_news_is_the_state_and_asks_for_lists() -> None:
    desk = FakeDesk()
    async with following(desk) as news:
        first = await news.get()
        live = Connection.LIVE
        assert first == News(live, await desk.stats(), (), anew=True, scopes=frozenset(Scope), version=VERSION)


async def test_a_burst_is_one_batch_with_one_state() -> None:
    desk = FakeDesk()
    async with following(desk) as news:
        await news.get()
        for number in range(500):
            desk.subscribe(f"user-{number}")
        batches = [await news.get()]
        while sum(len(batch.events) for batch in batches) < 500:
            batches.append(await news.get())
        assert len(batches) <= 3
        assert batches[-1].stats is not None
        assert batches[-1].stats.subscriptions == 500


async def test_what_happened_while_away_is_told_once_in_order() -> None:
    desk = FakeDesk()
    async with following(desk) as news:
        await news.get()
        desk.subscribe("ada")
        assert [event.seq for event in (await news.get()).events] == [1, 2]
        desk.lose()
        assert (await news.get()).connection is Connection.LOST
        desk.subscribe("bo")
        desk.subscribe("cy")
        desk.come_back()
        back = await news.get()
        assert back.connection is Connection.LIVE
        assert [event.seq for event in back.events] == [4, 5, 7, 8]
        assert not back.anew


@pytest.mark.parametrize("anew", [True, False])
async def test_lists_are_asked_for_after_a_restart_or_a_gap(*, anew: bool) -> None:
    desk = FakeDesk()
    async with following(desk) as news:
        await news.get()
        desk.lose()
        await news.get()
        desk.subscribe("ada")
        desk.forget_history()
        desk.come_back(anew=anew)
        back = await news.get()
        assert back.anew
        assert back.events == ()


async def test_a_server_that_is_not_there_yet_is_not_an_error() -> None:
    desk = FakeDesk(reachable=False)
    async with following(desk) as news:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(news.get(), 0.05)
        desk.come_back()
        assert (await news.get()).connection is Connection.LIVE


async def test_while_the_console_is_busy_one_news_waits_for_it_at_most() -> None:
    desk = busy_desk()
    app = console(desk)
    at_work, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        at_work.set()
        await done.wait()

    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        app.call_later(work)
        await at_work.wait()
        waiting = []
        for number in range(5):
            desk.subscribe(f"user-{number}")
            await asyncio.sleep(2 * TICK_S)
            queued: Iterable[object] = app._message_queue.values
            waiting.append(sum(isinstance(message, PushdeskApp.NewsArrived) for message in queued))
        done.set()
        assert waiting == [1] * 5
        await until_says(pilot, *(f"user-{number}" for number in range(5)))


async def test_a_server_that_greets_and_goes_is_not_hammered() -> None:
    desk = FakeDesk()
    async with following(desk) as news:
        greeted = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(1.5):
                while True:
                    greeted += (await news.get()).connection is Connection.LIVE
                    desk.lose()
                    desk.come_back()
        assert 2 <= greeted <= 8


@pytest.mark.parametrize("code", ["unauthorized", "forbidden"])
async def test_a_refusal_at_the_start_ends_the_feed(code: str) -> None:
    desk = FakeDesk()
    desk.troubles.append(PushdeskError("The token is not known.", code=code))
    with pytest.raises(PushdeskError, match="token"):
        await Feed(desk, asyncio.Queue[News]().put).run()


async def test_a_server_that_says_when_to_come_again_is_left_alone_until_then() -> None:
    desk = FakeDesk()
    async with following(desk) as news:
        await news.get()
        desk.troubles.append(PushdeskError("Too many.", code="rate_limited", retry_after_s=30))
        desk.lose()
        desk.come_back()
        while (await news.get()).failure is None:
            pass
        desk.subscribe("ada")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(news.get(), 0.5)


async def test_a_refusal_later_is_told_and_not_argued_with() -> None:
    desk = FakeDesk()
    refusal = PushdeskError("The token is not known.", code="unauthorized")
    async with following(desk) as news:
        await news.get()
        desk.troubles.append(refusal)
        desk.lose()
        desk.come_back()
        seen = [await news.get()]
        while seen[-1].connection is not Connection.REFUSED:
            seen.append(await news.get())
        assert seen[-1].troubles == ("The token is not known.",)
        assert [one.failure for one in seen if one.failure is not None] == [refusal]
        # It would be let in now; nothing is heard of it for a long time.
        desk.subscribe("ada")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(news.get(), 0.5)


async def test_what_does_not_answer_is_told_once_until_it_does() -> None:
    desk = FakeDesk()
    silent = NoAnswerError("It does not answer in time.", hint="Look how busy it is.")
    async with following(desk) as news:
        await news.get()
        desk.lose()
        desk.troubles.extend([silent] * 3)
        desk.come_back()
        seen = [await news.get()]
        while seen[-1].connection is not Connection.LIVE:
            seen.append(await news.get())
        assert [one.failure for one in seen if one.failure is not None] == [silent]
        assert (str(silent),) in [one.troubles for one in seen]
        assert seen[-1].troubles == ()


async def test_what_cannot_be_read_is_told_with_both_versions() -> None:
    desk = FakeDesk()
    async with following(desk) as news:
        assert (await news.get()).troubles == ()
        desk.left_out = 1
        desk.subscribe("ada")
        assert "left out" in (await news.get()).troubles[0]
        desk.set_stats(version="0.9.0")
        desk.lose()
        desk.come_back()
        while (told := await news.get()).version != "0.9.0":
            pass
        versions = f"The server is 0.9.0, this console is {__version__}: what it cannot read is left out."
        assert told.troubles == (versions,)


async def test_while_news_is_not_taken_nothing_is_published_and_little_is_kept() -> None:
    desk = FakeDesk()
    news: asyncio.Queue[News] = asyncio.Queue()
    taken = asyncio.Event()

    async def take(one: News) -> None:
        await news.put(one)
        await taken.wait()

    following = asyncio.create_task(Feed(desk, take).run())
    try:
        await news.get()
        one = desk.subscribe("ada")
        for _ in range(MOST_EVENTS + 1):
            desk.change(one.id, failures=1)
        desk.set_stats(queue=17)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(news.get(), 0.3)
        taken.set()
        after = await news.get()
        assert after.anew
        assert len(after.events) < MOST_EVENTS
        assert after.stats is not None
        assert after.stats.queue == 17
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_server_in_trouble_is_told_once_and_asked_again() -> None:
    desk = FakeDesk()
    locked = PushdeskError("The database is locked.", code="database_error")
    async with following(desk) as news:
        await news.get()
        desk.lose()
        await news.get()
        desk.subscribe("ada")
        desk.troubles.extend([locked] * 3)
        desk.come_back()
        seen = [await news.get()]
        while seen[-1].connection is not Connection.LIVE:
            seen.append(await news.get())
        assert [one.failure for one in seen if one.failure is not None] == [locked]
        assert [event.seq for one in seen for event in one.events] == [1, 2]


def test_showing_takes_its_share_of_a_core_in_the_long_run_and_what_was_saved_at_once() -> None:
    budget, time_s, work_s, shown = Budget(0.0, 0.0), 0.0, 0.0, 0
    each_s = 0.04
    while time_s < 60:
        time_s, work_s, shown = time_s + TICK_S, work_s + each_s, shown + 1
        time_s += budget.rest_s(time_s, work_s)
    assert shown * each_s == pytest.approx(60 * SHARE + SAVED_S, abs=each_s)


def test_what_takes_little_is_shown_without_a_rest() -> None:
    budget = Budget(0.0, 0.0)
    assert [budget.rest_s(tick * TICK_S, tick * TICK_S * SHARE) for tick in range(1, 1000)] == [0.0] * 999


def test_whatever_it_takes_nothing_rests_for_longer_than_a_person_waits() -> None:
    budget = Budget(0.0, 0.0)
    assert budget.rest_s(10.0, 10.0) == pytest.approx(LONGEST_REST_S)
    assert budget.rest_s(10.0 + LONGEST_REST_S, 10.0) == 0.0
