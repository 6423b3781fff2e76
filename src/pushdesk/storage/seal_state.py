"""What a database says of its own sealing, and whether that agrees with the key that is there.

The row of `server_state` names the key and holds a word sealed with it: `whole`, or `changing` from before the first
value is sealed, sealed anew or unsealed until after the last. A server works on a database that is whole, or on one
that is not sealed if it has no key; nothing is sealed or mixed without being asked for.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import exists, select, update

from pushdesk.errors import StartUpError
from pushdesk.storage.schema import server_state, subscriptions, vapid_keys
from pushdesk.storage.sealing import CHECK, SealBrokenError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Update

    from pushdesk.storage.sealing import Sealer

ROW: Final = "1"
"""Of `server_state`, the only one."""
LOSS: Final = (
    "Without it nobody can be sent to: endpoints, their auth secrets and the private keys are lost, and every browser "
    "has to subscribe anew. Users, access tokens, history and messages are not sealed: they stay in this database, for "
    "when the key is found. "
)
BRING_IT: Final = (
    "Give it in PUSHDESK_SEAL_KEY, or name its file in PUSHDESK_SEAL_KEY_FILE or as [server] seal_key_file in the "
    "configuration; without it, begin with another --data-dir, which has none of this."
)
"""Names what every command takes that opens a database."""


class Word(StrEnum):
    """How far the sealing is."""

    WHOLE = "whole"
    CHANGING = "changing"


class SealState(NamedTuple):
    """What `server_state` says."""

    key_id: str | None
    """None for a database that is not sealed."""
    check: bytes | None


def read_state(connection: Connection) -> SealState:
    """Read what the database says of its sealing."""
    row = connection.execute(select(server_state.c.seal_key_id, server_state.c.seal_check)).one()
    return SealState(row.seal_key_id, row.seal_check)


def state_of(sealer: Sealer, word: Word) -> Update:
    """Return the statement that says that the database is sealed with this sealer's key; or not, if it has none."""
    check = None if sealer.key_id is None else sealer.seal(CHECK, ROW, word.encode())
    return update(server_state).values(seal_key_id=sealer.key_id, seal_check=check)


def word_of(state: SealState, sealer: Sealer) -> Word:
    """Return how far the sealing of a sealed database is.

    Raises:
        StartUpError: The sealer has no key, or another one.
    """
    if sealer.key_id is None:
        raise StartUpError(
            f"The database is sealed with the key {state.key_id}, and there is no key. {LOSS}".strip(), hint=BRING_IT
        )
    problem = f"The database is sealed with the key {state.key_id}, and this is another"
    if sealer.key_id != state.key_id:
        raise StartUpError(f"{problem}, {sealer.key_id}. {LOSS}".strip(), hint=BRING_IT)
    try:
        return Word(sealer.unseal(CHECK, ROW, state.check or b"").decode())
    except (SealBrokenError, ValueError):
        raise StartUpError(
            f"What the database says of its sealing with the key {state.key_id} was changed.",
            hint="Restore the database from a backup.",
        ) from None


def agree(connection: Connection, sealer: Sealer) -> None:
    """Check that database and key agree; a new, empty database is sealed from now on if there is a key.

    Raises:
        StartUpError: They do not; says what to do.
    """
    state = read_state(connection)
    if state.key_id is not None:
        if word_of(state, sealer) is not Word.WHOLE:
            raise StartUpError(
                f"The sealing of the database with the key {state.key_id} was begun and has not ended.",
                hint="Run `pushdesk seal` again: it goes on where it was.",
            )
    elif sealer.key_id is not None:
        if _is_in_use(connection):
            raise StartUpError(
                f"There is a sealing key, {sealer.key_id}, and the database is not sealed.",
                hint="Seal it with `pushdesk seal`, or start without the key.",
            )
        connection.execute(state_of(sealer, Word.WHOLE))


def _is_in_use(connection: Connection) -> bool:
    anything = exists(select(vapid_keys.c.id)) | exists(select(subscriptions.c.id))
    return bool(connection.scalar(select(anything)))
