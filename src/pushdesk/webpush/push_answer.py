"""What comes of a push: the push service's answer, or why there was none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from pushdesk.masked import Masked

if TYPE_CHECKING:
    from pushdesk.webpush.services import FaultKind

MAX_ANSWER_BODY: Final = 4096
"""Bytes: every reason that a push service gives is far shorter."""


class PushAnswer(Masked, Struct, frozen=True):
    """What a push service answered. Its repr leaves out what may repeat the endpoint.

    Attributes:
        status: HTTP status.
        headers: Names in lower case; of a repeated one the first.
        body: The first `MAX_ANSWER_BODY` bytes, as they came; fewer if the rest never did.
        latency_s: Seconds from the start of the request to the end of the answer's headers.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    latency_s: float

    def __repr__(self) -> str:
        return f"PushAnswer(status={self.status}, latency_s={self.latency_s})"


class TransportFault(Exception):  # noqa: N818 - the answer that never came, not a failure of ours
    """There was no answer. The message is a sentence for a person, without the endpoint."""

    def __init__(self, kind: FaultKind) -> None:
        super().__init__(kind.sentence)
        self.kind = kind

    def __reduce__(self) -> tuple[type[TransportFault], tuple[FaultKind]]:
        return TransportFault, (self.kind,)
