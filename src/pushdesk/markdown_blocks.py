"""The blocks of a text as plain text: what a person would read of Markdown, or of what a program says. Pure.

Markdown is read by a parser (CommonMark, with tables and strikethrough), and of however long a text only as much as is
needed: a window at its beginning, and further ones while there is not enough yet, up to a bound. What is within a block
is parsed when somebody gets as far as there. Paragraphs at the beginning that hold nothing which could be markup are
read without the parser, which takes most of the time that a summary does.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from markdown_it import MarkdownIt

from pushdesk.shortening import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

WINDOW: Final = 4096
"""Characters that are parsed at once."""
WINDOWS: Final = 8
"""The most that are parsed of a text."""

# Both parse blocks only; `_Reader` has the lines within one parsed.
MARKDOWN: Final = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable(["inline", "text_join"])
# What a program says is no Markdown: `__init__`, `<module>` and `C:\new` stay what they are. It may come in a code
# block, though, and many a gateway answers with a page.
PLAIN: Final = MarkdownIt("zero", {"html": True}).enable(["fence", "html_block"]).disable(["inline", "text_join"])

# Each line begins with a letter, a quotation mark or a sign that is none of ASCII's, and is not indented: so it is no
# item, heading or the like, nor does it make one of the line before. Nothing within it begins anything.
_LINE_OF_PROSE: Final = r"[^\x00-!#-&)-@\[-`{-\xa0\s][^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\n\\`~*_\[\]<&]*+"
_PROSE: Final = re.compile(rf"(?P<text>{_LINE_OF_PROSE}(?:\n{_LINE_OF_PROSE})*+)(?:[\n ]*+\Z|\n(?: *+\n)++)")
"""A paragraph that is only text, and the empty lines behind it."""

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_BLANK_LINES: Final = re.compile(r"(?:[ \t]*+(?:\r\n|\n|\r))*+")
_FRONT_MATTER: Final = re.compile(
    r"\s*(?P<fence>---|\+\+\+)[ \t]*\r?\n(?=[\w-]+[ \t]*[:=])(?s:.{0,16384}?)\n(?P=fence)[ \t]*(?:\r?\n|\Z)"
)
_NEXT_BLOCK: Final = re.compile(r"(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)")
_ADDRESS_END: Final = re.compile(r"[\s)]")
_HIDDEN_HTML: Final = re.compile(r"\s*(<!--|<script|<style)", re.IGNORECASE)
"""HTML that is not shown and goes on over empty lines."""
_HTML_ENDS: Final = {"<!--": "-->", "<script": "</script>", "<style": "</style>"}
_HIDDEN_TAGS: Final = frozenset({"script", "style"})
_TAGS_IN_WORDS: Final = frozenset({"a", "b", "code", "em", "i", "kbd", "mark", "s", "small", "span", "strong", "u"})
"""What may begin or end within a word."""
_TASKS: Final = {"[ ] ": "☐ ", "[x] ": "✓ ", "[X] ": "✓ "}


class Piece(NamedTuple):
    """A block of text: a paragraph, a heading, an item of a list, a row of a table."""

    text: str
    joint: str = "."
    """What stands between it and the next one, if it has no punctuation of its own."""
    is_code: bool = False

    @property
    def leads_on(self) -> bool:
        """Whether it says little without the next one."""
        return self.joint == ":" or self.text.endswith((":", "：", ","))  # noqa: RUF001 (a full-width colon)


def read_pieces(text: str, parser: MarkdownIt, *, enough: int) -> Iterator[Piece]:
    """Read a text's blocks from its beginning until they have so many characters, code not counted.

    Args:
        text: Of any length; bounded work is done on it.
        parser: `MARKDOWN` or `PLAIN`.
        enough: Characters after which nothing further is looked at.
    """
    known = read = start = 0
    while (paragraph := _PROSE.match(text, start, WINDOW)) is not None:
        start = paragraph.end()
        if start == WINDOW < len(text):
            # It may go on.
            break
        if shown := clean(paragraph["text"]):
            yield Piece(shown)
            known += 1
            read += len(shown)
        if read > enough or start == len(text):
            return
    # The parser sees all of it, as what it sees at once depends on what is before.
    yield from islice(_parsed(text, parser, enough=enough), known, None)


def _parsed(text: str, parser: MarkdownIt, *, enough: int) -> Iterator[Piece]:
    """Do what `read_pieces` does, whatever the text holds."""
    # Of links, from one window to the next.
    definitions: dict[str, Any] = {}
    matter = _FRONT_MATTER.match(text)
    start = matter.end() if matter else 0
    read = 0
    for _ in range(WINDOWS):
        if blank := _BLANK_LINES.match(text, start):
            start = blank.end()
        window, end = _window(text, start)
        if not window:
            return
        tokens = parser.parse(window.replace("\0", ""), definitions)
        if end < len(text):
            tokens, end = _whole_blocks(tokens, text, start, end)
        for block in _blocks(tokens):
            pieces = _Reader(parser, definitions).read(block)
            yield from pieces
            read += sum(len(piece.text) for piece in pieces if not piece.is_code)
            if read > enough:
                return
        start = end


def _blocks(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Yield the tokens of each block that is in no other: of a list, all that is in it."""
    begins = 0
    for index, token in enumerate(tokens, 1):
        if token.level == 0 and token.nesting <= 0:
            yield tokens[begins:index]
            begins = index


