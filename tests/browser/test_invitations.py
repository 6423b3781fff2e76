"""Invitations in a real Firefox, on a server where nothing else lets anybody in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import EXIT_DONE
from tests.browser.running import Server
from tests.browser.visitor import Visitor, changed, only, outcomes
from tests.browser.waiting import eventually
from tests.programs import PUSHDESK, bare_environment
from tests.qr_reader import read_terminal
from tests.terminal.pseudo import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.firefox import Firefox
    from tests.browser.running import Simulator

pytestmark = pytest.mark.browser

ENROLLMENTS = "/api/v1/enrollments"
FIELDS = """
  const isShown = (id) => [id, document.querySelector(`#${id}`).offsetParent !== null];
  return Object.fromEntries(["pushdesk-user", "pushdesk-code", "pushdesk-way"].map(isShown));
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Server]:
    configuration = tmp_path_factory.mktemp("configuration") / "pushdesk.toml"
    configuration.write_text("[identity]\nlocal = false\n")
    home = tmp_path_factory.mktemp("server") / "home"
    with Server(home, simulator.url, "--config", str(configuration)) as running:
        yield running


@pytest.fixture
def guest(visitor: Visitor) -> Iterator[Visitor]:
    """Somebody whose browser knows nothing of this server."""
    yield visitor
    visitor.clear_site_data()


def sent(firefox: Firefox, method: str, path: str) -> list[str]:
    """Return the `Authorization` of each such request since the recording began."""
    return [token for verb, at, token in firefox.requests() if (verb, at) == (method, path)]


def photographed(server: Server, user: str) -> str:
    """Return what a phone reads from the terminal of somebody who invites a user's browser."""

    async def enroll() -> str:
        command = (*PUSHDESK, "enroll", user, "--data-dir", str(server.data))
        async with Terminal(*command, env=bare_environment(server.folder)) as terminal:
            assert await terminal.end(within_s=30) == EXIT_DONE
            return terminal.text

    return read_terminal(asyncio.run(enroll()))


def test_where_nobody_gets_in_by_a_name_the_page_asks_for_the_code_and_not_for_a_name(
    guest: Visitor, server: Server
) -> None:
    state, said = guest.reload()
    assert state == "off"
    assert "by invitation only" in said
    assert guest.firefox.evaluate(FIELDS) == {"pushdesk-user": False, "pushdesk-code": True, "pushdesk-way": False}
    guest.firefox.type("pushdesk-code", server.invite("named")["code"])
    guest.firefox.click("pushdesk-toggle")
    state, said = guest.settled()
    assert state == "on", said
    for _ in range(2):
        assert guest.firefox.evaluate(FIELDS)["pushdesk-user"]
        assert guest.firefox.evaluate("return document.querySelector('#pushdesk-user').value") == "named"
        guest.reload()


def test_from_the_qr_code_to_a_push_that_is_decrypted_and_shown(
    guest: Visitor, server: Server, simulator: Simulator
) -> None:
    link = photographed(server, "carol")
    page, _, code = link.partition("#")
    assert page == f"{server.url}/enroll"
    guest.firefox.record_requests()
    for _ in range(2):
        guest.firefox.open("about:blank")
        guest.firefox.open(link)
        assert guest.settled()[0] == "off"
    assert sent(guest.firefox, "POST", ENROLLMENTS) == []
    assert guest.firefox.evaluate("return document.querySelector('#pushdesk-code').value") == code

    guest.firefox.click("pushdesk-toggle")
    state, said = guest.settled()
    assert state == "on", said
    assert "carol" in said
    assert guest.firefox.evaluate("return location.href") == f"{server.url}/"
    assert only(server.devices("carol"))["state"] == "active"
    assert guest.shown("It's working!")
    (shown,) = sent(guest.firefox, "POST", "/api/v1/users/carol/webpush/subscription")
    assert shown.startswith("Bearer pdd_")
    assert all(code not in path for _, path, _ in guest.firefox.requests())

    assert outcomes(server.notify("carol", title="For those invited")) == ["accepted"]
    guest.shown("For those invited")
    eventually(simulator.was_shown, "Firefox acknowledges every push as decrypted")


def test_a_code_can_be_typed_as_people_do(guest: Visitor, server: Server) -> None:
    code = server.invite("typist")["code"]
    guest.firefox.type("pushdesk-code", f" {code.lower().replace('-', ' ')}")
    guest.firefox.click("pushdesk-toggle")
    state, said = guest.settled()
    assert state == "on", said
    assert only(server.devices("typist"))["state"] == "active"


