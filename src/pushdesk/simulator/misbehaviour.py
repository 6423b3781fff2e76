"""What the simulator does to a connection instead of answering as it should; each ends when the other side goes."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import chain, cycle
from typing import TYPE_CHECKING, Final, NoReturn

from aiohttp import web

from pushdesk.simulator.faults import FaultKind

if TYPE_CHECKING:
    from pushdesk.simulator.faults import Fault
    from pushdesk.simulator.service_answers import Answer

_BLOCK: Final = b"x" * 65536
_HINTS: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n" * 100
_MOST_UNSENT: Final = 65536
_PAUSE_S: Final = 0.001
_MEMBER: Final = 10 * 1024 * 1024
_MEMBERS: Final = 100


def reset(transport: asyncio.Transport | None) -> None:
    """Close a connection so that the other side sees it reset; what has not been sent is lost."""
    if transport is None:
        return
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        # What does not linger is reset when it is closed (socket(7)).
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def never_answer() -> NoReturn:
    """Be silent; the handler is cancelled when the other side goes."""
    await asyncio.Event().wait()
    raise AssertionError


async def give_badly(request: web.Request, fault: Fault, answer: Answer) -> web.StreamResponse:
    """Give an answer as the fault has it."""
    match fault.kind:
        case FaultKind.RESET_AFTER:
            reset(request.transport)
        case FaultKind.SLOW_HEAD:
            await _drip_head(request, answer, fault.seconds)
        case FaultKind.ENDLESS_103:
            await _hint_endlessly(request)
        case FaultKind.SLOW_BODY:
            return await _send_endlessly(request, answer, b"x", fault.seconds)
        case FaultKind.ENDLESS_BODY:
            return await _send_endlessly(request, answer, _BLOCK, 0)
        case FaultKind.GZIP_BOMB:
            answer = replace(answer, headers={**answer.headers, "Content-Encoding": "gzip"}, body=_bomb())
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


async def _send_endlessly(request: web.Request, answer: Answer, piece: bytes, pause_s: float) -> web.StreamResponse:
    """Answer with a body that ends when the other side has gone."""
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.enable_chunked_encoding()
    with suppress(ConnectionResetError):
        await response.prepare(request)
        while True:
            await response.write(piece)
            await asyncio.sleep(pause_s)
    return response


async def _drip_head(request: web.Request, answer: Answer, pause_s: float) -> NoReturn:
    """Send an answer byte by byte, with headers without an end."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    for byte in chain(f"HTTP/1.1 {answer.status} \r\n{headers}".encode(), cycle(b"X-More: x\r\n")):
        _write(request, bytes((byte,)))
        await asyncio.sleep(pause_s)
    raise AssertionError


async def _hint_endlessly(request: web.Request) -> NoReturn:
    while True:
        _write(request, _HINTS)
        await asyncio.sleep(_PAUSE_S)


def _write(request: web.Request, data: bytes) -> None:
    """Send what is no whole answer, unless much is still unsent."""
    transport = request.transport
    if transport is not None and transport.get_write_buffer_size() < _MOST_UNSENT:
        transport.write(data)


@cache
def _bomb() -> bytes:
    """Return a gigabyte of zeros in a megabyte: members of gzip may stand one after another (RFC 1952 section 2.2)."""
    return gzip.compress(bytes(_MEMBER)) * _MEMBERS
