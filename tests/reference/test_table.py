"""The reference's own table of behaviours, in its order: coder/coder, coderd/webpush, each under its own name.

Where that one removes a subscription, this one disables it: it is kept for a while, and never sent to again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pushdesk.config import ON_BY_DEFAULT
from pushdesk.errors import PushdeskError
from pushdesk.model import Notification
from tests.reference.bench import Bench, bench
from tests.server.running import ADMIN_TOKEN
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.model import Experiment

TTL_S = 180


async def test_successful_delivery(desk: Bench) -> None:
    device = await desk.subscribe("anna", "phone")
    before = await desk.listed("anna")
    dispatch = await desk.notify("anna", "Dinner is ready")
    assert dispatch["counts"] == {"accepted": 1}
    assert desk.pushed(device) == ["It's working!", "Dinner is ready"]
    after = await desk.listed("anna")
    assert [(item["id"], item["state"]) for item in after] == [(before[0]["id"], "active")]


async def test_expired_subscription_is_removed(desk: Bench) -> None:
    await desk.subscribe("anna", "phone")
    desk.server.push_service.answer("phone", 410)
    dispatch = await desk.notify("anna")
    assert dispatch["counts"] == {"gone": 1}
    assert dispatch["deliveries"][0]["status"] == 410
    assert await desk.states("anna") == ["gone"]
    assert await desk.cached_devices("anna") == 0
    desk.pushed_to()
    desk.server.push_service.answer("phone", 201)
    desk.clock.advance(TTL_S)
    assert (await desk.notify("anna"))["deliveries"] == []
    assert desk.pushed_to() == []


async def test_failed_delivery_is_reported_with_what_the_service_said_and_the_subscription_is_kept(desk: Bench) -> None:
    await desk.subscribe("anna", "phone")
    desk.server.push_service.answer("phone", 400, body="Invalid request")
    dispatch = await desk.notify("anna")
    (delivery,) = dispatch["deliveries"]
    assert (delivery["outcome"], delivery["status"], delivery["reason"]) == ("refused", 400, "Invalid request")
    assert await desk.states("anna") == ["active"]
    desk.server.push_service.answer("phone", 201)
    assert (await desk.notify("anna"))["counts"] == {"accepted": 1}


async def test_multiple_subscriptions_one_gone_one_fine(desk: Bench) -> None:
    await desk.subscribe("anna", "fine")
    (fine,) = await desk.listed("anna")
    await desk.subscribe("anna", "gone")
    desk.server.push_service.answer("gone", 410)
    desk.pushed_to()
    assert (await desk.notify("anna"))["counts"] == {"accepted": 1, "gone": 1}
    assert desk.pushed_to() == ["fine", "gone"]
    assert [item["id"] for item in await desk.listed("anna") if item["state"] == "active"] == [fine["id"]]


async def test_notification_payload(desk: Bench) -> None:
    device = await desk.subscribe("anna", "phone")
    desk.pushes.clear()
    actions = [
        {"action": "a", "title": "A", "url": f"{desk.server.url}/a"},
        {"action": "b", "title": "B", "url": "/b"},
    ]
    await desk.notify("anna", "Title", body="Body", icon="https://example.com/icon.png", actions=actions)
    (push,) = desk.pushes
    assert push.method == "POST"
    assert push.headers["Content-Type"] == "application/octet-stream"
    assert push.headers["Content-Encoding"] == "aes128gcm"
    assert push.headers["Authorization"].startswith("vapid t=")
    assert "Transfer-Encoding" not in push.headers
    assert int(push.headers["Content-Length"]) == len(push.body)
    with pytest.raises(ValueError, match=r"codec|Expecting"):
        json.loads(push.body)
    shown = device.decrypt(push.body)["notification"]
    assert (shown["title"], shown["body"], shown["icon"]) == ("Title", "Body", "https://example.com/icon.png")
    assert [action["navigate"] for action in shown["actions"]] == [f"{desk.server.url}/a", f"{desk.server.url}/b"]


async def test_no_subscriptions(desk: Bench) -> None:
    dispatch = await desk.notify("nobody")
    assert (dispatch["state"], dispatch["counts"], dispatch["deliveries"]) == ("done", {}, [])
    assert desk.pushed_to() == []


async def test_subscriptions_are_cached_within_the_ttl(desk: Bench) -> None:
    await desk.subscribe("anna", "phone")
    await desk.forget("anna")
    desk.pushed_to()
    reads = desk.reads_of("anna")
    await desk.notify("anna", "First")
    desk.clock.advance(TTL_S * 0.9 - 1)
    await desk.notify("anna", "Second")
    assert desk.reads_of("anna") == reads + 1
    assert desk.pushed_to() == ["phone", "phone"]


async def test_subscriptions_are_read_again_after_the_ttl(desk: Bench) -> None:
    await desk.subscribe("anna", "phone")
    await desk.subscribe("anna", "laptop")
    await desk.notify("anna")
    reads = desk.reads_of("anna")
    desk.pushed_to()
    # Behind the server's back, as nothing but the age of what is held can tell it.
    await desk.sql("DELETE FROM subscriptions WHERE endpoint LIKE '%/laptop'")
    await desk.notify("anna")
    assert (desk.reads_of("anna"), desk.pushed_to()) == (reads, ["laptop", "phone"])
    desk.clock.advance(TTL_S)
    await desk.notify("anna")
    assert (desk.reads_of("anna"), desk.pushed_to()) == (reads + 1, ["phone"])


async def test_stale_ones_are_pruned_from_the_cache_without_a_second_read(desk: Bench) -> None:
    await desk.subscribe("anna", "fine")
    await desk.subscribe("anna", "gone")
    await desk.forget("anna")
    desk.server.push_service.answer("gone", 410)
    desk.pushed_to()
    reads = desk.reads_of("anna")
    assert (await desk.notify("anna", "First"))["counts"] == {"accepted": 1, "gone": 1}
    assert desk.pushed_to() == ["fine", "gone"]
    assert await desk.cached_devices("anna") == 1
    assert (await desk.notify("anna", "Second"))["counts"] == {"accepted": 1}
    assert desk.pushed_to() == ["fine"]
    assert desk.reads_of("anna") == reads + 1


async def test_the_noop_dispatcher_sends_nothing_and_says_why(tmp_path: Path) -> None:
    async with bench(tmp_path) as desk:
        await desk.subscribe("anna", "phone")
    async with bench(tmp_path, experiments=frozenset()) as desk:
        answer = await desk.try_to_notify("anna")
        problem = assert_problem(answer, 503, "push_disabled")
        assert "switched off" in problem["detail"]
        assert "web-push" in problem["hint"]
        tested = await desk.server.admin("POST", "/api/v1/admin/test", {"user": "anna"})
        assert assert_problem(tested, 503, "push_disabled")["detail"] == problem["detail"]
        for attempt in (desk.server.engine.notify("anna", Notification("Hello")), desk.server.engine.test("anna")):
            with pytest.raises(PushdeskError) as refused:
                await attempt
            assert (refused.value.code, refused.value.detail) == ("push_disabled", problem["detail"])
        with pytest.raises(PushdeskError) as keyless:
            desk.server.engine.public_key()
        assert keyless.value.code == "push_disabled"
        assert desk.pushed_to() == []
        assert (await desk.server.admin("GET", "/api/v1/admin/dispatches?filter=notification")).json["items"] == []
        assert await desk.states("anna") == ["active"]


async def test_loopback_endpoints_are_refused_by_test_and_by_dispatch_unless_allowed(tmp_path: Path) -> None:
    async with bench(tmp_path, is_allowed=False) as desk:
        device = desk.server.push_service.device("phone")
        assert_problem(await desk.try_to_subscribe("anna", device), 400, "endpoint_refused", "endpoint")
        assert await desk.server.is_empty()
        # As one that was subscribed while it was allowed.
        await desk.store_unchecked("anna", "phone", device)
        (tested,) = (await desk.ask("POST", "anna", "test", {})).json["deliveries"]
        (notified,) = (await desk.notify("anna"))["deliveries"]
        for delivery in (tested, notified):
            assert (delivery["outcome"], delivery["status"]) == ("refused", None)
            assert "127.0.0.1" not in delivery["reason"]
        assert desk.pushed_to() == []
        assert await desk.states("anna") == ["active"]
    elsewhere = tmp_path / "allowed"
    elsewhere.mkdir()
    async with bench(elsewhere) as desk:
        device = desk.server.push_service.device("phone")
        await desk.store_unchecked("anna", "phone", device)
        (tested,) = (await desk.ask("POST", "anna", "test", {})).json["deliveries"]
        assert tested["outcome"] == "accepted"
        assert (await desk.notify("anna"))["counts"] == {"accepted": 1}
        assert desk.pushed_to() == ["phone", "phone"]


async def test_subscribe_and_unsubscribe_over_the_api(desk: Bench) -> None:
    device = desk.server.push_service.device("phone")
    subscribed = await desk.try_to_subscribe("anna", device)
    assert (subscribed.status, subscribed.json["test"]) == (201, "accepted")
    assert desk.pushed(device) == ["It's working!"]
    assert await desk.states("anna") == ["active"]
    endpoint = {"endpoint": device.endpoint}
    unsubscribed = await desk.ask("DELETE", "anna", "subscription", endpoint)
    assert (unsubscribed.status, unsubscribed.content) == (204, b"")
    assert await desk.listed("anna") == []
    again = await desk.ask("DELETE", "anna", "subscription", endpoint)
    assert_problem(again, 404, "subscription_not_found")
    assert (await desk.notify("anna"))["deliveries"] == []


async def test_other_peoples_subscriptions_are_refused(desk: Bench) -> None:
    device = await desk.subscribe("anna", "phone")
    token = (await desk.try_to_subscribe("bert", desk.server.push_service.device("laptop"))).json["token"]
    endpoint = {"endpoint": device.endpoint}
    desk.pushed_to()
    # With a token of one's own nobody else may be named, and no other subscription of one's own name.
    for user in ("anna", "bert"):
        for method, action in (("DELETE", "subscription"), ("POST", "test")):
            assert_problem(await desk.ask(method, user, action, endpoint, token=token), 403, "forbidden")
    # And with every right, a subscription is its owner's.
    for method, action in (("DELETE", "subscription"), ("POST", "test")):
        answer = await desk.ask(method, "bert", action, endpoint, token=ADMIN_TOKEN)
        assert_problem(answer, 404, "subscription_not_found")
    stolen = desk.server.push_service.device("phone")
    assert_problem(await desk.try_to_subscribe("bert", stolen), 409, "endpoint_taken")
    assert await desk.states("anna") == ["active"]
    assert desk.pushed_to() == []
    assert (await desk.notify("anna"))["counts"] == {"accepted": 1}


async def test_database_error_on_delete_is_500(desk: Bench) -> None:
    device = await desk.subscribe("anna", "phone")
    await desk.sql("ALTER TABLE subscriptions RENAME TO elsewhere")
    answer = await desk.ask("DELETE", "anna", "subscription", {"endpoint": device.endpoint})
    assert_problem(answer, 500, "database_error")
    await desk.sql("ALTER TABLE elsewhere RENAME TO subscriptions")
    assert await desk.states("anna") == ["active"]
    await desk.unsubscribe("anna", device)


@pytest.mark.parametrize(("experiments", "dev"), [(frozenset(), False), (frozenset(), True), (ON_BY_DEFAULT, False)])
async def test_experiment_off_is_404_and_a_development_build_is_not(
    tmp_path: Path, experiments: frozenset[Experiment], *, dev: bool
) -> None:
    async with bench(tmp_path, experiments=experiments, dev=dev) as desk:
        device = desk.server.push_service.device("phone")
        answers = [
            await desk.server.ask("GET", "/api/v1/vapid"),
            await desk.try_to_subscribe("anna", device),
            await desk.ask("POST", "anna", "test", {}),
            await desk.ask("DELETE", "anna", "subscription", {"endpoint": device.endpoint}),
        ]
        if experiments or dev:
            assert [answer.status for answer in answers] == [200, 201, 200, 204]
        else:
            for answer in answers:
                assert_problem(answer, 404, "not_found")
