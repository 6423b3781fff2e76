"""A lane as a function of what it is told and when."""

from __future__ import annotations

import pytest

from pushdesk.engine.lane import HELD, LONGEST_HOLD_S, LONGEST_THROTTLE_S, USUAL_HOLD_S, Lane, Slot
from pushdesk.engine.stopped_keys import TRIAL_S
from pushdesk.model import LaneState, Outcome
from pushdesk.webpush.services import Verdict

KEY = "11111111"
OTHER_KEY = "22222222"
FAR = 1e9
"""The last chance of a message that is kept for long."""

ACCEPTED = Verdict(Outcome.ACCEPTED)
TRANSIENT = Verdict(Outcome.TRANSIENT, "It did not answer in time.")
OURS = Verdict(Outcome.OUR_CONFIGURATION, "BadJwtToken")


def throttled(retry_after_s: float | None) -> Verdict:
    return Verdict(Outcome.THROTTLED, "Too many requests.", retry_after_s)


def lane(concurrency: int = 100, rate: float = 0) -> Lane:
    return Lane(concurrency=concurrency, rate=rate)


def answer(lane: Lane, verdict: Verdict | None, now: float, subscription: str = "phone", key: str = KEY) -> None:
    lane.finish(lane.start(subscription, key, now), verdict, now)


def state(lane: Lane, now: float) -> LaneState:
    return lane.condition(now).state


def broken_at(now: float) -> Lane:
    failing = lane()
    for number in range(20):
        answer(failing, TRANSIENT, now, f"device-{number}")
    return failing


def stopped_at(now: float, key: str = KEY) -> Lane:
    refused = lane()
    for number in range(3):
        answer(refused, OURS, now, f"device-{number}", key)
    return refused


def test_no_more_are_under_way_than_may_be() -> None:
    narrow = lane(concurrency=2)
    slots = [narrow.start(name, KEY, 0) for name in ("one", "two")]
    assert (narrow.room(0), narrow.next_at(0)) == (0, None)
    narrow.finish(slots[0], ACCEPTED, 0)
    assert (narrow.room(0), narrow.next_at(5)) == (1, 5)


def test_a_rate_lets_a_tenth_of_a_second_start_at_once_and_then_one_after_the_other() -> None:
    slow = lane(rate=20)
    assert slow.room(0) == 2
    for _ in range(2):
        slow.start("phone", KEY, 0)
    assert slow.next_at(0) == pytest.approx(0.05, abs=1e-6)
    assert (slow.room(0), slow.room(0.049), slow.room(0.051)) == (0, 0, 1)
    assert slow.room(3600) == 2


@pytest.mark.parametrize(
    ("retry_after_s", "until"),
    [(None, USUAL_HOLD_S), (0.0, 1.0), (60.0, 60.0), (365 * 86400.0, LONGEST_HOLD_S)],
    ids=["not said", "none", "a minute", "a year"],
)
def test_one_throttled_answer_holds_its_subscription_and_nobody_else(retry_after_s: float | None, until: float) -> None:
    busy = lane()
    answer(busy, throttled(retry_after_s), 0, "phone")
    found = busy.obstacle("phone", KEY, until - 0.5, FAR)
    assert found is not None
    assert found.until == until
    assert busy.obstacle("phone", KEY, until, FAR) is None
    assert busy.obstacle("laptop", KEY, 0, FAR) is None
    assert (state(busy, 0), busy.room(0)) == (LaneState.OPEN, 100)


def test_a_hold_gives_way_to_a_messages_last_chance() -> None:
    busy = lane()
    answer(busy, throttled(3600), 0, "phone")
    found = busy.obstacle("phone", KEY, 0, 59)
    assert found is not None
    assert found.until == 59
    assert busy.obstacle("phone", KEY, 59, 59) is None


def test_a_subscription_that_is_accepted_again_is_not_held_any_longer() -> None:
    busy = lane()
    answer(busy, throttled(3600), 0, "phone")
    answer(busy, ACCEPTED, 1, "phone")
    assert busy.obstacle("phone", KEY, 1, FAR) is None


