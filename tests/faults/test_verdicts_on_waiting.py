"""Why somebody waits for something, or waited in vain, asked of a real server after a fault that the simulator made."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from msgspec import structs

from pushdesk.measures import commands
from pushdesk.model import Measure, Notification, Outcome, Remedy, Service, SubscriptionState, VerdictCode
from pushdesk.simulator.browser import VirtualBrowser
from pushdesk.webpush import services
from tests.faults.test_verdicts import HELLO, WITHIN_S, Scene, said, subscribed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pushdesk.model import Dispatch, Verdict

MANY: Final = 20
"""Requests that break a lane if half of them fail."""


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with subscribed(tmp_path) as made:
        yield made


@asynccontextmanager
async def more_devices(scene: Scene, number: int) -> AsyncIterator[None]:
    """Have ada subscribe so many more browsers."""
    async with AsyncExitStack() as stack:
        for _ in range(number):
            browser = await stack.enter_async_context(VirtualBrowser(scene.simulator.url, user="ada"))
            await browser.subscribe(scene.server.url)
        yield


async def until(scene: Scene, is_so: Callable[[Verdict], bool], **asked: str) -> Verdict:
    """Return the verdict once it is so."""
    async with asyncio.timeout(WITHIN_S):
        async for _ in scene.desk.events():
            verdict = await scene.desk.explain(**(asked or {"user": "ada"}))
            if is_so(verdict):
                return verdict
    raise AssertionError


async def done(scene: Scene, dispatch: Dispatch) -> dict[Outcome, int]:
    """Wait until nothing is left to do for a dispatch."""
    async with asyncio.timeout(WITHIN_S):
        async for _ in scene.desk.events():
            counts = (await scene.desk.dispatch(dispatch.id)).counts
            if counts and all(outcome.is_settled for outcome in counts):
                return counts
    raise AssertionError


async def test_what_waits_behind_a_paused_service_says_who_paused_it_since_when_and_what_helps(scene: Scene) -> None:
    paused = await scene.desk.pause_service(Service.OTHER)
    await scene.notify(wait_s=0)
    verdict = await until(scene, lambda verdict: Measure.RESUME in verdict.measures)
    await scene.why(VerdictCode.WAITING, Remedy.WAIT)
    assert "is paused by an operator" in verdict.says
    assert (verdict.until, verdict.measures) == (None, (Measure.RESUME,))
    assert commands(verdict) == ["pushdesk services resume other"]
    since = said(verdict)["The push service is paused: An operator paused it."]
    assert since is not None
    assert paused.since is not None
    assert abs(since - paused.since) <= timedelta(seconds=1)
    await scene.desk.resume_service(Service.OTHER)
    await until(scene, lambda verdict: verdict.code is VerdictCode.ACCEPTED)


async def test_what_expires_behind_a_paused_service_says_that_it_was_paused(scene: Scene) -> None:
    await scene.desk.pause_service(Service.OTHER)
    dispatch = await scene.desk.notify("ada", structs.replace(HELLO, ttl=1))
    assert await done(scene, dispatch) == {Outcome.EXPIRED: 1}
    (delivery,) = (await scene.desk.dispatch(dispatch.id)).deliveries
    verdict = await scene.why(VerdictCode.EXPIRED, Remedy.SEND_AGAIN, delivery)
    assert "while its push service was paused by an operator" in verdict.says
    assert any(text.endswith("Last: Its push service was paused.") for text in said(verdict))
    assert verdict.since == delivery.at


async def test_a_service_that_throttles_several_devices_is_told_as_such(scene: Scene) -> None:
    async with more_devices(scene, 2):
        await scene.notify(wait_s=0, status=429, headers={"Retry-After": "600"}, body="slow down")
        verdict = await until(scene, lambda verdict: Measure.RESET in verdict.measures and len(verdict.devices) == 3)
        assert (verdict.code, verdict.remedy) == (VerdictCode.THROTTLED, Remedy.WAIT)
        assert "gets too much from this server" in verdict.says
        assert verdict.until is not None
        assert verdict.until > datetime.now(UTC) + timedelta(seconds=500)
        assert commands(verdict) == ["pushdesk services reset other"]
        (lane,) = [text for text in said(verdict) if text.startswith("The push service is throttled: 3 subscriptions")]
        assert "slow down" in lane


async def test_a_device_that_was_throttled_is_left_alone_by_what_comes_next(scene: Scene) -> None:
    await scene.notify(wait_s=0, status=429, headers={"Retry-After": "600"})
    await scene.tried()
    await scene.control("DELETE", "answers")
    dispatch = await scene.desk.notify("ada", Notification("And this"))
    await until(scene, lambda verdict: verdict.dispatch == dispatch.id and verdict.delivery is not None)
    verdict = await scene.why(VerdictCode.THROTTLED, Remedy.WAIT)
    assert "after another push to it" in verdict.says
    assert verdict.until is not None
    assert verdict.until > datetime.now(UTC) + timedelta(seconds=500)


async def test_a_service_that_fails_is_told_as_broken(scene: Scene) -> None:
    await scene.control("POST", "answers", {"count": 1000, "status": 500})
    for number in range(MANY):
        await scene.desk.notify("ada", Notification(f"Hello {number}"))
    verdict = await until(scene, lambda verdict: Measure.RESET in verdict.measures)
    assert (verdict.code, verdict.remedy) == (VerdictCode.TRANSIENT, Remedy.WAIT)
    assert "has a fault, or cannot be reached" in verdict.says
    assert any(text.startswith("The push service is broken: ") for text in said(verdict))
    await scene.control("DELETE", "answers")
    await scene.desk.reset_service(Service.OTHER)
    await scene.desk.notify("ada", HELLO)
    await until(scene, lambda verdict: verdict.code is VerdictCode.ACCEPTED)


async def test_a_key_that_a_service_refuses_is_told_by_what_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(services._HOSTS, "127.0.0.1", Service.APPLE)
    async with subscribed(tmp_path) as scene, more_devices(scene, 2):
        await scene.notify(status=403, body='{"reason": "BadVapidPublicKey"}')
        await scene.control("DELETE", "answers")
        await scene.desk.notify("ada", Notification("And this"))
        verdict = await until(scene, lambda verdict: Measure.RESET in verdict.measures)
        assert (verdict.code, verdict.remedy) == (VerdictCode.OUR_CONFIGURATION, Remedy.SEE_KEYS)
        assert "Apple's push service refuses what this server signs with the key of this device" in verdict.says
        assert verdict.until is not None
        assert any("The key is stopped: " in text and "BadVapidPublicKey" in text for text in said(verdict))
        await scene.desk.reset_service(Service.APPLE)
        await until(scene, lambda verdict: verdict.code is VerdictCode.ACCEPTED)


async def test_what_is_held_says_why_and_who_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushdesk.engine.brake.FEWEST", 1)
    monkeypatch.setattr("pushdesk.engine.brake.SHARE", 0.0)
    async with subscribed(tmp_path) as scene, more_devices(scene, 1):
        await scene.notify(status=410)
        verdict = await scene.desk.explain(user="ada")
        assert (verdict.code, verdict.remedy) == (VerdictCode.HELD, Remedy.SEE_KEYS)
        assert commands(verdict) == ["pushdesk services release other", "pushdesk services confirm other"]
        held = next(each for each in verdict.devices if each.code is VerdictCode.HELD)
        assert any(text.startswith("The brake is on: 2 subscriptions ended") for text in said(held))
        await scene.desk.release_brake(Service.OTHER, confirm="release")
        told = await scene.desk.explain(delivery=held.delivery or "")
        assert (told.code, told.remedy, told.measures) == (VerdictCode.HELD, Remedy.SEND_AGAIN, ())


async def test_what_is_gone_can_be_restored_for_as_long_as_it_is_kept(scene: Scene) -> None:
    delivery = await scene.notify(status=410)
    assert delivery is not None
    verdict = await scene.why(VerdictCode.GONE, Remedy.INVITE, delivery)
    assert commands(verdict) == [f"pushdesk subscriptions restore {delivery.subscription}"]
    until_ = said(verdict)["The subscription can be restored until it is removed."]
    assert until_ is not None
    assert abs(until_ - delivery.at - timedelta(days=30)) < timedelta(seconds=WITHIN_S)
    await scene.control("DELETE", "answers")
    await scene.desk.restore_subscriptions([delivery.subscription])
    assert (await scene.device()).state is SubscriptionState.ACTIVE
    await scene.notify()
    assert (await scene.why(VerdictCode.ACCEPTED, Remedy.TEST)).measures == ()


async def test_what_is_superseded_says_by_what(scene: Scene) -> None:
    first = structs.replace(HELLO, topic="mail")
    await scene.notify(first, wait_s=0, status=503)
    older = await scene.tried()
    await scene.control("DELETE", "answers")
    newer = await scene.desk.notify("ada", structs.replace(first, title="Two mails"), wait_s=10)
    told = await scene.desk.explain(delivery=older.id)
    assert (told.code, told.remedy) == (VerdictCode.SUPERSEDED, Remedy.NONE)
    what = f"The notification “Two mails” ({newer.id}) took its place, of the topic “mail”; that is accepted."
    assert said(told)[what] == newer.accepted_at


async def test_what_is_scheduled_can_be_cancelled_and_is_then_told_as_that(scene: Scene) -> None:
    due_at = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    await scene.notify(structs.replace(HELLO, send_at=due_at), wait_s=0)
    verdict = await scene.desk.explain(user="ada")
    assert (verdict.code, verdict.until, verdict.measures) == (VerdictCode.SCHEDULED, due_at, (Measure.CANCEL,))
    assert commands(verdict) == [f"pushdesk cancel {verdict.dispatch}"]
    await scene.desk.cancel(verdict.dispatch or "")
    verdict = await scene.desk.explain(user="ada")
    assert (verdict.code, verdict.remedy) == (VerdictCode.CANCELLED, Remedy.SEND_AGAIN)
    assert verdict.says == "Somebody cancelled it before it was sent."
    since = said(verdict)["It was due, or cancelled before that."]
    assert since is not None
    assert since < due_at


async def test_what_was_for_later_and_is_cancelled_hides_nothing_that_is_sent_before(scene: Scene) -> None:
    due_at = datetime.now(UTC) + timedelta(hours=1)
    later = structs.replace(HELLO, send_at=due_at)
    for dispatch in (await scene.desk.notify("ada", later), await scene.desk.broadcast(later)):
        await scene.desk.cancel(dispatch.id)
    await scene.notify()
    await scene.why(VerdictCode.ACCEPTED, Remedy.TEST)


async def test_what_waited_and_was_cancelled_says_that_somebody_did(scene: Scene) -> None:
    await scene.notify(wait_s=0, status=503)
    delivery = await scene.tried()
    await scene.desk.cancel(delivery.dispatch)
    verdict = await scene.why(VerdictCode.CANCELLED, Remedy.SEND_AGAIN)
    assert verdict.says == "Somebody cancelled it before it was sent."


async def test_a_broadcast_that_was_taken_is_told_as_far_as_is_known(scene: Scene) -> None:
    dispatch = await scene.desk.broadcast(Notification("To all"))
    assert (await scene.browser.wait_for_message("To all")).title == "To all"
    verdict = await until(scene, lambda verdict: verdict.code is VerdictCode.ACCEPTED and "broadcast" in verdict.says)
    assert (verdict.dispatch, verdict.delivery) == (dispatch.id, None)
    assert said(verdict)["The broadcast “To all” was accepted here."] == dispatch.accepted_at
    await scene.notify()
    assert (await scene.why(VerdictCode.ACCEPTED, Remedy.TEST)).dispatch != dispatch.id
    async with VirtualBrowser(scene.simulator.url, user="bob") as later:
        await later.subscribe(scene.server.url)
        verdict = await scene.desk.explain(user="bob")
    assert verdict.code is VerdictCode.ACCEPTED
    assert "The broadcast “To all” was accepted before that: it is not for this device." in said(verdict)


async def test_a_broadcast_behind_a_paused_service_and_one_that_is_paused_say_what_to_resume(scene: Scene) -> None:
    await scene.desk.pause_service(Service.OTHER)
    dispatch = await scene.desk.broadcast(Notification("To all"))
    verdict = await until(scene, lambda verdict: verdict.dispatch == dispatch.id)
    assert commands(verdict) == ["pushdesk services resume other"]
    await scene.desk.pause_broadcast(dispatch.id)
    verdict = await until(scene, lambda verdict: "somebody has paused" in verdict.says)
    assert (verdict.code, commands(verdict)) == (VerdictCode.WAITING, [f"pushdesk broadcasts resume {dispatch.id}"])
    await scene.desk.resume_service(Service.OTHER)
    assert (await scene.desk.explain(user="ada")).measures == (Measure.RESUME,)
    await scene.desk.abort_broadcast(dispatch.id)
    verdict = await until(scene, lambda verdict: verdict.code is VerdictCode.CANCELLED)
    assert "was aborted before it got to this device" in verdict.says


async def test_what_of_a_broadcast_is_tried_again_waits_while_it_is_paused(scene: Scene) -> None:
    await scene.control("POST", "answers", {"count": 1000, "status": 503})
    dispatch = await scene.desk.broadcast(Notification("To all"))
    delivery = await scene.tried()
    assert delivery.dispatch == dispatch.id
    await scene.desk.pause_broadcast(dispatch.id)
    for asked in ({"user": "ada"}, {"delivery": delivery.id}):
        verdict = await scene.desk.explain(**asked)
        assert (verdict.code, verdict.measures) == (VerdictCode.WAITING, (Measure.RESUME,))
        assert commands(verdict) == [f"pushdesk broadcasts resume {dispatch.id}"]
