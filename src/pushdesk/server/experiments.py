"""Experiments: routes that belong to one that is off are not there.

Nobody else asks whether an experiment is on: a group of routes is marked where it is listed, and a middleware hides it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp.typedefs import Handler

    from pushdesk.model import Experiment
    from pushdesk.server.routes import AnyRoute

SWITCHED_OFF: Final = web.AppKey("switched_off", tuple[web.AbstractResource, ...])
"""The paths that are not there."""


def group(experiment: Experiment, *routes: AnyRoute) -> tuple[AnyRoute, ...]:
    """Return routes as those of an experiment; all methods of a path belong to the same."""
    return tuple(dataclasses.replace(route, experiment=experiment) for route in routes)


def switched_on(routes: Iterable[AnyRoute], is_on: Callable[[Experiment], bool]) -> tuple[AnyRoute, ...]:
    """Return the routes that are there."""
    return tuple(route for route in routes if route.experiment is None or is_on(route.experiment))


def switch_off(app: web.Application, routes: Iterable[AnyRoute]) -> None:
    """Have `hide_switched_off` hide routes that were registered."""
    paths = {route.path for route in routes}
    app[SWITCHED_OFF] = tuple(resource for resource in app.router.resources() if resource.canonical in paths)


@web.middleware
async def hide_switched_off(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer for a path that is switched off as for one that never was, whatever the method and whoever asks."""
    for resource in request.app[SWITCHED_OFF]:
        # A path that is there for other methods than this one has them to tell, and no match.
        match, methods = await resource.resolve(request)
        if match is not None or methods:
            raise web.HTTPNotFound
    return await handler(request)
