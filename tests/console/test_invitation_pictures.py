"""Pictures of an invitation and its form, each taken after what it says was asserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.console.scenes import busy_desk, console
from tests.console.sizes import each_size, smallest_size

if TYPE_CHECKING:
    import pytest

    from tests.console.conftest import Snap


@each_size
def test_the_form_of_an_invitation(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["3", "e"], says=["Invite a browser", "ada", "24h", "Cancel"])


@each_size
def test_an_invitation_with_its_qr_code(snap: Snap, size: tuple[int, int]) -> None:
    snap(
        console(busy_desk()), size, press=["3", "e", "ctrl+s"], says=["for ada", "until Nov 23 12:03", "▀▀▀▀▀", "2B8N"]
    )


@smallest_size
def test_an_invitation_without_colours(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    snap(console(busy_desk()), size, press=["3", "e", "ctrl+s"], says=["for ada", "▀▀▀▀▀", "! Not https"])


def test_an_invitation_in_a_terminal_that_is_too_small(snap: Snap) -> None:
    says = ["too small for the QR code", "2B8N"]
    snap(console(busy_desk()), (60, 18), press=["3", "e", "ctrl+s"], says=says)
