"""Pictures of every screen, each taken after what it says was asserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.console.scenes import busy_desk, console
from tests.console.sizes import smallest_size

if TYPE_CHECKING:
    from tests.console.conftest import Snap


@smallest_size
def test_quitting_says_what_is_in_flight(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["q"], says=["2 deliveries still in flight", "Nothing is lost", "Stay"])
