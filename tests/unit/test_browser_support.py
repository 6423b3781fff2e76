"""What browsers ignore of a notification."""

from __future__ import annotations

import pytest
from msgspec.structs import fields

from pushdesk.browser_support import HEEDED, TABLE, Browser, ignored
from pushdesk.model import Action, Direction, Notification, Urgency

CHROME, FIREFOX, MAC, IPHONE = Browser
BUTTON = Action("1", "Open")


def said_of(notification: Notification) -> dict[Browser, list[str]]:
    return {browser: [str(each) for each in found] for browser, found in ignored(notification).items()}


@pytest.mark.parametrize(
    ("filled", "chrome", "firefox", "mac", "iphone"),
    [
        ({}, [], [], [], []),
        ({"body": "b", "url": "/x", "dir": Direction.RTL, "data": {"a": 1}, "ttl": 5, "topic": "t"}, [], [], [], []),
        ({"icon": "/i.png"}, [], [], ["icon"], ["icon"]),
        ({"badge": "/b.png"}, ["badge (except on Android)"], ["badge"], ["badge"], ["badge"]),
        ({"image": "/i.png"}, [], ["image"], ["image"], ["image"]),
        ({"tag": "t"}, [], [], ["tag"], ["tag"]),
        ({"actions": (BUTTON,) * 2}, [], ["buttons (except from 152 on)"], ["buttons"], ["buttons"]),
        (
            {"actions": (BUTTON,) * 3},
            ["the third button on"],
            ["buttons (except from 152 on)", "the third button on"],
            ["buttons"],
            ["buttons"],
        ),
        (
            {"require_interaction": True},
            ["stays (except on large screens)"],
            ["stays (except on Windows)"],
            ["stays"],
            ["stays"],
        ),
        ({"require_interaction": False, "silent": False, "renotify": False}, [], [], [], []),
        ({"silent": True}, [], [], [], ["silent"]),
        ({"renotify": True, "tag": "t"}, [], ["alerts again"], ["tag", "alerts again"], ["tag", "alerts again"]),
        ({"renotify": True}, *[["alerts again (except with a tag)"]] * 4),
        ({"lang": "de"}, [], [], [], ["language"]),
        ({"timestamp": 0}, [], ["timestamp"], ["timestamp"], ["timestamp"]),
        (
            {"app_badge": 0},
            ["number on the app's icon (except on Windows and macOS)"],
            ["number on the app's icon"],
            ["number on the app's icon (except in installed apps)"],
            [],
        ),
        ({"urgency": Urgency.NORMAL}, [], [], [], []),
        ({"urgency": Urgency.HIGH}, [], ["urgency"], [], []),
    ],
)
def test_what_is_filled_in_is_ignored_by_some(
    filled: dict[str, object], chrome: list[str], firefox: list[str], mac: list[str], iphone: list[str]
) -> None:
    said = said_of(Notification("Tea", **filled))  # type: ignore[arg-type]  # any field of it
    assert said == {CHROME: chrome, FIREFOX: firefox, MAC: mac, IPHONE: iphone}


def test_of_every_field_it_is_known_who_heeds_it() -> None:
    assert {row.field for row in TABLE} | HEEDED == {field.name for field in fields(Notification)}
    assert not {row.field for row in TABLE} & HEEDED


def test_every_row_says_where_it_is_from() -> None:
    assert all(row.sources for row in TABLE)
