"""Why somebody did not get something, asked of a real server after a fault that the simulator made."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from pushdesk.client import HttpDesk
from pushdesk.desk import SubscriptionRemoved
from pushdesk.model import Notification, Outcome, PageQuery, Remedy, Service, SubscriptionState, VerdictCode
from pushdesk.simulator.browser import VirtualBrowser
from pushdesk.simulator.service import Simulator
from pushdesk.webpush import services
from tests.server.running import ADMIN_TOKEN, Surroundings, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.model import Delivery, Subscription, Verdict
    from tests.server.running import Running

HELLO: Final = Notification("Hello")
WAIT_S: Final = 10.0
WITHIN_S: Final = 20.0


@dataclass(frozen=True)
class Scene:
    """A server, a push service that does what it is told, and ada's browser, which is subscribed."""

    server: Running
    desk: HttpDesk
    simulator: Simulator
    browser: VirtualBrowser

    async def control(self, method: str, path: str, body: object = None) -> None:
        """Tell the simulator to do something."""
        url = f"{self.simulator.url}/_control/{path}"
        async with self.server.session.request(method, url, json=body) as answer:
            assert answer.status < 300, await answer.text()

    async def notify(
        self, notification: Notification = HELLO, *, wait_s: float = WAIT_S, **answer: object
    ) -> Delivery | None:
        """Have ada notified; with an answer, the push service gives it to whatever it is asked."""
        if answer:
            await self.control("POST", "answers", {"count": 1000, **answer})
        dispatch = await self.desk.notify("ada", notification, wait_s=wait_s)
        return dispatch.deliveries[0] if dispatch.deliveries else None

    async def why(self, code: VerdictCode, remedy: Remedy, delivery: Delivery | None = None) -> Verdict:
        """Return the verdict on ada, which is that on her device and on what it was sent."""
        verdict = await self.desk.explain(user="ada")
        told = [verdict, *verdict.devices]
        assert len(verdict.devices) == 1
        told.append(await self.desk.explain(subscription=verdict.devices[0].subscription or ""))
        if delivery is not None:
            told.append(await self.desk.explain(delivery=delivery.id))
            assert {each.delivery for each in told} == {delivery.id}
        assert {(each.code, each.remedy) for each in told} == {(code, remedy)}
        assert verdict.about == "ada"
        assert {each.about for each in told[1:]} == {"Firefox · Linux"}
        return verdict

    async def device(self) -> Subscription:
        """Return ada's device."""
        (found,) = (await self.desk.subscriptions(PageQuery())).items
        return found

    async def tried(self) -> Delivery:
        """Return ada's latest delivery once it was tried and waits to be tried again."""
        async with asyncio.timeout(WITHIN_S):
            async for _ in self.desk.events():
                verdict = await self.desk.explain(user="ada")
                if verdict.code in {VerdictCode.THROTTLED, VerdictCode.TRANSIENT} and verdict.delivery is not None:
                    return (await self.desk.delivery(verdict.delivery)).delivery
        raise AssertionError


def said(verdict: Verdict) -> dict[str, datetime | None]:
    """Return the evidence."""
    return {fact.text: fact.time for fact in verdict.evidence}


@asynccontextmanager
async def subscribed(data_dir: Path) -> AsyncIterator[Scene]:
    async with (
        asyncio.timeout(60),
        Simulator() as simulator,
        running(data_dir, surroundings=Surroundings(also_allowed=(simulator.origin,))) as server,
        HttpDesk(server.url, ADMIN_TOKEN) as desk,
        VirtualBrowser(simulator.url, user="ada") as browser,
    ):
        await browser.subscribe(server.url)
        yield Scene(server, desk, simulator, browser)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with subscribed(tmp_path) as made:
        yield made


async def test_accepted_and_shown_is_told_as_accepted_and_where_to_look(scene: Scene) -> None:
    before = datetime.now(UTC)
    delivery = await scene.notify()
    assert (await scene.browser.wait_for_message("Hello")).title == "Hello"
    verdict = await scene.why(VerdictCode.ACCEPTED, Remedy.TEST, delivery)
    assert "Whether the browser has shown it, no push service tells." in verdict.says
    assert verdict.advice.startswith("On Linux, ")
    assert "Answered 201." in said(verdict)
    assert verdict.since is not None
    assert abs(verdict.since - before) < timedelta(seconds=WITHIN_S)


async def test_gone_says_since_when_and_on_which_answer(scene: Scene) -> None:
    (channel,) = scene.simulator.registry.channels
    await scene.control("DELETE", f"subscriptions/{channel.id}")
    delivery = await scene.notify()
    assert delivery is not None
    verdict = await scene.why(VerdictCode.GONE, Remedy.INVITE, delivery)
    assert verdict.since == delivery.at
    (answer,) = [text for text in said(verdict) if text.startswith("Answered 410: ")]
    assert "This subscription has ended" in answer
    # What is sent after that goes to nobody, and what was the matter is still told.
    assert await scene.notify() is None
    assert (await scene.why(VerdictCode.GONE, Remedy.INVITE, delivery)).since == delivery.at


