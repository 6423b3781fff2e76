"""The service worker in a real Chromium: whatever is pushed, something is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.chromium import Worker
from tests.browser.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.chromium import Chromium

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def running_worker(chromium: Chromium) -> Worker:
    chromium.allow_notifications()
    page = chromium.context.new_page()
    page.goto(chromium.origin)
    return Worker(chromium, page)


@pytest.fixture
def worker(running_worker: Worker) -> Iterator[Worker]:
    yield running_worker
    running_worker.clear()


def message(**notification: object) -> str:
    return json.dumps({"web_push": 8030, "notification": notification, "mutable": True})


def pushed(worker: Worker, data: str) -> dict[str, Any]:
    """Push, and return the one notification that is then shown."""
    worker.push(data)
    shown = worker.shown()
    assert len(shown) == 1, shown
    return shown[0]


def test_every_field_of_the_message_is_shown(worker: Worker, chromium: Chromium) -> None:
    origin = chromium.origin
    shown = pushed(
        worker,
        message(
            title="Title",
            navigate=f"{origin}/there",
            body="Body",
            icon=f"{origin}/icon-512.png",
            badge=f"{origin}/badge-96.png",
            image=f"{origin}/icon-192.png",
            tag="tag",
            lang="fr",
            dir="rtl",
            silent=True,
            requireInteraction=True,
            renotify=True,
            timestamp=1_700_000_000_000,
            actions=[{"action": "a", "title": "Action", "navigate": f"{origin}/action"}],
            data={"id": "d1", "data": {"any": ["json", None]}},
        ),
    )
    assert shown == {
        "title": "Title",
        "body": "Body",
        "icon": f"{origin}/icon-512.png",
        "badge": f"{origin}/badge-96.png",
        "image": f"{origin}/icon-192.png",
        "tag": "tag",
        "lang": "fr",
        "dir": "rtl",
        "silent": True,
        "renotify": True,
        "requireInteraction": True,
        "timestamp": 1_700_000_000_000,
        "actions": [{"action": "a", "title": "Action"}],
        "data": {
            "id": "d1",
            "data": {"any": ["json", None]},
            "navigate": f"{origin}/there",
            "actions": [{"action": "a", "navigate": f"{origin}/action"}],
        },
    }


def test_a_title_alone_is_shown_with_the_sites_icon_and_opens_the_site(worker: Worker, chromium: Chromium) -> None:
    shown = pushed(worker, message(title="Alone"))
    assert shown["title"] == "Alone"
    assert shown["body"] == ""
    assert shown["icon"] == f"{chromium.origin}/icon-192.png"
    assert shown["data"]["navigate"] == f"{chromium.origin}/"


def test_an_empty_push_says_so(worker: Worker) -> None:
    assert "without any content" in pushed(worker, "")["body"]


@pytest.mark.parametrize("data", ["plain text", '{"web_push": 8030,', "\x00\x01\x02", "\u202e{}"])
def test_an_unreadable_push_says_so(worker: Worker, data: str) -> None:
    assert "could not be read" in pushed(worker, data)["body"]


@pytest.mark.parametrize(
    "data",
    [
        "null",
        "[]",
        '"text"',
        "8030",
        "{}",
        '{"notification": null}',
        '{"notification": ["title"]}',
        '{"notification": {"body": "no title"}}',
        '{"notification": {"title": 5}}',
    ],
)
def test_a_push_in_another_form_says_so(worker: Worker, data: str) -> None:
    assert "not in a form" in pushed(worker, data)["body"]


def test_renotify_without_a_tag_is_shown_with_all_else_that_it_says(worker: Worker) -> None:
    shown = pushed(worker, message(title="Again", renotify=True, body="Still here", requireInteraction=True, lang="fr"))
    assert (shown["title"], shown["body"], shown["renotify"]) == ("Again", "Still here", False)
    assert (shown["requireInteraction"], shown["lang"]) == (True, "fr")


@pytest.mark.parametrize("odd", [5, True, None, [], {}, [{}], "", "http://[", "javascript:alert(1)", "\ud800"])
def test_a_field_with_an_odd_value_does_not_keep_the_rest_from_being_shown(worker: Worker, odd: object) -> None:
    fields = (
        "navigate body icon badge image tag lang dir silent requireInteraction renotify timestamp actions data vibrate"
    )
    shown = pushed(worker, message(title="Title", **dict.fromkeys(fields.split(), odd)))
    assert shown["title"] == "Title"
    assert shown["data"]["navigate"].startswith("http://")


def test_an_odd_action_is_left_out_and_the_others_stay(worker: Worker) -> None:
    actions = [None, {"action": "x"}, {"title": "y"}, {"action": 1, "title": 2}, {"action": "a", "title": "A"}]
    assert pushed(worker, message(title="Title", actions=actions))["actions"] == [{"action": "a", "title": "A"}]


def test_half_a_surrogate_pair_is_replaced(worker: Worker) -> None:
    actions = [{"action": "\ud800", "title": "\ud800"}]
    shown = pushed(worker, message(title="\ud800", body="a\udc00b", tag="\ud800", actions=actions, data="\ud800"))
    assert (shown["title"], shown["body"], shown["tag"]) == ("\ufffd", "a\ufffdb", "\ufffd")
    assert shown["actions"] == [{"action": "\ufffd", "title": "\ufffd"}]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "chrome://gpu"])
def test_only_web_addresses_are_kept_for_a_click(worker: Worker, chromium: Chromium, address: str) -> None:
    actions = [{"action": "a", "title": "A", "navigate": address}]
    data = pushed(worker, message(title="Title", navigate=address, actions=actions))["data"]
    assert data["navigate"] == f"{chromium.origin}/"
    assert "javascript" not in json.dumps(data)
    assert not data["actions"][0].get("navigate")


def test_a_message_cannot_replace_what_a_click_needs(worker: Worker, chromium: Chromium) -> None:
    data = {"navigate": "javascript:alert(1)", "actions": "none"}
    shown = pushed(worker, message(title="Title", data=data))
    assert shown["data"] == {"navigate": f"{chromium.origin}/", "actions": []}


def test_more_actions_than_the_browser_shows_are_cut(worker: Worker) -> None:
    actions = [{"action": str(number), "title": str(number)} for number in range(8)]
    shown = pushed(worker, message(title="Title", actions=actions))
    assert 1 <= len(shown["actions"]) < 8


def test_a_newer_push_with_the_same_tag_replaces_the_older(worker: Worker) -> None:
    pushed(worker, message(title="Old", tag="same"))
    worker.push(message(title="New", tag="same"))
    assert [one["title"] for one in worker.shown()] == ["New"]


@pytest.mark.parametrize(("count", "badge"), [(3, 3), (0, 0), ("3", None), (-1, None), (1.5, None), (None, None)])
def test_a_count_becomes_the_apps_badge(worker: Worker, count: object, badge: int | None) -> None:
    script = worker.script
    # A headless Chromium has no icon to put a badge on; what it is told is seen here.
    script.evaluate("() => { self.badge = null; navigator.setAppBadge = async (count) => { self.badge = count } }")
    pushed(worker, json.dumps({"web_push": 8030, "notification": {"title": "Counted"}, "app_badge": count}))
    if badge is not None:
        eventually(lambda: script.evaluate("() => self.badge !== null"), "the badge is set")
    assert script.evaluate("() => self.badge") == badge


SEEN_LONG_AGO = {"user": "anna", "endpoint": "https://push.example/1", "key_id": "00000000", "key_seen_at": 1}
ANSWERS = {
    "silent": "() => new Promise(() => {})",
    "unreachable": "() => { throw new TypeError('Failed to fetch') }",
    "switched off": "() => new Response('{}', { status: 404 })",
    "token ended": "() => new Response('{}', { status: 401 })",
    "no JSON": "() => new Response('<h1>Sign in to the Wi-Fi</h1>')",
    "good": "() => Response.json({ public_key: 'BA', key_id: '00000000' })",
}


def asks(answer: str) -> str:
    """Return what makes the worker's requests be answered so, and counts them."""
    return f"() => {{ self.asked = 0; self.fetch = async () => {{ self.asked += 1; return ({ANSWERS[answer]})() }} }}"


