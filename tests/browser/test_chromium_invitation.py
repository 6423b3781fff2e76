"""The page where an invitation leads, in a real Chromium: what it says, what it sends and when, and how it looks.

Offline, Chromium never gets as far as being subscribed; that is Firefox's part.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.test_chromium_page import (
    DESKTOP,
    IPHONE,
    PHONE,
    SMALL_PHONE,
    TELL_WHEN_SUBSCRIBING,
    expect_state,
    luminance,
    press,
    status,
)
from tests.browser.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, Route

    from tests.browser.chromium import Chromium

pytestmark = pytest.mark.browser

CODE = "7M3K-Q0ZT-A9WD-5HXE"
ANSWER = {"user": "bob", "token": "pdd_made_up"}
STORED = """() => new Promise((resolve, reject) => {
  const opening = indexedDB.open("pushdesk", 1);
  opening.onerror = reject;
  opening.onsuccess = () => {
    const reading = opening.result.transaction("device").objectStore("device").get("device");
    reading.onsuccess = () => { opening.result.close(); resolve(reading.result ?? {}); };
  };
})"""
REMEMBER = """(device) => new Promise((resolve, reject) => {
  const opening = indexedDB.open("pushdesk", 1);
  opening.onerror = reject;
  opening.onsuccess = () => {
    const store = opening.result.transaction("device", "readwrite").objectStore("device");
    store.put(device, "device").onsuccess = () => { opening.result.close(); resolve(); };
  };
})"""
ANSWER_THE_QUESTION = "(answer) => { Notification.requestPermission = async () => answer }"

ROOM = """(selector) => {
  const field = document.querySelector(selector);
  const { font, paddingLeft, paddingRight } = getComputedStyle(field);
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.font = font;
  const room = field.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
  return room - canvas.measureText(field.placeholder).width;
}"""
PLACES = """() => ["toggle", "status", "way"].map((name) => {
  const box = document.querySelector(`#pushdesk-${name}`).getBoundingClientRect();
  return [box.left, box.top + scrollY, box.height];
})"""

FORGET = """() => new Promise((resolve, reject) => {
  const deleting = indexedDB.deleteDatabase("pushdesk");
  deleting.onsuccess = resolve;
  deleting.onerror = deleting.onblocked = reject;
})"""


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    page = chromium.context.new_page()
    yield page
    page.unroute_all()
    page.goto(f"{chromium.origin}/style.css")
    page.evaluate(FORGET)
    page.close()


class Redemptions:
    """Answers the page's redemptions, and knows what was sent."""

    def __init__(self, page: Page, status: int = 200, answer: object = None) -> None:
        self.codes: list[str] = []
        self._status = status
        self._answer = answer or ANSWER
        page.route("**/api/v1/enrollments", self._fulfill)

    def _fulfill(self, route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        self.codes.append(body.pop("code"))
        assert body == {}
        route.fulfill(status=self._status, json=self._answer)


def open_invitation(page: Page, chromium: Chromium, code: str = CODE) -> None:
    page.goto(f"{chromium.origin}/enroll#{code}")


def by_code(page: Page) -> bool:
    shown = (page.locator("#pushdesk-code").is_visible(), page.locator("#pushdesk-user").is_visible())
    assert shown in {(True, False), (False, True)}
    return shown[0]


def test_opening_the_link_redeems_nothing_and_asks_for_nothing(page: Page, chromium: Chromium) -> None:
    redemptions = Redemptions(page)
    chromium.set_permission(page, "prompt")
    open_invitation(page, chromium)
    expect_state(page, "off")
    expect(status(page)).to_contain_text("used once you press the button")
    expect(page.locator("#pushdesk-code")).to_have_value(CODE)
    assert by_code(page)
    assert page.evaluate("Notification.permission") == "default"
    assert page.url.endswith(f"/enroll#{CODE}")
    assert redemptions.codes == []


@pytest.mark.parametrize("answer", ["denied", "default"])
def test_who_does_not_allow_notifications_has_not_used_the_code(page: Page, chromium: Chromium, answer: str) -> None:
    redemptions = Redemptions(page)
    chromium.set_permission(page, "prompt")
    open_invitation(page, chromium)
    expect_state(page, "off")
    page.evaluate(ANSWER_THE_QUESTION, answer)
    page.click("#pushdesk-toggle")
    expect(status(page)).to_contain_text("They were not allowed.")
    expect(page.locator("#pushdesk-code")).to_have_value(CODE)
    assert page.url.endswith(f"/enroll#{CODE}")
    assert redemptions.codes == []


def test_a_server_without_push_says_so_before_the_code_is_used(page: Page, chromium: Chromium) -> None:
    redemptions = Redemptions(page)
    chromium.set_permission(page, "granted")
    open_invitation(page, chromium)
    expect_state(page, "off")
    page.route("**/api/v1/vapid", lambda route: route.fulfill(status=404, json={"code": "not_found"}))
    page.click("#pushdesk-toggle")
    expect_state(page, "unsupported")
    expect(page.locator("#pushdesk-code")).to_have_value(CODE)
    assert redemptions.codes == []


def test_what_a_code_gave_is_kept_whatever_goes_wrong_afterwards(page: Page, chromium: Chromium) -> None:
    redemptions = Redemptions(page)
    chromium.set_permission(page, "granted")
    page.clock.install()
    page.add_init_script(TELL_WHEN_SUBSCRIBING)
    open_invitation(page, chromium)
    expect_state(page, "off")
    page.click("#pushdesk-toggle")
    eventually(lambda: page.evaluate("window.isSubscribing"), "the page subscribes")
    stored = page.evaluate(STORED)
    assert (stored["user"], stored["token"]) == ("bob", ANSWER["token"])
    assert page.url == f"{chromium.origin}/"
    page.clock.fast_forward(21_000)
    expect_state(page, "error")
    expect(status(page)).to_contain_text("push service does not answer")
    assert not by_code(page)
    expect(page.locator("#pushdesk-user")).to_have_value("bob")

    page.reload()
    expect_state(page, "off")
    expect(page.locator("#pushdesk-user")).to_have_value("bob")
    page.click("#pushdesk-toggle")
    eventually(lambda: page.evaluate("window.isSubscribing"), "the page subscribes again")
    page.clock.fast_forward(21_000)
    expect_state(page, "error")
    assert redemptions.codes == [CODE]


def test_the_link_of_an_invitation_that_was_redeemed_here_leads_to_the_page_as_it_is(
    page: Page, chromium: Chromium
) -> None:
    redemptions = Redemptions(page)
    page.goto(chromium.origin)
    expect_state(page, "off")
    page.evaluate(REMEMBER, {"server": chromium.origin, "code": CODE, **ANSWER})
    open_invitation(page, chromium, CODE.lower())
    expect_state(page, "off")
    eventually(lambda: page.url == f"{chromium.origin}/", "the code is gone from the address")
    assert not by_code(page)
    expect(page.locator("#pushdesk-user")).to_have_value("bob")
    assert redemptions.codes == []


@pytest.mark.parametrize("typed", [CODE, f"https://push.example/enroll#{CODE}"], ids=["code", "link"])
def test_a_code_can_be_typed_and_a_link_pasted(page: Page, chromium: Chromium, typed: str) -> None:
    redemptions = Redemptions(page)
    chromium.set_permission(page, "granted")
    page.add_init_script(TELL_WHEN_SUBSCRIBING)
    page.goto(chromium.origin)
    expect_state(page, "off")
    page.click("#pushdesk-way")
    expect(page.locator("#pushdesk-code")).to_be_focused()
    assert by_code(page)
    page.keyboard.type(typed)
    page.keyboard.press("Enter")
    eventually(lambda: page.evaluate("window.isSubscribing"), "the page subscribes")
    assert redemptions.codes == [CODE]
    expect(page.locator("#pushdesk-user")).to_be_focused()


def test_without_a_code_there_is_the_way_back(page: Page, chromium: Chromium) -> None:
    page.goto(f"{chromium.origin}/enroll")
    expect_state(page, "off")
    assert by_code(page)
    for nothing in ("", "   ", "---"):
        page.fill("#pushdesk-code", nothing)
        page.click("#pushdesk-toggle")
        expect(page.locator("#pushdesk-code:invalid")).to_be_focused()
    page.click("#pushdesk-way")
    expect(page.locator("#pushdesk-user")).to_be_focused()
    assert not by_code(page)


def test_another_link_in_the_same_tab_shows_its_own_code(page: Page, chromium: Chromium) -> None:
    open_invitation(page, chromium)
    expect_state(page, "off")
    page.evaluate("location.hash = '#0000-1111-2222-3333'")
    expect(page.locator("#pushdesk-code")).to_have_value("0000-1111-2222-3333")


def test_a_refused_code_is_said_with_its_advice_and_can_be_mended(page: Page, chromium: Chromium) -> None:
    problem = {"code": "forbidden", "detail": "The <b>code</b> was used.", "hint": "Ask for another invitation."}
    redemptions = Redemptions(page, status=403, answer=problem)
    chromium.set_permission(page, "granted")
    open_invitation(page, chromium)
    expect_state(page, "off")
    page.click("#pushdesk-toggle")
    expect_state(page, "error")
    expect(status(page)).to_contain_text("The <b>code</b> was used.")
    expect(status(page)).to_contain_text("Ask for another invitation.")
    page.fill("#pushdesk-code", "0000-1111-2222-3333")
    with page.expect_response("**/api/v1/enrollments"):
        page.click("#pushdesk-toggle")
    assert redemptions.codes == [CODE, "0000-1111-2222-3333"]


def test_a_token_that_ended_is_told_from_a_code_that_is_wrong(page: Page, chromium: Chromium) -> None:
    chromium.set_permission(page, "granted")
    page.goto(chromium.origin)
    expect_state(page, "off")
    page.evaluate(REMEMBER, {"server": chromium.origin, "code": CODE, **ANSWER})
    page.evaluate("PushManager.prototype.subscribe = async () => ({ toJSON: () => ({ endpoint: 'https://push' }) })")
    asked: list[str | None] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.headers.get("authorization"))
        route.fulfill(status=401, json={"code": "unauthorized", "detail": "The token is not valid."})

    page.route("**/webpush/subscription", refuse)
    press(page, "bob")
    expect_state(page, "error")
    expect(status(page)).to_contain_text("The invitation of this device no longer counts. Ask for a new one.")
    # It is not made up for by being on the server's own machine: whoever ended the invitation meant it.
    assert asked == [f"Bearer {ANSWER['token']}"]


