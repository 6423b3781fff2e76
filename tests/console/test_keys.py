"""The Keys screen: what it tells, what its commands ask, do and refuse."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, Select, Static

from pushdesk.console.key_figures import by_service, moved_share, progress, said_of_revoking, who_loses
from pushdesk.console.screens.form import TypedScreen
from pushdesk.console.screens.key_forms import ExportScreen, ImportScreen, SecretArea
from pushdesk.console.widgets.rows import Rows
from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.model import KeyState, Page, RevokedKeys, Service, VapidKey
from tests.console.fake_desk import NOON, FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import console, empty_desk, rotated_desk

if TYPE_CHECKING:
    from typing import Any

    from textual.pilot import Pilot

    from pushdesk.console.app import PushdeskApp
    from pushdesk.model import PageQuery

RETIRING = "down"
"""What is pressed in the table of `rotated_desk` to come to the key that is retiring."""
PEM = "-----BEGIN PRIVATE KEY-----\n0badc0de\n-----END PRIVATE KEY-----\n"
"""What a made-up server takes for its own key."""


async def show_keys(app: PushdeskApp, pilot: Pilot[Any], *keys: str) -> None:
    await until(pilot, lambda: app.loaded)
    await pilot.press("6")
    await until_says(pilot, "VAPID keys", "Access tokens")
    await settled(pilot)
    for key in keys:
        await pilot.press(key)
    await settled(pilot)


def states(desk: FakeDesk) -> dict[str, KeyState]:
    return {key.id: key.state for key in desk._keys.values()}


def answer_of(app: PushdeskApp) -> str:
    """Return what a form says, before it is wrapped."""
    return str(app.screen.query_one("#answer", Static).content)


async def test_keys_are_listed_with_their_devices_and_how_far_a_retiring_one_is_emptied() -> None:
    app = console(rotated_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await show_keys(app, pilot)
        current, retiring, revoked = text_of(app).splitlines()[4:7]
        assert "✓ current   2 d" in current
        assert "%" not in current
        assert "↻ retiring  80 d" in retiring
        assert "81 %  22:43:44      1 user" in retiring
        assert "FCM 8 → 1 · Apple 3 → 1" in retiring
        assert "✗ revoked   400 d" in revoked
        assert "1 to 3" in text_of(app)


async def test_enter_shows_a_key_in_full_and_y_copies_its_public_half() -> None:
    app = console(rotated_desk())
    async with app.run_test() as pilot:
        await show_keys(app, pilot, RETIRING)
        await pilot.press("y")
        assert app.clipboard == "B0badc0de"
        await pilot.press("enter")
        await until_says(
            pilot, "retiring since", "1 user would get nothing any more", "FCM 8 → 1 · Apple 3 → 1", "B0badc"
        )
        await pilot.press("escape")
        await until_says(pilot, "Access tokens")
        await pilot.press("up", "enter", "y")
        assert app.clipboard == "B7f3a92aa"


async def test_keys_are_filtered_and_sorted_on_the_server() -> None:
    app = console(rotated_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await show_keys(app, pilot, "s")
        await until_says(pilot, "key ▲")
        rows = app.screen.query_one("#vapid-keys", Rows)
        assert [key.id for key in rows.items] == ["00c0ffee", "0badc0de", "7f3a92aa"]
        await pilot.press("slash", *"^0", "enter")
        await until_says(pilot, "VAPID keys · filter: ^0", "1 to 2")
        await pilot.press("slash", "z", "enter")
        await until_says(pilot, "No key's id contains")
        await pilot.press("escape")
        await until_says(pilot, "1 to 3 of 3")
        # The newest first: the least age.
        await pilot.press("s", "s")
        await until_says(pilot, "age ▲")
        await until(pilot, lambda: [key.id for key in rows.items] == ["7f3a92aa", "0badc0de", "00c0ffee"])


async def test_what_happens_to_keys_and_devices_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushdesk.console.screens.vapid_keys.RELOAD_S", 0.01)
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await show_keys(app, pilot)
        desk.change("sub-0005", key_id="7f3a92aa")
        await until_says(pilot, "90 %", "FCM 8 → 0")
        await desk.remove_subscriptions(["sub-0007"])
        await until_says(pilot, "100 %  reached", "nobody")
        await desk.rotate_key(confirm="rotate")
        await until_says(pilot, "1 to 4", "00000004")
        # While another screen is looked at, nothing is fetched; coming back, it is.
        await pilot.press("1")
        await desk.rotate_key(confirm="rotate")
        await settled(pilot)
        await pilot.press("6")
        await until_says(pilot, "1 to 5", "00000005")


async def test_many_events_are_fetched_for_once() -> None:
    class Counting(FakeDesk):
        listed = 0

        async def keys(self, query: PageQuery) -> Page[VapidKey]:
            self.listed += 1
            return await super().keys(query)

    desk = Counting()
    app = console(desk)
    async with app.run_test() as pilot:
        await show_keys(app, pilot)
        before = desk.listed
        for number in range(50):
            desk.subscribe(f"user-{number}")
        await until(pilot, lambda: app.stats is not None and app.stats.subscriptions == 50)
        await settled(pilot)
        assert desk.listed == before


async def test_a_list_that_cannot_be_had_says_so_and_can_be_asked_for_again() -> None:
    class Broken(FakeDesk):
        broken = True

        async def keys(self, query: PageQuery) -> Page[VapidKey]:
            if self.broken:
                raise PushdeskError("The database [/x] is locked.", code="database_error")
            return await super().keys(query)

    desk = Broken()
    app = console(desk)
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6")
        await until_says(pilot, "This could not be listed.", "R tries again")
        assert "The database [/x] is locked." in "".join(toasts(app))
        desk.broken = False
        await pilot.press("R")
        await until_says(pilot, "✓ current", "1 to 1")
        await pilot.press("1")
        await until_says(pilot, "First steps")


@pytest.mark.parametrize(
    ("keys", "title", "cost", "word", "calls", "said"),
    [
        (
            ("r",),
            "Rotate the VAPID key?",
            "makes every browser subscribe again",
            "rotate",
            [("rotate_key", ""), ("rotate_key", "rotate")],
            "The current key is 00000004 now.",
        ),
        (
            (RETIRING, "d"),
            "Retire the key 0badc0de?",
            "2 subscriptions (1 at fcm, 1 at apple) get nothing more",
            "retire",
            [("retire_key", ("0badc0de", "")), ("retire_key", ("0badc0de", "retire"))],
            "The key 0badc0de is retired.",
        ),
        (
            (RETIRING, "b"),
            "Roll back to the key 0badc0de?",
            "The key 0badc0de becomes current again.",
            "rollback",
            [("roll_back_key", ("0badc0de", "")), ("roll_back_key", ("0badc0de", "rollback"))],
            "The current key is 0badc0de again.",
        ),
        (
            ("v",),
            "Revoke all VAPID keys?",
            "6 subscriptions",
            "revoke",
            [("revoke_keys", ""), ("revoke_keys", "revoke")],
            "The current key is 00000004 now; 6 subscriptions lost: Mozilla 1, Apple 2, WNS 1, other 1, FCM 1.",
        ),
    ],
    ids=["rotate", "retire", "roll back", "revoke"],
)
async def test_what_cannot_be_undone_says_what_it_costs_and_wants_the_word_typed(
    keys: tuple[str, ...], title: str, cost: str, word: str, calls: list[object], said: str
) -> None:
    desk = rotated_desk()
    before = states(desk)
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_keys(app, pilot, *keys)
        await until_says(pilot, title, cost, f'Confirm with the word "{word}".', "Cancel")
        # Neither `enter` nor another word does anything.
        await pilot.press("enter")
        await until_says(pilot, "Nothing is done before the word is typed.")
        await pilot.press(*"yes", "enter")
        await until_says(pilot, "That is not the word; nothing was done.")
        assert states(desk) == before
        app.screen.query_one("#word", Input).value = ""
        await pilot.press(*word, "enter")
        await until(pilot, lambda: toasts(app) == [said])
        assert not isinstance(app.screen, TypedScreen)
        assert [desk.calls[0], desk.calls[-1]] == calls
        assert len(desk.calls) == 3
        assert states(desk) != before


async def test_leaving_does_nothing() -> None:
    desk = rotated_desk()
    before = states(desk)
    app = console(desk)
    async with app.run_test(notifications=True) as pilot:
        await show_keys(app, pilot, RETIRING)
        for key in "rdbv":
            await pilot.press(key)
            await until_says(pilot, "Confirm with the word")
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("r")
        await until_says(pilot, "Confirm with the word")
        await pilot.click("#cancel")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert states(desk) == before
        assert toasts(app) == []


async def test_a_key_that_nothing_is_bound_to_is_retired_without_a_word_but_not_without_a_question() -> None:
    desk = rotated_desk()
    await desk.remove_subscriptions(["sub-0005", "sub-0007"])
    app = console(desk)
    async with app.run_test(notifications=True) as pilot:
        await show_keys(app, pilot, RETIRING, "d")
        await until_says(pilot, "Retire the key 0badc0de?", "No device is bound to it.")
        # The focus is on the button that does nothing.
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert not any(name == "retire_key" for name, _ in desk.calls)
        await pilot.press("d")
        await until_says(pilot, "No device is bound to it.")
        await pilot.click("#do")
        await until(pilot, lambda: toasts(app) == ["The key 0badc0de is retired."])
        await until_says(pilot, "✗ retired")


async def test_what_a_key_is_not_in_a_state_for_says_why() -> None:
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(notifications=True) as pilot:
        await show_keys(app, pilot, "d", "b", "end", "d", "b", "x")
        assert toasts(app) == [
            "This key is current: only one that is retiring can be retired.",
            "This key is current: only an older one that was not revoked can be current again.",
            "This key is revoked: only one that is retiring can be retired.",
            "This key is revoked: only an older one that was not revoked can be current again.",
            "This key is revoked: it is never used again.",
        ]
        assert desk.calls == []


async def test_without_a_key_there_is_none_to_choose() -> None:
    desk = FakeDesk()
    desk._keys.clear()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_keys(app, pilot, "d", "b", "x")
        await until_says(pilot, "There is no key.")
        assert toasts(app) == ["No key is selected."]


async def test_nothing_is_done_while_the_server_is_away() -> None:
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_keys(app, pilot, RETIRING)
        desk.lose()
        await until_says(pilot, "reconnecting")
        await pilot.press(*"rdbvix")
        await settled(pilot)
        assert toasts(app) == ["The connection is lost; it is tried again all the time."]
        await until_says(pilot, "↻ retiring")
        desk.come_back()
        await until_says(pilot, "embedded")
        await pilot.press("r")
        await until_says(pilot, "Rotate the VAPID key?")


async def test_an_error_is_a_toast_and_a_row() -> None:
    desk = rotated_desk()
    desk.refusals.append(PushdeskError("The disk [/x] is full.", code="disk_full", hint="Make room."))
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_keys(app, pilot, RETIRING, "d")
        await until(pilot, lambda: toasts(app) == ["The disk is full: The disk [/x] is full. Make room."])
        await pilot.press("1")
        await until_says(pilot, "✗ error", "The disk [/x] is full.")


@pytest.mark.parametrize(
    "error", [PushdeskError("The disk [/x] is full.", code="disk_full"), UnreachableError("The disk [/x] is full.")]
)
async def test_an_error_after_the_word_is_said_beside_it(error: PushdeskError) -> None:
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_keys(app, pilot, "r")
        await until_says(pilot, "Rotate the VAPID key?")
        desk.refusals.append(error)
        await pilot.press(*"rotate", "enter")
        await until_says(pilot, "The disk [/x] is full.")
        assert app.screen.query_one("#word", Input).value == "rotate"
        await pilot.press("enter")
        await until(pilot, lambda: toasts(app) == ["The current key is 00000004 now."])


async def test_a_word_is_sent_once() -> None:
    class Slow(FakeDesk):
        def __init__(self) -> None:
            super().__init__()
            self.may_answer = asyncio.Event()

        async def rotate_key(self, *, confirm: str = "") -> VapidKey:
            if confirm:
                await self.may_answer.wait()
            return await super().rotate_key(confirm=confirm)

    desk = Slow()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_keys(app, pilot, "r")
        await until_says(pilot, "Rotate the VAPID key?")
        await pilot.press(*"rotate", "enter", "enter", "ctrl+s")
        await until_says(pilot, "one moment…")
        desk.may_answer.set()
        await until(pilot, lambda: len(toasts(app)) == 1)
        await settled(pilot)
        assert len(states(desk)) == 2


@pytest.mark.parametrize("role", ["retiring", "current"])
async def test_a_key_that_is_pasted_is_imported_and_not_shown(role: str) -> None:
    desk = rotated_desk()
    await desk.retire_key("0badc0de", confirm="retire")
    desk.calls.clear()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_keys(app, pilot, "i")
        assert isinstance(app.screen, ImportScreen)
        app.screen.query_one("#pasted", SecretArea).text = PEM
        await until_says(pilot, f" {'•' * 27} ", f" {'•' * 8} ")
        assert "BEGIN" not in text_of(app)
        app.screen.query_one("#role", Select).value = role
        await pilot.press("ctrl+s")
        if role == "current":
            await until_says(pilot, "The imported key becomes current.")
            await pilot.press(*"import", "enter")
        said = f"Imported 0badc0de: it is {role}, 2 devices are bound to it."
        await until(pilot, lambda: toasts(app) == [said])
        assert len(app.screen_stack) == 1
        assert states(desk)["0badc0de"] == role


async def test_a_key_is_imported_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    desk = rotated_desk()
    await desk.retire_key("0badc0de", confirm="retire")
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_keys(app, pilot, "i")
        await pilot.press("ctrl+s")
        await until_says(pilot, "Paste the key, or name its file.")
        app.screen.query_one("#file", Input).value = str(file)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: answer_of(app).endswith("key.pem could not be read: no such file or directory."))
        file.write_text(PEM)
        app.screen.query_one("#pasted", SecretArea).text = PEM
        await pilot.press("ctrl+s")
        await until_says(pilot, "not both.")
        app.screen.query_one("#pasted", SecretArea).text = ""
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(toasts(app)) == 1)
        assert desk.calls[-1] == ("import_key", (PEM, False, ""))


@pytest.mark.parametrize(
    "text", ["[/x]", "\x1b[2J", "W\u0301" * 5000, "a\n" * 3000], ids=["markup", "escape", "huge", "lines"]
)
async def test_what_is_no_key_is_refused_and_stays(text: str) -> None:
    desk = rotated_desk()
    before = states(desk)
    app = console(desk)
    async with app.run_test(notifications=True) as pilot:
        await show_keys(app, pilot, "i")
        app.screen.query_one("#pasted", SecretArea).text = text
        await pilot.press("ctrl+s")
        await settled(pilot)
        assert isinstance(app.screen, ImportScreen)
        assert answer_of(app)
        assert text not in answer_of(app)
        assert states(desk) == before
        await pilot.press("escape")
        await settled(pilot)
        assert toasts(app) == []


async def test_a_key_is_exported_to_a_new_file_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "out.pem"
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_keys(app, pilot, RETIRING, "x")
        assert isinstance(app.screen, ExportScreen)
        assert app.screen.query_one("#file", Input).value == "vapid-0badc0de.pem"
        app.screen.query_one("#file", Input).value = ""
        await pilot.press("enter")
        await until_says(pilot, "Name the file.")
        app.screen.query_one("#file", Input).value = str(file)
        await pilot.press("enter")
        await until_says(pilot, "Whoever has the private half can send.")
        await pilot.press(*"export", "enter")
        await until(pilot, lambda: toasts(app) == [f"Written to {file}, for your eyes only: keep it secret."])
        assert file.read_text() == PEM
        assert file.stat().st_mode & 0o777 == 0o600
        assert "PRIVATE" not in text_of(app)


async def test_an_export_overwrites_nothing_and_asks_for_nothing_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that the sentence does not break where the test looks.
    monkeypatch.chdir(tmp_path)
    file = Path("out.pem")
    file.write_text("mine")
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await show_keys(app, pilot, "x")
        app.screen.query_one("#file", Input).value = str(file)
        await pilot.press("ctrl+s")
        await until_says(pilot, "out.pem is there already.", "Nothing is overwritten")
        assert desk.calls == []
        assert file.read_text() == "mine"


async def test_a_file_that_appears_before_the_word_is_typed_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("out.pem")
    app = console(rotated_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await show_keys(app, pilot, "x")
        app.screen.query_one("#file", Input).value = str(file)
        await pilot.press("ctrl+s")
        await until_says(pilot, "Whoever has the private half can send.")
        file.write_text("mine")
        await pilot.press(*"export", "enter")
        await until_says(pilot, "is there already.")
        assert file.read_text() == "mine"


async def test_the_palette_has_the_commands_with_their_reasons() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await show_keys(app, pilot)
        await pilot.press("colon", *"retire")
        await until_says(pilot, "d  End a retiring key", "(not now: This key", "only one that is retiring")
        await pilot.press("escape", "colon", *"rotate")
        await until_says(pilot, "Make a new key; devices move to it as they come by")
        await pilot.press("down", "enter")
        await until_says(pilot, "Rotate the VAPID key?")


async def test_the_table_has_the_focus() -> None:
    app = console(empty_desk())
    async with app.run_test() as pilot:
        await show_keys(app, pilot)
        assert app.focused is app.screen.query_one("#vapid-keys", Rows)


@pytest.mark.parametrize(
    ("before", "now", "share", "shown"),
    [
        (0, 0, 1.0, "██████ 100 %"),
        (0, 4, 0.0, "░░░░░░   0 %"),
        (1000, 1000, 0.0, "░░░░░░   0 %"),
        (1000, 1, 0.999, "█████░  99 %"),
        (1000, 0, 1.0, "██████ 100 %"),
        (10, 9, 0.1, "░░░░░░  10 %"),
        (10, 20, 0.0, "░░░░░░   0 %"),
    ],
)
def test_all_has_moved_only_when_all_has(before: int, now: int, share: float, shown: str) -> None:
    key = VapidKey("0badc0de", "B", KeyState.RETIRING, NOON, now, retiring_at=NOON, before={Service.FCM: before})
    assert moved_share(key) == pytest.approx(share)
    assert progress(key).plain == shown


def test_a_key_tells_its_devices_by_service() -> None:
    key = VapidKey("0badc0de", "B", KeyState.CURRENT, NOON, 1240, {Service.APPLE: 40, Service.FCM: 1200})
    assert by_service(key).replace("\N{NO-BREAK SPACE}", " ") == "FCM 1 200 · Apple 40"
    assert who_loses(key).plain == "nobody"


def test_revoking_what_was_bound_to_nothing_lost_nothing() -> None:
    revoked = RevokedKeys(VapidKey("0badc0de", "B", KeyState.CURRENT, NOON + timedelta(days=1)))
    assert said_of_revoking(revoked) == "The current key is 0badc0de now; 0 subscriptions lost."
