"""The one error tree: what went wrong, in a code, a sentence and an advice.

One table maps a code to its HTTP status and to the exit code of a command, so that the API, the console and the
command line never disagree about what an error is.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class ErrorKind(NamedTuple):
    """What a code means to each of the three audiences."""

    status: int
    """HTTP status of the problem document (RFC 9457)."""
    exit_code: int
    """Exit code of a command that ends with this error."""
    title: str
    """The problem's title: the same words for every occurrence of the code."""


NO_ROUTE: Final = "There is nothing at this address."
"""The detail of `not_found` for a route that a server does not have. Never to be changed: by it a newer console tells
that the server is too old for what it asks."""

EXIT_DONE: Final = 0
EXIT_NO: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_REFUSED: Final = 4
EXIT_INTERRUPTED: Final = 130

ERROR_KINDS: Final[dict[str, ErrorKind]] = {
    "bad_json": ErrorKind(400, EXIT_USAGE, "The body is not the JSON that was expected"),
    "bad_field": ErrorKind(400, EXIT_USAGE, "A field has a value that cannot be used"),
    "unknown_field": ErrorKind(400, EXIT_USAGE, "A field is not known here"),
    "bad_keys": ErrorKind(400, EXIT_USAGE, "The subscription's keys cannot be used"),
    "endpoint_refused": ErrorKind(400, EXIT_USAGE, "The endpoint is not one this server sends to"),
    "unauthorized": ErrorKind(401, EXIT_REFUSED, "A valid token is needed"),
    "forbidden": ErrorKind(403, EXIT_REFUSED, "This is not allowed"),
    "not_found": ErrorKind(404, EXIT_NO, "There is nothing here"),
    "subscription_not_found": ErrorKind(404, EXIT_NO, "There is no such subscription"),
    "method_not_allowed": ErrorKind(405, EXIT_USAGE, "This can be asked for in another way only"),
    "request_timeout": ErrorKind(408, EXIT_NO, "The request took too long to arrive"),
    "endpoint_taken": ErrorKind(409, EXIT_NO, "The endpoint is known with other keys"),
    "confirm_required": ErrorKind(409, EXIT_USAGE, "This needs to be confirmed"),
    "already_ended": ErrorKind(409, EXIT_NO, "Nothing is left to be cancelled"),
    "idempotency_conflict": ErrorKind(409, EXIT_USAGE, "The idempotency key was used with another body"),
    "too_large": ErrorKind(413, EXIT_USAGE, "The request is too large"),
    "payload_too_large": ErrorKind(413, EXIT_USAGE, "The message is too large to be pushed"),
    "subscription_gone": ErrorKind(422, EXIT_NO, "Nothing is sent to this subscription"),
    "key_mismatch": ErrorKind(422, EXIT_NO, "The subscription was made with another key"),
    "rate_limited": ErrorKind(429, EXIT_NO, "Too many requests"),
    "database_error": ErrorKind(500, EXIT_NO, "The database did not answer as it should"),
    "internal": ErrorKind(500, EXIT_NO, "Something went wrong inside the server"),
    "push_disabled": ErrorKind(503, EXIT_NO, "Push is switched off"),
    "queue_full": ErrorKind(503, EXIT_NO, "The queue is full"),
    "too_many_connections": ErrorKind(503, EXIT_NO, "Too many connections are open"),
    "disk_full": ErrorKind(507, EXIT_NO, "The disk is full"),
    # These two never travel over HTTP: a command or a console meets them before there is a server to ask.
    "start_up": ErrorKind(500, EXIT_USAGE, "pushdesk could not start"),
    "unreachable": ErrorKind(503, EXIT_UNREACHABLE, "The server cannot be reached"),
}


class PushdeskError(Exception):
    """An error meant for a person.

    Attributes:
        code: A key of `ERROR_KINDS`.
        detail: What happened, to what. Never holds an endpoint, a key or a token.
        hint: What to do next, or an empty string.
        fields: Every offending field of the request, in the order in which they were found.
        retry_after_s: In how many seconds it may be tried again, if that is known.
    """

    code: str = "internal"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        hint: str = "",
        fields: tuple[str, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        if code is not None:
            self.code = code
        self.detail = detail
        self.hint = hint
        self.fields = fields
        self.retry_after_s = retry_after_s

    @property
    def kind(self) -> ErrorKind:
        """The row of `ERROR_KINDS` for this error's code."""
        return ERROR_KINDS[self.code]

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.kind.status

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ends with this error."""
        return self.kind.exit_code

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".rstrip()


class StartUpError(PushdeskError):
    """The program cannot start: configuration, data directory, address or database."""

    code = "start_up"


class UnreachableError(PushdeskError):
    """The server cannot be reached, or the connection to it was lost."""

    code = "unreachable"


class NoAnswerError(UnreachableError):
    """Something can be reached, and its answer is none: it does not come in time, or it cannot be understood."""


class DatabaseError(PushdeskError):
    """The database refused or failed; nothing of the request was done."""

    code = "database_error"


class DiskFullError(DatabaseError):
    """There is no room left for what was to be written; nothing of it was done."""

    code = "disk_full"


class EndpointRefusedError(PushdeskError):
    """An endpoint that this server does not send to."""

    code = "endpoint_refused"


class BadKeysError(PushdeskError):
    """A subscription's p256dh or auth cannot be used (RFC 8291 section 2)."""

    code = "bad_keys"


class PayloadTooLargeError(PushdeskError):
    """A message that no push service would take (RFC 8030 section 7.2)."""

    code = "payload_too_large"
