"""What an engine and its sender processes tell each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.sender.frames import (
    AT_ONCE,
    MAX_FRAME,
    GarbageError,
    Mistake,
    Ping,
    Pong,
    Push,
    Pushes,
    Ready,
    Result,
    Results,
    Settings,
    chunks,
    engine_frames,
    framed,
    sender_frames,
)
from pushdesk.sender.sending import Sending
from pushdesk.webpush.push_answer import MAX_ANSWER_BODY, PushAnswer
from pushdesk.webpush.services import FaultKind
from tests.push_service import Device
from tests.sender.bench import push_to

if TYPE_CHECKING:
    from pushdesk.sender.frames import ToEngine, ToSender
    from pushdesk.webpush.request import PushRequest

SECRET = "tok-Zm9vYmFyc2VjcmV0"
PUSH = Push(f"https://push.example/{SECRET}", b"p" * 65, b"a" * 16, b"{}", {"Authorization": SECRET})
REAL = push_to(Device("https://push.example/one"))
LARGEST = Push("e" * 2048, b"p" * 65, b"a" * 16, b"m" * 3993, {"Authorization": "t" * 2000, "Topic": "t" * 32})
TO_SENDER: list[ToSender] = [
    Settings(allowed_origins=("http://127.0.0.1:1",), proxy="http://proxy"),
    Pushes(7, [PUSH, PUSH]),
    Ping(),
]
TO_ENGINE: list[ToEngine] = [
    Ready(),
    Results(
        [
            Result(7, 0.25, 201, {"ttl": "60"}, b"body"),
            Result(8, 1.5, fault=FaultKind.NO_FILE),
            Result(9, 0.0, mistake=Mistake("ValueError", "sending.py:1 send", reason="Why.")),
        ]
    ),
    Pong(),
]


class Answering:
    """What posts, where every push is answered alike."""

    def __init__(self, answer: PushAnswer) -> None:
        self._answer = answer

    async def post(self, _request: PushRequest) -> PushAnswer:
        return self._answer

    async def aclose(self) -> None:
        """Nothing is open."""


@given(st.lists(st.integers(1, 400), min_size=1))
def test_messages_come_as_they_went_however_they_are_cut(cuts: list[int]) -> None:
    data = b"".join([framed(message) for message in TO_SENDER])
    frames = sender_frames()
    got: list[ToSender] = []
    while data:
        cut = cuts[len(got) % len(cuts)]
        got += list(frames.feed(data[:cut]))
        data = data[cut:]
    assert got == TO_SENDER


def test_what_a_sender_tells_comes_as_it_went() -> None:
    assert list(engine_frames().feed(b"".join([framed(message) for message in TO_ENGINE]))) == TO_ENGINE


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 8,
        (MAX_FRAME + 1).to_bytes(4, "big"),
        (1).to_bytes(4, "big") + b"\xc1",
        (0).to_bytes(4, "big"),
        framed(Pong()),
        framed(Ready()),
        (2000).to_bytes(4, "big") + b"\x91" * 2000,
    ],
    ids=["noise", "too long", "no msgpack", "nothing", "the wrong way", "not expected", "too deep"],
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(GarbageError):
        list(sender_frames().feed(data))


def test_what_came_before_garbage_counts() -> None:
    frames = sender_frames()
    feeding = frames.feed(framed(Ping()) + b"\xff" * 8)
    assert next(feeding) == Ping()
    with pytest.raises(GarbageError):
        next(feeding)


def test_as_many_of_the_largest_pushes_as_go_together_fit_into_a_frame() -> None:
    assert len(framed(Pushes(2**40, [LARGEST] * AT_ONCE))) < MAX_FRAME


@pytest.mark.parametrize(
    "headers",
    [
        {f"{number:08190}": "" for number in range(4)},
        {f"{number:x}": "" for number in range(6000)},
        {f"{number:x}": "y" for number in range(4000)} | {"x": "y" * 2000},
        {f"{number:x}": "\u00fc" * 100 for number in range(150)},
        {f"\u00fc{number:x}": "\u20ac" for number in range(1500)},
        {chr(number): "" for number in range(0x80, 0x100)},
    ],
    ids=["long names", "no values", "short ones", "letters", "letters in names", "letters for names"],
)
async def test_as_many_of_the_largest_results_as_go_together_fit_into_a_frame(headers: dict[str, str]) -> None:
    answer = PushAnswer(429, headers, b"b" * MAX_ANSWER_BODY, 1.0)
    result = await Sending(Answering(answer), lambda: 0.0).send(REAL, 2**40)
    assert (result.status, result.body) == (429, answer.body)
    assert len(framed(Results([result] * AT_ONCE))) < MAX_FRAME


async def test_a_long_name_takes_no_other_headers_place() -> None:
    answer = PushAnswer(429, {"n" * 8190: "", "retry-after": "60"}, b"", 1.0)
    result = await Sending(Answering(answer), lambda: 0.0).send(REAL)
    assert result.headers == {"retry-after": "60"}


def test_what_does_not_fit_is_not_framed() -> None:
    with pytest.raises(ValueError, match="too long"):
        framed(Pushes(0, [Push("", b"", b"", b"m" * MAX_FRAME, {})]))


def test_many_pushes_go_in_several_frames_and_keep_their_numbers() -> None:
    cut = list(chunks([PUSH] * (2 * AT_ONCE + 1)))
    assert [(first, len(some)) for first, some in cut] == [(0, AT_ONCE), (AT_ONCE, AT_ONCE), (2 * AT_ONCE, 1)]


def test_nothing_secret_is_shown() -> None:
    answer = Result(1, 0.0, 400, {"location": SECRET}, SECRET.encode())
    for shown in (PUSH, Pushes(0, [PUSH]), answer, Results([answer]), Settings(proxy=f"http://{SECRET}")):
        assert SECRET not in repr(shown)
