"""What a notification shows of a text: a table of Markdown as agents write it, and texts that mean harm."""

# ruff: noqa: RUF001 (letters of many scripts)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk import markdown_blocks
from pushdesk.markdown_blocks import MARKDOWN, PLAIN, WINDOW, WINDOWS, _parsed, read_pieces
from pushdesk.shortening import clean
from pushdesk.summary import LIMIT, summarise, summarise_error

if TYPE_CHECKING:
    from collections.abc import Callable

FAMILY = "👨‍👩‍👧‍👦"
MILLION = 1_000_000

SUMMARIES = {
    "a paragraph": ("I fixed the bug.", "I fixed the bug."),
    "emphasis": ("I **fixed** the *worst* `bug()` of ***all***.", "I fixed the worst bug() of all."),
    "links": (
        "See [the docs](https://x.example/a?b=c), [the issue][1] and <https://y.example>.\n\n[1]: https://z.example",
        "See the docs, the issue and https://y.example.",
    ),
    "an image": ("![Requests per second](chart.png) are up.", "Requests per second are up."),
    "images without a text": ("[![](badge.svg)](https://x.example)\n\nBuilt.", "Built."),
    "a heading leads on": ("# Deployed\n\nVersion 2 is live.", "Deployed: Version 2 is live."),
    "headings": ("# Report\n\n## Summary\n\nAll is well.", "Report: Summary: All is well."),
    "a heading of its own": ("# Deployed", "Deployed"),
    "a heading with a question": ("## What now?\nDecide.", "What now? Decide."),
    "a heading underlined": ("Deployed\n========\n\nIt is live.", "Deployed: It is live."),
    "strong text for a heading": ("**Summary**\n\nAll is well.", "Summary: All is well."),
    "a list": (
        "I changed:\n\n- the `parser`\n- its **tests**\n\nNothing else",
        "I changed: the parser; its tests. Nothing else",
    ),
    "a list of sentences": ("* One thing.\n* Another!\n", "One thing. Another!"),
    "a question with choices": (
        "Which database?\n\n1. Postgres\n2. SQLite\n\nAnswer with a number.",
        "Which database? 1. Postgres; 2. SQLite. Answer with a number.",
    ),
    "choices that begin at 3": ("3) left\n4) right", "3. left; 4. right"),
    "lists in lists": ("- one\n  - two\n    - three\n- four", "one; two; three; four"),
    "tasks": ("- [x] write it\n- [ ] test it", "✓ write it; ☐ test it"),
    "a table": ("| job | result |\n|---|---|\n| unit | ok |\n| lint | 2 errors |", "unit: ok; lint: 2 errors"),
    "a wide table": ("a|b|c\n-|-|-\nunit|ok|3 s\n", "unit: ok, 3 s"),
    "a table's head alone": ("| job | result |\n|---|---|\n\nNothing ran.", "job: result. Nothing ran."),
    "code beside text": ("Run this.\n\n```sh\nrm -rf build\n```\n\nThen build.", "Run this. Then build."),
    "code alone": ("```python\nprint('hi')\nprint('ho')\n```", "print('hi') print('ho')"),
    "indented code beside text": ("Output:\n\n    0 errors\n\nGood.", "Output: Good."),
    "code that does not end": ("Look.\n\n~~~\nx = 1\n", "Look."),
    "a quotation": ("> You asked *why*.\n\nBecause.", "You asked why. Because."),
    "what is struck through": ("It takes ~~5~~ 3 days.", "It takes 3 days."),
    "breaks of lines": ("one  \ntwo\\\nthree\nfour<br>five", "one two three four five"),
    "a rule": ("one.\n\n---\n\ntwo.", "one. two."),
    "HTML": (
        "<p align=center>Hi <b>you</b></p><img alt='A chart'>\n\nIt <kbd>works</kbd>.",
        "Hi you A chart. It works.",
    ),
    "HTML that is not shown": (
        "<!-- a\n\nnote --><style>b{}</style>\n\nYes <script>alert(1)</script><!-- no -->.",
        "Yes .",
    ),
    "details": ("<details>\n<summary>Log</summary>\n\nAll green.\n\n</details>", "Log. All green."),
    "entities and escapes": ("Tom &amp; \\*Jerry\\* &lt;3", "Tom & *Jerry* <3"),
    "front matter": ("---\ntitle: Report\ntags: [a]\n---\n\n# Done\n\nYes.", "Done: Yes."),
    "front matter of another kind": ('+++\ntitle = "Report"\n+++\nYes.', "Yes."),
    "a rule that is no front matter": ("---\n\nFirst part.\n\n---\n\nSecond part.", "First part. Second part."),
    "a sequence for a terminal": ("\x1b[32m✓\x1b[0m 12 passed\x07", "✓ 12 passed"),
    "line ends of Windows": ("One\r\nline.\r\n\r\n- a\r\n- b\r\n", "One line. a; b"),
    "a mark of byte order": ("\ufeff# Done\n\nYes.", "Done: Yes."),
    "names of files": (
        "I edited `src/__init__.py` and snake_case_name.",
        "I edited src/__init__.py and snake_case_name.",
    ),
    "arithmetic": ("2 * 3 * 4 is 24, and a < b.", "2 * 3 * 4 is 24, and a < b."),
    "Japanese": ("**テスト**は全部通りました。次は？", "テストは全部通りました。次は？"),
    "Arabic": ("## ملخص\n\nانتهى **العمل**. هل أتابع؟", "ملخص: انتهى العمل. هل أتابع؟"),
    "Hebrew": ("שלום, [עולם](https://x.example).", "שלום, עולם."),
    "emoji": (f"🎉 Done {FAMILY} 🇩🇪 👍🏾!", f"🎉 Done {FAMILY} 🇩🇪 👍🏾!"),
    "whole sentences only": ("Done. " + "And so on " * 20 + "to the end.", "Done."),
    "as many sentences as fit": ("One sentence. " * 20, "One sentence. " * 7 + "One sentence."),
    "what leads on is not left alone": (
        "All is done. Changes:\n\n- " + "a very long item " * 10,
        "All is done.",
    ),
    "one long sentence": ("word " * 60, "word " * 22 + "word word…"),
    "a long sentence of Chinese": ("检" * 200, "检" * 119 + "…"),
    "sentences of Chinese": ("这是一个完整的句子。" * 20, "这是一个完整的句子。" * 12),
    "many families": (FAMILY * 60, FAMILY * 17 + "…"),
    "one letter with a thousand marks": ("a" + "\u0301" * 1000, "a" + "\u0301" * 3),
    "nothing": ("", ""),
    "nothing to be seen": (" \n\t\u200b\n\n<!-- x -->\n\n![](x.png)\n\n---\n", ""),
}


