"""A real Firefox, headless, whose push service is the simulator.

Firefox is started here and not by marionette-driver: its launcher sets preferences of its own that switch push off.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.browser.waiting import eventually

with warnings.catch_warnings():
    # Its dependencies use what is deprecated in Python while they are imported, and not after.
    warnings.simplefilter("ignore", DeprecationWarning)
    from marionette_driver.by import By
    from marionette_driver.errors import MarionetteException
    from marionette_driver.marionette import Marionette

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

INSTALL = "apt-get install --no-install-recommends firefox-esr"

_QUIT_WITHIN_S = 20.0

_PREFERENCES: dict[str, object] = {
    "dom.push.testing.allowInsecureServerURL": True,
    "dom.push.connection.enabled": True,
    "dom.push.retryBaseInterval": 300,
    "dom.push.requestTimeout": 3000,
    # What a page gets when it asks: 1 is allow.
    "permissions.default.desktop-notification": 1,
    # Firefox's own alert windows can be looked at and clicked, the desktop's cannot.
    "alerts.useSystemBackend": False,
    # Port 0: the one that was free is in the profile's MarionetteActivePort.
    "marionette.port": 0,
    # Nothing but this machine: localhost goes around the proxy, and the proxy is nobody.
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


def find_firefox() -> str | None:
    """Return the path of an installed Firefox."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """A Firefox with a profile of its own. A context manager: it runs inside of it.

    Args:
        binary: The program.
        profile: A folder that is its profile, empty or not there yet.
        push_service: The simulator's `http://` address.
    """

    def __init__(self, binary: str, profile: Path, push_service: str) -> None:
        self._binary = binary
        self._profile = profile
        self._preferences = _PREFERENCES | {"dom.push.serverURL": push_service.replace("http:", "ws:", 1) + "/"}

    def __enter__(self) -> Self:
        self._profile.mkdir(parents=True, exist_ok=True)
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in self._preferences.items())
        (self._profile / "user.js").write_text("\n".join(lines))
        self._log = (self._profile / "firefox.log").open("wb")
        self._process = subprocess.Popen(  # noqa: S603 - the program under test
            [
                self._binary,
                "--headless",
                "--no-remote",
                "--marionette",
                "--remote-allow-system-access",
                "--profile",
                str(self._profile),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._marionette = Marionette(host="127.0.0.1", port=self._port(), bin=None)
            self._marionette.start_session()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A signal would leave Firefox to write its profile while the folder is removed.
        with suppress(MarionetteException, OSError):
            self._marionette._request_in_app_shutdown()
        # Else it would try to end its session with a Firefox that is no longer there, whenever it is collected.
        self._marionette.delete_session(send_request=False)
        self._end()

    def open(self, url: str) -> None:
        """Open a page in the current tab."""
        self._marionette.navigate(url)

    def reload(self) -> None:
        """Load the page again."""
        self._marionette.refresh()

    def type(self, id_: str, text: str) -> None:
        """Type into a field, in place of what is there."""
        field = self._marionette.find_element(By.ID, id_)
        field.clear()
        field.send_keys(text)

    def click(self, id_: str) -> None:
        """Click a part of the page."""
        self._marionette.find_element(By.ID, id_).click()

    def evaluate(self, body: str, *arguments: object) -> Any:
        """Run the body of an async function in the page and return what it returns."""
        return self._evaluate(Marionette.CONTEXT_CONTENT, body, arguments)

    def evaluate_chrome(self, body: str, *arguments: object) -> Any:
        """Run the body of an async function in the browser itself and return what it returns."""
        return self._evaluate(Marionette.CONTEXT_CHROME, body, arguments)

    def addresses(self) -> list[str]:
        """Return the addresses of all tabs."""
        addresses: list[str] = self.evaluate_chrome(
            "return [...Services.wm.getEnumerator('navigator:browser')]"
            ".flatMap((window) => window.gBrowser.browsers.map((browser) => browser.currentURI.spec))"
        )
        return addresses

    def selected_address(self) -> str:
        """Return the address of the tab in front."""
        address: str = self.evaluate_chrome(
            "return Services.wm.getMostRecentWindow('navigator:browser').gBrowser.currentURI.spec"
        )
        return address

    def select_first_tab(self) -> None:
        """Bring the first tab to the front; that is the one that is driven."""
        self.evaluate_chrome(
            "const { gBrowser } = Services.wm.getMostRecentWindow('navigator:browser');"
            "gBrowser.selectedTab = gBrowser.tabs[0]"
        )

    def close_other_tabs(self) -> None:
        """Close all tabs but the first."""
        self.evaluate_chrome(
            "const { gBrowser } = Services.wm.getMostRecentWindow('navigator:browser');"
            "for (const tab of [...gBrowser.tabs].slice(1)) gBrowser.removeTab(tab, { animate: false })"
        )

    def record_requests(self) -> None:
        """Record from now on what `requests` returns, of pages and workers alike."""
        self.evaluate_chrome(
            """
            const window = Services.wm.getMostRecentWindow("navigator:browser");
            const isRecording = Boolean(window.recordedRequests);
            window.recordedRequests = [];
            if (isRecording) return;
            window.requestObserver = { observe(channel) {
              channel.QueryInterface(Ci.nsIHttpChannel);
              let authorization = "";
              try { authorization = channel.getRequestHeader("Authorization"); } catch { /* It has none. */ }
              window.recordedRequests.push([channel.requestMethod, channel.URI.filePath, authorization]);
            } };
            Services.obs.addObserver(window.requestObserver, "http-on-modify-request");
            """
        )

    def requests(self) -> list[list[str]]:
        """Return method, path and `Authorization` of the requests that were made since `record_requests`."""
        requests: list[list[str]] = self.evaluate_chrome(
            "return Services.wm.getMostRecentWindow('navigator:browser').recordedRequests"
        )
        return requests

    def _evaluate(self, context: str, body: str, arguments: tuple[object, ...]) -> Any:
        script = (
            "const given = [...arguments]; const done = given.pop();"
            f"(async (...args) => {{ {body} }})(...given)"
            ".then((value) => done({ value }), (error) => done({ error: String(error) }));"
        )
        with self._marionette.using_context(context):
            answer = self._marionette.execute_async_script(script, script_args=arguments, script_timeout=20_000)
        if "error" in answer:
            raise AssertionError(f"The script failed: {answer['error']}")
        return answer.get("value")

    def _port(self) -> int:
        written = self._profile / "MarionetteActivePort"

        def read() -> str:
            if self._process.poll() is not None:
                raise AssertionError(f"Firefox ended with {self._process.returncode}; see {self._log.name}")
            return written.read_text() if written.exists() else ""

        return int(eventually(read, "Firefox listens for Marionette", within_s=60))

    def _end(self) -> None:
        try:
            self._process.wait(_QUIT_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
