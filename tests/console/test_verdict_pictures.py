"""Pictures of verdicts, each taken after what it says was asserted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import structs

from pushdesk.errors import PushdeskError
from pushdesk.model import Evidence, Remedy, Verdict, VerdictCode
from tests.console.fake_desk import FakeDesk
from tests.console.scenes import busy_desk, console
from tests.console.sizes import each_size, every_size, smallest_size
from tests.console.verdicts import ACCEPTED, GONE, explained_desk

if TYPE_CHECKING:
    import pytest

    from tests.console.conftest import Snap

CONFIGURED = structs.replace(
    ACCEPTED,
    code=VerdictCode.OUR_CONFIGURATION,
    says="Apple's push service refused how this server identifies itself. That is not the device's fault.",
    advice="Set subscriber in [push] to a real mailto: or https: address, which localhost is not for Apple, and see "
    "that this machine's clock is right: pushdesk doctor looks at both.",
    remedy=Remedy.CONFIGURE,
    evidence=(Evidence("Answered 403: BadJwtToken", ACCEPTED.since), *ACCEPTED.evidence[1:]),
)


class _Silent(FakeDesk):
    async def explain(self, *, user: str = "", subscription: str = "", delivery: str = "") -> Verdict:
        del user, subscription, delivery
        await asyncio.Event().wait()
        raise AssertionError


@every_size
def test_a_verdict_on_what_was_accepted(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Did ada, Firefox · Linux get it?", "✓ accepted", "T Send the test push", "Answered 201."]
    snap(console(explained_desk()), size, press=["3", "w"], says=says)


@each_size
def test_a_verdict_on_a_device_that_is_gone(snap: Snap, size: tuple[int, int]) -> None:
    says = ["✗ gone", "since Nov 19 11:03, 3 d ago", "e Invite the user", "Answered 410: unsubscribed"]
    snap(console(explained_desk()), size, press=["3", "down", "w"], says=says)


@every_size
def test_a_verdict_on_a_user_with_several_devices(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Did ada get it?", "↻ throttled", "next try 12:04:26, in 00:42", "R looks again", "✓ accepted"]
    snap(console(explained_desk()), size, press=["2", "w"], says=says)


@smallest_size
def test_a_verdict_that_waits(snap: Snap, size: tuple[int, int]) -> None:
    says = ["↻ throttled", "next try 12:04:26, in 00:42", "R looks again", "Answered 429: TooManyRequests"]
    snap(console(explained_desk()), size, press=["2", "w", "enter"], says=says)


@smallest_size
def test_a_verdict_on_our_configuration(snap: Snap, size: tuple[int, int]) -> None:
    desk = explained_desk()
    desk.verdicts["sub-0001"] = CONFIGURED
    says = ["! our configuration", "Set subscriber in [push] to", "docs/configuration.md", "Answered 403: BadJwtToken"]
    snap(console(desk), size, press=["3", "w"], says=says)


@smallest_size
def test_a_verdict_where_nothing_can_be_changed(snap: Snap, size: tuple[int, int]) -> None:
    says = ["✗ gone", "Not now: This console was opened with --read-only.", "T Test"]
    snap(console(explained_desk(), read_only=True), size, press=["3", "down", "w"], says=says)


@smallest_size
def test_a_verdict_that_is_waited_for(snap: Snap, size: tuple[int, int]) -> None:
    desk = _Silent()
    desk.subscribe("ada")
    snap(console(desk), size, press=["3", "w"], says=["Did ada", "loading…"], waits=True)


@smallest_size
def test_no_verdict_on_what_is_not_known(snap: Snap, size: tuple[int, int]) -> None:
    says = ["✗ There is nothing here", "Nothing is known of", "R tries again"]
    snap(console(busy_desk()), size, press=["3", "w"], says=says)


@smallest_size
def test_no_verdict_because_of_an_error(snap: Snap, size: tuple[int, int]) -> None:
    desk = explained_desk()
    desk.refusals.append(PushdeskError("The database is locked.", code="database_error", hint="Try again."))
    says = ["✗ The database did not answer as it should", "The database is locked. Try again."]
    snap(console(desk), size, press=["3", "w"], says=says)


@smallest_size
def test_a_verdict_after_the_connection_was_lost(snap: Snap, size: tuple[int, int]) -> None:
    desk = explained_desk()
    snap(console(desk), size, press=["3", "w"], says=["✓ accepted"], act=desk.lose, then_says=["↻ reconnecting"])


@smallest_size
def test_a_verdict_without_colours(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    snap(console(explained_desk()), size, press=["2", "w"], says=["↻ throttled", "✓ accepted"])


@smallest_size
def test_a_verdict_in_light_colours(snap: Snap, size: tuple[int, int]) -> None:
    app = console(explained_desk())
    app.theme = "pushdesk-light"
    snap(app, size, press=["3", "down", "w"], says=["✗ gone", "e Invite the user"])


@smallest_size
def test_what_the_keys_of_a_verdict_do(snap: Snap, size: tuple[int, int]) -> None:
    desk = explained_desk()
    desk.verdicts["sub-0002"] = structs.replace(GONE, delivery=None)
    says = ["Send once more", "not now: There is no", "delivery that could be sent again.", "The VAPID keys"]
    snap(console(desk), size, press=["3", "down", "w", "question_mark"], says=says)
