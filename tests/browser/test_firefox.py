"""The whole way through a real Firefox: page, push service, server, service worker, notification, click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.visitor import CLEAR, SHOWN, changed, only, outcomes
from tests.browser.waiting import eventually

if TYPE_CHECKING:
    from tests.browser.running import Server, Simulator
    from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser


def test_pressing_the_button_subscribes_and_a_test_push_is_shown(visitor: Visitor, server: Server) -> None:
    assert visitor.status()[0] == "off"
    visitor.turn_on("alice")
    assert "alice" in visitor.status()[1]
    assert only(server.devices("alice"))["state"] == "active"
    assert visitor.shown("It's working!")["body"] == "You've subscribed to push notifications."


def test_a_push_is_decrypted_and_shown_with_its_fields(visitor: Visitor, server: Server, simulator: Simulator) -> None:
    visitor.turn_on("fields")
    dispatch = server.notify(
        "fields",
        title="Grüße 👋 <b>not bold</b>",
        body="Zeile eins\nZeile zwei",
        icon=f"{server.url}/icon-512.png",
        tag="a-tag",
        lang="de",
        dir="rtl",
        require_interaction=True,
        url=f"{server.url}/#there",
        actions=[{"action": "open", "title": "Open it", "url": f"{server.url}/#action"}],
        data={"order": [1, 2]},
    )
    assert outcomes(dispatch) == ["accepted"]
    shown = visitor.shown("Grüße 👋 <b>not bold</b>")
    assert shown["body"] == "Zeile eins\nZeile zwei"
    assert shown["icon"] == f"{server.url}/icon-512.png"
    assert (shown["tag"], shown["lang"], shown["dir"]) == ("a-tag", "de", "rtl")
    assert shown["requireInteraction"] is True
    assert shown["actions"] == [{"action": "open", "title": "Open it"}]
    assert shown["data"]["data"] == {"order": [1, 2]}
    assert shown["data"]["id"] == dispatch["id"]
    eventually(simulator.was_shown, "Firefox acknowledges every push as decrypted")


def test_a_click_opens_the_address_in_front(visitor: Visitor, server: Server) -> None:
    visitor.turn_on("clicks")
    there = f"{server.url}/?order=7"
    server.notify("clicks", title="First", url=there, require_interaction=True)
    visitor.click_notification("First")
    eventually(lambda: visitor.firefox.selected_address() == there, "the address is open and in front")
    # Firefox lets no worker switch tabs: what is open in the background is opened again, so that it is seen.
    visitor.firefox.select_first_tab()
    server.notify("clicks", title="Second", url=there, require_interaction=True)
    visitor.click_notification("Second")
    eventually(lambda: visitor.firefox.selected_address() == there, "the address is in front again")


def test_a_click_finds_the_tab_that_is_in_front(visitor: Visitor, server: Server) -> None:
    visitor.turn_on("here")
    server.notify("here", title="Here", url=f"{server.url}/", require_interaction=True)
    before = visitor.firefox.addresses()
    visitor.click_notification("Here")
    eventually(lambda: not visitor.is_shown("Here"), "the click has closed the notification")
    server.notify("here", title="Elsewhere", url=f"{server.url}/?elsewhere", require_interaction=True)
    visitor.click_notification("Elsewhere")
    eventually(lambda: visitor.firefox.selected_address() == f"{server.url}/?elsewhere", "the other address is open")
    assert visitor.firefox.addresses() == [*before, f"{server.url}/?elsewhere"]


def test_an_action_opens_its_own_address(visitor: Visitor, server: Server) -> None:
    visitor.turn_on("actions")
    there = f"{server.url}/style.css"
    actions = [{"action": "styles", "title": "Styles", "url": there}]
    server.notify("actions", title="With a button", url=server.url, actions=actions, require_interaction=True)
    visitor.click_notification("With a button", "styles")
    eventually(lambda: visitor.firefox.selected_address() == there, "the action's address is open")


def test_the_test_button_has_the_server_push_to_this_device(visitor: Visitor) -> None:
    visitor.turn_on("tester")
    visitor.firefox.evaluate(CLEAR)
    visitor.firefox.click("pushdesk-test")
    state, said = visitor.settled()
    assert state == "on"
    assert "test" in said
    eventually(lambda: visitor.firefox.evaluate(SHOWN), "the test is shown")


def test_turning_off_ends_the_subscription_here_and_on_the_server(visitor: Visitor, server: Server) -> None:
    visitor.turn_on("leaver")
    visitor.turn_off()
    assert server.devices("leaver") == []
    assert visitor.key_and_endpoint() is None
    assert outcomes(server.notify("leaver", title="Nobody is there")) == []
    assert visitor.reload()[0] == "off"
    assert visitor.firefox.evaluate("return document.querySelector('#pushdesk-user').value") == "leaver"


def test_a_new_key_is_followed_on_the_next_load_and_pushes_arrive_before_and_after(
    visitor: Visitor, server: Server
) -> None:
    visitor.turn_on("rotated")
    before = visitor.key_and_endpoint()
    assert before is not None
    key_id = server.rotate_key()
    assert outcomes(server.notify("rotated", title="Before the visit")) == ["accepted"]
    visitor.shown("Before the visit")
    assert visitor.reload()[0] == "on"
    after = visitor.key_and_endpoint()
    assert after is not None
    assert after[0] == server.call("GET", "/api/v1/vapid").body["public_key"]
    assert after[0] != before[0]
    assert after[1] != before[1]
    assert only(server.devices("rotated"))["key_id"] == key_id
    assert outcomes(server.notify("rotated", title="After the visit")) == ["accepted"]
    visitor.shown("After the visit")


def test_a_worker_follows_a_new_key_by_itself_on_a_push_and_pushes_arrive_before_and_after(
    visitor: Visitor, server: Server, simulator: Simulator
) -> None:
    visitor.turn_on("alone")
    visitor.forget_for_a_day()
    visitor.firefox.open("about:blank")
    before = only(server.devices("alone"))
    key_id = server.rotate_key()
    assert outcomes(server.notify("alone", title="With the old key")) == ["accepted"]
    eventually(lambda: only(server.devices("alone"))["key_id"] == key_id, "the worker has followed")
    assert only(server.devices("alone"))["fingerprint"] != before["fingerprint"]
    assert outcomes(server.notify("alone", title="With the new key")) == ["accepted"]
    eventually(simulator.was_shown, "Firefox acknowledges every push as decrypted")
    visitor.firefox.open(f"{server.url}/style.css")
    visitor.shown("With the old key")
    visitor.shown("With the new key")


def test_a_worker_looks_for_a_new_key_once_a_day(visitor: Visitor, server: Server) -> None:
    def looks() -> int:
        return [path for _, path, _ in visitor.firefox.requests()].count("/api/v1/vapid")

    visitor.turn_on("daily")
    visitor.firefox.record_requests()
    server.notify("daily", title="Just seen")
    visitor.shown("Just seen")
    visitor.forget_for_a_day()
    server.notify("daily", title="A day later")
    eventually(looks, "the worker has looked")
    server.notify("daily", title="Seen again")
    visitor.shown("Seen again")
    assert looks() == 1


def test_a_subscription_that_the_browser_lost_is_renewed_without_a_page(
    visitor: Visitor, server: Server, simulator: Simulator
) -> None:
    visitor.turn_on("renewed")
    before = only(server.devices("renewed"))["fingerprint"]
    visitor.firefox.open("about:blank")
    simulator.forget_browsers()
    changed(lambda: str(only(server.devices("renewed"))["fingerprint"]), before)
    assert outcomes(server.notify("renewed", title="To the new one")) == ["accepted"]
    eventually(simulator.was_shown, "Firefox acknowledges every push as decrypted")
    visitor.firefox.open(f"{server.url}/style.css")
    assert visitor.shown("To the new one")


def test_page_and_worker_show_the_device_token(visitor: Visitor, server: Server, simulator: Simulator) -> None:
    path = "/api/v1/users/bearer/webpush/subscription"
    visitor.firefox.record_requests()
    visitor.turn_on("bearer")
    assert ["POST", path, ""] in visitor.firefox.requests()
    visitor.firefox.record_requests()
    before = only(server.devices("bearer"))["fingerprint"]
    simulator.forget_browsers()
    changed(lambda: str(only(server.devices("bearer"))["fingerprint"]), before)
    (renewal,) = [token for method, at, token in visitor.firefox.requests() if (method, at) == ("POST", path)]
    visitor.firefox.record_requests()
    visitor.turn_off()
    (removal,) = [token for method, at, token in visitor.firefox.requests() if (method, at) == ("DELETE", path)]
    assert renewal.startswith("Bearer ")
    assert removal.startswith("Bearer ")
    # A changed subscription gets a new token; the old one ended with the old subscription.
    assert removal != renewal


def test_a_renewed_device_is_still_the_one_that_the_button_turns_off(
    visitor: Visitor, server: Server, simulator: Simulator
) -> None:
    visitor.turn_on("token")
    before = only(server.devices("token"))["fingerprint"]
    simulator.forget_browsers()
    changed(lambda: str(only(server.devices("token"))["fingerprint"]), before)
    assert visitor.reload()[0] == "on"
    visitor.turn_off()
    assert server.devices("token") == []


def test_a_device_that_the_server_forgot_is_known_again_after_the_next_load(visitor: Visitor, server: Server) -> None:
    visitor.turn_on("forgotten")
    device = only(server.devices("forgotten"))
    assert server.ask("POST", "admin/subscriptions/remove", {"ids": [device["id"]]}).body == {"removed": 1}
    assert visitor.reload()[0] == "on"
    assert only(server.devices("forgotten"))["state"] == "active"
    assert outcomes(server.notify("forgotten", title="Welcome back")) == ["accepted"]


def test_a_subscription_that_the_push_service_ended_is_replaced_on_the_next_load(
    visitor: Visitor, server: Server, simulator: Simulator
) -> None:
    visitor.turn_on("ended")
    (subscription,) = simulator.call("GET", "/_control/subscriptions").body["items"]
    assert simulator.call("DELETE", f"/_control/subscriptions/{subscription['id']}").status == 204
    assert outcomes(server.notify("ended", title="Gone")) == ["gone"]
    state, said = visitor.reload()
    assert state == "on", said
    assert outcomes(server.notify("ended", title="There again")) == ["accepted"]
    visitor.shown("There again")


def test_what_the_server_refuses_is_said_with_its_advice(visitor: Visitor, server: Server) -> None:
    visitor.firefox.type("pushdesk-user", "me")
    visitor.firefox.click("pushdesk-toggle")
    state, said = visitor.settled()
    assert state == "error"
    assert "me" in said
    assert server.devices("me") == []
