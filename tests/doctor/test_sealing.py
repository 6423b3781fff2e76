"""Sealing: whether there is any, with which key, and whether that key is here."""

from __future__ import annotations

import os

import pytest

from pushdesk.doctor.findings import Level
from pushdesk.doctor.sealing import judge_sealing
from pushdesk.errors import PushdeskError, StartUpError
from pushdesk.storage.seal_state import ROW, SealState, Word
from pushdesk.storage.sealing import CHECK, Sealer

OURS, THEIRS = Sealer(os.urandom(32)), Sealer(os.urandom(32))
UNSEALED = SealState(None, None)


def sealed(word: Word = Word.WHOLE) -> SealState:
    return SealState(OURS.key_id, OURS.seal(CHECK, ROW, word.encode()))


@pytest.mark.parametrize(
    ("state", "sealer", "is_served", "level", "said"),
    [
        (UNSEALED, Sealer(), False, Level.WARNING, "are not sealed"),
        (UNSEALED, Sealer(), True, Level.WARNING, "are not sealed"),
        (UNSEALED, OURS, False, Level.BROKEN, "There is a sealing key"),
        (sealed(), OURS, False, Level.OK, "the one that is configured"),
        (sealed(), THEIRS, False, Level.BROKEN, "this is another"),
        (sealed(), THEIRS, True, Level.BROKEN, "this is another"),
        (sealed(), Sealer(), False, Level.BROKEN, "there is no key"),
        (sealed(), Sealer(), True, Level.NOT_LOOKED_AT, "the running server has"),
        (sealed(Word.CHANGING), OURS, False, Level.BROKEN, "has not ended"),
        (SealState(OURS.key_id, b"\x01" * 60), OURS, False, Level.BROKEN, "was changed"),
        (sealed(), StartUpError("It is no key.", hint="Make one."), False, Level.BROKEN, "It is no key."),
    ],
)
def test_what_is_said_of_sealing(
    state: SealState, sealer: Sealer | PushdeskError, level: Level, said: str, *, is_served: bool
) -> None:
    finding = judge_sealing(state, sealer, is_served=is_served)
    assert finding.level is level
    assert said in finding.what
    assert level in {Level.OK, Level.NOT_LOOKED_AT} or finding.advice
