"""Having a word typed before something is destroyed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TypeVar

from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import tell
from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.cli.options import Reach
    from pushdesk.desk import Desk

T = TypeVar("T")

_CODE: Final = "confirm_required"
_SCRIPTS: Final = "Confirm with --yes."


def confirm(warning: str, word: str) -> None:
    """Ask whoever sits at the terminal to type a word.

    Args:
        warning: A sentence that says what will be lost.
        word: What is to be typed.

    Raises:
        PushdeskError: `confirm_required` if anything else is typed, or nobody sits there.
    """
    if not sys.stdin.isatty():
        raise not_confirmed(warning)
    tell(warning)
    tell(f"type {word} to confirm:")
    if sys.stdin.readline().strip() != word:
        raise PushdeskError("That was something else: nothing was done.", code=_CODE)


def not_confirmed(warning: str) -> PushdeskError:
    """Return the error for what nobody can be asked about."""
    return PushdeskError(warning, code=_CODE, hint=_SCRIPTS)


def do_confirmed(
    act: Callable[[Desk, str], Awaitable[T]],
    word: str,
    *,
    yes: bool,
    reach: Reach,
    can_ask: bool = True,
) -> T:
    """Do on the desk what may need a word, and return what came of it; the server says what it would cost.

    Args:
        act: Does it with the word, or without to learn whether one is needed.
        word: The one that is needed.
        yes: Whether it is confirmed already.
        reach: Which server to talk to.
        can_ask: Whether standard input is free to be asked on.

    Raises:
        PushdeskError: See `run_on_desk` and `confirm`.
    """
    try:
        return _do(act, word if yes else "", reach)
    except PushdeskError as error:
        if error.code != _CODE or yes:
            raise
        warning = error.detail
    if not can_ask:
        raise not_confirmed(warning)
    # Between two visits to the desk: whoever thinks it over holds no data directory meanwhile.
    confirm(warning, word)
    return _do(act, word, reach)


def _do(act: Callable[[Desk, str], Awaitable[T]], word: str, reach: Reach) -> T:
    done: list[T] = []

    async def work(desk: Desk) -> None:
        done.append(await act(desk, word))

    run_on_desk(work, reach)
    return done[0]
