"""What `pushdesk send` says of an outcome."""

from __future__ import annotations

import pytest

from pushdesk.cli.send import WORDS
from pushdesk.console.status import OUTCOMES
from pushdesk.model import Outcome


@pytest.mark.parametrize("outcome", Outcome)
def test_send_and_console_say_the_same_of_an_outcome(outcome: Outcome) -> None:
    look = OUTCOMES[outcome]
    assert WORDS[outcome] == f"{look.glyph} {look.word}"
