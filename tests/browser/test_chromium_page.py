"""The page in a real Chromium: where it stands in each situation, how it looks, and what it may load."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.running import Server
from tests.browser.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Page, Route

    from tests.browser.chromium import Chromium
    from tests.browser.running import Simulator

pytestmark = pytest.mark.browser

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)
PHONE = {"width": 390, "height": 844}
TELL_WHEN_SUBSCRIBING = """
  const { subscribe } = PushManager.prototype;
  PushManager.prototype.subscribe = function (...options) {
    window.isSubscribing = true;
    return subscribe.apply(this, options);
  };
"""
REMEMBER_A_SUBSCRIPTION = """(server) => new Promise((resolve, reject) => {
  const opening = indexedDB.open("pushdesk", 1);
  opening.onerror = reject;
  opening.onsuccess = () => {
    const store = opening.result.transaction("device", "readwrite").objectStore("device");
    const device = { server, user: "alice", endpoint: "https://push.example/1", key_id: "00000000", token: "pdd_1_2" };
    store.put(device, "device").onsuccess = resolve;
  };
})"""
RENEW_AND_COUNT_REQUESTS = """async () => {
  const { fetch } = self;
  let requests = 0;
  self.fetch = (...given) => { requests += 1; return fetch(...given); };
  RENEWAL_PAUSES_MS.fill(0);
  const ended = await renewPatiently({}).catch((error) => error.message);
  return [requests, ended];
}"""
SMALL_PHONE = {"width": 320, "height": 568}
DESKTOP = {"width": 1280, "height": 800}


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    page = chromium.context.new_page()
    yield page
    page.close()


def status(page: Page) -> Locator:
    return page.locator("#pushdesk-status")


def expect_state(page: Page, state: str) -> None:
    expect(status(page)).to_have_attribute("data-state", state)


def press(page: Page, user: str = "alice") -> None:
    page.fill("#pushdesk-user", user)
    page.click("#pushdesk-toggle")


def test_a_first_visit_asks_for_nothing_and_says_off(page: Page, chromium: Chromium) -> None:
    chromium.set_permission(page, "prompt")
    page.goto(chromium.origin)
    expect_state(page, "off")
    assert page.evaluate("Notification.permission") == "default"
    expect(page.locator("#pushdesk-toggle")).to_have_text("Turn on notifications")
    expect(page.locator("#pushdesk-test")).to_be_hidden()


def test_a_name_is_needed(page: Page, chromium: Chromium) -> None:
    chromium.set_permission(page, "granted")
    page.goto(chromium.origin)
    expect_state(page, "off")
    page.click("#pushdesk-toggle")
    expect(page.locator("#pushdesk-user:invalid")).to_be_focused()
    press(page, "..")
    expect_state(page, "error")
    expect(status(page)).to_contain_text("A name is needed.")


def test_blocked_says_how_to_unblock_and_notices_when_it_is(page: Page, chromium: Chromium) -> None:
    chromium.set_permission(page, "denied")
    page.goto(chromium.origin)
    expect_state(page, "blocked")
    expect(status(page)).to_contain_text("left of the address")
    expect(page.locator("#pushdesk-toggle")).to_be_disabled()
    chromium.set_permission(page, "prompt")
    expect_state(page, "off")
    expect(page.locator("#pushdesk-toggle")).to_be_enabled()


def test_being_blocked_while_the_page_is_open_is_noticed(page: Page, chromium: Chromium) -> None:
    chromium.set_permission(page, "prompt")
    page.goto(chromium.origin)
    expect_state(page, "off")
    chromium.set_permission(page, "denied")
    expect_state(page, "blocked")


def test_a_push_service_that_never_answers_ends_in_advice(page: Page, chromium: Chromium) -> None:
    """Offline, Chromium's `subscribe` neither succeeds nor fails."""
    chromium.set_permission(page, "granted")
    page.clock.install()
    page.add_init_script(TELL_WHEN_SUBSCRIBING)
    page.goto(chromium.origin)
    expect_state(page, "off")
    press(page)
    eventually(lambda: page.evaluate("window.isSubscribing"), "the page subscribes")
    page.clock.fast_forward(19_000)
    expect_state(page, "working")
    page.clock.fast_forward(2_000)
    expect_state(page, "error")
    expect(status(page)).to_contain_text("push service does not answer")
    expect(status(page)).to_contain_text("Check that you are online")
    expect(page.locator("#pushdesk-toggle")).to_have_text("Try again")
    expect(page.locator("#pushdesk-toggle")).to_be_enabled()


