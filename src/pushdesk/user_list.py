"""A list of users as it comes in: what of it cannot be used is named all at once, by where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.errors import PushdeskError
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

MOST_USERS: Final = 1_000_000
"""Users that a list may name, however often."""
_SHOWN: Final = 20


class BadUsers:
    """What of a list cannot be a user's id: the first of them, and how many there are."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[tuple[str, str]] = []

    def note(self, place: str, reason: str) -> None:
        """Take note of one.

        Args:
            place: Where it stands, such as `users[3]` or `line 4`.
            reason: What is wrong with it, a sentence. Without the id, which may be anything.
        """
        self.count += 1
        if self.count <= _SHOWN:
            self._first.append((place, reason))

    def summary(self) -> str:
        """Return where the first ones stand and what is wrong with them, and how many more there are."""
        named = " ".join(f"{place}: {reason}" for place, reason in self._first)
        return f"{named} And {self.count - len(self._first)} more." if self.count > len(self._first) else named

    def check(self, *, hint: str = "Correct them, or have them skipped.") -> None:
        """Refuse the list if there are any.

        Args:
            hint: What to do about it.

        Raises:
            PushdeskError: `bad_field`, with where the first 20 stand as its fields.
        """
        if self.count:
            raise PushdeskError(
                f"{self.count} of the list cannot be users' ids, and nothing was sent. {self.summary()}",
                code="bad_field",
                fields=tuple(place for place, _ in self._first),
                hint=hint,
            )


async def checked(users: AsyncIterable[str], *, skip_bad: bool) -> AsyncIterator[str]:
    """Yield the users of a list that can be users' ids; those that are named twice, twice.

    Args:
        users: The list.
        skip_bad: Leave out what cannot be one.

    Raises:
        PushdeskError: `bad_field`, at the end, for those that cannot be, or if nobody is left; `too_large` for more
            than `MOST_USERS`.
    """
    bad, index, yielded = BadUsers(), 0, 0
    async for user in users:
        if index == MOST_USERS:
            raise too_many_users()
        try:
            check_user(user)
        except PushdeskError as error:
            bad.note(f"users[{index}]", error.detail)
        else:
            yielded += 1
            yield user
        index += 1
    if not skip_bad:
        bad.check()
    if not yielded:
        raise PushdeskError("The list names nobody.", code="bad_field", fields=("users",))


def too_many_users() -> PushdeskError:
    """Return the error for a list that is too long."""
    return PushdeskError(
        f"The list names more than {MOST_USERS:,} users.".replace(",", " "),
        code="too_large",
        hint="Send it in parts, or to all users.",
    )
