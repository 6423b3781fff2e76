"""Whether the secrets in the database are sealed, and whether the key that is there is the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.doctor.findings import Check, Finding, broken, not_looked_at, ok, warning
from pushdesk.errors import PushdeskError
from pushdesk.storage.seal_state import Word, word_of

if TYPE_CHECKING:
    from pushdesk.storage.seal_state import SealState
    from pushdesk.storage.sealing import Sealer


def judge_sealing(state: SealState, sealer: Sealer | PushdeskError, *, is_served: bool) -> Finding:
    """Say whether secrets are sealed, and with which key.

    Args:
        state: What the database says.
        sealer: Of the configured key, or why that cannot be used.
        is_served: Whether a server works on the database: it has the key then, whether or not this command does.
    """
    if isinstance(sealer, PushdeskError):
        return broken(
            Check.SEALING,
            sealer.detail,
            why="A start fails without the key that is configured.",
            advice=sealer.hint or "Correct it, or leave it out if the database is not sealed.",
        )
    if state.key_id is None:
        return _judge_unsealed(sealer)
    if sealer.key_id is None and is_served:
        return not_looked_at(
            Check.SEALING,
            f"Secrets are sealed with the key {state.key_id}, which the running server has and this command does not.",
            why="With PUSHDESK_SEAL_KEY or --seal-key-file, keys and endpoints are looked at too.",
        )
    try:
        word = word_of(state, sealer)
    except PushdeskError as error:
        return broken(Check.SEALING, error.detail, why="Nothing starts without the key.", advice=error.hint)
    if word is Word.CHANGING:
        return broken(
            Check.SEALING,
            f"The sealing of the database with the key {state.key_id} was begun and has not ended.",
            why="Nothing starts before it has ended.",
            advice="Run `pushdesk seal` again: it goes on where it was.",
        )
    return ok(Check.SEALING, f"Secrets are sealed with the key {state.key_id}, which is the one that is configured.")


def _judge_unsealed(sealer: Sealer) -> Finding:
    if sealer.key_id is not None:
        return broken(
            Check.SEALING,
            f"There is a sealing key, {sealer.key_id}, and the database is not sealed.",
            why="A start refuses, so that nobody takes for sealed what is not.",
            advice="Stop the server and run `pushdesk seal`, or leave the key out.",
        )
    return warning(
        Check.SEALING,
        "Secrets in the database are not sealed.",
        why="That is allowed. Whoever reads the database or a backup of it can push to every device in your name.",
        advice="`pushdesk seal` seals them with a key that is kept elsewhere.",
    )
