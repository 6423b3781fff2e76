"""What is read of an answer, however it comes: in one piece or byte by byte, HTTP or not."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.webpush.http_answer import MAX_FIELD, MAX_HEAD, MAX_INTERIM, MAX_TAIL, AnswerReader

HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
ANSWERS = {
    "length": b"HTTP/1.1 201 Created\r\nLocation: /m/1\r\nContent-Length: 4\r\n\r\nbody",
    "chunks": b"HTTP/1.1 429 Slow\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n3;x=y\r\nway\r\n0\r\nEnd: x\r\n\r\n",
    "hints": HINT * 2 + b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
    "without a body": b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
    "to the end": b"HTTP/1.1 500 Bad\r\n\r\nall of it",
    "old": b"HTTP/1.0 201 Created\r\nContent-Length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 201 Created\nContent-Length: 0\n\n",
    "letters": "HTTP/1.1 400 Bad\r\nX-WNS-Error-Description: \u00fcber\r\nContent-Length: 0\r\n\r\n".encode(),
}


class Read(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    is_complete: bool
    may_be_reused: bool
    is_broken: bool


def new_reader() -> AnswerReader:
    return AnswerReader(lambda: 0.0)


def read_by(reader: AnswerReader, *pieces: bytes) -> Read:
    for piece in pieces:
        reader.feed(piece)
    return Read(reader.status, reader.headers, reader.body, reader.is_complete, reader.may_be_reused, reader.is_broken)


def read(*pieces: bytes) -> Read:
    return read_by(new_reader(), *pieces)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("length", Read(201, {"location": "/m/1", "content-length": "4"}, b"body", True, True, False)),
        ("chunks", Read(429, {"transfer-encoding": "chunked"}, b"noway", True, True, False)),
        ("hints", Read(410, {"content-length": "0"}, b"", True, True, False)),
        ("without a body", Read(204, {"server": "x"}, b"", True, True, False)),
        ("to the end", Read(500, {}, b"all of it", False, False, False)),
        ("old", Read(201, {"content-length": "0"}, b"", True, False, False)),
        ("bare line feeds", Read(201, {"content-length": "0"}, b"", True, True, False)),
        (
            "letters",
            Read(400, {"x-wns-error-description": "\u00fcber", "content-length": "0"}, b"", True, True, False),
        ),
    ],
)
def test_answer_is_read_alike_wherever_it_is_split(answer: str, expected: Read) -> None:
    whole = ANSWERS[answer]
    assert read(whole) == expected
    for place in range(1, len(whole)):
        assert read(whole[:place], whole[place:]) == expected
    assert read(*(bytes((byte,)) for byte in whole)) == expected


@given(st.data())
def test_answers_one_after_the_other_are_read_alike_however_they_are_split(data: st.DataObject) -> None:
    reader = new_reader()
    kept = [name for name in ANSWERS if name not in {"to the end", "old"}]
    for name in data.draw(st.lists(st.sampled_from(kept), max_size=5)):
        whole = ANSWERS[name]
        places = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=5)))
        pieces = [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]
        reader.begin()
        assert read_by(reader, *pieces) == read(whole)


PIECES = st.binary(max_size=300) | st.sampled_from([*ANSWERS.values(), b"HTTP/1.1 2", b"\r\n", HINT])


@given(st.lists(PIECES, max_size=9))
def test_whatever_comes_nothing_is_raised_and_little_is_kept(pieces: list[bytes]) -> None:
    found = read(*pieces)
    assert found.status == 0 or 100 < found.status < 1000
    assert len(found.body) <= 4096
    # Only the first answer may be followed by another, if nothing follows it.
    assert not (found.may_be_reused and found.is_broken)


@pytest.mark.parametrize(
    ("head", "may_be_reused"),
    [
        (b"HTTP/1.1 201 C\r\nContent-Length: 0\r\n", True),
        (b"HTTP/1.1 201 C\r\nContent-Length: 0\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 201 C\r\nContent-Length: 0\r\nConnection: Keep-Alive, Close\r\n", False),
        (b"HTTP/1.0 201 C\r\nContent-Length: 0\r\n", False),
        (b"HTTP/1.0 201 C\r\nContent-Length: 0\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n", False),
        (b"HTTP/1.1 201 C\r\n", False),
    ],
)
def test_connection_may_be_used_again_as_the_answer_says(head: bytes, may_be_reused: bool) -> None:  # noqa: FBT001
    assert read(head + b"\r\n").may_be_reused is may_be_reused


@pytest.mark.parametrize(
    "more",
    [ANSWERS["length"], b"garbage", b"\x00", b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["answer", "garbage", "null", "interim"],
)
@pytest.mark.parametrize("answer", ["length", "chunks", "without a body"])
def test_what_follows_the_answer_uninvited_changes_nothing_of_it_but_ends_the_connection(
    answer: str, more: bytes
) -> None:
    expected = read(ANSWERS[answer])
    found = read(ANSWERS[answer] + more)
    assert found[:4] == expected[:4]
    assert not found.may_be_reused


@pytest.mark.parametrize(
    "text",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 000 No\r\n\r\n",
        b"HTTP/1.1 099 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * MAX_FIELD + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyyyyyyyyyyyyyy\r\n" * 2000,
        b"HTTP/1.1 200 " + b"K" * (MAX_HEAD + 1),
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_answer_is_broken_and_has_no_status(text: bytes) -> None:
    assert read(text)[:3] == (0, read(text).headers, b"")
    assert read(text).is_broken
    assert read(*(text[start : start + 1000] for start in range(0, len(text), 1000))).is_broken


def test_endless_header_is_not_kept() -> None:
    reader = new_reader()
    reader.feed(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(100):
        reader.feed(b"y" * 1000)
    assert reader.is_broken
    assert (reader.status, reader.headers) == (0, {})


@pytest.mark.parametrize("beginning", [b"0\r\nX: ", b"0\r\n", b"1;x="], ids=["trailer", "trailers", "extension"])
def test_what_is_around_a_body_is_not_read_without_an_end(beginning: bytes) -> None:
    reader = new_reader()
    reader.feed(b"HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n" + beginning)
    for _ in range(MAX_TAIL // 1000):
        reader.feed(b"X: y\r\n" * 100 if beginning.endswith(b"\n") else b"y" * 1000)
        assert not reader.is_broken
    reader.feed(b"X: y\r\n" * 3000 if beginning.endswith(b"\n") else b"y" * 1000)
    assert reader.has_enough
    assert not reader.is_complete


def test_body_in_the_smallest_chunks_is_read_to_its_end() -> None:
    head = b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [b"1\r\nx\r\n" * 64] * 63
    found = read(head, *pieces, b"0\r\n\r\n")
    assert (found.body, found.is_complete, found.may_be_reused) == (b"x" * 64 * 63, True, True)


def test_body_behind_a_head_does_not_count_as_one() -> None:
    found = read(b"HTTP/1.1 400 Bad\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
    assert (found.status, found.body, found.is_complete) == (400, b"x" * 4096, True)


def test_as_many_interim_answers_are_skipped_as_may_be_and_then_no_more_is_read() -> None:
    assert read(HINT * MAX_INTERIM + ANSWERS["length"]) == read(ANSWERS["length"])
    reader = new_reader()
    reader.feed(HINT * (MAX_INTERIM + 1))
    assert reader.is_flooded
    reader.feed(ANSWERS["length"])
    assert (reader.status, reader.is_broken) == (0, False)
    reader = new_reader()
    reader.feed(HINT * 10_000)
    assert (reader.status, reader.is_flooded, reader.is_broken) == (0, True, False)


def test_of_a_repeated_header_the_first_counts_and_trailers_do_not() -> None:
    found = read(
        b"HTTP/1.1 201 C\r\nX: a \r\nx: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: c\r\nLocation: evil\r\n\r\n"
    )
    assert found.headers == {"x": "a", "transfer-encoding": "chunked"}
    assert found.may_be_reused
