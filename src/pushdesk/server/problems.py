"""Problem documents (RFC 9457): how the server says what went wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from pushdesk.errors import NO_ROUTE, DatabaseError, PushdeskError
from pushdesk.log import write
from pushdesk.log_events import RequestFailed, RequestRefused, RequestTurnedAway
from pushdesk.log_fields import Failure, Reason, Word
from pushdesk.server.request_log import method_of, route_of

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

CONTENT_TYPE: Final = "application/problem+json"

_TOLD_TOGETHER: Final = {"rate_limited", "too_many_connections", "queue_full", "disk_full"}
_HTTP_ERRORS: Final = {
    HTTPStatus.NOT_FOUND: ("not_found", NO_ROUTE, "docs/api.md lists the routes."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("too_large", "The request's body is too large.", ""),
}


class Problem(Struct, frozen=True, kw_only=True):
    """A problem document; `fields` lists every offending field."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    fields: tuple[str, ...] = ()


def problem(error: PushdeskError) -> web.Response:
    """Return the answer that tells of an error."""
    document = Problem(
        title=error.kind.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        hint=error.hint,
        fields=error.fields,
    )
    response = web.Response(body=msgspec.json.encode(document), status=error.status, content_type=CONTENT_TYPE)
    if error.code == "unauthorized":
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if error.code in {"too_large", "too_many_connections"}:
        # What is left of the body is not worth waiting for; the connection is one too many.
        response.force_close()
    return response


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem document."""
    try:
        return await handler(request)
    except PushdeskError as error:
        _log_error(request, error)
        return problem(error)
    except web.HTTPMethodNotAllowed as error:
        refusal = _method_not_allowed(error)
        _log_error(request, refusal)
        answer = problem(refusal)
        answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        code, detail, hint = _HTTP_ERRORS.get(HTTPStatus(error.status), ("bad_field", error.reason, ""))
        refusal = PushdeskError(detail, code=code, hint=hint)
        _log_error(request, refusal)
        return problem(refusal)
    except Exception as error:
        if request.transport is None:
            # The client is gone: nobody is left to be told.
            raise
        _log_error(request, error)
        return problem(
            PushdeskError("The server met a mistake of its own.", code="internal", hint="The server's log says more.")
        )


def _method_not_allowed(error: web.HTTPMethodNotAllowed) -> PushdeskError:
    allowed = ", ".join(sorted(error.allowed_methods))
    return PushdeskError(f"This route does not take {error.method}.", code="method_not_allowed", hint=f"Use {allowed}.")


def _log_error(request: web.Request, error: Exception) -> None:
    status = error.status if isinstance(error, PushdeskError) else HTTPStatus.INTERNAL_SERVER_ERROR
    method, route = method_of(request), route_of(request)
    if isinstance(error, PushdeskError) and error.code in _TOLD_TOGETHER and not isinstance(error, DatabaseError):
        # Whoever refused it counts, and tells of many in one line.
        return
    if isinstance(error, PushdeskError) and error.code == "confirm_required":
        # A question, and the first step of every command that needs a word.
        return
    if isinstance(error, PushdeskError) and status == HTTPStatus.SERVICE_UNAVAILABLE:
        write(RequestTurnedAway(method=method, route=route, code=Word(error.code), reason=Reason(error.detail)))
    elif isinstance(error, PushdeskError) and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        write(RequestRefused(method=method, route=route, status=status, code=Word(error.code)))
    else:
        write(RequestFailed(failure=Failure.of(error), method=method, route=route))
