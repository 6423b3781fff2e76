"""Following a broadcast until it has got to all its devices, or somebody asks for an end."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.cli.broadcast_words import progress_line
from pushdesk.cli.output import tell
from pushdesk.model import BroadcastState, PageQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from rich.progress import TaskID

    from pushdesk.desk import Desk
    from pushdesk.model import Broadcast, Dispatch

    Show: TypeAlias = Callable[[Broadcast], None]

ASK_AGAIN_S: Final = 0.5
ENDED: Final = frozenset({BroadcastState.DONE, BroadcastState.CANCELLED})


def has_got_through(broadcast: Broadcast) -> bool:
    """Whether a broadcast has got to all its devices, or never will; some may be tried again for hours."""
    return broadcast.state in ENDED or 0 < broadcast.planned <= broadcast.done


async def follow(desk: Desk, accepted: Dispatch, *, ending: asyncio.Event, show: Show) -> Broadcast | None:
    """Return a broadcast once it has got to all its devices, has ended or is to be left; a scheduled one at once.

    Args:
        desk: Whose broadcast it is.
        accepted: The dispatch that it became.
        ending: Set when it is to be left.
        show: Shown how far it is.

    Raises:
        PushdeskError: The desk does not tell, or no longer.
    """
    while True:
        found = await find(desk, accepted)
        if found is None or found.state is BroadcastState.SCHEDULED:
            return found
        show(found)
        if has_got_through(found):
            return found
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_AGAIN_S):
                await ending.wait()
        if ending.is_set():
            return found


async def find(desk: Desk, accepted: Dispatch) -> Broadcast | None:
    """Return the broadcast that a dispatch is; None if there is none, or no longer."""
    query = PageQuery(limit=20)
    while True:
        page = await desk.broadcasts(query)
        for one in page.items:
            if one.id == accepted.id:
                return one
        # The newest come first.
        if page.next is None or (page.items and page.items[-1].accepted_at < accepted.accepted_at):
            return None
        query = structs.replace(query, cursor=page.next)


@contextmanager
def progress() -> Iterator[Show]:
    """Give what shows how far a broadcast is: bars on a terminal, elsewhere a line for each tenth."""
    if sys.stderr is not None and sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        yield _Lines().show


class _Lines:
    """Tells of each tenth that is done, and of each change of the state."""

    def __init__(self) -> None:
        self._told: tuple[int, BroadcastState] | None = None

    def show(self, broadcast: Broadcast) -> None:
        place = (10 * broadcast.done // broadcast.planned if broadcast.planned else 0, broadcast.state)
        if place != self._told:
            self._told = place
            tell(progress_line(broadcast))


@contextmanager
def _bars() -> Iterator[Show]:
    """Show a bar for each push service."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bars:

        def show(broadcast: Broadcast) -> None:
            for place, part in enumerate(broadcast.parts):
                is_last = place == len(broadcast.parts) - 1
                note = progress_line(broadcast).partition(", ")[2] if is_last else ""
                if part.service not in tasks:
                    tasks[part.service] = bars.add_task(part.service, total=part.planned, note=note)
                bars.update(tasks[part.service], completed=part.done, total=part.planned, note=note)
            bars.refresh()

        yield show
