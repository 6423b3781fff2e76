"""Pictures of the subscription cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.model import CacheStats, Scope, Span
from tests.console.fake_desk import FakeDesk
from tests.console.scenes import caching_desk, console, empty_desk
from tests.console.sizes import USUAL, each_size, every_size, smallest_size

if TYPE_CHECKING:
    from tests.console.conftest import Snap

usual_size = pytest.mark.parametrize("size", [USUAL])


@every_size
def test_cache(snap: Snap, size: tuple[int, int]) -> None:
    says = ["97.9 % hits", "1.2 of 40 MB", "loading 2", "hits     47 190", "! guard 4 discarded", "generation 17 → 18"]
    says += ["1 to 65 of 1 621", "eve.longname@depar", "kept for 3 min", "02:50"]
    snap(console(caching_desk()), size, press=["4"], says=says)


@usual_size
@pytest.mark.parametrize("span", [Span.HOUR, Span.DAY])
def test_cache_of_a_longer_time(snap: Snap, size: tuple[int, int], span: Span) -> None:
    says = {Span.HOUR: "Hit ratio · 1 hour", Span.DAY: "Hit ratio · 1 day"}[span]
    snap(console(caching_desk()), size, press=["4", *("h" * list(Span).index(span))], says=[says, "02:50"])


@each_size
def test_cache_as_its_guard_discards_a_read(snap: Snap, size: tuple[int, int]) -> None:
    desk = caching_desk()
    snap(
        console(desk),
        size,
        press=["4"],
        says=["! guard 4 discarded", "02:50"],
        act=lambda: desk.discard("dee.03", read=18_288, current=18_289),
        then_says=["! guard 5 discarded", "just now dee.03, generation 18 288 → 18 289"],
    )


@each_size
def test_cache_of_a_first_start(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Nothing is cached.", "✓ guard", "no look-ups", "0 B of 40 MB"]
    snap(console(empty_desk()), size, press=["4"], says=says)


@smallest_size
def test_cache_that_is_off(snap: Snap, size: tuple[int, int]) -> None:
    desk = empty_desk()
    desk.set_stats(cache=CacheStats())
    snap(console(desk), size, press=["4"], says=["The cache is off: every push reads the database.", "ttl"])


@smallest_size
def test_cache_that_is_being_listed(snap: Snap, size: tuple[int, int]) -> None:
    desk = caching_desk()
    desk.answering.clear()
    snap(console(desk), size, press=["4"], says=["loading…", "97.9 % hits"], waits=True)


@smallest_size
def test_cache_that_cannot_be_listed(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: object) -> None:
        raise PushdeskError("The server is out of memory.", code="internal")

    desk = caching_desk()
    monkeypatch.setattr(desk, "cache", fail)
    app = console(desk)
    says = ["This could not be listed.", "R tries again", "97.9 % hits"]
    # A toast goes by itself: there may be one in the picture, or none.
    snap(app, size, press=["4"], says=says, act=app.clear_notifications, then_says=says)


@smallest_size
def test_cache_while_the_server_starts(snap: Snap, size: tuple[int, int]) -> None:
    app = console(FakeDesk(reachable=False))
    snap(app, size, says=["starting…"], act=lambda: app.action_show("cache"), then_says=["starting…", "4 Cache"])


@smallest_size
def test_cache_after_the_connection_was_lost(snap: Snap, size: tuple[int, int]) -> None:
    desk = caching_desk()
    snap(console(desk), size, press=["4"], says=["02:50"], act=desk.lose, then_says=["↻ reconnecting", "02:50"])


@smallest_size
def test_cache_with_a_token_that_only_reads(snap: Snap, size: tuple[int, int]) -> None:
    desk = caching_desk()
    desk.allowed = frozenset({Scope.READ})
    snap(console(desk), size, press=["4"], says=["READ-ONLY", "? more", "02:50"])


@smallest_size
def test_cache_without_colours(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    snap(console(caching_desk()), size, press=["4"], says=["! guard 4 discarded", "97.9 % hits", "02:50"])


@smallest_size
def test_clearing_the_cache_asks(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(caching_desk()), size, press=["4", "C"], says=["Clear the cache?", "1 621 users", "Cancel", "Clear"])


@smallest_size
def test_a_cached_user_in_full(snap: Snap, size: tuple[int, int]) -> None:
    press = ["4", *["down"] * 8, "enter"]
    snap(console(caching_desk()), size, press=press, says=["dee.03", "18 289", "1.4 kB", "00:10, as of 12:03:44"])
