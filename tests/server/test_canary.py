"""Known secrets go through the whole program, and are found nowhere: in no log, answer, screen, event or output.

A real server with a sealed database, a push service that repeats what it is sent, every kind of failure, a console that
visits every screen, and commands beside it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sqlite3
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from yarl import URL

from pushdesk.client import HttpDesk
from pushdesk.console.app import PushdeskApp
from pushdesk.console.screens import SCREENS
from pushdesk.storage.sealing import PRIVATE_KEY, Sealer
from tests.canaries import Canaries
from tests.console.looking import settled, text_of, until
from tests.programs import PUSHDESK, bare_environment, run, serving
from tests.push_service import Device, PushService
from tests.server.test_database_errors import drop
from tests.server.test_log_leaks import capability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from textual.pilot import Pilot

    from tests.programs import Server

ADMIN = "canary-admin-token-" + "Zk7Qw9Xv2Lp4Rt6Y" * 2
SEAL_KEY = base64.urlsafe_b64encode(b"canary sealing key, of 32 bytes!").rstrip(b"=").decode()
SUBSCRIPTION = "/api/v1/users/{}/webpush/subscription"
NOTIFICATION = {"title": "Hello", "body": "there", "url": "/x"}
WIDE = (150, 50)


def test_a_canary_is_found_in_whatever_form_it_is_written() -> None:
    secret = "aGVsbG8-Q2FuYXJ5X3NlY3JldA"
    data = secret.encode()
    canaries = Canaries()
    canaries.add("it", secret)
    for written in (
        secret,
        f"https://push.example/{secret}/x",
        secret.upper(),
        secret.swapcase(),
        secret[::-1],
        secret[3:20],
        data.hex(),
        data.hex().upper(),
        "".join(f"%{byte:02X}" for byte in data),
        base64.b64encode(data).decode(),
        base64.b64encode(b"Bearer " + data + b" and more").decode(),
        base64.urlsafe_b64encode(b"x" + data).decode(),
        base64.b64encode(b"xy" + data).decode(),
        repr(data),
    ):
        assert canaries.found_in(written) == {"it"}, written
    assert canaries.found_in("aGVsbG8-Q2F and uYXJ5X3NlY3J and hello") == set()
    assert canaries.found_in(secret, besides=("it",)) == set()


class Transcript:
    """A client that keeps all that it is answered, less what an answer is there to tell."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session
        self.answers: list[tuple[str, bytes]] = []

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = ADMIN,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        telling: tuple[str, ...] = (),
    ) -> Any:
        """Ask; `telling` are the fields of the answer that tell a secret to whom it belongs."""
        sent = dict(headers or {}) | ({} if token is None else {"Authorization": f"Bearer {token}"})
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self._session.request(
            method, URL(self._url + path, encoded=True), data=content, headers=sent, allow_redirects=False
        ) as answer:
            written = await answer.read()
            head = repr(sorted(answer.headers.items())).encode()
        decoded: Any = None
        with suppress(ValueError):
            decoded = json.loads(written)
        for field in telling:
            if told := decoded.get(field):
                written = written.replace(json.dumps(told)[1:-1].encode(), b"")
        self.answers.append((f"{method} {path[:60]} {answer.status}", head + written))
        return decoded

    async def say(self, text: bytes) -> None:
        """Send bytes as they are, and keep what comes until the server closes."""
        url = URL(self._url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(text)
        self.answers.append((repr(text[:40]), await reader.read()))
        writer.close()
        await writer.wait_closed()


class World:
    """The server, the push service, and what is known of the secrets."""

    def __init__(self, folder: Path, server: Server, service: PushService, client: Transcript, closed: str) -> None:
        self.folder = folder
        self.server = server
        self.service = service
        self.client = client
        self.closed = closed
        """An origin at which nobody listens."""
        self.canaries = Canaries()
        self.canaries.add("admin token", ADMIN)
        self.canaries.add("sealing key", SEAL_KEY, b"canary sealing key, of 32 bytes!")
        self.devices: dict[str, Device] = {}

    def device(self, name: str, origin: str | None = None) -> Device:
        """Make a browser whose endpoint and keys are canaries."""
        path = capability(name)
        device = Device(f"{origin or self.service.origin}/{path}")
        self.canaries.add(f"endpoint of {name}", path)
        self.canaries.add(f"auth of {name}", device.keys.auth, device.auth)
        p256dh = device.keys.p256dh
        self.canaries.add(f"p256dh of {name}", p256dh, base64.urlsafe_b64decode(p256dh + "=")[1:])
        self.devices[name] = device
        return device

    def body(self, name: str) -> dict[str, Any]:
        """Return what `PushSubscription.toJSON()` would."""
        device = self.devices[name]
        return {"endpoint": device.endpoint, "keys": {"p256dh": device.keys.p256dh, "auth": device.keys.auth}}

    async def subscribe(self, user: str, name: str, *, token: str | None = None) -> None:
        """Subscribe a browser."""
        if name not in self.devices:
            self.device(name)
        path = SUBSCRIPTION.format(user)
        answer = await self.client.ask("POST", path, self.body(name), token=token, telling=("token",))
        if told := answer.get("token"):
            self.canaries.add(f"device token of {name}", told.rpartition("_")[2])

    def private_keys(self) -> None:
        """Read the private keys as a thief with the sealing key could, and remember them."""
        sealer = Sealer(base64.urlsafe_b64decode(SEAL_KEY + "="))
        with closing(sqlite3.connect(f"file:{self.folder / 'pushdesk.db'}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT id, private_key FROM vapid_keys").fetchall()
        for key, stored in rows:
            pem = sealer.unseal(PRIVATE_KEY, key, stored)
            loaded = load_pem_private_key(pem, None)
            assert isinstance(loaded, EllipticCurvePrivateKey)
            number = loaded.private_numbers().private_value.to_bytes(32, "big")
            # The first line of PEM and its last are the same for all keys.
            self.canaries.add(f"private key {key}", number, b"".join(pem.splitlines()[1:-1])[48:92])


def files(folder: Path) -> bytes:
    """Return all that is in the files of a data directory."""
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncIterator[tuple[World, asyncio.Task[str]]]:
    folder = tmp_path / "data"
    env = bare_environment(
        tmp_path, PUSHDESK_DATA_DIR=str(folder), PUSHDESK_ADMIN_TOKEN=ADMIN, PUSHDESK_SEAL_KEY=SEAL_KEY
    )
    nobody = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    closed = f"http://127.0.0.1:{nobody.sockets[0].getsockname()[1]}"
    nobody.close()
    await nobody.wait_closed()
    async with PushService() as service:
        allowed = (service.origin, closed, service.origin.replace("http:", "https:"), "https://no-such-host.invalid")
        options = [word for origin in allowed for word in ("--allow-endpoint", origin)]
        async with (
            serving("--port", "0", "--log-level", "debug", *options, env=env) as server,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            errors = asyncio.create_task(server.errors())
            yield World(folder, server, service, Transcript(server.url, session), closed), errors


async def follow(url: str, frames: list[str]) -> None:
    """Keep all events."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/api/v1/admin/events", headers={"Authorization": f"Bearer {ADMIN}"}) as events,
    ):
        while (frame := await events.receive()).type is aiohttp.WSMsgType.TEXT:
            frames.append(frame.data)


async def ordinary_day(world: World) -> None:
    """Subscribe, invite, send, test, exchange keys."""
    client, canaries = world.client, world.canaries
    for name in ("phone", "laptop"):
        await world.subscribe("anna", name)
    await world.subscribe("anna", "phone")
    await world.subscribe("berta", "phone")
    invitation = await client.ask("POST", "/api/v1/users/carla/invitations", {}, telling=("code", "url"))
    canaries.add("used code", invitation["code"], invitation["code"].replace("-", ""))
    code = {"code": invitation["code"]}
    enrolled = await client.ask("POST", "/api/v1/enrollments", code, token=None, telling=("token",))
    canaries.add("enrolled token", enrolled["token"].rpartition("_")[2])
    await client.ask("POST", "/api/v1/enrollments", code, token=None)
    await world.subscribe("carla", "invited", token=enrolled["token"])
    unused = await client.ask("POST", "/api/v1/users/carla/invitations", {}, telling=("code", "url"))
    canaries.add("unused code", unused["code"], unused["code"].replace("-", ""))
    made = await client.ask(
        "POST", "/api/v1/admin/tokens/create", {"name": "backup", "scopes": ["notify", "read"]}, telling=("token",)
    )
    canaries.add("access token", made["token"].rpartition("_")[2])
    for token in (ADMIN, made["token"]):
        await client.ask("POST", "/api/v1/users/anna/notifications?wait=5", NOTIFICATION, token=token)
        await client.ask("GET", "/api/v1/admin/stats", token=token)
        await client.ask("POST", "/api/v1/admin/cache/clear", {}, token=token)
    await client.ask("POST", "/api/v1/turns", {"user": "anna", "conversation": "c", "title": "t", "status": "finished"})
    await client.ask(
        "POST", "/api/v1/users/anna/webpush/test", {"endpoint": world.devices["laptop"].endpoint}, token=None
    )
    world.private_keys()
    await client.ask("POST", "/api/v1/admin/keys/rotate", {"confirm": "rotate"})
    world.private_keys()
    keys = (await client.ask("GET", "/api/v1/admin/keys"))["items"]
    exported = await client.ask("POST", "/api/v1/admin/keys/export", {"id": keys[0]["id"], "confirm": "export"})
    label, _ = client.answers.pop()
    assert label.endswith("200"), exported
    await client.ask("POST", "/api/v1/admin/keys/export", {"id": keys[0]["id"]})
    pem = exported["key"].get("pem") or next(iter(value for value in exported["key"].values() if "BEGIN" in str(value)))
    await client.ask("POST", "/api/v1/admin/keys/import", {"text": pem})
    await client.ask("POST", "/api/v1/admin/keys/import", {"text": pem[:-40]})


async def failures(world: World) -> None:
    """Let push services fail in every way, and repeat what they were sent while they do."""
    client, service = world.client, world.service
    statuses = (301, 400, 401, 403, 404, 410, 413, 429, 500, 503)
    for number, status in enumerate(statuses):
        device = world.device(f"answers {status}")
        path = device.endpoint.rpartition("/")[2]
        # Each begins with another form of it, as only so much is kept.
        forms = [device.endpoint, path, path[5:60], path.swapcase(), path[::-1], device.keys.auth, device.keys.p256dh]
        forms += [base64.b64encode(path.encode()).decode(), path.encode().hex(), f"x{path}", ADMIN]
        said = " ".join(forms[number:] + forms[:number])
        service.answer(path, 201)
        await world.subscribe("anna", f"answers {status}")
        body = said if status == 500 else json.dumps({"reason": said, "message": said, "errno": 106})
        headers = {"Location": device.endpoint, "Retry-After": "86400", "TTL": said}
        service.answer(path, status, body=body, headers=headers)
        world.device(f"refused at once with {status}")
        refused = world.devices[f"refused at once with {status}"].endpoint.rpartition("/")[2]
        service.answer(refused, status, body=f"{refused} {refused[3:70]}", headers={"X-WNS-Status": refused})
    broken = {
        "is refused": world.closed,
        "has no name": "https://no-such-host.invalid",
        "has no TLS": service.origin.replace("http:", "https:"),
        "hangs up": service.origin,
        "talks nonsense": service.origin,
    }
    for name, origin in broken.items():
        path = world.device(name, origin).endpoint.rpartition("/")[2]
        if name == "hangs up":
            service.broken.add(f"/{path}")
        if name == "talks nonsense":
            service.raw[f"/{path}"] = (f"HTTP/9 {path} {ADMIN}\r\n\r\n".encode(), b"")
    names = [*broken, *(f"refused at once with {status}" for status in statuses)]
    # A test push whose service does not answer is waited for: all of them at once.
    await asyncio.gather(*(world.subscribe("anna", name) for name in names))
    await client.ask("POST", "/api/v1/users/anna/notifications?wait=2", NOTIFICATION)
    await client.ask("POST", "/api/v1/users/carla/webpush/test", {})


async def bad_input(world: World) -> None:
    """Say a secret in every place where it does not belong."""
    client, secret, body = world.client, capability("misplaced"), world.body("laptop")
    world.canaries.add("misplaced", secret)
    host = f"Host: {URL(world.server.url).authority}"
    for sent in (
        secret,
        f"GET / HTTP/{secret}\r\n{host}",
        f"GET / HTTP/1.1\r\n{host}\r\n{secret} {secret}",
        f"GET / HTTP/1.1\r\n{host}\r\nContent-Length: {secret}",
        f"GET / HTTP/1.1\r\nHost: {secret}\r\nConnection: close",
        f"GET /{secret}?{secret} HTTP/1.1\r\n{host}\r\nConnection: close",
        f"PROPFIND /api/{secret} HTTP/1.1\r\n{host}\r\nConnection: close",
    ):
        await client.say(f"{sent}\r\n\r\n".encode())
    path = SUBSCRIPTION.format("anna")
    for token in (secret, f"pdd_{secret}", f"pdk_{'0' * 26}_{secret}", f"{ADMIN}x", ADMIN[:-1]):
        await client.ask("GET", "/api/v1/admin/stats", token=token)
        await client.ask("POST", path, body, token=token)
    for wrong in (
        body | {"endpoint": f"https://push.example/{secret}"},
        body | {"endpoint": f"https://user:{secret}@fcm.googleapis.com/"},
        body | {"endpoint": [secret]},
        body | {"keys": {"p256dh": secret, "auth": secret}},
        body | {"keys": {"p256dh": body["keys"]["p256dh"], "auth": secret}},
        body | {"keys": world.body("phone")["keys"]},
        body | {"key_id": secret},
        body | {"replaces": {"secret": secret}},
        [body],
    ):
        await client.ask("POST", path, wrong, token=None)
    await client.ask("POST", path, body | {secret: secret}, token=None)
    # Whoever asked is told which field it was.
    client.answers.pop()
    await client.ask("POST", path, raw=json.dumps(body)[:-5].encode(), token=None)
    await client.ask(
        "POST", path, raw=f"endpoint={secret}".encode(), token=None, headers={"Content-Type": "text/plain"}
    )
    await client.ask("DELETE", path, {"endpoint": f"https://push.example/{secret}"}, token=None)
    for code in (secret, {"secret": secret}, secret * 9):
        await client.ask("POST", "/api/v1/enrollments", {"code": code}, token=None)
    for where in ("cursor", "sort", "filter", "limit", "after"):
        await client.ask("GET", f"/api/v1/admin/users?{where}={secret}")
    for text in (
        secret,
        f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----",
        json.dumps({"d": secret}),
    ):
        await client.ask("POST", "/api/v1/admin/keys/import", {"text": text})
    for command in ("keys/retire", "keys/rollback", "keys/export", "tokens/revoke"):
        await client.ask("POST", f"/api/v1/admin/{command}", {"id": secret, "confirm": secret})
    await client.ask("POST", "/api/v1/admin/subscriptions/remove", {"ids": [secret], "confirm": secret})
    for field in ("title", "url", "icon", "ttl", "urgency", "send_at", "actions"):
        await client.ask("POST", "/api/v1/users/anna/notifications", NOTIFICATION | {field: {"secret": secret}})
    await client.ask(
        "POST", "/api/v1/users/anna/notifications", NOTIFICATION | {"url": f"https://evil.example/{secret}"}
    )
    await client.ask("GET", f"/api/v1/dispatches/{secret}")


async def readings(world: World) -> None:
    """Read everything that can be read."""
    client = world.client
    described = await client.ask("GET", "/api/openapi.json")
    paths = [path for path, methods in described["paths"].items() if "get" in methods and "{" not in path]
    assert "/metrics" in paths
    assert len([path for path in paths if path.startswith("/api/v1/admin/")]) >= 10
    for path in paths:
        if path != "/api/v1/admin/events":
            await client.ask("GET", path)
    for dispatch in (await client.ask("GET", "/api/v1/admin/dispatches?limit=200"))["items"]:
        await client.ask("GET", f"/api/v1/dispatches/{dispatch['id']}")
    for name in ("users", "subscriptions", "deliveries", "log", "cache", "tokens"):
        await client.ask("GET", f"/api/v1/admin/{name}?limit=200")
    kept: set[str] = set()
    for delivery in (await client.ask("GET", "/api/v1/admin/deliveries?limit=200"))["items"]:
        record = await client.ask("GET", f"/api/v1/admin/deliveries/{delivery['id']}")
        kept.update(name for attempt in record["attempts"] for name in attempt["headers"])
        for name, value in (("delivery", delivery["id"]), ("user", delivery["user"])):
            await client.ask("GET", f"/api/v1/admin/verdict?{name}={quote(value)}")
        await client.ask("POST", "/api/v1/admin/deliveries/resend", {"delivery": delivery["id"]})
    assert kept == {"retry-after", "ttl"}


async def screens(world: World) -> list[tuple[str, str]]:
    """Visit every screen of a console on the server, and what opens on it; returns text and picture of each."""
    seen: list[tuple[str, str]] = []

    async def look(pilot: Pilot[int], name: str) -> None:
        await settled(pilot)
        seen.append((f"text of {name}", text_of(pilot.app)))
        seen.append((f"picture of {name}", pilot.app.export_screenshot()))

    async with HttpDesk(world.server.url, ADMIN) as desk:
        app = PushdeskApp(desk, url=world.server.url, mode="attached", now=lambda: datetime.now(UTC))
        async with app.run_test(size=WIDE) as pilot:
            await until(pilot, lambda: app.loaded)
            for entry in SCREENS:
                await pilot.press(entry.key)
                await look(pilot, entry.name)
                await pilot.press("enter")
                await look(pilot, f"{entry.name}, opened")
                await pilot.press("escape")
                for key in ("question_mark", "ctrl+p"):
                    await pilot.press(key)
                    await look(pilot, f"{entry.name} with {key}")
                    await pilot.press("escape")
            await pilot.press("t")
            await look(pilot, "compose")
    return seen


async def outputs(env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Run commands beside the server; returns what they said."""
    written = []
    for words in (
        ("send", "anna", "Hello"),
        ("send", "anna", "Hello", "--json"),
        ("send", "anna", "Hello", "--url", f"https://evil.example/{capability('misplaced')}"),
        ("tokens", "list"),
        ("tokens", "list", "--json"),
        ("keys", "list"),
        ("keys", "list", "--json"),
        ("doctor", "--offline"),
        ("doctor", "--offline", "--json"),
        ("serve", "--port", "0"),
        ("seal",),
    ):
        finished = await run(*PUSHDESK, *words, env=env)
        written.append((" ".join(words[:2]), finished.out + finished.err))
    return written


async def broken(world: World) -> None:
    """Take the database's tables away, one by one."""
    for table in ("deliveries", "subscriptions", "vapid_keys", "invitations", "access_tokens", "dispatches"):
        await drop(world.folder, table)
        await world.subscribe("anna", f"without {table}")
        await world.client.ask("DELETE", SUBSCRIPTION.format("anna"), world.body("laptop"), token=None)
        await world.client.ask("POST", "/api/v1/users/anna/notifications", NOTIFICATION)
        await world.client.ask("POST", "/api/v1/users/carla/invitations", {})
        await world.client.ask("POST", "/api/v1/enrollments", {"code": "7M3K-Q0ZT-A9WD-5HXE"}, token=None)
        await world.client.ask("POST", "/api/v1/admin/keys/rotate", {"confirm": "rotate"})
        for name in ("subscriptions", "deliveries", "keys", "users", "tokens"):
            await world.client.ask("GET", f"/api/v1/admin/{name}")


@pytest.mark.timeout(300)
async def test_no_secret_is_found_anywhere(tmp_path: Path) -> None:
    async with world(tmp_path) as (here, errors):
        frames: list[str] = []
        following = asyncio.create_task(follow(here.server.url, frames))
        await ordinary_day(here)
        await failures(here)
        await bad_input(here)
        await readings(here)
        pictures = await screens(here)
        env = bare_environment(
            tmp_path,
            PUSHDESK_DATA_DIR=str(here.folder),
            PUSHDESK_ADMIN_TOKEN=ADMIN,
            PUSHDESK_TOKEN=ADMIN,
            PUSHDESK_SEAL_KEY=SEAL_KEY,
        )
        said = await outputs(env)
        # While the server runs, so that the write-ahead log is one of them. `p256dh` is public and is not sealed.
        stored = files(here.folder)
        assert (here.folder / "pushdesk.db-wal").stat().st_size
        await broken(here)
        assert await here.server.end(signal.SIGTERM) == 0
        said.append(("serve", await errors))
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    canaries = here.canaries
    log = (here.folder / "pushdesk.log").read_text(encoding="utf-8")
    events = {json.loads(line)["event"] for line in log.splitlines()}
    assert {"delivery_accepted", "delivery_not_accepted", "request_failed", "request_refused"} <= events
    assert len(frames) > 5
    assert any("anna" in text for _, text in pictures)
    # Found, so that it is known that what is looked for would be.
    assert {"p256dh of laptop", "p256dh of answers 404"} <= canaries.found_in(stored)
    assert canaries.found_in(stored, besides=("p256dh",)) == set()
    written: list[tuple[str, str | bytes]] = [
        ("log", log),
        ("events", "".join(frames)),
        *pictures,
        *said,
        *here.client.answers,
    ]
    leaks = {name: found for name, text in written if (found := canaries.found_in(text))}
    assert leaks == {}
    assert canaries.found_in(files(here.folder), besides=("p256dh",)) == set()