def test_an_iphone_is_told_to_take_the_code_to_the_home_screen(page: Page, chromium: Chromium) -> None:
    devtools = chromium.context.new_cdp_session(page)
    devtools.send("Emulation.setUserAgentOverride", {"userAgent": IPHONE})
    open_invitation(page, chromium)
    expect_state(page, "unsupported")
    expect(status(page)).to_contain_text("Add to Home Screen")
    expect(status(page)).to_contain_text("Take the code along")
    expect(page.locator("#pushdesk-code")).to_have_value(CODE)
    assert page.locator("#pushdesk-code").is_editable()


def test_the_page_keeps_to_its_own_content_security_policy(page: Page, chromium: Chromium) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    open_invitation(page, chromium)
    expect_state(page, "off")
    page.click("#pushdesk-way")
    assert complaints == []


def test_the_code_goes_to_no_server_before_the_press(page: Page, chromium: Chromium) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(json.dumps([request.url, request.headers, request.post_data])))
    open_invitation(page, chromium)
    expect_state(page, "off")
    assert len(sent) > 3
    # DevTools names a navigation with its fragment, which is not sent.
    assert [one for one in sent if CODE in one.replace(f"/enroll#{CODE}", "")] == []


@pytest.mark.parametrize("size", [SMALL_PHONE, PHONE, DESKTOP], ids=["small-phone", "phone", "desktop"])
def test_what_stands_in_the_empty_fields_is_seen_whole(page: Page, chromium: Chromium, size: dict[str, int]) -> None:
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.goto(chromium.origin)
    expect_state(page, "off")
    assert page.evaluate(ROOM, "#pushdesk-user") > 0
    page.click("#pushdesk-way")
    assert page.evaluate(ROOM, "#pushdesk-code") > 0


