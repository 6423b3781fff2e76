"""Every binding of every screen is pressed: what it does, and where it is refused. One without a row fails."""

from __future__ import annotations

from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from msgspec.structs import replace

from pushdesk.cli.keymap import binding_ids
from pushdesk.console.feed import Connection
from pushdesk.console.screens.pane import CHANGING, LOST, PaneScreen
from pushdesk.console.subject import NO_SUBJECT
from pushdesk.console.widgets.rows import Rows
from pushdesk.errors import EXIT_DONE
from pushdesk.model import BrakeOn, BroadcastState, LaneState, Measure, Scope, Service, SubscriptionState
from tests.console.fake_desk import CODE, NOON, URL, FakeDesk
from tests.console.key_table import DOCUMENT, NAME, key_table
from tests.console.looking import settled, text_of, toasts, until
from tests.console.scenes import console, let_in, rotated_desk
from tests.console.test_help_and_palette import all_bindings
from tests.console.verdicts import ACCEPTED
from tests.figures import read_figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.binding import Binding
    from textual.pilot import Pilot

    from pushdesk.console.app import PushdeskApp

CHANGED: Final = object()
"""Stands for anything but what it was before."""
SMALLEST: Final = (80, 24)
USERS: Final = 130
"""So many that they fill more than a page."""

# What a key may change.


def mode(app: PushdeskApp) -> object:
    return app.current_mode


def top(app: PushdeskApp) -> object:
    return type(app.screen).__name__


def depth(app: PushdeskApp) -> object:
    return len(app.screen_stack)


def focus(app: PushdeskApp) -> object:
    return type(app.focused).__name__ if app.focused is None or app.focused.id is None else app.focused.id


def calls(app: PushdeskApp) -> object:
    assert isinstance(app.desk, FakeDesk)
    return [name for name, _ in app.desk.calls if name != "explain"]


def pages_asked(app: PushdeskApp) -> object:
    assert isinstance(app.desk, FakeDesk)
    return len(app.desk.asked)


def clipboard(app: PushdeskApp) -> object:
    return app.clipboard


def row(app: PushdeskApp) -> object:
    assert isinstance(app.focused, Rows)
    return app.focused.cursor


def first_row(app: PushdeskApp) -> object:
    assert isinstance(app.focused, Rows)
    return app.focused.items[0]


def scrolled(app: PushdeskApp) -> object:
    return app.screen.query_one(".dialog").scroll_offset.y


def view(name: str, field: str) -> Callable[[PushdeskApp], object]:
    return lambda app: attrgetter(field)(app.view(name))


def says(text: str) -> Callable[[PushdeskApp], object]:
    return lambda app: text in text_of(app)


class Press(NamedTuple):
    """A binding that is pressed, and what that changes."""

    owner: str
    """The class that has the binding."""
    name: str
    look: Callable[[PushdeskApp], object]
    becomes: object = CHANGED
    first: tuple[str, ...] = ()
    """What is pressed before."""
    changes: bool = False
    """Whether it changes something on the server, or leads to what does: refused where nothing can be changed."""


PLACES: Final[dict[str, tuple[str, ...]]] = {
    "overview": ("1",),
    "service": ("1", "home", "enter"),
    "paused service": ("1", "end", "enter"),
    "held service": ("1", "exclamation_mark"),
    "users": ("2",),
    "user": ("2", "enter"),
    "subscriptions": ("3",),
    "subscription": ("3", "home", "enter"),
    "gone subscription": ("3", "home", "down", "enter"),
    "verdict": ("3", "w"),
    "filter": ("3", "slash", "a"),
    "compose": ("3", "t"),
    "invite": ("3", "e"),
    "invitation": ("3", "e", "ctrl+s"),
    "confirm": ("3", "d"),
    "help": ("3", "question_mark"),
    "cache": ("4",),
    "words": ("4", "enter"),
    "deliveries": ("5",),
    "delivery": ("5", "enter"),
    "dispatch": ("5", "enter", "D"),
    "keys": ("6",),
    "tokens": ("6", "tab"),
    "token": ("6", "tab", "n", "x", "ctrl+s"),
    "log": ("7",),
    "broadcasts": ("8",),
    "broadcast": ("8", "home", "enter"),
    "paused broadcast": ("8", "home", "down", "enter"),
    "broadcast form": ("8", "b"),
    "scheduled": ("8", "tab"),
    "scheduled dispatch": ("8", "tab", "enter"),
    "quit": ("1", "q"),
}
"""The keys that lead to each, from anywhere where no dialog is."""

