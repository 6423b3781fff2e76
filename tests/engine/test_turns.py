"""Turns of agents: what is shown of them, and what a summary that somebody else writes changes about that."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import threading
from collections import Counter
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.clock import SystemClock
from pushdesk.config import Config, PushConfig, SummaryConfig
from pushdesk.engine import turns
from pushdesk.engine.engine import Engine
from pushdesk.engine.summariser import ChatSummariser
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.message import MAX_MESSAGE
from pushdesk.model import (
    DispatchKind,
    DispatchState,
    Notification,
    Outcome,
    PageQuery,
    SummaryFault,
    Turn,
    TurnStatus,
    Urgency,
)
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.summary import summarise
from pushdesk.webpush.request import topic_header
from pushdesk.webpush.transport import HttpTransport
from tests.chat_server import SUMMARY, ChatServer, completion
from tests.contract.tracing import tracing
from tests.engine.cache_bench import soon
from tests.engine.outbox_bench import Watched, done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web

    from pushdesk.engine.summariser import Summariser
    from pushdesk.model import AcceptedTurn, Dispatch
    from tests.logs import Log
    from tests.push_service import Device, PushService

ACCESS_URL = "http://localhost:8484"
LOCAL = "Done: It works."
LONG_S = 30.0
"""A timeout that no test waits for."""


def turn(conversation: str = "c-1", **fields: Any) -> Turn:
    given: dict[str, Any] = {"title": "Parser", "status": TurnStatus.FINISHED, "text": "# Done\n\nIt **works**."}
    return Turn("ada", conversation, **(given | fields))


@dataclass
class Runner:
    """An engine, Ada's phone, and what came to it."""

    engine: Engine
    service: PushService
    phone: Device
    file: Path

    async def turn(self, told: Turn, **more: Any) -> Dispatch:
        accepted = await self.engine.turn(told, **more)
        assert accepted.dispatch is not None
        return accepted.dispatch

    async def shown(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many pushes, and return what they show."""
        async with asyncio.timeout(10):
            pushes = await self.service.wait_for_pushes(count)
        return [self.phone.decrypt(push.body)["notification"] for push in pushes]

    async def done(self, dispatch: Dispatch) -> Dispatch:
        return await done(self.engine, dispatch)


@asynccontextmanager
async def running(folder: Path, service: PushService, phone: Device, summariser: Summariser | None = None) -> Any:
    clock = SystemClock()
    origins = (service.origin,)
    transport = HttpTransport(allowed_origins=frozenset(origins), clock=clock.monotonic)
    try:
        async with (
            Store(folder / DATABASE_NAME) as store,
            Engine(
                Config(data_dir=folder, push=PushConfig(allow_endpoint=origins)),
                access_url=ACCESS_URL,
                store=store,
                transport=transport,
                clock=clock,
                summariser=summariser,
            ) as engine,
        ):
            if not (await engine.subscriptions(PageQuery())).items:
                await engine.subscribe("ada", phone.request())
                service.pushes.clear()
            yield Runner(engine, service, phone, folder / DATABASE_NAME)
    finally:
        await transport.aclose()


@pytest.fixture
def phone(service: PushService) -> Device:
    return service.device("phone")


@pytest.fixture
async def runner(tmp_path: Path, service: PushService, phone: Device) -> AsyncIterator[Runner]:
    async with running(tmp_path, service, phone) as made:
        yield made


@pytest.fixture
async def summariser(chat: ChatServer) -> AsyncIterator[ChatSummariser]:
    made = ChatSummariser(SummaryConfig(base_url=chat.url), api_key="sk-secret", timeout_s=LONG_S)
    yield made
    await made.aclose()


@pytest.fixture
async def summed_up(
    tmp_path: Path, service: PushService, phone: Device, summariser: ChatSummariser
) -> AsyncIterator[Runner]:
    async with running(tmp_path, service, phone, summariser) as made:
        yield made


async def test_a_turn_is_shown_by_its_title_and_a_summary_of_its_text(runner: Runner) -> None:
    dispatch = await runner.turn(turn(url="/chats/1"))
    assert (dispatch.user, dispatch.kind, dispatch.title) == ("ada", DispatchKind.TURN, "Parser")
    assert dispatch.state is DispatchState.QUEUED
    (shown,) = await runner.shown()
    assert shown["data"].pop("id") == dispatch.id
    assert shown == {
        "title": "Parser",
        "body": LOCAL,
        "navigate": f"{ACCESS_URL}/chats/1",
        "tag": "turn:c-1",
        "renotify": True,
        "data": {},
    }
    headers = runner.service.pushes[0].headers
    assert headers["Urgency"] == Urgency.HIGH
    assert headers["Topic"] == topic_header("turn:c-1")


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"status": TurnStatus.FINISHED, "text": None}, "Agent has finished running."),
        ({"status": TurnStatus.FINISHED, "text": ""}, "Agent has finished running."),
        ({"status": TurnStatus.FINISHED, "text": "![](x.png)\n\n<!-- -->"}, "Agent has finished running."),
        ({"status": TurnStatus.NEEDS_ACTION, "text": None}, "Agent needs your input."),
        ({"status": TurnStatus.NEEDS_ACTION, "text": "Which **one**?"}, "Which one?"),
        ({"status": TurnStatus.FAILED, "text": None}, "Agent encountered an error."),
        ({"status": TurnStatus.FAILED, "text": "I tried.", "error": None}, "I tried."),
        ({"status": TurnStatus.FAILED, "text": "I tried.", "error": "\n"}, "I tried."),
        ({"status": TurnStatus.FAILED, "text": "I tried.", "error": "KeyError: '__x__'"}, "KeyError: '__x__'"),
        ({"status": TurnStatus.FINISHED, "text": "I did.", "error": "a warning"}, "I did."),
    ],
)
async def test_what_is_below_the_title(runner: Runner, fields: dict[str, Any], body: str) -> None:
    await runner.turn(turn(**fields))
    (shown,) = await runner.shown()
    assert shown["body"] == body


async def test_turns_of_one_conversation_take_each_others_place_and_others_do_not(runner: Runner) -> None:
    long = "c" * 200
    for conversation in ("c", "d", "c", long, long[:-1] + "d", "Gespräch 1", "a\nb"):
        await runner.turn(turn(conversation))
    tags = [shown["tag"] for shown in await runner.shown(7)]
    assert len(set(tags)) == 6
    topics = {push.headers["Topic"] for push in runner.service.pushes}
    assert len(topics) == 6
    assert all(re.fullmatch(r"[\x20-\x7e]{1,80}", tag) for tag in tags)


@pytest.mark.parametrize(
    ("title", "shown_title"),
    [
        ("  Two\nlines \x1b[31m", "Two lines"),
        ("\x00\u200b", "Agent"),
        ("<b>[/x]</b>", "<b>[/x]</b>"),
    ],
)
async def test_a_title_is_one_line_of_what_can_be_seen(runner: Runner, title: str, shown_title: str) -> None:
    await runner.turn(turn(title=title))
    assert (await runner.shown())[0]["title"] == shown_title


@pytest.mark.parametrize(
    "title", ["x" * 2_000_000, "word " * 2000, "😀" * 3000, '"\\' * 3000, "👨‍👩‍👧‍👦" * 1000, "字" * 4000, "é" * 2000]
)
async def test_a_title_of_any_length_is_cut_so_that_the_message_can_be_pushed(runner: Runner, title: str) -> None:
    await runner.turn(turn("c" * 200, title=title, text="😀" * 500, url="/" + "u" * 2000))
    (shown,) = await runner.shown()
    assert shown["title"].endswith("…")
    assert title.startswith(shown["title"].removesuffix("…"))
    (push,) = runner.service.pushes
    # What is left of 4096 without the header and the padding's delimiter.
    assert len(push.body) <= 4096
    assert len(shown["title"].encode()) > 400


async def test_an_address_that_leaves_no_room_is_refused(runner: Runner) -> None:
    with pytest.raises(PushdeskError) as caught:
        await runner.engine.turn(turn(url="/" + "ü" * 2000, title="字" * 100))
    assert caught.value.code == "payload_too_large"
    assert str(MAX_MESSAGE) in str(caught.value)


async def test_of_a_sub_agents_turn_nobody_is_notified_and_nothing_is_written(runner: Runner) -> None:
    for parent in ("run-1", " "):
        accepted = await runner.engine.turn(turn(parent=parent), idempotency_key="k")
        assert (accepted.dispatch, accepted.reason) == (None, "sub_agent")
    assert (await runner.engine.turn(turn(parent=""))).reason is None
    await runner.shown()
    dispatches = (await runner.engine.dispatches(PageQuery())).items
    assert [each.kind for each in dispatches].count(DispatchKind.TURN) == 1


async def test_a_repeat_must_be_the_same_turn_and_sends_nothing(runner: Runner) -> None:
    first = await runner.turn(turn(), idempotency_key="k")
    again = await runner.engine.turn(turn(), idempotency_key="k")
    assert again.dispatch is not None
    assert (again.dispatch.id, again.repeated) == (first.id, True)
    for other in (turn(text="# Done\n\nIt **works**. Changed."), turn(model="m"), turn(conversation="c-2")):
        with pytest.raises(PushdeskError) as caught:
            await runner.engine.turn(other, idempotency_key="k")
        assert caught.value.code == "idempotency_conflict"
    with pytest.raises(PushdeskError):
        await runner.engine.notify("ada", Notification("Parser", body=LOCAL), idempotency_key="k")
    elsewhere = await runner.turn(turn(), sender="another application", idempotency_key="k")
    assert elsewhere.id != first.id


def shape(statement: str) -> str:
    """Return a statement without its values."""
    return re.sub(r"[xX]?'(?:[^']|'')*'|\b\d+\b|\bNULL\b", "?", statement)


@pytest.mark.parametrize("has_summariser", [False, True])
async def test_a_turn_reads_nothing_beyond_the_cache(
    tmp_path: Path, service: PushService, phone: Device, summariser: ChatSummariser, *, has_summariser: bool
) -> None:
    written: dict[str, list[str]] = {}
    read: dict[str, Counter[str]] = {}
    with tracing() as trace:
        async with running(tmp_path, service, phone, summariser if has_summariser else None) as runner:
            await runner.done(await runner.engine.notify("ada", Notification("Hello")))
            # Counts the totals of the overview, which else happens at some moment or other.
            await runner.engine.stats()
            for name in ("notification", "turn"):
                service.pushes.clear()
                trace.statements.clear()
                if name == "turn":
                    await runner.turn(turn(model="m", provider="p", url="/"))
                else:
                    # With a topic, as every turn.
                    await runner.engine.notify("ada", Notification("Hello", topic="news"))
                await runner.shown()
                async with asyncio.timeout(10), aclosing(runner.engine.events()) as events:
                    async for _ in events:
                        if any(each.startswith("UPDATE dispatches SET state='done'") for each in trace.statements):
                            break
                statements = [shape(each) for each in trace.statements]
                # How often it is looked for what is due is chance, and so are what surrounds that and its end.
                around = ("SELECT", "BEGIN", "COMMIT", "ROLLBACK")
                written[name] = [each for each in statements if not each.startswith(around)]
                read[name] = Counter(each for each in statements if each.startswith("SELECT"))
    assert set(read["notification"].values()) == {1}
    assert len(read["notification"]) == 2
    if not has_summariser:
        assert (read["turn"], written["turn"]) == (read["notification"], written["notification"])
    else:
        # It waits; then the outbox looks for what is due, as often as it is woken, takes it, and finds what is done.
        when_is_what_due = {each for each in read["turn"] if each.startswith("SELECT (SELECT min(")}
        assert len(when_is_what_due) == 1
        assert [read["turn"][each] for each in read["turn"].keys() - when_is_what_due] == [1, 1]
        accept, order, *rest = written["notification"]
        assert [each.split(",")[0] if "message=?" in each else each for each in written["turn"]] == [
            accept,
            order,
            "UPDATE dispatches SET message=?",
            "UPDATE dispatches SET state=? WHERE dispatches.id IN (?)",
            *rest,
        ]
    read_of = read["turn"] | read["notification"]
    assert not any(re.search(r"\b(?:FROM|JOIN) (?:subscriptions|vapid_keys)\b", each) for each in read_of)


async def test_a_remote_summary_takes_the_place_of_the_local_one(summed_up: Runner, chat: ChatServer) -> None:
    chat.hold = asyncio.Event()
    dispatch = await summed_up.turn(turn(model="a/model"))
    assert dispatch.state is DispatchState.SCHEDULED
    (question,) = await chat.wait_for_questions(1)
    assert question["model"] == "a/model"
    assert question["messages"][1]["content"] == turn().text
    assert summed_up.service.pushes == []
    chat.hold.set()
    (shown,) = await summed_up.shown()
    assert (shown["title"], shown["body"], shown["tag"]) == ("Parser", SUMMARY, "turn:c-1")
    assert shown["data"]["id"] == dispatch.id
    assert (await summed_up.done(dispatch)).counts == {Outcome.ACCEPTED: 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"model": None},
        {"model": ""},
        {"text": None, "model": "m"},
        {"text": " \n", "model": "m"},
        {"status": TurnStatus.FAILED, "error": "boom", "model": "m"},
    ],
    ids=["no model", "empty model", "no text", "empty text", "an error"],
)
async def test_without_a_model_or_a_text_nobody_is_asked(
    summed_up: Runner, chat: ChatServer, fields: dict[str, Any]
) -> None:
    dispatch = await summed_up.turn(turn(**fields))
    assert dispatch.state is DispatchState.QUEUED
    await summed_up.shown()
    assert chat.questions == []


async def test_a_remote_summary_is_cleaned_and_cut_like_any_other(summed_up: Runner, chat: ChatServer) -> None:
    async def ramble(_request: web.Request) -> web.StreamResponse:
        return completion("## **Fixed**\n\n<b>It</b> \x1b[31mworks\x1b[0m. " + "And so on and on " * 50)

    chat.behave = ramble
    await summed_up.turn(turn(model="m"))
    assert (await summed_up.shown())[0]["body"] == "Fixed: It works."


@pytest.mark.parametrize("written", ["<!-- nothing -->", "```\n```", "\u200b"])
async def test_a_remote_summary_of_nothing_is_not_used(
    summed_up: Runner, chat: ChatServer, log: Log, written: str
) -> None:
    async def say(_request: web.Request) -> web.StreamResponse:
        return completion(written)

    chat.behave = say
    dispatch = await summed_up.turn(turn(model="m"))
    assert (await summed_up.shown())[0]["body"] == LOCAL
    (line,) = log.of("turn_not_summarised")
    assert (line["fault"], line["dispatch"]) == (SummaryFault.UNUSABLE, dispatch.id)


async def test_a_summariser_that_fails_is_told_in_the_log_without_text_and_key(
    summed_up: Runner, chat: ChatServer, log: Log
) -> None:
    async def fail(request: web.Request) -> web.StreamResponse:
        response = completion(await request.text())
        response.set_status(500)
        return response

    chat.behave = fail
    dispatch = await summed_up.turn(turn(model="m", text="Something confidential."))
    assert (await summed_up.shown())[0]["body"] == "Something confidential."
    (line,) = log.of("turn_not_summarised")
    assert (line["fault"], line["status"], line["dispatch"]) == (SummaryFault.STATUS, 500, dispatch.id)
    assert "confidential" not in log.text
    assert "sk-secret" not in log.text


async def test_the_title_makes_room_for_a_longer_remote_summary(summed_up: Runner, chat: ChatServer) -> None:
    async def say(_request: web.Request) -> web.StreamResponse:
        return completion("字" * 500)

    chat.behave = say
    await summed_up.turn(turn(model="m", title="😀" * 3000, url="/" + "u" * 2000))
    (shown,) = await summed_up.shown()
    assert shown["body"] == "字" * 119 + "…"


async def test_what_waits_for_a_summary_neither_holds_up_nor_blocks_others(summed_up: Runner, chat: ChatServer) -> None:
    chat.hold = asyncio.Event()
    for number in range(60):
        # More than are taken: the others go out at once.
        await summed_up.turn(turn(f"c-{number}", model="m"))
    others = await summed_up.shown(60 - 36)
    assert {shown["body"] for shown in others} == {LOCAL}
    chat.hold.set()
    assert [shown["body"] for shown in await summed_up.shown(60)].count(SUMMARY) == 36


async def test_a_newer_turn_goes_out_after_the_older_one_of_its_conversation(
    summed_up: Runner, chat: ChatServer
) -> None:
    chat.hold = asyncio.Event()
    older = await summed_up.turn(turn(text="The first.", model="m"))
    other = await summed_up.turn(turn("c-2", text="Another conversation.", model="m"))
    await chat.wait_for_questions(2)
    newer = await summed_up.turn(turn(text="The second.", model="m"))
    (shown,) = await summed_up.shown()
    assert (shown["data"]["id"], shown["body"]) == (older.id, "The first.")
    newest = await summed_up.turn(turn(text="The third."))
    for told in (newer, newest):
        await summed_up.done(told)
    others = {each["data"]["id"]: each["body"] for each in (await summed_up.shown(2))[1:]}
    # It may have taken the place of the one before, which was let go at that moment.
    assert others in ({newest.id: "The third."}, {newer.id: "The second.", newest.id: "The third."})
    assert (await summed_up.engine.dispatch(other.id)).state is DispatchState.SCHEDULED
    chat.hold.set()
    assert (await summed_up.shown(2 + len(others)))[-1]["body"] == SUMMARY


async def test_turns_told_of_at_once_are_let_go_in_their_order(summed_up: Runner, chat: ChatServer) -> None:
    chat.hold = asyncio.Event()
    accepted: list[AcceptedTurn] = await asyncio.gather(
        *[summed_up.engine.turn(turn(text=f"Number {number}.", model="m")) for number in range(10)]
    )
    shown = await summed_up.shown(9)
    ids = [each.dispatch.id for each in accepted if each.dispatch is not None]
    assert {each["data"]["id"] for each in shown} == set(ids[:9])
    assert (await summed_up.engine.dispatch(ids[9])).state is DispatchState.SCHEDULED
    due = summed_up_due(summed_up, ids)
    assert due == sorted(due)
    chat.hold.set()
    assert (await summed_up.shown(10))[9]["body"] == SUMMARY


def summed_up_due(runner: Runner, ids: list[str]) -> list[int]:
    """Return when dispatches are due, in the order of their ids."""
    with closing(sqlite3.connect(runner.file)) as database:
        rows = dict(database.execute("SELECT id, due_at FROM dispatches").fetchall())
    return [rows[each] for each in ids]


class Reader:
    """Pushdesk's own summariser: which thread each text was read in, and one text that is read until it is let go."""

    def __init__(self, held: str = "") -> None:
        self.threads: dict[str, int] = {}
        self.reading = threading.Event()
        self.let_go = threading.Event()
        self._held = held

    def __call__(self, text: str) -> str:
        self.threads[text] = threading.get_ident()
        if text == self._held:
            self.reading.set()
            assert self.let_go.wait(10)
        return summarise(text)


SHORT_TEXT = "It works. " * 1600
LONG_TEXT = "It works. " * 1700


@pytest.mark.parametrize("field", ["text", "error"])
async def test_what_is_long_is_summed_up_beside_the_event_loop(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    reader = Reader()
    monkeypatch.setattr(turns, "summarise", reader)
    monkeypatch.setattr(turns, "summarise_error", reader)
    for text in (SHORT_TEXT, LONG_TEXT):
        told: dict[str, Any] = {"text": None, "status": TurnStatus.FAILED, field: text}
        await runner.turn(turn(**told))
    here = threading.get_ident()
    assert {text: ident == here for text, ident in reader.threads.items()} == {SHORT_TEXT: True, LONG_TEXT: False}
    bodies = [shown["body"] for shown in await runner.shown(2)]
    assert bodies == [("It works. " * 12).strip()] * 2


async def test_what_somebody_else_wrote_is_summed_up_beside_the_event_loop_if_it_is_long(
    tmp_path: Path, service: PushService, phone: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader()
    monkeypatch.setattr(turns, "summarise", reader)
    verbose = Late(LONG_TEXT, timeout_s=LONG_S)
    verbose.answer.set()
    async with running(tmp_path, service, phone, verbose) as runner:
        await runner.turn(turn(model="m"))
        await runner.shown()
    here = threading.get_ident()
    assert {text: ident == here for text, ident in reader.threads.items()} == {turn().text: True, LONG_TEXT: False}


@pytest.mark.parametrize("has_summariser", [False, True])
async def test_a_short_turn_waits_for_the_longer_one_of_its_conversation_that_came_first(
    tmp_path: Path,
    service: PushService,
    phone: Device,
    summariser: ChatSummariser,
    monkeypatch: pytest.MonkeyPatch,
    *,
    has_summariser: bool,
) -> None:
    reader = Reader(held=LONG_TEXT)
    monkeypatch.setattr(turns, "summarise", reader)
    async with running(tmp_path, service, phone, summariser if has_summariser else None) as runner:
        older = asyncio.create_task(runner.turn(turn(text=LONG_TEXT)))
        try:
            assert await asyncio.to_thread(reader.reading.wait, 10)
            newer = asyncio.create_task(runner.turn(turn(text="Short.")))
            # Another conversation does not wait; by then the newer one would be accepted, too.
            other = await runner.turn(turn("c-2", text="Short, too."))
            await runner.done(other)
            assert not newer.done()
        finally:
            reader.let_go.set()
        ids = [dispatch.id for dispatch in await asyncio.gather(older, newer)]
        assert [other.id, *ids] == sorted([other.id, *ids])
        due = summed_up_due(runner, ids)
        assert due == sorted(due)
        await runner.shown(3)


async def test_a_repeat_lets_the_turn_that_it_repeats_wait_on(summed_up: Runner, chat: ChatServer) -> None:
    chat.hold = asyncio.Event()
    first = await summed_up.turn(turn(model="m"), idempotency_key="k")
    again = await summed_up.engine.turn(turn(model="m"), idempotency_key="k")
    assert again.repeated
    assert again.dispatch is not None
    assert (again.dispatch.id, again.dispatch.state) == (first.id, DispatchState.SCHEDULED)
    chat.hold.set()
    assert [shown["body"] for shown in await summed_up.shown()] == [SUMMARY]
    assert len(chat.questions) == 1


async def test_a_turn_goes_out_at_its_deadline_whatever_the_summariser_does(
    tmp_path: Path, service: PushService, phone: Device
) -> None:
    async with running(tmp_path, service, phone, Deaf(timeout_s=0.2)) as runner:
        dispatch = await runner.turn(turn(model="m"))
        assert dispatch.state is DispatchState.SCHEDULED
        assert (await runner.shown())[0]["body"] == LOCAL
        await runner.done(dispatch)


async def test_only_what_is_scheduled_for_later_is_let_go_and_only_once(
    tmp_path: Path, service: PushService, phone: Device
) -> None:
    async with running(tmp_path, service, phone, Deaf(timeout_s=LONG_S)) as runner:
        outbox = runner.engine._outbox
        sent = await runner.turn(turn())
        await runner.done(sent)
        waiting = await runner.turn(turn("c-2", model="m"))
        assert not await outbox.release(sent.id, b"other")
        assert not await outbox.release("unknown", b"other")
        assert await outbox.release(waiting.id)
        assert not await outbox.release(waiting.id, b"other")
        await runner.done(waiting)
        assert [shown["body"] for shown in await runner.shown(2)] == [LOCAL, LOCAL]


async def test_a_summary_that_comes_once_the_turn_is_due_changes_nothing_of_it(
    tmp_path: Path, service: PushService, phone: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Late(timeout_s=0.2)
    async with running(tmp_path, service, phone, late) as runner:
        table = runner.engine._store.outbox
        spread, release = Watched(table.spread), Watched(table.release)
        spread.hold = asyncio.Event()
        monkeypatch.setattr(table, "spread", spread)
        monkeypatch.setattr(table, "release", release)
        dispatch = await runner.turn(turn(model="m"))
        await soon(spread.begun.get())
        late.answer.set()
        await soon(release.begun.get())
        spread.hold.set()
        await runner.done(dispatch)
        assert [shown["body"] for shown in await runner.shown()] == [LOCAL]
        with closing(sqlite3.connect(runner.file)) as database:
            ((message,),) = database.execute("SELECT message FROM dispatches WHERE id = ?", (dispatch.id,)).fetchall()
        assert json.loads(message)["notification"]["body"] == LOCAL


class Deaf:
    """A summariser that never ends by itself."""

    def __init__(self, *, timeout_s: float) -> None:
        self.timeout_s = timeout_s

    async def summarise(self, _text: str, _model: str) -> str:
        await asyncio.Event().wait()
        raise AssertionError


class Late(Deaf):
    """A summariser that answers when it is told to."""

    def __init__(self, says: str = SUMMARY, *, timeout_s: float) -> None:
        super().__init__(timeout_s=timeout_s)
        self.answer = asyncio.Event()
        self._says = says

    async def summarise(self, _text: str, _model: str) -> str:
        await self.answer.wait()
        return self._says


class Broken(Deaf):
    """A summariser with a mistake in it."""

    async def summarise(self, _text: str, _model: str) -> str:
        raise ValueError("of the text: confidential")


async def test_a_mistake_in_summarising_is_logged_and_the_turn_goes_out(
    tmp_path: Path, service: PushService, phone: Device, log: Log
) -> None:
    async with running(tmp_path, service, phone, Broken(timeout_s=LONG_S)) as runner:
        await runner.turn(turn(model="m"))
        assert (await runner.shown())[0]["body"] == LOCAL
    (line,) = log.of("summary_failed")
    assert line["error"] == "ValueError"
    assert "confidential" not in log.text


async def test_a_turn_that_cannot_be_let_go_goes_out_at_its_deadline(
    tmp_path: Path, service: PushService, phone: Device, chat: ChatServer, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object) -> bool:
        raise DatabaseError("The database failed.")

    summariser = ChatSummariser(SummaryConfig(base_url=chat.url), api_key=None, timeout_s=0.3)
    async with running(tmp_path, service, phone, summariser) as runner:
        monkeypatch.setattr(runner.engine._store.outbox, "release", fail)
        await runner.turn(turn(model="m"))
        assert (await runner.shown())[0]["body"] == LOCAL
    assert [line["code"] for line in log.of("summary_failed")] == ["database_error"]
    await summariser.aclose()


async def test_when_the_engine_stops_nothing_waits_for_a_summary_any_longer(
    tmp_path: Path, service: PushService, phone: Device
) -> None:
    async with running(tmp_path, service, phone, Deaf(timeout_s=LONG_S)) as runner:
        dispatch = await runner.turn(turn(model="m"))
        await runner.engine.drain(10)
        assert (await runner.engine.dispatch(dispatch.id)).state is not DispatchState.SCHEDULED
    async with running(tmp_path, service, phone) as runner:
        assert (await runner.shown())[0]["body"] == LOCAL


async def test_after_a_crash_a_turn_goes_out_with_the_summary_that_it_has(
    tmp_path: Path, service: PushService, phone: Device
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    async with running(before, service, phone, Deaf(timeout_s=LONG_S)) as runner:
        dispatch = await runner.turn(turn(model="m", text="# Done\n\nIt **works**.\n\n" + "confidential " * 40))
        # What a machine that loses its power leaves behind.
        shutil.copytree(before, after)
        left = b"".join(file.read_bytes() for file in after.iterdir())
        assert b"It **works**" not in left
        assert b"confidential" not in left
    service.pushes.clear()
    async with running(after, service, phone, Deaf(timeout_s=LONG_S)) as runner:
        assert (await runner.shown())[0]["data"]["id"] == dispatch.id
        assert (await runner.done(dispatch)).counts == {Outcome.ACCEPTED: 1}
        newer = await runner.turn(turn(text="Newer."))
        assert [shown["data"]["id"] for shown in await runner.shown(2)] == [dispatch.id, newer.id]
