"""What is said of a line of the log: in a row, in full, and as the line of JSON that is in the file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from textual.content import Content

from pushdesk.console.figures import moment, plural
from pushdesk.console.status import BAD, BUSY, GOOD, QUIET, STRONG, Look
from pushdesk.console.text import plain, plain_lines
from pushdesk.model import LogEntry, LogLevel

if TYPE_CHECKING:
    from datetime import datetime

LEVELS: Final[dict[LogLevel, Look]] = {
    LogLevel.DEBUG: Look("·", "debug", QUIET),
    LogLevel.INFO: Look("-", "info", GOOD),
    LogLevel.WARNING: Look("!", "warning", BUSY),
    LogLevel.ERROR: Look("✗", "error", BAD),
    LogLevel.CRITICAL: Look("✗", "critical", f"bold {BAD}"),
}
WHO: Final = "user"
IDS: Final = ("device", "dispatch", "request")
"""What a line belongs to: long, and the same on many lines, so that it comes last."""
EVENT: Final = 21
"""Columns that the fields of short events begin after, one below the other."""
LONGEST: Final = 4000
"""Characters of a value that are shown in full."""


@dataclass(frozen=True)
class NotTold:
    """Lines that were written too fast to be told."""

    first: int
    number: int
    time: datetime

    @property
    def says(self) -> str:
        """What is said in their place."""
        return f"… {plural(self.number, 'line was', 'lines were')} not told"


Line: TypeAlias = LogEntry | NotTold


def cells(line: Line, now: datetime) -> list[Content]:
    """Return the cells of a row: time, level, and what happened."""
    time = Content.styled(moment(line.time, now), QUIET)
    if isinstance(line, NotTold):
        return [time, Content(""), Content.assemble((line.says, BUSY), ("; R lists them", QUIET))]
    return [time, LEVELS[line.level].content(), what_happened(line)]


def what_happened(entry: LogEntry) -> Content:
    """Return an event and its fields: who, then what is particular to it, then the ids of what it belongs to."""
    known = entry.fields
    who = [Content.styled(plain(value_of(known[WHO])), STRONG)] if WHO in known else []
    names = [name for name in known if name not in (WHO, *IDS)]
    parts = [Content.assemble((f"{plain(name)}=", QUIET), plain(value_of(known[name]))) for name in names]
    ids = [Content.styled(f"{name}={plain(value_of(known[name]))}", QUIET) for name in IDS if name in known]
    event = Content.styled(plain(entry.event).ljust(EVENT), "bold")
    return Content("  ").join([event, *who, *parts, *ids])


def in_full(line: Line, now: datetime) -> Content:
    """Return a line with every field whole, one below the other."""
    if isinstance(line, NotTold):
        return Content.assemble(
            (f"{line.says}.\n\n", "bold"),
            "They were written faster than they could be told. R lists the latest lines again, these too if the server "
            "still holds them; all are in its log file.",
        )
    facts: list[tuple[str, Content | str]] = [
        ("time", f"{moment(line.time, now)}  {line.time:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"),
        ("level", LEVELS[line.level].content()),
        ("event", Content.styled(plain(line.event), "bold")),
        ("logger", plain(line.logger)),
        *((plain(name), plain_lines(value_of(value), longest=LONGEST)) for name, value in line.fields.items()),
    ]
    width = max(len(name) for name, _ in facts) + 2
    return Content("\n").join(Content.assemble((name.ljust(width), QUIET), value) for name, value in facts)


def json_line(entry: LogEntry) -> str:
    """Return an entry as the line that it is in the log file."""
    time = f"{entry.time:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    line = {"time": time, "level": entry.level, "logger": entry.logger, "event": entry.event} | entry.fields
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode(errors="replace").decode()


def value_of(value: object) -> str:
    """Return a field's value: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
