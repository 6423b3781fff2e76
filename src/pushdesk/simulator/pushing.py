"""`POST /push/{id}`: a push is checked, taken and answered, or met by a fault."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from pushdesk.simulator import misbehaviour, service_answers
from pushdesk.simulator.authorization import check_authorization
from pushdesk.simulator.faults import AT_CONNECTING, AT_PUSHING, FaultKind
from pushdesk.simulator.personality import LARGEST_BODY, personality_of_host
from pushdesk.simulator.refusal import Problem, Refusal
from pushdesk.simulator.registry import PushState
from pushdesk.simulator.request import check_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.simulator.answers import PreparedAnswers
    from pushdesk.simulator.faults import Fault, Faults
    from pushdesk.simulator.personality import Personality
    from pushdesk.simulator.registry import Push, Registry
    from pushdesk.simulator.service_answers import Answer

_BODY_WITHIN_S: Final = 10.0
_WAITS: Final = ("Retry-After", "X-WNS-Continue-After")
_NO_STATUS: Final = frozenset({FaultKind.SLOW_HEAD, FaultKind.ENDLESS_103})
"""Faults whose answer never comes to the end of its head, so that nobody can take the push for accepted."""


class Pushing:
    """Takes pushes.

    Args:
        registry: What the push service remembers.
        answers: What was prepared for the next pushes.
        faults: What goes wrong.
        otherwise: Whose an endpoint is that never was, if its host does not say.
        origin_of: Returns the origin of a service's endpoints.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        answers: PreparedAnswers,
        faults: Faults,
        otherwise: Personality,
        origin_of: Callable[[Personality], str],
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._answers = answers
        self._faults = faults
        self._otherwise = otherwise
        self._origin_of = origin_of
        self._clock = clock

    async def push(self, request: web.Request) -> web.StreamResponse:
        """Answer a push, or don't."""
        response = await self._push(request)
        if not response.prepared and self._faults.has(AT_CONNECTING):
            # The next push is to meet the handshake again.
            response.force_close()
        return response

    async def _push(self, request: web.Request) -> web.StreamResponse:
        subscription = request.match_info["id"]
        service = (
            self._registry.personality_of(subscription)
            or personality_of_host(request.host.partition(":")[0])
            or self._otherwise
        )
        prepared = self._answers.take(subscription)
        fault = None if prepared is not None else self._fault(subscription, service)
        push = self._registry.note(subscription)
        if fault is not None:
            push.reason = f"fault: {fault.text}"
            if fault.kind is FaultKind.RESET:
                misbehaviour.reset(request.transport)
                return web.Response()
        body = await _read(request)
        push.size = len(body)
        if prepared is not None:
            self._registry.answered(push, prepared.status, PushState.ANSWERED)
            return web.Response(status=prepared.status, headers=prepared.headers, body=prepared.body.encode())
        if fault is None:
            answer = await self._deliver(request, push, service, body)
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        return await self._meet(request, push, service, body, fault)

    def _fault(self, subscription: str, service: Personality) -> Fault | None:
        channel = self._registry.channel(subscription)
        number = channel.browser.number if channel is not None else None
        return self._faults.take(AT_PUSHING, service=service, browser=number, subscription=subscription)

    async def _meet(
        self, request: web.Request, push: Push, service: Personality, body: bytes, fault: Fault
    ) -> web.StreamResponse:
        """Do what a fault demands; what it leaves as it is goes on as without it."""
        match fault.kind:
            case FaultKind.SILENCE:
                await misbehaviour.never_answer()
            case FaultKind.DELAY:
                await asyncio.sleep(fault.seconds)
            case FaultKind.STATUS:
                answer = self._said(service, push, fault)
                self._registry.answered(push, answer.status, PushState.ANSWERED)
                return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        if fault.kind in _NO_STATUS or fault.status >= HTTPStatus.MULTIPLE_CHOICES:
            answer = service_answers.of_status(service, fault.status, push_id=push.id)
            if fault.kind not in _NO_STATUS:
                self._registry.answered(push, answer.status, PushState.ANSWERED)
        else:
            answer = await self._deliver(request, push, service, body, fault)
        return await misbehaviour.give_badly(request, fault, answer)

    def _said(self, service: Personality, push: Push, fault: Fault) -> Answer:
        answer = service_answers.of_status(service, fault.status, push_id=push.id)
        headers = dict(answer.headers)
        if fault.retry_after is not None:
            for name in _WAITS:
                headers.pop(name, None)
            if fault.retry_after != "none":
                headers["Retry-After"] = fault.retry_after_header(self._clock())
        if fault.location is not None:
            headers["Location"] = fault.location
        return replace(answer, headers=headers)

    async def _deliver(
        self, request: web.Request, push: Push, service: Personality, body: bytes, fault: Fault | None = None
    ) -> Answer:
        """Check a push, pass it on if it is good, and return the answer."""
        try:
            answer = await self._accepted(request, push, service, body, fault)
        except Refusal as refusal:
            answer = service_answers.refused(service, refusal, push_id=push.id)
            push.errno = answer.errno
            push.reason = f"{push.reason}; {refusal.message}" if push.reason else refusal.message
            self._registry.answered(push, answer.status, PushState.REFUSED)
        return answer

    async def _accepted(
        self, request: web.Request, push: Push, service: Personality, body: bytes, fault: Fault | None
    ) -> Answer:
        kind = fault.kind if fault is not None else None
        channel = self._registry.find(push.subscription)
        if kind is FaultKind.KEY_MISMATCH:
            raise Refusal(Problem.KEY_MISMATCH, "VAPID public key mismatch")
        origin = self._origin_of(service)
        check_authorization(
            request.headers.get("Authorization"),
            origin=origin,
            registered_key=channel.key,
            now=self._clock(),
            rules=service.rules,
        )
        headers = check_request(request.headers, len(body), service.rules)
        if fault is not None and kind is FaultKind.TTL:
            headers = replace(headers, ttl=min(headers.ttl, int(fault.seconds)))
        answer = service_answers.accepted(
            service,
            origin=origin,
            push_id=push.id,
            ttl=headers.ttl,
            tells_ttl=service.rules.tells_ttl or kind is FaultKind.TTL,
        )
        self._registry.accept(
            push, channel, headers, body, status=None if kind is FaultKind.RESET_AFTER else answer.status
        )
        connection = channel.browser.connection
        if connection is not None:
            await connection.notify(channel, push)
        return answer


async def _read(request: web.Request) -> bytes:
    """Return the body, or its first `LARGEST_BODY` + 1 bytes."""
    body = b""
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            while len(body) <= LARGEST_BODY:
                chunk = await request.content.read(LARGEST_BODY + 1 - len(body))
                if not chunk:
                    break
                body += chunk
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="The body took too long\n") from None
    except web.RequestPayloadError:
        raise web.HTTPBadRequest(text="The body cannot be read\n") from None
    return body