@pytest.mark.parametrize(
    ("answers", "until"),
    [
        ([(0, "a", 30), (5, "b", 90), (9.9, "c", 40)], 95.0),
        ([(0, "a", 30), (0, "a", 30), (0, "a", 30), (0, "b", 30)], None),
        ([(0, "a", 30), (5, "b", 30), (10.1, "c", 30)], None),
        ([(0, "a", None), (0, "b", None), (0, "c", None)], USUAL_HOLD_S),
        ([(0, "a", 1e9), (0, "b", 1e9), (0, "c", 1e9)], LONGEST_THROTTLE_S),
    ],
    ids=["three of three devices", "four of two", "three not within ten seconds", "without a time", "for ever"],
)
def test_three_subscriptions_that_are_throttled_together_throttle_the_lane(
    answers: list[tuple[float, str, float | None]], until: float | None
) -> None:
    busy = lane()
    for now, subscription, retry_after_s in answers:
        answer(busy, throttled(retry_after_s), now, subscription)
    now = answers[-1][0]
    if until is None:
        assert state(busy, now) is LaneState.OPEN
        return
    condition = busy.condition(now)
    assert (condition.state, condition.since, condition.until) == (LaneState.THROTTLED, now, until)
    assert "Too many requests." in condition.reason
    assert (busy.room(now), busy.next_at(now)) == (0, until)
    assert (state(busy, until), busy.room(until)) == (LaneState.OPEN, 100)


def test_what_was_under_way_can_lengthen_a_throttle_and_never_shortens_it() -> None:
    busy = lane()
    slots = [busy.start(f"device-{number}", KEY, 0) for number in range(9)]
    for slot, seconds in zip(slots, [60, 60, 60, 5, 5, 5, 120, 5, 5], strict=True):
        busy.finish(slot, throttled(seconds), 1)
    condition = busy.condition(1)
    assert (condition.since, condition.until) == (1, 121)


@pytest.mark.parametrize(
    ("faults", "others", "breaks"),
    [(20, 0, True), (19, 0, False), (10, 10, True), (10, 11, False), (500, 499, True)],
)
def test_faults_that_are_half_of_at_least_twenty_answers_break_the_lane(
    faults: int, others: int, *, breaks: bool
) -> None:
    shaky = lane()
    # What was under way before it broke counts no more: they are all under way at once.
    slots = [shaky.start(f"device-{number}", KEY, 0) for number in range(faults + others)]
    for slot in slots[:others]:
        shaky.finish(slot, ACCEPTED, 1)
    for slot in slots[others:]:
        shaky.finish(slot, TRANSIENT, 1)
    assert state(shaky, 1) is (LaneState.BROKEN if breaks else LaneState.OPEN)


def test_faults_of_more_than_half_a_minute_ago_count_no_more() -> None:
    shaky = lane()
    for number in range(19):
        answer(shaky, TRANSIENT, 0, f"device-{number}")
    answer(shaky, TRANSIENT, 30, "phone")
    assert state(shaky, 30) is LaneState.OPEN


def test_a_broken_lane_is_tried_with_one_at_a_time_ever_more_seldom_and_a_success_opens_it() -> None:
    failing = broken_at(0)
    now, waits = 0.0, []
    for _ in range(9):
        until = failing.condition(now).until
        assert until is not None
        waits.append(until - now)
        assert (failing.room(until - 0.1), failing.next_at(now)) == (0, until)
        assert failing.room(until) == 1
        slot = failing.start("phone", KEY, until)
        assert (failing.room(until), failing.next_at(until)) == (0, None)
        now = until + 1
        failing.finish(slot, TRANSIENT, now)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    condition = failing.condition(now)
    assert (condition.state, condition.since) == (LaneState.BROKEN, 0)
    assert "did not answer in time" in condition.reason
    answer(failing, Verdict(Outcome.GONE, "Unregistered"), now + 300)
    assert (state(failing, now + 300), failing.room(now + 300)) == (LaneState.OPEN, 100)


def test_an_answer_to_what_was_sent_before_the_lane_broke_does_not_open_it() -> None:
    failing = lane()
    early = failing.start("early", KEY, 0)
    for number in range(20):
        answer(failing, TRANSIENT, 1, f"device-{number}")
    failing.finish(early, ACCEPTED, 2)
    assert state(failing, 2) is LaneState.BROKEN


def test_a_trial_that_was_not_sent_is_followed_by_another() -> None:
    failing = broken_at(0)
    answer(failing, None, 5)
    assert failing.room(5) == 1


def test_a_key_is_stopped_when_three_subscriptions_were_refused_as_our_mistake() -> None:
    refused = stopped_at(0)
    found = refused.obstacle("another", KEY, 1, FAR)
    assert found is not None
    assert (found.key, found.until) == (KEY, None)
    assert "BadJwtToken" in found.reason
    assert refused.obstacle("another", OTHER_KEY, 1, FAR) is None
    ((key, since, _, until),) = refused.condition(1).stopped
    assert (key, since, until) == (KEY, 0, TRIAL_S)
    # The service itself is as it was.
    assert (state(refused, 1), refused.room(1)) == (LaneState.OPEN, 100)


