"""Reading a request's body: bounded in size and time, JSON (RFC 8259), one object."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from aiohttp import web
from msgspec import Struct

from pushdesk.errors import PushdeskError
from pushdesk.server.fields import fit

if TYPE_CHECKING:
    from aiohttp import StreamReader

S = TypeVar("S", bound=Struct)

MAX_BODY: Final = 64 * 1024
"""Bytes that a body may have, unless its route takes more."""
MAX_DEPTH: Final = 32
"""How deeply objects and arrays may be nested."""
BODY_TIMEOUT_S: Final = web.AppKey("body_timeout_s", float)
"""Seconds in which a body must have arrived: aiohttp itself waits for a dripping one for ever."""


async def read(request: web.Request, shape: type[S], max_body: int = MAX_BODY) -> S:
    """Return the body as a `shape`.

    Args:
        request: Whose body has not been read.
        shape: The Struct to make.
        max_body: Bytes that it may have.

    Raises:
        PushdeskError: `bad_json`, `too_large`, `bad_field` or `unknown_field`.
    """
    body = await _receive(request, max_body)
    if len(body) > MAX_BODY:
        # What is made of a large one is made beside the event loop.
        return await asyncio.to_thread(lambda: fit(parse(body), shape))
    return fit(parse(body), shape)


async def _receive(request: web.Request, max_body: int) -> bytes:
    if not is_json(request):
        _refuse("The body must be sent as Content-Type: application/json.")
    check_encoding(request)
    if (request.content_length or 0) > max_body:
        raise too_large(max_body)
    try:
        if request.content.is_eof():
            # Most bodies are there with their header: nothing is waited for.
            body = request.content.read_nowait()
            if len(body) > max_body:
                raise too_large(max_body)
            return body
        async with asyncio.timeout(request.app[BODY_TIMEOUT_S]):
            return await _up_to(max_body, request.content)
    except TimeoutError:
        _refuse(f"The body did not arrive within {request.app[BODY_TIMEOUT_S]:g} seconds.")
    except web.RequestPayloadError:
        _refuse("The body ended before it was complete.")


async def _up_to(max_body: int, content: StreamReader) -> bytes:
    """Read a body; aiohttp's own limit is one for all routes, and looks at a body only once all of it is there."""
    body = bytearray()
    while chunk := await content.readany():
        body += chunk
        if len(body) > max_body:
            raise too_large(max_body)
    return bytes(body)


def is_json(request: web.Request) -> bool:
    """Whether the request says that its body is JSON."""
    return request.content_type == "application/json" and (request.charset or "utf-8").lower() in {"utf-8", "utf8"}


def check_encoding(request: web.Request) -> None:
    """Refuse a body that is compressed: a small one can be a large one.

    Raises:
        PushdeskError: `bad_json`.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        _refuse("The body must be sent without Content-Encoding.")


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        PushdeskError: `bad_json` if it is anything else; with `fields` if there are names twice in one object.
    """
    twice: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            twice.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return members

    try:
        document = json.loads(
            body.decode("utf-8"), object_pairs_hook=collect, parse_constant=_refuse_constant, parse_float=_finite
        )
    except UnicodeDecodeError:
        _refuse("The body is not UTF-8.")
    except json.JSONDecodeError as error:
        _refuse(f"The body is not JSON: {error.msg}, at line {error.lineno}, column {error.colno}.")
    except (RecursionError, ValueError):
        # Nested beyond what the parser takes, or a number of thousands of digits.
        _refuse("The body is nested too deeply or has a number out of range.")
    if not isinstance(document, dict):
        _refuse("The body is JSON, but not an object.")
    if twice:
        names = tuple(name.encode(errors="backslashreplace").decode() for name in dict.fromkeys(twice))
        raise PushdeskError(f"The body has names twice: {', '.join(names)}.", code="bad_json", fields=names)
    if _is_deeper(document, MAX_DEPTH):
        _refuse(f"The body is nested more than {MAX_DEPTH} levels deep.")
    return document


_CONTAINERS: Final = (dict, list)


def _is_deeper(document: object, limit: int) -> bool:
    level: list[object] = [document]
    for _ in range(limit + 1):
        containers = [part for part in level if isinstance(part, _CONTAINERS)]
        if not containers:
            return False
        level = [item for part in containers for item in (part.values() if isinstance(part, dict) else part)]
    return True


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError
    return number


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError


def _refuse(detail: str) -> NoReturn:
    raise PushdeskError(detail, code="bad_json")


def too_large(max_body: int) -> PushdeskError:
    """Return the error for a body that has more bytes than it may."""
    return PushdeskError(f"The request's body has more than {max_body} bytes.", code="too_large")
