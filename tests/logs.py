"""The log of what a test runs in its own process: as it comes to its file, and as it is held in memory."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pushdesk.log import start_log
from pushdesk.log_ring import LogRing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Log:
    """What was logged."""

    file: Path
    ring: LogRing = field(default_factory=LogRing)

    @property
    def text(self) -> str:
        return self.file.read_text(encoding="utf-8")

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, *events: str) -> list[dict[str, Any]]:
        """Return the lines of these events."""
        return [line for line in self.lines if line["event"] in events]


@contextmanager
def logging_to(file: Path, *, level: str = "debug") -> Iterator[Log]:
    """Log to a file and a ring, and leave everything as it was at the end."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    # Those of pytest, which `start_log` would close.
    root.handlers.clear()
    log = Log(file)
    try:
        start_log(file, level=level, on_terminal=False, ring=log.ring)
        # What goes wrong in a handler is to be seen here.
        logging.raiseExceptions = True
        yield log
    finally:
        logging.captureWarnings(capture=False)
        for handler in root.handlers:
            # As `logging` does at the end of a program.
            with suppress(OSError):
                handler.close()
        root.handlers[:], logging.raiseExceptions = before[0], before[2]
        root.setLevel(before[1])