async def test_a_device_that_came_back_is_to_be_sent_it_again(scene: Scene) -> None:
    delivery = await scene.notify(status=410)
    assert delivery is not None
    await scene.control("DELETE", "answers")
    await scene.browser.subscribe(scene.server.url)
    told = await scene.desk.explain(delivery=delivery.id)
    assert (told.code, told.remedy) == (VerdictCode.GONE, Remedy.SEND_AGAIN)
    # It was tried out, as whoever subscribes.
    assert (await scene.desk.explain(user="ada")).code is VerdictCode.ACCEPTED


async def test_a_subscription_of_another_key_is_told_as_such(scene: Scene) -> None:
    body = '{"code": 401, "errno": 109, "message": "VAPID public key mismatch"}'
    delivery = await scene.notify(status=401, body=body)
    verdict = await scene.why(VerdictCode.KEY_MISMATCH, Remedy.INVITE, delivery)
    assert any("VAPID public key mismatch" in text for text in said(verdict))


@pytest.mark.parametrize(
    ("reason", "part", "remedy"),
    [
        ("BadJwtToken", "Set subscriber in [push]", Remedy.CONFIGURE),
        ("BadVapidPublicKey", "See the keys", Remedy.SEE_KEYS),
    ],
)
async def test_what_our_configuration_is_refused_for_is_no_fault_of_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, part: str, remedy: Remedy
) -> None:
    monkeypatch.setitem(services._HOSTS, "127.0.0.1", Service.APPLE)
    async with subscribed(tmp_path) as scene:
        delivery = await scene.notify(status=403, body=f'{{"reason": "{reason}"}}')
        verdict = await scene.why(VerdictCode.OUR_CONFIGURATION, remedy, delivery)
        assert verdict.says.startswith("Apple's push service refused how this server identifies itself.")
        assert part in verdict.advice
        assert f"Answered 403: {reason}" in said(verdict)


async def test_throttled_says_until_when(scene: Scene) -> None:
    await scene.notify(wait_s=0, status=429, headers={"Retry-After": "600"}, body="slow down")
    delivery = await scene.tried()
    verdict = await scene.why(VerdictCode.THROTTLED, Remedy.WAIT, delivery)
    assert verdict.until == delivery.next_attempt_at
    assert verdict.until is not None
    assert verdict.until - delivery.at >= timedelta(seconds=599)
    assert said(verdict)["Answered 429: slow down"] == delivery.at


async def test_a_fault_of_the_push_service_is_waited_for(scene: Scene) -> None:
    await scene.notify(wait_s=0, status=503)
    verdict = await scene.why(VerdictCode.TRANSIENT, Remedy.WAIT, await scene.tried())
    assert "Answered 503." in said(verdict)


async def test_what_is_asked_to_wait_beyond_its_time_has_its_last_chance_before_its_end(scene: Scene) -> None:
    await scene.notify(Notification("Hello", ttl=60), wait_s=0, status=503, headers={"Retry-After": "3600"})
    delivery = await scene.tried()
    verdict = await scene.why(VerdictCode.THROTTLED, Remedy.WAIT, delivery)
    assert any("It asks to wait for longer than this is kept" in text for text in said(verdict))
    ends = said(verdict)["Its time to live of 1 min ends."]
    assert ends is not None
    assert verdict.until == delivery.next_attempt_at
    assert verdict.until is not None
    assert verdict.until < ends


async def test_what_a_service_did_not_take_within_its_time_has_expired(scene: Scene) -> None:
    delivery = await scene.notify(Notification("Hello", ttl=3), status=503, headers={"Retry-After": "3600"})
    assert delivery is not None
    verdict = await scene.why(VerdictCode.EXPIRED, Remedy.SEND_AGAIN, delivery)
    assert verdict.since == delivery.at
    assert "before a push service took it" in verdict.says
    assert any(text.startswith("Answered 503: Its TTL ends before it could be tried again.") for text in said(verdict))


async def test_what_is_too_large_for_the_service_is_refused(scene: Scene) -> None:
    delivery = await scene.notify(status=413)
    verdict = await scene.why(VerdictCode.REFUSED, Remedy.SEND_AGAIN, delivery)
    assert "less text" in verdict.advice
    assert "Answered 413." in said(verdict)


async def test_whoever_unsubscribed_has_no_subscription_any_more_and_may_be_invited(scene: Scene) -> None:
    delivery = await scene.notify()
    assert delivery is not None
    await scene.browser.unsubscribe()
    verdict = await scene.desk.explain(user="ada")
    assert (verdict.code, verdict.remedy, verdict.devices) == (VerdictCode.NO_SUBSCRIPTION, Remedy.INVITE, ())
    assert "any more" in verdict.says
    assert said(verdict)["Firefox · Linux, which is not theirs any more: Answered 201."] == delivery.at
    invitation = await scene.desk.invite("ada")
    verdict = await scene.desk.explain(user="ada")
    assert "An invitation is open" in verdict.advice
    ends = said(verdict)["An invitation that nobody has used ends."]
    assert ends is not None
    assert abs(ends - invitation.expires_at) < timedelta(seconds=1)
    # What was taken then was taken, and there is nobody to try it out on.
    told = await scene.desk.explain(delivery=delivery.id)
    assert (told.code, told.remedy) == (VerdictCode.ACCEPTED, Remedy.INVITE)


