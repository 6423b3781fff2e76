"""A real Chromium, headless and offline, driven by Playwright and, for its service worker, by DevTools."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from tests.browser.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from playwright.sync_api import BrowserContext, Page

INSTALL = "apt-get install --no-install-recommends chromium"

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--proxy-server=http://127.0.0.1:9",
]

_SHOWN = """async () => {
  const registration = await navigator.serviceWorker.ready;
  return (await registration.getNotifications()).map((shown) => ({
    title: shown.title, body: shown.body, icon: shown.icon, badge: shown.badge, image: shown.image, tag: shown.tag,
    lang: shown.lang, dir: shown.dir, silent: shown.silent, renotify: shown.renotify,
    requireInteraction: shown.requireInteraction, timestamp: shown.timestamp, data: shown.data,
    actions: shown.actions.map(({ action, title }) => ({ action, title })),
  }));
}"""

# Reading the list while a notification is about to be displayed makes Chromium forget that notification, so the tests
# read it when showing is done.
_COUNT_WHAT_IS_SHOWN = """() => {
  const { showNotification } = ServiceWorkerRegistration.prototype;
  self.shownSoFar = 0;
  ServiceWorkerRegistration.prototype.showNotification = async function (...given) {
    await showNotification.apply(this, given);
    self.shownSoFar += 1;
  };
}"""

_ACTIVATED = """async () => (await navigator.serviceWorker.ready).active.state === "activated" """

_CLEAR = """async () => {
  const registration = await navigator.serviceWorker.ready;
  for (const shown of await registration.getNotifications()) shown.close();
}"""


def find_chromium() -> str | None:
    """Return the path of an installed Chromium."""
    return shutil.which("chromium")


class Chromium:
    """A Chromium with a profile of its own. A context manager: it runs inside of it.

    It has a profile because push does not exist in Playwright's default contexts, which are private windows.

    Args:
        binary: The program.
        profile: A folder that is its profile, empty or not there yet.
        origin: The site that is tested.
    """

    def __init__(self, binary: str, profile: Path, origin: str) -> None:
        self.origin = origin
        self._binary = binary
        self._profile = profile
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            playwright = self._stack.enter_context(sync_playwright())
            self.context: BrowserContext = playwright.chromium.launch_persistent_context(
                self._profile, executable_path=self._binary, args=_FLAGS
            )
            self._stack.callback(self.context.close)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def allow_notifications(self) -> None:
        """Let the site show notifications, as if the user had been asked."""
        self.context.grant_permissions(["notifications"], origin=self.origin)

    def set_permission(self, page: Page, setting: str) -> None:
        """Set the site's permission to notify to `granted`, `denied` or `prompt`, for as long as the page is open."""
        devtools = self.context.new_cdp_session(page)
        permission = {"name": "notifications"}
        devtools.send("Browser.setPermission", {"permission": permission, "setting": setting, "origin": self.origin})


class Worker:
    """The site's service worker, as seen from a page that is open.

    What is pushed here is plain text that Chromium takes for decrypted: it tests the worker, not the encryption.
    """

    def __init__(self, chromium: Chromium, page: Page) -> None:
        self._origin = chromium.origin
        self._page = page
        self._registrations: list[dict[str, Any]] = []
        self._devtools = chromium.context.new_cdp_session(page)
        self._devtools.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda event: self._registrations.extend(event["registrations"]),
        )
        self._devtools.send("ServiceWorker.enable")
        eventually(lambda: page.evaluate(_ACTIVATED), "the worker is activated")
        (self.script,) = chromium.context.service_workers
        self.script.evaluate(_COUNT_WHAT_IS_SHOWN)

    def clear(self) -> None:
        """Close all notifications."""
        self._page.evaluate(_CLEAR)

    def push(self, data: str) -> None:
        """Hand a push message to the worker, and wait until it has shown a notification."""
        registrations = eventually(self._known_registrations, "DevTools names the worker")
        before = self.script.evaluate("() => self.shownSoFar")
        self._devtools.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": self._origin, "registrationId": registrations[-1]["registrationId"], "data": data},
        )
        eventually(lambda: self.script.evaluate("() => self.shownSoFar") > before, "something is shown")

    def shown(self) -> list[dict[str, Any]]:
        """Return the notifications that are shown."""
        shown: list[dict[str, Any]] = self._page.evaluate(_SHOWN)
        return shown

    def _known_registrations(self) -> list[dict[str, Any]]:
        # Events arrive while Playwright is asked for something.
        self._page.evaluate("() => null")
        return self._registrations
