"""Nothing secret is in the log, whatever is done and whatever fails, with everything that can be logged switched on."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import logging
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.server.running import ADMIN_TOKEN, Running, running
from tests.server.test_database_errors import drop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from tests.logs import Log

TITLE = "Margarethe's diagnosis"
BODY = "The biopsy was benign, come on Thursday"
TEXTS = (TITLE, BODY, "canary-tag-of-mine", "canary.example", "canary-topic", "idempotent-canary", "canary-value")
NOTIFICATION = {
    "title": TITLE,
    "body": BODY,
    "tag": "canary-tag-of-mine",
    "url": "/chat?about=canary.example",
    "topic": "canary-topic",
    "data": {"key": "canary-value"},
}
_NUMBERS = itertools.count()
PIECE = 12
"""Characters: shorter pieces of a secret are found by chance."""


def capability(name: str) -> str:
    """Return what a push service would put at the end of an endpoint."""
    digest = hashlib.sha512(name.encode()).digest()
    return f"{name[:3]}{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def pieces(secret: str) -> Iterator[str]:
    yield from (secret[start : start + PIECE] for start in range(max(1, len(secret) - PIECE + 1)))


class Secrets:
    """What must not be found, as it comes to be known."""

    def __init__(self) -> None:
        self.known = {ADMIN_TOKEN, *TEXTS}

    def body(self, server: Running, name: str) -> dict[str, Any]:
        body = server.subscription(capability(name))
        self.known |= {capability(name), *body["keys"].values()}
        return body

    def assert_none_in(self, written: str) -> None:
        # Also as it would be written in JSON or in a URL.
        found = [secret for secret in self.known for piece in pieces(secret) if piece in written]
        assert found == []
        assert [text for text in self.known if json.dumps(text)[1:-1] in written or quote(text) in written] == []


async def subscribe(server: Running, body: dict[str, Any], user: str = "anna") -> Any:
    answer = await server.ask("POST", f"/api/v1/users/{user}/webpush/subscription", body)
    return answer.json


def secret_of(subscribed: Any) -> str:
    """Return the part of a device token that is no id."""
    token: str = subscribed["token"]
    return token.rpartition("_")[2]


async def test_a_day_of_work_and_of_failures_leaves_no_secret_in_the_log(
    tmp_path: Path, log: Log, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets()
    async with running(tmp_path, body_timeout_s=0.2) as server:
        bodies = {name: secrets.body(server, name) for name in ("phone", "laptop", "gone", "broken", "refused")}
        for name in ("phone", "laptop", "gone", "broken"):
            secrets.known.add(secret_of(await subscribe(server, bodies[name])))
        for name, status in (("refused", 410), ("gone", 404), ("laptop", 400), ("broken", 500)):
            # As services do: the endpoint, whole and in parts, and what they were sent.
            endpoint = bodies[name]["endpoint"]
            said = f"{endpoint} unknown: /{capability(name)}, {capability(name)[5:70]}, {ADMIN_TOKEN}"
            server.push_service.answer(capability(name), status, body=json.dumps({"reason": said, "message": said}))
        await subscribe(server, bodies["refused"])
        await subscribe(server, bodies["phone"], "berta")
        await subscribe(server, bodies["phone"] | {"keys": bodies["laptop"]["keys"]})
        await subscribe(server, bodies["phone"])
        await _notify(server)
        await server.ask("POST", "/api/v1/users/anna/webpush/test", {"endpoint": bodies["phone"]["endpoint"]})
        await _malformed(server, secrets, bodies["phone"])
        await _mistakes(server, monkeypatch, bodies["phone"]["endpoint"])
        path = "/api/v1/users/anna/webpush/subscription"
        for _ in range(2):
            await server.ask("DELETE", path, {"endpoint": bodies["laptop"]["endpoint"]})
        await server.admin("POST", "/api/v1/admin/keys/rotate", {"confirm": "rotate"})
        for table in ("subscriptions", "deliveries", "dispatches"):
            await drop(tmp_path, table)
            await subscribe(server, secrets.body(server, f"without {table}"))
            await _notify(server)
            await server.ask("DELETE", path, {"endpoint": bodies["phone"]["endpoint"]})
            await server.admin("GET", f"/api/v1/admin/{table}")
        assert {
            "attempt_failed",
            "delivery_accepted",
            "delivery_not_accepted",
            "dispatch_accepted",
            "key_made_current",
            "request_answered",
            "request_failed",
            "request_unreadable",
            "subscription_disabled",
            "subscription_made",
            "subscription_moved",
            "subscription_refused",
            "subscription_removed",
        } <= {line["event"] for line in log.lines}
    held = repr(log.ring.entries()) + json.dumps([entry.fields for entry in log.ring.entries()], ensure_ascii=False)
    for written in (log.text, held, "".join(capfd.readouterr())):
        secrets.assert_none_in(written)


async def test_nothing_is_in_what_asyncio_says_of_every_step_it_takes(tmp_path: Path, log: Log) -> None:
    """In debug mode, it logs the repr of each callback and task that takes longer than it should: here, of all."""
    secrets = Secrets()
    loop = asyncio.get_running_loop()
    async with running(tmp_path) as server:
        body = secrets.body(server, "phone")
        loop.set_debug(True)
        loop.slow_callback_duration = 0
        try:
            secrets.known.add(secret_of(await subscribe(server, body)))
            await _notify(server)
        finally:
            loop.set_debug(False)
    assert len([line for line in log.lines if line["logger"] == "asyncio"]) > 50
    secrets.assert_none_in(log.text)


def test_what_libraries_say_of_secrets_is_left_out(log: Log) -> None:
    secrets = Secrets()
    endpoint = f"https://fcm.googleapis.com/fcm/send/{capability('phone')}"
    secrets.known |= {capability("phone"), endpoint}
    library = logging.getLogger("aiohttp.client")
    failure = ConnectionError(f"Cannot connect to {endpoint}")
    failure.__context__ = OSError(endpoint)
    library.error("POST %s with %r failed", endpoint, {"Authorization": f"Bearer {ADMIN_TOKEN}"}, exc_info=failure)
    library.debug("%s", [endpoint, ADMIN_TOKEN], stack_info=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"Unclosed connection to {endpoint}", ResourceWarning, stacklevel=1)
    assert len(log.lines) == 3
    secrets.assert_none_in(log.text + repr(log.ring.entries()))


async def _notify(server: Running) -> None:
    path = "/api/v1/users/anna/notifications?wait=0.3"
    key = {"Idempotency-Key": f"idempotent-canary-{next(_NUMBERS)}"}
    for _ in range(2):
        await server.admin("POST", path, NOTIFICATION, headers=key)
    await server.admin("POST", path, NOTIFICATION | {"send_at": BODY})


async def _malformed(server: Running, secrets: Secrets, body: dict[str, Any]) -> None:
    """Say what is wrong in every place of a request, with a secret in it."""
    secret = capability("misplaced")
    secrets.known.add(secret)
    host = f"Host: {server.authority}"
    for sent in (
        secret,
        f"{secret} / HTTP/1.1\r\n{host}",
        f"GET /{secret} HTTP/1.1",
        f"GET / HTTP/{secret}\r\n{host}",
        f"GET / HTTP/1.1\r\n{host}\r\n{secret} {secret}",
        f"GET / HTTP/1.1\r\n{host}\r\nContent-Length: {secret}",
        f"GET / HTTP/1.1\r\nHost: {secret}\r\nConnection: close",
        f"GET /{secret}?{secret} HTTP/1.1\r\n{host}\r\nConnection: close",
        f"PROPFIND /api/{secret} HTTP/1.1\r\n{host}\r\nConnection: close",
        f"POST /api/v1/enrollments HTTP/1.1\r\n{host}\r\nContent-Length: 99\r\n\r\n{secret}",
    ):
        await server.say(f"{sent}\r\n\r\n".encode())
    subscription = "/api/v1/users/anna/webpush/subscription"
    for token in (secret, f"pdd_{secret}", f"pdd_{'0' * 26}_{'0' * 64}", f"{ADMIN_TOKEN}x"):
        await server.ask("GET", "/api/v1/admin/stats", token=token)
        await server.ask("DELETE", subscription, {"endpoint": body["endpoint"]}, token=token)
    for wrong in (
        body | {"endpoint": f"https://push.example/{secret}"},
        body | {"keys": {"p256dh": secret, "auth": secret}},
        body | {secret: secret},
        body | {"key_id": secret},
    ):
        await server.ask("POST", subscription, wrong)
    await server.ask("POST", subscription, raw=json.dumps(body)[:-5].encode())
    await server.admin("POST", f"/api/v1/users/{'x' * 200}{secret}/notifications", NOTIFICATION)
    await server.admin("GET", f"/api/v1/admin/users?cursor={secret}&sort={secret}")
    await server.admin("GET", f"/api/v1/dispatches/{secret}")


async def _mistakes(server: Running, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Let our own code fail, with a secret in the words of the error."""

    def fail_at_once(*_args: object) -> None:
        raise RuntimeError(f"{endpoint} {ADMIN_TOKEN}") from LookupError(BODY)

    async def fail(*_args: object) -> None:
        fail_at_once()

    with monkeypatch.context() as mistaken:
        for name in ("stats", "test", "find_subscription", "unsubscribe"):
            mistaken.setattr(server.engine, name, fail)
        await server.admin("GET", "/api/v1/admin/stats")
        await server.ask("POST", "/api/v1/users/anna/webpush/test", {"endpoint": endpoint})
        await server.ask("DELETE", "/api/v1/users/anna/webpush/subscription", {"endpoint": endpoint})
    with monkeypatch.context() as mistaken:
        mistaken.setattr(server.engine._outbox._worker._pusher, "_build", fail_at_once)
        await _notify(server)