@pytest.mark.parametrize(("markdown", "summary"), SUMMARIES.values(), ids=SUMMARIES.keys())
def test_a_summary_is_what_a_person_would_read(markdown: str, summary: str) -> None:
    assert summarise(markdown) == summary
    assert len(summary) <= LIMIT


ERRORS = {
    "a sentence": ("The model timed out.", "The model timed out."),
    "names with underscores": ("KeyError: '__init__' in <module>", "KeyError: '__init__' in <module>"),
    "a path": (r"C:\new\*.txt is missing", r"C:\new\*.txt is missing"),
    "a traceback": (
        "Traceback (most recent call last):\n  File 'x.py', line 1, in <module>\n    f(*a)\nValueError: bad **a\n",
        "ValueError: bad **a",
    ),
    "a gateway's page": (
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<h1>502</h1>\r\n</body>\r\n</html>",
        "502 Bad Gateway 502",
    ),
    "JSON": ('{"error": {"message": "Overloaded"}}', '{"error": {"message": "Overloaded"}}'),
    "a code block": ("```\nexit status 1\n```", "exit status 1"),
    "colours": ("\x1b[31merror\x1b[0m: no", "error: no"),
    "many lines": ("error: a\n    indented\nb", "error: a indented b"),
    "nothing": ("\n", ""),
}