def _window(text: str, start: int) -> tuple[str, int]:
    """Return what is parsed next, and where it ends: of an address that is longer, such as an image's data, nothing."""
    end = start + WINDOW
    window = text[start:end]
    before, opening, address = window.rpartition("](")
    if end >= len(text) or not opening or _ADDRESS_END.search(address):
        return window, start + len(window)
    found = _ADDRESS_END.search(text, end)
    return f"{before}]()", found.end() if found else len(text)


def _whole_blocks(tokens: list[Token], text: str, start: int, end: int) -> tuple[list[Token], int]:
    """Return the blocks of a window but for the last, which may be cut off, and where the last one begins.

    Of a block that fills its window the beginning is taken, and the rest skipped.
    """
    begins = [index for index, token in enumerate(tokens) if token.level == 0 and token.map and token.nesting >= 0]
    last = tokens[begins[-1]] if begins else None
    if last is None or last.map is None:
        return tokens, end
    if last.map[0] > 0:
        lines = _LINE_END.finditer(text, start, end)
        return tokens[: begins[-1]], [line.end() for _, line in zip(range(last.map[0]), lines, strict=False)][-1]
    closing = _NEXT_BLOCK
    if last.type == "fence":
        closing = re.compile(rf"[\r\n] {{0,3}}{re.escape(last.markup[0])}{{{len(last.markup)},}}[ \t]*(?=[\r\n]|\Z)")
        # It may be closed within the window already.
        end = start + 1
    elif last.type == "html_block" and (hidden := _HIDDEN_HTML.match(last.content)):
        tokens = []
        closing = re.compile(_HTML_ENDS[hidden[1].lower()], re.IGNORECASE)
    closed = closing.search(text, end)
    return tokens, closed.end() if closed else len(text)


