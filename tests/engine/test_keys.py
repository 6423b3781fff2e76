"""Keys that change while pushes are under way: each push is signed with the key of its subscription, or not sent."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections import Counter
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from pushdesk.config import Config, PushConfig
from pushdesk.desk import KeyChanged, SubscriptionRemoved
from pushdesk.engine.opening import open_engine
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import (
    DispatchState,
    KeyState,
    Notification,
    Outcome,
    PageQuery,
    Service,
    SubscriptionState,
)
from pushdesk.simulator.authorization import check_authorization
from pushdesk.storage.store import DATABASE_NAME
from pushdesk.webpush.encryption import decode_base64url
from pushdesk.webpush.key_formats import read_key
from tests import vapid_key_texts as texts
from tests.database_changes import change_database
from tests.engine.conftest import ACCESS_URL
from tests.engine.outbox_bench import Watched
from tests.engine.reads import town

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pushdesk.desk import AnyEvent
    from pushdesk.engine.engine import Engine
    from pushdesk.model import Dispatch
    from tests.engine.conftest import OpenEngine
    from tests.engine.outbox_bench import OutboxBench
    from tests.logs import Log
    from tests.push_service import Push, PushService

HELLO: Final = Notification("Hello")
EVERYTHING: Final = PageQuery(limit=200)
USERS: Final = [f"user-{number}" for number in range(20)]
NOTIFICATIONS: Final = 100
AT_ONCE: Final = 50
"""Pushes that are under way at once; the others wait for their turn and are not signed yet."""


class Fleet(NamedTuple):
    """Users with a device on the old key and one on the new key each, and the push service that holds their pushes."""

    engine: Engine
    service: PushService
    old: str
    new: str
    key_of: dict[str, str]
    """Path of a push -> the public key that its subscription was made with."""
    key_ids: dict[str, str]
    """Subscription -> the id of that key."""

    async def notify_all(self) -> list[Dispatch]:
        """Have 200 pushes sent, as many of them under way as there can be, the others waiting for a turn."""
        self.service.pushes.clear()
        self.service.hold = asyncio.Event()
        sent = [await self.engine.notify(USERS[n % len(USERS)], HELLO) for n in range(NOTIFICATIONS)]
        await self.service.wait_for_pushes(AT_ONCE)
        await until(self.engine, lambda: self.engine.in_flight == 2 * NOTIFICATIONS)
        return sent

    async def outcomes(self, sent: list[Dispatch]) -> Counter[tuple[str, Outcome]]:
        """Let the push service answer, and return what became of everything, by key."""
        assert self.service.hold is not None
        self.service.hold.set()
        self.service.hold = None
        found: Counter[tuple[str, Outcome]] = Counter()
        for dispatch in sent:
            for delivery in (await done(self.engine, dispatch)).deliveries:
                found[self.key_ids[delivery.subscription], delivery.outcome] += 1
        return found

    def assert_signed(self, pushes: list[Push]) -> None:
        """Every push is signed, for this push service, with the key that its subscription was made with."""
        for push in pushes:
            check_authorization(
                push.headers["Authorization"],
                origin=self.service.origin,
                registered_key=decode_base64url(self.key_of[push.path]),
                now=time.time(),
            )


@pytest.fixture
async def fleet(service: PushService, tmp_path: Path) -> AsyncIterator[Fleet]:
    push = PushConfig(allow_endpoint=(service.origin,), concurrency=AT_ONCE)
    async with open_engine(Config(data_dir=tmp_path, push=push), access_url=ACCESS_URL) as engine:
        key_of, key_ids = {}, {}
        old = engine.public_key()
        for user in USERS:
            key_ids[await subscribe(engine, service, f"{user}-old", user)] = old.id
            key_of[f"/{user}-old"] = old.public_key
        new = await engine.rotate_key(confirm="rotate")
        for user in USERS:
            key_ids[await subscribe(engine, service, f"{user}-new", user)] = new.id
            key_of[f"/{user}-new"] = new.public_key
        yield Fleet(engine, service, old.id, new.id, key_of, key_ids)


async def subscribe(engine: Engine, service: PushService, name: str, user: str = "ada", **fields: Any) -> str:
    return (await engine.subscribe(user, service.device(name).request(**fields))).subscription.id


async def until(engine: Engine, is_so: Callable[[], bool]) -> None:
    """Wait for an event after which it is so; the state of the server is told every second."""
    async with asyncio.timeout(60), aclosing(engine.events()) as events:
        async for _ in events:
            if is_so():
                return


async def done(engine: Engine, dispatch: Dispatch) -> Dispatch:
    async with asyncio.timeout(30), aclosing(engine.events()) as events:
        async for _ in events:
            found = await engine.dispatch(dispatch.id)
            if found.state is DispatchState.DONE:
                return found
    raise AssertionError


async def swept(engine: Engine) -> None:
    """Wait until no subscription is out of line with its key."""
    async with asyncio.timeout(30), aclosing(engine.events()) as events:
        async for _ in events:
            ended = {KeyState.RETIRED, KeyState.REVOKED}
            if not any(key.subscriptions for key in (await engine.keys(EVERYTHING)).items if key.state in ended):
                return


async def states(engine: Engine) -> Counter[SubscriptionState]:
    return Counter(item.state for item in (await engine.subscriptions(EVERYTHING)).items)


def held_sweep(bench: OutboxBench) -> asyncio.Event:
    """Have no subscription brought in line with its key before this is set."""
    sweep = Watched(bench.store.key_bindings.sweep)
    sweep.hold = asyncio.Event()
    bench.watched.append(sweep)
    bench.monkeypatch.setattr(bench.store.key_bindings, "sweep", sweep)
    return sweep.hold


async def confirmation(question: Any) -> PushdeskError:
    with pytest.raises(PushdeskError) as asked:
        await question
    assert asked.value.code == "confirm_required"
    return asked.value


class TestWhilePushesAreUnderWay:
    async def test_rotating_loses_nothing(self, fleet: Fleet) -> None:
        sent = await fleet.notify_all()
        newer = await fleet.engine.rotate_key(confirm="rotate")
        assert fleet.engine.public_key().id == newer.id
        assert await fleet.outcomes(sent) == {
            (fleet.old, Outcome.ACCEPTED): NOTIFICATIONS,
            (fleet.new, Outcome.ACCEPTED): NOTIFICATIONS,
        }
        fleet.assert_signed(fleet.service.pushes)
        assert len(fleet.service.pushes) == 2 * NOTIFICATIONS

    async def test_rolling_back_loses_nothing(self, fleet: Fleet) -> None:
        sent = await fleet.notify_all()
        back = await fleet.engine.roll_back_key(fleet.old, confirm="rollback")
        assert (back.id, back.state) == (fleet.old, KeyState.CURRENT)
        assert fleet.engine.public_key().id == fleet.old
        assert await fleet.outcomes(sent) == {
            (fleet.old, Outcome.ACCEPTED): NOTIFICATIONS,
            (fleet.new, Outcome.ACCEPTED): NOTIFICATIONS,
        }
        fleet.assert_signed(fleet.service.pushes)

    async def test_retiring_loses_what_it_says_and_no_more(self, fleet: Fleet) -> None:
        sent = await fleet.notify_all()
        asked = await confirmation(fleet.engine.retire_key(fleet.old))
        assert f"the key {fleet.old} ends {len(USERS)} subscriptions," in asked.detail
        assert "0 users are left without any device" in asked.detail
        before = list(fleet.service.pushes)
        assert (await fleet.engine.retire_key(fleet.old, confirm="retire")).state is KeyState.RETIRED
        outcomes = await fleet.outcomes(sent)
        # What was on its way is not called back; nothing else of the old key is signed any more.
        signed = Counter(fleet.key_of[push.path] == fleet.key_of["/user-0-old"] for push in before)
        assert outcomes == {
            (fleet.old, Outcome.ACCEPTED): signed[True],
            (fleet.old, Outcome.KEY_MISMATCH): NOTIFICATIONS - signed[True],
            (fleet.new, Outcome.ACCEPTED): NOTIFICATIONS,
        }
        fleet.assert_signed(fleet.service.pushes)
        assert not [push.path for push in fleet.service.pushes[len(before) :] if push.path.endswith("-old")]
        await swept(fleet.engine)
        assert await states(fleet.engine) == {
            SubscriptionState.ACTIVE: len(USERS),
            SubscriptionState.KEY_MISMATCH: len(USERS),
        }
        fleet.service.pushes.clear()
        (delivery,) = (await fleet.engine.notify("user-0", HELLO, wait_s=10)).deliveries
        assert delivery.outcome is Outcome.ACCEPTED
        assert [push.path for push in fleet.service.pushes] == ["/user-0-new"]

    async def test_revoking_loses_what_it_says_and_no_more(self, fleet: Fleet, log: Log) -> None:
        sent = await fleet.notify_all()
        asked = await confirmation(fleet.engine.revoke_keys())
        assert f"{2 * len(USERS)} subscriptions." in asked.detail
        before = len(fleet.service.pushes)
        revoked = await fleet.engine.revoke_keys(confirm="revoke")
        assert revoked.lost == {Service.OTHER: 2 * len(USERS)}
        assert fleet.engine.public_key().id == revoked.key.id not in {fleet.old, fleet.new}
        # Subscribed since, and nobody's loss.
        made = await subscribe(fleet.engine, fleet.service, "since", "user-0")
        fleet.key_of["/since"] = revoked.key.public_key
        outcomes = await fleet.outcomes(sent)
        fleet.assert_signed(fleet.service.pushes)
        assert {push.path for push in fleet.service.pushes[before:]} == {"/since"}
        assert sum(outcomes.values()) == 2 * NOTIFICATIONS
        assert {outcome for _, outcome in outcomes} <= {Outcome.ACCEPTED, Outcome.KEY_MISMATCH, Outcome.CANCELLED}
        assert outcomes[fleet.old, Outcome.ACCEPTED] + outcomes[fleet.new, Outcome.ACCEPTED] == before
        await swept(fleet.engine)
        assert [item.id for item in (await fleet.engine.subscriptions(EVERYTHING)).items] == [made]
        (delivery,) = (await fleet.engine.notify("user-0", HELLO, wait_s=10)).deliveries
        assert (delivery.subscription, delivery.outcome) == (made, Outcome.ACCEPTED)
        (line,) = log.of("keys_revoked")
        assert (line["keys"], line["subscriptions"]) == (2, 2 * len(USERS))

    async def test_invited_browsers_subscribe_again_without_another_invitation(
        self, engine: Engine, service: PushService
    ) -> None:
        token = (await engine.redeem((await engine.invite("ada")).code)).token
        await engine.subscribe("ada", service.device("old").request(), await engine.device_grant(token))
        await engine.revoke_keys(confirm="revoke")
        await swept(engine)
        grant = await engine.device_grant(token)
        assert grant is not None
        await engine.subscribe("ada", service.device("new").request(), grant)
        assert (await engine.notify("ada", HELLO, wait_s=10)).counts == {Outcome.ACCEPTED: 1}

    async def test_what_waits_to_be_tried_again_is_never_signed_with_a_revoked_key(self, bench: OutboxBench) -> None:
        dispatch = await bench.waiting("ada", "phone")
        await bench.engine.revoke_keys(confirm="revoke")
        await bench.later(60)
        settled = await bench.done(dispatch)
        assert {delivery.outcome for delivery in settled.deliveries} <= {Outcome.CANCELLED, Outcome.KEY_MISMATCH}
        assert bench.service.pushes == []
        await bench.assert_at_rest()


class TestRetiring:
    async def test_a_retired_key_comes_back_with_its_devices(self, engine: Engine, service: PushService) -> None:
        old = engine.public_key().id
        phone = await subscribe(engine, service, "phone")
        current = await engine.rotate_key(confirm="rotate")
        await engine.retire_key(old, confirm="retire")
        await swept(engine)
        assert await states(engine) == {SubscriptionState.KEY_MISMATCH: 1}
        assert (await engine.notify("ada", HELLO, wait_s=10)).deliveries == ()
        back = await engine.roll_back_key(old, confirm="rollback")
        assert (back.id, back.state) == (old, KeyState.CURRENT)
        async with asyncio.timeout(30), aclosing(engine.events()) as events:
            async for _ in events:
                if await states(engine) == {SubscriptionState.ACTIVE: 1}:
                    break
        (delivery,) = (await engine.notify("ada", HELLO, wait_s=10)).deliveries
        assert (delivery.subscription, delivery.outcome) == (phone, Outcome.ACCEPTED)
        keys = {key.id: key for key in (await engine.keys(EVERYTHING)).items}
        assert keys[current.id].state is KeyState.RETIRING
        assert (keys[old].subscriptions, keys[old].services) == (1, {Service.OTHER: 1})

    async def test_what_was_not_sent_because_of_it_is_late_and_disables_nothing_after_its_return(
        self, bench: OutboxBench
    ) -> None:
        old = bench.engine.public_key().id
        phone = await bench.subscribe("ada", "phone")
        await bench.engine.rotate_key(confirm="rotate")
        await bench.engine.invalidate_cache("ada")
        spread, settle = bench.watch("spread"), bench.watch("settle")
        sweep = held_sweep(bench)
        spread.hold, settle.hold = asyncio.Event(), asyncio.Event()
        bench.service.pushes.clear()
        dispatch = await bench.engine.notify("ada", HELLO)
        await spread.begun.get()
        await bench.engine.retire_key(old, confirm="retire")
        spread.hold.set()
        ((settlement,), *_) = await settle.begun.get()
        assert settlement.delivery.outcome is Outcome.KEY_MISMATCH
        await bench.engine.roll_back_key(old, confirm="rollback")
        sweep.set()
        restored = "SELECT retiring_at IS NULL FROM vapid_keys WHERE state = 'current'"
        await until(bench.engine, lambda: bench.sql(restored) == [(1,)])
        settle.hold.set()
        assert (await bench.done(dispatch)).counts == {Outcome.KEY_MISMATCH: 1}
        assert bench.service.pushes == []
        assert await states(bench.engine) == {SubscriptionState.ACTIVE: 1}
        (delivery,) = (await bench.engine.notify("ada", HELLO, wait_s=10)).deliveries
        assert (delivery.subscription, delivery.outcome) == (phone.id, Outcome.ACCEPTED)
        assert await bench.failures() == [0]

    @pytest.mark.parametrize("end", ["retire", "revoke"])
    async def test_what_was_held_of_an_ended_key_is_not_served_again(
        self, engine: Engine, service: PushService, end: str
    ) -> None:
        old = engine.public_key().id
        await subscribe(engine, service, "phone")
        await engine.rotate_key(confirm="rotate")
        assert len(await engine.test("ada")) == 1
        assert [entry.devices for entry in (await engine.cache(EVERYTHING)).items] == [1]
        await (engine.retire_key(old, confirm=end) if end == "retire" else engine.revoke_keys(confirm=end))
        # A test asks for no generation: only what is held decides.
        with pytest.raises(PushdeskError) as missing:
            await engine.test("ada")
        assert missing.value.code == "subscription_not_found"

    async def test_what_was_held_of_a_key_that_came_back_is_not_served_either(self, bench: OutboxBench) -> None:
        old = bench.engine.public_key().id
        await bench.subscribe("ada", "phone")
        await bench.engine.rotate_key(confirm="rotate")
        held_sweep(bench)
        await bench.engine.retire_key(old, confirm="retire")
        with pytest.raises(PushdeskError):
            await bench.engine.test("ada")
        assert [entry.devices for entry in (await bench.engine.cache(EVERYTHING)).items] == [0]
        await bench.engine.roll_back_key(old, confirm="rollback")
        assert len(await bench.engine.test("ada")) == 1

    async def test_no_word_is_needed_where_nobody_is_lost(self, engine: Engine) -> None:
        old = engine.public_key().id
        await engine.rotate_key(confirm="rotate")
        assert (await engine.retire_key(old)).state is KeyState.RETIRED

    async def test_it_says_how_many_users_have_nothing_else(self, engine: Engine, service: PushService) -> None:
        old = engine.public_key().id
        for user, name in (("ada", "a"), ("bo", "b"), ("cy", "c")):
            await subscribe(engine, service, name, user)
        await engine.rotate_key(confirm="rotate")
        await subscribe(engine, service, "another", "cy")
        (key,) = [key for key in (await engine.keys(EVERYTHING)).items if key.id == old]
        assert (key.subscriptions, key.before, key.users_left) == (3, {Service.OTHER: 3}, 2)
        asked = await confirmation(engine.retire_key(old, confirm="yes"))
        assert "ends 3 subscriptions," in asked.detail
        assert "2 users are left" in asked.detail
        assert '"retire"' in asked.hint
        assert (await engine.keys(PageQuery(filter=old))).items[0].state is KeyState.RETIRING

    async def test_it_calls_the_push_services_what_people_call_them(self, bench: OutboxBench) -> None:
        old = bench.engine.public_key().id
        for service in Service:
            await bench.subscribe(f"user of {service}", service)
            bench.sql('UPDATE subscriptions SET service = ? WHERE "user" = ?', service, f"user of {service}")
        await bench.engine.rotate_key(confirm="rotate")
        named = "5 subscriptions (1 at FCM, 1 at Mozilla, 1 at Apple, 1 at WNS, 1 at others)"
        assert named in (await confirmation(bench.engine.retire_key(old))).detail
        assert named in (await confirmation(bench.engine.revoke_keys())).detail

    async def test_the_current_key_is_not_retired(self, engine: Engine) -> None:
        with pytest.raises(PushdeskError, match="current"):
            await engine.retire_key(engine.public_key().id, confirm="retire")

    async def test_a_browser_with_a_retiring_key_is_taken_and_one_with_an_ended_key_is_not(
        self, engine: Engine, service: PushService
    ) -> None:
        old = engine.public_key().id
        await engine.rotate_key(confirm="rotate")
        await subscribe(engine, service, "phone", key_id=old)
        (delivery,) = (await engine.notify("ada", HELLO, wait_s=10)).deliveries
        assert delivery.outcome is Outcome.ACCEPTED
        await engine.retire_key(old, confirm="retire")
        for end in (None, "revoke"):
            if end is not None:
                await engine.revoke_keys(confirm=end)
            with pytest.raises(PushdeskError) as refused:
                await subscribe(engine, service, "laptop", key_id=old)
            # Which pages answer with a new subscription.
            assert refused.value.code == "key_mismatch"
            assert "/api/v1/vapid" in refused.value.hint


class TestImporting:
    @pytest.mark.parametrize("text", texts.TAKEN.values(), ids=texts.TAKEN.keys())
    async def test_a_subscription_of_an_imported_key_gets_its_push(
        self, engine: Engine, service: PushService, text: str
    ) -> None:
        before = engine.public_key()
        imported = await engine.import_key(text)
        assert (imported.state, imported.subscriptions) == (KeyState.RETIRING, 0)
        assert imported.public_key == read_key(text).public_key
        assert engine.public_key() == before
        phone = service.device("phone")
        await engine.subscribe("ada", phone.request(key_id=imported.id))
        service.pushes.clear()
        await engine.notify("ada", HELLO, wait_s=10)
        (push,) = service.pushes
        point = decode_base64url(imported.public_key)
        check_authorization(push.headers["Authorization"], origin=service.origin, registered_key=point, now=time.time())
        assert phone.decrypt(push.body)["notification"]["title"] == "Hello"
        (key,) = (await engine.keys(PageQuery(filter=imported.id))).items
        assert (key.subscriptions, key.services) == (1, {Service.OTHER: 1})

    async def test_it_becomes_the_current_one_if_that_is_wanted(self, engine: Engine, service: PushService) -> None:
        old = engine.public_key().id
        await subscribe(engine, service, "phone")
        asked = await confirmation(engine.import_key(texts.NODE_JSON, current=True))
        assert old in asked.detail
        key = await engine.import_key(texts.NODE_JSON, current=True, confirm="import")
        assert (engine.public_key().id, key.state) == (key.id, KeyState.CURRENT)
        (delivery,) = (await engine.notify("ada", HELLO, wait_s=10)).deliveries
        assert delivery.outcome is Outcome.ACCEPTED

    async def test_one_that_is_here_already_says_so(self, engine: Engine) -> None:
        mine = await engine.export_key(engine.public_key().id, confirm="export")
        for text, current in ((mine.pem, False), (mine.pem, True)):
            with pytest.raises(PushdeskError, match="here already: it is current"):
                await engine.import_key(text, current=current, confirm="import")
        await engine.rotate_key(confirm="rotate")
        with pytest.raises(PushdeskError, match="here already: it is retiring"):
            await engine.import_key(mine.pem)
        back = await engine.import_key(mine.pem, current=True, confirm="import")
        assert (back.id, back.state) == (mine.id, KeyState.CURRENT)

    async def test_one_that_was_retired_is_brought_back_with_its_devices(
        self, engine: Engine, service: PushService
    ) -> None:
        await subscribe(engine, service, "phone")
        mine = await engine.export_key(engine.public_key().id, confirm="export")
        current = await engine.rotate_key(confirm="rotate")
        await engine.retire_key(mine.id, confirm="retire")
        await swept(engine)
        back = await engine.import_key(f"{mine.public_key} {mine.private_key}")
        assert (back.id, back.state) == (mine.id, KeyState.RETIRING)
        assert engine.public_key().id == current.id
        async with asyncio.timeout(30), aclosing(engine.events()) as events:
            async for _ in events:
                if await states(engine) == {SubscriptionState.ACTIVE: 1}:
                    break
        assert (await engine.notify("ada", HELLO, wait_s=10)).counts == {Outcome.ACCEPTED: 1}

    async def test_a_revoked_one_is_refused(self, engine: Engine) -> None:
        leaked = await engine.export_key(engine.public_key().id, confirm="export")
        await engine.revoke_keys(confirm="revoke")
        for current in (False, True):
            with pytest.raises(PushdeskError, match="it is revoked") as refused:
                await engine.import_key(leaked.pem, current=current, confirm="import")
            assert refused.value.code == "bad_field"
        with pytest.raises(PushdeskError, match="revoked"):
            await engine.export_key(leaked.id, confirm="export")
        with pytest.raises(PushdeskError, match="revoked"):
            await engine.roll_back_key(leaked.id, confirm="rollback")

    @pytest.mark.parametrize(
        "text", [texts.OPENSSL_P384, texts.OPENSSL_ENCRYPTED_PKCS8, texts.OPENSSL_PUBLIC_ONLY, "nonsense", ""]
    )
    async def test_what_is_no_key_changes_nothing(self, engine: Engine, text: str) -> None:
        before = await engine.keys(EVERYTHING)
        with pytest.raises(PushdeskError) as refused:
            await engine.import_key(text, current=True, confirm="import")
        assert (refused.value.code, refused.value.fields) == ("bad_field", ("text",))
        assert await engine.keys(EVERYTHING) == before


class TestExporting:
    async def test_it_is_the_key_that_signs_and_the_log_has_nothing_of_it(
        self, start: OpenEngine, service: PushService, log: Log
    ) -> None:
        async with start() as engine:
            key = engine.public_key()
            await confirmation(engine.export_key(key.id))
            assert log.of("key_exported") == []
            exported = await engine.export_key(key.id, confirm="export")
            phone = await subscribe(engine, service, "phone")
        assert read_key(exported.pem).public_key == key.public_key == exported.public_key
        assert read_key(f"{exported.public_key} {exported.private_key}").to_pem().decode() == exported.pem
        (line,) = log.of("key_exported")
        assert (line["key"], line["level"]) == (key.id, "warning")
        assert phone
        for secret in (exported.private_key, exported.pem.splitlines()[1]):
            assert secret not in log.text
            assert secret not in repr(exported)


class TestTheSweep:
    """What a revocation does to very many."""

    DEVICES: Final = {f"user-{number}": 2 for number in range(10_000)}

    async def test_no_transaction_is_of_more_than_a_batch_and_a_restart_goes_on(self, tmp_path: Path, log: Log) -> None:
        file = tmp_path / DATABASE_NAME
        async with town(tmp_path, self.DEVICES) as here:
            await here.offer(["user-0"])
            await here.settled()
            # A batch raises the counter of generations after it has deleted: those of one number are one batch.
            await change_database(
                file,
                "CREATE TABLE removals (batch INTEGER)",
                "CREATE TABLE raises (batch INTEGER)",
                "CREATE TRIGGER removed AFTER DELETE ON subscriptions BEGIN"
                " INSERT INTO removals SELECT generation FROM server_state; END",
                "CREATE TRIGGER raised AFTER UPDATE ON user_state BEGIN"
                " INSERT INTO raises VALUES (new.generation); END",
            )
            revoked = await here.engine.revoke_keys(confirm="revoke")
            assert sum(revoked.lost.values()) == 20_000
            assert set(revoked.lost) == {Service.FCM, Service.MOZILLA, Service.APPLE, Service.WNS}
            # At once, for everybody, and whoever else writes has a turn.
            told = await here.engine.notify("user-1", HELLO, wait_s=10)
            assert (told.state, told.deliveries) == (DispatchState.DONE, ())
            left = rows(file)
            assert 0 < left < 20_000
            # The engine is left in the middle of the sweep.
        assert 0 < rows(file) <= left
        assert log.of("key_sweep_ended") == []
        (line,) = log.of("key_sweep_stopped")
        assert line["removed"] == 20_000 - rows(file)
        async with open_engine(Config(data_dir=tmp_path), access_url=ACCESS_URL) as engine:
            assert (await engine.stats()).subscriptions == 0
            await until(engine, lambda: rows(file) == 0)
            await until(engine, lambda: bool(log.of("key_sweep_ended")))
        with closing(sqlite3.connect(file)) as connection:
            for table in ("removals", "raises"):
                sizes = connection.execute(f"SELECT count(*) FROM {table} GROUP BY batch").fetchall()  # noqa: S608 (our own tables)
                assert sizes
                assert max(size for (size,) in sizes) <= 500
            assert connection.execute("SELECT count(*) FROM removals").fetchone() == (20_000,)

    async def test_it_is_told_and_logged_in_one_line(self, start: OpenEngine, service: PushService, log: Log) -> None:
        async with start() as engine:
            phone = await subscribe(engine, service, "phone")
            seen: list[AnyEvent] = []
            async with asyncio.timeout(30), aclosing(engine.events()) as events:
                await anext(events)
                await engine.revoke_keys(confirm="revoke")
                async for batch in events:
                    seen += batch
                    if log.of("key_sweep_ended"):
                        break
        assert [(event.id, event.user) for event in seen if isinstance(event, SubscriptionRemoved)] == [(phone, "ada")]
        assert {event.key.state for event in seen if isinstance(event, KeyChanged)} == {
            KeyState.REVOKED,
            KeyState.CURRENT,
        }
        (line,) = log.of("key_sweep_ended")
        assert (line["removed"], line["disabled"], line["restored"]) == (1, 0, 0)
        assert log.of("subscription_removed") == []

    async def test_a_failing_database_is_asked_again(
        self, bench: OutboxBench, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pushdesk.engine.key_sweep.BACK_OFF_S", 0.01)
        await bench.subscribe("ada", "phone")
        sweep, failures = bench.store.key_bindings.sweep, iter([DatabaseError("The disk is full.")])

        async def failing(limit: int, now_ms: int) -> Any:
            for failure in failures:
                raise failure
            return await sweep(limit, now_ms)

        monkeypatch.setattr(bench.store.key_bindings, "sweep", failing)
        await bench.engine.revoke_keys(confirm="revoke")
        await until(bench.engine, lambda: bool(log.of("key_sweep_ended")))
        (line,) = log.of("key_sweep_failed")
        assert line["code"] == "database_error"
        assert bench.sql("SELECT count(*) FROM subscriptions") == [(0,)]


class TestCommandsThatFail:
    async def test_one_that_seemed_to_fail_and_was_committed_is_followed(
        self, bench: OutboxBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        phone = await bench.subscribe("ada", "phone")
        before = bench.engine.public_key().id
        revoke_all = bench.store.keys.revoke_all

        async def seems_to_fail(key: Any) -> Any:
            await revoke_all(key)
            raise DatabaseError("The database failed: disk I/O error.")

        monkeypatch.setattr(bench.store.keys, "revoke_all", seems_to_fail)
        with pytest.raises(DatabaseError):
            await bench.engine.revoke_keys(confirm="revoke")
        await until(bench.engine, lambda: bench.engine.public_key().id != before)
        await swept(bench.engine)
        assert (await bench.engine.notify("ada", HELLO, wait_s=10)).deliveries == ()
        assert phone.id not in {item.id for item in (await bench.engine.subscriptions(EVERYTHING)).items}

    async def test_one_that_fails_changes_nothing(self, bench: OutboxBench) -> None:
        await bench.subscribe("ada", "phone")
        before = bench.engine.public_key()
        bench.sql("CREATE TRIGGER fail BEFORE INSERT ON vapid_keys BEGIN SELECT raise(ABORT, 'no'); END")
        for question in (
            bench.engine.rotate_key(confirm="rotate"),
            bench.engine.revoke_keys(confirm="revoke"),
            bench.engine.import_key(texts.NODE_JSON),
        ):
            with pytest.raises(DatabaseError):
                await question
        assert bench.engine.public_key() == before
        assert (await bench.engine.notify("ada", HELLO, wait_s=10)).counts == {Outcome.ACCEPTED: 1}

    async def test_who_is_cancelled_in_the_middle_leaves_it_done(
        self, bench: OutboxBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, begun, let_go = bench.engine.public_key().id, asyncio.Event(), asyncio.Event()
        make_current = bench.store.keys.make_current

        async def held(key: Any) -> Any:
            begun.set()
            await let_go.wait()
            return await make_current(key)

        monkeypatch.setattr(bench.store.keys, "make_current", held)
        rotating = asyncio.create_task(bench.engine.rotate_key(confirm="rotate"))
        await begun.wait()
        rotating.cancel()
        let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await rotating
        assert bench.engine.public_key().id != before

    async def test_many_at_once_are_done_one_after_the_other(self, engine: Engine) -> None:
        await asyncio.gather(*(engine.rotate_key(confirm="rotate") for _ in range(5)))
        keys = (await engine.keys(EVERYTHING)).items
        assert Counter(key.state for key in keys) == {KeyState.CURRENT: 1, KeyState.RETIRING: 5}
        assert [key.id for key in keys if key.state is KeyState.CURRENT] == [engine.public_key().id]


async def test_rotating_says_how_many_devices_it_affects_and_that_nobody_is_lost(
    engine: Engine, service: PushService
) -> None:
    assert "affects nobody" in (await confirmation(engine.rotate_key())).detail
    for name in ("phone", "laptop"):
        await subscribe(engine, service, name)
    asked = await confirmation(engine.rotate_key())
    assert "2 subscriptions" in asked.detail
    assert "the old key goes on signing for them, and nobody is lost" in asked.detail
    await engine.rotate_key(confirm="rotate")
    assert "affects nobody" in (await confirmation(engine.rotate_key())).detail


async def test_the_words_are_asked_for_and_name_themselves(engine: Engine) -> None:
    old = engine.public_key().id
    await engine.rotate_key(confirm="rotate")
    before = await engine.keys(EVERYTHING)
    for word, question in (
        ("rotate", engine.rotate_key(confirm="Rotate")),
        ("rollback", engine.roll_back_key(old, confirm="retire")),
        ("revoke", engine.revoke_keys(confirm="rotate")),
        ("import", engine.import_key(texts.NODE_JSON, current=True, confirm="yes")),
        ("export", engine.export_key(old)),
    ):
        asked = await confirmation(question)
        assert re.findall(r'"(\w+)"', asked.hint) == [word]
        assert asked.detail
    assert await engine.keys(EVERYTHING) == before


def rows(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        count: int = connection.execute("SELECT count(*) FROM subscriptions").fetchone()[0]
    return count