@pytest.fixture
def subscribed(worker: Worker, chromium: Chromium) -> Iterator[Worker]:
    """A worker whose device saw the server's key too long ago."""
    script = worker.script
    script.evaluate(
        "(device) => { self.usual = { fetch, open: indexedDB.open }; return writeDevice(device) }",
        {
            **SEEN_LONG_AGO,
            "server": chromium.origin,
        },
    )
    yield worker
    script.evaluate(
        "() => { self.fetch = usual.fetch; delete indexedDB.open; following = null; return writeDevice({}) }"
    )


@pytest.mark.parametrize("answer", ANSWERS)
def test_looking_for_a_new_key_keeps_no_push_from_being_shown(subscribed: Worker, answer: str) -> None:
    subscribed.script.evaluate(asks(answer))
    assert pushed(subscribed, message(title="First"))["title"] == "First"
    subscribed.push(message(title="Second"))
    assert {one["title"] for one in subscribed.shown()} == {"First", "Second"}


@pytest.mark.parametrize("answer", ["unreachable", "switched off", "no JSON"])
def test_what_went_wrong_when_looking_for_a_new_key_is_tried_again_with_the_next_push(
    subscribed: Worker, answer: str
) -> None:
    script = subscribed.script
    script.evaluate(asks(answer))
    for count in (1, 2):
        subscribed.push(message(title="Title"))
        script.evaluate("() => following")
        assert script.evaluate("() => self.asked") == count
    assert script.evaluate("async () => (await readDevice()).key_seen_at") == 1
    script.evaluate(asks("good"))
    for _ in range(2):
        subscribed.push(message(title="Title"))
        script.evaluate("() => following")
    assert script.evaluate("() => self.asked") == 1


