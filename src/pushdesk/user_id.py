"""What a user's id can be: one rule for the path of a request, its body, the command line and the engine."""

from __future__ import annotations

import unicodedata

from pushdesk.errors import PushdeskError


def check_user(user: str) -> str:
    """Return a user's id if it can be one.

    Raises:
        PushdeskError: `bad_field`, with the field `user`.
    """
    if not 1 <= len(user) <= 128:
        reason = "has 1 to 128 characters"
    elif not user.isprintable() and any(unicodedata.category(character) in {"Cc", "Cs"} for character in user):
        reason = "has no control characters"
    elif "/" in user:
        reason = "has no slash"
    elif user == "me":
        reason = "cannot be “me”, which is reserved"
    elif not unicodedata.is_normalized("NFC", user):
        reason = "is in Unicode's normal form C"
    else:
        return user
    raise PushdeskError(f"A user's id {reason}.", code="bad_field", fields=("user",))
