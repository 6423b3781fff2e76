"""What a process has when it is ready is not looked through for garbage; what it makes from then on is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.programs import bare_environment, run

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import gc, weakref
from pushdesk.garbage import RARELY, keep_what_is_there

class Circle:
    def __init__(self):
        self.itself = self

before, kept = weakref.ref(Circle()), Circle()
keep_what_is_there()
print(before() is None, gc.is_tracked(kept), any(each is kept for each in gc.get_objects()))
after = weakref.ref(Circle())
gc.collect()
print(after() is None, gc.get_threshold()[2] == RARELY)
"""


async def test_what_there_is_is_kept_and_what_comes_is_collected(tmp_path: Path) -> None:
    finished = await run(sys.executable, "-c", PROGRAM, env=bare_environment(tmp_path))
    assert finished.out.split() == ["True", "True", "False", "True", "True"]
