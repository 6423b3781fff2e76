"""Each push service's own answers, under its own name, and what the server makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pushdesk.model import Outcome, Service
from pushdesk.simulator.personality import THE_FOUR, Personality
from pushdesk.simulator.service import Simulator
from tests.simulator.application import Application
from tests.simulator.sending import sending, subscribed
from tests.simulator.wire import CHANNEL, Wire
from tests.unit.push_answers import ANSWERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import aiohttp

    from tests.simulator.sending import Sender, Sent
    from tests.simulator.wire import Clock

FCM, MOZILLA, APPLE, WNS = Personality.FCM, Personality.MOZILLA, Personality.APPLE, Personality.WNS
ORIGINS: Final = {
    FCM: "https://fcm.googleapis.com",
    MOZILLA: "https://updates.push.services.mozilla.com",
    APPLE: "https://web.push.apple.com",
    WNS: "https://wns2-par02p.notify.windows.com",
}
DAY_S: Final = 24 * 3600


@pytest.fixture
async def simulator(clock: Clock) -> AsyncIterator[Simulator]:
    async with Simulator(clock=clock, tls=True) as simulator:
        yield simulator


@pytest.fixture
async def sender(simulator: Simulator, session: aiohttp.ClientSession, clock: Clock) -> AsyncIterator[Sender]:
    async with sending(simulator, session, clock) as sender:
        yield sender


def is_in_its_own_words(service: Personality, sent: Sent) -> bool:
    """Whether that service is known to have answered so; an answer without words is the status alone."""
    assert sent.answer is not None
    words = words_of(sent.answer.body, sent.answer.headers)
    known = [one for one in ANSWERS if (one.service, one.status) == (Service(service), sent.answer.status)]
    return not words or words in [words_of(one.body.encode(), one.headers) for one in known]


def words_of(body: bytes, headers: Mapping[str, str]) -> object:
    """Return what is said, where services say it."""
    description = {name.lower(): value for name, value in headers.items()}.get("x-wns-error-description", "")
    return json.loads(body) if body.startswith(b"{") else body.decode() or description


@pytest.mark.parametrize("service", THE_FOUR)
async def test_a_service_is_at_its_own_name_and_says_what_it_says_when_it_takes_a_push(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, service: Personality
) -> None:
    async with subscribed(simulator, session, sender.application.public_key, service) as endpoint:
        sent = await sender.send(endpoint, TTL="86400", Urgency="high", Topic="t" * 32)

    assert endpoint.startswith(f"{ORIGINS[service]}/push/")
    assert sent.answer is not None
    assert (sent.answer.status, sent.answer.body, sent.verdict.outcome) == (201, b"", Outcome.ACCEPTED)
    told: Mapping[Personality, set[str]] = {
        FCM: {"location"},
        MOZILLA: {"location", "ttl"},
        APPLE: {"apns-id"},
        WNS: {"x-wns-msg-id", "x-wns-status", "ms-cv"},
    }
    assert told[service] <= set(sent.answer.headers)
    assert not {"location", "ttl", "apns-id", "x-wns-status"} - told[service] & set(sent.answer.headers)
    assert simulator.registry.pushes[0].state == "sent"


async def test_the_one_that_is_connected_to_without_a_name_is_the_first(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender
) -> None:
    async with subscribed(simulator, session, sender.application.public_key) as endpoint:
        assert endpoint.startswith("https://fcm.googleapis.com/push/")


class Wrong(NamedTuple):
    """A push that is not as it has to be, and what each service says to it."""

    headers: Mapping[str, str | None]
    fcm: tuple[int, Outcome]
    mozilla: tuple[int, Outcome]
    apple: tuple[int, Outcome]
    wns: tuple[int, Outcome]
    size: int = 1


ACCEPTED, REFUSED, OURS = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.OUR_CONFIGURATION
TAKEN: Final = (201, ACCEPTED)
BAD: Final = (400, REFUSED)

WRONG: Final = {
    "no ttl": Wrong({"TTL": None}, BAD, BAD, BAD, BAD),
    "ttl 0": Wrong({"TTL": "0"}, TAKEN, TAKEN, BAD, BAD),
    "ttl of 28 days": Wrong({"TTL": str(28 * DAY_S)}, TAKEN, TAKEN, TAKEN, TAKEN),
    "ttl over 28 days": Wrong({"TTL": str(28 * DAY_S + 1)}, BAD, TAKEN, BAD, BAD),
    "ttl in words": Wrong({"TTL": "soon"}, BAD, BAD, BAD, BAD),
    "topic of 33": Wrong({"Topic": "t" * 33}, BAD, BAD, BAD, BAD),
    "topic that does not decode": Wrong({"Topic": "t" * 29}, TAKEN, TAKEN, BAD, TAKEN),
    "unknown urgency": Wrong({"Urgency": "extreme"}, TAKEN, TAKEN, BAD, TAKEN),
    "old encoding": Wrong({"Content_Encoding": "aesgcm"}, BAD, BAD, BAD, BAD),
    "4096 bytes": Wrong({}, TAKEN, TAKEN, TAKEN, TAKEN, size=4096),
    "4097 bytes": Wrong({}, (413, REFUSED), (413, REFUSED), (413, REFUSED), TAKEN, size=4097),
    "5001 bytes": Wrong({}, (413, REFUSED), (413, REFUSED), (413, REFUSED), (413, REFUSED), size=5001),
    "no credentials": Wrong({"Authorization": None}, (401, OURS), (401, OURS), (403, OURS), (401, OURS)),
    "old credentials": Wrong({"Authorization": "WebPush a.b.c"}, (403, OURS), (401, OURS), (403, OURS), (401, OURS)),
    "another key": Wrong(
        {"Authorization": "vapid t=a.b.c,k=BAAA"},
        (403, Outcome.KEY_MISMATCH),
        (401, Outcome.KEY_MISMATCH),
        (400, Outcome.KEY_MISMATCH),
        (403, OURS),
    ),
}


@pytest.mark.parametrize("service", THE_FOUR)
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_push_that_a_service_does_not_take_is_answered_in_its_own_words(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, service: Personality, wrong: str
) -> None:
    case = WRONG[wrong]
    async with subscribed(simulator, session, sender.application.public_key, service) as endpoint:
        sent = await sender.send(endpoint, b"x" * case.size, **case.headers)

    status, outcome = getattr(case, service.value)
    assert sent.answer is not None
    assert (sent.answer.status, sent.verdict.outcome) == (status, outcome)
    assert is_in_its_own_words(service, sent)


TOKEN_FAULTS: Final[Mapping[str, Mapping[str, object]]] = {
    "another aud": {"aud": "https://push.example"},
    "expired": {"exp": 1_800_000_000 - 1},
    "over 24 hours": {"exp": 1_800_000_000 + DAY_S + 1},
}


@pytest.mark.parametrize("service", THE_FOUR)
@pytest.mark.parametrize("fault", TOKEN_FAULTS)
async def test_a_token_that_is_no_good_is_our_own_configuration_at_every_service(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, service: Personality, fault: str
) -> None:
    async with subscribed(simulator, session, sender.application.public_key, service) as endpoint:
        authorization = sender.application.authorization(endpoint, **TOKEN_FAULTS[fault])
        sent = await sender.send(endpoint, authorization=authorization)

    assert sent.answer is not None
    assert sent.answer.status == {FCM: 403, MOZILLA: 401, APPLE: 403, WNS: 401}[service]
    assert sent.verdict.outcome is OURS
    assert is_in_its_own_words(service, sent)


def signed_claims(service: Personality, sub: str) -> dict[str, object]:
    return {"aud": ORIGINS[service], "exp": 1_800_000_100, "sub": sub}


@pytest.mark.parametrize(
    "sub",
    [
        *(
            "mailto:a@localhost",
            "mailto:a@printer.local",
            "mailto: a@b.example",
            "https://localhost",
            "http://b.example",
        ),
        *("mailto:mailto:a@b.example", "a@b.example", "https://[b.example", "mailto:a b@c.example"),
    ],
)
async def test_apple_wants_an_address_at_which_somebody_is(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, sub: str
) -> None:
    outcomes = {}
    for service in (FCM, APPLE):
        async with subscribed(simulator, session, sender.application.public_key, service) as endpoint:
            token = sender.application.token({"typ": "JWT", "alg": "ES256"}, signed_claims(service, sub))
            outcomes[service] = (await sender.send(endpoint, authorization=token)).verdict

    assert outcomes[FCM].outcome is ACCEPTED
    assert (outcomes[APPLE].outcome, outcomes[APPLE].reason) == (OURS, "BadJwtToken")


@pytest.mark.parametrize("sub", ["mailto:a@b.example", "https://b.example/contact"])
async def test_apple_takes_a_real_address(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, sub: str
) -> None:
    async with subscribed(simulator, session, sender.application.public_key, APPLE) as endpoint:
        token = sender.application.token({"typ": "JWT", "alg": "ES256"}, signed_claims(APPLE, sub))
        assert (await sender.send(endpoint, authorization=token)).verdict.outcome is ACCEPTED


@pytest.mark.parametrize(
    ("service", "status", "outcome"),
    [
        (FCM, 403, Outcome.KEY_MISMATCH),
        (MOZILLA, 401, Outcome.KEY_MISMATCH),
        (APPLE, 400, Outcome.KEY_MISMATCH),
        (WNS, 403, OURS),
    ],
)
async def test_another_key_than_that_of_the_subscription_is_told_as_the_service_tells_it(
    simulator: Simulator,
    session: aiohttp.ClientSession,
    sender: Sender,
    clock: Clock,
    service: Personality,
    status: int,
    outcome: Outcome,
) -> None:
    async with subscribed(simulator, session, Application(session, clock).public_key, service) as endpoint:
        really = await sender.send(endpoint)
    async with subscribed(simulator, session, sender.application.public_key, service) as endpoint:
        simulator.set_faults(["key-mismatch"])
        pretended = await sender.send(endpoint)

    for sent in (really, pretended):
        assert sent.answer is not None
        assert (sent.answer.status, sent.verdict.outcome) == (status, outcome)
        assert is_in_its_own_words(service, sent)


@pytest.mark.parametrize("service", THE_FOUR)
async def test_an_endpoint_that_never_was_or_is_no_more_is_gone(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, service: Personality
) -> None:
    async with Wire(session, f"{simulator.url}/{service}") as wire:
        await wire.hello()
        endpoint = await wire.register(sender.application.public_key)
        await wire.ask(messageType="unregister", channelID=CHANNEL, code=200)
        ended = await sender.send(endpoint)
    never = await sender.send(f"{ORIGINS[service]}/push/nobody")

    for sent, status in ((ended, 410), (never, 404)):
        assert sent.answer is not None
        assert (sent.answer.status, sent.verdict.outcome) == (status, Outcome.GONE)
        assert is_in_its_own_words(service, sent)


@pytest.mark.parametrize(
    ("service", "status", "outcome", "retry_after_s"),
    [
        *((FCM, status, outcome, None) for status, outcome in ((400, REFUSED), (401, OURS), (403, OURS))),
        *((FCM, status, outcome, None) for status, outcome in ((404, Outcome.GONE), (410, Outcome.GONE))),
        *(
            (FCM, 429, Outcome.THROTTLED, None),
            (FCM, 500, Outcome.TRANSIENT, None),
            (FCM, 503, Outcome.TRANSIENT, None),
        ),
        *((MOZILLA, 401, OURS, None), (MOZILLA, 410, Outcome.GONE, None), (MOZILLA, 413, REFUSED, None)),
        *((MOZILLA, 500, Outcome.TRANSIENT, None), (MOZILLA, 502, Outcome.TRANSIENT, None)),
        (MOZILLA, 503, Outcome.THROTTLED, 120.0),
        *((APPLE, 403, OURS, None), (APPLE, 405, REFUSED, None), (APPLE, 410, Outcome.GONE, None)),
        *((APPLE, 429, Outcome.THROTTLED, None), (APPLE, 503, Outcome.TRANSIENT, None)),
        *(
            (WNS, 401, OURS, None),
            (WNS, 403, OURS, None),
            (WNS, 404, Outcome.GONE, None),
            (WNS, 410, Outcome.GONE, None),
        ),
        *((WNS, 406, Outcome.THROTTLED, 300.0), (WNS, 429, Outcome.THROTTLED, 900.0)),
        *((WNS, 500, Outcome.TRANSIENT, None), (WNS, 503, Outcome.TRANSIENT, None)),
    ],
)
async def test_a_status_as_a_fault_has_the_words_of_the_service(
    simulator: Simulator,
    session: aiohttp.ClientSession,
    sender: Sender,
    service: Personality,
    status: int,
    outcome: Outcome,
    retry_after_s: float | None,
) -> None:
    async with subscribed(simulator, session, sender.application.public_key, service) as endpoint:
        simulator.set_faults([f"{status}@service={service}"])
        sent = await sender.send(endpoint)

    assert sent.answer is not None
    assert sent.answer.status == status
    assert (sent.verdict.outcome, sent.verdict.retry_after_s) == (outcome, retry_after_s)
    assert is_in_its_own_words(service, sent)


@pytest.mark.parametrize(("service", "status"), [(MOZILLA, 503), (WNS, 406), (WNS, 429)])
async def test_what_a_service_says_of_waiting_can_be_said_otherwise_or_not_at_all(
    simulator: Simulator, session: aiohttp.ClientSession, sender: Sender, service: Personality, status: int
) -> None:
    async with subscribed(simulator, session, sender.application.public_key, service) as endpoint:
        simulator.set_faults([f"{status}:retry-after=7@next=1", f"{status}:retry-after=none"])
        waits = [(await sender.send(endpoint)).verdict.retry_after_s for _ in range(2)]

    assert waits == [7.0, None]


async def test_wns_takes_no_body_in_chunks(clock: Clock, session: aiohttp.ClientSession) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    statuses = {}
    async with Simulator(clock=clock, personalities=(WNS, FCM)) as simulator:
        application = Application(session, clock)
        for service in (WNS, FCM):
            async with subscribed(simulator, session, application.public_key, service) as endpoint:
                headers = {
                    "Authorization": application.authorization(endpoint),
                    "TTL": "60",
                    "Content-Encoding": "aes128gcm",
                }
                async with session.post(endpoint, data=chunks(), headers=headers) as answer:
                    statuses[service] = answer.status

    assert statuses == {WNS: 400, FCM: 201}


async def test_a_service_under_another_name_says_the_same(
    clock: Clock, session: aiohttp.ClientSession, application: Application
) -> None:
    async with Simulator(clock=clock, personalities=(APPLE,)) as simulator:
        async with subscribed(simulator, session, application.public_key) as endpoint:
            taken, refused = await application.post(endpoint, b"x"), await application.post(endpoint, b"x", TTL="0")
        unknown = await application.post(f"{simulator.origin}/push/nobody", b"x")

    assert endpoint.startswith(f"{simulator.origin}/push/")
    assert "apns-id" in taken.headers
    assert (refused.status, refused.body) == (400, {"reason": "BadTtl"})
    assert (unknown.status, unknown.body) == (404, {"reason": "BadPath"})
