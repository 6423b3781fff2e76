"""What every database behind `Store` must do."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import (
    Delivery,
    DispatchKind,
    DispatchState,
    KeyState,
    Outcome,
    PageQuery,
    Service,
    SubscriptionState,
)
from pushdesk.paging import Order
from pushdesk.storage.generations import raise_epoch
from pushdesk.storage.records import (
    Accepted,
    Disabling,
    Ended,
    IdempotencyKey,
    Open,
    Settlement,
    Spread,
    StoredKey,
)
from pushdesk.storage.store import Store
from pushdesk.storage.times import to_datetime
from tests.contract.storing import CLAIM, NOW, find_gone, message, outcome, put, spread, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


BY_CREATION = Order.of(PageQuery(), ["created_at"], default="-created_at")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(tmp_path / "pushdesk.db") as opened:
        yield opened


@contextmanager
def broken(path: Path, table: str) -> Iterator[None]:
    """Make every insert into a table fail, as a broken disk would."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(
            text(f"CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END")
        )
    yield
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER broken"))
    engine.dispose()


def sending(dispatch: str, user: str) -> Delivery:
    """Return a delivery of a dispatch as it is made."""
    now = to_datetime(NOW)
    return Delivery(
        id=f"{dispatch}-delivery",
        dispatch=dispatch,
        user=user,
        subscription="id-one" if user == "ada" else "id-two",
        service=Service.MOZILLA,
        outcome=Outcome.WAITING,
        next_attempt_at=now,
        at=now,
    )