@pytest.mark.parametrize(
    "before",
    [
        [("a", OURS), ("a", OURS), ("a", OURS), ("b", OURS)],
        [("a", OURS), ("b", OURS), ("c", ACCEPTED), ("d", OURS)],
    ],
    ids=["of two devices", "a success between"],
)
def test_a_key_is_not_stopped_by_less(before: list[tuple[str, Verdict]]) -> None:
    refused = lane()
    for subscription, verdict in before:
        answer(refused, verdict, 0, subscription)
    assert refused.obstacle("another", KEY, 1, FAR) is None


def test_of_a_stopped_key_one_is_tried_every_ten_minutes_until_it_is_accepted() -> None:
    refused = stopped_at(0)
    assert refused.keys.to_try(TRIAL_S - 1) == []
    assert refused.keys.next_trial_at == TRIAL_S
    for moment in (TRIAL_S, 2 * TRIAL_S):
        assert refused.keys.to_try(moment) == [KEY]
        # Nobody may have been there to be tried: it is asked for again in another ten minutes.
        assert refused.keys.to_try(moment) == []
        slot = refused.start("another", KEY, moment)
        assert refused.obstacle("one more", KEY, moment, FAR) is not None
        refused.finish(slot, OURS, moment)
        assert refused.obstacle("one more", KEY, moment, FAR) is not None
    answer(refused, ACCEPTED, 3 * TRIAL_S)
    assert refused.obstacle("one more", KEY, 3 * TRIAL_S, FAR) is None
    assert (refused.keys.freed, refused.condition(3 * TRIAL_S).stopped) == ({KEY}, ())


@pytest.mark.parametrize(
    ("verdict", "again_at"),
    [(None, TRIAL_S), (Verdict(Outcome.GONE, "Unregistered"), 2 * TRIAL_S), (TRANSIENT, 2 * TRIAL_S)],
    ids=["not sent", "gone", "no answer"],
)
def test_a_trial_that_says_nothing_of_the_key_leaves_it_stopped(verdict: Verdict | None, again_at: float) -> None:
    refused = stopped_at(0)
    answer(refused, verdict, TRIAL_S)
    assert [stop.key for stop in refused.condition(TRIAL_S).stopped] == [KEY]
    assert refused.keys.next_trial_at == again_at


def test_what_was_refused_after_its_key_was_stopped_does_not_put_off_the_trial() -> None:
    refused = lane()
    slots = [refused.start(f"device-{number}", KEY, 0) for number in range(9)]
    for moment, slot in enumerate(slots):
        refused.finish(slot, OURS, moment)
    assert refused.condition(9).stopped[0].until == 2 + TRIAL_S


def test_a_paused_lane_waits_for_its_operator_whatever_else_is_wrong() -> None:
    failing = broken_at(0)
    failing.pause(3)
    condition = failing.condition(4)
    assert (condition.state, condition.since, condition.until) == (LaneState.PAUSED, 3, None)
    assert (failing.room(1000), failing.next_at(1000)) == (0, None)
    failing.pause(5)
    assert failing.condition(5).since == 3
    failing.reset()
    assert state(failing, 5) is LaneState.PAUSED
    failing.resume()
    assert (state(failing, 5), failing.room(5)) == (LaneState.OPEN, 100)


def test_a_reset_forgets_what_was_wrong_and_what_was_under_way_is_no_trial_any_longer() -> None:
    failing = stopped_at(0)
    for number in range(3):
        answer(failing, throttled(600), 1, f"device-{number}")
    for number in range(20):
        answer(failing, TRANSIENT, 1, f"device-{number}", OTHER_KEY)
    trial: Slot = failing.start("another", KEY, TRIAL_S + 1)
    failing.reset()
    condition = failing.condition(TRIAL_S + 1)
    assert (condition.state, condition.stopped, failing.room(TRIAL_S + 1)) == (LaneState.OPEN, (), 99)
    assert failing.obstacle("device-0", KEY, TRIAL_S + 1, FAR) is None
    assert failing.keys.freed == {KEY}
    failing.finish(trial, OURS, TRIAL_S + 2)
    assert failing.obstacle("phone", KEY, TRIAL_S + 2, FAR) is None


def test_no_more_subscriptions_are_remembered_than_there_is_memory_for() -> None:
    busy = lane()
    for number in range(2 * HELD):
        answer(busy, throttled(600), number * 11.0 / HELD, f"device-{number}")
    held = [number for number in range(2 * HELD) if busy.obstacle(f"device-{number}", KEY, 30, FAR) is not None]
    assert len(held) <= HELD
    # The latest ones, not the first.
    assert held == list(range(2 * HELD - len(held), 2 * HELD))
    assert len(held) > HELD / 2
