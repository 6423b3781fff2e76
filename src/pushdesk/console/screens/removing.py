"""Asking before a device or a user is removed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from textual.content import Content

from pushdesk.console.device_commands import Said, remove_device
from pushdesk.console.figures import plural
from pushdesk.console.happenings import device_of
from pushdesk.console.screens.asking import ask, ask_for_word
from pushdesk.console.screens.form import CONFIRM_REQUIRED
from pushdesk.console.text import plain
from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from pushdesk.console.refusals import RefusingScreen
    from pushdesk.model import Subscription

REMOVE = "remove"
"""What is to be typed for a name that cannot be typed."""


def ask_to_remove_device(screen: RefusingScreen[Any], subscription: Subscription) -> None:
    """Ask, and remove a subscription."""
    text = Content.assemble(
        (plain(subscription.user), "bold"),
        f" on {device_of(subscription)} will get nothing any more, until that browser subscribes again.",
    )
    command = partial(remove_device, screen.app.desk, subscription.id)
    ask(screen, title="Remove this subscription?", text=text, do="Remove", command=command)


def ask_to_remove_user(screen: RefusingScreen[Any], user: str, devices: int) -> None:
    """Have the user's name typed, and remove them with everything of theirs."""
    # The field takes one line, without spaces around it, of what a person can see.
    word = user if plain(user.strip()) == user else REMOVE
    wanted = PushdeskError(
        f"{user} and {plural(devices, 'device')} of theirs are removed, with every delivery that is kept. Tokens, "
        "invitations and what waits to be sent end at once. Their browsers can only be invited again.",
        code=CONFIRM_REQUIRED,
        hint="Type the user's name to confirm." if word == user else f'Confirm with the word "{word}".',
    )

    async def give(typed: str) -> Said:
        if typed != word:
            raise wanted
        await screen.app.desk.remove_user(user)
        return Said(said_of_removing(user))

    called = "the name" if word == user else "the word"
    ask_for_word(screen, title=f"Remove {plain(user)}?", do="Remove", wanted=wanted, command=give, called=called)


def said_of_removing(user: str) -> str:
    """Return what is said once a user was removed."""
    return f"Removed {plain(user)} with everything of theirs"
