"""Whatever fits the description of the API, and what hardly does, gets an answer that is no 5xx: with every scope."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from pushdesk.model import Scope
from tests.server.running import ADMIN_TOKEN, running

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from schemathesis import APIOperation, Case

    from tests.logs import Log
    from tests.server.running import Running

EXAMPLES: Final = 5
"""Requests to each route that fit the description, and as many that do not; each is made with every token."""


async def make_tokens(server: Running) -> dict[str, str]:
    """Return a token of every kind; an empty one for nobody."""
    subscribed = await server.subscribe("anna", "phone")
    made = {str(scope): (await server.engine.create_token(scope, [scope])).token for scope in Scope}
    return {"nobody": "", "device": subscribed.json["token"], **made, "the admin token": ADMIN_TOKEN}


class Asker:
    """Asks a server whatever its description lets one think of.

    Attributes:
        statuses: What was answered, by route and token.
    """

    def __init__(self, url: str, tokens: Mapping[str, str]) -> None:
        self.statuses: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        self._url = url
        self._tokens = tokens

    def ask_everything(self, description: dict[str, Any]) -> None:
        """Ask for every route of a description."""
        with requests.Session() as session:
            for found in schemathesis.openapi.from_dict(description).get_all_operations():
                assert isinstance(found, Ok), found
                operation = found.ok()
                self._ask(operation, GenerationMode.POSITIVE, session)
                with suppress(Unsatisfiable):
                    # There is nothing to be done wrong where there is nothing to say.
                    self._ask(operation, GenerationMode.NEGATIVE, session)

    def let_in(self, name: str) -> set[str]:
        """Return the routes that gave a good answer to a token."""
        return {label for label, by_name in self.statuses.items() if min(by_name[name]) < 300}

    def _ask(
        self, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, session: requests.Session
    ) -> None:
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case[Any]) -> None:
            for name, token in self._tokens.items():
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                response = case.call(base_url=self._url, session=session, headers=headers)
                assert response.status_code < 500, (operation.label, name, response.content)
                self.statuses[operation.label][name].add(response.status_code)

        ask()


async def test_nothing_that_is_asked_is_the_servers_fault(tmp_path: Path, log: Log) -> None:
    # Time flies, so that nothing is refused for coming too often.
    async with running(tmp_path, monotonic=itertools.count(0.0, 10.0).__next__) as server:
        asker = Asker(server.url, await make_tokens(server))
        description = (await server.ask("GET", "/api/openapi.json")).json
        await asyncio.to_thread(asker.ask_everything, description)
    assert not log.of("request_failed", "connection_failed")
    routes = {f"{method.upper()} {path}" for path, methods in description["paths"].items() for method in methods}
    assert set(asker.statuses) == routes
    # What was asked did get through to where the work is done.
    assert {"POST /api/v1/turns", "POST /api/v1/users/{user}/notifications"} <= asker.let_in(Scope.NOTIFY)
    assert {"GET /api/v1/admin/stats", "GET /api/v1/admin/users"} <= asker.let_in(Scope.READ)
    assert len(asker.let_in("the admin token")) > len(routes) / 2
    assert not any(429 in statuses for by_name in asker.statuses.values() for statuses in by_name.values())
