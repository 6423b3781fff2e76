"""What holds of the outbox whatever is sent, answered, cancelled or cut off, in whatever order, beside a plain model.

The model knows what was accepted, in which order, what was cancelled, whose devices came and went and what push
services answered. It follows from that how each delivery may end; the rest is what the outbox promises.

`python -m tests.engine.outbox_machine EXAMPLES STEPS` tries more than the test does, which is `test_outbox_machine.py`;
`outbox_mutants.py` plants bugs in a copy of the source, and shows that they are found.
"""

from __future__ import annotations

import asyncio
import atexit
import shutil
import sys
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from pushdesk.engine.lane import USUAL_HOLD_S
from pushdesk.engine.retry import LAST_CHANCE_S
from pushdesk.errors import PushdeskError
from pushdesk.model import UNSETTLED, Notification, Outcome, Service
from tests.engine.outbox_world import (
    AT_FIRST,
    NO_ANSWER,
    OWNERS,
    Answer,
    Template,
    World,
    make_template,
    service_of,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from sqlite3 import Row

    from tests.engine.outbox_world import Push

USERS = st.sampled_from(["ada", "ada", "bob"])
TOPICS = st.sampled_from([None, "news", "news", "sport"])
TTLS = st.sampled_from([20, 90, 600])
LATER = st.sampled_from([0, 0, 0, 30, 200])
OK = Answer(201)
ANSWERS = st.sampled_from(
    [
        OK,
        OK,
        OK,
        Answer(503),
        Answer(503, "45"),
        Answer(429),
        Answer(429, "60"),
        Answer(429, "31536000"),
        Answer(429, "-7"),
        Answer(413),
        Answer(410),
        Answer(NO_ANSWER),
    ]
)
SETTLE = {201: Outcome.ACCEPTED, 413: Outcome.REFUSED, 410: Outcome.GONE}
"""Answers after which nothing is tried again."""
PAUSABLE = (Service.FCM, Service.MOZILLA)
EXPIRY_REST_MS = 1000
LATENESS_MS = 2
"""Moments are kept in whole milliseconds."""
A_LONG_TIME = 20
"""Times ten minutes: longer than anything is kept for."""

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (a directory of our own in there)
"""Files that need no disk: what is committed is what counts here, not what a disk keeps."""

Pair = tuple[str, str]
"""A dispatch and a subscription."""


class Sent(NamedTuple):
    """What was accepted."""

    user: str
    notification: Notification
    newness: int
    """The higher, the newer; 0 without a topic."""
    due_at: float
    expires_at: float

    @property
    def topic(self) -> str | None:
        return self.notification.topic


@dataclass(eq=False)
class Told:
    """What was answered to one delivery's pushes."""

    statuses: list[int] = field(default_factory=list)
    is_unsure: bool = False
    """Whether the power went as it was answered: the last one may be forgotten."""
    not_before: float = 0.0
    """When it may be tried again."""

    @property
    def settles(self) -> int | None:
        """The answer that ended it, if one surely did."""
        return next((status for status in self.statuses if status in SETTLE), None) if not self.is_unsure else None


@cache
def template() -> Template:
    directory = Path(mkdtemp(prefix="outbox-machine-", dir=MEMORY))
    atexit.register(shutil.rmtree, directory)
    return asyncio.run(make_template(directory))


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = TemporaryDirectory(dir=MEMORY)
        template().copy_to(Path(self.directory.name))
        self.world = World(Path(self.directory.name), template().devices)
        self.sent: dict[str, Sent] = {}
        self.keys: dict[str, str] = {}
        """Idempotency key -> dispatch."""
        self.cancelled: set[str] = set()
        self.latest_time = self.world.clock.time()
        self.latest_newness = 0
        self.endpoints = {id_: endpoint for endpoint, id_ in template().subscriptions.items()}
        """Of every subscription that there ever was."""
        self.active = dict(template().subscriptions)
        self.kept = set(AT_FIRST)
        """Endpoints with a subscription, disabled ones among them."""
        self.removed: set[str] = set()
        self.changes: Counter[str] = Counter()
        """How often each subscription was disabled or revived."""
        self.said_gone: set[str] = set()
        self.may_have_ended: set[str] = set()
        self.changes_before: dict[str, Counter[str]] = {}
        """Dispatch -> `changes` as it was accepted."""
        self.to_reach: dict[str, set[str]] = {}
        """Dispatch -> the subscriptions that have been there since it was accepted, or longer than that."""
        self.may_reach: dict[str, set[str]] = {}
        self.told: defaultdict[Pair, Told] = defaultdict(Told)
        self.held: dict[str, float] = {}
        """Subscription -> until when, by the clock that never jumps, nothing is sent to it; forgotten in a crash."""
        self.final: dict[Pair, str] = {}
        """What deliveries were seen to have come to."""
        self.ended: set[Pair] = set()
        self.begun: dict[Push, tuple[Pair, int]] = {}
        """Of each push: what it is of, and how often its subscription had changed."""
        self.looked_at = 0
        self.newest_posted: dict[tuple[str, str], tuple[int, str]] = {}
        self.crashes = 0
        self.paused: set[Service] = set()
        self.run(self.world.start())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        result = self.runner.run(work)
        self.look_at_what_was_posted()
        return result

    @property
    def now(self) -> float:
        return self.world.clock.time()

    @rule(user=USERS, topic=TOPICS, ttl=TTLS, later=LATER)
    def notify(self, user: str, topic: str | None, ttl: int, later: int) -> None:
        self._accept(user, topic, ttl, later)
        self.run(self.world.idle())

    def _accept(self, user: str, topic: str | None, ttl: int, later: int) -> None:
        notification, key = self._notification(topic, ttl, later), f"key-{len(self.keys)}"
        # Not by `run`: what is posted of it is looked at when it is known.
        work = self.world.engine.notify(user, notification, idempotency_key=key)
        self._accepted(self.runner.run(work).id, key, user, notification, later)
        self.look_at_what_was_posted()

    def _notification(self, topic: str | None, ttl: int, later: int) -> Notification:
        send_at = datetime.fromtimestamp(self.now + later, UTC) if later else None
        return Notification("Hello", topic=topic, ttl=ttl, send_at=send_at)

    def _accepted(self, dispatch: str, key: str, user: str, notification: Notification, later: int) -> None:
        newness = 0
        if notification.topic is not None:
            newness = round((self.now + later) * 1000) * 1000
            if not (later and newness > self.latest_newness):
                newness = self.latest_newness = max(newness, self.latest_newness + 1)
        due_at = self.now + later
        self.sent[dispatch] = Sent(user, notification, newness, due_at, due_at + notification.ttl)
        self.keys[key] = dispatch
        self.changes_before[dispatch] = self.changes.copy()
        mine = {id_ for endpoint, id_ in self.active.items() if OWNERS[endpoint] == user}
        self.to_reach[dispatch], self.may_reach[dispatch] = mine, set(mine)

    @precondition(lambda self: self.keys)
    @rule(which=st.integers(0, 50), same=st.booleans())
    def ask_again(self, which: int, same: bool) -> None:  # noqa: FBT001 (drawn)
        """The same request again is no other dispatch, whatever has happened since."""
        key = list(self.keys)[which % len(self.keys)]
        sent = self.sent[self.keys[key]]
        notification = sent.notification if same else Notification("Something else")
        asking = self.world.engine.notify(sent.user, notification, idempotency_key=key)
        if same:
            assert self.run(asking).id == self.keys[key]
        else:
            with pytest.raises(PushdeskError, match="another body"):
                self.run(asking)
        self.run(self.world.idle())

    @precondition(lambda self: self.world.services.pending)
    @rule(which=st.integers(0, 20), answer=ANSWERS)
    def answer(self, which: int, answer: Answer) -> None:
        pending = self.world.services.pending
        self._answer(pending[which % len(pending)], answer)
        self.run(self.world.idle())
        self._see_who_is_active()

    def _answer(self, push: Push, answer: Answer) -> None:
        pair, begun_after = self.begun[push]
        _, subscription = pair
        told = self.told[pair]
        told.statuses.append(answer.status)
        if answer.status == 201:
            self.held.pop(subscription, None)
        waits = (answer.retry_after or "").isdigit()
        if answer.status == 429 or (answer.status == 503 and waits):
            hold_s = min(float(answer.retry_after or 0), 86_400.0) if waits else USUAL_HOLD_S
            self.held[subscription] = self.world.clock.monotonic() + hold_s
            told.not_before = self.now + hold_s
        if answer.status == 410 and self.active.get(push.endpoint) == subscription:
            changes = self.changes[subscription]
            if self.changes_before[push.dispatch][subscription] == changes:
                self._end(subscription)
            elif begun_after == changes:
                # It may have waited, as it was before, until the one before it of its topic was answered.
                self.may_have_ended.add(subscription)
        if answer.status == 410:
            self.said_gone.add(subscription)
        push.answered.set_result(answer)

    def _end(self, subscription: str) -> None:
        del self.active[self.endpoints[subscription]]
        self.changes[subscription] += 1
        self._is_not_there(subscription)

    def _is_not_there(self, subscription: str) -> None:
        """It gets nothing of what is not spread yet."""
        spread = {row["dispatch"] for row in self._deliveries() if row["subscription"] == subscription}
        for dispatch in self.sent.keys() - spread:
            self.to_reach[dispatch].discard(subscription)

    def _see_who_is_active(self) -> None:
        """Nobody is disabled but by a push service's word of the subscription as it is."""
        rows = self.world.sql("SELECT id, endpoint, state FROM subscriptions")
        assert {row["endpoint"] for row in rows} == self.kept
        found = {row["endpoint"]: row["id"] for row in rows if row["state"] == "active"}
        for subscription in set(self.active.values()) - set(found.values()):
            assert subscription in self.may_have_ended
            self._end(subscription)
        self.may_have_ended.clear()
        assert found == self.active

    @rule(seconds=st.sampled_from([1, 4, 12, 35, 130]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.passed += seconds
        self.latest_time = max(self.latest_time, self.now)
        self.run(self.world.look())

    @rule(seconds=st.sampled_from([-86_400, -40, 40]))
    def the_clock_is_set(self, seconds: int) -> None:
        self.world.clock.wall += seconds
        self.latest_time = max(self.latest_time, self.now)
        self.run(self.world.look())

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 50))
    def cancel(self, which: int) -> None:
        dispatch = list(self.sent)[which % len(self.sent)]
        if self._state(dispatch) in {"done", "cancelled"}:
            with pytest.raises(PushdeskError, match="already"):
                self.run(self.world.engine.cancel(dispatch))
        else:
            self.run(self.world.engine.cancel(dispatch))
            self.cancelled.add(dispatch)
        self.run(self.world.idle())

    @rule(service=st.sampled_from(PAUSABLE))
    def pause_or_resume(self, service: Service) -> None:
        if service in self.paused:
            self.paused.discard(service)
            self.run(self.world.engine.resume_service(service))
        else:
            self.run(self.world.engine.pause_service(service))
            self.paused.add(service)
        self.run(self.world.idle())

    @rule(service=st.sampled_from(PAUSABLE))
    def reset(self, service: Service) -> None:
        for subscription in [id_ for id_ in self.held if service_of(self.endpoints[id_]) is service]:
            del self.held[subscription]
        self.run(self.world.engine.reset_service(service))
        self.run(self.world.idle())

    @rule(endpoint=st.sampled_from(sorted(OWNERS)))
    def a_device_comes_or_goes(self, endpoint: str) -> None:
        if endpoint in self.active:
            subscription = self.active.pop(endpoint)
            self.kept.discard(endpoint)
            self.removed.add(subscription)
            self._is_not_there(subscription)
            self.run(self.world.engine.unsubscribe(OWNERS[endpoint], endpoint))
        elif self._is_tested_at_once(endpoint):
            subscription = self.run(self.world.subscribe(endpoint))
            assert (subscription in self.endpoints) == (endpoint in self.kept)
            self.endpoints[subscription] = endpoint
            self.kept.add(endpoint)
            self.active[endpoint] = subscription
            self.changes[subscription] += 1
            for dispatch, sent in self.sent.items():
                if sent.user == OWNERS[endpoint] and self._state(dispatch) in {"queued", "scheduled"}:
                    self.may_reach[dispatch].add(subscription)
            # Its test push was accepted.
            self.held.pop(subscription, None)
        self.run(self.world.idle())
        self._see_who_is_active()

    def _is_tested_at_once(self, endpoint: str) -> bool:
        """Whether nobody would wait for the test push that comes with a subscription."""
        now = self.world.clock.monotonic()
        held = [id_ for id_, until in self.held.items() if self.endpoints[id_] == endpoint and until > now]
        return not held and not self.world.engine._lanes.is_shut(service_of(endpoint))

    @rule(
        commits=st.integers(0, 5),
        answer=st.sampled_from([None, OK, Answer(503), Answer(410)]),
        user=USERS,
        topic=TOPICS,
        ways=st.sampled_from(["nothing new", "accepted", "being accepted"]),
    )
    def the_power_goes(self, commits: int, answer: Answer | None, user: str, topic: str | None, ways: str) -> None:
        if answer is not None:
            for push in list(self.world.services.pending):
                self._answer_at_the_last(push, answer)
        if ways == "accepted":
            self._accept(user, topic, 90, 0)
        notification, key = self._notification(topic, 90, 0), f"key-{len(self.keys)}"
        asking = self._ask(user, notification, key) if ways == "being accepted" else None
        # Not by `run`: nobody knows yet what of it is kept.
        was_acknowledged = self.runner.run(self.world.crash(commits, asking))
        self.crashes += 1
        self.looked_at = 0
        self.held.clear()
        found = {row["id"] for row in self.world.sql("SELECT id FROM dispatches WHERE kind != 'test'")}
        new = found - self.sent.keys()
        assert new or not was_acknowledged, "what was acknowledged is lost"
        for dispatch in new:
            self._accepted(dispatch, key, user, notification, 0)
        self.may_have_ended = self.said_gone & set(self.active.values())
        self._see_who_is_active()
        self.run(self.world.look())

    async def _ask(self, user: str, notification: Notification, key: str) -> None:
        with suppress(PushdeskError):
            # Refused by a server that stops.
            await self.world.engine.notify(user, notification, idempotency_key=key)

    def _answer_at_the_last(self, push: Push, answer: Answer) -> None:
        """Answer what may be forgotten again."""
        pair, _ = self.begun[push]
        if answer.status == 410:
            self.said_gone.add(pair[1])
        self.told[pair].statuses.append(answer.status)
        self.told[pair].is_unsure = True
        push.answered.set_result(answer)

    def teardown(self) -> None:
        try:
            for service in tuple(self.paused):
                self.pause_or_resume(service)
            self.world.clock.wall += self.latest_time - self.now
            for _ in range(A_LONG_TIME):
                self.run(self.world.look())
                while self.world.services.pending:
                    for push in list(self.world.services.pending):
                        self._answer(push, OK)
                    self.run(self.world.idle())
                self.time_passes(600)
            self.all_is_settled()
        finally:
            self.runner.run(self.world.stop())
            self.runner.close()
            self.directory.cleanup()

    def look_at_what_was_posted(self) -> None:
        """Never too soon, too late, twice at once, an older one after a newer one, or what had ended."""
        posted = self.world.services.posted[self.looked_at :]
        rows = self._deliveries() if posted else []
        found = {(row["dispatch"], self.endpoints[row["subscription"]]): row["subscription"] for row in rows}
        for push in posted:
            if push.dispatch not in self.sent:
                # It is only just being accepted: looked at when that is done.
                break
            self.looked_at += 1
            subscription = found[push.dispatch, push.endpoint]
            self._may_be_posted(push, self.sent[push.dispatch], (push.dispatch, subscription))
            self.begun[push] = ((push.dispatch, subscription), self.changes[subscription])
        pending = [push for push in self.world.services.pending if push in self.begun]
        under_way = Counter((self.begun[push][0][1], push.topic) for push in pending if push.topic)
        assert all(number == 1 for number in under_way.values()), "two of a topic at once"
        assert len({self.begun[push][0] for push in pending}) == len(pending), "the same twice at once"

    def _may_be_posted(self, push: Push, sent: Sent, pair: Pair) -> None:
        assert pair not in self.ended, "it had ended"
        assert self.told[pair].settles is None, "it was answered for good"
        assert push.dispatch not in self.cancelled, "it was cancelled"
        assert sent.due_at <= self.latest_time, "it is not due"
        assert push.time < sent.expires_at, "its time was over"
        assert service_of(push.endpoint) not in self.paused, "its push service is paused"
        if sent.expires_at - push.time > LAST_CHANCE_S:
            assert push.monotonic >= self.held.get(pair[1], 0), "its device is to be left alone"
            assert push.time >= self.told[pair].not_before - LATENESS_MS / 1000, "it was to be tried later"
        if sent.topic is not None:
            newness, of = self._newness(push.dispatch), (pair[1], sent.topic)
            assert newness >= self.newest_posted.get(of, (0, "")), "an older one after a newer one"
            self.newest_posted[of] = newness

    @invariant()
    def nothing_accepted_is_lost(self) -> None:
        found = {row["id"]: row for row in self.world.sql("SELECT id, state FROM dispatches WHERE kind != 'test'")}
        assert self.sent.keys() == found.keys()
        for dispatch in self.cancelled:
            assert found[dispatch]["state"] == "cancelled"

    @invariant()
    def every_delivery_is_as_it_may_be(self) -> None:
        rows = self._deliveries()
        pairs = {(row["dispatch"], row["subscription"]) for row in rows}
        assert len(pairs) == len(rows), "two of the same"
        for row in rows:
            pair = (row["dispatch"], row["subscription"])
            assert self._may_be(row, pair, pairs), dict(row)
            if not Outcome(row["outcome"]).is_settled:
                assert pair not in self.ended
                continue
            self.ended.add(pair)
            if row["claim_id"] is None:
                assert self.final.setdefault(pair, row["outcome"]) == row["outcome"]
        unsettled = {row["dispatch"] for row in rows if row["outcome"] in UNSETTLED or row["claim_id"] is not None}
        for row in self.world.sql("SELECT id, state FROM dispatches WHERE kind != 'test'"):
            if row["state"] in {"sending", "done"}:
                assert (row["state"] == "sending") == (row["id"] in unsettled)

    @invariant()
    def of_each_topic_only_the_newest_waits(self) -> None:
        newest: dict[tuple[str, str], tuple[int, str]] = {}
        rows = [row for row in self._deliveries() if row["topic"] is not None]
        for row in rows:
            of, newness = (row["subscription"], row["topic"]), self._newness(row["dispatch"])
            newest[of] = max(newest.get(of, newness), newness)
        for row in rows:
            if row["outcome"] in UNSETTLED:
                assert self._newness(row["dispatch"]) == newest[row["subscription"], row["topic"]]

    @invariant()
    def nothing_that_is_due_is_left_lying(self) -> None:
        now_ms = self.now * 1000
        lanes = self.world.engine._lanes
        for row in self.world.sql("SELECT due_at FROM dispatches WHERE state IN ('queued', 'scheduled')"):
            assert row["due_at"] > now_ms
        for row in self._deliveries():
            if row["outcome"] not in UNSETTLED or row["claim_id"] is not None:
                continue
            assert now_ms < self.sent[row["dispatch"]].expires_at * 1000 + EXPIRY_REST_MS
            if lanes.room(Service(row["service"]), 0) > 1:
                assert row["next_attempt_at"] > now_ms

    @invariant()
    def what_is_counted_is_there(self) -> None:
        engine = self.world.engine
        (queued,) = self.world.sql("SELECT count(*) FROM dispatches WHERE state IN ('queued', 'scheduled')")[0]
        waiting = [row for row in self._deliveries() if row["outcome"] in UNSETTLED or row["claim_id"] is not None]
        assert engine._outbox.queued == queued
        assert engine._statistics.waiting.total() == len(waiting)
        assert engine.in_flight == sum(row["claim_id"] is not None for row in waiting)

    def all_is_settled(self) -> None:
        """In the end every device of everybody's has one outcome of everything, but for what was cancelled before."""
        self.nothing_accepted_is_lost()
        self.every_delivery_is_as_it_may_be()
        self.what_is_counted_is_there()
        assert self.world.engine.in_flight == 0
        outcomes = {(row["dispatch"], row["subscription"]): Outcome(row["outcome"]) for row in self._deliveries()}
        assert all(outcome.is_settled for outcome in outcomes.values())
        for dispatch in self.sent:
            reached = {subscription for of, subscription in outcomes if of == dispatch}
            assert reached <= self.may_reach[dispatch]
            assert reached >= self.to_reach[dispatch] or (dispatch in self.cancelled and not reached)
        for pair, outcome in outcomes.items():
            taken = self.told[pair].statuses.count(201)
            assert taken <= 1 + self.crashes
            if not self.told[pair].is_unsure:
                assert (outcome is Outcome.ACCEPTED) == (taken == 1)

    def _may_be(self, row: Row, pair: Pair, spread: set[Pair]) -> bool:  # noqa: PLR0911 (one for each outcome)
        sent, told, outcome = self.sent[row["dispatch"]], self.told[pair], Outcome(row["outcome"])
        if told.settles is not None:
            return outcome is SETTLE[told.settles]
        if outcome is Outcome.ACCEPTED:
            return 201 in told.statuses
        if outcome is Outcome.REFUSED:
            return 413 in told.statuses
        if outcome is Outcome.GONE:
            return pair[1] in self.said_gone
        if outcome is Outcome.EXPIRED:
            # Where it could not be tried again before its end, too.
            return self.latest_time >= sent.expires_at - 2 * LAST_CHANCE_S
        if outcome is Outcome.CANCELLED:
            return row["dispatch"] in self.cancelled or pair[1] in self.removed
        if outcome is Outcome.SUPERSEDED:
            return any(
                (dispatch, pair[1]) in spread
                for dispatch, other in self.sent.items()
                if (other.user, other.topic) == (sent.user, sent.topic) and sent.topic is not None
                if self._newness(dispatch) > self._newness(row["dispatch"])
            )
        return outcome in UNSETTLED and row["dispatch"] not in self.cancelled

    def _deliveries(self) -> list[Row]:
        return self.world.sql(
            "SELECT deliveries.* FROM deliveries JOIN dispatches ON dispatches.id = deliveries.dispatch"
            " WHERE dispatches.kind != 'test' ORDER BY deliveries.id"
        )

    def _newness(self, dispatch: str) -> tuple[int, str]:
        return self.sent[dispatch].newness, dispatch

    def _state(self, dispatch: str) -> str:
        (row,) = self.world.sql(f"SELECT state FROM dispatches WHERE id = '{dispatch}'")  # noqa: S608 (our own id)
        return str(row["state"])


def run(examples: int, steps: int) -> None:
    """Try so many examples without making what fails smaller: for whoever wants to know whether, not how."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OutboxMachine, settings=chosen)


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
