"""What a request says outside its body: the user in its path, its query, its idempotency key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from pushdesk.errors import PushdeskError
from pushdesk.server.fields import fit
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from aiohttp import web

S = TypeVar("S", bound=Struct)

IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


def user_in_path(request: web.Request) -> str:
    """Return the user that `/api/v1/users/{user}/...` names.

    Taken from the raw path, since what aiohttp decoded no longer tells `%FF` from `%25FF`.

    Raises:
        PushdeskError: `bad_field`, with the field `user`.
    """
    segment = request.rel_url.raw_path.split("/")[4]
    try:
        return check_user(unquote_to_bytes(segment).decode())
    except UnicodeDecodeError:
        raise _bad("user", "A user's id is percent-encoded UTF-8.") from None


def read_query(request: web.Request, shape: type[S]) -> S:
    """Return the query as a `shape`.

    Raises:
        PushdeskError: `unknown_field` or `bad_field`, with every offending parameter.
    """
    if not request.rel_url.raw_query_string:
        return fit({}, shape, strict=False)
    query = request.rel_url.query
    twice = tuple(name for name in dict.fromkeys(query) if len(query.getall(name)) > 1)
    if twice:
        raise PushdeskError(f"The query has {', '.join(twice)} more than once.", code="bad_field", fields=twice)
    return fit(dict(query), shape, strict=False)


def idempotency_key(request: web.Request) -> str | None:
    """Return the `Idempotency-Key`, if there is one.

    Raises:
        PushdeskError: `bad_field`, with the header's name.
    """
    values = request.headers.getall("Idempotency-Key", [])
    if not values:
        return None
    if len(values) > 1 or not IDEMPOTENCY_KEY.fullmatch(values[0]):
        raise _bad("Idempotency-Key", "An Idempotency-Key is sent once and has 1 to 255 visible ASCII characters.")
    return values[0]


def _bad(field: str, detail: str) -> PushdeskError:
    return PushdeskError(detail, code="bad_field", fields=(field,))
