"""Commands that cost somebody something: the server says what, and wants a word, which a person types."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TypeVar

from pushdesk.cli.one_shot import Reach, run_on_desk
from pushdesk.cli.output import tell
from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pushdesk.desk import Desk

T = TypeVar("T")

CODE: Final = "confirm_required"


def do_confirmed(
    act: Callable[[Desk, str], Awaitable[T]],
    word: str,
    *,
    yes: bool,
    reach: Reach,
    flags: Mapping[str, object],
    can_ask: bool = True,
) -> T:
    """Do something on the desk, and return what came of it; whoever sits at a terminal is asked, if need be.

    Args:
        act: Does it, with the word or, to learn whether one is needed, without.
        word: The one that is needed.
        yes: Whether it is confirmed already.
        reach: Which server to talk to.
        flags: As `pushdesk.config.load` takes them.
        can_ask: Whether standard input is free to be asked on.

    Raises:
        PushdeskError: See `run_on_desk`; `confirm_required` if nobody can be asked, or another word was typed.
    """
    try:
        return _do(act, word if yes else "", reach, flags)
    except PushdeskError as error:
        if error.code != CODE or yes:
            raise
        asked = error
    # Outside of the desk: whoever thinks it over holds no data directory meanwhile.
    if not (can_ask and sys.stdin.isatty() and sys.stderr.isatty()):
        raise PushdeskError(asked.detail, code=CODE, hint="Confirm with --yes, or on a terminal.")
    tell(asked.detail)
    sys.stderr.write(f'Type "{word}" to go on: ')
    sys.stderr.flush()
    typed = sys.stdin.readline().strip()
    if typed != word:
        raise PushdeskError("That is not the word: nothing was done.", code=CODE)
    return _do(act, typed, reach, flags)


def _do(act: Callable[[Desk, str], Awaitable[T]], confirm: str, reach: Reach, flags: Mapping[str, object]) -> T:
    done: list[T] = []

    async def work(desk: Desk) -> None:
        done.append(await act(desk, confirm))

    run_on_desk(work, reach, flags)
    return done[0]
