"""The egress table: whatever an endpoint is, and wherever its name leads by then, nothing private is connected to.

At subscribe and at send: for what is put into the store by other hands, for what was allowed once and no longer is, and
for names that lead elsewhere than they did.
"""

from __future__ import annotations

import ipaddress
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trustme
from aiohttp import web

from pushdesk.clock import SystemClock
from pushdesk.config import Config, PushConfig
from pushdesk.engine.engine import Engine
from pushdesk.errors import EndpointRefusedError
from pushdesk.model import Notification, Outcome, PushTest, Service
from pushdesk.storage.records import NewSubscription
from pushdesk.storage.store import Store
from pushdesk.webpush.encryption import decode_keys
from pushdesk.webpush.endpoint import REFUSED_V4, REFUSED_V6
from pushdesk.webpush.services import FaultKind
from pushdesk.webpush.transport import HttpTransport
from tests.egress import NOT_PUBLIC, Factory, Names, connects, is_public
from tests.push_service import Device, PushService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PUBLIC, ALSO_PUBLIC = "142.250.185.74", "17.57.146.20"
WAIT_S = 10.0

ENDPOINTS = (
    "https://127.0.0.1/x",
    "https://127.0.0.1:443/x",
    "http://127.0.0.1/x",
    "http://127.0.0.1:{port}/x",
    "https://127.0.0.1:{port}/x",
    "http://localhost:{port}/x",
    "https://localhost/x",
    "http://[::1]:{port}/x",
    "https://[::1]/x",
    "https://[::]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[::ffff:7f00:1]/x",
    "https://[::127.0.0.1]/x",
    "https://[64:ff9b::7f00:1]/x",
    "https://[64:ff9b::a9fe:a9fe]/x",
    "https://[64:ff9b:1::7f00:1]/x",
    "https://[2002:7f00:1::]/x",
    "https://[fe80::1%25lo]/x",
    "https://[fe80::1%25eth0]/x",
    "https://[fec0::1]/x",
    "https://[fd00::1]/x",
    "https://[3fff::1]/x",
    "https://[5f00::1]/x",
    "https://[ff02::1]/x",
    "https://0.0.0.0/x",
    "http://0.0.0.0:{port}/x",
    "https://0/x",
    "https://10.0.0.5/a.notify.windows.com/",
    "https://169.254.169.254/latest/meta-data",
    "http://169.254.169.254/latest/meta-data",
    "https://168.63.129.16/machine",
    "https://192.0.0.8/x",
    "https://192.88.99.1/x",
    "https://224.0.0.1/x",
    "https://255.255.255.255/x",
    # Numbers that some parsers take for 127.0.0.1.
    "https://2130706433/x",
    "http://2130706433:{port}/x",
    "https://0x7f000001/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://017700000001/x",
    "https://127.1/x",
    "https://127.0.1/x",
    "https://127.0.0.1./x",
    "https://localhost./x",
    # Fullwidth digits and dots, as IDNA would map them.
    "https://\uff11\uff12\uff17.0.0.1/x",
    "https://127\u30020\u30020\u30021/x",
    "https://\u2460\u2461\u2466.0.0.1/x",
    "https://fcm\uff0egoogleapis.com/x",
    "https://fcm.googleapis.com./x",
    "https://fcm.googleapis.com:{port}/x",
    "https://fcm.googleapis.com:80/x",
    "http://fcm.googleapis.com/x",
    "https://fcm.googleapis.com@127.0.0.1:{port}/x",
    "https://127.0.0.1@fcm.googleapis.com/x",
    "https://user:password@fcm.googleapis.com/x",
    "https://fcm.googleapis.com\\@127.0.0.1/x",
    "https://127.0.0.1\\.notify.windows.com/x",
    "https://127.0.0.1#.notify.windows.com/x",
    "https://127.0.0.1?.notify.windows.com/x",
    "https://127.0.0.1%2f.notify.windows.com/x",
    "https://127.0.0.1\t.notify.windows.com/x",
    "https://fcm.googleapis.com.nip.io/x",
    "https://127.0.0.1.nip.io/x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/x",
    "unix:///var/run/docker.sock",
    "//127.0.0.1/x",
    "https://8.8.8.8/x",
    "https://[2606:4700::1111]/x",
    "https://push.example/x",
)
"""Every one a way to somewhere else than a push service, some to a public address that is none."""

NETWORKS = tuple(dict.fromkeys((*map(str, NOT_PUBLIC), *map(str, REFUSED_V4), *map(str, REFUSED_V6))))
MIXED = (
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.5",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::a83f:8110",
    "::7f00:1",
)


def ends_of(network: str) -> tuple[str, str]:
    """Return the first and the last address of a network."""
    parsed = ipaddress.ip_network(network)
    return str(parsed[0]), str(parsed[-1])


