"""What the Cache screen says and does while things happen."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from pushdesk.console.app import PushdeskApp
from pushdesk.console.cache_rows import CacheRow
from pushdesk.console.screens import cache
from pushdesk.console.screens.words import WordsScreen
from pushdesk.console.widgets.rows import Rows
from pushdesk.desk import CacheChanged
from pushdesk.errors import PushdeskError
from pushdesk.model import CacheChange, CacheEntry, CacheStats, Scope, Span
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, caching_desk, console, empty_desk

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

WIDE = (120, 40)
ENTRY = CacheEntry("ada", 18, 2, age_s=3.0, time_left_s=177.0, size=1100)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def go_on(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def small_desk() -> FakeDesk:
    """Return a server with three users in its cache: fay, gus and hal, the youngest first."""
    desk = FakeDesk()
    for age_s, user in ((1.0, "fay"), (20.0, "gus"), (100.0, "hal")):
        desk.subscribe(user)
        desk.cache_user(user, age_s=age_s, time_left_s=180.0 - age_s)
    return desk


def users(app: PushdeskApp) -> list[str]:
    rows: Rows[CacheRow] = app.screen.query_one("#cache", Rows)
    return [row.entry.user for row in rows.items]


@pytest.mark.parametrize(
    ("later_s", "age", "left"),
    [
        (0.0, "00:00", "03:00"),
        (1.9, "00:00", "03:00"),
        (2.0, "00:05", "02:55"),
        (100.0, "01:40", "01:20"),
        (168.0, "02:50", "00:09"),
        (176.4, "02:55", "00:01"),
        (177.0, "03:00", "expired"),
        (5000.0, "1 h 23", "expired"),
    ],
)
def test_a_row_is_as_old_as_it_was_told_to_be_and_what_has_gone_by_since(later_s: float, age: str, left: str) -> None:
    row = CacheRow.of(ENTRY, NOON, NOON).at(NOON + timedelta(seconds=later_s))
    assert (row.age, row.left) == (age, left)


async def test_rows_grow_older_without_anything_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "AGEING_S", 0.01)
    clock, desk = Clock(), small_desk()
    app = PushdeskApp(desk, url=URL, mode="embedded", now=clock)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until_says(pilot, "00:20", "02:40", "01:40", "01:20")
        clock.go_on(30)
        await until_says(pilot, "00:30", "02:30", "02:10", "00:50")
        clock.go_on(55)
        await until_says(pilot, "expired")
        assert users(app) == ["fay", "gus", "hal"]


async def test_rows_stand_still_while_the_connection_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "AGEING_S", 0.01)
    clock, desk = Clock(), small_desk()
    app = PushdeskApp(desk, url=URL, mode="embedded", now=clock)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until_says(pilot, "00:20", "02:40")
        desk.lose()
        await until_says(pilot, "reconnecting")
        clock.go_on(30)
        await until(pilot, lambda: app.minute)
        assert "00:20" in text_of(app)
        desk.come_back()
        await until_says(pilot, "00:50", "02:10")


async def test_what_happens_in_the_cache_is_seen_in_the_list() -> None:
    desk = small_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        desk.cache_user("gus", generation=4711, devices=9, age_s=25.0)
        await until_says(pilot, "4 711", "00:25")
        desk.cache_user("ivy")
        await until(pilot, lambda: users(app) == ["ivy", "fay", "gus", "hal"])
        await desk.invalidate_cache("fay")
        await until(pilot, lambda: users(app) == ["ivy", "gus", "hal"])


async def test_looking_up_users_that_are_not_on_the_page_asks_for_nothing() -> None:
    desk = small_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        await settled(pilot)
        desk._cache["zoe"] = msgspec.structs.replace(ENTRY, user="zoe")
        desk._emit(CacheChanged(desk._number(), NOON, CacheChange.HIT, "zoe", desk._cache["zoe"]))
        desk._emit(
            CacheChanged(desk._number(), NOON, CacheChange.HIT, "gus", msgspec.structs.replace(ENTRY, user="gus"))
        )
        await until_says(pilot, "1 100")
        await settled(pilot)
        assert users(app) == ["fay", "gus", "hal"]
        desk._emit(CacheChanged(desk._number(), NOON, CacheChange.MISS, "", count=400))
        await until(pilot, lambda: "zoe" in users(app))


async def test_what_a_filter_leaves_out_asks_for_nothing() -> None:
    desk = small_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        await pilot.press("slash", *"gus", "enter")
        await until(pilot, lambda: users(app) == ["gus"])
        desk.cache_user("ivy")
        desk.cache_user("gustav")
        await until(pilot, lambda: users(app) == ["gustav", "gus"])


async def test_what_happened_while_another_screen_was_shown_is_caught_up_with() -> None:
    desk = small_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        await pilot.press("3")
        await until_says(pilot, "1 to 3 of 3 · ")
        desk.cache_user("ivy")
        await until(pilot, lambda: app.events and isinstance(app.events[-1], CacheChanged))
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["ivy", "fay", "gus", "hal"])


async def test_d_lets_the_user_under_the_cursor_be_read_again_and_says_that_it_is_harmless() -> None:
    desk = small_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        await pilot.press("down", "d")
        await until(pilot, lambda: toasts(app) == ["gus is read again when needed. No push is lost by it."])
        await until(pilot, lambda: users(app) == ["fay", "hal"])
        assert desk.calls == [("invalidate_cache", "gus")]


async def test_a_user_who_is_held_no_more_is_said_to_be_so() -> None:
    desk = small_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        # Gone without a word, as where events were dropped.
        del desk._cache["fay"]
        await pilot.press("d")
        await until(pilot, lambda: toasts(app) == ["Nothing was held of fay any more. No push is lost by it."])


async def test_clearing_clears_only_after_it_was_confirmed() -> None:
    desk = small_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        await pilot.press("C")
        await until_says(pilot, "Clear the cache?", "3 users")
        await pilot.press("enter")
        await settled(pilot)
        assert desk.calls == []
        await pilot.press("C", "right", "enter")
        await until(pilot, lambda: toasts(app) == ["Cleared: 3 users, each of whom is read again when needed."])
        await until_says(pilot, "Nothing is cached.")
        assert desk.calls == [("clear_cache", None)]


@pytest.mark.parametrize("keys", [["d"], ["C", "right", "enter"]])
async def test_what_the_server_refuses_is_told(keys: list[str]) -> None:
    desk = small_desk()
    desk.refusals.append(PushdeskError("You may look, and no more.", code="forbidden"))
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        await pilot.press(*keys)
        await until(pilot, lambda: toasts(app) == ["This is not allowed: You may look, and no more."])
        assert users(app) == ["fay", "gus", "hal"]


async def test_an_empty_cache_says_why_there_is_nothing_to_do() -> None:
    app = console(empty_desk())
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("4")
        await until_says(pilot, "Nothing is cached.")
        await pilot.press("d", "C")
        assert toasts(app) == ["No user is selected.", "The cache holds nothing."]


async def test_a_cache_that_is_off_says_so() -> None:
    desk = empty_desk()
    desk.set_stats(cache=CacheStats())
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("4")
        await until_says(pilot, "The cache is off: every push reads the database.")
        await pilot.press("C")
        assert toasts(app) == ["The cache is off."]


async def test_a_console_that_only_looks_changes_nothing() -> None:
    desk = small_desk()
    desk.allowed = frozenset({Scope.READ})
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        await pilot.press("d", "C")
        assert toasts(app) == ["Your access token allows to look, not to change anything."]
        assert desk.calls == []


async def test_nothing_can_be_changed_while_the_server_is_away() -> None:
    desk = small_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        desk.lose()
        await until_says(pilot, "reconnecting")
        await pilot.press("d", "C")
        assert toasts(app) == ["The connection is lost; it is tried again all the time."]


async def test_enter_shows_a_cached_user_in_full_and_y_copies_the_name() -> None:
    desk = small_desk()
    desk.cache_user("ivy", devices=0, size=420)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: users(app) == ["ivy", "fay", "gus", "hal"])
        await pilot.press("y")
        assert app.clipboard == "ivy"
        await pilot.press("enter")
        assert isinstance(app.screen, WordsScreen)
        await until_says(pilot, "none, which is remembered too", "420 B", "03:00, then it is read again")


async def test_what_the_guard_discards_lights_up_and_is_kept_as_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LIT_S", 0.3)
    desk = caching_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until_says(pilot, "! guard 4 discarded", "11:59:44 ada, generation 17 → 18")
        guard = app.screen.query_one("#guard")
        assert not guard.has_class("-lit")
        desk.discard("bo", read=24, current=None)
        await until_says(pilot, "! guard 5 discarded", "just now bo, generation 24 → none held")
        assert guard.has_class("-lit")
        await until_says(pilot, "12:03:44 bo, generation 24 → none held")
        assert not guard.has_class("-lit")


async def test_what_the_guard_discarded_while_another_screen_was_shown_lights_up_when_it_is_seen() -> None:
    desk = caching_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until_says(pilot, "11:59:44 ada, generation 17 → 18")
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · ")
        desk.discard("bo", read=24, current=25)
        await until(pilot, lambda: app.stats is not None and app.stats.cache.counts[CacheChange.DISCARDED] == 5)
        await pilot.press("4")
        await until_says(pilot, "just now bo, generation 24 → 25")


async def test_sorts_of_the_cache_are_the_servers() -> None:
    desk = small_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until_says(pilot, "age ▲")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])
        await pilot.press("s")
        await until_says(pilot, "time left ▲")
        await until(pilot, lambda: users(app) == ["hal", "gus", "fay"])
        await pilot.press("S")
        await until_says(pilot, "time left ▼")
        await until(pilot, lambda: users(app) == ["fay", "gus", "hal"])


async def test_how_long_charts_look_back_is_remembered_for_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    app = console(busy_desk(), state_file=file)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 5 min", "12:01")
        await pilot.press("h")
        await until_says(pilot, "Sends · 1 hour")
        await pilot.press("4")
        await until_says(pilot, "Hit ratio · 1 hour")
        await pilot.press("h")
        await until_says(pilot, "Hit ratio · 1 day")
        await pilot.press("1")
        await until_says(pilot, "Sends · 1 day")
    desk = busy_desk()
    again = console(desk, state_file=file)
    async with again.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Sends · 1 day")
        assert desk.spans == [Span.DAY]


async def test_a_server_that_is_older_than_the_history_has_everything_else() -> None:
    desk = busy_desk()
    desk.history_trouble = PushdeskError("There is nothing here.", code="not_found")
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until_says(pilot, "This server keeps no history", "✓ accepted 48 213", "412/s", "97.9 % hits", "✓ 201")
        await pilot.press("h")
        assert toasts(app) == ["This server keeps no history. It is older than this console."]
        await pilot.press("4")
        await until_says(pilot, "This server keeps no history", "97.9 % hits")
        desk.lose()
        await until_says(pilot, "reconnecting")
        desk.history_trouble = None
        desk.come_back()
        await until_says(pilot, "Hit ratio · 5 min", "12:01")
