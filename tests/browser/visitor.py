"""Somebody with a Firefox, on the page, and what is asked of a server about them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.browser.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.firefox import Firefox
    from tests.browser.running import Server

SHOWN = """
  const registration = await navigator.serviceWorker.ready;
  return (await registration.getNotifications()).map((shown) => ({
    title: shown.title, body: shown.body, icon: shown.icon, tag: shown.tag, lang: shown.lang, dir: shown.dir,
    requireInteraction: shown.requireInteraction, silent: shown.silent, data: shown.data,
    actions: shown.actions.map(({ action, title }) => ({ action, title })),
  }));
"""

CLEAR = """
  const registration = await navigator.serviceWorker.ready;
  for (const shown of await registration.getNotifications()) shown.close();
"""

_KEY_AND_ENDPOINT = """
  const registration = await navigator.serviceWorker.ready;
  const subscription = await registration.pushManager.getSubscription();
  if (!subscription) return null;
  const key = btoa(String.fromCharCode(...new Uint8Array(subscription.options.applicationServerKey)));
  return [key.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""), subscription.endpoint];
"""

# Firefox's alert windows have no buttons for actions; this is what one would tell the alert's listener.
PRESS = """
  const [title, pressed] = args;
  const alert = [...Services.wm.getEnumerator("alert:alert")].find((window) => window.arguments?.[1] === title);
  if (!alert || alert.document.readyState !== "complete" || !alert.gAlertListener) return false;
  if (pressed === "") {
    alert.document.getElementById("alertBox").click();
  } else {
    const QueryInterface = ChromeUtils.generateQI(["nsIAlertAction"]);
    const action = { QueryInterface, action: pressed, title: pressed, iconURL: null };
    alert.gAlertListener.observe(action, "alertclickcallback", alert.gAlertCookie);
    alert.close();
  }
  return true;
"""


_LOOKED_TWO_DAYS_AGO = """
  const opening = indexedDB.open("pushdesk", 1);
  const database = await new Promise((resolve) => { opening.onsuccess = () => resolve(opening.result); });
  const store = database.transaction("device", "readwrite").objectStore("device");
  const reading = store.get("device");
  await new Promise((resolve) => { reading.onsuccess = resolve; });
  const writing = store.put({ ...reading.result, key_seen_at: Date.now() - 48 * 3_600_000 }, "device");
  await new Promise((resolve) => { writing.onsuccess = resolve; });
  database.close();
"""

_CLEAR_SITE_DATA = """
  const registration = await navigator.serviceWorker.getRegistration();
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
  await new Promise((resolve, reject) => {
    const deleting = indexedDB.deleteDatabase("pushdesk");
    deleting.onsuccess = resolve;
    deleting.onerror = deleting.onblocked = reject;
  });
"""


class Visitor:
    """Somebody with a Firefox, on the page."""

    def __init__(self, firefox: Firefox, server: Server) -> None:
        self.firefox = firefox
        self.server = server
        self.firefox.open(server.url)
        self.settled()

    def status(self) -> tuple[str, str]:
        """Return the page's state and what it says."""
        state, said = self.firefox.evaluate(
            "const status = document.querySelector('#pushdesk-status'); return [status.dataset.state, status.innerText]"
        )
        return state, said

    def settled(self) -> tuple[str, str]:
        """Wait until the page is done with what it does, and return where it then stands."""

        def look() -> tuple[str, str] | None:
            status = self.status()
            return None if status[0] == "working" else status

        status = eventually(look, "the page is done")
        assert status is not None
        return status

    def turn_on(self, user: str) -> None:
        """Type a name, press the button."""
        self.firefox.type("pushdesk-user", user)
        self.firefox.click("pushdesk-toggle")
        state, said = self.settled()
        assert state == "on", said

    def turn_off(self) -> None:
        """Press the button."""
        self.firefox.click("pushdesk-toggle")
        state, said = self.settled()
        assert state == "off", said

    def accept(self, link: str) -> None:
        """Open the link of an invitation, press the button."""
        self.firefox.open(link)
        self.settled()
        self.firefox.click("pushdesk-toggle")
        state, said = self.settled()
        assert state == "on", said

    def reload(self) -> tuple[str, str]:
        """Load the page again, and return where it then stands."""
        self.firefox.reload()
        return self.settled()

    def shown(self, title: str) -> dict[str, Any]:
        """Wait for a notification and return its fields."""

        def look() -> list[dict[str, Any]]:
            return [one for one in self.firefox.evaluate(SHOWN) if one["title"] == title]

        return eventually(look, f"the notification {title!r} is shown")[0]

    def is_shown(self, title: str) -> bool:
        """Return whether a notification is shown now."""
        return any(one["title"] == title for one in self.firefox.evaluate(SHOWN))

    def click_notification(self, title: str, action: str = "") -> None:
        """Click a notification, or one of its buttons."""
        eventually(lambda: self.firefox.evaluate_chrome(PRESS, title, action), f"the alert {title!r} can be clicked")

    def forget_for_a_day(self) -> None:
        """Let it be more than a day ago that this device saw the server's key."""
        self.firefox.evaluate(_LOOKED_TWO_DAYS_AGO)

    def clear_site_data(self) -> None:
        """Forget all that this device knows of itself."""
        self.firefox.evaluate(_CLEAR_SITE_DATA)

    def key_and_endpoint(self) -> tuple[str, str] | None:
        """Return the live subscription's key and endpoint."""
        found = self.firefox.evaluate(_KEY_AND_ENDPOINT)
        return (found[0], found[1]) if found else None


def only(items: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(items) == 1, items
    return items[0]


def outcomes(dispatch: dict[str, Any]) -> list[str]:
    return [delivery["outcome"] for delivery in dispatch["deliveries"]]


def changed(look: Callable[[], str], before: str) -> str:
    def now() -> str | None:
        with suppress(AssertionError):
            return None if look() == before else look()
        return None

    value = eventually(now, f"it is no longer {before}")
    assert value is not None
    return value