class TestSubscriptions:
    async def test_a_new_one_is_active_and_a_target(self, store: Store) -> None:
        stored = await store.subscriptions.put(subscription(), replaces=None, max_per_user=10, now_ms=NOW)
        assert (stored.created, stored.revived, stored.subscription.state) == (True, False, SubscriptionState.ACTIVE)
        (target,) = (await store.subscriptions.targets(["ada"]))["ada"].targets
        assert (target.endpoint, target.p256dh, target.auth) == ("https://push.example/one", b"p" * 65, b"a" * 16)
        assert "push.example" not in repr(target)

    async def test_the_same_again_changes_nothing(self, store: Store) -> None:
        await put(store, subscription())
        before = await store.subscriptions.targets(["ada"])
        stored = await store.subscriptions.put(
            replace(subscription(), id="other"), replaces=None, max_per_user=10, now_ms=NOW
        )
        assert not stored.created
        assert not stored.changed
        assert await store.subscriptions.targets(["ada"]) == before

    async def test_other_keys_for_a_known_endpoint_are_refused(self, store: Store) -> None:
        await put(store, subscription())
        before = await store.subscriptions.targets(["ada", "bo"])
        with pytest.raises(PushdeskError) as refused:
            await put(store, replace(subscription(user="bo"), auth=b"b" * 16))
        assert refused.value.code == "endpoint_taken"
        assert await store.subscriptions.targets(["ada", "bo"]) == before

    async def test_the_same_keys_under_another_user_move_it_and_raise_both_generations(self, store: Store) -> None:
        await put(store, subscription())
        before = (await store.subscriptions.targets(["ada"]))["ada"].generation
        await put(store, subscription(user="bo"))
        after = await store.subscriptions.targets(["ada", "bo"])
        assert [len(after[user].targets) for user in ("ada", "bo")] == [0, 1]
        assert after["ada"].generation > before
        assert after["bo"].generation > before

    async def test_a_replaced_one_goes_in_the_same_breath(self, store: Store) -> None:
        await put(store, subscription("old"))
        stored = await store.subscriptions.put(
            subscription("new"), replaces="https://push.example/old", max_per_user=1, now_ms=NOW
        )
        assert [removed.id for removed in stored.removed] == ["id-old"]
        assert [target.subscription for target in (await store.subscriptions.targets(["ada"]))["ada"].targets] == [
            "id-new"
        ]

    async def test_only_ones_own_is_replaced(self, store: Store) -> None:
        await put(store, subscription("theirs", user="bo"))
        await put(store, subscription("mine"), replaces="https://push.example/theirs")
        assert len((await store.subscriptions.targets(["bo"]))["bo"].targets) == 1

    async def test_one_over_the_cap_is_refused_and_leaves_no_user_behind(self, store: Store) -> None:
        with pytest.raises(PushdeskError) as refused:
            await store.subscriptions.put(subscription(), replaces=None, max_per_user=0, now_ms=NOW)
        assert refused.value.code == "forbidden"
        assert await store.subscriptions.totals() == (0, 0)

    async def test_another_key_counts_only_when_the_browser_declares_it(self, store: Store) -> None:
        await put(store, subscription(key="key1"))
        await put(store, subscription(key="key2"))
        assert (await store.subscriptions.find("ada", "https://push.example/one")).key_id == "key1"
        await put(store, replace(subscription(key="key2"), key_is_declared=True))
        assert (await store.subscriptions.find("ada", "https://push.example/one")).key_id == "key2"

    async def test_one_that_is_withdrawn_leaves_nothing_behind(self, store: Store) -> None:
        stored = await put(store, subscription())
        await find_gone(store, stored)
        assert await store.subscriptions.withdraw(stored)
        assert await store.subscriptions.totals() == (0, 0)
        assert (await store.listings.subscriptions(PageQuery())).items == ()
        assert (await store.listings.dispatches(PageQuery())).items == ()
        assert (await store.listings.deliveries(PageQuery())).items == ()
        assert not await store.subscriptions.withdraw(stored)

    async def test_a_user_who_was_there_before_stays_when_one_is_withdrawn(self, store: Store) -> None:
        await put(store, subscription("one"))
        stored = await put(store, subscription("two"))
        await find_gone(store, stored)
        assert await store.subscriptions.withdraw(stored)
        assert await store.subscriptions.totals() == (1, 1)

    async def test_one_that_can_be_pushed_to_is_not_withdrawn(self, store: Store) -> None:
        stored = await put(store, subscription())
        assert not await store.subscriptions.withdraw(stored)
        assert await store.subscriptions.totals() == (1, 1)

    @pytest.mark.parametrize("user", ["ada", "bo"])
    async def test_one_that_was_subscribed_with_again_is_not_withdrawn(self, store: Store, user: str) -> None:
        stored = await put(store, subscription())
        await find_gone(store, stored)
        assert (await put(store, subscription(user=user))).revived
        assert not await store.subscriptions.withdraw(stored)
        (target,) = (await store.subscriptions.targets([user]))[user].targets
        assert target.subscription == stored.subscription.id

    async def test_one_that_was_subscribed_with_again_is_not_withdrawn_when_it_is_gone_again(
        self, store: Store
    ) -> None:
        stored = await put(store, subscription())
        await find_gone(store, stored)
        again = await put(store, subscription())
        (job,) = await spread(store, message())
        await store.outbox.settle([outcome(job, Outcome.GONE)], CLAIM, NOW)
        for one in (stored, again):
            assert not await store.subscriptions.withdraw(one)
        (left,) = (await store.listings.subscriptions(PageQuery())).items
        assert left.state is SubscriptionState.GONE

    async def test_removing_is_by_owner(self, store: Store) -> None:
        await put(store, subscription())
        with pytest.raises(PushdeskError) as missing:
            await store.subscriptions.remove("bo", "https://push.example/one")
        assert missing.value.code == "subscription_not_found"
        await store.subscriptions.remove("ada", "https://push.example/one")
        with pytest.raises(PushdeskError):
            await store.subscriptions.find("ada", "https://push.example/one")

    async def test_generations_rise_with_every_change(self, store: Store) -> None:
        seen = []
        await put(store, subscription("one"))
        seen.append((await store.subscriptions.targets(["ada"]))["ada"].generation)
        await put(store, subscription("two"))
        seen.append((await store.subscriptions.targets(["ada"]))["ada"].generation)
        await store.subscriptions.remove("ada", "https://push.example/one")
        seen.append((await store.subscriptions.targets(["ada"]))["ada"].generation)
        await store.subscriptions.remove_ids(["id-two", "unknown"])
        seen.append((await store.subscriptions.targets(["ada"]))["ada"].generation)
        assert seen == sorted(set(seen))

    async def test_a_token_belongs_to_its_subscription(self, store: Store) -> None:
        await put(store, subscription())
        assert await store.subscriptions.token_digest("id-one") == ("ada", b"t" * 32)
        assert await store.subscriptions.token_digest("unknown") is None


