"""A run in which not all is well."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

from msgspec import structs

from pushdesk.scaletest.application import Answer, Application
from pushdesk.scaletest.measures import CacheFigures, Missed, Sample, Statement
from pushdesk.scaletest.plan import Plan
from pushdesk.scaletest.report import report_lines
from pushdesk.scaletest.run import run
from pushdesk.scaletest.sink import Sink
from tests.scaletest.reports import report_of, run_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import pytest

LOST = 2


class Silent:
    """Shows nobody how far it is."""

    def phase(self, _name: str, _total: int) -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(lambda _done: None)


async def test_a_push_that_is_lost_on_its_way_is_missed_by_name() -> None:
    came = 0

    def is_lost(number: int) -> bool:
        """Say so of the second turn of one conversation; the first push of all is the test push."""
        nonlocal came
        came += number == LOST
        return number == LOST and came == 3

    told = await run(Plan(conversations=4, turns=3, connections=4, patience_s=10), Silent(), is_lost=is_lost)
    assert not told.complete
    # The conversation goes on only when its turn has arrived.
    assert Missed("chat-000002", 2, was_accepted=True) in told.first_missing
    assert told.missing == 12 - told.arrived >= 2
    # The patience is no part of the turns.
    assert told.wall_s < 60
    lines = list(report_lines(report_of(told)))
    assert f"NOT COMPLETE: {told.missing} turns did not arrive." in lines
    assert "  turn 2 of chat-000002: accepted, and never arrived" in lines


async def test_test_pushes_that_are_settled_with_the_turns_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, refused = Sink.answer, 0

    def answering(sink: Sink, head: bytes, body: bytes) -> bytes:
        """Be out of order for the test push of one device, which is sent again after the patience has ended."""
        nonlocal refused
        if b" /push/000001-" in head and not refused:
            refused += 1
            return b"HTTP/1.1 503 \r\nRetry-After: 14\r\nContent-Length: 0\r\n\r\n"
        return answer(sink, head, body)

    monkeypatch.setattr(Sink, "answer", answering)
    told = await run(Plan(conversations=2, turns=1, connections=2, patience_s=7), Silent())
    note = "test pushes of new devices were not settled before the turns, and may be counted with them"
    assert note in told.notes
    assert not told.complete


async def test_a_turn_that_is_refused_and_arrives_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    submit, refused = Application.submit, 0

    def submitting(application: Application, content: bytes, done: Callable[[Answer], None]) -> None:
        """Answer that a turn was refused although the server has taken it."""
        nonlocal refused
        if b"Idempotency-Key: chat-000001-0" in content:
            refused += 1
            submit(application, content, lambda _answer: done(Answer(500, b'{"detail": "No."}')))
        else:
            submit(application, content, done)

    monkeypatch.setattr(Application, "submit", submitting)
    async with asyncio.timeout(100):
        told = await run(Plan(conversations=2, turns=2, connections=2, patience_s=3600), Silent())
    assert (told.complete, told.arrived, told.accepted, told.missing) == (False, 3, 2, 1)
    assert (told.refused, refused) == ({"The server answered 500: No.": 1}, 1)
    assert told.notes == ("a turn of chat-000001 arrived that the server did not say that it took",)


def test_numbers_are_told_as_they_are_said() -> None:
    one = structs.replace(
        run_of(),
        cache=CacheFigures(1, {}),
        refused={"no": 1, "never": 2},
        statements={"select things": Statement(2, 1, 0.1)},
        sample=Sample(1.0, 1, 0),
        put_off=1,
        missing=1,
    )
    lines = [" ".join(line.split()) for line in report_lines(structs.replace(report_of(one), failed="It ended."))]
    for line in (
        "subscription reads 1 statement",
        "refused 1 time: no",
        "refused 2 times: never",
        "2 select things, 1 row",
        "put off 1 turn, as the server asked for it",
        "NOT COMPLETE: 1 turn did not arrive.",
        "NOT COMPLETE: It ended.",
    ):
        assert line in lines
