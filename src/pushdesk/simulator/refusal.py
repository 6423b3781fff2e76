"""What a push service says when it does not take a push."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from http import HTTPStatus


class Refusal(Exception):  # noqa: N818  (it is an answer, not a fault of the program)
    """An answer other than 201.

    `errno` is Mozilla's: https://autopush.readthedocs.io/en/latest/http.html#error-codes. The message goes to the
    application server, so it never holds what was sent.
    """

    def __init__(self, status: HTTPStatus, errno: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.errno = errno
        self.message = message

    def document(self) -> dict[str, object]:
        """Return the body of the answer, in the shape of autopush (`autoendpoint/src/error.rs`)."""
        return {
            "code": int(self.status),
            "errno": self.errno,
            "error": self.status.phrase,
            "message": self.message,
        }