class _Reader:
    """Reads the tokens of a block that is in no other.

    Args:
        parser: What parsed it, for the lines within.
        definitions: Of links.
    """

    def __init__(self, parser: MarkdownIt, definitions: dict[str, Any]) -> None:
        self._parser = parser
        self._definitions = definitions
        self._pieces: list[Piece] = []
        self._is_heading = False
        self._numbers: list[str] = []
        """For each list that this is within, the number of its item, until that is written."""
        self._cells: list[str] | None = None
        """Those of a row of a table, while this is within one."""
        self._table = 0

    def read(self, tokens: Sequence[Token]) -> Sequence[Piece]:
        """Return what has text of a block."""
        for token in tokens:
            self._read(token)
        return self._pieces

    def _read(self, token: Token) -> None:
        match token.type:
            case "inline" if self._cells is not None:
                self._cells.append(clean(_inline_text(self._parts(token))))
            case "inline":
                self._add_paragraph(self._parts(token))
            case "fence" | "code_block":
                self._add(token.content, is_code=True)
            case "html_block":
                self._add(_html_text(token.content))
            case "heading_open" | "heading_close":
                self._is_heading = token.nesting > 0
            case "list_item_open":
                self._numbers.append(f"{token.info}. " if token.info else "")
            case "list_item_close":
                self._numbers.pop()
            case "bullet_list_close" | "ordered_list_close" | "table_close":
                self._end_series()
            case _:
                self._read_table(token)

    def _parts(self, token: Token) -> Sequence[Token]:
        """Parse what is within a paragraph, a heading or a cell."""
        parts: list[Token] = []
        self._parser.inline.parse(token.content, self._parser, self._definitions, parts)
        return parts

    def _read_table(self, token: Token) -> None:
        match token.type:
            case "thead_open":
                self._table = len(self._pieces)
            case "tbody_open":
                # The head is shown of a table without rows only.
                del self._pieces[self._table :]
            case "tr_open":
                self._cells = []
            case "tr_close":
                self._add_row()

    def _add_paragraph(self, children: Sequence[Token]) -> None:
        text = _inline_text(children)
        joint = ":" if self._is_heading or _is_strong(children) else "."
        if self._numbers:
            joint = ";"
            for task, sign in _TASKS.items():
                if text.startswith(task):
                    text = sign + text.removeprefix(task)
            text, self._numbers[-1] = self._numbers[-1] + text, ""
        self._add(text, joint)

    def _add_row(self) -> None:
        first, *others = [cell for cell in self._cells or [] if cell] or [""]
        self._cells = None
        self._add(": ".join([first, ", ".join(others)]) if others else first, ";")

    def _end_series(self) -> None:
        if self._pieces and self._pieces[-1].joint == ";" and not self._numbers:
            self._pieces[-1] = self._pieces[-1]._replace(joint=".")

    def _add(self, text: str, joint: str = ".", *, is_code: bool = False) -> None:
        if text := clean(text):
            self._pieces.append(Piece(text, joint, is_code))


def _is_strong(children: Sequence[Token]) -> bool:
    """Whether a paragraph is one run of strong text: what is meant for a heading."""
    types = [child.type for child in children if child.type != "text" or child.content]
    return types[:1] == ["strong_open"] and types.index("strong_close") == len(types) - 1


def _inline_text(children: Sequence[Token]) -> str:
    parts: list[str] = []
    struck, hidden = 0, ""
    for child in children:
        struck += child.nesting if child.type in {"s_open", "s_close"} else 0
        if child.type == "html_inline":
            tag = child.content.lower()
            if hidden:
                hidden = "" if tag.startswith(hidden) else hidden
            elif tag.startswith(("<script", "<style")):
                hidden = "</script" if tag.startswith("<script") else "</style"
            elif tag.startswith("<br"):
                parts.append(" ")
        elif struck or hidden:
            continue
        elif child.type in {"softbreak", "hardbreak"}:
            parts.append(" ")
        elif child.type == "image":
            parts.append(_inline_text(child.children or []))
        else:
            parts.append(child.content)
    return "".join(parts)


class _HtmlText(HTMLParser):
    """Collects the text of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is not shown, and an image's alternative text."""
        self._hidden += tag in _HIDDEN_TAGS
        self._part(tag)
        if tag == "img":
            self.parts.append(f"{dict(attrs).get('alt') or ''} ")

    def handle_endtag(self, tag: str) -> None:
        """Note that what is not shown has ended."""
        self._hidden -= tag in _HIDDEN_TAGS and self._hidden > 0
        self._part(tag)

    def handle_data(self, data: str) -> None:
        """Take text."""
        if not self._hidden:
            self.parts.append(data)

    def _part(self, tag: str) -> None:
        if tag not in _TAGS_IN_WORDS:
            self.parts.append(" ")


def _html_text(html: str) -> str:
    # A comment or a tag that does not end would be taken for text.
    for begin, finish in (("<!--", "-->"), ("<", ">")):
        if html.rfind(begin) > html.rfind(finish):
            html = html[: html.rfind(begin)]
    reader = _HtmlText()
    reader.feed(html)
    reader.close()
    return "".join(reader.parts)
