"""Text from strangers: fit for a person, and nothing secret in it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk import plain_text as module
from pushdesk.plain_text import plain_text, printable, without_secrets


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[31mred\x1b[0m alert", "red alert"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;https://evil.example\x07click\x1b]8;;\x07 me", "click me"),
        ("\x1b]0;title never ended", ""),
        ("a\x00b\r\nc\td\x7f", "a b c d"),
        ("left\u202eright\u200b", "left right"),
        ("see https://fcm.googleapis.com/fcm/send/secret for more", "see … for more"),
        ("(HTTP://x.test/y)", "(…"),
        ("bad endpoint gAAAAABnpdbulnTLVcG1dB8MMTW1w9txxdv6 of yours", "bad endpoint … of yours"),
        ("<script>alert(1)</script><b>Bad</b> Request", "Bad Request"),
        ("[bold]kept as it is[/x]", "[bold]kept as it is[/x]"),
        ("0https://secret.example", "…"),
        ("Bad <title>never ended", "Bad"),
        ("word " * 5000, ("word " * 820)[:4096].strip()),
    ],
)
def test_strangers_text_is_made_plain(text: str, plain: str) -> None:
    assert plain_text(text).strip() == plain


@given(st.text(string.ascii_letters + string.digits, max_size=40))
def test_a_word_is_made_plain_as_a_text_is_that_it_is_in(word: str) -> None:
    assert plain_text(word) == plain_text(f"{word}!").removesuffix("!") == plain_text(f" {word} ")


@pytest.mark.parametrize(
    "piece", ["a", "<style", "<", "<a", "://", "a:", "\x1b[1", "\x1b]", "\x1b ", "0+.-", "a" * 31 + " "]
)
@pytest.mark.parametrize("pattern", ["_ESCAPE_SEQUENCES", "_MARKUP", "_URLS", "_SECRETS", "_PATHS", "_SHORT_SECRETS"])
def test_cleaning_takes_time_in_proportion_to_the_text(pattern: str, piece: str) -> None:
    # If it were in proportion to the square, this would not end before the test's time is up.
    text = piece * (1_000_000 // len(piece))
    assert isinstance(getattr(module, pattern).sub("", text), str)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Unclosed client session", "Unclosed client session"),
        ("auth is kJ9_aZ-x04Pq7Lm2Vb8NcQ now", "auth is … now"),
        ("POST /push/abc failed", "POST … failed"),
        ("url=URL('/push/abc') and push/abc, ok", "url=URL('… and … ok"),
        ("exception=ValueError('https://push.example/abc')", "exception=ValueError('…"),
        ("file.py:12: DeprecationWarning: it is old", "file.py:12: DeprecationWarning: it is old"),
    ],
)
def test_nothing_like_a_path_or_a_secret_is_left_of_what_a_library_says(text: str, plain: str) -> None:
    assert without_secrets(text) == plain


def test_what_joins_letters_and_emoji_stays() -> None:
    joined = "\N{MAN}\u200d\N{GIRL} \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    assert plain_text(joined) == joined
    assert printable(joined) == joined
    assert printable("a\u202eb\x1bc\ud800") == "a\ufffdb\ufffdc\ufffd"
