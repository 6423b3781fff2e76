"""Having a word typed before something is destroyed."""

from __future__ import annotations

import sys

from pushdesk.cli.output import tell
from pushdesk.errors import PushdeskError


def confirm(warning: str, word: str) -> None:
    """Ask whoever sits at the terminal to type a word.

    Args:
        warning: A sentence that says what will be lost.
        word: What is to be typed.

    Raises:
        PushdeskError: `confirm_required` if anything else is typed, or nobody sits there.
    """
    if not sys.stdin.isatty():
        raise PushdeskError(warning, code="confirm_required", hint="Confirm with --yes.")
    tell(warning)
    tell(f"type {word} to confirm:")
    if sys.stdin.readline().strip() != word:
        raise PushdeskError("That was something else: nothing was done.", code="confirm_required")