class TestKeys:
    async def test_a_new_current_key_retires_the_one_before(self, store: Store) -> None:
        for number, name in enumerate(("first", "second")):
            await store.keys.make_current(StoredKey(name, f"public {name}", b"pem", KeyState.CURRENT, NOW + number))
        assert [(key.id, key.state) for key in await store.keys.all()] == [
            ("second", KeyState.CURRENT),
            ("first", KeyState.RETIRING),
        ]

    async def test_the_listing_is_paged(self, store: Store) -> None:
        for number in range(3):
            await store.keys.make_current(StoredKey(f"k{number}", f"p{number}", b"pem", KeyState.CURRENT, NOW + number))
        first = await store.listings.keys(PageQuery(limit=2))
        second = await store.listings.keys(PageQuery(limit=2, cursor=first.next))
        assert [key.id for key in (*first.items, *second.items)] == ["k2", "k1", "k0"]
        assert second.next is None
        assert [key.id for key in (await store.listings.keys(PageQuery(filter="k1"))).items] == ["k1"]


class TestOutbox:
    async def test_what_was_accepted_is_there_after_the_store_was_closed(self, tmp_path: Path) -> None:
        async with Store(tmp_path / "pushdesk.db") as first:
            await first.outbox.accept([message()])
        async with Store(tmp_path / "pushdesk.db") as second:
            assert (await second.outbox.due(NOW, 10)).opened == (Open(message(), floor=0),)

    async def test_a_known_idempotency_key_stores_nothing(self, store: Store) -> None:
        key = IdempotencyKey("admin", "k", b"d" * 32)
        assert (await store.outbox.accept([message("first", key=key)])).repeats == {}
        repeats = (await store.outbox.accept([message("second", key=key), message("third")])).repeats
        assert repeats == {"second": ("first", b"d" * 32)}
        assert [found.message.id for found in (await store.outbox.due(NOW, 10)).opened] == ["first", "third"]

    async def test_two_of_one_key_in_one_batch_store_one(self, store: Store) -> None:
        key = IdempotencyKey("admin", "k", b"d" * 32)
        repeats = (await store.outbox.accept([message("first", key=key), message("second", key=key)])).repeats
        assert repeats == {"second": ("first", b"d" * 32)}

    async def test_an_idempotency_key_is_forgotten_after_a_day(self, store: Store) -> None:
        key = IdempotencyKey("admin", "k", b"d" * 32)
        await store.outbox.accept([message("first", key=key)])
        later = replace(message("second", key=key), accepted_at_ms=NOW + 24 * 3_600_000 + 1)
        assert (await store.outbox.accept([later])).repeats == {}

    async def test_what_is_accepted_can_be_spread_by_the_same_transaction(self, store: Store) -> None:
        key = IdempotencyKey("admin", "k", b"d" * 32)
        await put(store, subscription("one"))
        await put(store, subscription("two", "bob"))
        await put(store, subscription("three", "bob"))
        await store.outbox.accept([message("first", key=key)])
        new = Spread(
            [sending(name, user) for name, user in (("fresh", "ada"), ("again", "ada"), ("changed", "bob"))],
            frozenset({"empty", "unknown"}),
            {"fresh-delivery": CLAIM, "again-delivery": CLAIM, "changed-delivery": CLAIM},
            {},
            {},
        )
        batch = [
            message("fresh"),
            message("again", key=key),
            message("changed", "bob"),
            message("empty", "cy"),
            message("unknown", "dan"),
            message("waits", "ada"),
        ]
        # As they were when ada had her device, and bob the first of his; and cy none, later than that.
        known = {"ada": 1, "bob": 2, "cy": 3, "dan": 0}
        accepted = await store.outbox.accept(batch, 0, new, known, NOW)
        assert accepted == Accepted({"again": ("first", b"d" * 32)}, frozenset({"changed"}), Ended())
        states = {
            name: (await store.listings.dispatch(name)).state for name in ("fresh", "changed", "empty", "unknown")
        }
        assert states == {
            "fresh": DispatchState.SENDING,
            "changed": DispatchState.QUEUED,
            "empty": DispatchState.DONE,
            "unknown": DispatchState.DONE,
        }
        due = await store.outbox.due(NOW, 10)
        assert [found.message.id for found in due.opened] == ["changed", "first", "waits"]
        assert due.deliveries_ms == {}
        assert await store.outbox.backlog(CLAIM) == (3, {Service.MOZILLA: 1})

    async def test_after_the_epoch_was_raised_nothing_is_spread_that_was_looked_up_before(self, store: Store) -> None:
        await put(store, subscription("one"))
        async with store._database.write() as transaction:
            await raise_epoch(transaction)
        new = Spread([sending("m1", "ada")], frozenset({"m2"}), {}, {}, {})
        accepted = await store.outbox.accept([message(), message("m2", "cy")], 0, new, {"ada": 1, "cy": 1}, NOW)
        assert accepted.outdated == {"m1", "m2"}
        assert len((await store.outbox.due(NOW, 10)).opened) == 2

    async def test_one_that_is_due_later_is_not_open_yet(self, store: Store) -> None:
        await store.outbox.accept([message(due=NOW + 1000)])
        assert (await store.outbox.due(NOW, 10)).opened == ()
        assert (await store.outbox.due(NOW, 10))[:2] == (NOW + 1000, {})
        assert (await store.listings.dispatch("m1")).state is DispatchState.SCHEDULED

    async def test_when_there_is_more_is_told_of_what_was_not_returned(self, store: Store) -> None:
        await store.outbox.accept([message("first"), message("second"), message("later", due=NOW + 1000)])
        assert (await store.outbox.due(NOW, 10)).dispatch_ms == NOW + 1000
        assert (await store.outbox.due(NOW, 1)).dispatch_ms == NOW
        assert (await store.outbox.due(NOW + 1000, 10)).dispatch_ms is None

    async def test_only_what_is_scheduled_for_later_is_released_and_takes_another_message(self, store: Store) -> None:
        await store.outbox.accept([message(due=NOW + 1000)])
        assert not await store.outbox.release("m1", b"too late", NOW + 1000)
        (due,) = (await store.outbox.due(NOW + 1000, 10)).opened
        assert due.message.plaintext == b"{}"
        assert (await store.listings.dispatch("m1")).state is DispatchState.SCHEDULED
        assert await store.outbox.release("m1", b"in time", NOW + 999)
        (due,) = (await store.outbox.due(NOW + 999, 10)).opened
        assert due.message.plaintext == b"in time"
        assert (await store.listings.dispatch("m1")).state is DispatchState.QUEUED
        assert not await store.outbox.release("m1", b"again", NOW)

    async def test_what_is_spread_is_not_released(self, store: Store) -> None:
        await put(store, subscription())
        await spread(store, message(due=NOW + 1000))
        assert not await store.outbox.release("m1", b"other", NOW)
        await store.outbox.release_claims()
        (claimed,) = await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10)
        assert claimed.message.plaintext == b"{}"

    async def test_of_a_kind_only_what_is_scheduled_for_later_is_released(self, store: Store) -> None:
        await store.outbox.accept([message("early", due=NOW + 1000), message("late", due=NOW + 3000)])
        await store.outbox.release_kind(DispatchKind.TURN, NOW + 2000)
        assert (await store.listings.dispatch("late")).state is DispatchState.SCHEDULED
        await store.outbox.release_kind(DispatchKind.NOTIFICATION, NOW + 2000)
        assert [each.message.id for each in (await store.outbox.due(NOW + 2000, 10)).opened] == ["early", "late"]
        assert (await store.listings.dispatch("early")).state is DispatchState.SCHEDULED
        assert (await store.listings.dispatch("late")).state is DispatchState.QUEUED

    async def test_a_dispatch_without_devices_is_done(self, store: Store) -> None:
        await store.outbox.accept([message()])
        await store.outbox.spread([], ["m1"], {})
        assert (await store.listings.dispatch("m1")).state is DispatchState.DONE

    async def test_settling_the_last_delivery_ends_the_dispatch(self, store: Store) -> None:
        await put(store, subscription("one"))
        await put(store, subscription("two"))
        first, second = await spread(store, message())
        settled = await store.outbox.settle([outcome(first, Outcome.ACCEPTED)], CLAIM, NOW)
        assert settled.done == ()
        settled = await store.outbox.settle([outcome(second, Outcome.REFUSED)], CLAIM, NOW)
        assert [done.id for done in settled.done] == ["m1"]
        dispatch = await store.listings.dispatch("m1")
        assert dispatch.counts == {Outcome.ACCEPTED: 1, Outcome.REFUSED: 1}
        assert dispatch.state is DispatchState.DONE
        assert await store.outbox.backlog() == (0, {})

    async def test_a_delivery_under_another_claim_is_left_alone(self, store: Store) -> None:
        await put(store, subscription())
        (job,) = await spread(store, message())
        await store.outbox.settle([outcome(job, Outcome.ACCEPTED)], "another claim", NOW)
        assert (await store.listings.dispatch("m1")).counts == {Outcome.WAITING: 1}

    async def test_claimed_deliveries_are_claimed_once_and_freed_by_the_next_process(self, store: Store) -> None:
        await put(store, subscription())
        (job,) = await spread(store, message())
        assert await store.outbox.claim("other", Service.MOZILLA, NOW, 10) == ()
        await store.outbox.release_claims()
        (again,) = await store.outbox.claim("other", Service.MOZILLA, NOW, 10)
        assert (again.delivery.id, again.message) == (job.delivery.id, job.message)
        assert await store.outbox.claim("third", Service.MOZILLA, NOW, 10) == ()

    async def test_what_is_worked_on_stays_claimed_and_may_change_while_the_rest_is_freed(self, store: Store) -> None:
        class Changing(set[str]):
            """Changes while it is gone through, as one does that another thread adds to."""

            def __iter__(self) -> Iterator[str]:
                for each in super().__iter__():
                    self.add(f"more than {len(self)}")
                    yield each

        await put(store, subscription("one"))
        await put(store, subscription("two"))
        first, second = await spread(store, message())
        await store.outbox.release_claims(Changing({first.delivery.id, "another"}))
        (freed,) = await store.outbox.claim("other", Service.MOZILLA, NOW, 10)
        assert freed.delivery.id == second.delivery.id

    async def test_a_retry_is_claimed_when_it_is_due(self, store: Store) -> None:
        await put(store, subscription())
        (job,) = await spread(store, message())
        await store.outbox.settle([outcome(job, Outcome.TRANSIENT, retry_at=NOW + 5000)], CLAIM, NOW)
        assert (await store.outbox.due(NOW, 10))[:2] == (None, {Service.MOZILLA: NOW + 5000})
        assert await store.outbox.backlog() == (0, {Service.MOZILLA: 1})
        assert await store.outbox.claim(CLAIM, Service.MOZILLA, NOW + 4999, 10) == ()
        (again,) = await store.outbox.claim(CLAIM, Service.MOZILLA, NOW + 5000, 10)
        assert again.delivery.attempts == 1

    async def test_what_is_open_or_claimed_tells_the_generation_that_was_seen(self, store: Store) -> None:
        await store.outbox.accept([message("nobody's", user="bo")])
        await put(store, subscription("one"))
        await put(store, subscription("two"))
        await spread(store, message("first"))
        await store.outbox.accept([message("second")])
        await store.outbox.release_claims()
        opened = (await store.outbox.due(NOW, 10)).opened
        claimed = await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10)
        assert {item.message.id: item.floor for item in opened} == {"nobody's": 0, "second": 2}
        assert [item.floor for item in claimed] == [2, 2]

    async def test_a_claim_of_a_user_who_is_no_longer_known_asks_for_no_generation(self, store: Store) -> None:
        stored = await put(store, subscription())
        await spread(store, message())
        await store.outbox.release_claims()
        await find_gone(store, stored)
        await store.subscriptions.withdraw(stored)
        (claimed,) = await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10)
        assert claimed.floor == 0

    async def test_a_delivery_whose_subscription_was_removed_is_cancelled(self, store: Store) -> None:
        await put(store, subscription())
        (job,) = await spread(store, message())
        await store.subscriptions.remove_ids(["id-one"])
        (lost,) = await store.outbox.lost([job.delivery], NOW)
        assert (lost.delivery.outcome, lost.delivery.next_attempt_at) == (Outcome.CANCELLED, None)

    async def test_a_delivery_whose_subscription_moved_to_another_user_is_cancelled(self, store: Store) -> None:
        await put(store, subscription(user="ada"))
        (job,) = await spread(store, message(user="ada"))
        await put(store, subscription(user="bo"))
        (lost,) = await store.outbox.lost([job.delivery], NOW)
        assert lost.delivery.outcome is Outcome.CANCELLED

    @pytest.mark.parametrize(
        ("state", "expected"),
        [(SubscriptionState.GONE, Outcome.GONE), (SubscriptionState.KEY_MISMATCH, Outcome.KEY_MISMATCH)],
    )
    async def test_a_delivery_whose_subscription_was_disabled_ends_as_that_did(
        self, store: Store, state: SubscriptionState, expected: Outcome
    ) -> None:
        await put(store, subscription())
        (first,) = await spread(store, message("first"))
        (second,) = await spread(store, message("second"))
        disabling = Disabling("id-one", first.target.version, state)
        await store.outbox.settle([Settlement(outcome(first, expected).delivery, disabling)], CLAIM, NOW)
        (lost,) = await store.outbox.lost([second.delivery], NOW)
        assert lost.delivery.outcome is expected

    async def test_a_delivery_whose_subscription_is_active_again_is_given_back(self, store: Store) -> None:
        await put(store, subscription())
        (job,) = await spread(store, message())
        await store.outbox.settle([outcome(job, Outcome.TRANSIENT, retry_at=NOW)], CLAIM, NOW)
        (claimed,) = await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10)
        await store.outbox.settle(await store.outbox.lost([claimed.delivery], NOW), CLAIM, NOW)
        assert await store.outbox.claim(CLAIM, Service.MOZILLA, NOW, 10) == (claimed,)
        assert (await store.subscriptions.find("ada", "https://push.example/one")).failures == 1

    async def test_what_is_spread_without_a_claim_can_be_claimed(self, store: Store) -> None:
        await put(store, subscription("one"))
        await put(store, subscription("two"))
        accepted = message()
        await store.outbox.accept([accepted])
        targets = (await store.subscriptions.targets(["ada"]))["ada"].targets
        made = [
            Delivery(
                id=f"d-{target.subscription}",
                dispatch=accepted.id,
                user="ada",
                subscription=target.subscription,
                service=target.service,
                outcome=Outcome.WAITING,
                at=to_datetime(NOW),
            )
            for target in targets
        ]
        await store.outbox.spread(made, [], {made[0].id: CLAIM})
        claimed = await store.outbox.claim("other", Service.MOZILLA, NOW, 10)
        assert [item.delivery.id for item in claimed] == [made[1].id]

    async def test_the_deliveries_of_a_dispatch_are_paged(self, store: Store) -> None:
        for number in range(205):
            await store.subscriptions.put(subscription(f"s{number:03}"), replaces=None, max_per_user=1000, now_ms=NOW)
        await spread(store, message())
        first = await store.listings.dispatch("m1")
        assert (len(first.deliveries), first.counts) == (200, {Outcome.WAITING: 205})
        second = await store.listings.dispatch("m1", first.next)
        assert (len(second.deliveries), second.next, second.counts) == (5, None, first.counts)
        assert len({delivery.id for delivery in (*first.deliveries, *second.deliveries)}) == 205

    async def test_listed_dispatches_are_counted(self, store: Store) -> None:
        await put(store, subscription())
        (job,) = await spread(store, message())
        await store.outbox.settle([outcome(job, Outcome.ACCEPTED)], CLAIM, NOW)
        (listed,) = (await store.listings.dispatches(PageQuery())).items
        assert (listed.counts, listed.deliveries) == ({Outcome.ACCEPTED: 1}, ())

    async def test_a_gone_device_is_disabled_and_the_users_generation_raised(self, store: Store) -> None:
        await put(store, subscription("one"))
        await put(store, subscription("two"))
        before = (await store.subscriptions.targets(["ada"]))["ada"].generation
        first, second = await spread(store, message())
        settled = await store.outbox.settle(
            [outcome(first, Outcome.GONE), outcome(second, Outcome.ACCEPTED)], CLAIM, NOW
        )
        assert [(gone.id, gone.state, gone.failures) for gone in settled.disabled] == [
            ("id-one", SubscriptionState.GONE, 1)
        ]
        after = (await store.subscriptions.targets(["ada"]))["ada"]
        assert [target.subscription for target in after.targets] == ["id-two"]
        assert after.generation > before

    async def test_a_late_answer_disables_nobody_who_has_subscribed_again(self, store: Store) -> None:
        await put(store, subscription(key="key1"))
        (job,) = await spread(store, message())
        await put(store, replace(subscription(key="key2"), key_is_declared=True))
        settled = await store.outbox.settle([outcome(job, Outcome.GONE)], CLAIM, NOW)
        assert settled.disabled == ()
        assert len((await store.subscriptions.targets(["ada"]))["ada"].targets) == 1

    async def test_a_gone_one_that_subscribes_again_is_revived(self, store: Store) -> None:
        await put(store, subscription())
        (job,) = await spread(store, message())
        await store.outbox.settle([outcome(job, Outcome.GONE)], CLAIM, NOW)
        stored = await store.subscriptions.put(subscription(), replaces=None, max_per_user=10, now_ms=NOW)
        assert (stored.created, stored.revived, stored.subscription.failures) == (False, True, 0)

    async def test_a_success_is_written_at_most_once_an_hour(self, store: Store) -> None:
        await put(store, subscription())
        for number, at in enumerate((NOW, NOW + 1000, NOW + 3_600_001)):
            (job,) = await spread(store, message(f"m{number}"))
            await store.outbox.settle([outcome(job, Outcome.ACCEPTED)], CLAIM, at)
            found = await store.subscriptions.find("ada", "https://push.example/one")
            assert found.last_success_at == to_datetime(NOW if number < 2 else at)

    async def test_a_success_after_a_failure_is_written_at_once_and_ends_the_failures(self, store: Store) -> None:
        await put(store, subscription("one"))
        await put(store, subscription("two", user="bo"))
        for number, result in enumerate((Outcome.ACCEPTED, Outcome.REFUSED, Outcome.REFUSED, Outcome.ACCEPTED)):
            for user in ("ada", "bo"):
                (job,) = await spread(store, message(f"m{number} {user}", user))
                what = result if user == "ada" else Outcome.ACCEPTED
                await store.outbox.settle([outcome(job, what)], CLAIM, NOW + number)
        one, two = (await store.listings.subscriptions(PageQuery(sort="user"))).items
        assert (one.failures, one.last_success_at) == (0, to_datetime(NOW + 3))
        assert one.last_failure_at == to_datetime(NOW + 2)
        assert (two.failures, two.last_success_at, two.last_failure_at) == (0, to_datetime(NOW), None)


