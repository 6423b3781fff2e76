"""Pictures of the Keys screen and its dialogs, each taken after what it says was asserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.errors import PushdeskError
from tests.console.fake_desk import FakeDesk
from tests.console.scenes import console, empty_desk, let_in, rotated_desk
from tests.console.sizes import each_size, every_size, smallest_size

if TYPE_CHECKING:
    import pytest

    from pushdesk.model import Page, PageQuery, VapidKey
    from tests.console.conftest import Snap


class _Broken(FakeDesk):
    async def keys(self, query: PageQuery) -> Page[VapidKey]:
        del query
        raise PushdeskError("The database is locked.", code="database_error")


@every_size
def test_keys(snap: Snap, size: tuple[int, int]) -> None:
    says = ["✓ current", "↻ retiring", "81 %", "1 user", "✗ revoked", "Access tokens", "shop checkout", "r Rotate"]
    snap(console(let_in(rotated_desk())), size, press=["6"], says=says)


@each_size
def test_access_tokens(snap: Snap, size: tuple[int, int]) -> None:
    says = ["mira's laptop", "read, admin", "never", "notify", "12:03:04", "n New token", "d Revoke"]
    snap(console(let_in(rotated_desk())), size, press=["6", "tab"], says=says)


@smallest_size
def test_keys_of_a_first_start(snap: Snap, size: tuple[int, int]) -> None:
    says = ["✓ current", "1 to 1", "There are no access tokens.", "n makes one"]
    snap(console(empty_desk()), size, press=["6", "tab"], says=says)


@smallest_size
def test_keys_that_may_only_be_looked_at(snap: Snap, size: tuple[int, int]) -> None:
    says = ["READ-ONLY", "✓ current", "r Rotate"]
    snap(console(let_in(rotated_desk()), read_only=True), size, press=["6"], says=says)


@smallest_size
def test_keys_that_could_not_be_listed(snap: Snap, size: tuple[int, int]) -> None:
    says = ["This could not be listed.", "R tries again", "grafana"]
    snap(console(let_in(_Broken())), size, press=["6"], says=says)


@smallest_size
def test_keys_without_colours(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    snap(console(rotated_desk()), size, press=["6"], says=["✓ current", "↻ retiring", "████░░  81 %", "✗ revoked"])


@smallest_size
def test_a_key_in_full(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(rotated_desk()), size, press=["6", "down", "enter"], says=["retiring since", "FCM 8 → 1", "B0badc0de"])


@smallest_size
def test_an_access_token_in_full(snap: Snap, size: tuple[int, int]) -> None:
    says = [
        "mira's laptop",
        "read: to see what operators see",
        "admin: everything",
        "3 h ago",
        "when it was made; only its",
    ]
    snap(console(let_in(rotated_desk())), size, press=["6", "tab", "enter"], says=says)


@each_size
def test_revoking_keys_says_what_it_costs(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(rotated_desk()), size, press=["6", "v"], says=["Revoke all VAPID keys?", "6 subscriptions", "Cancel"])


@smallest_size
def test_the_form_to_import_a_key(snap: Snap, size: tuple[int, int]) -> None:
    press = ["6", "i", *"not shown"]
    snap(console(rotated_desk()), size, press=press, says=["Import a VAPID key", "•••••••••", "It becomes"])


@smallest_size
def test_the_form_to_export_a_key(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(rotated_desk()), size, press=["6", "x"], says=["Export the key 7f3a92aa", "vapid-7f3a92aa.pem"])


@each_size
def test_the_form_of_an_access_token(snap: Snap, size: tuple[int, int]) -> None:
    says = ["New access token", "shop", "[x] notify", "[ ] read", "[ ] admin", "Cancel"]
    snap(console(let_in(rotated_desk())), size, press=["6", "tab", "n", *"shop"], says=says)


@each_size
def test_a_new_access_token_is_shown_once(snap: Snap, size: tuple[int, int]) -> None:
    says = ["for    shop", "allows notify", "_made-up", "nobody can show it again", "Copy token"]
    snap(console(let_in(rotated_desk())), size, press=["6", "tab", "n", *"shop", "ctrl+s"], says=says)


@smallest_size
def test_revoking_an_access_token_asks(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Revoke this access token?", "It was never used", "shut out.", "Cancel"]
    snap(console(let_in(rotated_desk())), size, press=["6", "tab", "d"], says=says)