ADDRESSES = tuple(dict.fromkeys((*(end for network in NETWORKS for end in ends_of(network)), *MIXED)))


class Running:
    """An engine whose names and sockets are the test's."""

    def __init__(self, engine: Engine, store: Store, transport: HttpTransport) -> None:
        self.engine = engine
        self._store = store
        self._transport = transport

    async def put(self, user: str, endpoint: str) -> None:
        """Put a subscription into the store without asking anybody."""
        device = Device(endpoint)
        new = NewSubscription(
            id=user.rjust(26, "0"),
            user=user,
            service=Service.WNS,
            key_id=self.engine.public_key().id,
            key_is_declared=True,
            browser="unknown",
            platform="unknown",
            token_digest=bytes(32),
            endpoint=endpoint,
            p256dh=decode_keys(device.keys.p256dh, device.keys.auth)[0],
            auth=device.auth,
        )
        await self._store.subscriptions.put(new, replaces=None, max_per_user=9, now_ms=1)

    async def send(self, user: str) -> tuple[Outcome, str]:
        """Notify a user with one device; returns outcome and reason."""
        dispatch = await self.engine.notify(user, Notification("Hello"), wait_s=WAIT_S)
        (delivery,) = dispatch.deliveries
        return delivery.outcome, delivery.reason

    def forget_names(self) -> None:
        """Let every name be asked for anew, as after the ten seconds for which they are remembered."""
        self._transport._connector.forget_names()


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Factory:
    """The watched socket factory; what is public leads to a push service with every service's certificate."""
    factory = Factory(0)
    factory.put_in(monkeypatch)
    return factory


AUTHORITY = trustme.CA()
"""Made once: it takes a while."""


