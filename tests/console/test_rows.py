"""The table of the console, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App, ComposeResult
from textual.content import Content

from pushdesk.console.widgets.columns import Column, fit
from pushdesk.console.widgets.rows import Rows
from tests.console.looking import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.pilot import Pilot

COLUMNS = (Column("key", "key", 6), Column("word", "word", 8, grows=1), Column("more", "more", 10, priority=1))
Item = tuple[str, str]


class Table(App[None]):
    def __init__(self, *, most: int = 100_000, follow: bool = False) -> None:
        super().__init__()
        self.rows: Rows[Item] = Rows(
            COLUMNS,
            key=lambda item: item[0],
            cells=lambda item: [Content(item[0]), Content(item[1]), Content("more")],
            name="rows",
            most=most,
            follow=follow,
        )

    def compose(self) -> ComposeResult:
        yield self.rows

    def on_mount(self) -> None:
        self.rows.focus()


def items(*numbers: int, word: str = "word") -> list[Item]:
    return [(f"k{number}", word) for number in numbers]


async def shown(pilot: Pilot[None]) -> list[str]:
    await pilot.pause()
    return [line.split()[0] for line in text_of(pilot.app).splitlines()[1:] if line.strip()]


async def test_an_item_with_a_known_key_takes_its_place() -> None:
    app = Table()
    async with app.run_test(size=(40, 10)) as pilot:
        app.rows.show(items(1, 2, 3))
        app.rows.put(items(2, 4, word="other"))
        assert await shown(pilot) == ["k1", "k2", "k3"]
        assert "k2      other" in text_of(app)


async def test_the_cursor_stays_with_its_item() -> None:
    app = Table()
    async with app.run_test(size=(40, 10)) as pilot:
        app.rows.show(items(1, 2, 3))
        await pilot.press("down")
        assert app.rows.current == ("k2", "word")
        app.rows.show(items(9, 8, 2, 1))
        assert app.rows.current == ("k2", "word")
        app.rows.show(items(7))
        assert app.rows.current == ("k7", "word")
        app.rows.show([])
        assert app.rows.current is None


async def test_a_followed_table_shows_its_end() -> None:
    app = Table(follow=True)
    async with app.run_test(size=(40, 6)) as pilot:
        app.rows.put_last(items(*range(20)))
        assert await shown(pilot) == ["k15", "k16", "k17", "k18", "k19"]
        await pilot.press("home")
        app.rows.put_last(items(20))
        assert await shown(pilot) == ["k0", "k1", "k2", "k3", "k4"]
        app.rows.follow = True
        assert (await shown(pilot))[-1] == "k20"


async def test_an_item_that_is_another_now_goes_to_the_end_and_one_that_is_not_stays() -> None:
    app = Table()
    async with app.run_test(size=(40, 10)) as pilot:
        app.rows.put_last(items(1, 2, 3, 4, 5))
        app.rows.put_last([*items(4, 6), *items(2, word="other")], without=["k1", "k9"])
        assert await shown(pilot) == ["k3", "k4", "k5", "k6", "k2"]
        assert [app.rows.find(f"k{number}") for number in range(1, 7)] == [
            None,
            ("k2", "other"),
            *items(3, 4, 5, 6),
        ]
        app.rows.put_last((), without=["k2", "k3", "k4", "k5", "k6"])
        assert await shown(pilot) == []
        assert app.rows.current is None


async def test_the_cursor_goes_with_its_item_to_the_end() -> None:
    app = Table()
    async with app.run_test(size=(40, 6)) as pilot:
        app.rows.show(items(*range(20)))
        await pilot.press("down", "down")
        app.rows.put_last(items(0, 2, word="other"))
        assert app.rows.current == ("k2", "other")
        assert await shown(pilot) == ["k17", "k18", "k19", "k0", "k2"]
        app.rows.put_last((), without=["k2"])
        assert app.rows.current == ("k0", "other")


async def test_what_is_looked_at_stands_still_when_rows_above_go() -> None:
    app = Table()
    async with app.run_test(size=(40, 6)) as pilot:
        app.rows.show(items(*range(20)))
        await pilot.press(*["down"] * 10)
        before = await shown(pilot)
        assert before == ["k6", "k7", "k8", "k9", "k10"]
        app.rows.put_last(items(1, 3, word="other"), without=["k2"])
        assert await shown(pilot) == before
        assert app.rows.current == ("k10", "word")


async def test_older_items_go_above_and_move_nothing() -> None:
    app = Table()
    async with app.run_test(size=(40, 6)) as pilot:
        app.rows.show(items(*range(50, 60)))
        app.rows.put_before(items(*range(50)))
        assert app.rows.current == ("k50", "word")
        assert await shown(pilot) == ["k50", "k51", "k52", "k53", "k54"]


async def test_the_oldest_go_when_there_are_too_many() -> None:
    app = Table(most=100, follow=True)
    async with app.run_test(size=(40, 6)) as pilot:
        for start in range(0, 1000, 10):
            app.rows.put_last(items(*range(start, start + 10)))
        assert len(app.rows.items) <= 110
        assert (await shown(pilot))[-1] == "k999"
        app.rows.put_last(items(999, word="last"))
        await pilot.pause()
        assert "k999    last" in text_of(app)
        assert "k0" not in app.rows


async def test_a_hundred_thousand_rows_are_drawn_like_fifty() -> None:
    app = Table(follow=True)
    async with app.run_test(size=(40, 6)) as pilot:
        made: list[str] = []
        cells = app.rows._cells

        def counted(item: Item) -> Sequence[Content]:
            made.append(item[0])
            return cells(item)

        app.rows._cells = counted
        app.rows.put_last(items(*range(100_000)))
        assert (await shown(pilot))[-1] == "k99999"
        assert len(set(made)) < 20


async def test_columns_are_left_out_by_priority() -> None:
    assert [each.column.key for each in fit(COLUMNS, 60)] == ["key", "word", "more"]
    assert [each.column.key for each in fit(COLUMNS, 20)] == ["key", "word"]
    assert [each.column.key for each in fit(COLUMNS, 3)] == ["key", "word"]
    assert [(each.x, each.width) for each in fit(COLUMNS, 60)] == [(0, 6), (8, 40), (50, 10)]
