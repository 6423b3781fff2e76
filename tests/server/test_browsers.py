"""The subscription API, as a page on this machine uses it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.server.running import Running, base64url, browser_keys
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from typing import Any

    from pushdesk.model import PageQuery
    from tests.logs import Log

PATH = "/api/v1/users/anna/webpush/subscription"
TEST = "/api/v1/users/anna/webpush/test"


async def listed(server: Running) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await server.admin("GET", "/api/v1/admin/subscriptions")).json["items"]
    return items


async def test_the_key_to_subscribe_with_is_65_bytes_and_has_an_id(server: Running) -> None:
    answer = await server.ask("GET", "/api/v1/vapid")
    assert answer.status == 200
    assert set(answer.json) == {"public_key", "key_id"}
    assert len(base64.urlsafe_b64decode(answer.json["public_key"] + "=")) == 65
    assert "=" not in answer.json["public_key"]
    assert len(bytes.fromhex(answer.json["key_id"])) == 4
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_new_subscription_is_tested_and_gets_a_token(server: Running) -> None:
    answer = await server.subscribe("anna", "a")
    assert answer.status == 201
    assert set(answer.json) == {"subscription", "test", "token"}
    assert answer.json["test"] == "accepted"
    assert answer.json["token"].startswith("pdd_" + answer.json["subscription"]["id"])
    assert answer.json["subscription"]["user"] == "anna"
    (push,) = server.push_service.pushes
    assert push.path == "/a"
    assert push.headers["Content-Encoding"] == "aes128gcm"


async def test_the_same_subscription_again_is_200_without_a_token_and_untested(server: Running) -> None:
    body = server.subscription("a")
    first = await server.ask("POST", PATH, body)
    again = await server.ask("POST", PATH, body)
    assert again.status == 200
    assert set(again.json) == {"subscription", "test"}
    assert again.json["test"] == "skipped"
    assert again.json["subscription"]["id"] == first.json["subscription"]["id"]
    assert len(server.push_service.pushes) == 1


async def test_keys_may_be_in_either_alphabet_padded_or_not(server: Running) -> None:
    keys = browser_keys()
    raw = {name: base64.urlsafe_b64decode(value + "==") for name, value in keys.items()}
    body = server.subscription("a") | {"keys": {name: base64.b64encode(value).decode() for name, value in raw.items()}}
    assert (await server.ask("POST", PATH, body)).status == 201
    assert (await server.ask("POST", PATH, body | {"keys": keys})).status == 200
    padded = {name: base64.urlsafe_b64encode(value).decode() for name, value in raw.items()}
    assert (await server.ask("POST", PATH, body | {"keys": padded})).status == 200


@pytest.mark.parametrize("expiration", [{}, {"expirationTime": None}, {"expirationTime": 1.9e12}])
async def test_an_expiration_time_may_be_there_or_not(server: Running, expiration: dict[str, Any]) -> None:
    body = server.subscription("a")
    del body["expirationTime"]
    assert (await server.ask("POST", PATH, body | expiration)).status == 201


async def test_other_keys_for_a_known_endpoint_are_refused(server: Running) -> None:
    body = server.subscription("a")
    await server.ask("POST", PATH, body)
    before = await listed(server)
    for user in ("anna", "bert"):
        answer = await server.ask("POST", PATH.replace("anna", user), body | {"keys": browser_keys()})
        assert_problem(answer, 409, "endpoint_taken")
    assert await listed(server) == before


async def test_a_subscription_moves_to_who_shows_the_same_keys(server: Running) -> None:
    body = server.subscription("a")
    first = await server.ask("POST", PATH, body)
    moved = await server.ask("POST", PATH.replace("anna", "bert"), body)
    assert moved.status == 200
    assert [item["user"] for item in await listed(server)] == ["bert"]
    assert moved.json["subscription"]["id"] == first.json["subscription"]["id"]


async def test_a_subscription_takes_the_place_of_another(server: Running) -> None:
    old, new = server.subscription("old"), server.subscription("new")
    await server.ask("POST", PATH, old)
    answer = await server.ask("POST", PATH, new | {"replaces": old["endpoint"]})
    assert answer.status == 201
    assert answer.json["test"] == "skipped"
    assert [item["id"] for item in await listed(server)] == [answer.json["subscription"]["id"]]


async def test_the_browser_is_told_from_the_body_else_from_the_request(server: Running) -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    told = await server.ask("POST", PATH, server.subscription("a") | {"user_agent": firefox})
    seen = await server.ask("POST", PATH, server.subscription("b"), headers={"User-Agent": firefox})
    assert "Firefox" in told.json["subscription"]["browser"]
    assert seen.json["subscription"]["browser"] == told.json["subscription"]["browser"]


@pytest.mark.parametrize(("status", "code"), [(404, "subscription_gone"), (410, "subscription_gone")])
async def test_what_the_push_service_refuses_is_not_kept(server: Running, status: int, code: str) -> None:
    answer = await server.subscribe("anna", "a", status=status)
    assert_problem(answer, 422, code)
    assert await listed(server) == []


async def test_a_push_service_that_fails_for_now_does_not_refuse_the_subscription(server: Running) -> None:
    answer = await server.subscribe("anna", "a", status=503)
    assert answer.status == 201
    assert answer.json["test"] == "transient"
    assert len(await listed(server)) == 1


async def test_unsubscribing_is_204_and_then_404(server: Running) -> None:
    body = server.subscription("a")
    await server.ask("POST", PATH, body)
    endpoint = {"endpoint": body["endpoint"]}
    assert_problem(await server.ask("DELETE", PATH.replace("anna", "bert"), endpoint), 404, "subscription_not_found")
    answer = await server.ask("DELETE", PATH, endpoint)
    assert (answer.status, answer.content) == (204, b"")
    assert_problem(await server.ask("DELETE", PATH, endpoint), 404, "subscription_not_found")
    assert await listed(server) == []


async def test_unsubscribing_needs_an_endpoint(server: Running) -> None:
    assert_problem(await server.ask("DELETE", PATH, {}), 400, "bad_field", "endpoint")


async def test_a_test_reaches_all_devices_of_the_user_or_the_one_that_is_named(server: Running) -> None:
    one, two = server.subscription("one"), server.subscription("two")
    for body in (one, two):
        await server.ask("POST", PATH, body)
    await server.subscribe("bert", "three")
    server.push_service.pushes.clear()
    everybody = await server.ask("POST", TEST, {})
    assert [delivery["outcome"] for delivery in everybody.json["deliveries"]] == ["accepted"] * 2
    assert {push.path for push in server.push_service.pushes} == {"/one", "/two"}
    server.push_service.pushes.clear()
    assert len((await server.ask("POST", TEST, {"endpoint": two["endpoint"]})).json["deliveries"]) == 1
    assert [push.path for push in server.push_service.pushes] == ["/two"]


async def test_a_test_without_devices_is_not_found(server: Running) -> None:
    assert_problem(await server.ask("POST", TEST, {}), 404, "subscription_not_found")
    endpoint = server.push_service.endpoint("a")
    assert_problem(await server.ask("POST", TEST, {"endpoint": endpoint}), 404, "subscription_not_found")


async def test_a_key_id_that_is_not_known_is_refused(server: Running) -> None:
    answer = await server.ask("POST", PATH, server.subscription("a") | {"key_id": "00000000"})
    assert_problem(answer, 400, "bad_field", "key_id")


async def test_secrets_are_in_no_answer_and_in_no_log(
    server: Running, log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    body = server.subscription("canary-endpoint")
    auth = base64url(b"canary-auth-1234")
    body["keys"]["auth"] = auth
    answers = [
        await server.ask("POST", PATH, body),
        await server.ask("POST", PATH, body | {"keys": browser_keys()}),
        await server.ask("POST", PATH, body | {"x": 1}),
        await server.ask("POST", TEST, {}),
        await server.admin("GET", "/api/v1/admin/subscriptions"),
        await server.admin("GET", "/api/v1/admin/deliveries"),
        await server.admin("GET", "/api/v1/admin/stats"),
        await server.ask("GET", "/metrics"),
        await server.ask("DELETE", PATH, {"endpoint": body["endpoint"]}),
        await server.ask("DELETE", PATH, {"endpoint": body["endpoint"]}),
    ]
    token = answers[0].json["token"]
    said = b" ".join(answer.content for answer in answers[1:]).decode() + answers[0].content.decode().replace(token, "")
    written = log.text + "".join(capfd.readouterr())
    for secret in ("canary-endpoint", auth, body["keys"]["p256dh"], token):
        assert secret not in said
        assert secret not in written


async def test_a_mistake_of_ours_tells_the_client_and_the_log_no_secrets(
    server: Running, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_query: PageQuery) -> None:
        raise RuntimeError("canary https://push.example/secret")

    monkeypatch.setattr(server.engine, "subscriptions", fail)
    answer = await server.admin("GET", "/api/v1/admin/subscriptions")
    assert_problem(answer, 500, "internal")
    assert b"canary" not in answer.content
    assert b"Traceback" not in answer.content
    (line,) = log.of("request_failed")
    assert (line["error"], line["route"]) == ("RuntimeError", "/api/v1/admin/subscriptions")
    assert "canary" not in log.text
