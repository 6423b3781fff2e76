"""`HttpDesk` towards servers that stall, drip, flood and talk nonsense: it ends soon, in a sentence."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from pushdesk.client import HttpDesk
from pushdesk.desk import Hello
from pushdesk.errors import NoAnswerError, UnreachableError
from pushdesk.link import LARGEST_ANSWER, Patience
from pushdesk.model import PageQuery
from tests.mischief import HELLO, REQUESTS, SOCKETS, Peer, tricking

if TYPE_CHECKING:
    from pushdesk.desk import AnyEvent
    from tests.mischief import Mischief

TOKEN = "canary-token-of-more-than-32-characters"
IMPATIENT = Patience(connect_s=0.5, request_s=0.5, handshake_s=0.5, heartbeat_s=0.4, frame_s=1.0)
GENEROUS_S = 20.0
"""Seconds in which it is over on a busy machine, too."""
ON_THE_WAY = 16 * 1024 * 1024
"""Bytes that the network between may hold."""


@pytest.mark.parametrize(("mischief", "said"), REQUESTS.items(), ids=[each.__name__ for each in REQUESTS])
async def test_a_request_ends_soon_and_says_why(mischief: Mischief, said: str) -> None:
    async with tricking(mischief) as trickster, HttpDesk(trickster.url, TOKEN, patience=IMPATIENT) as desk:
        for question in (desk.stats(), desk.users(PageQuery()), desk.remove_subscriptions(["a"])):
            async with asyncio.timeout(GENEROUS_S):
                with pytest.raises(UnreachableError) as caught:
                    await question
            assert said in caught.value.detail
            assert trickster.url in caught.value.detail
            assert caught.value.hint
            assert isinstance(caught.value, NoAnswerError) == (said != "cannot be reached")
        assert len(trickster.peers) >= 3
        assert max(peer.sent for peer in trickster.peers) < LARGEST_ANSWER + ON_THE_WAY


@pytest.mark.parametrize(
    ("mischief", "said"), [*REQUESTS.items(), *SOCKETS.items()], ids=[each.__name__ for each in (*REQUESTS, *SOCKETS)]
)
async def test_the_event_stream_ends_soon_and_says_why(mischief: Mischief, said: str) -> None:
    async with tricking(mischief) as trickster, HttpDesk(trickster.url, TOKEN, patience=IMPATIENT) as desk:
        seen: list[AnyEvent] = []
        async with asyncio.timeout(GENEROUS_S):
            with pytest.raises(UnreachableError) as caught:
                await follow(desk, seen)
        assert said in caught.value.detail
        assert len(seen) == (1 if mischief.__name__.startswith("greets") else 0)
        assert max(peer.sent for peer in trickster.peers) < LARGEST_ANSWER + ON_THE_WAY


async def follow(desk: HttpDesk, seen: list[AnyEvent]) -> None:
    """Note events until there are no more."""
    async with aclosing(desk.events()) as events:
        async for batch in events:
            seen += batch


async def test_a_message_in_pieces_is_one() -> None:
    async def speak_in_pieces(peer: Peer) -> None:
        await peer.open_socket()
        await peer.frame(HELLO[:10], last=False)
        await peer.frame(b"", opcode=0, last=False)
        await peer.frame(HELLO[10:], opcode=0)
        await peer.hang()

    async with tricking(speak_in_pieces) as trickster, HttpDesk(trickster.url, TOKEN) as desk:
        async with aclosing(desk.events()) as events:
            (greeting,) = await anext(events)
        assert isinstance(greeting, Hello)
