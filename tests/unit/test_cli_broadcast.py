"""`pushdesk broadcast`: what it says of a plan and on the way, and what it comes to, on a desk of the tests."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from pushdesk.cli.broadcast import LONG_LIST, Broadcasting, send_on
from pushdesk.cli.broadcast_progress import find, follow, progress
from pushdesk.cli.broadcast_words import lasting, plan_lines, progress_line, question
from pushdesk.desk import BroadcastChanged
from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NO, PushdeskError, UnreachableError
from pushdesk.model import (
    Broadcast,
    BroadcastPart,
    BroadcastPlan,
    BroadcastState,
    DispatchKind,
    Notification,
    Outcome,
    PageQuery,
    PlannedPart,
    Service,
)
from pushdesk.user_file import UserFile
from tests.console.fake_desk import NOON, FakeDesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterable
    from pathlib import Path

    from pushdesk.model import Dispatch

HELLO = Notification("Hello")
TO_ALL = Broadcasting(HELLO, None, as_json=False, idempotency_key="one")


@pytest.fixture
def desk() -> FakeDesk:
    made = FakeDesk()
    for user, service in (("anna", Service.FCM), ("bert", Service.FCM), ("carl", Service.MOZILLA)):
        made.subscribe(user, service=service)
    return made


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.0, ""),
        (0.2, "about 1 s"),
        (90.0, "about 90 s"),
        (150.0, "about 2 m"),
        (5400.0, "about 90 m"),
        (7200.0, "about 2 h"),
        (200_000.0, "about 2 d"),
    ],
)
def test_a_duration_is_said_roughly(seconds: float | None, words: str) -> None:
    assert lasting(seconds) == words


def test_a_plan_is_a_line_for_each_push_service_and_what_is_odd() -> None:
    parts = (
        PlannedPart(Service.FCM, 1200, 240.0),
        PlannedPart(Service.APPLE, 1, None, "Its lane is paused."),
    )
    plan = BroadcastPlan(parts, 1201, 1000, 3, ("x", "y"), 142, 3993, 240.0)
    assert list(plan_lines(plan)) == [
        "fcm           1200 devices  about 4 m",
        "apple             1 device  Its lane is paused.",
        "all           1201 devices  about 4 m",
        "the list names 1000 users",
        "3 users not known, or without a device that is sent to: x, y and 1 more",
        "the message has 142 of at most 3993 bytes",
    ]
    assert question(HELLO, plan) == ("“Hello” goes to 1201 devices of 997 users. What was sent cannot be taken back.")


async def test_a_broadcast_to_all_is_followed_to_its_end(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    assert await send_on(desk, TO_ALL, goes_on="") == EXIT_DONE
    said = capsys.readouterr()
    assert said.out == "✓ accepted    3\n"
    assert "pushdesk: 3 of 3 devices, 100 %, done\n" in said.err


async def test_its_result_is_the_dispatch_as_json(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    assert await send_on(desk, Broadcasting(HELLO, None, as_json=True, idempotency_key="one"), goes_on="") == EXIT_DONE
    dispatch = json.loads(capsys.readouterr().out)
    assert (dispatch["kind"], dispatch["user"], dispatch["counts"]) == (DispatchKind.BROADCAST, None, {"accepted": 3})


async def test_a_list_is_sent_as_it_was_read(desk: FakeDesk, tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("anna\nbert\nnobody\n", "utf-8")
    with UserFile.read(str(path)) as listed:
        wanted = Broadcasting(HELLO, listed, as_json=False, idempotency_key="one")
        assert await send_on(desk, wanted, goes_on="") == EXIT_DONE
    assert desk.calls[-1] == ("broadcast", (HELLO, ["anna", "bert", "nobody"]))


async def test_it_is_told_that_a_long_list_is_handed_over(
    desk: FakeDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "users"
    path.write_text("".join(f"user{number}\n" for number in range(LONG_LIST)), "utf-8")
    with UserFile.read(str(path)) as listed:
        await send_on(desk, Broadcasting(HELLO, listed, as_json=False, idempotency_key="one"), goes_on="")
    assert "the server is handed a list of 10000 users.\n" in capsys.readouterr().err


async def test_it_is_a_no_where_there_is_nobody_or_nobody_took_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert await send_on(FakeDesk(), TO_ALL, goes_on="") == EXIT_NO
    assert "nobody to send to" in capsys.readouterr().err


async def test_a_scheduled_one_is_not_waited_for(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    later = Broadcasting(Notification("Hello", send_at=NOON), None, as_json=False, idempotency_key="one")
    assert await send_on(desk, later, goes_on=" Somebody goes on.") == EXIT_DONE
    *_, last = capsys.readouterr().err.splitlines()
    assert last == "pushdesk: it is scheduled for 2026-11-22 12:03:44 UTC. Somebody goes on."


async def test_ctrl_c_leaves_it_and_says_how_to_end_it(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.settles = False
    sending = asyncio.create_task(send_on(desk, TO_ALL, goes_on=" Somebody goes on."))
    await begun(desk)
    async with asyncio.timeout(10):
        os.kill(os.getpid(), signal.SIGINT)
        assert await sending == EXIT_INTERRUPTED
    said = capsys.readouterr().err
    assert "0 of 3 devices were got to. Somebody goes on." in said
    assert "pushdesk broadcasts abort key-one" in said


async def test_what_will_be_tried_again_is_not_waited_for(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.settles = False
    sending = asyncio.create_task(send_on(desk, TO_ALL, goes_on=" Somebody goes on."))
    id_ = await begun(desk)
    desk.get_to(id_, 2)
    desk.get_to(id_, 1, Outcome.TRANSIENT)
    desk.change_broadcast(id_, state=BroadcastState.SENDING)
    async with asyncio.timeout(10):
        assert await sending == EXIT_DONE
    said = capsys.readouterr()
    assert said.out == "✓ accepted    2\n↻ will retry  1\n"
    assert "1 device will be tried again. Somebody goes on." in said.err


async def test_one_that_is_aborted_meanwhile_is_a_no(desk: FakeDesk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.settles = False
    sending = asyncio.create_task(send_on(desk, TO_ALL, goes_on=""))
    id_ = await begun(desk)
    desk.get_to(id_, 1)
    await desk.abort_broadcast(id_)
    async with asyncio.timeout(10):
        assert await sending == EXIT_NO
    assert "it was aborted: 1 of 3 devices were got to." in capsys.readouterr().err


async def test_each_tenth_is_told_once_where_there_is_no_terminal(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushdesk.cli.broadcast_progress.ASK_AGAIN_S", 0)
    for number in range(97):
        desk.subscribe(f"user-{number}")
    desk.settles = False
    sending = asyncio.create_task(send_on(desk, TO_ALL, goes_on=""))
    id_ = await begun(desk)
    while not sending.done():
        if await done(desk) < 100:
            desk.get_to(id_, 1, per_s=50.0, left_s=30.0)
        for _ in range(20):
            await asyncio.sleep(0)
    lines = [line for line in capsys.readouterr().err.splitlines() if " of 100 devices" in line]
    assert len(lines) == 11
    assert lines[-1] == "pushdesk: 100 of 100 devices, 100 %, done"
    assert ", 50 per second, about 30 s left" in lines[5]


async def test_a_token_that_may_not_read_still_broadcasts(
    desk: FakeDesk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_query: object) -> None:
        raise PushdeskError("The token does not allow this.", code="forbidden")

    monkeypatch.setattr(desk, "broadcasts", refuse)
    assert await send_on(desk, TO_ALL, goes_on=" Somebody goes on.") == EXIT_DONE
    assert "this token may not read how far it is. Somebody goes on." in capsys.readouterr().err


async def test_a_broadcast_is_found_behind_newer_ones(desk: FakeDesk) -> None:
    first = await desk.broadcast(HELLO)
    for number in range(50):
        await desk.broadcast(Notification(f"Hello {number}"))
    found = await find(desk, first)
    assert found is not None
    assert (found.id, found.title) == (first.id, "Hello")
    shown: list[str] = []
    ended = await follow(desk, first, ending=asyncio.Event(), show=lambda one: shown.append(progress_line(one)))
    assert (ended, shown) == (found, ["3 of 3 devices, 100 %, done"])


def test_on_a_terminal_each_push_service_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    parts = (BroadcastPart(Service.FCM, 200, 100), BroadcastPart(Service.APPLE, 7, 7))
    with progress() as show:
        show(Broadcast("b", "[red]Hello", BroadcastState.PAUSED, NOON, parts, left_s=30.0))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert re.search(r"fcm +━+[╸╺]?━+ +100/200", shown)
    assert re.search(r"apple +━+ +7/7 +51 %, about 30 s left, paused", shown)
    assert "Hello" not in shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def begun(desk: FakeDesk) -> str:
    """Return the id of the broadcast that is told next."""
    async with asyncio.timeout(10), aclosing(desk.events()) as events:
        async for batch in events:
            for event in batch:
                if isinstance(event, BroadcastChanged):
                    return event.broadcast.id
    raise AssertionError


async def done(desk: FakeDesk) -> int:
    return (await desk.broadcasts(PageQuery())).items[0].done


class Deaf(FakeDesk):
    """A desk that accepts a broadcast, and whose answer gets lost so many times."""

    lost = 1

    async def broadcast(
        self,
        notification: Notification,
        users: AsyncIterable[str] | None = None,
        *,
        skip_bad: bool = False,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        accepted = await super().broadcast(notification, users, skip_bad=skip_bad, idempotency_key=idempotency_key)
        self.lost -= 1
        if self.lost >= 0:
            raise UnreachableError("The connection was lost.")
        return accepted


async def test_without_an_answer_the_same_broadcast_is_asked_for_again(capsys: pytest.CaptureFixture[str]) -> None:
    desk = Deaf()
    desk.subscribe("anna")
    assert await send_on(desk, TO_ALL, goes_on="") == EXIT_DONE
    assert "asked once more" in capsys.readouterr().err
    assert len((await desk.broadcasts(PageQuery())).items) == 1


async def test_without_an_answer_at_all_it_is_said_how_to_ask_again() -> None:
    desk = Deaf()
    desk.lost = 2
    desk.subscribe("anna")
    with pytest.raises(UnreachableError) as caught:
        await send_on(desk, TO_ALL, goes_on="")
    assert caught.value.hint is not None
    assert "--idempotency-key one" in caught.value.hint
