"""Turns of an agent, and what is told of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from pushdesk.model.delivery import Dispatch
from pushdesk.user_id import check_user


class TurnStatus(StrEnum):
    """How a turn of an agent ended."""

    FINISHED = "finished"
    FAILED = "failed"
    NEEDS_ACTION = "needs_action"


class SummaryFault(StrEnum):
    """Why a remote summariser gave no summary of a turn."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    STATUS = "status"
    """It answered with another status than 200."""
    TOO_LARGE = "too_large"
    NOT_UNDERSTOOD = "not_understood"
    """Its answer is no chat completion."""
    EMPTY = "empty"
    UNUSABLE = "unusable"
    """Nothing of what it wrote can be shown, or not in one message."""


class Turn(Struct, frozen=True, omit_defaults=True):
    """A turn of an agent that has ended, with all that its run had resolved: nothing of it is looked up again."""

    user: Annotated[str, Meta(extra={"check": check_user})]
    conversation: Annotated[str, Meta(min_length=1, max_length=200)]
    """A newer turn of the same conversation replaces an older one, on its way and on the screen."""
    title: Annotated[str, Meta(min_length=1)]
    status: TurnStatus
    text: str | None = None
    """The final text, in Markdown."""
    error: str | None = None
    model: Annotated[str, Meta(max_length=200)] | None = None
    """What a remote summariser is to be called with."""
    provider: Annotated[str, Meta(max_length=200)] | None = None
    parent: Annotated[str, Meta(max_length=200)] | None = None
    """Set for a sub-agent's turn, of which nobody is notified."""
    url: Annotated[str, Meta(max_length=2048)] | None = None
    """What a click opens."""


class AcceptedTurn(Struct, frozen=True):
    """What became of a turn: a dispatch, or the reason why there is none."""

    dispatch: Dispatch | None
    reason: str | None = None
    repeated: bool = False
