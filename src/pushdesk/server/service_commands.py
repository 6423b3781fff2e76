"""What operators do to push services: `Desk` over HTTP, as in `admin.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from pushdesk.model import DecidedBrake, Service, ServiceHealth
from pushdesk.server.auth import Access
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from pushdesk.desk import Desk


class ServiceRequest(Struct, frozen=True):
    """Which push service."""

    service: Service


class ChangedService(Struct, frozen=True):
    """How it is now."""

    service: ServiceHealth


class BrakeRequest(Struct, frozen=True):
    """Of which push service; the word is `confirm` or `release`, as the command is."""

    service: Service
    confirm: Annotated[str, Meta(max_length=64)] = ""


async def confirm(call: Call[NoQuery, BrakeRequest]) -> web.Response:
    """Disable what is held of a push service."""
    return answer(await call.engine.confirm_brake(call.body.service, confirm=call.body.confirm))


async def release(call: Call[NoQuery, BrakeRequest]) -> web.Response:
    """Make what is held of a push service active again."""
    return answer(await call.engine.release_brake(call.body.service, confirm=call.body.confirm))


def _command(
    name: str, summary: str, change: Callable[[Desk, Service], Awaitable[ServiceHealth]]
) -> Route[NoQuery, ServiceRequest]:
    async def handler(call: Call[NoQuery, ServiceRequest]) -> web.Response:
        return answer(ChangedService(await change(call.engine, call.body.service)))

    return Route(
        method="POST",
        path=f"/api/v1/admin/services/{name}",
        summary=summary,
        access=Access.ADMIN,
        query=NoQuery,
        body=ServiceRequest,
        handler=handler,
        answers={200: ChangedService},
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    _command("pause", "Send nothing to a push service", lambda desk, service: desk.pause_service(service)),
    _command("resume", "Send to a paused push service again", lambda desk, service: desk.resume_service(service)),
    _command("reset", "Forget what was wrong with a push service", lambda desk, service: desk.reset_service(service)),
    Route(
        method="POST",
        path="/api/v1/admin/brake/confirm",
        summary="Disable the subscriptions that a push service's brake holds",
        access=Access.ADMIN,
        query=NoQuery,
        body=BrakeRequest,
        handler=confirm,
        answers={200: DecidedBrake},
    ),
    Route(
        method="POST",
        path="/api/v1/admin/brake/release",
        summary="Make the subscriptions that a push service's brake holds active again",
        access=Access.ADMIN,
        query=NoQuery,
        body=BrakeRequest,
        handler=release,
        answers={200: DecidedBrake},
    ),
)