def test_a_server_that_cannot_be_reached_ends_in_advice(page: Page, chromium: Chromium) -> None:
    chromium.set_permission(page, "granted")
    page.route("**/api/v1/**", lambda route: route.abort())
    page.goto(chromium.origin)
    expect_state(page, "off")
    press(page)
    expect_state(page, "error")
    expect(status(page)).to_contain_text("The server cannot be reached.")


def test_a_server_that_never_answers_ends_in_advice(page: Page, chromium: Chromium) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    chromium.set_permission(page, "granted")
    page.clock.install()
    page.route("**/api/v1/**", hold)
    page.goto(chromium.origin)
    expect_state(page, "off")
    with page.expect_request("**/api/v1/vapid"):
        press(page)
    page.clock.fast_forward(16_000)
    expect_state(page, "error")
    expect(status(page)).to_contain_text("The server does not answer.")
    for route in held:
        route.abort()


def test_an_error_of_the_server_is_shown_as_text_with_its_hint(page: Page, chromium: Chromium) -> None:
    problem = {"detail": "<img src=x> is switched off.", "hint": "Ask the <b>operator</b>.", "code": "push_disabled"}
    chromium.set_permission(page, "granted")
    page.route("**/api/v1/**", lambda route: route.fulfill(status=503, json=problem))
    page.goto(chromium.origin)
    expect_state(page, "off")
    press(page)
    expect_state(page, "error")
    expect(status(page)).to_contain_text("<img src=x> is switched off.")
    expect(status(page)).to_contain_text("Ask the <b>operator</b>.")
    assert page.locator("img[src=x]").count() == 0


def test_a_server_without_push_says_so_before_it_asks_for_anything_and_is_not_asked_for_ever(
    page: Page, chromium: Chromium, simulator: Simulator, tmp_path: Path
) -> None:
    with Server(tmp_path / "home", simulator.url, "--experiments-web-push", "false") as server:
        page.goto(server.url)
        expect_state(page, "unsupported")
        expect(status(page)).to_contain_text("Push notifications are switched off on this server.")
        expect(page.locator("#pushdesk-toggle")).to_be_disabled()
        assert page.evaluate("Notification.permission") == "default"

        chromium.context.grant_permissions(["notifications"], origin=server.url)
        page.evaluate(REMEMBER_A_SUBSCRIPTION, server.url)
        page.reload()
        expect_state(page, "unsupported")
        expect(status(page)).to_contain_text("Push notifications are switched off on this server.")
        (worker,) = [each for each in chromium.context.service_workers if each.url.startswith(server.url)]
        assert worker.evaluate(RENEW_AND_COUNT_REQUESTS) == [3, "pushdesk answered 404"]


def test_an_answer_that_is_no_json_is_an_error(page: Page, chromium: Chromium) -> None:
    chromium.set_permission(page, "granted")
    page.route("**/api/v1/**", lambda route: route.fulfill(status=200, body="<h1>Sign in to the Wi-Fi</h1>"))
    page.goto(chromium.origin)
    expect_state(page, "off")
    press(page)
    expect_state(page, "error")


def test_an_insecure_address_is_unsupported_and_says_which_one_to_use(page: Page, chromium: Chromium) -> None:
    def answer(route: Route) -> None:
        path = route.request.url.removeprefix("http://pushdesk.test")
        route.fulfill(response=route.fetch(url=f"{chromium.origin}{path}"))

    page.route("http://pushdesk.test/**", answer)
    page.goto("http://pushdesk.test/")
    expect_state(page, "unsupported")
    expect(status(page)).to_contain_text("https://")
    expect(page.locator("#pushdesk-toggle")).to_be_disabled()


def test_a_browser_without_push_is_unsupported(page: Page, chromium: Chromium) -> None:
    page.add_init_script("delete globalThis.PushManager")
    page.goto(chromium.origin)
    expect_state(page, "unsupported")
    expect(status(page)).to_contain_text("Private windows")


def test_an_iphone_is_told_to_use_the_home_screen(page: Page, chromium: Chromium) -> None:
    devtools = chromium.context.new_cdp_session(page)
    devtools.send("Emulation.setUserAgentOverride", {"userAgent": IPHONE})
    page.goto(chromium.origin)
    expect_state(page, "unsupported")
    expect(status(page)).to_contain_text("Add to Home Screen")