class Answering:
    """A push service over TLS that the public internet leads to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: tuple[int, dict[str, str]] = (201, {})

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.host}{request.path}")
        status, headers = self.answer
        return web.Response(status=status, headers={"Connection": "close", **headers})


@pytest.fixture
async def internet(factory: Factory) -> AsyncIterator[Answering]:
    answering = Answering()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("fcm.googleapis.com", "*.notify.windows.com").configure_cert(context)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answering.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    factory.port = runner.addresses[0][1]
    yield answering
    await runner.cleanup()


@asynccontextmanager
async def started(folder: Path, names: Names | None = None, *, allow: tuple[str, ...] = ()) -> AsyncIterator[Running]:
    trusted = ssl.create_default_context()
    AUTHORITY.configure_trust(trusted)
    clock = SystemClock()
    config = Config(data_dir=folder, push=PushConfig(allow_endpoint=allow, max_devices=9))
    transport = HttpTransport(
        allowed_origins=frozenset(allow), clock=clock.monotonic, total_timeout_s=WAIT_S, tls=trusted, resolver=names
    )
    try:
        async with (
            Store(folder / "pushdesk.db") as store,
            Engine(config, access_url="http://localhost:8484", store=store, transport=transport, clock=clock) as engine,
        ):
            yield Running(engine, store, transport)
    finally:
        await transport.aclose()


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_tables_agree_on_what_is_not_public(address: str) -> None:
    assert not is_public(address)


async def test_no_literal_and_no_trick_is_taken_or_sent_to(tmp_path: Path, names: Names, factory: Factory) -> None:
    async with PushService() as service, started(tmp_path, names) as running:
        port = service.origin.rpartition(":")[2]
        endpoints = {f"user-{n}": endpoint.format(port=port) for n, endpoint in enumerate(ENDPOINTS)}
        with connects() as connected:
            for user, endpoint in endpoints.items():
                with pytest.raises(EndpointRefusedError):
                    await running.engine.subscribe(user, Device(endpoint).request())
                await running.put(user, endpoint)
            outcomes = {endpoints[user]: await running.send(user) for user in endpoints}
        assert {endpoint for endpoint, (outcome, _) in outcomes.items() if outcome is not Outcome.REFUSED} == set()
        assert (connected, names.asked, factory.allowed, factory.refused, service.pushes) == ([], [], [], [], [])


async def test_known_service_whose_name_leads_to_any_private_address_is_not_connected_to(
    tmp_path: Path, names: Names, factory: Factory, internet: Answering
) -> None:
    async with started(tmp_path, names) as running:
        for number, address in enumerate(ADDRESSES):
            names.answers[f"n{number}.notify.windows.com"] = [address]
        with connects() as connected:
            for number in range(len(ADDRESSES)):
                device = Device(f"https://n{number}.notify.windows.com/w/")
                subscribed = await running.engine.subscribe(f"user-{number}", device.request())
                assert subscribed.test is PushTest.TRANSIENT
            tried_at_subscribe = set(factory.refused)
            factory.refused.clear()
            running.forget_names()
            outcomes = {address: await running.send(f"user-{number}") for number, address in enumerate(ADDRESSES)}
        refused = (Outcome.REFUSED, FaultKind.ADDRESS_REFUSED.sentence)
        assert {address: outcome for address, outcome in outcomes.items() if outcome != refused} == {}
        assert tried_at_subscribe == set(factory.refused) == set(ADDRESSES)
        assert (connected, factory.allowed, internet.asked) == ([], [], [])


async def test_name_that_leads_elsewhere_after_it_was_subscribed_with_is_not_followed(
    tmp_path: Path, names: Names, factory: Factory, internet: Answering
) -> None:
    names.answers["fcm.googleapis.com"] = [PUBLIC]
    async with started(tmp_path, names) as running:
        with connects() as connected:
            subscribed = await running.engine.subscribe("ada", Device("https://fcm.googleapis.com/x").request())
            assert subscribed.test is PushTest.ACCEPTED
            assert (factory.allowed, internet.asked) == ([PUBLIC], ["POST fcm.googleapis.com/x"])
            for address in ("127.0.0.1", "10.0.0.5", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"):
                names.answers["fcm.googleapis.com"] = [address]
                running.forget_names()
                assert (await running.send("ada"))[0] is Outcome.REFUSED
            names.answers["fcm.googleapis.com"] = [ALSO_PUBLIC]
            running.forget_names()
            assert (await running.send("ada"))[0] is Outcome.ACCEPTED
        assert factory.allowed == [PUBLIC, ALSO_PUBLIC]
        assert len(internet.asked) == 2
        # Those two, and nothing for the five in between.
        assert connected == [("127.0.0.1", factory.port)] * 2


async def test_of_several_addresses_only_the_public_ones_are_tried(
    tmp_path: Path, names: Names, factory: Factory, internet: Answering
) -> None:
    names.answers["fcm.googleapis.com"] = ["10.0.0.5", "::1", PUBLIC, "127.0.0.1"]
    async with started(tmp_path, names) as running:
        subscribed = await running.engine.subscribe("ada", Device("https://fcm.googleapis.com/x").request())
        assert subscribed.test is PushTest.ACCEPTED
    assert factory.allowed == [PUBLIC]
    assert internet.asked == ["POST fcm.googleapis.com/x"]


async def test_what_was_allowed_is_no_longer_sent_to_once_it_is_not(tmp_path: Path, factory: Factory) -> None:
    async with PushService() as service:
        port = service.origin.rpartition(":")[2]
        origins = {f"user-{n}": f"http://{host}:{port}" for n, host in enumerate(("127.0.0.1", "localhost", "0.0.0.0"))}  # noqa: S104 (an endpoint)
        async with started(tmp_path, allow=tuple(origins.values())) as running:
            for user, origin in origins.items():
                subscribed = await running.engine.subscribe(user, Device(f"{origin}/{user}").request())
                assert subscribed.test is PushTest.ACCEPTED
        arrived = len(service.pushes)
        assert arrived == len(origins)
        async with started(tmp_path) as running:
            with connects() as connected:
                for user in origins:
                    assert (await running.send(user))[0] is Outcome.REFUSED
        assert (connected, len(service.pushes)) == ([], arrived)
    # The guard has no part in what the operator allowed by name.
    assert (factory.allowed, factory.refused) == ([], [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_of_a_known_service_leads_nowhere(
    tmp_path: Path, names: Names, factory: Factory, internet: Answering, status: int
) -> None:
    names.answers["fcm.googleapis.com"] = [PUBLIC]
    async with PushService() as service, started(tmp_path, names) as running:
        for number, location in enumerate(
            (f"{service.origin}/metadata", "//127.0.0.1/", "https://n.notify.windows.com/")
        ):
            internet.answer = (status, {"Location": location})
            await running.put(f"user-{number}", f"https://fcm.googleapis.com/{number}")
            with connects() as connected:
                assert (await running.send(f"user-{number}"))[0] is Outcome.REFUSED
            assert connected == [("127.0.0.1", factory.port)]
        assert service.pushes == []
    assert names.asked == ["fcm.googleapis.com"]


async def test_proxies_of_the_environment_are_not_used(
    tmp_path: Path, names: Names, factory: Factory, internet: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.answers["fcm.googleapis.com"] = [PUBLIC]
    async with PushService() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "ws_proxy"):
            monkeypatch.setenv(name, proxy.origin)
        monkeypatch.setenv("no_proxy", "")
        async with started(tmp_path, names) as running:
            with connects() as connected:
                await running.engine.subscribe("ada", Device("https://fcm.googleapis.com/x").request())
                assert (await running.send("ada"))[0] is Outcome.ACCEPTED
        assert connected == [("127.0.0.1", factory.port)] * 2
        assert proxy.pushes == []
    assert len(internet.asked) == 2