def test_switching_off_and_on_again_needs_no_new_code(guest: Visitor, server: Server) -> None:
    guest.accept(server.invite("returning")["url"])
    guest.firefox.record_requests()
    guest.turn_off()
    assert server.devices("returning") == []
    assert guest.reload()[0] == "off"
    guest.firefox.click("pushdesk-toggle")
    state, said = guest.settled()
    assert state == "on", said
    assert outcomes(server.notify("returning", title="Welcome back")) == ["accepted"]
    guest.shown("Welcome back")
    assert sent(guest.firefox, "POST", ENROLLMENTS) == []


def test_the_link_of_a_used_invitation_is_told_from_ones_own(guest: Visitor, server: Server) -> None:
    link = server.invite("owner")["url"]
    guest.accept(link)
    guest.firefox.open(link)
    state, said = guest.settled()
    assert state == "on"
    assert "owner" in said
    assert guest.firefox.evaluate("return location.href") == f"{server.url}/"

    guest.clear_site_data()
    guest.firefox.open("about:blank")
    guest.firefox.open(link)
    assert guest.settled()[0] == "off"
    guest.firefox.click("pushdesk-toggle")
    state, said = guest.settled()
    assert state == "error"
    assert "used already" in said
    assert "Ask for a new one." in said
    assert guest.firefox.evaluate("return location.href") == link


def test_an_unknown_code_is_refused_with_advice_and_another_one_is_taken(guest: Visitor, server: Server) -> None:
    guest.firefox.open(f"{server.url}/enroll#0000-1111-2222-3333")
    guest.settled()
    guest.firefox.click("pushdesk-toggle")
    state, said = guest.settled()
    assert state == "error"
    assert "unknown" in said
    guest.firefox.type("pushdesk-code", server.invite("mended")["code"])
    guest.firefox.click("pushdesk-toggle")
    state, said = guest.settled()
    assert state == "on", said


def test_a_device_that_is_on_changes_hands_by_the_press_and_not_before(guest: Visitor, server: Server) -> None:
    guest.accept(server.invite("dora")["url"])
    guest.firefox.open(server.invite("erik")["url"])
    state, said = guest.settled()
    assert state == "on"
    assert "dora" in said
    assert len(server.devices("dora")) == 1
    guest.firefox.click("pushdesk-toggle")
    eventually(lambda: "erik" in guest.settled()[1], "the page speaks of the other")
    assert (len(server.devices("dora")), len(server.devices("erik"))) == (0, 1)
    assert outcomes(server.notify("erik", title="For the other one")) == ["accepted"]
    guest.shown("For the other one")


def test_who_does_not_accept_an_invitation_stays_who_they_are(guest: Visitor, server: Server) -> None:
    guest.accept(server.invite("staying")["url"])
    guest.firefox.open(server.invite("tempting")["url"])
    guest.settled()
    guest.firefox.click("pushdesk-way")
    guest.turn_off()
    assert server.devices("staying") == []
    assert server.devices("tempting") == []


def test_an_invited_device_keeps_its_token_when_its_worker_renews_it(
    guest: Visitor, server: Server, simulator: Simulator
) -> None:
    path = "/api/v1/users/lasting/webpush/subscription"
    guest.firefox.record_requests()
    guest.accept(server.invite("lasting")["url"])
    before = only(server.devices("lasting"))["fingerprint"]
    simulator.forget_browsers()
    changed(lambda: str(only(server.devices("lasting"))["fingerprint"]), before)
    guest.turn_off()
    tokens = {*sent(guest.firefox, "POST", path), *sent(guest.firefox, "DELETE", path)}
    assert len(tokens) == 1
    assert server.devices("lasting") == []


def test_an_invited_device_follows_a_new_key(guest: Visitor, server: Server) -> None:
    guest.accept(server.invite("keyed")["url"])
    key_id = server.rotate_key()
    assert guest.reload()[0] == "on"
    assert only(server.devices("keyed"))["key_id"] == key_id
    assert outcomes(server.notify("keyed", title="With the new key")) == ["accepted"]
    guest.shown("With the new key")


def test_a_removed_user_does_not_come_back_by_itself(guest: Visitor, server: Server) -> None:
    guest.accept(server.invite("removed")["url"])
    assert server.ask("DELETE", "users/removed").status in {200, 204}
    state, said = guest.reload()
    assert state == "error"
    assert "no longer counts" in said
    assert "Ask for a new one." in said
    assert [user["id"] for user in server.ask("GET", "admin/users?filter=removed").body["items"]] == []
    guest.accept(server.invite("removed")["url"])
    assert only(server.devices("removed"))["state"] == "active"