class TestListings:
    async def test_pages_hold_everything_once_in_order(self, store: Store) -> None:
        for number in range(7):
            await put(store, subscription(f"s{number}", user=f"user{number % 3}"))
        for sort in ("", "user", "-user", "created_at", "state", "-failures", "service"):
            found: list[str] = []
            cursor = None
            while True:
                page = await store.listings.subscriptions(PageQuery(cursor=cursor, limit=2, sort=sort))
                found += [item.id for item in page.items]
                if (cursor := page.next) is None:
                    break
            assert len(found) == len(set(found)) == 7, sort

    async def test_descending_is_ascending_backwards(self, store: Store) -> None:
        for name in ("cy", "ada", "bo"):
            await put(store, subscription(name, user=name))
        up = await store.listings.users(PageQuery(sort="id"))
        down = await store.listings.users(PageQuery(sort="-id"))
        assert [user.id for user in up.items] == ["ada", "bo", "cy"]
        assert down.items == up.items[::-1]

    async def test_filters_take_what_was_typed_literally(self, store: Store) -> None:
        for name in ("a%b", "a_b", "axb"):
            await put(store, subscription(name, user=name))
        assert [user.id for user in (await store.listings.users(PageQuery(filter="a%"))).items] == ["a%b"]
        found = await store.listings.subscriptions(PageQuery(filter="_b"))
        assert [item.user for item in found.items] == ["a_b"]

    async def test_filters_know_case_as_ids_do(self, store: Store) -> None:
        for name in ("Ada", "ada"):
            await put(store, subscription(name, user=name))
        assert [user.id for user in (await store.listings.users(PageQuery(filter="A"))).items] == ["Ada"]
        found = await store.listings.subscriptions(PageQuery(filter="ad"))
        assert [item.user for item in found.items] == ["ada"]

    async def test_deliveries_can_be_filtered_by_subscription(self, store: Store) -> None:
        await put(store, subscription("one"))
        await put(store, subscription("two"))
        _, second = await spread(store, message())
        found = await store.listings.deliveries(PageQuery(filter=f"subscription:{second.target.subscription}"))
        assert [item.id for item in found.items] == [second.delivery.id]

    async def test_deliveries_can_be_filtered_by_outcome(self, store: Store) -> None:
        await put(store, subscription("one"))
        await put(store, subscription("two"))
        first, second = await spread(store, message())
        await store.outbox.settle([outcome(first, Outcome.ACCEPTED), outcome(second, Outcome.REFUSED)], CLAIM, NOW)
        found = await store.listings.deliveries(PageQuery(filter="refused"))
        assert [item.id for item in found.items] == [second.delivery.id]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            (PageQuery(sort="endpoint"), "sort"),
            (PageQuery(cursor="!"), "cursor"),
            (PageQuery(cursor="W10"), "cursor"),
            (PageQuery(cursor=BY_CREATION.cursor(2**63, "x")), "cursor"),
            (PageQuery(cursor=Order.of(PageQuery(), ["user"], default="user").cursor("ada", "x")), "cursor"),
        ],
    )
    async def test_a_sort_or_cursor_that_is_not_known_is_named(
        self, store: Store, query: PageQuery, field: str
    ) -> None:
        with pytest.raises(PushdeskError) as refused:
            await store.listings.subscriptions(query)
        assert (refused.value.code, refused.value.fields) == ("bad_field", (field,))

    async def test_an_unknown_dispatch_is_not_found(self, store: Store) -> None:
        with pytest.raises(PushdeskError) as missing:
            await store.listings.dispatch("unknown")
        assert missing.value.code == "not_found"


