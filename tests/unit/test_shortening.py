"""Texts of all scripts, made one line and cut: no character that a person sees is ever cut in two."""

# ruff: noqa: RUF001 (letters of many scripts)
from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.shortening import clean, shorten, split_sentences

FAMILY = "👨‍👩‍👧‍👦"
COUPLE = "👩🏽‍❤️‍💋‍👨🏿"
SCOTLAND = "🏴󠁧󠁢󠁳󠁣󠁴󠁿"
GERMANY = "🇩🇪"
ACUTE = "e\u0301"
DEVANAGARI = "क्षि"
WHOLE = [FAMILY, COUPLE, SCOTLAND, GERMANY, ACUTE, DEVANAGARI, "1️⃣", "각", "👍🏾"]


def clusters(text: str) -> list[str]:
    return [str(cluster) for cluster in regex.findall(r"\X", text)]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("one\ntwo\r\n\tthree", "one two three"),
        ("a\x00b\x07c\x7fd\x85e", "abcd e"),
        ("\x1b[31mred\x1b[0m and \x1b]0;title\x07plain", "red and plain"),
        ("\ufeffno\u200bbreak\u00adhere\u2060", "nobreakhere"),
        ("left\u202eright\u202c \u2066in\u2069", "leftright in"),
        ("می\u200cخواهم\u200f", "می\u200cخواهم\u200f"),
        ("smuggled\U000e0068\U000e0069", "smuggled"),
        ("half \ud83d a pair", "half a pair"),
        ("icon \ue0b0 of a font", "icon of a font"),
        (f"{FAMILY}{COUPLE}{SCOTLAND}{GERMANY}", f"{FAMILY}{COUPLE}{SCOTLAND}{GERMANY}"),
        ("a" + "\u0301" * 500 + "b", "a" + "\u0301" * 3 + "b"),
        ("👩\u200d" * 100, "👩\u200d👩"),
    ],
)
def test_a_text_becomes_one_line_of_what_is_seen(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("limit", [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31])
def test_what_a_person_takes_for_one_character_is_kept_or_left_out(whole: str, limit: int) -> None:
    cut = shorten(clean(whole * 40), limit)
    assert len(cut) <= limit
    assert cut == whole * cut.count(whole) + "…"
    assert len(cut) > limit - len(whole) - 1


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("exactly twenty chars", "exactly twenty chars"),
        ("exactly twenty-1 chars", "exactly twenty-1…"),
        ("words are not, cut in two", "words are not, cut…"),
        ("nothing dangles ( at all", "nothing dangles…"),
        ("x" * 30, "x" * 19 + "…"),
        # A word that does not end is cut where the rest would say too little.
        ("See " + "x" * 30, "See " + "x" * 15 + "…"),
        ("日本語の文章は空白なしで続くので途中で切られます", "日本語の文章は空白なしで続くので途中で…"),
        ("Run 日本語の文章は空白なしで続くので途中で", "Run 日本語の文章は空白なしで続くの…"),
        ("これは長い文章ですから次の文章へ続く「引用文」です", "これは長い文章ですから次の文章へ続く…"),
        ("ภาษาไทยไม่มีช่องว่างระหว่างคำ", "ภาษาไทยไม่มีช่องว่าง"[:19] + "…"),
        ("هذه جملة طويلة جدا لا تنتهي", "هذه جملة طويلة جدا…"),
        ("word " + FAMILY * 9, "word " + FAMILY * 2 + "…"),
    ],
)
def test_a_text_is_cut_at_a_word_where_there_are_words(text: str, cut: str) -> None:
    assert shorten(text, 20) == cut


@given(st.text(max_size=300), st.integers(2, 60))
def test_whatever_is_cut_begins_as_the_text_does_and_is_short_enough(text: str, limit: int) -> None:
    cleaned = clean(text)
    cut = shorten(cleaned, limit)
    assert len(cut) <= limit
    if cut != cleaned:
        kept = clusters(cut.removesuffix("…"))
        assert cut.endswith("…")
        assert kept == clusters(cleaned)[: len(kept)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Version 1.2.3 of main.py runs. It works.", ["Version 1.2.3 of main.py runs.", "It works."]),
        ("See e.g. Python, i.e. Dr. Guido. Next.", ["See e.g. Python, i.e. Dr. Guido.", "Next."]),
        ('He said "Stop." and left. (Really.) Yes.', ['He said "Stop." and left.', "(Really.)", "Yes."]),
        ("Wait... what? Yes!! Well… no. OK", ["Wait... what?", "Yes!!", "Well… no.", "OK"]),
        ("1. First. 2. Second", ["1. First.", "2.", "Second"]),
        ("終わりました。次は？「はい。」と答えた", ["終わりました。", "次は？", "「はい。」", "と答えた"]),
        ("انتهى العمل. هل أتابع؟ نعم", ["انتهى العمل.", "هل أتابع؟", "نعم"]),
        ("काम हो गया। आगे बढ़ें? हाँ", ["काम हो गया।", "आगे बढ़ें?", "हाँ"]),
        ("no end", ["no end"]),
        ("...", ["..."]),
        ("", []),
    ],
)
def test_sentences_are_told_apart(text: str, sentences: list[str]) -> None:
    split = split_sentences(text)
    assert [sentence.text for sentence in split] == sentences
    assert "".join(sentence.gap + sentence.text for sentence in split) == text
