"""`/_control/`: what a test or an operator can see and do to the simulator. Documented in docs/simulator.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from pushdesk.errors import PushdeskError
from pushdesk.simulator import base64url
from pushdesk.simulator.answers import PreparedAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from pushdesk.simulator.registry import Push
    from pushdesk.simulator.service import Simulator

T = TypeVar("T", bound=Struct)

_LARGEST_BODY = 256 * 1024


class DisconnectCommand(Struct, forbid_unknown_fields=True):
    """Which browser to disconnect, all without `browser`, and whether it is to lose its id."""

    browser: str | None = None
    new_uaid: bool = False


class FaultsCommand(Struct, forbid_unknown_fields=True):
    """What is to go wrong from now on, as docs/simulator.md says how it is written."""

    faults: list[str]


def application(simulator: Simulator) -> web.Application:
    """Return the control API of a simulator, to be mounted at `/_control`."""
    control = _Control(simulator)
    app = web.Application(middlewares=[_problems, control.for_programs_only], client_max_size=_LARGEST_BODY)
    app.add_routes(
        [
            web.get("/", control.status),
            web.get("/browsers", control.browsers),
            web.get("/subscriptions", control.subscriptions),
            web.delete("/subscriptions/{id}", control.forget),
            web.get("/pushes", control.pushes),
            web.post("/disconnect", control.disconnect),
            web.get("/answers", control.answers),
            web.post("/answers", control.prepare),
            web.delete("/answers", control.clear),
            web.get("/faults", control.faults),
            web.put("/faults", control.set_faults),
            web.delete("/faults", control.clear_faults),
        ]
    )
    return app


class _Control:
    """The handlers."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._registry = simulator.registry

    @web.middleware
    async def for_programs_only(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Refuse what a web page could send: it names its origin, or came by a host name of its own (rebinding)."""
        port = self._simulator.origin.rpartition(":")[2]
        if "Origin" in request.headers or request.host not in {f"127.0.0.1:{port}", f"localhost:{port}"}:
            raise PushdeskError("The control API is for programs on this machine, not for web pages.", code="forbidden")
        return await handler(request)

    async def status(self, _request: web.Request) -> web.Response:
        browsers = self._registry.browsers.values()
        return _json(
            {
                "personalities": self._simulator.personalities,
                "origin": self._simulator.origin,
                "browsers": len(browsers),
                "connected": sum(browser.connection is not None for browser in browsers),
                "subscriptions": len(self._registry.channels),
            }
        )

    async def browsers(self, _request: web.Request) -> web.Response:
        return _items(
            {
                "uaid": browser.uaid,
                "number": browser.number,
                "service": browser.personality,
                "connected": browser.connection is not None,
                "waiting": len(browser.waiting),
                "subscriptions": [channel.id for channel in browser.channels.values()],
            }
            for browser in self._registry.browsers.values()
        )

    async def subscriptions(self, _request: web.Request) -> web.Response:
        return _items(
            {
                "id": channel.id,
                "browser": channel.browser.uaid,
                "channel": channel.channel_id,
                "key": base64url.encode(channel.key) if channel.key is not None else None,
            }
            for channel in self._registry.channels
        )

    async def forget(self, request: web.Request) -> web.Response:
        channel = next((one for one in self._registry.channels if one.id == request.match_info["id"]), None)
        if channel is None:
            raise PushdeskError("There is no such subscription.", code="subscription_not_found")
        self._registry.end(channel)
        return web.Response(status=204)

    async def pushes(self, _request: web.Request) -> web.Response:
        return _items(_listed(push) for push in self._registry.pushes)

    async def disconnect(self, request: web.Request) -> web.Response:
        command = await _read(request, DisconnectCommand)
        if command.browser is not None and command.browser not in self._registry.browsers:
            raise PushdeskError("There is no such browser.", code="not_found")
        closed = self._simulator.disconnect(command.browser, new_uaid=command.new_uaid)
        return _json({"closed": closed})

    async def answers(self, _request: web.Request) -> web.Response:
        return _items(self._simulator.answers.waiting())

    async def prepare(self, request: web.Request) -> web.Response:
        answer = await _read(request, PreparedAnswer)
        self._simulator.answers.add(answer)
        return _json(answer, status=201)

    async def clear(self, _request: web.Request) -> web.Response:
        self._simulator.answers.clear()
        return web.Response(status=204)

    async def faults(self, _request: web.Request) -> web.Response:
        return _items(
            {"fault": one.fault.text, "met": one.met, "left": one.left} for one in self._simulator.faults.active()
        )

    async def set_faults(self, request: web.Request) -> web.Response:
        command = await _read(request, FaultsCommand)
        try:
            self._simulator.set_faults(command.faults)
        except ValueError as error:
            raise PushdeskError(str(error), code="bad_field", fields=("faults",)) from None
        return await self.faults(request)

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._simulator.set_faults(())
        return web.Response(status=204)


def _listed(push: Push) -> dict[str, object]:
    asked = push.headers
    return {
        "id": push.id,
        "subscription": push.subscription,
        "at": push.at,
        "status": push.status,
        "errno": push.errno,
        "reason": push.reason,
        "state": push.state,
        "code": push.code,
        "size": push.size,
        "ttl": asked.ttl if asked else None,
        "topic": asked.topic if asked else None,
        "urgency": asked.urgency if asked else None,
    }


async def _read(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.ValidationError as error:
        raise PushdeskError(f"{error}.", code="bad_field") from error
    except msgspec.DecodeError as error:
        raise PushdeskError("The body is not JSON.", code="bad_json") from error


@web.middleware
async def _problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn errors into problem documents (RFC 9457), as the server's API does."""
    try:
        return await handler(request)
    except PushdeskError as error:
        problem = {
            "type": "about:blank",
            "title": error.kind.title,
            "status": error.status,
            "code": error.code,
            "detail": error.detail,
            "hint": error.hint,
            "fields": error.fields,
        }
        return _json(problem, status=error.status, content_type="application/problem+json")


def _items(items: Iterable[object]) -> web.Response:
    return _json({"items": list(items)})


def _json(value: object, *, status: int = 200, content_type: str = "application/json") -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type=content_type,
        headers={"Cache-Control": "no-store"},
    )