TABLE: Final[dict[str, tuple[Press, ...]]] = {
    "overview": (
        *(
            Press("PushdeskApp", f"screen.{name}", mode, name)
            for name in ("users", "subscriptions", "cache", "deliveries", "keys", "log", "broadcasts")
        ),
        Press("PushdeskApp", "palette.open", top, "CommandPalette"),
        Press("PushdeskApp", "palette.open_anywhere", top, "CommandPalette"),
        Press("PushdeskApp", "help.open", top, "HelpScreen"),
        Press("PushdeskApp", "app.quit", top, "QuitScreen"),
        Press("PushdeskApp", "app.interrupt", top, "QuitScreen"),
        Press("PaneScreen", "pane.warnings", attrgetter("hidden_warnings")),
        Press("PaneScreen", "pane.trouble", top, "ServiceScreen"),
        Press("ChartsScreen", "charts.span", view("charts", "span")),
    ),
    "service": (
        Press("ServiceScreen", "services.pause", top, "ConfirmScreen", changes=True),
        Press("ServiceScreen", "services.reset", top, "ConfirmScreen", changes=True),
    ),
    "paused service": (Press("ServiceScreen", "services.resume", top, "ConfirmScreen", changes=True),),
    "held service": (
        Press("ServiceScreen", "services.release", top, "TypedScreen", changes=True),
        Press("ServiceScreen", "services.confirm", top, "TypedScreen", changes=True),
    ),
    "users": (
        Press("UsersScreen", "verdict.open", top, "VerdictScreen"),
        Press("UsersScreen", "users.remove", top, "TypedScreen", changes=True),
        Press("PaneScreen", "send.compose", top, "ComposeScreen", changes=True),
        Press("PaneScreen", "invite.open", top, "InviteScreen", changes=True),
        Press("PaneScreen", "pane.copy", clipboard),
        Press("Rows", "rows.choose", top, "UserScreen"),
        Press("Rows", "rows.down", row, 1, ("home",)),
        Press("Rows", "rows.up", row, CHANGED, ("end",)),
        Press("Rows", "rows.page_down", row, CHANGED, ("home",)),
        Press("Rows", "rows.page_up", row, CHANGED, ("end",)),
        Press("Rows", "rows.first", row, 0, ("end",)),
        Press("Rows", "rows.last", row, CHANGED, ("home",)),
        Press("Listing", "listing.filter", focus, "FilterInput"),
        Press("Listing", "listing.clear", view("users", "filter"), "", ("slash", "a", "d", "a", "enter")),
        Press("Listing", "listing.sort", view("users", "sort")),
        Press("Listing", "listing.reverse", view("users", "sort")),
        Press("Listing", "listing.next", first_row, CHANGED, ("S",)),
        Press("Listing", "listing.previous", first_row, CHANGED, ("S", "right_square_bracket")),
    ),
    "user": (
        Press("UserScreen", "user.back", top, "UsersScreen"),
        Press("UserScreen", "verdict.open", top, "VerdictScreen"),
        Press("UserScreen", "subscriptions.test", calls, ["test"], ("home",), changes=True),
        Press("UserScreen", "subscriptions.remove", top, "ConfirmScreen", changes=True),
        Press("UserScreen", "subscriptions.restore", top, "RestoreScreen", ("down",), changes=True),
        Press("UserScreen", "subscriptions.restore_all", top, "RestoreScreen", changes=True),
        Press("UserScreen", "user.remove", top, "TypedScreen", changes=True),
        Press("UserScreen", "user.invalidate", calls, ["invalidate_cache"], changes=True),
    ),
    "subscriptions": (
        Press("SubscriptionsScreen", "verdict.open", top, "VerdictScreen"),
        Press("SubscriptionsScreen", "subscriptions.test", calls, ["test"], ("home",), changes=True),
        Press("SubscriptionsScreen", "subscriptions.remove", top, "ConfirmScreen", changes=True),
        Press("SubscriptionsScreen", "subscriptions.restore", top, "RestoreScreen", ("home", "down"), changes=True),
        Press("SubscriptionsScreen", "subscriptions.restore_all", top, "RestoreScreen", changes=True),
    ),
    "subscription": (
        Press("LiveDialog", "verdict.open", top, "VerdictScreen"),
        Press("LiveDialog", "pane.copy", clipboard),
        Press("LiveDialog", "pane.refresh", pages_asked),
        Press("LiveDialog", "help.open", top, "HelpScreen"),
        Press("Dialog", "dialog.close", top, "SubscriptionsScreen"),
        Press("SubscriptionScreen", "subscriptions.test", calls, ["test"], changes=True),
        Press("SubscriptionScreen", "subscriptions.remove", top, "ConfirmScreen", changes=True),
    ),
    "gone subscription": (Press("SubscriptionScreen", "subscriptions.restore", top, "RestoreScreen", changes=True),),
    "verdict": (
        Press("VerdictScreen", "verdict.user", depth, 3),
        Press("VerdictScreen", "invite.open", top, "InviteScreen", changes=True),
        Press("VerdictScreen", "subscriptions.test", calls, ["test"], changes=True),
        Press("VerdictScreen", "deliveries.resend", calls, ["resend"], changes=True),
        Press("VerdictScreen", "verdict.down", scrolled),
        Press("VerdictScreen", "verdict.up", scrolled, CHANGED, ("ctrl+d",)),
        Press("VerdictScreen", "screen.keys", mode, "keys"),
        Press("VerdictScreen", "screen.broadcasts", mode, "broadcasts"),
        Press("VerdictScreen", "subscriptions.restore", top, "ConfirmScreen", changes=True),
        Press("VerdictScreen", "dispatches.cancel", top, "ConfirmScreen", changes=True),
        Press("VerdictScreen", "pane.trouble", top, "ServiceScreen"),
    ),
    "filter": (
        Press("FilterInput", "filter.set", focus, "subscriptions"),
        Press("FilterInput", "filter.clear", focus, "subscriptions"),
    ),
    "compose": (
        Press("ComposeScreen", "compose.send", calls, ["notify"]),
        Press("ComposeScreen", "compose.test", calls, ["test"]),
        Press("PushdeskApp", "help.open_anywhere", top, "HelpScreen"),
    ),
    "invite": (Press("FormScreen", "form.submit", calls, ["invite"]),),
    "invitation": (
        Press("InvitationScreen", "invitation.copy", clipboard, f"{URL}/enroll#{CODE}"),
        Press("InvitationScreen", "invitation.close", top, "SubscriptionsScreen"),
    ),
    "confirm": (
        Press("ConfirmScreen", "confirm.next", focus, "do"),
        Press("ConfirmScreen", "confirm.previous", focus, "leave", ("right",)),
    ),
    "help": (Press("HelpScreen", "help.close", top, "SubscriptionsScreen"),),
    "cache": (
        Press("CacheScreen", "cache.invalidate", calls, ["invalidate_cache"], changes=True),
        Press("CacheScreen", "cache.clear", top, "ConfirmScreen", changes=True),
        Press("ChartsScreen", "verdict.open", top, "VerdictScreen"),
    ),
    "words": (
        Press("WordsScreen", "words.copy", clipboard),
        Press("WordsScreen", "words.close", top, "CacheScreen"),
    ),
    "deliveries": (
        Press("DeliveriesScreen", "verdict.open", top, "VerdictScreen"),
        Press("DeliveriesScreen", "deliveries.resend", calls, ["resend"], changes=True),
        Press("PaneScreen", "pane.refresh", pages_asked),
        Press("Tail", "tail.follow", says("following"), becomes=True, first=("home",)),
        Press("Tail", "tail.pause", says("paused, 0 new"), becomes=True),
        Press("Tail", "tail.filter", focus, "FilterInput"),
        Press("Tail", "tail.clear", view("deliveries", "filter"), "", ("slash", "a", "d", "a", "enter")),
    ),
    "delivery": (
        Press("DeliveryScreen", "deliveries.resend", calls, ["resend"], changes=True),
        Press("DeliveryScreen", "deliveries.dispatch", top, "DispatchScreen"),
    ),
    "dispatch": (Press("DispatchScreen", "deliveries.resend", calls, ["resend"], changes=True),),
    "broadcasts": (
        Press("Broadcasts", "broadcasts.pause", top, "ConfirmScreen", ("home",), changes=True),
        Press("Broadcasts", "broadcasts.resume", top, "ConfirmScreen", ("home", "down"), changes=True),
        Press("Broadcasts", "broadcasts.abort", top, "ConfirmScreen", ("home",), changes=True),
        Press("BroadcastsScreen", "broadcasts.new", top, "BroadcastFormScreen", changes=True),
    ),
    "broadcast": (
        Press("BroadcastScreen", "broadcasts.pause", top, "ConfirmScreen", changes=True),
        Press("BroadcastScreen", "broadcasts.abort", top, "ConfirmScreen", changes=True),
    ),
    "paused broadcast": (Press("BroadcastScreen", "broadcasts.resume", top, "ConfirmScreen", changes=True),),
    "broadcast form": (Press("BroadcastFormScreen", "broadcasts.plan", calls, ["plan_broadcast"]),),
    "scheduled": (Press("Scheduled", "dispatches.cancel", top, "ConfirmScreen", changes=True),),
    "scheduled dispatch": (Press("DispatchScreen", "dispatches.cancel", top, "ConfirmScreen", changes=True),),
    "keys": (
        Press("VapidKeys", "keys.rotate", top, "TypedScreen", changes=True),
        Press("VapidKeys", "keys.retire", top, "TypedScreen", ("home", "down"), changes=True),
        Press("VapidKeys", "keys.roll_back", top, "TypedScreen", ("home", "down"), changes=True),
        Press("VapidKeys", "keys.revoke", top, "TypedScreen", changes=True),
        Press("VapidKeys", "keys.import", top, "ImportScreen", changes=True),
        Press("VapidKeys", "keys.export", top, "ExportScreen", changes=True),
        Press("PaneScreen", "verdict.open", toasts, [NO_SUBJECT]),
    ),
    "tokens": (
        Press("AccessTokens", "tokens.new", top, "NewTokenScreen", changes=True),
        Press("AccessTokens", "tokens.revoke", top, "ConfirmScreen", changes=True),
    ),
    "token": (
        Press("NewTokenMadeScreen", "token.copy", clipboard),
        Press("NewTokenMadeScreen", "token.close", top, "KeysScreen"),
    ),
    "log": (
        Press("LogScreen", "log.level", view("log", "filter")),
        Press("PushdeskApp", "screen.overview", mode, "overview"),
    ),
    "quit": (Press("QuitScreen", "quit.again", attrgetter("return_value"), EXIT_DONE),),
}
BINDINGS: Final[dict[tuple[str, str], Binding]] = {
    (owner.__name__, binding.id or ""): binding for owner, binding in all_bindings()
}
REFUSED: Final = {place: kept for place, all_of in TABLE.items() if (kept := [each for each in all_of if each.changes])}