def test_the_page_keeps_to_its_own_content_security_policy(page: Page, chromium: Chromium) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("response", lambda response: complaints.append(response.url) if response.status >= 400 else None)
    response = page.goto(chromium.origin)
    expect_state(page, "off")
    assert response is not None
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]
    assert complaints == []


def test_the_policy_stops_a_script_that_somebody_slipped_in(page: Page, chromium: Chromium) -> None:
    page.goto(chromium.origin)
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        page.evaluate(
            "() => { const script = document.createElement('script'); script.textContent = 'window.pwned = true';"
            " document.head.append(script); }"
        )
    assert page.evaluate("window.pwned") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [SMALL_PHONE, PHONE, DESKTOP], ids=["small-phone", "phone", "desktop"])
def test_the_page_fits_the_screen_in_every_state(
    page: Page, chromium: Chromium, scheme: str, size: dict[str, int]
) -> None:
    page.set_viewport_size({"width": size["width"], "height": size["height"]})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    chromium.set_permission(page, "granted")
    long = "averyveryverylongwordwithoutanyspaces" * 4
    page.route("**/api/v1/**", lambda route: route.fulfill(status=503, json={"detail": long, "hint": long}))
    page.goto(chromium.origin)
    for state in ("off", "error"):
        expect_state(page, state)
        width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert width[0] <= width[1]
        box = page.locator("#pushdesk-toggle").bounding_box()
        assert box is not None
        assert box["height"] >= 44
        if state == "off":
            press(page)


def luminance(color: str) -> float:
    """Relative luminance of a CSS `rgb()` color (WCAG 2)."""
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", color)[:3])
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(page: Page, chromium: Chromium, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(chromium.origin)
    expect_state(page, "off")
    pairs = {
        "main": "h1",
        "#pushdesk-toggle": "#pushdesk-toggle",
        "#pushdesk-status": "#pushdesk-status strong",
        "#pushdesk-user": "#pushdesk-user",
    }
    for state in ("off", "on", "blocked", "error"):
        page.evaluate("(state) => { document.querySelector('#pushdesk-status').dataset.state = state }", state)
        for behind, text in pairs.items():
            back = luminance(page.eval_on_selector(behind, "(part) => getComputedStyle(part).backgroundColor"))
            front = luminance(page.eval_on_selector(text, "(part) => getComputedStyle(part).color"))
            # 4.5 to 1: WCAG 2 level AA. Where the button is transparent, the card is what is behind it.
            if page.eval_on_selector(behind, "(part) => getComputedStyle(part).backgroundColor").endswith(", 0)"):
                back = luminance(page.eval_on_selector("main", "(part) => getComputedStyle(part).backgroundColor"))
            contrast = (max(back, front) + 0.05) / (min(back, front) + 0.05)
            assert contrast >= 4.5, f"{text} in {state}: {contrast:.1f}"


def test_the_page_can_be_installed(page: Page, chromium: Chromium, server: Server) -> None:
    page.goto(chromium.origin)
    expect_state(page, "off")
    devtools = chromium.context.new_cdp_session(page)
    manifest = devtools.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert devtools.send("Page.getInstallabilityErrors") == {"installabilityErrors": []}
    icons = server.call("GET", "/manifest.webmanifest").body["icons"]
    assert {(icon["sizes"], icon.get("purpose")) for icon in icons} >= {
        ("192x192", None),
        ("512x512", None),
        ("192x192", "maskable"),
        ("512x512", "maskable"),
    }
    for icon in [*icons, {"src": "/apple-touch-icon.png", "sizes": "180x180"}]:
        size = page.evaluate(
            "async (src) => { const image = new Image(); image.src = src; await image.decode();"
            " return `${image.naturalWidth}x${image.naturalHeight}` }",
            icon["src"],
        )
        assert icon["sizes"] in {size, "any"}


def test_everything_can_be_done_with_the_keyboard(page: Page, chromium: Chromium) -> None:
    chromium.set_permission(page, "granted")
    page.route("**/api/v1/**", lambda route: route.abort())
    page.goto(chromium.origin)
    expect_state(page, "off")
    page.keyboard.press("Tab")
    expect(page.locator("#pushdesk-user")).to_be_focused()
    page.keyboard.type("alice")
    page.keyboard.press("Enter")
    expect_state(page, "error")
    page.keyboard.press("Tab")
    expect(page.locator("#pushdesk-toggle")).to_be_focused()
    outline = page.eval_on_selector("#pushdesk-toggle", "(part) => getComputedStyle(part).outlineStyle")
    assert outline == "solid"
