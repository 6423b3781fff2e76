"""From an invitation to the pushes of the browser that it let in, with a clock that is handed in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.model import DeviceGrant, PageQuery, PushTest, SubscriptionState
from tests.engine.outbox_bench import ACCESS_URL

if TYPE_CHECKING:
    from pushdesk.engine.engine import Engine
    from pushdesk.model import Enrolled
    from tests.engine.outbox_bench import OutboxBench
    from tests.logs import Log


async def enroll(engine: Engine, user: str = "ada") -> tuple[Enrolled, DeviceGrant]:
    enrolled = await engine.redeem((await engine.invite(user)).code)
    grant = await engine.device_grant(enrolled.token)
    assert grant is not None
    return enrolled, grant


async def refusal(engine: Engine, code: str) -> PushdeskError:
    with pytest.raises(PushdeskError) as refused:
        await engine.redeem(code)
    assert refused.value.code == "forbidden"
    assert "new one" in refused.value.hint
    return refused.value


async def test_an_invitation_makes_its_user_and_says_until_when_it_is_valid(bench: OutboxBench) -> None:
    invitation = await bench.engine.invite("ada", 90)
    assert invitation.url == f"{ACCESS_URL}/enroll#{invitation.code}"
    assert invitation.expires_at == datetime.fromtimestamp(bench.clock.now, UTC) + timedelta(seconds=90)
    assert [user.id for user in (await bench.engine.users(PageQuery())).items] == ["ada"]
    assert (await bench.engine.stats()).users == 1
    assert invitation.code not in repr(invitation)


@pytest.mark.parametrize("expires_s", [-1, 0, 59, 30 * 86400 + 1])
async def test_an_invitation_is_valid_for_a_minute_at_least_and_thirty_days_at_most(
    bench: OutboxBench, expires_s: int
) -> None:
    with pytest.raises(PushdeskError) as refused:
        await bench.engine.invite("ada", expires_s)
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("expires",))
    assert (await bench.engine.users(PageQuery())).items == ()


async def test_a_code_lets_one_browser_in_and_then_says_that_it_did(bench: OutboxBench) -> None:
    code = (await bench.engine.invite("ada")).code
    enrolled = await bench.engine.redeem(f" {code.lower().replace('-', '')} ")
    assert enrolled.user == "ada"
    assert enrolled.token not in repr(enrolled)
    assert await bench.engine.device_grant(enrolled.token) is not None
    assert "used" in (await refusal(bench.engine, code)).detail


async def test_a_code_that_expired_or_is_none_or_was_guessed_is_refused_by_its_reason(
    bench: OutboxBench, log: Log
) -> None:
    code = (await bench.engine.invite("ada", 60)).code
    bench.clock.advance(60)
    assert "expired" in (await refusal(bench.engine, code)).detail
    assert "unknown" in (await refusal(bench.engine, "0000-0000-0000-0000")).detail
    assert "16 letters and digits" in (await refusal(bench.engine, code[:-1])).detail
    told = [(line["fault"], line.get("user")) for line in log.of("invitation_refused")]
    assert told == [("expired", "ada"), ("unknown", None), ("malformed", None)]
    assert code not in log.text


async def test_of_two_who_redeem_at_once_one_is_let_in(bench: OutboxBench) -> None:
    code = (await bench.engine.invite("ada")).code
    results = await asyncio.gather(*(bench.engine.redeem(code) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Enrolled", "PushdeskError"]


async def test_the_token_outlives_the_subscription_and_is_the_one_that_is_told(bench: OutboxBench) -> None:
    engine = bench.engine
    enrolled, grant = await enroll(engine)
    assert (grant.user, grant.subscription) == ("ada", None)
    first = bench.service.device("one")
    made = await engine.subscribe("ada", first.request(), grant)
    assert (made.created, made.test, made.token) == (True, PushTest.ACCEPTED, enrolled.token)
    again = await engine.subscribe("ada", first.request(), grant)
    assert (again.created, again.token) == (False, None)

    await engine.unsubscribe("ada", first.endpoint)
    grant = await engine.device_grant(enrolled.token) or pytest.fail("the token has ended")
    assert grant.subscription is None
    made = await engine.subscribe("ada", bench.service.device("two").request(), grant)
    grant = await engine.device_grant(enrolled.token) or pytest.fail("the token has ended")
    assert (made.token, grant.subscription) == (enrolled.token, made.subscription.id)
    assert enrolled.token not in repr(grant)


async def test_the_token_outlives_a_push_service_that_forgot_the_subscription(bench: OutboxBench) -> None:
    engine = bench.engine
    enrolled, grant = await enroll(engine)
    device = bench.service.device("one")
    await engine.subscribe("ada", device.request(), grant)
    bench.service.answer("one", 410)
    await engine.test("ada")
    (listed,) = (await engine.subscriptions(PageQuery())).items
    assert listed.state is SubscriptionState.GONE
    grant = await engine.device_grant(enrolled.token) or pytest.fail("the token has ended")
    made = await engine.subscribe("ada", bench.service.device("two").request(), grant)
    assert [item.id for item in (await engine.subscriptions(PageQuery())).items] == [made.subscription.id]


async def test_the_token_outlives_a_subscription_that_was_never_to_be(bench: OutboxBench) -> None:
    enrolled, grant = await enroll(bench.engine)
    bench.service.answer("one", 410)
    with pytest.raises(PushdeskError) as refused:
        await bench.engine.subscribe("ada", bench.service.device("one").request(), grant)
    assert refused.value.code == "subscription_gone"
    assert await bench.engine.device_grant(enrolled.token) == grant
    assert [user.id for user in (await bench.engine.users(PageQuery())).items] == ["ada"]


async def test_another_subscription_takes_the_place_of_the_one_that_there_was(bench: OutboxBench) -> None:
    _, grant = await enroll(bench.engine)
    await bench.engine.subscribe("ada", bench.service.device("one").request(), grant)
    made = await bench.engine.subscribe("ada", bench.service.device("two").request(), grant)
    assert made.test is PushTest.ACCEPTED
    assert [item.id for item in (await bench.engine.subscriptions(PageQuery())).items] == [made.subscription.id]


async def test_no_token_of_a_subscription_is_one_of_an_invited_browsers(bench: OutboxBench) -> None:
    device = bench.service.device("one")
    own = (await bench.engine.subscribe("ada", device.request())).token
    assert own is not None
    assert await bench.engine.device_grant(own) is not None
    enrolled, grant = await enroll(bench.engine, "bo")
    taken = await bench.engine.subscribe("bo", device.request(), grant)
    assert (taken.created, taken.subscription.user) == (False, "bo")
    assert await bench.engine.device_grant(own) is None
    assert await bench.engine.device_grant(enrolled.token) is not None
    secret = enrolled.token.rpartition("_")[2]
    assert await bench.engine.device_grant(f"pdd_{taken.subscription.id}_{secret}") is None
    assert await bench.engine.device_grant(enrolled.token[:-1] + "x") is None


async def test_who_is_let_in_is_logged_and_no_code_and_no_token(bench: OutboxBench, log: Log) -> None:
    invitation = await bench.engine.invite("ada", 3600)
    enrolled = await bench.engine.redeem(invitation.code)
    made, redeemed = log.of("invitation_made", "invitation_redeemed")
    assert (made["user"], made["valid_s"]) == ("ada", 3600)
    assert (redeemed["user"], redeemed["enrollment"]) == ("ada", enrolled.token.split("_")[1])
    for secret in (invitation.code, invitation.code.replace("-", ""), enrolled.token.split("_")[2]):
        assert secret not in log.text
        assert secret.encode() not in bench.file.read_bytes()
