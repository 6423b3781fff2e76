"""Access tokens: what they allow, that no request reads or writes them, and what outlives a restart."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from pushdesk.engine.access_tokens import AccessTokens
from pushdesk.engine.events import EventBus
from pushdesk.engine.identifiers import Identifiers
from pushdesk.engine.publisher import Publisher
from pushdesk.engine.statistics import Statistics
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import PageQuery, Scope
from pushdesk.storage import access_tokens as table
from pushdesk.storage.store import Store
from tests.clocks import FrozenClock
from tests.contract.tracing import tracing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.logs import Log

EVERYTHING = PageQuery()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(tmp_path / "pushdesk.db") as opened:
        yield opened


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


async def opened(store: Store, clock: FrozenClock) -> AccessTokens:
    """Return the tokens as a server that starts now has them."""
    publisher = Publisher(EventBus(clock, "epoch"), Statistics(clock))
    tokens = AccessTokens(store.access_tokens, Identifiers(clock, secrets.token_bytes), clock, publisher)
    await tokens.load()
    return tokens


async def write_uses(tokens: AccessTokens) -> None:
    tokens.end()
    await tokens.run()


async def test_a_token_outlives_a_restart_and_only_its_hash_is_kept(
    store: Store, clock: FrozenClock, tmp_path: Path
) -> None:
    made = await (await opened(store, clock)).create("backup", [Scope.READ])
    grant = (await opened(store, clock)).grant(made.token)
    assert grant is not None
    assert grant.allows(Scope.READ)
    assert not grant.allows(Scope.NOTIFY)
    secret = made.token.rpartition("_")[2].encode()
    files = [file.read_bytes() for file in tmp_path.iterdir()]
    assert files
    assert not any(secret in content for content in files)


async def test_the_scope_admin_allows_everything(store: Store, clock: FrozenClock) -> None:
    tokens = await opened(store, clock)
    grant = tokens.grant((await tokens.create("operator", [Scope.ADMIN])).token)
    assert grant is not None
    assert all(grant.allows(scope) for scope in Scope)


async def test_a_token_with_another_secret_is_none(store: Store, clock: FrozenClock) -> None:
    tokens = await opened(store, clock)
    made = (await tokens.create("backup", [Scope.READ])).token
    assert tokens.grant(made[:-1] + ("1" if made[-1] == "0" else "0")) is None
    assert tokens.grant(made) is not None


async def test_letting_somebody_in_asks_the_database_nothing(tmp_path: Path, clock: FrozenClock) -> None:
    with tracing() as trace:
        async with Store(tmp_path / "traced.db") as store:
            tokens = await opened(store, clock)
            made = await tokens.create("backup", [Scope.READ])
            before = len(trace.statements)
            assert tokens.grant(made.token) is not None
            assert tokens.grant(made.token[:-1]) is None
            assert trace.statements[before:] == []


async def test_the_last_use_of_a_token_is_known_at_once_and_written_down_later(
    store: Store, clock: FrozenClock
) -> None:
    tokens = await opened(store, clock)
    made = await tokens.create("backup", [Scope.READ])
    clock.advance(90)
    tokens.grant(made.token)
    used_at = datetime.fromtimestamp(clock.now, UTC)
    assert tokens.page(EVERYTHING).items[0].last_used_at == used_at
    assert (await opened(store, clock)).page(EVERYTHING).items[0].last_used_at is None
    await write_uses(tokens)
    assert tokens.page(EVERYTHING).items[0].last_used_at == used_at
    assert (await opened(store, clock)).page(EVERYTHING).items[0].last_used_at == used_at


async def test_a_use_that_could_not_be_written_is_written_the_next_time(
    store: Store, clock: FrozenClock, tmp_path: Path, log: Log
) -> None:
    tokens = await opened(store, clock)
    made = await tokens.create("backup", [Scope.READ])
    tokens.grant(made.token)
    other = create_engine(f"sqlite:///{tmp_path / 'pushdesk.db'}")
    with other.begin() as connection:
        connection.execute(
            text("CREATE TRIGGER broken BEFORE UPDATE ON access_tokens BEGIN SELECT RAISE(ABORT, 'broken'); END")
        )
    await write_uses(tokens)
    assert [line["code"] for line in log.of("access_token_uses_unwritten")] == ["database_error"]
    with other.begin() as connection:
        connection.execute(text("DROP TRIGGER broken"))
    other.dispose()
    await write_uses(tokens)
    assert (await opened(store, clock)).page(EVERYTHING).items[0].last_used_at is not None


async def test_a_revoked_token_stays_revoked(store: Store, clock: FrozenClock) -> None:
    tokens = await opened(store, clock)
    made = await tokens.create("backup", [Scope.READ])
    tokens.grant(made.token)
    await tokens.revoke(made.access.id)
    assert tokens.grant(made.token) is None
    await write_uses(tokens)
    assert (await opened(store, clock)).grant(made.token) is None


async def test_a_token_that_could_not_be_revoked_is_not_said_to_be(
    store: Store, clock: FrozenClock, tmp_path: Path
) -> None:
    tokens = await opened(store, clock)
    made = await tokens.create("backup", [Scope.READ])
    other = create_engine(f"sqlite:///{tmp_path / 'pushdesk.db'}")
    with other.begin() as connection:
        connection.execute(
            text("CREATE TRIGGER broken BEFORE DELETE ON access_tokens BEGIN SELECT RAISE(ABORT, 'broken'); END")
        )
    other.dispose()
    with pytest.raises(DatabaseError):
        await tokens.revoke(made.access.id)
    assert tokens.grant(made.token) is not None


async def test_there_are_only_so_many(store: Store, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_TOKENS", 2)
    tokens = await opened(store, clock)
    for name in ("one", "two"):
        await tokens.create(name, [Scope.READ])
    with pytest.raises(PushdeskError) as refused:
        await tokens.create("three", [Scope.READ])
    assert refused.value.code == "forbidden"
    assert len(tokens.page(EVERYTHING).items) == 2


async def test_making_and_revoking_is_logged_without_the_token(store: Store, clock: FrozenClock, log: Log) -> None:
    tokens = await opened(store, clock)
    made = await tokens.create("backup", [Scope.READ, Scope.NOTIFY])
    await tokens.revoke(made.access.id)
    lines = log.of("access_token_made", "access_token_revoked")
    assert [line["token"] for line in lines] == [made.access.id] * 2
    assert lines[0]["scopes"] == "notify read"
    assert made.token.rpartition("_")[2] not in log.text
