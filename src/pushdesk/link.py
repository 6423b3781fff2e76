"""The way to one server: HTTP and a WebSocket, bounded in time and in memory, whose failures are sentences.

Whatever is at the other end, it ends: with what was asked for, with the error that the server answered, or with an
`UnreachableError`.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
from aiohttp import WSMsgType
from msgspec import Struct
from yarl import URL

from pushdesk import __version__
from pushdesk.errors import ERROR_KINDS, NO_ROUTE, NoAnswerError, PushdeskError, UnreachableError
from pushdesk.json_lines import JsonLines, put_off
from pushdesk.lenient import understand

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping

T = TypeVar("T")

LARGEST_ANSWER: Final = 4 * 1024 * 1024
"""Bytes of an answer, and of a frame: twice what the largest page and the largest batch of events can have."""
_PROBLEM: Final = "application/problem+json"
_READ_ONLY: Final = "Pushdesk-Read-Only"
_LONGEST_TEXT: Final = 2000
"""Characters that are kept of what a server says is wrong."""
_LONGEST_VERSION: Final = 40
_LONGEST_WAIT_S: Final = 3600
"""Seconds that a server can have us wait."""
_CLOSE_S: Final = 1.0
_CONTROL: Final = frozenset({WSMsgType.PING, WSMsgType.PONG})
_NOTHING: Final[Mapping[str, str]] = {}


class Patience(NamedTuple):
    """For how many seconds a server is waited for."""

    connect_s: float = 5.0
    request_s: float = 15.0
    """For an answer, its last byte included; besides what the server is asked to wait."""
    handshake_s: float = 10.0
    """For a WebSocket, and then for its first message."""
    heartbeat_s: float = 15.0
    """Between two pings; half of it for the pong."""
    frame_s: float = 60.0
    """For a frame, pongs included: a server that drips answers pings with nothing."""
    piece_s: float = 600.0
    """For a piece of a download; the first one comes when all of it is made."""


class _Problem(Struct, frozen=True):
    """What is read of a problem document (RFC 9457)."""

    code: str
    detail: str
    hint: str = ""
    fields: tuple[str, ...] = ()


class _Versioned(Struct, frozen=True):
    """What is read of an answer that cannot be read, to say why."""

    version: str = ""


class _RedirectedError(aiohttp.ClientError):
    """A server sent the WebSocket elsewhere."""


class Link:
    """The way to the server at `url`; connects with the first request, and is to be closed.

    Args:
        url: The server's origin.
        token: A token that the server takes.
        read_only: Whether nothing is to be changed: see `HttpDesk`.
        patience: For how long the server is waited for.

    Attributes:
        version: The server's, once it is known.
        left_out: How many parts of its answers could not be read.

    Raises:
        PushdeskError: `bad_field` if `url` is not the address of a server, `unauthorized` if the token cannot be one.
    """

    def __init__(self, url: str, token: str, *, read_only: bool, patience: Patience) -> None:
        try:
            self._origin = URL(url).origin()
        except ValueError:
            raise PushdeskError(
                "That is not the address of a server.",
                code="bad_field",
                hint="It looks like http://localhost:8484.",
                fields=("url",),
            ) from None
        if not token.isascii() or not token.isprintable():
            raise PushdeskError(
                "The token has characters that cannot be sent.",
                code="unauthorized",
                hint="A token is one line of visible ASCII characters.",
            )
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        if read_only:
            self._headers[_READ_ONLY] = "1"
        self._read_only = read_only
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self.version = ""
        self.left_out = 0

    @property
    def url(self) -> str:
        """The server's origin."""
        return str(self._origin)

    async def aclose(self) -> None:
        """Close the connections, WebSockets included."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(
        self,
        method: str,
        path: str,
        shape: type[T],
        *,
        query: Mapping[str, str] = _NOTHING,
        body: object = None,
        headers: Mapping[str, str] = _NOTHING,
        within_s: float | None = None,
    ) -> T:
        """Send a request and return its answer.

        Args:
            method: Of HTTP.
            path: An absolute path, encoded.
            shape: The type of the answer; `NoneType` for none.
            query: Parameters.
            body: What is sent as JSON.
            headers: Besides those that every request has.
            within_s: Seconds in which the answer must be there; by default, `Patience.request_s`.

        Raises:
            PushdeskError: What the server answered.
            UnreachableError: There was no answer.
        """
        if method != "GET":
            self._check_may_change()
        sent = {**self._headers, **headers}
        if body is not None:
            sent["Content-Type"] = "application/json"
        with self._said_plainly():
            async with self._open().request(
                method,
                self._address(path, query),
                headers=sent,
                # Not as bytes: aiohttp warns of large ones.
                data=None if body is None else BytesIO(msgspec.json.encode(body)),
                # A redirect would carry the token elsewhere.
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=self._patience.request_s if within_s is None else within_s,
                    sock_connect=self._patience.connect_s,
                ),
            ) as response:
                content = await self._content(response)
        return self._answered(response, content, shape)

    async def upload(
        self,
        path: str,
        shape: type[T],
        *,
        query: Mapping[str, str],
        first: object,
        lines: AsyncIterable[str],
        headers: Mapping[str, str] = _NOTHING,
    ) -> T:
        """Send a POST of any size as lines of JSON, as they come, and return its answer.

        Args:
            path: An absolute path, encoded.
            shape: The type of the answer.
            query: Parameters.
            first: The first line.
            lines: Those that follow.
            headers: Besides those that every request has.

        Raises:
            PushdeskError: What the server answered; what `lines` raises.
            UnreachableError: There was no answer, or nothing moved for `Patience.piece_s` seconds.
        """
        self._check_may_change()
        sent = JsonLines(first, lines)
        with self._said_plainly():
            try:
                async with (
                    asyncio.timeout(self._patience.piece_s) as deadline,
                    self._open().post(
                        self._address(path, query),
                        headers={**self._headers, **headers, "Content-Type": JsonLines.CONTENT_TYPE},
                        data=sent.pieces(lambda: put_off(deadline, self._patience.piece_s)),
                        allow_redirects=False,
                        timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect_s),
                    ) as response,
                ):
                    content = await self._content(response)
            except aiohttp.ClientError:
                # aiohttp raises an error of its own for that of the body.
                if sent.failure is not None:
                    raise sent.failure from None
                raise
        return self._answered(response, content, shape)

    async def download(self, path: str, write: Callable[[bytes], object]) -> None:
        """Ask with a POST for something of any size, and hand it over in pieces as it comes.

        Args:
            path: An absolute path, encoded.
            write: Takes a piece; what it raises ends it.

        Raises:
            PushdeskError: What the server answered.
            UnreachableError: There was no answer, or not all of it.
        """
        self._check_may_change()
        received = 0
        with self._said_plainly():
            async with self._open().post(
                self._address(path, _NOTHING),
                headers=self._headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._patience.connect_s, sock_read=self._patience.piece_s
                ),
            ) as response:
                if response.content_type == _PROBLEM:
                    self._fail(self.understand(await self._content(response), _Problem), response.headers)
                if response.status != HTTPStatus.OK or response.content_length is None:
                    raise self.foreign()
                async for piece in response.content.iter_any():
                    received += len(piece)
                    write(piece)
                if received != response.content_length:
                    raise self._lost()

    async def messages(self, path: str, query: Mapping[str, str] = _NOTHING) -> AsyncGenerator[str, None]:
        """Open a WebSocket and yield its text messages; ends with the error with which it did.

        Raises:
            PushdeskError: What the server answered; `unauthorized` also when the token is revoked meanwhile.
            UnreachableError: There is none, or no longer.
        """
        socket = await self._connect(path, query)
        try:
            try:
                async with asyncio.timeout(self._patience.handshake_s):
                    message = await self._receive(socket)
                while message.type is WSMsgType.TEXT:
                    yield message.data
                    message = await self._receive(socket)
            except TimeoutError:
                raise self._silent() from None
            except (aiohttp.ClientError, OSError):
                # A ping may be read when the connection is gone, and cannot be answered.
                raise self._lost() from None
        finally:
            # A peer that goes on sending would never be through with closing.
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await socket.close()
        self._fail_ended(message)

    def _check_may_change(self) -> None:
        if self._read_only:
            raise PushdeskError("The console is read-only.", code="forbidden", hint="It was started with --read-only.")

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        """Raise what keeps an answer away as an error of ours, without its cause: aiohttp's errors show requests."""
        try:
            yield
        except aiohttp.ClientResponseError:
            raise self.foreign() from None
        except aiohttp.ClientPayloadError:
            raise self._lost() from None
        except aiohttp.SocketTimeoutError:
            raise self._silent() from None
        except aiohttp.ClientError:
            raise self._unreachable() from None
        except TimeoutError:
            raise self._silent() from None
        except OSError:
            raise self._unreachable() from None

    def understand(self, content: bytes | str, shape: type[T]) -> T:
        """Return what is understood of an answer; what is not, is counted.

        Raises:
            NoAnswerError: Nothing is.
        """
        try:
            value, left_out = understand(content, shape)
        except msgspec.DecodeError:
            with suppress(msgspec.DecodeError):
                self.meet(understand(content, _Versioned)[0].version)
            raise self.foreign() from None
        self.left_out += left_out
        return value

    def meet(self, version: str) -> None:
        """Take note of the server's version."""
        self.version = version[:_LONGEST_VERSION] or self.version

    def foreign(self) -> NoAnswerError:
        """Return the error for an answer that cannot be read."""
        if self.version not in {"", __version__}:
            return NoAnswerError(
                f"The server at {self.url} is version {self.version}; this is version {__version__}, and cannot read"
                " its answer.",
                hint="Update the older one of the two.",
            )
        return NoAnswerError(
            f"What answers at {self.url} is not this version of pushdesk.",
            hint="Check the address, and what stands between.",
        )

    def _answered(self, response: aiohttp.ClientResponse, content: bytes, shape: type[T]) -> T:
        if response.content_type == _PROBLEM:
            self._fail(self.understand(content, _Problem), response.headers)
        if response.status >= 300:
            raise self.foreign()
        return self.understand(b"null" if response.status == 204 else content, shape)

    async def _connect(self, path: str, query: Mapping[str, str]) -> aiohttp.ClientWebSocketResponse:
        with self._said_plainly():
            try:
                # Without it aiohttp would wait for five minutes.
                async with asyncio.timeout(self._patience.handshake_s):
                    return await self._open().ws_connect(
                        self._address(path, query),
                        headers=self._headers,
                        heartbeat=self._patience.heartbeat_s,
                        # Seen here, pings and pongs are a sign of life.
                        autoping=False,
                        max_msg_size=LARGEST_ANSWER,
                        timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                    )
            except (aiohttp.WSServerHandshakeError, _RedirectedError):
                # The handshake's error has no body: the same request without it is answered with the reason.
                await self.ask("GET", path, msgspec.Raw, query=query)
                raise self.foreign() from None

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> aiohttp.WSMessage:
        """Return the next message; pings are answered."""
        while True:
            async with asyncio.timeout(self._patience.frame_s):
                message = await socket.receive()
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
            if message.type not in _CONTROL:
                return message

    def _fail_ended(self, message: aiohttp.WSMessage) -> NoReturn:
        """Raise what the last message of a WebSocket means."""
        # What the server said: the socket's own `close_code` is another when the connection went before our answer.
        if message.type is WSMsgType.CLOSE and message.data == aiohttp.WSCloseCode.POLICY_VIOLATION:
            raise PushdeskError(
                f"{self.url} no longer takes the token.",
                code="unauthorized",
                hint="It was revoked. pushdesk tokens create makes another.",
            )
        if message.type is WSMsgType.BINARY or isinstance(message.data, aiohttp.WebSocketError):
            raise self.foreign()
        raise self._lost()

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise self.foreign()
        return bytes(content)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A WebSocket's handshake has no `allow_redirects` of its own.
            tracing = aiohttp.TraceConfig()
            tracing.on_request_redirect.append(_refuse_redirect)
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                trace_configs=[tracing],
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect_s),
                # A small answer can be a large one compressed.
                auto_decompress=False,
            )
        return self._session

    def _address(self, path: str, query: Mapping[str, str]) -> URL:
        parameters = f"?{urlencode(query, errors='surrogatepass')}" if query else ""
        return URL(f"{self._origin}{path}{parameters}", encoded=True)

    def _fail(self, problem: _Problem, headers: Mapping[str, str]) -> NoReturn:
        retry_after = headers.get("Retry-After", "")
        is_missing = problem.detail == NO_ROUTE or problem.code == "method_not_allowed"
        if is_missing and self.version != __version__:
            named = f"This server ({self.version})" if self.version else "This server"
            raise PushdeskError(f"{named} cannot do that yet.", code="not_found", hint="Update it.")
        raise PushdeskError(
            problem.detail[:_LONGEST_TEXT],
            code=problem.code if problem.code in ERROR_KINDS else "internal",
            hint=problem.hint[:_LONGEST_TEXT],
            fields=problem.fields,
            retry_after_s=int(min(float(retry_after), _LONGEST_WAIT_S)) if retry_after.isdecimal() else None,
        )

    def _unreachable(self) -> UnreachableError:
        return UnreachableError(
            f"The server at {self.url} cannot be reached.", hint="Check that it runs there, and the network in between."
        )

    def _lost(self) -> UnreachableError:
        return UnreachableError(
            f"The connection to {self.url} was lost.", hint="It may be stopping, or the network in between."
        )

    def _silent(self) -> NoAnswerError:
        return NoAnswerError(
            f"The server at {self.url} does not answer in time.",
            hint="It can be reached: look how busy it is, and whether it is pushdesk.",
        )


async def _refuse_redirect(_session: aiohttp.ClientSession, _context: object, _redirect: object) -> None:
    raise _RedirectedError
