"""The word that whoever commands something destructive must give."""

from __future__ import annotations

from pushdesk.errors import PushdeskError


def check_confirmed(confirm: str, word: str, detail: str) -> None:
    """Refuse what is not confirmed.

    Args:
        confirm: What was given.
        word: What is to be given.
        detail: A sentence that says what it would cost.

    Raises:
        PushdeskError: `confirm_required`, which names the word.
    """
    if confirm != word:
        raise PushdeskError(detail, code="confirm_required", hint=f'Confirm with the word "{word}".')
