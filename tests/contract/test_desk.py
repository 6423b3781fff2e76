"""What every `Desk` does alike: the engine, the same engine over HTTP, and the fake one of the console's tests."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from msgspec import structs

from pushdesk.client import HttpDesk
from pushdesk.desk import (
    CacheChanged,
    DeliveryChanged,
    DispatchChanged,
    Gap,
    Hello,
    KeyChanged,
    LogWritten,
    Position,
    SubscriptionChanged,
    SubscriptionRemoved,
)
from pushdesk.errors import PushdeskError
from pushdesk.model import (
    CacheChange,
    DispatchKind,
    DispatchState,
    KeyState,
    LaneState,
    LogLevel,
    Notification,
    Outcome,
    PageQuery,
    RestoreResult,
    Scope,
    Service,
    Span,
    SubscriptionKeys,
    SubscriptionRequest,
    SubscriptionState,
    Turn,
    TurnStatus,
    Urgency,
)
from tests.console.fake_desk import FakeDesk
from tests.server.running import ADMIN_TOKEN, browser_keys, running
from tests.vapid_key_texts import NODE_JSON, OPENSSL_P384, OPENSSL_PUBLIC_ONLY, PHP_JSON

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from pushdesk.desk import AnyEvent, Desk
    from pushdesk.model import Dispatch, Subscription, VapidKey
    from tests.server.running import Running

EVERYTHING = PageQuery()


class Bench(NamedTuple):
    """A desk to try, and the way in which browsers come to it."""

    desk: Desk
    subscribe: Callable[[str], Awaitable[Subscription]]
    write: Callable[[LogLevel, str, dict[str, Any]], None]
    """Writes a line to the log."""


@pytest.fixture(params=["engine", "http", "fake"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "fake":
        fake = FakeDesk()

        async def subscribe_to_fake(user: str) -> Subscription:
            return fake.subscribe(user)

        def write_to_fake(level: LogLevel, event: str, fields: dict[str, Any]) -> None:
            fake.write(event, level, **fields)

        yield Bench(fake, subscribe_to_fake, write_to_fake)
        return
    async with running(tmp_path) as server:
        if request.param == "engine":
            yield Bench(server.engine, subscriber(server), writer(server))
        else:
            async with HttpDesk(server.url, ADMIN_TOKEN) as desk:
                yield Bench(desk, subscriber(server), writer(server))


def writer(server: Running) -> Callable[[LogLevel, str, dict[str, Any]], None]:
    def write(level: LogLevel, event: str, fields: dict[str, Any]) -> None:
        server.log_ring.add(datetime.now(UTC), level, event, "test", fields)

    return write


def subscriber(server: Running) -> Callable[[str], Awaitable[Subscription]]:
    async def subscribe(user: str) -> Subscription:
        keys = browser_keys()
        endpoint = server.push_service.endpoint(keys["auth"])
        made = await server.engine.subscribe(user, SubscriptionRequest(endpoint, SubscriptionKeys(**keys)))
        return made.subscription

    return subscribe


async def code_of(question: Awaitable[object]) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(PushdeskError) as caught:
        await question
    assert caught.value.detail
    return caught.value.code, caught.value.fields


async def until(desk: Desk, kind: type[AnyEvent], *, after: Position | None = None) -> list[AnyEvent]:
    """Return the events of a stream up to the first batch that has one of a kind."""
    return await until_one(desk, lambda event: isinstance(event, kind), after=after)


async def until_one(desk: Desk, is_it: Callable[[AnyEvent], bool], *, after: Position | None = None) -> list[AnyEvent]:
    """Return the events of a stream up to the first batch that has the one that is waited for."""
    seen: list[AnyEvent] = []
    async with asyncio.timeout(10), aclosing(desk.events(after)) as events:
        async for batch in events:
            seen += batch
            if any(map(is_it, batch)):
                break
    return seen


async def position(desk: Desk) -> Position:
    hello = (await until(desk, Hello))[0]
    assert isinstance(hello, Hello)
    return Position(hello.epoch, hello.seq)


async def test_stats_count_users_and_subscriptions(bench: Bench) -> None:
    for user in ("anna", "anna", "bert"):
        await bench.subscribe(user)
    stats = await bench.desk.stats()
    assert (stats.users, stats.subscriptions) == (2, 3)
    current = [key.id for key in (await bench.desk.keys(EVERYTHING)).items if key.state is KeyState.CURRENT]
    assert [stats.key_id] == current


@pytest.mark.parametrize("span", list(Span))
async def test_a_history_has_the_same_steps_in_every_series(bench: Bench, span: Span) -> None:
    history = await bench.desk.history(span)
    assert history.span is span
    series = (history.p50_ms, history.p95_ms, history.cache_hits, history.cache_lookups, history.queue)
    assert {len(values) for values in (*series, *history.outcomes.values())} == {len(history.sends)}
    assert len(history.sends) <= history.steps


async def test_pages_follow_one_another_and_miss_nothing(bench: Bench) -> None:
    made = [(await bench.subscribe(f"user-{number}")).id for number in range(5)]
    seen: list[str] = []
    sizes = []
    cursor = None
    while True:
        page = await bench.desk.subscriptions(PageQuery(cursor=cursor, limit=2, sort="created_at"))
        seen += [item.id for item in page.items]
        sizes.append(len(page.items))
        cursor = page.next
        if cursor is None:
            break
    assert sizes == [2, 2, 1]
    assert sorted(seen) == sorted(made)


async def test_a_row_that_comes_in_between_shifts_no_page(bench: Bench) -> None:
    for user in ("b", "d", "f"):
        await bench.subscribe(user)
    first = await bench.desk.users(PageQuery(limit=2, sort="id"))
    await bench.subscribe("a")
    second = await bench.desk.users(PageQuery(limit=2, sort="id", cursor=first.next))
    assert [user.id for user in (*first.items, *second.items)] == ["b", "d", "f"]


async def test_listings_are_sorted_either_way(bench: Bench) -> None:
    for user in ("bert", "anna", "carl"):
        await bench.subscribe(user)
    ascending = await bench.desk.subscriptions(PageQuery(sort="user"))
    descending = await bench.desk.subscriptions(PageQuery(sort="-user"))
    assert [item.user for item in ascending.items] == ["anna", "bert", "carl"]
    assert [item.user for item in descending.items] == ["carl", "bert", "anna"]
    assert [user.id for user in (await bench.desk.users(PageQuery(sort="-id"))).items] == ["carl", "bert", "anna"]


async def test_listings_are_filtered(bench: Bench) -> None:
    for user in ("anna", "joanna", "100%_a"):
        await bench.subscribe(user)
    subscriptions = await bench.desk.subscriptions(PageQuery(filter="anna", sort="user"))
    assert [item.user for item in subscriptions.items] == ["anna", "joanna"]
    assert {user.id for user in (await bench.desk.users(PageQuery(filter="an"))).items} == {"anna", "joanna"}
    assert [user.id for user in (await bench.desk.users(PageQuery(filter="^an"))).items] == ["anna"]
    assert [one.user for one in (await bench.desk.subscriptions(PageQuery(filter="^an"))).items] == ["anna"]
    assert (await bench.desk.users(PageQuery(filter="^nna"))).items == ()
    assert [user.id for user in (await bench.desk.users(PageQuery(filter="100%_"))).items] == ["100%_a"]
    assert not (await bench.desk.subscriptions(PageQuery(filter="%"))).items[1:]


async def test_users_are_listed_with_the_number_of_their_devices(bench: Bench) -> None:
    for user in ("anna", "anna", "bert"):
        await bench.subscribe(user)
    users = (await bench.desk.users(PageQuery(sort="id"))).items
    assert [(user.id, user.subscriptions) for user in users] == [("anna", 2), ("bert", 1)]


async def test_a_sort_that_is_not_known_is_a_bad_field(bench: Bench) -> None:
    query = PageQuery(sort="colour")
    desk = bench.desk
    listings = (desk.users, desk.subscriptions, desk.deliveries, desk.dispatches, desk.keys, desk.cache, desk.log)
    for listing in listings:
        assert await code_of(listing(query)) == ("bad_field", ("sort",))


async def test_a_cursor_that_was_not_given_is_a_bad_field(bench: Bench) -> None:
    for listing in (bench.desk.users, bench.desk.cache, bench.desk.log):
        assert await code_of(listing(PageQuery(cursor="nonsense"))) == ("bad_field", ("cursor",))


async def test_a_cursor_of_another_sort_or_filter_is_a_bad_field(bench: Bench) -> None:
    await notify_all(bench, "anna", "anna")
    desk = bench.desk
    await desk.rotate_key(confirm="rotate")
    await bench.subscribe("annabel")
    await desk.notify("annabel", Notification("Hello"), wait_s=10)
    for number in range(2):
        bench.write(LogLevel.INFO, "an_event", {"number": number})
    for listing, sort in (
        (desk.users, "id"),
        (desk.subscriptions, "user"),
        (desk.deliveries, "at"),
        (desk.dispatches, "accepted_at"),
        (desk.cache, "user"),
        (desk.log, "seq"),
    ):
        query = PageQuery(limit=1, sort=sort, filter="an")
        cursor = (await listing(query)).next
        assert cursor is not None
        assert (await listing(structs.replace(query, cursor=cursor))).items
        for other in ({"sort": f"-{sort}"}, {"sort": ""}, {"filter": "a"}, {"filter": ""}):
            wrong = structs.replace(query, cursor=cursor, **other)
            assert await code_of(listing(wrong)) == ("bad_field", ("cursor",)), (sort, other)


async def test_a_notification_is_delivered_and_can_be_looked_at(bench: Bench) -> None:
    device = await bench.subscribe("anna")
    await bench.subscribe("bert")
    told = await bench.desk.notify("anna", Notification("Hello", body="World", data={"n": [1]}), wait_s=10)
    assert (told.user, told.title, told.kind) == ("anna", "Hello", DispatchKind.NOTIFICATION)
    assert told.state is DispatchState.DONE
    assert told.counts == {Outcome.ACCEPTED: 1}
    assert [(delivery.subscription, delivery.outcome) for delivery in told.deliveries] == [
        (device.id, Outcome.ACCEPTED)
    ]
    assert await bench.desk.dispatch(told.id) == told
    listed = (await bench.desk.dispatches(PageQuery(filter="Hello"))).items
    assert [(item.id, item.deliveries) for item in listed] == [(told.id, ())]
    assert told.deliveries[0] in (await bench.desk.deliveries(PageQuery(filter="anna"))).items
    assert (await bench.desk.deliveries(PageQuery(filter="gone"))).items == ()


async def test_a_notification_for_nobody_is_done(bench: Bench) -> None:
    told = await bench.desk.notify("nobody", Notification("Hello"), wait_s=10)
    assert (told.state, told.deliveries, told.counts) == (DispatchState.DONE, (), {})


async def test_a_user_may_have_any_name_that_is_one(bench: Bench) -> None:
    for user in ("a b", "ünï🐝", "%2F", "a?b#c", "..", "[x]", "x" * 128):
        await bench.subscribe(user)
        told = await bench.desk.notify(user, Notification("Hello"), wait_s=10)
        assert (told.user, told.counts) == (user, {Outcome.ACCEPTED: 1})


async def test_a_repeat_with_the_same_key_sends_nothing_again(bench: Bench) -> None:
    await bench.subscribe("anna")
    first = await bench.desk.notify("anna", Notification("Hello"), wait_s=10, idempotency_key="once")
    again = await bench.desk.notify("anna", Notification("Hello"), wait_s=10, idempotency_key="once")
    assert again == first
    assert len((await bench.desk.dispatches(PageQuery(filter="Hello"))).items) == 1
    question = bench.desk.notify("anna", Notification("Bye"), idempotency_key="once")
    assert (await code_of(question))[0] == "idempotency_conflict"


async def test_a_turn_is_accepted_once_per_key(bench: Bench) -> None:
    await bench.subscribe("anna")
    turn = Turn("anna", "c-1", "Parser", TurnStatus.FINISHED, text="It **works**.")
    accepted = await bench.desk.turn(turn, idempotency_key="once")
    assert accepted.dispatch is not None
    assert (accepted.dispatch.user, accepted.dispatch.kind) == ("anna", DispatchKind.TURN)
    assert (accepted.dispatch.title, accepted.reason) == ("Parser", None)
    again = await bench.desk.turn(turn, idempotency_key="once")
    assert again.dispatch is not None
    assert again.dispatch.id == accepted.dispatch.id
    question = bench.desk.turn(structs.replace(turn, title="Other"), idempotency_key="once")
    assert (await code_of(question))[0] == "idempotency_conflict"
    assert len((await bench.desk.dispatches(PageQuery(filter="Parser"))).items) == 1


async def test_of_a_sub_agents_turn_nobody_is_notified(bench: Bench) -> None:
    turn = Turn("anna", "c-1", "Parser", TurnStatus.FAILED, parent="run-1")
    accepted = await bench.desk.turn(turn)
    assert (accepted.dispatch, accepted.reason) == (None, "sub_agent")
    assert (await bench.desk.dispatches(EVERYTHING)).items == ()


async def test_a_turn_for_what_cannot_be_a_user_is_refused(bench: Bench) -> None:
    for user in ("", "me", "a/b"):
        turn = Turn(user, "c-1", "Parser", TurnStatus.NEEDS_ACTION)
        assert await code_of(bench.desk.turn(turn)) == ("bad_field", ("user",))


async def test_a_message_too_large_is_refused(bench: Bench) -> None:
    assert (await code_of(bench.desk.notify("anna", Notification("a", body="x" * 4000))))[0] == "payload_too_large"
    assert (await bench.desk.dispatches(EVERYTHING)).items == ()


async def test_a_dispatch_that_is_not_there_is_not_found(bench: Bench) -> None:
    for dispatch in ("unknown", "a/b", "..", "%", "é"):
        assert (await code_of(bench.desk.dispatch(dispatch)))[0] == "not_found"


async def test_a_test_reaches_all_devices_or_one(bench: Bench) -> None:
    ids = [(await bench.subscribe("anna")).id for _ in range(2)]
    deliveries = await bench.desk.test("anna")
    assert {(delivery.subscription, delivery.outcome) for delivery in deliveries} == {
        (device, Outcome.ACCEPTED) for device in ids
    }
    assert [delivery.subscription for delivery in await bench.desk.test("anna", ids[1])] == [ids[1]]


async def test_a_test_of_nobody_is_not_found(bench: Bench) -> None:
    device = await bench.subscribe("anna")
    for user, subscription in (("nobody", None), ("anna", "unknown"), ("bert", device.id)):
        assert (await code_of(bench.desk.test(user, subscription)))[0] == "subscription_not_found"


async def test_subscriptions_are_removed_and_counted(bench: Bench) -> None:
    ids = [(await bench.subscribe("anna")).id for _ in range(3)]
    assert await bench.desk.remove_subscriptions([ids[0], ids[2], "unknown", ids[0]]) == 2
    assert [item.id for item in (await bench.desk.subscriptions(EVERYTHING)).items] == [ids[1]]
    assert await bench.desk.remove_subscriptions(["unknown"]) == 0


async def test_an_invitation_has_a_code_a_link_and_an_end_and_makes_its_user(bench: Bench) -> None:
    invitation = await bench.desk.invite("anna")
    assert re.fullmatch("[0-9A-Z]{4}(-[0-9A-Z]{4}){3}", invitation.code)
    assert invitation.url == f"{(await bench.desk.stats()).url}/enroll#{invitation.code}"
    longer = await bench.desk.invite("anna", 30 * 86400)
    assert timedelta(days=28) < longer.expires_at - invitation.expires_at < timedelta(days=30)
    (user,) = (await bench.desk.users(EVERYTHING)).items
    assert (user.id, user.subscriptions) == ("anna", 0)


async def test_what_cannot_be_an_invitation_is_a_bad_field(bench: Bench) -> None:
    for expires_s in (0, 59, 30 * 86400 + 1):
        assert await code_of(bench.desk.invite("anna", expires_s)) == ("bad_field", ("expires",))
    for user in ("", "me", "a/b", "x" * 129):
        assert (await code_of(bench.desk.invite(user)))[0] in {"bad_field", "not_found"}
    assert (await bench.desk.users(EVERYTHING)).items == ()


async def test_a_user_is_removed_with_everything_of_theirs(bench: Bench) -> None:
    start = await position(bench.desk)
    device = await bench.subscribe("anna")
    await bench.subscribe("bert")
    for user in ("anna", "bert"):
        await bench.desk.notify(user, Notification("Hello"), wait_s=10)
    await bench.desk.remove_user("anna")
    desk = bench.desk
    assert [user.id for user in (await desk.users(EVERYTHING)).items] == ["bert"]
    for listing in (desk.subscriptions, desk.dispatches, desk.deliveries, desk.cache):
        assert [item.user for item in (await listing(PageQuery(filter="anna"))).items] == []
    assert {item.user for item in (await desk.subscriptions(EVERYTHING)).items} == {"bert"}
    stats = await desk.stats()
    assert (stats.users, stats.subscriptions, stats.queue) == (1, 1, 0)
    told = await until(desk, SubscriptionRemoved, after=start)
    assert any(isinstance(event, SubscriptionRemoved) and event.id == device.id for event in told)
    assert (await code_of(desk.remove_user("anna")))[0] == "not_found"


async def test_a_key_is_not_rotated_without_its_word(bench: Bench) -> None:
    before = await bench.desk.keys(EVERYTHING)
    for confirm in ("", "yes"):
        question = bench.desk.rotate_key(confirm=confirm)
        with pytest.raises(PushdeskError) as caught:
            await question
        assert caught.value.code == "confirm_required"
        assert "rotate" in str(caught.value)
    assert await bench.desk.keys(EVERYTHING) == before


async def test_a_rotated_key_is_current_and_the_old_one_retires(bench: Bench) -> None:
    (old,) = (await bench.desk.keys(EVERYTHING)).items
    new = await bench.desk.rotate_key(confirm="rotate")
    assert new.state is KeyState.CURRENT
    states = {key.id: key.state for key in (await bench.desk.keys(EVERYTHING)).items}
    assert states == {old.id: KeyState.RETIRING, new.id: KeyState.CURRENT}


async def test_keys_are_paged_sorted_and_filtered(bench: Bench) -> None:
    for _ in range(2):
        await bench.desk.rotate_key(confirm="rotate")
    whole = (await bench.desk.keys(PageQuery(sort="id"))).items
    assert [key.id for key in whole] == sorted({key.id for key in whole})
    assert len(whole) == 3
    first = await bench.desk.keys(PageQuery(sort="id", limit=2))
    rest = await bench.desk.keys(PageQuery(sort="id", limit=2, cursor=first.next))
    assert (first.items, rest.items, rest.next) == (whole[:2], whole[2:], None)
    assert (await bench.desk.keys(PageQuery(sort="-id"))).items == whole[::-1]
    assert (await bench.desk.keys(PageQuery(sort="state"))).items[0].state is KeyState.CURRENT
    beginning = whole[1].id[:3]
    alike = tuple(key for key in whole if key.id.startswith(beginning))
    assert (await bench.desk.keys(PageQuery(filter=beginning, sort="id"))).items == alike
    assert (await bench.desk.keys(PageQuery(filter=f"x{beginning}"))).items == ()


async def key_of(bench: Bench, key: str) -> VapidKey:
    (found,) = (await bench.desk.keys(PageQuery(filter=key))).items
    return found


async def until_active(bench: Bench, number: int) -> None:
    """Wait until so many subscriptions are active: those of a key follow it within moments."""
    async with asyncio.timeout(10), aclosing(bench.desk.events()) as events:
        async for _ in events:
            items = (await bench.desk.subscriptions(EVERYTHING)).items
            if sum(item.state is SubscriptionState.ACTIVE for item in items) == number:
                return


async def test_a_key_is_listed_with_what_was_made_with_it(bench: Bench) -> None:
    service = (await bench.subscribe("anna")).service
    for user in ("anna", "bert"):
        await bench.subscribe(user)
    (key,) = (await bench.desk.keys(EVERYTHING)).items
    assert (key.subscriptions, key.services) == (3, {service: 3})
    assert (key.retiring_at, key.before, key.expected_end, key.users_left) == (None, {}, None, 0)
    new = await bench.desk.rotate_key(confirm="rotate")
    await bench.subscribe("anna")
    old = await key_of(bench, key.id)
    assert (old.subscriptions, old.services, old.before, old.users_left) == (3, {service: 3}, {service: 3}, 1)
    assert old.retiring_at is not None
    assert (await key_of(bench, new.id)).services == {service: 1}


async def test_a_retiring_key_is_retired_with_its_word_if_somebody_is_lost(bench: Bench) -> None:
    await bench.subscribe("anna")
    first = (await bench.desk.stats()).key_id
    second = (await bench.desk.rotate_key(confirm="rotate")).id
    await bench.desk.rotate_key(confirm="rotate")
    assert (await bench.desk.retire_key(second)).state is KeyState.RETIRED
    with pytest.raises(PushdeskError) as asked:
        await bench.desk.retire_key(first)
    assert asked.value.code == "confirm_required"
    assert "1 subscription" in asked.value.detail
    assert '"retire"' in asked.value.hint
    assert (await key_of(bench, first)).state is KeyState.RETIRING
    assert (await bench.desk.retire_key(first, confirm="retire")).state is KeyState.RETIRED
    await until_active(bench, 0)
    assert (await bench.desk.notify("anna", Notification("Hello"), wait_s=10)).deliveries == ()
    assert (await key_of(bench, first)).subscriptions == 0


async def test_a_key_is_rolled_back_with_its_subscriptions(bench: Bench) -> None:
    device = await bench.subscribe("anna")
    old = (await bench.desk.stats()).key_id
    new = (await bench.desk.rotate_key(confirm="rotate")).id
    await bench.desk.retire_key(old, confirm="retire")
    await until_active(bench, 0)
    assert (await code_of(bench.desk.roll_back_key(old)))[0] == "confirm_required"
    back = await bench.desk.roll_back_key(old, confirm="rollback")
    assert (back.id, back.state) == (old, KeyState.CURRENT)
    assert (await bench.desk.stats()).key_id == old
    assert (await key_of(bench, new)).state is KeyState.RETIRING
    await until_active(bench, 1)
    told = await bench.desk.notify("anna", Notification("Hello"), wait_s=10)
    assert [delivery.subscription for delivery in told.deliveries] == [device.id]
    again = await bench.desk.roll_back_key(new, confirm="rollback")
    assert (again.id, again.state) == (new, KeyState.CURRENT)


async def test_revoking_ends_every_key_and_what_was_made_with_them(bench: Bench) -> None:
    device = await bench.subscribe("anna")
    await bench.desk.rotate_key(confirm="rotate")
    await bench.subscribe("bert")
    with pytest.raises(PushdeskError) as asked:
        await bench.desk.revoke_keys()
    assert (asked.value.code, "2 subscriptions" in asked.value.detail) == ("confirm_required", True)
    revoked = await bench.desk.revoke_keys(confirm="revoke")
    assert revoked.lost == {device.service: 2}
    assert (await bench.desk.stats()).key_id == revoked.key.id
    states = {key.id: key.state for key in (await bench.desk.keys(EVERYTHING)).items}
    assert states.pop(revoked.key.id) is KeyState.CURRENT
    assert list(states.values()) == [KeyState.REVOKED] * 2
    assert (await bench.desk.notify("anna", Notification("Hello"), wait_s=10)).deliveries == ()
    await until_active(bench, 0)
    assert (await bench.desk.revoke_keys(confirm="revoke")).lost == {}
    for key in states:
        for question in (
            bench.desk.roll_back_key(key, confirm="rollback"),
            bench.desk.retire_key(key, confirm="retire"),
            bench.desk.export_key(key, confirm="export"),
        ):
            assert await code_of(question) == ("bad_field", ("id",))


async def test_a_key_that_was_used_elsewhere_is_taken(bench: Bench) -> None:
    old = (await bench.desk.stats()).key_id
    key = await bench.desk.import_key(NODE_JSON)
    assert (key.state, key.subscriptions) == (KeyState.RETIRING, 0)
    assert (await bench.desk.stats()).key_id == old
    assert await code_of(bench.desk.import_key(NODE_JSON)) == ("bad_field", ("text",))
    assert (await code_of(bench.desk.import_key(PHP_JSON, current=True)))[0] == "confirm_required"
    current = await bench.desk.import_key(PHP_JSON, current=True, confirm="import")
    assert current.state is KeyState.CURRENT
    assert (await bench.desk.stats()).key_id == current.id
    states = {key.id: key.state for key in (await bench.desk.keys(EVERYTHING)).items}
    assert states == {old: KeyState.RETIRING, key.id: KeyState.RETIRING, current.id: KeyState.CURRENT}


async def test_what_is_no_key_is_a_bad_field(bench: Bench) -> None:
    for text in ("nonsense", OPENSSL_PUBLIC_ONLY, OPENSSL_P384):
        assert await code_of(bench.desk.import_key(text)) == ("bad_field", ("text",))


async def test_a_key_is_exported_with_its_word(bench: Bench) -> None:
    key = (await bench.desk.stats()).key_id
    assert (await code_of(bench.desk.export_key(key)))[0] == "confirm_required"
    exported = await bench.desk.export_key(key, confirm="export")
    assert (exported.id, exported.public_key) == (key, (await key_of(bench, key)).public_key)
    assert exported.pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    # What was taken out is known when it comes back.
    assert await code_of(bench.desk.import_key(exported.pem)) == ("bad_field", ("text",))
    await bench.desk.rotate_key(confirm="rotate")
    await bench.desk.retire_key(key, confirm="retire")
    assert (await bench.desk.import_key(exported.pem)).state is KeyState.RETIRING


async def test_what_cannot_be_done_with_a_key_is_refused(bench: Bench) -> None:
    current = (await bench.desk.stats()).key_id
    before = await bench.desk.keys(EVERYTHING)
    for question in (
        bench.desk.retire_key(current, confirm="retire"),
        bench.desk.roll_back_key(current, confirm="rollback"),
    ):
        assert await code_of(question) == ("bad_field", ("id",))
    missing = "00000000"
    assert (await code_of(bench.desk.retire_key(missing, confirm="retire")))[0] == "not_found"
    assert (await code_of(bench.desk.roll_back_key(missing, confirm="rollback")))[0] == "not_found"
    assert (await code_of(bench.desk.export_key(missing, confirm="export")))[0] == "not_found"
    assert await bench.desk.keys(EVERYTHING) == before


async def test_a_stream_tells_of_every_key_that_changes(bench: Bench) -> None:
    old = (await bench.desk.stats()).key_id
    start = await position(bench.desk)
    new = await bench.desk.rotate_key(confirm="rotate")
    told = await until_one(bench.desk, lambda e: isinstance(e, KeyChanged) and e.key.id == new.id, after=start)
    states = {event.key.id: event.key.state for event in told if isinstance(event, KeyChanged)}
    assert states == {old: KeyState.RETIRING, new.id: KeyState.CURRENT}


async def notify_all(bench: Bench, *users: str) -> None:
    """Subscribe each of these users, and notify them one after the other."""
    for user in dict.fromkeys(users):
        await bench.subscribe(user)
    for user in users:
        await bench.desk.notify(user, Notification("Hello"), wait_s=10)


async def test_whoever_was_notified_is_held_in_the_cache(bench: Bench) -> None:
    await bench.subscribe("anna")
    await notify_all(bench, "anna", "bert")
    stats = (await bench.desk.stats()).cache
    held = (await bench.desk.cache(PageQuery(sort="user"))).items
    assert [(entry.user, entry.devices) for entry in held] == [("anna", 2), ("bert", 1)]
    for entry in held:
        assert entry.generation > 0
        assert 0 < entry.size < stats.max_size
        assert 0 <= entry.age_s < stats.ttl_s
        assert 0 < entry.time_left_s <= stats.ttl_s
    assert (stats.entries, stats.negative, stats.size) == (2, 0, sum(entry.size for entry in held))
    assert stats.counts[CacheChange.STORED] <= stats.reads


async def test_whoever_has_no_devices_is_held_too(bench: Bench) -> None:
    await bench.desk.notify("nobody", Notification("Hello"), wait_s=10)
    (entry,) = (await bench.desk.cache(EVERYTHING)).items
    assert (entry.user, entry.devices) == ("nobody", 0)
    stats = (await bench.desk.stats()).cache
    assert (stats.entries, stats.negative) == (0, 1)


async def test_another_device_raises_the_generation_that_is_held(bench: Bench) -> None:
    await notify_all(bench, "anna")
    (before,) = (await bench.desk.cache(EVERYTHING)).items
    await notify_all(bench, "anna")
    (after,) = (await bench.desk.cache(EVERYTHING)).items
    assert (before.devices, after.devices) == (1, 2)
    assert after.generation > before.generation


@pytest.mark.parametrize("sort", ["", "-age", "time_left", "-generation", "devices", "-size"])
async def test_pages_of_the_cache_miss_nobody(bench: Bench, sort: str) -> None:
    users = ["anna", "bert", "carl", "dora", "emil"]
    await notify_all(bench, *users)
    seen: list[str] = []
    page = await bench.desk.cache(PageQuery(limit=2, sort=sort))
    while page.next is not None:
        seen += [entry.user for entry in page.items]
        page = await bench.desk.cache(PageQuery(limit=2, sort=sort, cursor=page.next))
    assert len(page.items) == 1
    assert sorted(seen + [entry.user for entry in page.items]) == users


async def test_the_cache_is_sorted_and_filtered(bench: Bench) -> None:
    await notify_all(bench, "joanna", "anna", "bert")
    descending = (await bench.desk.cache(PageQuery(sort="-user"))).items
    assert [entry.user for entry in descending] == ["joanna", "bert", "anna"]
    found = (await bench.desk.cache(PageQuery(sort="user", filter="anna"))).items
    assert [entry.user for entry in found] == ["anna", "joanna"]


async def test_a_page_of_the_cache_may_go_before_the_next_is_asked_for(bench: Bench) -> None:
    await notify_all(bench, "anna", "bert", "carl")
    first = await bench.desk.cache(PageQuery(limit=2, sort="user"))
    assert await bench.desk.invalidate_cache("bert")
    second = await bench.desk.cache(PageQuery(limit=2, sort="user", cursor=first.next))
    assert [entry.user for entry in (*first.items, *second.items)] == ["anna", "bert", "carl"]


async def test_a_user_is_invalidated_once_and_held_again_when_needed(bench: Bench) -> None:
    await notify_all(bench, "anna", "bert")
    assert await bench.desk.invalidate_cache("anna") is True
    assert await bench.desk.invalidate_cache("anna") is False
    assert await bench.desk.invalidate_cache("unknown") is False
    assert [entry.user for entry in (await bench.desk.cache(EVERYTHING)).items] == ["bert"]
    await bench.desk.notify("anna", Notification("Hello"), wait_s=10)
    assert {entry.user for entry in (await bench.desk.cache(EVERYTHING)).items} == {"anna", "bert"}


async def test_everything_is_cleared_and_counted(bench: Bench) -> None:
    await notify_all(bench, "anna", "bert")
    assert await bench.desk.clear_cache() == 2
    assert (await bench.desk.cache(EVERYTHING)).items == ()
    assert await bench.desk.clear_cache() == 0
    stats = (await bench.desk.stats()).cache
    assert (stats.entries, stats.size, stats.counts[CacheChange.CLEARED]) == (0, 0, 2)


async def test_what_cannot_be_a_user_is_not_invalidated(bench: Bench) -> None:
    for user in ("", "me", "a/b", "a\nb", "x" * 129):
        assert await code_of(bench.desk.invalidate_cache(user)) == ("bad_field", ("user",))


async def test_a_stream_tells_what_happens_in_the_cache(bench: Bench) -> None:
    start = await position(bench.desk)
    await notify_all(bench, "anna", "anna")
    await bench.desk.invalidate_cache("anna")
    await bench.desk.clear_cache()
    told = [
        event
        for event in await until_one(
            bench.desk, lambda e: isinstance(e, CacheChanged) and e.change is CacheChange.CLEARED, after=start
        )
        if isinstance(event, CacheChanged)
    ]
    last = {(event.change, event.user): event for event in told}
    stored, hit = last[CacheChange.STORED, "anna"], last[CacheChange.HIT, "anna"]
    assert stored.entry is not None
    assert hit.entry is not None
    assert (hit.entry.user, hit.entry.devices) == ("anna", 1)
    assert hit.entry.generation == stored.entry.generation
    assert last[CacheChange.INVALIDATED, "anna"].entry is None
    assert (last[CacheChange.CLEARED, ""].entry, last[CacheChange.CLEARED, ""].count) == (None, 1)
    counts = (await bench.desk.stats()).cache.counts
    assert {change: sum(e.count for e in told if e.change is change) for change in counts} == counts


async def test_the_log_is_listed_from_the_latest_line(bench: Bench) -> None:
    for number in range(5):
        bench.write(LogLevel.INFO, "counted", {"number": number})
    seen: list[int] = []
    cursor: str | None = None
    for size in (2, 2, 1):
        page = await bench.desk.log(PageQuery(cursor=cursor, limit=2, filter="counted"))
        assert len(page.items) == size
        seen += [entry.fields["number"] for entry in page.items]
        cursor = page.next
    assert (seen, cursor) == ([4, 3, 2, 1, 0], None)
    oldest = (await bench.desk.log(PageQuery(limit=1, filter="counted", sort="seq"))).items[0]
    assert (oldest.event, oldest.level, oldest.fields) == ("counted", LogLevel.INFO, {"number": 0})


async def test_the_log_is_filtered_by_level_and_by_what_was_written(bench: Bench) -> None:
    bench.write(LogLevel.DEBUG, "one", {"path": "/error", "status": 404})
    bench.write(LogLevel.WARNING, "two", {"heard": "three"})
    bench.write(LogLevel.ERROR, "three", {})
    for text, events in (
        ("warning", ["three", "two"]),
        ("error", ["three"]),
        ("ERROR", ["three"]),
        ("three", ["three", "two"]),
        ("/err", ["one"]),
        ("404", ["one"]),
        ("heard", []),
    ):
        found = [entry.event for entry in (await bench.desk.log(PageQuery(filter=text))).items]
        assert [event for event in found if event in {"one", "two", "three"}] == events, text


async def test_a_thousand_lines_of_the_log_are_held(bench: Bench) -> None:
    for number in range(1100):
        bench.write(LogLevel.INFO, "counted", {"number": number})
    held = 0
    page = await bench.desk.log(PageQuery(limit=200))
    while page.next is not None:
        held += len(page.items)
        page = await bench.desk.log(PageQuery(limit=200, cursor=page.next))
    assert held + len(page.items) == 1000
    assert "number" in page.items[-1].fields


async def test_a_stream_tells_the_lines_of_the_log(bench: Bench) -> None:
    start = await position(bench.desk)
    bench.write(LogLevel.WARNING, "first", {"a": [1, {"b": None}]})
    bench.write(LogLevel.INFO, "second", {})
    told = [
        event.entry
        for event in await until_one(
            bench.desk, lambda e: isinstance(e, LogWritten) and e.entry.event == "second", after=start
        )
        if isinstance(event, LogWritten)
    ]
    assert [(entry.event, entry.level, entry.fields) for entry in told if entry.event in {"first", "second"}] == [
        ("first", LogLevel.WARNING, {"a": [1, {"b": None}]}),
        ("second", LogLevel.INFO, {}),
    ]
    assert [entry.seq for entry in told] == sorted({entry.seq for entry in told})


async def test_a_stream_begins_by_saying_where_it_stands(bench: Bench) -> None:
    hello, *_ = await until(bench.desk, Hello)
    assert isinstance(hello, Hello)
    assert hello.epoch
    assert hello.version == (await bench.desk.stats()).version


async def test_a_stream_tells_what_happens_while_it_is_followed(bench: Bench) -> None:
    connected = asyncio.Event()
    seen: list[AnyEvent] = []

    async def follow() -> None:
        async with aclosing(bench.desk.events()) as events:
            async for batch in events:
                connected.set()
                seen.extend(batch)
                if any(isinstance(event, KeyChanged) for event in batch):
                    return

    following = asyncio.create_task(follow())
    await connected.wait()
    device = await bench.subscribe("anna")
    told = await bench.desk.notify("anna", Notification("Hello"), wait_s=10)
    await bench.desk.remove_subscriptions([device.id])
    await bench.desk.rotate_key(confirm="rotate")
    async with asyncio.timeout(10):
        await following
    assert any(isinstance(e, SubscriptionChanged) and e.subscription.id == device.id for e in seen)
    assert any(isinstance(e, DispatchChanged) and e.dispatch.id == told.id for e in seen)
    assert any(
        isinstance(e, DeliveryChanged)
        and (e.delivery.dispatch, e.delivery.outcome) == (told.id, Outcome.ACCEPTED)
        and e.delivery.subscription == device.id
        for e in seen
    )
    assert any(isinstance(e, SubscriptionRemoved) and (e.id, e.user) == (device.id, "anna") for e in seen)
    assert not any(isinstance(e, Gap) for e in seen)
    numbers = [event.seq for event in seen[1:]]
    assert numbers == sorted(set(numbers))
    assert all(not event.dispatch.deliveries for event in seen if isinstance(event, DispatchChanged))


async def test_a_stream_goes_on_where_a_reader_was(bench: Bench) -> None:
    start = await position(bench.desk)
    device = await bench.subscribe("anna")
    hello, *missed = await until(bench.desk, SubscriptionChanged, after=start)
    assert isinstance(hello, Hello)
    assert missed[0].seq == start.seq + 1
    assert any(isinstance(e, SubscriptionChanged) and e.subscription.id == device.id for e in missed)
    assert not any(isinstance(event, Gap) for event in missed)


@pytest.mark.parametrize("lost", ["another epoch", "a number that is yet to come"])
async def test_a_stream_tells_of_a_gap_where_it_cannot_go_on(bench: Bench, lost: str) -> None:
    await bench.subscribe("anna")
    now = await position(bench.desk)
    after = Position("other", now.seq) if lost == "another epoch" else Position(now.epoch, now.seq + 1000)
    hello, gap, *_ = await until(bench.desk, Gap, after=after)
    assert isinstance(hello, Hello)
    assert isinstance(gap, Gap)


async def test_a_push_service_is_paused_resumed_and_reset(bench: Bench) -> None:
    paused = await bench.desk.pause_service(Service.WNS)
    assert (paused.service, paused.state) == (Service.WNS, LaneState.PAUSED)
    assert (await bench.desk.resume_service(Service.WNS)).state is LaneState.OPEN
    assert (await bench.desk.reset_service(Service.WNS)).state is LaneState.OPEN


@pytest.mark.parametrize("confirm", ["", "release", "confirm"])
async def test_a_brake_that_is_not_on_is_not_taken_off(bench: Bench, confirm: str) -> None:
    await bench.subscribe("anna")
    for decide in (bench.desk.confirm_brake, bench.desk.release_brake):
        assert await code_of(decide(Service.FCM, confirm=confirm)) == ("bad_field", ("service",))


async def test_what_is_active_or_not_known_is_not_restored(bench: Bench) -> None:
    device = await bench.subscribe("anna")
    found = await bench.desk.restore_subscriptions([device.id, "nobody's", device.id])
    assert [(one.id, one.result) for one in found] == [
        (device.id, RestoreResult.ALREADY_ACTIVE),
        ("nobody's", RestoreResult.NOT_FOUND),
    ]
    assert all(one.reason for one in found)


async def test_an_access_token_is_made_listed_and_revoked(bench: Bench) -> None:
    made = await bench.desk.create_token("nightly backup", {Scope.READ, Scope.NOTIFY})
    assert made.token.startswith(f"pdk_{made.access.id}_")
    assert made.access.scopes == (Scope.NOTIFY, Scope.READ)
    assert made.token not in repr(made)
    other = await bench.desk.create_token("deploy", [Scope.ADMIN])
    assert (await bench.desk.tokens(EVERYTHING)).items == (other.access, made.access)
    assert (await bench.desk.tokens(PageQuery(sort="name", filter="back"))).items == (made.access,)
    assert await bench.desk.revoke_token(made.access.id) == made.access
    assert (await bench.desk.tokens(EVERYTHING)).items == (other.access,)
    with pytest.raises(PushdeskError) as refused:
        await bench.desk.revoke_token(made.access.id)
    assert refused.value.code == "not_found"


@pytest.mark.parametrize(("name", "scopes"), [("", [Scope.READ]), ("a\x1b[31m", [Scope.READ]), ("a", [])])
async def test_an_access_token_needs_a_name_and_a_scope(bench: Bench, name: str, scopes: list[Scope]) -> None:
    with pytest.raises(PushdeskError) as refused:
        await bench.desk.create_token(name, scopes)
    assert refused.value.code == "bad_field"


async def test_a_delivery_is_told_of_in_full(bench: Bench) -> None:
    await bench.subscribe("anna")
    told = await bench.desk.notify("anna", Notification("Hello"), wait_s=10)
    (delivery,) = told.deliveries
    record = await bench.desk.delivery(delivery.id)
    assert (record.delivery, record.dispatch) == (delivery, structs.replace(told, deliveries=()))
    (attempt,) = record.attempts
    assert (attempt.number, attempt.at, attempt.outcome) == (1, delivery.at, Outcome.ACCEPTED)
    assert (attempt.status, attempt.latency_ms, attempt.headers) == (delivery.status, delivery.latency_ms, {})
    assert (record.urgency, record.topic, record.ttl_s) == (Urgency.NORMAL, None, 86400)
    assert record.expires_at == record.dispatch.accepted_at + timedelta(days=1)
    assert record.size > len("Hello")


async def test_what_is_scheduled_is_cancelled_and_that_is_told(bench: Bench) -> None:
    await bench.subscribe("anna")
    send_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    scheduled = await bench.desk.notify("anna", Notification("Later", send_at=send_at))
    assert (scheduled.state, scheduled.send_at, scheduled.deliveries) == (DispatchState.SCHEDULED, send_at, ())
    assert (await bench.desk.dispatches(PageQuery(filter="state:scheduled"))).items == (scheduled,)
    assert scheduled not in (await bench.desk.dispatches(PageQuery(filter="state:done"))).items
    assert await bench.desk.dispatch(scheduled.id) == scheduled
    async with asyncio.timeout(10), aclosing(bench.desk.events()) as events:
        await anext(events)
        cancelled = await bench.desk.cancel(scheduled.id)
        told = [event async for event in _until_cancelled(events)]
    assert (cancelled.state, cancelled.send_at, cancelled.counts) == (DispatchState.CANCELLED, None, {})
    assert told == [structs.replace(cancelled, deliveries=())]
    done = await bench.desk.notify("anna", Notification("Now"), wait_s=10)
    for dispatch, code in (
        (scheduled.id, "already_ended"),
        (done.id, "already_ended"),
        ("unknown/one", "not_found"),
    ):
        assert await code_of(bench.desk.cancel(dispatch)) == (code, ())


async def _until_cancelled(events: AsyncGenerator[Sequence[AnyEvent], None]) -> AsyncIterator[Dispatch]:
    async for batch in events:
        for event in batch:
            if isinstance(event, DispatchChanged) and event.dispatch.state is DispatchState.CANCELLED:
                yield event.dispatch
                return


async def test_a_delivery_is_sent_again_to_its_subscription_only(bench: Bench) -> None:
    devices = [await bench.subscribe("anna") for _ in range(2)]
    told = await bench.desk.notify("anna", Notification("Hello"), wait_s=10)
    again = await bench.desk.resend(told.deliveries[0].id)
    assert (again.id != told.id, again.user, again.kind, again.title) == (
        *(True, "anna", DispatchKind.NOTIFICATION),
        "Hello",
    )
    done = again
    async with asyncio.timeout(10), aclosing(bench.desk.events()) as events:
        async for _ in events:
            done = await bench.desk.dispatch(again.id)
            if done.state is DispatchState.DONE:
                break
    assert [delivery.subscription for delivery in done.deliveries] == [told.deliveries[0].subscription]
    await bench.desk.remove_subscriptions([device.id for device in devices])
    for question, code in (
        (bench.desk.resend(told.deliveries[0].id), "subscription_not_found"),
        (bench.desk.resend("unknown"), "not_found"),
        (bench.desk.delivery("unknown"), "not_found"),
    ):
        assert await code_of(question) == (code, ())
