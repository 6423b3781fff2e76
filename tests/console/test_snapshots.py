"""Pictures of every screen, each taken after what it says was asserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.scenes import busy_desk, console, empty_desk

if TYPE_CHECKING:
    from tests.console.conftest import Snap

SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]
WARNING = "Apple will refuse every push: the subscriber claim mailto:admin@localhost is not one it takes."
PLAIN_HTTP = "The access URL is not https: only browsers on this machine can subscribe."
each_size = pytest.mark.parametrize("size", SIZES)
smallest_size = pytest.mark.parametrize("size", SIZES[:1])
"""For what another picture of both sizes is made of, but for a few words."""


@smallest_size
def test_subscriptions_with_warnings(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    desk.set_stats(warnings=(WARNING, PLAIN_HTTP))
    snap(console(desk), size, press=["3"], says=["! 2 warnings: see Overview", "Firefox · Linux"])


@each_size
def test_subscriptions(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["3"], says=["Firefox · Linux", "✗ gone", "Mozilla#3779b1", "1 to 6 of 6"])


@smallest_size
def test_subscriptions_of_a_first_start(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(empty_desk()), size, press=["3"], says=["No browser is subscribed yet.", "http://localhost:8484"])


@smallest_size
def test_subscriptions_filtered(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["3", "slash", "a", "d", "a", "enter"], says=["filter: ada", "1 to 2"])


@smallest_size
def test_a_filter_that_matches_nothing(snap: Snap, size: tuple[int, int]) -> None:
    snap(
        console(busy_desk()),
        size,
        press=["3", "slash", "z", "z", "enter"],
        says=["No user's name contains zz", "esc shows"],
    )


@each_size
def test_details_of_a_subscription(snap: Snap, size: tuple[int, int]) -> None:
    says = ["subscription  Mozilla#3779b1", "last failure  never", "166 ms" if size[0] > 80 else "✓ 201"]
    snap(console(busy_desk()), size, press=["3", "enter"], says=says)


@smallest_size
def test_removing_a_subscription_asks(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["3", "d"], says=["Remove this subscription?", "Cancel"])


@each_size
def test_deliveries(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["5"], says=["↻ 503 will retry", "! 403 our key", "201 ms", "following"])


@smallest_size
def test_deliveries_of_a_first_start(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(empty_desk()), size, press=["5"], says=["Nothing was sent yet.", "Press t to send a test."])


@each_size
def test_deliveries_paused(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    one = desk.subscribe("fay")
    snap(
        console(desk),
        size,
        press=["5", "p"],
        says=["paused, 0 new", "201 ms"],
        act=lambda: [desk.deliver(one) for _ in range(7)],
        then_says=["paused, 7 new"],
    )


@each_size
def test_details_of_a_dispatch(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["5", "enter"], says=["↻ sending", "dispatch-0047", "12:04:26"])


@smallest_size
def test_quitting_says_what_is_in_flight(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["q"], says=["2 deliveries still in flight", "Nothing is lost", "Stay"])


@pytest.mark.parametrize("theme", ["pushdesk-light", "ansi-dark"])
def test_subscriptions_in_other_themes(snap: Snap, theme: str) -> None:
    app = console(busy_desk())
    app.theme = theme
    snap(app, (80, 24), press=["3"], says=["✓ active", "✗ gone"])
