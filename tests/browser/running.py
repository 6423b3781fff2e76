"""The real programs beside the browsers: `pushdesk serve` and `pushdesk simulate`, each in a process of its own."""

from __future__ import annotations

import http.client
import json
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from tests.browser.waiting import eventually
from tests.programs import PUSHDESK, bare_environment

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_ENDS_WITHIN_S = 20.0


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: Any
    """The JSON of the body, None without one."""


class Program:
    """A pushdesk command that says where it listens. A context manager: it runs inside of it.

    Args:
        folder: A folder of its own, not there yet: home, and what the program writes.
        announcement: What stands before the address in the line that it prints when it is ready.
        arguments: The command and its options.
    """

    def __init__(self, folder: Path, announcement: str, *arguments: str) -> None:
        self.folder = folder
        self.url = ""
        self._announcement = announcement
        self._arguments = arguments

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        out, err = self.folder / "out", self.folder / "err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            self._process = subprocess.Popen(  # noqa: S603 - the program under test
                [*PUSHDESK, *self._arguments],
                env=bare_environment(self.folder),
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
            )

        def address() -> str:
            if self._process.poll() is not None:
                raise AssertionError(f"{self._arguments[0]} ended with {self._process.returncode}: {err.read_text()}")
            ready = [line for line in out.read_text().splitlines() if line.startswith(self._announcement)]
            return ready[0].removeprefix(self._announcement).strip() if ready else ""

        try:
            self.url = eventually(address, f"{self._arguments[0]} is ready", within_s=30)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def call(self, method: str, path: str, body: object = None, *, token: str = "") -> Answer:
        """Make one request and return the answer."""
        address = urlsplit(self.url)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=40)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            with connection.getresponse() as response:
                said = response.read()
                is_json = response.headers.get_content_subtype().endswith("json")
                return Answer(response.status, response.headers, json.loads(said) if said and is_json else None)

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


class Simulator(Program):
    """`pushdesk simulate`: the push service."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "pushdesk simulator: listening on ", "simulate", "--port", "0")

    def pushes(self) -> list[dict[str, Any]]:
        """Return what was pushed, and what became of it."""
        pushes: list[dict[str, Any]] = self.call("GET", "/_control/pushes").body["items"]
        return pushes

    def was_shown(self) -> bool:
        """Return whether a browser decrypted every push and handed it to its worker (Mozilla's code 100)."""
        pushes = self.pushes()
        return bool(pushes) and all(push["code"] == 100 for push in pushes)

    def forget_browsers(self) -> None:
        """Give every browser a new identity, which ends all that they had subscribed."""
        assert self.call("POST", "/_control/disconnect", {"new_uaid": True}).status == 200


class Server(Program):
    """`pushdesk serve`, allowed to send to the simulator."""

    def __init__(self, folder: Path, simulator: str, *options: str) -> None:
        self.data = folder / "data"
        super().__init__(
            folder,
            "pushdesk: listening on ",
            "serve",
            "--port",
            "0",
            "--data-dir",
            str(self.data),
            "--allow-endpoint",
            simulator,
            *options,
        )

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Make one request as the operator."""
        return self.call(method, f"/api/v1/{path}", body, token=(self.data / "admin.token").read_text().strip())

    def devices(self, user: str) -> list[dict[str, Any]]:
        """Return a user's subscriptions."""
        items = self.ask("GET", f"admin/subscriptions?filter={quote(user)}").body["items"]
        return [item for item in items if item["user"] == user]

    def notify(self, user: str, **notification: object) -> dict[str, Any]:
        """Send a notification, wait until it is settled, and return the dispatch."""
        answer = self.ask("POST", f"users/{quote(user)}/notifications?wait=20", notification)
        assert answer.status == 200, answer.body
        dispatch: dict[str, Any] = answer.body["dispatch"]
        return dispatch

    def invite(self, user: str) -> dict[str, str]:
        """Make an invitation for a user, as an application would."""
        answer = self.ask("POST", f"users/{quote(user)}/invitations", {})
        assert answer.status == 201, answer.body
        invitation: dict[str, str] = answer.body
        return invitation

    def rotate_key(self) -> str:
        """Make a new VAPID key and return its id."""
        answer = self.ask("POST", "admin/keys/rotate", {"confirm": "rotate"})
        assert answer.status == 200, answer.body
        key_id: str = answer.body["key"]["id"]
        return key_id
