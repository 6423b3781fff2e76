"""A console that is to change nothing, on a real server."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from pushdesk.client import HttpDesk
from pushdesk.desk import Hello
from pushdesk.errors import PushdeskError
from pushdesk.model import PageQuery, Scope
from pushdesk.server.auth import READ_ONLY
from tests.server.running import ADMIN_TOKEN
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from tests.server.running import Running


async def test_a_desk_that_only_reads_sees_all_and_may_read_whatever_its_token_allows(server: Running) -> None:
    await server.subscribe("anna", "a")
    async with HttpDesk(server.url, ADMIN_TOKEN, read_only=True) as desk, aclosing(desk.events()) as events:
        assert isinstance((await anext(events))[0], Hello)
        assert await desk.scopes() == {Scope.READ}
        assert [user.id for user in (await desk.users(PageQuery())).items] == ["anna"]
        with pytest.raises(PushdeskError) as caught:
            await desk.remove_user("anna")
        assert caught.value.code == "forbidden"
    async with HttpDesk(server.url, ADMIN_TOKEN) as desk:
        assert await desk.scopes() == set(Scope)
        await desk.remove_user("anna")


async def test_the_server_refuses_to_change_anything_by_itself(server: Running) -> None:
    await server.subscribe("anna", "a")
    reading = (await server.engine.create_token("reader", [Scope.READ])).token
    for token, headers in ((ADMIN_TOKEN, {READ_ONLY: "1"}), (reading, {})):
        refused = await server.ask("DELETE", "/api/v1/users/anna", token=token, headers=headers)
        assert_problem(refused, 403, "forbidden")
    assert [user.id for user in (await server.engine.users(PageQuery())).items] == ["anna"]
