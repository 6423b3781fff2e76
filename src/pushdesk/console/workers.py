"""Workers: what a screen waits for in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from textual.dom import DOMNode
    from textual.worker import WorkType


def begin(node: DOMNode, work: Callable[[], Coroutine[Any, Any, None]], *, group: str, exclusive: bool = False) -> None:
    """Run something in the background that tells of its errors itself.

    The worker makes the coroutine: one that never begins, because the console ends before, leaves none behind.

    Args:
        node: The app or the screen, with which it ends.
        work: What to run.
        group: What it belongs to.
        exclusive: Whether it takes the place of what runs in its group.
    """
    wanted: WorkType[None] = work
    node.run_worker(wanted, group=group, exclusive=exclusive, exit_on_error=False)
