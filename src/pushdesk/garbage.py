"""What stays for as long as the process does, and the garbage collector."""

from __future__ import annotations

import gc
from typing import Final

RARELY: Final = 50
"""How many collections of younger objects come before one of the oldest: with Python's own 10, a busy console looks
through all its widgets every four seconds, for garbage of a megabyte.
"""


def keep_what_is_there() -> None:
    """Have the garbage collector look no more through what there is by now, and rarely through what stays from then on.

    A process that is ready has some hundred thousand objects of modules, classes and widgets. To look through them
    takes 0.1 s, in which no request and no key is answered.
    """
    gc.collect()
    gc.freeze()
    youngest, young, _ = gc.get_threshold()
    gc.set_threshold(youngest, young, RARELY)