class TestFile:
    async def test_nobody_else_can_read_it(self, tmp_path: Path) -> None:
        async with Store(tmp_path / "pushdesk.db") as store:
            await put(store, subscription())
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert modes == dict.fromkeys(("pushdesk.db", "pushdesk.db-wal", "pushdesk.db-shm"), 0o600)

    async def test_a_failed_change_changes_nothing_and_says_so_without_secrets(self, tmp_path: Path) -> None:
        async with Store(tmp_path / "pushdesk.db") as store:
            with broken(tmp_path / "pushdesk.db", "subscriptions"), pytest.raises(DatabaseError) as failed:
                await put(store, subscription())
            assert "push.example" not in str(failed.value)
            assert await store.subscriptions.totals() == (0, 0)

    @pytest.mark.parametrize("name", ["q?x.db", "p%41.db", "h#y.db", "a b.db"])
    async def test_any_name_will_do(self, tmp_path: Path, name: str) -> None:
        async with Store(tmp_path / name) as store:
            await put(store, subscription())
        assert (tmp_path / name).stat().st_size > 0

    async def test_a_file_that_is_no_database_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "pushdesk.db").write_text("this is no database, and long enough to be read as one\n" * 100)
        with pytest.raises(DatabaseError, match=r"pushdesk\.db cannot be opened: file is not a database"):
            async with Store(tmp_path / "pushdesk.db"):
                pass

    async def test_a_newer_schema_is_refused(self, tmp_path: Path) -> None:
        async with Store(tmp_path / "pushdesk.db"):
            pass
        engine = create_engine(f"sqlite:///{tmp_path / 'pushdesk.db'}")
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        engine.dispose()
        with pytest.raises(DatabaseError, match="newer version"):
            async with Store(tmp_path / "pushdesk.db"):
                pass