def test_a_clock_that_was_put_back_does_not_put_off_looking_for_a_new_key(subscribed: Worker) -> None:
    script = subscribed.script
    in_a_week = "async () => writeDevice({ ...(await readDevice()), key_seen_at: Date.now() + 7 * 24 * 3_600_000 })"
    script.evaluate(in_a_week)
    script.evaluate(asks("good"))
    subscribed.push(message(title="Title"))
    script.evaluate("() => following")
    assert script.evaluate("() => self.asked") == 1


def test_who_has_switched_off_looks_for_no_key(subscribed: Worker) -> None:
    script = subscribed.script
    script.evaluate("async () => writeDevice({ ...(await readDevice()), endpoint: undefined })")
    script.evaluate(asks("good"))
    subscribed.push(message(title="Title"))
    script.evaluate("() => following")
    assert script.evaluate("() => self.asked") == 0


def test_storage_that_fails_keeps_no_push_from_being_shown(subscribed: Worker) -> None:
    subscribed.script.evaluate("() => { indexedDB.open = () => { throw new DOMException('', 'UnknownError') } }")
    assert pushed(subscribed, message(title="Title"))["title"] == "Title"


def test_pushes_that_come_together_look_for_a_new_key_once(subscribed: Worker) -> None:
    script = subscribed.script
    script.evaluate(asks("good"))
    script.evaluate("() => Promise.all([followKey(), followKey(), followKey()])")
    assert script.evaluate("() => self.asked") == 1


@pytest.mark.parametrize(("code", "requests"), [(None, 2), ("7M3K-Q0ZT-A9WD-5HXE", 1)])
def test_only_a_device_that_nobody_invited_starts_afresh_when_its_token_has_ended(
    subscribed: Worker, code: str | None, requests: int
) -> None:
    script = subscribed.script
    script.evaluate(asks("token ended"))
    called = script.evaluate(
        "(device) => call(device, 'GET', 'vapid').catch((error) => error.message)",
        {"server": "https://push.example", "token": "pdd_made_up", "code": code},
    )
    assert called == "pushdesk answered 401"
    assert script.evaluate("() => self.asked") == requests
