"""`/_control/`, as docs/simulator.md has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.simulator.wire import CHANNEL, Wire

if TYPE_CHECKING:
    from pushdesk.simulator.service import Simulator
    from tests.simulator.application import Application


class Control:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        async with self._session.request(method, f"{self._url}/_control/{path}", data=data, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if "json" in answer.content_type else text


@pytest.fixture
def control(session: aiohttp.ClientSession, simulator: Simulator) -> Control:
    return Control(session, simulator.url)


@pytest.fixture
async def endpoint(wire: Wire, application: Application) -> str:
    await wire.hello()
    return await wire.register(application.public_key)


async def test_status_counts(control: Control, simulator: Simulator, endpoint: str) -> None:
    assert endpoint.startswith(simulator.origin)
    assert await control.ask("GET", "") == (
        200,
        {"personalities": ["other"], "origin": simulator.origin, "browsers": 1, "connected": 1, "subscriptions": 1},
    )


async def test_browsers_subscriptions_and_pushes_are_listed(
    control: Control, application: Application, wire: Wire, endpoint: str
) -> None:
    await application.post(endpoint, b"x", TTL="60", Topic="t", Urgency="high")
    version = (await wire.read())["version"]
    await application.post(endpoint, b"x", TTL=None)
    _, browsers = await control.ask("GET", "browsers")
    _, subscriptions = await control.ask("GET", "subscriptions")
    _, pushes = await control.ask("GET", "pushes")

    subscription = endpoint.rpartition("/")[2]
    uaid = browsers["items"][0]["uaid"]
    assert browsers == {
        "items": [
            {
                "uaid": uaid,
                "number": 1,
                "service": "other",
                "connected": True,
                "waiting": 1,
                "subscriptions": [subscription],
            }
        ]
    }
    assert subscriptions == {
        "items": [{"id": subscription, "browser": uaid, "channel": CHANNEL, "key": application.public_key}]
    }
    assert pushes["items"][0] == {
        "id": version,
        "subscription": subscription,
        "at": 1_800_000_000.0,
        "status": 201,
        "errno": None,
        "reason": "",
        "state": "sent",
        "code": None,
        "size": 1,
        "ttl": 60,
        "topic": "t",
        "urgency": "high",
    }
    assert (pushes["items"][1]["status"], pushes["items"][1]["errno"]) == (400, 111)


async def test_a_forgotten_subscription_is_gone_and_its_browser_not_told(
    control: Control, application: Application, wire: Wire, endpoint: str
) -> None:
    subscription = endpoint.rpartition("/")[2]
    assert await control.ask("DELETE", f"subscriptions/{subscription}") == (204, "")
    assert (await application.post(endpoint, b"x")).status == 410
    status, problem = await control.ask("DELETE", f"subscriptions/{subscription}")
    assert (status, problem["code"]) == (404, "subscription_not_found")

    assert await wire.register(application.public_key) != endpoint


async def test_disconnected_browsers_keep_their_id(
    control: Control, session: aiohttp.ClientSession, simulator: Simulator, wire: Wire
) -> None:
    uaid = await wire.hello()
    assert await control.ask("POST", "disconnect", {}) == (200, {"closed": 1})
    assert await wire.closed() == aiohttp.WSCloseCode.GOING_AWAY

    async with Wire(session, simulator.url) as again:
        assert await again.hello(uaid) == uaid


async def test_a_browser_gets_a_new_id_and_loses_its_subscriptions(
    control: Control, session: aiohttp.ClientSession, simulator: Simulator, application: Application
) -> None:
    async with Wire(session, simulator.url) as one, Wire(session, simulator.url) as other:
        uaid, other_uaid = await one.hello(), await other.hello()
        endpoint, kept = await one.register(application.public_key), await other.register(application.public_key)
        assert await control.ask("POST", "disconnect", {"browser": uaid, "new_uaid": True}) == (200, {"closed": 1})
        await one.closed()
        async with Wire(session, simulator.url) as again:
            assert await again.hello(uaid) not in {uaid, other_uaid}

        assert (await application.post(endpoint, b"x")).status == 410
        assert (await application.post(kept, b"x")).status == 201


async def test_a_prepared_answer_is_given_as_often_as_asked_for(
    control: Control, application: Application, simulator: Simulator, endpoint: str
) -> None:
    answer = {
        "status": 503,
        "headers": {"Retry-After": "7", "Content-Type": "text/html"},
        "body": "<b>busy</b>",
        "count": 2,
    }
    assert (await control.ask("POST", "answers", answer))[0] == 201
    answers = [await application.post(endpoint, b"x") for _ in range(3)]

    assert [one.status for one in answers] == [503, 503, 201]
    assert (answers[0].text, answers[0].headers["Retry-After"]) == ("<b>busy</b>", "7")
    assert [push.state for push in simulator.registry.pushes] == ["answered", "answered", "sent"]


async def test_a_prepared_answer_can_be_for_one_subscription(
    control: Control, application: Application, wire: Wire, endpoint: str
) -> None:
    other = await wire.register(None, "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")
    await control.ask("POST", "answers", {"status": 429, "subscription": other.rpartition("/")[2]})

    assert (await application.post(endpoint, b"x")).status == 201
    assert (await application.post(other, b"x")).status == 429


async def test_prepared_answers_can_be_listed_and_forgotten(
    control: Control, application: Application, endpoint: str
) -> None:
    await control.ask("POST", "answers", {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}})
    assert (await control.ask("GET", "answers"))[1] == {
        "items": [
            {
                "status": 302,
                "headers": {"Location": "http://127.0.0.1:1/"},
                "body": "",
                "count": 1,
                "subscription": None,
            }
        ]
    }
    assert await control.ask("DELETE", "answers") == (204, "")

    assert (await application.post(endpoint, b"x")).status == 201


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("answers", b"{", "bad_json"),
        ("answers", b"", "bad_json"),
        ("answers", {}, "bad_field"),
        ("answers", {"status": 199}, "bad_field"),
        ("answers", {"status": 600}, "bad_field"),
        ("answers", {"status": "503"}, "bad_field"),
        ("answers", {"status": 503, "count": 0}, "bad_field"),
        ("answers", {"status": 503, "delay": 1}, "bad_field"),
        ("answers", {"status": 204, "body": "x"}, "bad_field"),
        ("answers", {"status": 503, "headers": {"A": "b\r\nC: d"}}, "bad_field"),
        ("answers", {"status": 503, "headers": {"A b": "c"}}, "bad_field"),
        ("answers", {"status": 503, "headers": {"Content-Length": "5"}}, "bad_field"),
        ("answers", {"status": 503, "headers": {f"A{index}": "" for index in range(21)}}, "bad_field"),
        ("disconnect", {"all": True}, "bad_field"),
    ],
)
async def test_a_command_that_makes_no_sense_is_refused(control: Control, path: str, body: object, code: str) -> None:
    status, problem = await control.ask("POST", path, body)

    assert (status, problem["code"]) == (400, code)
    assert (await control.ask("GET", "answers"))[1] == {"items": []}


async def test_only_so_many_answers_are_prepared(control: Control) -> None:
    statuses = [(await control.ask("POST", "answers", {"status": 500}))[0] for _ in range(101)]

    assert statuses == [201] * 100 + [400]


async def test_an_unknown_browser_is_not_disconnected(control: Control) -> None:
    status, problem = await control.ask("POST", "disconnect", {"browser": "nobody"})

    assert (status, problem["code"]) == (404, "not_found")


@pytest.mark.parametrize("headers", [{"Origin": "http://localhost:8484"}, {"Host": "evil.example:80"}])
async def test_a_web_page_controls_nothing(control: Control, headers: dict[str, str]) -> None:
    status, problem = await control.ask("GET", "subscriptions", **headers)

    assert (status, problem["code"]) == (403, "forbidden")