async def test_who_is_not_known_is_told_so(scene: Scene) -> None:
    verdict = await scene.desk.explain(user="Ada")
    assert (verdict.code, verdict.remedy) == (VerdictCode.UNKNOWN_USER, Remedy.INVITE)


async def test_where_push_is_switched_off_nothing_else_is_told(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as scene:
        await scene.notify()
    async with running(tmp_path, experiments=frozenset()) as server, HttpDesk(server.url, ADMIN_TOKEN) as desk:
        for user in ("ada", "nobody"):
            verdict = await desk.explain(user=user)
            assert (verdict.code, verdict.remedy) == (VerdictCode.PUSH_DISABLED, Remedy.CONFIGURE)


async def test_a_retired_key_is_what_keeps_its_devices_from_getting_anything(scene: Scene) -> None:
    old = (await scene.device()).key_id
    await scene.desk.rotate_key(confirm="rotate")
    await scene.desk.retire_key(old, confirm="retire")
    verdict = await scene.why(VerdictCode.KEY_ENDED, Remedy.SEE_KEYS)
    assert f"Its key is {old}, which is retired." in said(verdict.devices[0])
    await scene.desk.roll_back_key(old, confirm="rollback")
    async with asyncio.timeout(WITHIN_S):
        async for _ in scene.desk.events():
            if (await scene.device()).state is SubscriptionState.ACTIVE:
                break
    await scene.why(VerdictCode.ACCEPTED, Remedy.TEST)


async def test_a_revoked_key_is_told_as_what_took_the_devices(scene: Scene) -> None:
    await scene.notify()
    async with asyncio.timeout(WITHIN_S):
        is_following = False
        async for batch in scene.desk.events():
            if not is_following:
                is_following = True
                await scene.desk.revoke_keys(confirm="revoke")
            if any(isinstance(event, SubscriptionRemoved) for event in batch):
                break
    verdict = await scene.desk.explain(user="ada")
    assert (verdict.code, verdict.remedy) == (VerdictCode.NO_SUBSCRIPTION, Remedy.INVITE)
    assert said(verdict)["The keys were revoked: devices that had subscribed with them were removed."] is not None


async def test_what_is_to_be_sent_later_says_when(scene: Scene) -> None:
    due_at = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    await scene.notify(Notification("Later", send_at=due_at), wait_s=0)
    verdict = await scene.desk.explain(user="ada")
    assert (verdict.code, verdict.remedy, verdict.until) == (VerdictCode.SCHEDULED, Remedy.WAIT, due_at)
    # What was sent before is told of each device.
    assert [device.code for device in verdict.devices] == [VerdictCode.ACCEPTED]


async def test_one_of_two_devices_took_it(scene: Scene) -> None:
    phone = VirtualBrowser(scene.simulator.url, user="ada", user_agent="(Linux; Android 10) Chrome/156.0.0.0")
    async with phone:
        await phone.subscribe(scene.server.url)
        channel = scene.simulator.registry.channels[1]
        await scene.control("POST", "answers", {"status": 400, "body": "what?", "subscription": channel.id})
        dispatch = await scene.desk.notify("ada", HELLO, wait_s=WAIT_S)
        assert dispatch.counts == {Outcome.ACCEPTED: 1, Outcome.REFUSED: 1}
        verdict = await scene.desk.explain(user="ada")
    assert verdict.code is VerdictCode.REFUSED
    assert verdict.says.startswith("It was taken for 1 of 2 devices. Chrome · Android: The push service refused")
    assert {"Chrome · Android: Answered 400: what?", "Firefox · Linux: Answered 201."} <= set(said(verdict))
    assert {device.code for device in verdict.devices} == {VerdictCode.REFUSED, VerdictCode.ACCEPTED}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", ["user", "subscription", "delivery"]),
        ("?user=", ["user", "subscription", "delivery"]),
        ("?user=ada&delivery=1", ["user", "delivery"]),
        ("?user=ada&subscription=1&delivery=1", ["user", "subscription", "delivery"]),
        ("?user=a%2Fb", ["user"]),
        (f"?delivery={'x' * 129}", ["delivery"]),
    ],
)
async def test_exactly_one_of_three_is_asked_about(scene: Scene, query: str, fields: list[str]) -> None:
    answer = await scene.server.admin("GET", f"/api/v1/admin/verdict{query}")
    assert (answer.status, answer.json["code"], answer.json["fields"]) == (400, "bad_field", fields)


@pytest.mark.parametrize("query", ["subscription=x", "delivery=x"])
async def test_what_is_not_there_is_not_found(scene: Scene, query: str) -> None:
    answer = await scene.server.admin("GET", f"/api/v1/admin/verdict?{query}")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
