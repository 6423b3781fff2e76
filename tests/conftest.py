"""What holds for every test."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.logs import Log, logging_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Whoever starts the tests in the background may have made them ignore these, and programs keep ignoring what they were
# started with. Tests are about what signals do: they must not pass that on.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """Everything that is logged while the test runs, down to debug."""
    with logging_to(tmp_path / "test.log") as log:
        yield log
