"""Every fault against the server's own transport, over a socket: what it makes of it, and what it costs."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from pushdesk.errors import PushdeskError
from pushdesk.model import Outcome
from pushdesk.simulator.fault_text import parse_fault
from pushdesk.simulator.faults import MOST_FAULTS
from pushdesk.simulator.misbehaviour import give_badly
from pushdesk.simulator.registry import PushState
from pushdesk.simulator.service import Simulator
from pushdesk.simulator.service_answers import Answer
from pushdesk.webpush.services import MAX_RETRY_AFTER_S, FaultKind
from pushdesk.webpush.transport import MAX_ANSWER_BODY
from tests.simulator.sending import SHORT_S, sending, subscribed
from tests.simulator.test_control import Control

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.sending import Sender
    from tests.simulator.wire import Clock


@pytest.fixture
async def sender(simulator: Simulator, session: aiohttp.ClientSession, clock: Clock) -> AsyncIterator[Sender]:
    async with sending(simulator, session, clock) as sender:
        yield sender


@pytest.fixture
async def impatient(simulator: Simulator, session: aiohttp.ClientSession, clock: Clock) -> AsyncIterator[Sender]:
    async with sending(simulator, session, clock, total_timeout_s=SHORT_S) as sender:
        yield sender


@pytest.fixture
async def endpoint(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, impatient: Sender
) -> AsyncIterator[str]:
    impatient.application = sender.application
    async with subscribed(simulator, session, sender.application.public_key) as endpoint:
        yield endpoint


@pytest.mark.parametrize(
    ("fault", "outcome", "retry_after_s"),
    [
        ("201", Outcome.ACCEPTED, None),
        ("301:location=http://127.0.0.1:1/", Outcome.REFUSED, None),
        ("302", Outcome.REFUSED, None),
        ("307:location=https://fcm.googleapis.com/", Outcome.REFUSED, None),
        ("400", Outcome.REFUSED, None),
        ("401", Outcome.REFUSED, None),
        ("403", Outcome.REFUSED, None),
        ("404", Outcome.GONE, None),
        ("408", Outcome.TRANSIENT, None),
        ("410", Outcome.GONE, None),
        ("413", Outcome.REFUSED, None),
        ("429", Outcome.THROTTLED, None),
        ("429:retry-after=30", Outcome.THROTTLED, 30.0),
        ("429:retry-after=date", Outcome.THROTTLED, 30.0),
        ("429:retry-after=garbage", Outcome.THROTTLED, None),
        ("429:retry-after=huge", Outcome.THROTTLED, MAX_RETRY_AFTER_S),
        ("429:retry-after=negative", Outcome.THROTTLED, None),
        ("500", Outcome.TRANSIENT, None),
        ("503", Outcome.TRANSIENT, None),
        ("503:retry-after=5", Outcome.THROTTLED, 5.0),
        ("599", Outcome.TRANSIENT, None),
        ("key-mismatch", Outcome.KEY_MISMATCH, None),
    ],
)
async def test_a_status_is_answered_and_nothing_is_delivered(
    simulator: Simulator, sender: Sender, endpoint: str, fault: str, outcome: Outcome, retry_after_s: float | None
) -> None:
    simulator.set_faults([fault])
    sent = await sender.send(endpoint)
    (push,) = simulator.registry.pushes

    assert (sent.verdict.outcome, sent.verdict.retry_after_s) == (outcome, retry_after_s)
    assert sent.answer is not None
    assert push.status == sent.answer.status
    assert push.state in {PushState.ANSWERED, PushState.REFUSED}
    assert push.reason.startswith(f"fault: {fault}")


async def test_a_redirect_says_where_to(simulator: Simulator, sender: Sender, endpoint: str) -> None:
    simulator.set_faults(["308:location=http://169.254.169.254/latest/"])
    sent = await sender.send(endpoint)

    assert sent.answer is not None
    assert sent.answer.headers["location"] == "http://169.254.169.254/latest/"


@pytest.mark.parametrize(
    ("fault", "kind", "state"),
    [
        ("silence", FaultKind.TIMEOUT, PushState.UNANSWERED),
        ("delay:seconds=60", FaultKind.TIMEOUT, PushState.UNANSWERED),
        ("slow-head:seconds=0.01", FaultKind.TIMEOUT, PushState.UNANSWERED),
        ("endless-103", FaultKind.TIMEOUT, PushState.UNANSWERED),
    ],
)
async def test_what_never_comes_to_an_answer_is_given_up_and_was_not_delivered(
    simulator: Simulator, impatient: Sender, endpoint: str, fault: str, kind: FaultKind, state: PushState
) -> None:
    simulator.set_faults([fault])
    sent = await impatient.send(endpoint)
    (push,) = simulator.registry.pushes

    assert (sent.fault, sent.verdict.outcome) == (kind, Outcome.TRANSIENT)
    assert (push.status, push.state, push.reason) == (None, state, f"fault: {fault}")


async def test_a_connection_that_is_reset_before_the_push_is_read_has_delivered_nothing(
    simulator: Simulator, sender: Sender, endpoint: str
) -> None:
    simulator.set_faults(["reset"])
    sent = await sender.send(endpoint, b"x" * 4000)
    (push,) = simulator.registry.pushes

    assert (sent.fault, sent.verdict.outcome) == (FaultKind.RESET, Outcome.TRANSIENT)
    assert (push.status, push.state, push.size) == (None, PushState.UNANSWERED, 0)


async def test_a_connection_that_is_reset_instead_of_an_answer_has_delivered_the_push(
    simulator: Simulator, sender: Sender, endpoint: str
) -> None:
    simulator.set_faults(["reset-after"])
    sent = await sender.send(endpoint)
    (push,) = simulator.registry.pushes

    assert (sent.fault, sent.verdict.outcome) == (FaultKind.RESET, Outcome.TRANSIENT)
    assert (push.status, push.state) == (None, PushState.SENT)


@pytest.mark.parametrize(
    ("fault", "size"), [("slow-body:seconds=0.01", None), ("endless-body", MAX_ANSWER_BODY), ("gzip-bomb", None)]
)
async def test_whatever_comes_after_the_status_the_push_is_accepted_and_delivered(
    simulator: Simulator, impatient: Sender, endpoint: str, fault: str, size: int | None
) -> None:
    simulator.set_faults([fault])
    sent = await impatient.send(endpoint)
    (push,) = simulator.registry.pushes

    assert sent.verdict.outcome is Outcome.ACCEPTED
    assert sent.answer is not None
    assert 0 < len(sent.answer.body) <= MAX_ANSWER_BODY
    assert size is None or len(sent.answer.body) == size
    assert (push.status, push.state) == (201, PushState.SENT)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("slow-body:seconds=0.01,status=500", Outcome.TRANSIENT),
        ("endless-body:status=410", Outcome.GONE),
        ("gzip-bomb:status=429", Outcome.THROTTLED),
        ("endless-body:status=204", Outcome.ACCEPTED),
    ],
)
async def test_an_unsound_body_can_have_any_status(
    simulator: Simulator, impatient: Sender, endpoint: str, fault: str, outcome: Outcome
) -> None:
    simulator.set_faults([fault])

    assert (await impatient.send(endpoint)).verdict.outcome is outcome


async def test_a_shorter_ttl_is_granted_and_told(simulator: Simulator, sender: Sender, endpoint: str) -> None:
    simulator.set_faults(["ttl:seconds=5"])
    sent = await sender.send(endpoint, TTL="60")
    (push,) = simulator.registry.pushes

    assert sent.verdict.headers["ttl"] == "5"
    assert push.headers is not None
    assert push.headers.ttl == 5
    assert (await sender.send(endpoint, TTL="3")).verdict.headers["ttl"] == "3"


async def test_a_delayed_push_is_accepted(simulator: Simulator, sender: Sender, endpoint: str) -> None:
    simulator.set_faults(["delay:seconds=0.01"])

    assert (await sender.send(endpoint)).verdict.outcome is Outcome.ACCEPTED


async def test_a_faulty_push_that_is_no_good_is_refused_all_the_same(
    simulator: Simulator, sender: Sender, endpoint: str
) -> None:
    simulator.set_faults(["gzip-bomb"])
    sent = await sender.send(endpoint, TTL=None)
    (push,) = simulator.registry.pushes

    assert sent.verdict.outcome is Outcome.REFUSED
    assert (push.state, push.reason) == (PushState.REFUSED, "fault: gzip-bomb; Missing TTL value")


HOSTILE = ("silence", "slow-head:seconds=0.001", "endless-103", "slow-body:seconds=0.001", "endless-body", "gzip-bomb")


async def test_no_fault_costs_whoever_meets_it_memory(simulator: Simulator, impatient: Sender, endpoint: str) -> None:
    simulator.set_faults(["gzip-bomb"])
    await impatient.send(endpoint)  # which makes the bomb
    tracemalloc.start()
    try:
        for fault in HOSTILE:
            simulator.set_faults([fault])
            await asyncio.gather(*(impatient.send(endpoint) for _ in range(5)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 20 * 1024 * 1024


@pytest.mark.parametrize("fault", HOSTILE)
async def test_a_fault_ends_when_nobody_is_there_to_meet_it(
    simulator: Simulator, impatient: Sender, endpoint: str, fault: str
) -> None:
    before = asyncio.all_tasks()
    simulator.set_faults([fault])
    sending = asyncio.create_task(impatient.send(endpoint))
    await simulator.wait_until(lambda: simulator.registry.pushes)
    begun = asyncio.all_tasks() - before
    assert len(begun) > 1
    _, pending = await asyncio.wait({*begun, sending}, timeout=20)

    assert not pending


@pytest.mark.parametrize("fault", ["slow-body:seconds=0.001", "endless-body"])
async def test_a_body_without_an_end_is_no_mistake_when_its_reader_has_gone(fault: str) -> None:
    given: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()

    async def give(request: web.Request) -> web.StreamResponse:
        try:
            given.set_result(await give_badly(request, parse_fault(fault), Answer(201)))
        except ConnectionError as error:
            given.set_exception(error)
        return given.result()

    app = web.Application()
    app.router.add_post("/", give)
    # Where nobody cancels it, it writes to who is not there.
    runner = web.AppRunner(app, handler_cancellation=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as reader:
        answer = await reader.post(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        await answer.content.readany()
        answer.close()
    async with asyncio.timeout(10):
        assert (await given).status == 201
    await runner.cleanup()


async def test_a_fault_is_for_one_browser_or_one_subscription(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, endpoint: str
) -> None:
    async with subscribed(simulator, session, sender.application.public_key) as other:
        simulator.set_faults(["500@browser=2", f"403@subscription={endpoint.rpartition('/')[2]}"])
        answers = [(await sender.send(one)).answer for one in (endpoint, other)]

    assert [answer.status for answer in answers if answer is not None] == [403, 500]


async def test_a_fault_is_met_as_often_as_it_says_and_the_first_that_fits_is_met(
    simulator: Simulator, sender: Sender, endpoint: str
) -> None:
    simulator.set_faults(["503@next=2", "404@next=1"])
    answers = [(await sender.send(endpoint)).answer for _ in range(4)]

    assert [answer.status for answer in answers if answer is not None] == [503, 503, 404, 201]
    assert simulator.faults.active() == ()


async def statuses(clock: Clock, seed: int, count: int = 200) -> list[int]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(clock=clock, chance=random.Random(seed)))  # noqa: S311  (the same every time)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        sender = await stack.enter_async_context(sending(simulator, session, clock))
        key = sender.application.public_key
        endpoint = await stack.enter_async_context(subscribed(simulator, session, key))
        simulator.set_faults(["429@10%"])
        answers = [(await sender.send(endpoint)).answer for _ in range(count)]
        return [answer.status for answer in answers if answer is not None]


async def test_a_rate_is_kept_and_drawn_from_the_seed(clock: Clock) -> None:
    drawn = await statuses(clock, 1)

    assert set(drawn) == {201, 429}
    assert 8 <= drawn.count(429) <= 34
    assert await statuses(clock, 1) == drawn
    assert await statuses(clock, 2) != drawn


async def test_a_removed_browser_gets_an_endpoint_that_leads_nowhere_and_keeps_it(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender
) -> None:
    simulator.set_faults(["removed@browser=1"])
    async with subscribed(simulator, session, sender.application.public_key) as removed:
        assert removed.startswith("https://permanently-removed.invalid/push/")
    async with subscribed(simulator, session, sender.application.public_key) as other:
        assert other.startswith(f"{simulator.origin}/push/")


async def test_faults_are_set_listed_and_cleared(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, endpoint: str
) -> None:
    control = Control(session, simulator.url)
    faults = ["429:retry-after=30@next=2", "silence@browser=9"]
    listed = {"items": [{"fault": faults[0], "met": 0, "left": 2}, {"fault": faults[1], "met": 0, "left": None}]}
    assert await control.ask("PUT", "faults", {"faults": faults}) == (200, listed)
    await sender.send(endpoint)
    listed["items"][0] |= {"met": 1, "left": 1}
    assert await control.ask("GET", "faults") == (200, listed)
    assert await control.ask("DELETE", "faults") == (204, "")
    assert await control.ask("GET", "faults") == (200, {"items": []})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        ({"faults": "503"}, "array"),
        ({"faults": [503]}, "str"),
        ({"fault": ["503"]}, "fault"),
        ({"faults": ["503", "snooze"]}, "There is no fault “snooze”"),
        ({"faults": ["tls-expired"]}, "needs TLS"),
        ({"faults": ["503"] * (MOST_FAULTS + 1)}, "at most 50"),
    ],
)
async def test_faults_that_make_no_sense_leave_things_as_they_were(
    simulator: Simulator, session: aiohttp.ClientSession, body: object, said: str
) -> None:
    simulator.set_faults(["404"])
    status, problem = await Control(session, simulator.url).ask("PUT", "faults", body)

    assert status == 400
    assert said in problem["detail"]
    assert [one.fault.text for one in simulator.faults.active()] == ["404"]


def test_too_many_faults_are_refused() -> None:
    with pytest.raises(PushdeskError, match="at most 50"):
        Simulator().set_faults(["404"] * (MOST_FAULTS + 1))
