"""`POST /push/{id}`: what is taken, and how the rest is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.simulator.registry import PushState
from tests.simulator.application import Application
from tests.simulator.wire import CHANNEL, OTHER_CHANNEL, Clock, Wire

if TYPE_CHECKING:
    import aiohttp

    from pushdesk.simulator.service import Simulator


@pytest.fixture
async def endpoint(wire: Wire, application: Application) -> str:
    await wire.hello()
    return await wire.register(application.public_key + "=")


async def test_a_good_push_is_created_with_a_location_and_its_ttl(application: Application, endpoint: str) -> None:
    answer = await application.post(endpoint, b"x", TTL="60")

    assert (answer.status, answer.headers["TTL"]) == (201, "60")
    assert answer.headers["Location"].startswith("http://127.0.0.1:")


async def test_two_pushes_have_two_locations(application: Application, endpoint: str) -> None:
    first, second = await application.post(endpoint, b"x"), await application.post(endpoint, b"x")

    assert first.headers["Location"] != second.headers["Location"]


async def test_a_ttl_over_thirty_days_is_granted_as_thirty_days(application: Application, endpoint: str) -> None:
    answer = await application.post(endpoint, b"x", TTL="99999999")

    assert (answer.status, answer.headers["TTL"]) == (201, "2592000")


async def test_4096_bytes_are_taken_and_one_more_is_not(application: Application, endpoint: str) -> None:
    assert (await application.post(endpoint, b"x" * 4096)).status == 201
    answer = await application.post(endpoint, b"x" * 4097)

    assert (answer.status, answer.body["errno"]) == (413, 104)


async def test_a_body_far_too_large_is_answered_without_being_read(application: Application, endpoint: str) -> None:
    answer = await application.post(endpoint, b"x" * 200_000)

    assert (answer.status, answer.body["errno"]) == (413, 104)


async def test_a_push_without_a_body_needs_no_encoding(application: Application, endpoint: str, wire: Wire) -> None:
    assert (await application.post(endpoint)).status == 201
    notification = await wire.read()

    assert {"data", "headers"}.isdisjoint(notification)


@pytest.mark.parametrize(
    ("headers", "status", "errno"),
    [
        ({"TTL": None}, 400, 111),
        ({"TTL": "soon"}, 400, 112),
        ({"TTL": "-1"}, 400, 112),
        ({"TTL": "1.5"}, 400, 112),
        ({"TTL": "٣"}, 400, 112),
        ({"TTL": "9" * 50}, 400, 112),
        ({"Topic": "t" * 33}, 400, 113),
        ({"Topic": "a.b"}, 400, 113),
        ({"Topic": ""}, 400, 113),
        ({"Content_Encoding": None}, 400, 110),
        ({"Content_Encoding": "aesgcm"}, 400, 110),
        ({"Content_Encoding": "gzip"}, 400, 110),
    ],
)
async def test_a_request_that_is_not_rfc_8030_is_refused(
    application: Application, endpoint: str, headers: dict[str, str | None], status: int, errno: int
) -> None:
    answer = await application.post(endpoint, b"x", **headers)

    assert (answer.status, answer.body["errno"], answer.body["code"]) == (status, errno, status)
    assert answer.body["error"]
    assert answer.body["message"]


async def test_a_topic_of_32_characters_is_taken(application: Application, endpoint: str) -> None:
    assert (await application.post(endpoint, b"x", Topic="t" * 32)).status == 201


async def test_a_push_without_authorization_is_401(endpoint: str, session: aiohttp.ClientSession) -> None:
    async with session.post(endpoint, headers={"TTL": "60"}) as answer:
        body = await answer.json()

    assert (answer.status, body["code"], body["errno"], body["error"]) == (401, 401, 109, "Unauthorized")


@pytest.mark.parametrize(
    "authorization",
    ["Bearer x", "vapid", "vapid t=a.b.c", "vapid k=BAAA", "WebPush a.b.c", "vapid t=a.b.c,k=~~", "vapid t=a.b.c,k=A"],
)
async def test_credentials_of_another_form_are_401(application: Application, endpoint: str, authorization: str) -> None:
    answer = await application.post(endpoint, b"x", authorization=authorization)

    assert (answer.status, answer.body["errno"]) == (401, 109)


async def test_another_key_than_the_registered_one_is_a_key_mismatch(
    session: aiohttp.ClientSession, clock: Clock, endpoint: str
) -> None:
    answer = await Application(session, clock).post(endpoint, b"x")

    assert (answer.status, answer.body["errno"], answer.body["message"]) == (401, 109, "VAPID public key mismatch")


async def test_a_token_signed_by_another_key_is_403(
    application: Application, session: aiohttp.ClientSession, clock: Clock, endpoint: str
) -> None:
    forged = Application(session, clock).authorization(endpoint).rpartition("k=")[0] + f"k={application.public_key}"

    assert (await application.post(endpoint, b"x", authorization=forged)).status == 403


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"aud": "http://127.0.0.1"}, "aud"),
        ({"aud": "https://fcm.googleapis.com"}, "aud"),
        ({"exp": 1_800_000_000}, "expired"),
        ({"exp": 1_800_000_000 + 24 * 3600 + 1}, "24 hours"),
    ],
)
async def test_a_token_for_elsewhere_or_another_time_is_403(
    application: Application, endpoint: str, claims: dict[str, Any], said: str
) -> None:
    answer = await application.post(endpoint, b"x", authorization=application.authorization(endpoint, **claims))

    assert (answer.status, answer.body["errno"], answer.body["error"]) == (403, 109, "Forbidden")
    assert said in answer.body["message"]


async def test_a_token_of_exactly_24_hours_is_taken(application: Application, endpoint: str) -> None:
    authorization = application.authorization(endpoint, exp=1_800_000_000 + 24 * 3600)

    assert (await application.post(endpoint, b"x", authorization=authorization)).status == 201


@pytest.mark.parametrize(
    ("header", "changes"),
    [
        ({"typ": "JWT", "alg": "none"}, {}),
        ({"typ": "JWT", "alg": "HS256"}, {}),
        ({"typ": "JWT"}, {}),
        ({"typ": "JWT", "alg": "ES256"}, {"sub": None}),
        ({"typ": "JWT", "alg": "ES256"}, {"sub": ""}),
        ({"typ": "JWT", "alg": "ES256"}, {"exp": None}),
        ({"typ": "JWT", "alg": "ES256"}, {"exp": "soon"}),
        ({"typ": "JWT", "alg": "ES256"}, {"exp": True}),
        ({"typ": "JWT", "alg": "ES256"}, {"aud": None}),
    ],
)
async def test_a_token_with_a_missing_or_strange_claim_is_403(
    application: Application, simulator: Simulator, endpoint: str, header: dict[str, Any], changes: dict[str, Any]
) -> None:
    claims = {"aud": simulator.origin, "exp": 1_800_000_100, "sub": "mailto:a@b.example"} | changes
    good = application.token(
        {"typ": "JWT", "alg": "ES256"}, claims | {"aud": simulator.origin, "sub": "x", "exp": 1_800_000_100}
    )
    bad = application.token(header, claims)

    assert (await application.post(endpoint, b"x", authorization=good)).status == 201
    assert (await application.post(endpoint, b"x", authorization=bad)).status == 403


async def test_quotes_spaces_and_another_order_in_the_authorization_are_taken(
    application: Application, endpoint: str
) -> None:
    token, _, key = application.authorization(endpoint).removeprefix("vapid t=").partition(",k=")
    authorization = f'VAPID k="{key}" , t={token}'

    assert (await application.post(endpoint, b"x", authorization=authorization)).status == 201


async def test_a_subscription_without_a_key_takes_any_signed_push(
    application: Application, wire: Wire, endpoint: str
) -> None:
    unrestricted = await wire.register(None, OTHER_CHANNEL)

    assert (await application.post(unrestricted, b"x")).status == 201
    assert unrestricted != endpoint


async def test_an_unknown_endpoint_is_404(application: Application, simulator: Simulator) -> None:
    answer = await application.post(f"{simulator.origin}/push/nobody", b"x")

    assert (answer.status, answer.body["errno"]) == (404, 102)


async def test_an_unsubscribed_endpoint_is_410(application: Application, wire: Wire, endpoint: str) -> None:
    assert (await application.post(endpoint, b"x")).status == 201
    await wire.read()
    assert await wire.ask(messageType="unregister", channelID=CHANNEL, code=200) == {
        "messageType": "unregister",
        "channelID": CHANNEL,
        "status": 200,
    }

    answer = await application.post(endpoint, b"x")

    assert (answer.status, answer.body["errno"]) == (410, 103)


async def test_what_was_refused_is_listed_and_not_delivered(
    application: Application, simulator: Simulator, wire: Wire, endpoint: str
) -> None:
    await application.post(endpoint, b"refused", TTL=None)
    await application.post(endpoint, b"taken")

    assert (await wire.read())["data"] == "dGFrZW4"
    assert [(push.status, push.state) for push in simulator.registry.pushes] == [
        (400, PushState.REFUSED),
        (201, PushState.SENT),
    ]


async def test_nothing_secret_is_in_the_repr_of_what_is_kept(
    application: Application, simulator: Simulator, endpoint: str
) -> None:
    await application.post(endpoint, b"body of the push")
    kept = repr(simulator.registry.pushes) + repr(simulator.registry.channels) + repr(simulator.registry.browsers)

    assert endpoint.rpartition("/")[2] not in kept
    assert "body of the push" not in kept


async def test_pushes_at_once_all_arrive_once(application: Application, wire: Wire, endpoint: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        pushed = [tasks.create_task(application.post(endpoint, str(index).encode())) for index in range(20)]

    assert {one.result().status for one in pushed} == {201}
    assert len({(await wire.read())["data"] for _ in pushed}) == 20
