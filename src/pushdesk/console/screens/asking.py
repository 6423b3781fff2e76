"""Asking before a command is given: whether to, or for a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushdesk.console.device_commands import CommandDone, Said, give, say
from pushdesk.console.screens.confirm import DO, ConfirmScreen
from pushdesk.console.screens.form import TypedScreen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from functools import partial

    from textual.content import Content

    from pushdesk.console.refusals import RefusingScreen
    from pushdesk.errors import PushdeskError


def ask(
    screen: RefusingScreen[Any],
    *,
    title: str,
    text: Content,
    do: str,
    command: partial[Coroutine[Any, Any, Said]],
    leave: str = "Cancel",
) -> None:
    """Ask whether to give a command, and give it.

    Args:
        screen: Where it comes from, and what is told once it was carried out.
        title: The question.
        text: What it means.
        do: What the button says that gives it.
        command: Gives it; a `PushdeskError` from it is shown.
        leave: What the other button says.
    """

    def answered(answer: str | None) -> None:
        if answer == DO:
            give(screen, command)

    screen.app.push_screen(ConfirmScreen(title=title, text=text, do=do, leave=leave), answered)


def ask_for_word(
    screen: RefusingScreen[Any],
    *,
    title: str,
    do: str,
    wanted: PushdeskError,
    command: Callable[[str], Awaitable[Said]],
    called: str = "the word",
) -> None:
    """Say what a command costs, have a word typed, and give it with that.

    Args:
        screen: Where it comes from, and what is told once it was carried out.
        title: The question.
        do: What the button says.
        wanted: What it costs, and as its hint the word; as a server would say it.
        command: Gives it with what was typed; raises `confirm_required` if that is not the word.
        called: What the word is called.
    """

    def answered(said: Said | None) -> None:
        if said is not None:
            say(screen.app, said)
            screen.post_message(CommandDone())

    screen.app.push_screen(TypedScreen(title, do, wanted, command, word=called), answered)
