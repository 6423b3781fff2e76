"""Codes of invitations: what they look like, and how they may be typed."""

from __future__ import annotations

import os
import re

import pytest

from pushdesk.invitation_code import RANDOM_BYTES, code_digest, make_code, read_lifetime

CODE = "7M3K-Q0ZT-A1WD-5HXE"


def coded(number: int) -> str:
    return make_code(lambda count: number.to_bytes(count, "big"))


def test_a_code_has_groups_of_characters_that_are_not_mistaken_for_each_other() -> None:
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}", make_code(os.urandom))


def test_every_random_bit_is_in_the_code() -> None:
    codes = {coded(0)} | {coded(1 << bit) for bit in range(RANDOM_BYTES * 8)}
    assert len(codes) == 81
    assert {code_digest(code) for code in codes} & {None} == set()
    assert len({code_digest(code) for code in codes}) == 81


@pytest.mark.parametrize(
    "typed",
    [
        CODE.lower(),
        CODE.replace("-", ""),
        CODE.replace("-", " "),
        f"  {CODE}\n",
        "7m3kq0zta1wd5hxe",
        "7M3K\N{EN DASH}Q0ZT\N{EM DASH}A1WD\N{NON-BREAKING HYPHEN}5HXE",
        "7M3K-QOZT-A1WD-5HXE",
        "7m3k-qozt-alwd-5hxe",
        "7M3K-Q0ZT-AIWD-5HXE",
        "7M3K-Q0ZT-AiWD-5HXE",
        "\N{ZERO WIDTH SPACE}7M3K-Q0ZT\N{SOFT HYPHEN}A1WD\N{NO-BREAK SPACE}5HXE",
        "7 M 3 K Q 0 Z T A 1 W D 5 H X E",
    ],
)
def test_a_code_is_known_however_it_was_typed(typed: str) -> None:
    assert code_digest(typed) == code_digest(CODE)


def test_another_code_is_another_one() -> None:
    assert code_digest("7M3K-Q0ZT-A1WD-5HXF") not in {None, code_digest(CODE)}


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "-",
        CODE[:-1],
        CODE + "0",
        CODE.replace("A", "U"),
        CODE.replace("A", "Ä"),
        CODE.replace("A", "\N{CYRILLIC CAPITAL LETTER A}"),
        CODE.replace("7", "\N{FULLWIDTH DIGIT SEVEN}"),
        "%00" + CODE,
        "\ud800" * 16,
        "ß" * 8,
        "x" * 100_000,
        f"http://localhost:8484/enroll#{CODE}",
    ],
)
def test_what_can_be_no_code_is_none(typed: str) -> None:
    assert code_digest(typed) is None


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("24h", 86400), ("30d", 2592000)])
def test_a_lifetime_is_a_duration(text: str, seconds: int) -> None:
    assert read_lifetime(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "59s", "31d", "24", "1.5h", "-1h", "24 h", "forever"])
def test_another_lifetime_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from 60s to 30d"):
        read_lifetime(text)
