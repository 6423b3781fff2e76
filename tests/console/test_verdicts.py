"""Verdicts: what is asked, what is shown of the answer, and what helps from there."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from pushdesk.console.app import PushdeskApp
from pushdesk.console.following import RELOAD_S
from pushdesk.console.screens.invite import InviteScreen
from pushdesk.console.screens.verdict import VerdictScreen
from pushdesk.console.status import VERDICTS
from pushdesk.errors import NO_ROUTE, PushdeskError
from pushdesk.model import Evidence, Measure, Outcome, Remedy, Service, VerdictCode
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import heard, settled, text_of, toasts, until, until_says, unwrapped
from tests.console.scenes import busy_desk, console
from tests.console.verdicts import ACCEPTED, GONE, OF_ADA, THROTTLED, explained_desk

if TYPE_CHECKING:
    from datetime import datetime

    from textual.pilot import Pilot
    from textual.widgets import Button, Input

WIDE = (120, 40)


@pytest.mark.parametrize("code", list(VerdictCode))
async def test_every_verdict_is_told_by_glyph_and_word(code: VerdictCode) -> None:
    desk = busy_desk()
    desk.verdicts["sub-0001"] = structs.replace(ACCEPTED, code=code, says="It is so.", advice="Do this.")
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await _ask(pilot, "3")
        look = VERDICTS[code]
        await until_says(pilot, f"{look.glyph} {look.word}   since", "It is so.", "Do this.")


async def test_an_invitation_is_offered_to_whom_it_helps() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _ask(pilot, "3", "down")
        await until_says(pilot, "e Invite the user")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, InviteScreen))
        field: Input = app.screen.query_one("#user")  # type: ignore[assignment]  # an Input
        assert field.value == "bo"
        await pilot.press("ctrl+s")
        await until_says(pilot, "2B8N")
        await pilot.press("escape")
        assert isinstance(app.screen, VerdictScreen)
        assert ("invite", ("bo", 86400)) in desk.calls


async def test_the_test_push_is_sent_to_the_device_and_asked_anew() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "✓ accepted")
        desk.verdicts["sub-0001"] = structs.replace(ACCEPTED, says="It was seen.")
        await pilot.press("T")
        await until_says(pilot, "It was seen.")
        assert ("test", ("ada", "sub-0001")) in desk.calls
        await until(pilot, lambda: toasts(app) == ["ada, Firefox · Linux: ✓ 201"])


async def test_the_test_push_is_sent_to_all_devices_of_a_user_whom_the_verdict_is_on() -> None:
    desk = busy_desk()
    desk.verdicts["ada"] = structs.replace(OF_ADA, remedy=Remedy.TEST)
    desk.outcomes["sub-0005"] = Outcome.GONE
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "2")
        await until_says(pilot, "T Send the test push")
        await pilot.press("T")
        await until(pilot, lambda: toasts(app) == ["ada: ✓ 1 accepted, ✗ 1 gone"])
        assert ("test", ("ada", None)) in desk.calls


async def test_the_test_push_is_sent_to_the_device_of_a_delivery_whom_the_verdict_is_on() -> None:
    desk = busy_desk()
    desk.verdicts["delivery-0048"] = structs.replace(ACCEPTED, user="eve", subscription="sub-0006")
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "5")
        await until_says(pilot, "T Send the test push")
        await pilot.press("T")
        said = "eve.longname@department.example.org, Firefox · macOS: ✓ 201"
        await until(pilot, lambda: toasts(app) == [said])
        assert desk.calls[1] == ("test", ("eve.longname@department.example.org", "sub-0006"))


async def test_the_button_does_what_helps() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "T Send the test push")
        await pilot.click("#remedy")
        await until(pilot, lambda: toasts(app) == ["ada, Firefox · Linux: ✓ 201"])


async def test_what_expired_is_sent_again() -> None:
    desk = busy_desk()
    desk.verdicts["delivery-0048"] = structs.replace(
        ACCEPTED, code=VerdictCode.EXPIRED, remedy=Remedy.SEND_AGAIN, user="eve", delivery="delivery-0048"
    )
    desk.outcomes["sub-0006"] = Outcome.GONE
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "5")
        await until_says(pilot, "✗ expired", "r Send it again")
        await pilot.press("r")
        said = "eve.longname@department.example.org, Firefox · macOS, sent again: ✗ 1 gone"
        await until(pilot, lambda: toasts(app) == [said])
        assert ("resend", "delivery-0048") in desk.calls


async def test_nothing_is_sent_to_a_device_that_has_ended_and_it_is_said() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "3", "down")
        await until_says(pilot, "✗ gone")
        await pilot.press("T", "r")
        assert toasts(app) == ["Nothing is sent to this device, until its browser subscribes again."]
        assert not any(name in {"test", "resend"} for name, _ in desk.calls)


async def test_what_cannot_be_sent_again_is_said() -> None:
    desk = busy_desk()
    # Of a delivery: its device may have subscribed again since, which the server knows.
    desk.verdicts["delivery-0048"] = structs.replace(GONE, subscription="sub-0006", delivery="delivery-0048")
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "5")
        await until_says(pilot, "✗ gone")
        desk.refusals.append(PushdeskError("This device has ended.", code="subscription_gone", hint="Invite the user."))
        await pilot.press("r")
        said = "Nothing is sent to this subscription: This device has ended. Invite the user."
        await until(pilot, lambda: toasts(app) == [said])


async def test_the_keys_are_shown_where_a_key_is_the_matter() -> None:
    desk = busy_desk()
    desk.verdicts["sub-0001"] = structs.replace(ACCEPTED, code=VerdictCode.KEY_ENDED, remedy=Remedy.SEE_KEYS)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "✗ key has ended", "6 See the keys")
        await pilot.press("6")
        await until(pilot, lambda: app.current_mode == "keys")
        await pilot.press("3")
        await until_says(pilot, "✗ key has ended")


async def test_nothing_is_offered_where_nothing_helps() -> None:
    desk = busy_desk()
    desk.verdicts["sub-0001"] = structs.replace(ACCEPTED, code=VerdictCode.SUPERSEDED, remedy=Remedy.NONE, evidence=())
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "- superseded")
        button: Button = app.screen.query_one("#remedy")  # type: ignore[assignment]  # a Button
        assert not button.region
        assert "Evidence" not in text_of(app)


async def test_read_only_dims_what_helps_and_says_why() -> None:
    desk = explained_desk()
    app = console(desk, read_only=True)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "Not now: This console was opened with --read-only.")
        await pilot.press("T", "r", "e")
        await pilot.click("#remedy")
        await settled(pilot)
        assert isinstance(app.screen, VerdictScreen)
        assert toasts(app) == ["This console was opened with --read-only."]
        assert [name for name, _ in desk.calls] == ["explain"]


async def test_a_lost_connection_dims_what_helps_until_it_is_back() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "T Send the test push")
        desk.lose()
        await until_says(pilot, "↻ reconnecting", "Not now: The connection is lost", "✓ accepted")
        await pilot.press("R", "T")
        assert toasts(app) == ["The connection is lost; it is tried again all the time."]
        desk.verdicts["sub-0001"] = structs.replace(ACCEPTED, says="It is another server.")
        desk.come_back(anew=True)
        await until_says(pilot, "It is another server.", "esc closes")
        await until(pilot, lambda: "Not now" not in text_of(app))


async def test_a_device_of_a_user_has_its_own_verdict_and_leads_back_to_the_user() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "2")
        await until_says(pilot, "Did ada get it?", "↻ throttled", "✓ accepted")
        await pilot.press("w")
        assert toasts(app) == ["This is about the user already."]
        await pilot.press("down", "enter")
        await until_says(pilot, "Did ada, Firefox · Linux get it?", "✓ accepted")
        await pilot.press("w")
        await until_says(pilot, "Did ada get it?")
        await pilot.press("escape", "escape", "escape")
        assert app.current_mode == "users"
        assert not isinstance(app.screen, VerdictScreen)


async def test_no_other_frame_is_seen_around_a_verdict() -> None:
    app = console(explained_desk())
    async with app.run_test(size=(80, 24)) as pilot:
        await _ask(pilot, "2")
        await until_says(pilot, "Did ada get it?", "✓ accepted")
        await pilot.press("enter")
        await until_says(pilot, "Did ada, Chromium · Linux get it?")
        await settled(pilot)
        # What is behind a dialog is in the picture only.
        assert app.export_screenshot().count("╭") == 1


async def test_a_verdict_follows_what_happens_at_most_once_a_second() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "✓ accepted")
        began, before = monotonic(), len(desk.calls)
        desk.verdicts["sub-0001"] = structs.replace(ACCEPTED, says="And now this.")
        for _ in range(6):
            await heard(pilot, app, desk.deliver(desk._subscriptions["sub-0001"]))
        await until_says(pilot, "And now this.")
        assert len(desk.calls) - before <= (monotonic() - began) // RELOAD_S + 1
        verdict = app.screen
        assert isinstance(verdict, VerdictScreen)
        await until(pilot, lambda: verdict._resting is None)
        before = len(desk.calls)
        for _ in range(3):
            await heard(pilot, app, desk.deliver(desk._subscriptions["sub-0003"]))
        assert len(desk.calls) == before


async def test_a_verdict_counts_down_and_is_asked_anew_at_the_end() -> None:
    desk = explained_desk()
    clock = [NOON]

    def now() -> datetime:
        return clock[0]

    app = PushdeskApp(desk, url=URL, mode="embedded", now=now)
    async with app.run_test(size=WIDE) as pilot:
        await _ask(pilot, "2")
        await until_says(pilot, "next try 12:04:26, in 00:42")
        clock[0] += timedelta(seconds=2)
        await until_says(pilot, "next try 12:04:26, in 00:40")
        desk.verdicts["ada"] = structs.replace(OF_ADA, code=VerdictCode.ACCEPTED, until=None, says="It was taken.")
        clock[0] += timedelta(seconds=40)
        await until_says(pilot, "It was taken.")
        assert "next try" not in text_of(app)


async def test_evidence_without_a_time_and_too_long_for_a_line_stays_beside_the_times() -> None:
    desk = busy_desk()
    long = "The push service said a great deal about it, " * 6 + "and then no more."
    desk.verdicts["sub-0001"] = structs.replace(
        ACCEPTED, evidence=(Evidence(long, NOON), Evidence(long), Evidence("And this."))
    )
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "12:03:44      The push service said", "│               service said a great")
        assert "And this." not in text_of(app)
        await pilot.press("ctrl+d")
        await until(pilot, lambda: "And this." in text_of(app))
        await pilot.press("ctrl+u")
        await until_says(pilot, "✓ accepted")


async def test_the_commands_that_help_are_shown_and_copied() -> None:
    desk = busy_desk()
    desk.verdicts["sub-0001"] = structs.replace(
        ACCEPTED,
        code=VerdictCode.WAITING,
        remedy=Remedy.WAIT,
        measures=(Measure.RESUME, Measure.CANCEL),
        service=Service.MOZILLA,
        dispatch="d-0001",
    )
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "pushdesk services resume mozilla", "pushdesk cancel d-0001")
        await pilot.press("y")
        assert "pushdesk services resume mozilla\npushdesk cancel d-0001" in app.clipboard
        desk.verdicts["sub-0001"] = structs.replace(ACCEPTED, says="It goes on.")
        await pilot.press("R")
        await until_says(pilot, "It goes on.")
        assert "pushdesk services" not in text_of(app)


async def test_of_a_single_device_that_says_the_same_there_is_no_table() -> None:
    desk = busy_desk()
    desk.verdicts["ada"] = structs.replace(ACCEPTED, about="ada", devices=(ACCEPTED,))
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _ask(pilot, "2")
        await until_says(pilot, "Did ada get it?", "✓ accepted", "Evidence")
        assert "verdict " not in text_of(app)
        desk.verdicts["ada"] = structs.replace(THROTTLED, about="ada", devices=(ACCEPTED,))
        await pilot.press("R")
        await until_says(pilot, "↻ throttled", "verdict ", "✓ accepted")


async def test_over_midnight_the_times_of_a_verdict_get_their_day() -> None:
    desk = explained_desk()
    clock = [NOON]

    def now() -> datetime:
        return clock[0]

    app = PushdeskApp(desk, url=URL, mode="embedded", now=now)
    async with app.run_test(size=WIDE) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "12:03:26      Answered 201.")
        clock[0] += timedelta(days=1, minutes=1)
        await until_says(pilot, f"{NOON:%b %d} 12:03  Answered 201.", f"since {NOON:%b %d} 12:03")


async def test_a_verdict_can_be_copied() -> None:
    app = console(explained_desk())
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "2")
        await until_says(pilot, "✓ accepted")
        await pilot.press("y")
        assert toasts(app) == ["Copied what is shown"]
        for words in ("Did ada get it?\n↻ throttled   since 12:03:38", "✓ accepted  Firefox · Linux: Mozilla"):
            assert words in app.clipboard
        assert "12:03:26      Firefox · Linux: Answered 201." in app.clipboard


async def test_there_is_nothing_to_copy_or_to_do_without_a_verdict() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "Nothing is known of 'sub-0001'.")
        await pilot.press("y", "T", "r")
        assert toasts(app) == ["There is nothing to copy yet.", "There is no verdict yet."]


async def test_an_error_is_said_in_place_of_a_verdict_and_asking_again_may_help() -> None:
    desk = explained_desk()
    desk.refusals.append(PushdeskError(NO_ROUTE, code="not_found", hint="The server is older than this console."))
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, NO_ROUTE, "The server is older than this console.", "R tries again")
        await pilot.press("R")
        await until_says(pilot, "✓ accepted")


async def test_an_error_later_on_leaves_the_verdict_there() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "✓ accepted")
        desk.refusals.append(PushdeskError("The database is locked.", code="database_error"))
        await pilot.press("R")
        await until(pilot, lambda: "The database is locked." in "".join(toasts(app)))
        assert "✓ accepted" in text_of(app)


async def test_why_can_be_asked_of_what_happens_on_the_overview() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "↻ 429 throttled")
        await settled(pilot)
        await pilot.press("down", "down", "w")
        await until(pilot, lambda: isinstance(app.screen, VerdictScreen))
        assert [name for name, _ in desk.calls] == ["explain"]


@pytest.mark.parametrize(
    "text",
    [
        "[/x][red]boo[/red][@click=app.quit]press[/]",
        "\x1b[31mred\x1b[0m\x1b]0;title\x07\u202egnirts\u202c",
        "W\u0301\U0001f469\u200d\U0001f4bb" * 20_000,
    ],
    ids=["markup", "escape", "huge"],
)
@pytest.mark.parametrize("size", [(80, 24), (40, 15)], ids=str)
async def test_no_verdict_is_moved_by_hostile_texts(text: str, size: tuple[int, int]) -> None:
    desk = FakeDesk()
    one = desk.subscribe(text, browser=text, platform=text)
    desk.verdicts[one.id] = desk.verdicts[text] = structs.replace(
        GONE,
        about=text,
        says=text,
        advice=text,
        user=text,
        subscription=one.id,
        evidence=(Evidence(text, NOON), Evidence(text)),
        devices=(structs.replace(GONE, about=text, says=text, subscription=one.id),),
    )
    app = console(desk)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.loaded)
        for keys in (["2", "w"], ["enter", "y", "escape", "escape"], ["3", "w"], ["question_mark"]):
            for key in keys:
                await settled(pilot)
                await pilot.press(key)
            await settled(pilot)
            for character in text_of(app):
                assert character == "\n" or character.isprintable() or character in "\u200d\xa0", repr(character)
        if text.startswith("[") and size == (80, 24):
            await pilot.press("escape")
            await until(pilot, lambda: "[/x][red]boo[/red]" in unwrapped(app))


async def _ask(pilot: Pilot[Any], screen: str, *keys: str) -> None:
    app = pilot.app
    assert isinstance(app, PushdeskApp)
    await until(pilot, lambda: app.loaded)
    for key in (screen, *keys, "w"):
        await settled(pilot)
        await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, VerdictScreen))


@pytest.mark.parametrize(
    ("measures", "service", "label", "leads_to"),
    [
        ((Measure.RESET,), Service.MOZILLA, "! See the push service", "Push service · Mozilla"),
        ((Measure.RELEASE, Measure.CONFIRM), Service.APPLE, "! See the push service", "Push service · Apple"),
        ((Measure.RESUME,), None, "8 See the broadcasts", "Nothing was sent to everybody yet."),
        ((Measure.RESTORE,), Service.MOZILLA, "u Restore the device", "Restore this device?"),
        ((Measure.CANCEL,), None, "x Take it back", "It is not sent. What is under way may still arrive"),
    ],
)
async def test_what_an_operator_can_do_has_a_button(
    measures: tuple[Measure, ...], service: Service | None, label: str, leads_to: str
) -> None:
    desk = busy_desk()
    about = structs.replace(ACCEPTED, measures=measures, service=service, dispatch="dispatch-0001", remedy=Remedy.NONE)
    desk.verdicts["sub-0001"] = about
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, label)
        await pilot.click("#measure")
        await until_says(pilot, leads_to)


async def test_a_device_is_restored_and_what_is_to_be_sent_taken_back_from_the_verdict() -> None:
    desk = busy_desk()
    measures = (Measure.RESTORE, Measure.CANCEL)
    scheduled = desk.schedule("ada", "Later", NOON + timedelta(hours=1))
    desk.verdicts["sub-0002"] = structs.replace(
        ACCEPTED, measures=measures, subscription="sub-0002", dispatch=scheduled.id
    )
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "3", "down")
        await until_says(pilot, "u Restore the device")
        await pilot.press("u", "right", "enter")
        await until(pilot, lambda: toasts(app) == ["Restored 1 device"])
        await pilot.press("x", "right", "enter")
        await until(pilot, lambda: "Later: taken back" in toasts(app))
        assert [name for name, _ in desk.calls if name != "explain"] == ["restore_subscriptions", "cancel"]


async def test_what_is_not_about_a_push_service_leads_to_none() -> None:
    desk = busy_desk()
    desk.verdicts["sub-0001"] = structs.replace(ACCEPTED, measures=(), service=None)
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _ask(pilot, "3")
        await until_says(pilot, "✓ accepted")
        await pilot.press("exclamation_mark", "u", "x")
        reasons = ["It is not about a push service.", "There is no device that could be restored."]
        await until(pilot, lambda: toasts(app) == [*reasons, "There is nothing left that could be taken back."])