def test_every_binding_is_pressed() -> None:
    pressed = [(press.owner, press.name) for presses in TABLE.values() for press in presses]
    assert len(pressed) == len(set(pressed))
    assert set(pressed) == set(BINDINGS)
    assert {name for _, name in pressed} == set(binding_ids())


def test_what_says_that_it_changes_something_is_tried_where_nothing_can_be_changed() -> None:
    says_so = {
        (owner.__name__, binding.id)
        for owner, binding in all_bindings()
        if binding.action in getattr(owner, "CHANGES", ()) or (owner is PaneScreen and binding.action in CHANGING)
    }
    assert {(press.owner, press.name) for presses in REFUSED.values() for press in presses} == says_so


def everything() -> FakeDesk:
    """Return a server with something of all that can be looked at."""
    desk = let_in(rotated_desk())
    for number in range(USERS):
        desk.subscribe(f"user{number:03}")
        desk.cache_user(f"user{number:03}")
    desk.deliver(desk.subscribe("zoe"))
    desk.subscribe("zoe", state=SubscriptionState.GONE)
    desk.subscribe("zed")
    desk.cache_user("zoe")
    desk.hold_broadcast("Maintenance tonight", BroadcastState.PAUSED)
    desk.hold_broadcast("Summer sale", BroadcastState.SENDING)
    desk.schedule("ada", "Later", NOON + timedelta(hours=2))
    for _ in range(3):
        desk.write("server_listening")
    desk.set_stats(warnings=("The disk is nearly full.",))
    desk.change_service(Service.FCM, state=LaneState.BROKEN)
    desk.change_service(Service.APPLE, brake=BrakeOn(NOON, "51 subscriptions ended within 10 minutes.", 3))
    desk.change_service(Service.OTHER, state=LaneState.PAUSED)
    # Longer than the screen is high.
    verdict = replace(
        ACCEPTED,
        evidence=ACCEPTED.evidence * 3,
        measures=(Measure.RESTORE, Measure.CANCEL),
        service=Service.APPLE,
        dispatch="dispatch-0001",
    )
    desk.verdicts = dict.fromkeys([*desk._users, *desk._subscriptions, *desk._deliveries], verdict)
    return desk


