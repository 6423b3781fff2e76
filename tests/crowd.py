"""A crowd: users with one subscription and one delivery each, up to millions of them, put straight into a database.

What they are sorted and filtered by has nothing to do with the order in which they came. Many names have `ada` in them,
some begin with it; one in twenty thousand has `quill`; the first twenty to come, and nobody else, have `elder`.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert
from sqlalchemy.dialects import sqlite

from pushdesk.model import (
    DispatchKind,
    DispatchState,
    Outcome,
    Service,
    SubscriptionState,
    Urgency,
)
from pushdesk.storage.schema import deliveries, dispatches, subscriptions, user_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Table

LATEST_MS: Final = 1_800_000_000_000
ELDERS: Final = 20
_BATCH: Final = 10_000
_STRIDE: Final = 7919
"""A prime: each so manyth of the crowd, round and round, is everybody once."""
_GIVEN: Final = ("ada", "bo", "cy", "dana", "eve", "finn", "gus", "hana", "ida", "joanna", "kim", "lars")
_FAMILY: Final = ("berg", "castro", "dahl", "eriksson", "fischer", "granada", "hansen", "ito", "jones", "khan")
_SERVICES: Final = (*(Service.FCM,) * 14, *(Service.APPLE,) * 3, Service.MOZILLA, Service.MOZILLA, Service.WNS)


def name_of(number: int) -> str:
    """Return the id of the user who came as this one, counted from 0."""
    family = _FAMILY[number // len(_GIVEN) % len(_FAMILY)]
    if number % 20_000 == 77:
        family = "quill"
    elif number < ELDERS:
        family = "elder"
    return f"{_GIVEN[number % len(_GIVEN)]}.{family}.{number:07}"


def subscription_of(number: int, size: int) -> str:
    """Return the id of the subscription of the user who came as this one."""
    return _id(_came_ms(number, size), number)


def fill(file: Path, size: int) -> None:
    """Put a crowd into an empty database that nobody has open. A million of them take a minute or two.

    Args:
        file: The database, with its schema.
        size: How many there are to be; no multiple of 7919.
    """
    inverse = pow(_STRIDE, -1, size)
    by_turn = [turn * inverse % size for turn in range(size)]
    with straight_into(file) as connection:
        insert_rows(connection, user_state, (_user(number, size) for number in range(size)))
        insert_rows(connection, subscriptions, (_subscription(number, size) for number in range(size)))
        insert_rows(connection, dispatches, (_dispatch(number, size) for number in by_turn))
        insert_rows(connection, deliveries, (_delivery(number, size) for number in by_turn))
        connection.execute("UPDATE server_state SET generation = ?", (size,))


@contextmanager
def straight_into(file: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that writes very many rows; nobody else has the database open.

    There is nothing to go back to: what fails in between leaves a file that is good for nothing.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        # Made anew at the end, which takes half the time.
        indexes = found.fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("BEGIN")
        yield connection
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute("COMMIT")


def insert_rows(connection: sqlite3.Connection, table: Table, rows: Iterable[Mapping[str, object]]) -> None:
    """Insert rows, which have all the same columns."""
    left = iter(rows)
    while batch := list(islice(left, _BATCH)):
        statement = insert(table).compile(dialect=sqlite.dialect(paramstyle="named"), column_keys=list(batch[0]))
        connection.executemany(str(statement), batch)


def _turn(number: int, size: int) -> int:
    """Return when somebody had his turn to be sent to, counted from 0: not in the order in which they came."""
    return number * _STRIDE % size


def _came_ms(number: int, size: int) -> int:
    return LATEST_MS - (size - number) * 1000


def _sent_ms(number: int, size: int) -> int:
    return LATEST_MS - (size - _turn(number, size)) * 50


def _id(at_ms: int, number: int) -> str:
    """Return an id as `Identifiers` makes them: they sort by the time they were made."""
    return f"{at_ms:012x}{number:014x}"


def _user(number: int, size: int) -> dict[str, object]:
    return {"user": name_of(number), "generation": number + 1, "created_at": _came_ms(number, size)}


def _subscription(number: int, size: int) -> dict[str, object]:
    turn = _turn(number, size)
    outcome = _outcome(turn)
    digest = hashlib.sha256(str(number).encode()).digest()
    state = SubscriptionState.ACTIVE
    if turn % 100 in {7, 8, 9}:
        state = (SubscriptionState.GONE, SubscriptionState.KEY_MISMATCH, SubscriptionState.HELD)[turn % 100 - 7]
    failures = turn // 50 % 9 + 1 if turn % 50 == 3 else 0
    return {
        "id": subscription_of(number, size),
        "user": name_of(number),
        "endpoint_digest": digest,
        "endpoint": f"https://fcm.googleapis.com/fcm/send/{digest.hex():z<152}",
        "p256dh": b"p" * 65,
        "auth": b"a" * 16,
        "token_digest": digest,
        "key_id": "0" * 8,
        "service": _SERVICES[turn % len(_SERVICES)],
        "browser": "Chrome",
        "platform": "Android",
        "state": state,
        "version": 1,
        "created_at": _came_ms(number, size),
        "last_success_at": _sent_ms(number, size) if outcome is Outcome.ACCEPTED else None,
        "last_failure_at": _sent_ms(number, size) - 1 if failures else None,
        "failures": failures,
    }


def _dispatch(number: int, size: int) -> dict[str, object]:
    at_ms = _sent_ms(number, size)
    return {
        "id": _id(at_ms, number),
        "user": name_of(number),
        "kind": DispatchKind.NOTIFICATION,
        "title": f"Tea for {name_of(number)}",
        "message": b'{"web_push":8030,"notification":{"title":"Tea","body":"%s"}}' % (b"It is ready. " * 15),
        "urgency": Urgency.NORMAL,
        "state": DispatchState.DONE,
        "accepted_at": at_ms,
        "due_at": at_ms,
        "expires_at": at_ms + 86_400_000,
        "ttl_s": 86_400,
    }


def _delivery(number: int, size: int) -> dict[str, object]:
    outcome = _outcome(_turn(number, size))
    at_ms = _sent_ms(number, size)
    return {
        "id": _id(at_ms, number),
        "dispatch": _id(at_ms, number),
        "user": name_of(number),
        "subscription": subscription_of(number, size),
        "service": _SERVICES[_turn(number, size) % len(_SERVICES)],
        "device": "Chrome · Android",
        "outcome": outcome,
        "status": 201 if outcome is Outcome.ACCEPTED else 410,
        "reason": "",
        "attempts": 1,
        "latency_ms": 61.5,
        "next_attempt_at": None,
        "at": at_ms + 61,
    }


def _outcome(turn: int) -> Outcome:
    if turn % 20_000 == 5:
        return Outcome.GONE
    return Outcome.EXPIRED if turn % 100 == 1 else Outcome.ACCEPTED