@pytest.mark.parametrize("size", [SMALL_PHONE, PHONE, DESKTOP], ids=["small-phone", "phone", "desktop"])
def test_choosing_a_way_moves_nothing_and_everything_fits(page: Page, chromium: Chromium, size: dict[str, int]) -> None:
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.goto(chromium.origin)
    expect_state(page, "off")
    before = page.evaluate(PLACES)
    page.click("#pushdesk-way")
    assert by_code(page)
    assert page.evaluate(PLACES) == before
    assert all(height >= 44 for _, _, height in before)
    width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(page: Page, chromium: Chromium, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(chromium.origin)
    expect_state(page, "off")
    page.click("#pushdesk-way")
    page.locator("#pushdesk-code").hover()
    color = "(part) => getComputedStyle(part).color"
    background = "(part) => getComputedStyle(part).backgroundColor"
    card = luminance(page.eval_on_selector("main", background))
    at_rest = [card, luminance(page.eval_on_selector("#pushdesk-way", color))]
    page.hover("#pushdesk-way")
    hovered = [luminance(page.eval_on_selector("#pushdesk-way", each)) for each in (background, color)]
    for back, text in (at_rest, hovered):
        # 4.5 to 1: WCAG 2 level AA.
        assert (max(back, text) + 0.05) / (min(back, text) + 0.05) >= 4.5