async def go_to(pilot: Pilot[Any], app: PushdeskApp, place: str) -> None:
    """Go somewhere, as if from a console that was just opened."""
    keys = PLACES[place]
    await leave_dialogs(app)
    await pilot.press(keys[0])
    await leave_dialogs(app)
    # Which pane had the focus is remembered.
    app.screen.query(Rows).first().focus()
    await press_all(pilot, keys[1:])
    app.clear_notifications()
    app.copy_to_clipboard("")
    assert isinstance(app.desk, FakeDesk)
    app.desk.calls.clear()


async def leave_dialogs(app: PushdeskApp) -> None:
    while len(app.screen_stack) > 1:
        await app.pop_screen()


async def press_all(pilot: Pilot[Any], keys: Iterable[str]) -> None:
    await settled(pilot)
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


@pytest.mark.parametrize("place", TABLE)
async def test_what_the_keys_do(place: str) -> None:
    app = console(everything())
    async with app.run_test(size=SMALLEST, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        for press in TABLE[place]:
            for key in BINDINGS[press.owner, press.name].key.split(","):
                await go_to(pilot, app, place)
                await press_all(pilot, press.first)
                before = press.look(app)
                await pilot.press(key)
                if press.becomes is CHANGED:
                    await until(pilot, lambda press=press, before=before: press.look(app) != before)  # type: ignore[misc]
                else:
                    assert before != press.becomes, press
                    await until(pilot, lambda press=press: press.look(app) == press.becomes)  # type: ignore[misc]


async def press_in_vain(pilot: Pilot[Any], app: PushdeskApp, place: str, reason: str = "") -> None:
    """Press every key of a place that changes something, and see that nothing comes of it but a reason."""
    assert isinstance(app.desk, FakeDesk)
    screens = list(app.screen_stack)
    for press in REFUSED[place]:
        for key in press.first:
            await pilot.press(key)
        app.clear_notifications()
        await pilot.press(BINDINGS[press.owner, press.name].key)
        await until(pilot, lambda: toasts(app))
        (said,) = toasts(app)
        assert reason in said, press
        assert app.screen_stack == screens, press
    await settled(pilot)
    assert calls(app) == []


async def test_what_would_change_something_is_refused_by_a_console_that_only_looks() -> None:
    app = console(everything(), read_only=True)
    async with app.run_test(size=SMALLEST, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        for place in REFUSED:
            await go_to(pilot, app, place)
            await press_in_vain(pilot, app, place, "This console was opened with --read-only.")


@pytest.mark.parametrize("place", REFUSED)
async def test_what_would_change_something_is_refused_with_a_token_that_only_reads_and_after_the_connection_was_lost(
    place: str,
) -> None:
    desk = everything()
    desk.allowed = frozenset({Scope.READ})
    app = console(desk)
    async with app.run_test(size=SMALLEST, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded and app.scopes)
        await go_to(pilot, app, place)
        await press_in_vain(pilot, app, place, "Your access token allows to look")
        app.scopes = frozenset(Scope)
        desk.lose()
        await until(pilot, lambda: app.connection is Connection.LOST)
        await press_in_vain(pilot, app, place, LOST)


@pytest.mark.parametrize("place", [place for place in REFUSED if len(PLACES[place]) == 1])
async def test_what_would_change_something_is_refused_before_the_server_has_answered(place: str) -> None:
    app = console(FakeDesk(reachable=False))
    async with app.run_test(size=SMALLEST, notifications=True) as pilot:
        await pilot.press(*PLACES[place])
        await press_in_vain(pilot, app, place)


@pytest.mark.parametrize("place", ["compose", "invite"])
async def test_a_form_that_was_open_when_the_connection_was_lost_says_so_and_stays(place: str) -> None:
    desk = everything()
    app = console(desk)
    async with app.run_test(size=SMALLEST, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await go_to(pilot, app, place)
        desk.lose()
        await until(pilot, lambda: app.connection is Connection.LOST)
        form = app.screen
        await pilot.press("ctrl+s")
        said = "The connection is lost"
        await until(pilot, lambda: said in text_of(app) or any(said in toast for toast in toasts(app)))
        assert app.screen is form
        assert calls(app) == []


def test_the_manual_has_every_key() -> None:
    assert read_figures(DOCUMENT, NAME) == key_table(), "python -m tests.console.key_table writes it anew"
