"""Sending one push: encrypt, post, and say what became of it. The same in a process of its own and in the engine's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.log_fields import Failure
from pushdesk.sender.frames import Mistake, Push, Result
from pushdesk.webpush.encryption import encrypt
from pushdesk.webpush.push_answer import TransportFault
from pushdesk.webpush.request import PushRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushdesk.sender.frames import Settings
    from pushdesk.webpush.device_keys import DeviceKeys
    from pushdesk.webpush.transport import Transport

MAX_HEADERS: Final = 8192
"""Bytes of an answer's headers, names and values, that are handed back; what is told of a push by them is far shorter.
As many results as go together have to fit into a frame, whatever push services answer."""
_AROUND: Final = 6
"""Bytes that a name and a value take in a frame besides their own, at most."""


def open_transport(settings: Settings, clock: Callable[[], float]) -> Transport:
    """Make what posts to push services; to be called on the event loop that it works on.

    Args:
        settings: How they are reached.
        clock: Monotonic time in seconds.
    """
    from pushdesk.webpush.transport import HttpTransport  # noqa: PLC0415 (the one place that chooses)

    return HttpTransport(
        allowed_origins=frozenset(settings.allowed_origins),
        clock=clock,
        connect_timeout_s=settings.connect_timeout_s,
        total_timeout_s=settings.total_timeout_s,
        proxy=settings.proxy,
    )


class Sending:
    """Sends pushes.

    Args:
        transport: What posts.
        clock: Monotonic time in seconds.
        keys: Where devices' keys are kept that were read before.
    """

    def __init__(self, transport: Transport, clock: Callable[[], float], keys: DeviceKeys | None = None) -> None:
        self._transport = transport
        self._keys = keys
        self._clock = clock

    async def send(self, push: Push, number: int = 0) -> Result:
        """Send a push, and return what became of it. Raises nothing: whatever goes wrong is a result.

        Args:
            push: What is sent.
            number: Is returned with the result.
        """
        started = self._clock()
        try:
            request = self._seal(push)
            started = self._clock()
            answer = await self._transport.post(request)
        except TransportFault as fault:
            return Result(number, self._clock() - started, fault=fault.kind)
        except Exception as error:  # noqa: BLE001 (a mistake of ours is of this push only)
            return Result(number, self._clock() - started, mistake=mistake_of(error))
        return Result(number, answer.latency_s, answer.status, _bounded(answer.headers), answer.body)

    def _seal(self, push: Push) -> PushRequest:
        """Encrypt a push.

        Raises:
            PayloadTooLargeError: The message is too large.
            BadKeysError: The device's keys cannot be used.
        """
        body = encrypt(push.plaintext, p256dh=push.p256dh, auth=push.auth, keys=self._keys)
        return PushRequest(endpoint=push.endpoint, headers=push.headers, body=body)


def _bounded(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer up to `MAX_HEADERS`, the shorter ones first where that is not all of them."""
    # So few bytes fit even if each is a header, and if each is two in a frame.
    if len("".join(headers)) + len(values := "".join(headers.values())) < MAX_HEADERS // 8 and values.isascii():
        return dict(headers)
    found: dict[str, str] = {}
    left = MAX_HEADERS
    for name, value in sorted(headers.items(), key=lambda item: len(item[0]) + len(item[1])):
        # A surrogate, which stands for a byte that is no UTF-8, cannot be handed on.
        text = value.encode(errors="replace")
        left -= len(name.encode()) + len(text) + _AROUND
        if left < 0:
            break
        found[name] = text.decode()
    return found


def mistake_of(error: Exception) -> Mistake:
    """Return what may be told of an error."""
    failure = Failure.of(error)
    code, reason = failure.code, failure.reason
    return Mistake(
        str(failure.error),
        str(failure.where),
        None if code is None else str(code),
        None if reason is None else str(reason),
    )