@pytest.mark.parametrize(("error", "summary"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_is_no_markdown(error: str, summary: str) -> None:
    assert summarise_error(error) == summary


HOSTILE = {
    "brackets": "[" * MILLION,
    "images": "![[" * MILLION,
    "quotations": ">" * MILLION,
    "quotations of lists": "> - " * MILLION,
    "lists": "".join(" " * depth + "- a\n" for depth in range(1400)),
    "stars": "*a " * MILLION,
    "underscores": "_a" * MILLION,
    "backticks": "".join("`" * count + " " for count in range(1400)),
    "links": "[a](" * MILLION,
    "tags": "<a " * MILLION,
    "comments": "<!-- x" * MILLION,
    "entities": "&#" * MILLION,
    "tables": "|a" * MILLION + "\n" + "|-" * MILLION,
    "definitions": "[a]: b\n" * MILLION,
    "fences": "```\n" * MILLION,
    "one fence": "```\n" + "\n" * MILLION,
    "images of nothing": "![](a)" * MILLION,
    "divisions": "<div>\n" * MILLION,
    "lines": "\n" * MILLION,
    "spaces": " " * MILLION,
    "one word": "x" * MILLION,
    "one letter": "a" + "\u0301" * MILLION,
    "one emoji": "👩\u200d" * MILLION,
    "flags": "🇩" * MILLION,
    "full stops": "." * MILLION,
    "ends of sentences": '!"' * MILLION,
    "front matter": "---\na: b\n" + "c: d\n" * MILLION,
    "directions": "\u202e" * MILLION,
    "orders to a terminal": "\x1b]" * MILLION,
    "tracebacks": "Traceback (most recent call last)\n" * 50_000,
}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect how many characters each call of the parser is given."""
    sizes: list[int] = []
    for parser in (markdown_blocks.MARKDOWN, markdown_blocks.PLAIN):

        def parse(source: str, *more: Any, original: Callable[..., Any] = parser.parse) -> Any:
            sizes.append(len(source))
            return original(source, *more)

        monkeypatch.setattr(parser, "parse", parse)
    return sizes


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_of_a_text_of_any_size_a_bounded_beginning_is_parsed(text: str, parsed: list[int]) -> None:
    for summary_of in (summarise, summarise_error):
        parsed.clear()
        summary = summary_of(text)
        assert len(summary) <= LIMIT
        assert clean(summary) == summary
        assert len(parsed) <= WINDOWS
        # An address that is cut off is closed.
        assert all(size <= WINDOW + 1 for size in parsed)


def test_a_text_that_begins_with_prose_is_parsed_once(parsed: list[int]) -> None:
    assert summarise("A sentence of prose. " * MILLION) == ("A sentence of prose. " * 5).rstrip()
    assert parsed == [WINDOW]


@pytest.mark.parametrize(
    "before",
    [
        "```\n" + "code\n" * MILLION + "```\n",
        "~~~~ python\n" + "~~~\n" * MILLION + "~~~~~\n",
        "\r\n".join(["```", *["code", "``` no end"] * 10_000, "```", ""]),
        "<!-- " + "note " * MILLION + "-->\n",
        "<SCRIPT>" + "x()\n\n" * MILLION + "</script>\n",
        "<svg>\n" + "<path d=''/>\n" * 10_000 + "</svg>\n\n",
        "![](data:image/png;base64," + "A" * MILLION + ")\n\n",
        "\n" * MILLION,
        "---\n" + "key: value\n" * 1000 + "---\n",
        "```\nshort\n```\n" * 1000,
    ],
    ids=["code", "tildes", "windows", "comment", "script", "svg", "data", "lines", "front matter", "many codes"],
)
def test_what_is_not_shown_is_skipped_however_long_it_is(before: str, parsed: list[int]) -> None:
    assert summarise(f"{before}The *answer* is 42.") == "The answer is 42."
    assert len(parsed) <= WINDOWS


PROSE = st.lists(
    st.text(alphabet=st.sampled_from(list("aB1 .,:;!?()\"'\u200b\xa0\u3000é。🎉\ufeff")), max_size=40)
    | st.sampled_from(
        ["It is done.", "1. x", "a|b", "-|-", ":-", "==", "---", "+++", "# x", "> x", "- x", "[a]: b", "[a]"]
    )
    | st.sampled_from(
        ["", "", " ", "  a", "    a", "\ta", "*a*", "a_b_", "&amp;", "<b>", "~~~", "```", "a\\", "\x1b[1m"]
    )
    | st.text(max_size=9)
    | st.integers(WINDOW - 90, WINDOW + 3).map(lambda length: "word " * (length // 5) + "x" * (length % 5)),
    max_size=9,
).map("\n".join)


@given(PROSE)
def test_prose_that_is_not_parsed_is_read_as_the_parser_reads_it(text: str) -> None:
    for parser in (MARKDOWN, PLAIN):
        for enough in (20, 480):
            assert [*read_pieces(text, parser, enough=enough)] == [*_parsed(text, parser, enough=enough)]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("I fixed the bug (it was in the parser): 2 tests, 1 file.\nIs that all?\n\nYes. \n", 0),
        (f"{'It is done. ' * 12}\n\n- **one**\n- two", 0),
        (f"✅ {'It is done. ' * 12}\n \n{'x' * MILLION}", 0),
        ("It is done.\n\n- **one**\n- two", 1),
        ("It is done.\n===", 1),
        ("1) It is done.", 1),
        ("  It is done.", 1),
        ("It is [done].", 1),
    ],
)
def test_prose_at_the_beginning_is_not_parsed(text: str, calls: int, parsed: list[int]) -> None:
    assert summarise(text)
    assert len(parsed) == calls


def test_a_block_that_a_window_cuts_is_read_whole(parsed: list[int]) -> None:
    text = (
        "```\n"
        + "x" * (WINDOW - 40)
        + "\n```\n\nHere is **what I found at the end of a window** [here](https://x.example)."
    )
    assert summarise(text) == "Here is what I found at the end of a window here."
    assert len(parsed) == 2


@given(st.text(alphabet=st.sampled_from(list("ab *_`[]()!<>#-|\n\\.~:&1\"'\t😀é。")), max_size=400))
def test_whatever_is_written_a_summary_is_one_clean_line(text: str) -> None:
    for summary in (summarise(text), summarise_error(text)):
        assert len(summary) <= LIMIT
        assert clean(summary) == summary


def test_only_the_blocks_that_a_summary_shows_are_read_to_the_word(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    inline = markdown_blocks.MARKDOWN.inline

    def parse(source: str, *more: Any, original: Callable[..., Any] = inline.parse) -> Any:
        read.append(source)
        return original(source, *more)

    monkeypatch.setattr(inline, "parse", parse)
    text = "\n\n".join(f"Paragraph {number:02} says in *some* words what was done." for number in range(50))
    assert summarise(text) == " ".join(
        f"Paragraph {number:02} says in some words what was done." for number in range(2)
    )
    assert len(read) == 3
