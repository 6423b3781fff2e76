"""The browser routes, by what they answer: every code that is documented for them, on every route that can give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from pushdesk.errors import ERROR_KINDS
from tests.server.running import ADMIN_TOKEN
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.reference.bench import Bench
    from tests.server.running import Answer

SUBSCRIPTION: Final = "/api/v1/users/anna/webpush/subscription"
TEST: Final = "/api/v1/users/anna/webpush/test"
VAPID: Final = "/api/v1/vapid"
ELSEWHERE: Final = {"X-Forwarded-For": "192.0.2.1"}
FOREIGN: Final = {"Origin": "https://evil.example"}
ROUTES: Final = (("GET", VAPID), ("POST", SUBSCRIPTION), ("DELETE", SUBSCRIPTION), ("POST", TEST))
WITH_BODY: Final = ROUTES[1:]


@dataclass(frozen=True)
class Case:
    """A request, and the code that it is answered with."""

    code: str
    name: str
    ask: Callable[[Bench], Awaitable[Answer]]
    fields: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.code}: {self.name}"


def asked(code: str, method: str, path: str, body: object = None, *fields: str, note: str = "", **more: Any) -> Case:
    async def ask(desk: Bench) -> Answer:
        return await desk.server.ask(method, path, body, **more)

    return Case(code, f"{method} {path.rpartition('/')[2]} {note}".rstrip(), ask, fields)


def subscribed(code: str, note: str, *fields: str, **changes: Any) -> Case:
    """Subscribe with something changed in what a browser hands over; `keys` in its keys."""

    async def ask(desk: Bench) -> Answer:
        body = msgspec.to_builtins(desk.server.push_service.device("phone").request())
        body |= {name: value for name, value in changes.items() if name != "keys"}
        body["keys"] |= changes.get("keys", {})
        return await desk.server.ask("POST", SUBSCRIPTION, body)

    return Case(code, f"POST subscription {note}", ask, fields)


async def with_another_devices_token(desk: Bench, method: str, path: str) -> Answer:
    phone = await desk.subscribe("anna", "phone")
    other = (await desk.try_to_subscribe("anna", desk.server.push_service.device("laptop"))).json["token"]
    body = msgspec.to_builtins(phone.request()) if (method, path) == ROUTES[1] else {"endpoint": phone.endpoint}
    return await desk.server.ask(method, path, body, token=other)


async def over_the_cap(desk: Bench) -> Answer:
    for number in range(50):
        await desk.subscribe_quietly("anna", f"d{number}")
    return await desk.try_to_subscribe("anna", desk.server.push_service.device("one-too-many"))


async def with_other_keys(desk: Bench) -> Answer:
    await desk.subscribe("anna", "phone")
    return await desk.try_to_subscribe("anna", desk.server.push_service.device("phone"))


async def tried_out(desk: Bench, status: int, body: str = "") -> Answer:
    desk.server.push_service.answer("phone", status, body=body)
    answer = await desk.try_to_subscribe("anna", desk.server.push_service.device("phone"))
    assert await desk.listed("anna") == []
    return answer


async def while_stopping(desk: Bench) -> Answer:
    await desk.subscribe("anna", "phone")
    await desk.server.engine.drain(0)
    return await desk.ask("POST", "anna", "test", {})


async def without_a_table(desk: Bench, method: str, path: str) -> Answer:
    phone = await desk.subscribe("anna", "phone")
    await desk.sql("ALTER TABLE subscriptions RENAME TO elsewhere")
    body = {"endpoint": phone.endpoint} if (method, path) != ROUTES[1] else msgspec.to_builtins(phone.request())
    return await desk.server.ask(method, path, body)


def by_route(code: str, ask: Callable[[Bench, str, str], Awaitable[Answer]]) -> tuple[Case, ...]:
    def case(method: str, path: str) -> Case:
        return Case(code, f"{method} {path.rpartition('/')[2]}", lambda desk: ask(desk, method, path))

    return tuple(case(*route) for route in WITH_BODY)


CASES: Final = (
    *(asked("bad_json", *route, raw=b"{") for route in WITH_BODY),
    *(
        asked("bad_json", *route, raw=b"{}", headers={"Content-Type": "text/plain"}, note="no JSON", token=ADMIN_TOKEN)
        for route in WITH_BODY
    ),
    *(asked("too_large", *route, {"endpoint": "x" * 70_000}) for route in WITH_BODY),
    asked("bad_field", *ROUTES[1], {}, "endpoint", "keys", note="nothing"),
    asked("bad_field", *ROUTES[2], {}, "endpoint", note="nothing"),
    asked("bad_field", *ROUTES[3], {"endpoint": 1}, "endpoint", note="a number"),
    asked("bad_field", *ROUTES[3], {"endpoint": ""}, "endpoint", note="empty"),
    *(asked("bad_field", method, path.replace("anna", "me"), {}, "user", note="me") for method, path in WITH_BODY),
    subscribed(
        "bad_field", "an endpoint that is too long", "endpoint", endpoint="https://fcm.googleapis.com/" + "a" * 2048
    ),
    subscribed("bad_field", "an expiration in words", "expirationTime", expirationTime="soon"),
    subscribed("bad_field", "a key that is not known", "key_id", key_id="00000000"),
    subscribed("bad_field", "a key id that is none", "key_id", key_id="XYZ"),
    subscribed("bad_field", "an empty replaces", "replaces", replaces=""),
    subscribed("bad_field", "a long user agent", "user_agent", user_agent="x" * 513),
    *(asked("unknown_field", *route, {"endpoint": "x", "colour": 1}, "colour") for route in ROUTES[2:]),
    subscribed("unknown_field", "a colour", "colour", "keys.p384", colour=1, keys={"p384": ""}),
    *(asked("unknown_field", method, path + "?x=1", {}, "x", note="in the query") for method, path in WITH_BODY),
    asked("unknown_field", "GET", VAPID + "?x=1", None, "x", note="in the query"),
    subscribed("bad_keys", "auth", "keys.auth", keys={"auth": "AAAA"}),
    subscribed("bad_keys", "both", "keys.p256dh", "keys.auth", keys={"p256dh": "", "auth": ""}),
    subscribed("endpoint_refused", "plain http", "endpoint", endpoint="http://fcm.googleapis.com/x"),
    subscribed("endpoint_refused", "a host nobody knows", "endpoint", endpoint="https://push.example/x"),
    subscribed("endpoint_refused", "a private address", "endpoint", endpoint="https://10.0.0.1/x"),
    subscribed("endpoint_refused", "permanently removed", "endpoint", endpoint="https://permanently-removed.invalid/x"),
    *(asked("unauthorized", *route, {"endpoint": "x"}, headers=ELSEWHERE, note="no token") for route in WITH_BODY),
    *(asked("unauthorized", *route, {"endpoint": "x"}, token="pdd_none", note="no such token") for route in WITH_BODY),
    *(asked("forbidden", *route, {"endpoint": "x"}, headers=FOREIGN, note="a foreign page") for route in ROUTES),
    *by_route("forbidden", with_another_devices_token),
    Case("forbidden", "POST subscription over the cap", over_the_cap),
    asked("subscription_not_found", *ROUTES[2], {"endpoint": "https://fcm.googleapis.com/none"}),
    asked("subscription_not_found", *ROUTES[3], {"endpoint": "https://fcm.googleapis.com/none"}),
    asked("subscription_not_found", *ROUTES[3], {}, note="nobody"),
    asked("subscription_not_found", *ROUTES[3], {"endpoint": None}, note="nobody"),
    Case("endpoint_taken", "POST subscription", with_other_keys),
    Case("subscription_gone", "POST subscription 410", lambda desk: tried_out(desk, 410)),
    Case("subscription_gone", "POST subscription 404", lambda desk: tried_out(desk, 404)),
    Case("key_mismatch", "POST subscription", lambda desk: tried_out(desk, 401, "VAPID public key mismatch")),
    asked("method_not_allowed", "PUT", SUBSCRIPTION, {}),
    asked("method_not_allowed", "GET", SUBSCRIPTION),
    asked("method_not_allowed", "DELETE", TEST, {}),
    asked("method_not_allowed", "POST", VAPID, {}),
    Case("queue_full", "POST test while the server stops", while_stopping),
    *by_route("database_error", without_a_table),
)

ELSEWHERE_SHOWN: Final = {
    "disk_full": "tests/faults/test_full_disk.py",
    "not_found": "tests/server/test_experiments.py: the experiment is off",
    "internal": "tests/server/test_browsers.py: a mistake of ours",
    "rate_limited": "tests/server/test_limits.py",
    "request_timeout": "tests/server/test_slow_clients.py",
    "too_many_connections": "tests/server/test_slow_clients.py",
}
FOR_OTHER_ROUTES: Final = {
    "already_ended",
    "confirm_required",
    "idempotency_conflict",
    "payload_too_large",
    "push_disabled",
    "start_up",
    "unreachable",
}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
async def test_a_browser_route_answers_with_the_code_that_is_documented(desk: Bench, case: Case) -> None:
    answer = await case.ask(desk)
    assert_problem(answer, ERROR_KINDS[case.code].status, case.code, *case.fields)
    assert desk.server.push_service.origin not in answer.content.decode()


def test_every_code_is_shown_here_or_known_to_be_no_answer_of_these_routes() -> None:
    shown = {case.code for case in CASES}
    assert shown | set(ELSEWHERE_SHOWN) | FOR_OTHER_ROUTES == set(ERROR_KINDS)
    assert not shown & (FOR_OTHER_ROUTES | set(ELSEWHERE_SHOWN))


async def test_a_subscription_while_the_server_stops_is_kept_with_its_token(desk: Bench) -> None:
    await desk.server.engine.drain(0)
    made = await desk.try_to_subscribe("anna", desk.server.push_service.device("phone"))
    assert (made.status, made.json["test"]) == (201, "transient")
    assert made.json["token"]


async def test_a_test_push_that_is_refused_does_not_keep_a_browser_from_subscribing(desk: Bench) -> None:
    desk.server.push_service.answer("phone", 400, body="not today")
    made = await desk.try_to_subscribe("anna", desk.server.push_service.device("phone"))
    assert (made.status, made.json["test"]) == (201, "transient")
    assert await desk.states("anna") == ["active"]


async def test_a_device_that_was_gone_subscribes_again_with_a_test_push_and_without_a_new_token(desk: Bench) -> None:
    device = await desk.subscribe("anna", "phone")
    desk.server.push_service.answer("phone", 410)
    await desk.notify("anna")
    assert_problem(await desk.try_to_subscribe("anna", device), 422, "subscription_gone")
    assert await desk.states("anna") == ["gone"]
    desk.server.push_service.answer("phone", 201)
    again = await desk.try_to_subscribe("anna", device)
    assert (again.status, again.json["test"], "token" in again.json) == (200, "accepted", False)
    assert await desk.states("anna") == ["active"]


async def test_a_test_tells_each_devices_outcome(desk: Bench) -> None:
    for name in ("fine", "gone", "refused"):
        await desk.subscribe("anna", name)
    desk.server.push_service.answer("gone", 410)
    desk.server.push_service.answer("refused", 400, body="no")
    tested = await desk.ask("POST", "anna", "test", {})
    assert tested.status == 200
    told = sorted((item["outcome"], item["status"], item["reason"]) for item in tested.json["deliveries"])
    assert told == [("accepted", 201, ""), ("gone", 410, "Answered 410."), ("refused", 400, "no")]
