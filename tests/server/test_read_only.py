"""A console that is to change nothing, on a real server."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from pushdesk.client import HttpDesk
from pushdesk.desk import Hello
from pushdesk.errors import PushdeskError
from pushdesk.model import PageQuery, Scope
from tests.server.running import ADMIN_TOKEN

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
