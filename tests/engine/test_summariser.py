"""A remote summariser: what it is asked, and every way in which it can fail."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from pushdesk.config import Config, SummaryConfig
from pushdesk.engine.summariser import (
    CALLS,
    MAX_ANSWER,
    MAX_TEXT,
    ChatSummariser,
    SummaryError,
    open_summariser,
)
from pushdesk.errors import StartUpError
from pushdesk.model import Experiment, SummaryFault
from tests.chat_server import SUMMARY, ChatServer, completion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

KEY = "sk-a-key-that-nobody-sees"


@pytest.fixture
async def summariser(chat: ChatServer) -> AsyncIterator[ChatSummariser]:
    made = ChatSummariser(SummaryConfig(base_url=chat.url), api_key=KEY, timeout_s=20)
    yield made
    await made.aclose()


async def test_the_model_of_the_turn_is_asked_for_a_summary_of_its_text(
    chat: ChatServer, summariser: ChatSummariser
) -> None:
    assert await summariser.summarise("I **fixed** it.", "a/model:1") == SUMMARY
    assert chat.paths == ["/v1/chat/completions"]
    (question,) = chat.questions
    assert question["model"] == "a/model:1"
    assert [message["role"] for message in question["messages"]] == ["system", "user"]
    assert question["messages"][1]["content"] == "I **fixed** it."
    assert 0 < question["max_tokens"] <= 200
    assert chat.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert chat.headers[0]["Accept-Encoding"] == "identity"


async def test_without_a_key_none_is_sent(chat: ChatServer) -> None:
    summariser = ChatSummariser(SummaryConfig(base_url=chat.url), api_key=None)
    assert await summariser.summarise("text", "m") == SUMMARY
    assert "Authorization" not in chat.headers[0]
    await summariser.aclose()


async def test_of_a_long_text_beginning_and_end_are_sent(chat: ChatServer, summariser: ChatSummariser) -> None:
    await summariser.summarise("a" * 1_000_000 + "b" * 1_000_000, "m")
    sent = chat.questions[0]["messages"][1]["content"]
    assert MAX_TEXT <= len(sent) <= MAX_TEXT + 10
    assert (sent[0], sent[-1], sent.count("a")) == ("a", "b", MAX_TEXT // 2)


async def test_what_a_model_thought_is_left_out(chat: ChatServer, summariser: ChatSummariser) -> None:
    async def think(_request: web.Request) -> web.StreamResponse:
        return completion("<think>Hm. It fixed something.</think>\n\nFixed.")

    chat.behave = think
    assert (await summariser.summarise("text", "m")).strip() == "Fixed."


async def html(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html><body>Welcome</body></html>", content_type="text/html")


async def server_error(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"choices": [{"message": {"content": "no"}}]}, status=500)


async def unauthorized(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": f"bad key {request.headers['Authorization']}"}, status=401)


async def ten_megabytes(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(160):
        await response.write(b" " * MAX_ANSWER)
    return response


async def barely_too_large(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b" " * (MAX_ANSWER + 1))


async def elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect(f"/elsewhere{request.path}")


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def break_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": ')
    assert request.transport is not None
    request.transport.abort()
    return response


async def bomb(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"})


def saying(body: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def say(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=body, content_type="application/json")

    return say


FAULTS = {
    "a page": (html, SummaryFault.NOT_UNDERSTOOD),
    "a server's error": (server_error, SummaryFault.STATUS),
    "a bad key": (unauthorized, SummaryFault.STATUS),
    "ten megabytes": (ten_megabytes, SummaryFault.TOO_LARGE),
    "a byte too many": (barely_too_large, SummaryFault.TOO_LARGE),
    "a redirect": (elsewhere, SummaryFault.STATUS),
    "hanging up": (hang_up, SummaryFault.UNREACHABLE),
    "breaking off": (break_off, SummaryFault.UNREACHABLE),
    "a bomb": (bomb, SummaryFault.NOT_UNDERSTOOD),
    "nothing": (saying(""), SummaryFault.NOT_UNDERSTOOD),
    "a list": (saying("[]"), SummaryFault.NOT_UNDERSTOOD),
    "no choices": (saying('{"choices": []}'), SummaryFault.EMPTY),
    "an error with 200": (saying('{"error": {"message": "no such model"}}'), SummaryFault.NOT_UNDERSTOOD),
    "no message": (saying('{"choices": [{}]}'), SummaryFault.NOT_UNDERSTOOD),
    "no text": (saying('{"choices": [{"message": {"content": null}}]}'), SummaryFault.NOT_UNDERSTOOD),
    "parts": (saying('{"choices": [{"message": {"content": [{"text": "a"}]}}]}'), SummaryFault.NOT_UNDERSTOOD),
    "an empty text": (saying('{"choices": [{"message": {"content": " \\n"}}]}'), SummaryFault.EMPTY),
    "thinking without end": (saying('{"choices": [{"message": {"content": "<think>Hm"}}]}'), SummaryFault.EMPTY),
    "depth": (saying('{"x": ' + "[" * 60_000), SummaryFault.NOT_UNDERSTOOD),
}


@pytest.mark.parametrize(("behave", "fault"), FAULTS.values(), ids=FAULTS.keys())
async def test_whatever_goes_wrong_is_told_without_the_text_and_the_key(
    chat: ChatServer,
    summariser: ChatSummariser,
    behave: Callable[[web.Request], Awaitable[web.StreamResponse]],
    fault: SummaryFault,
) -> None:
    chat.behave = behave
    with pytest.raises(SummaryError) as caught:
        await summariser.summarise("the text", "m")
    assert caught.value.fault is fault
    assert "the text" not in str(caught.value)
    assert KEY not in repr(caught.value)
    assert caught.value.__context__ is None or KEY not in repr(caught.value.__context__)
    # Nobody was followed, and the next one is asked as if nothing had been.
    assert chat.paths == ["/v1/chat/completions"]
    chat.behave = ChatServer().behave
    assert await summariser.summarise("the text", "m") == SUMMARY


async def test_what_hangs_is_not_waited_for(chat: ChatServer) -> None:
    chat.hold = asyncio.Event()
    summariser = ChatSummariser(SummaryConfig(base_url=chat.url), api_key=None, timeout_s=0.05)
    with pytest.raises(SummaryError) as caught:
        await summariser.summarise("text", "m")
    assert caught.value.fault is SummaryFault.TIMEOUT
    await summariser.aclose()


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:1/v1", "http://nowhere.invalid/v1", f"http://{'x' * 64}.example"]
)
async def test_what_is_not_there_is_unreachable(base_url: str) -> None:
    summariser = ChatSummariser(SummaryConfig(base_url=base_url), api_key=KEY, timeout_s=20)
    with pytest.raises(SummaryError) as caught:
        await summariser.summarise("text", "m")
    assert caught.value.fault is SummaryFault.UNREACHABLE
    await summariser.aclose()


async def test_few_are_asked_at_once_and_the_others_wait(chat: ChatServer, summariser: ChatSummariser) -> None:
    chat.hold = asyncio.Event()
    asked = [asyncio.create_task(summariser.summarise("text", "m")) for _ in range(3 * CALLS)]
    await chat.wait_for_questions(CALLS)
    # Whoever no longer waits makes room.
    asked[0].cancel()
    asked[-1].cancel()
    await chat.wait_for_questions(CALLS + 1)
    assert len(chat.questions) == CALLS + 1
    chat.hold.set()
    assert set(await asyncio.gather(*asked[1:-1])) == {SUMMARY}


async def test_proxies_of_the_environment_are_not_used(chat: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    summariser = ChatSummariser(SummaryConfig(base_url=chat.url), api_key=None)
    assert await summariser.summarise("text", "m") == SUMMARY
    await summariser.aclose()


def config(folder: Path, summary: SummaryConfig, *experiments: Experiment) -> Config:
    return Config(data_dir=folder, summary=summary, experiments=frozenset(experiments))


async def test_there_is_none_unless_the_experiment_is_on_and_an_address_is_set(tmp_path: Path) -> None:
    there = SummaryConfig(base_url="http://127.0.0.1:1/v1")
    for summary, experiments in ((there, ()), (SummaryConfig(), (Experiment.TURN_SUMMARIES,))):
        async with open_summariser(config(tmp_path, summary, *experiments)) as summariser:
            assert summariser is None
    async with open_summariser(config(tmp_path, there, Experiment.TURN_SUMMARIES)) as summariser:
        assert summariser is not None
        assert summariser.timeout_s == 5


async def test_a_key_is_read_from_its_file(chat: ChatServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    summary = SummaryConfig(base_url=chat.url, api_key_file=tmp_path / "key")
    async with open_summariser(config(tmp_path, summary, Experiment.TURN_SUMMARIES)) as summariser:
        assert summariser is not None
        await summariser.summarise("text", "m")
    assert chat.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "content", [None, b"", b"two words", b"\xff\xfe", b"k" * 9000], ids=["absent", "empty", "words", "bytes", "long"]
)
async def test_a_file_without_a_key_is_refused_and_not_shown(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    summary = SummaryConfig(base_url="http://127.0.0.1:1/v1", api_key_file=tmp_path / "key")
    with pytest.raises(StartUpError, match="key file") as caught:
        async with open_summariser(config(tmp_path, summary, Experiment.TURN_SUMMARIES)):
            raise AssertionError
    assert "two words" not in str(caught.value)
