"""What a field of the log may hold. The rule: numbers, enumerations, and the kinds of text below; nothing else.

Each kind of text takes what it is meant for and replaces anything else, so that an endpoint, a key, a token or a
message's body is refused by mypy, and does not come through where mypy was talked out of it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import ClassVar, Final, Self

from msgspec import Struct

from pushdesk.errors import PushdeskError
from pushdesk.model import Service, Subscription
from pushdesk.plain_text import plain_text, printable
from pushdesk.tracebacks import where

MAX_REASON: Final = 200
MAX_PLACES: Final = 1000
MAX_USER: Final = 128

REPLACED: Final = "…"
"""Stands for what is not of its kind."""
_PLACES: Final = re.compile(rf"[\w.:<> ]{{0,{MAX_PLACES}}}")
_TOKEN: Final = re.compile("pd[a-z]_[0-9a-f]{8,}_")


class _Matching(str):
    """A text that matches a pattern as a whole, else `REPLACED`."""

    __slots__ = ()
    pattern: ClassVar[re.Pattern[str]]

    def __new__(cls, text: str) -> Self:
        return super().__new__(cls, text if cls.pattern.fullmatch(text) else REPLACED)


class Id(_Matching):
    """An id that pushdesk made: of a request, dispatch, subscription or key, or a fingerprint."""

    __slots__ = ()
    pattern = re.compile("[0-9a-f]{1,32}")


class Word(_Matching):
    """A word of a program: an error's name, a code, a browser, a version."""

    __slots__ = ()
    pattern = re.compile(r"\w[\w .+-]{0,47}")


class RoutePattern(_Matching):
    """A route as it is registered, never the path that was asked for."""

    __slots__ = ()
    pattern = re.compile(r"(?=.{0,128}$)(?:/[\w.{}-]{0,31})*")


class Origin(_Matching):
    """Scheme, host and port of this server's own addresses."""

    __slots__ = ()
    pattern = re.compile(r"https?://[\w.:%\[\]-]{1,270}")


class UserId(str):
    """Whom a subscription or a dispatch is for, as an application calls them."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Replace what could not be printed, and a token that somebody put in a user's place."""
        if _TOKEN.match(text):
            return super().__new__(cls, REPLACED)
        return super().__new__(cls, printable(text[:MAX_USER]))


class Reason(str):
    """A sentence: what went wrong, in our own words or a push service's."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Leave out URLs, long words, markup and control characters."""
        return super().__new__(cls, plain_text(text)[:MAX_REASON])


class Places(str):
    """The places that an error passed through."""

    __slots__ = ()

    def __new__(cls, error: BaseException) -> Self:
        """Tell them of an error: see `pushdesk.tracebacks`."""
        return super().__new__(cls, where(error)[:MAX_PLACES])

    @classmethod
    def told(cls, places: str) -> Self:
        """Take what another process told of its own error."""
        return super().__new__(cls, places if _PLACES.fullmatch(places) else REPLACED)


class Method(StrEnum):
    """An HTTP method; a request may name anything."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    OPTIONS = "OPTIONS"
    OTHER = "OTHER"

    @classmethod
    def _missing_(cls, _value: object) -> Method:
        return cls.OTHER


class Limit(StrEnum):
    """What is limited by rate."""

    TOKEN = "token"  # noqa: S105 (what is limited)
    ADDRESS = "address"
    WRONG_TOKEN = "wrong_token"  # noqa: S105 (what is limited)
    WRONG_CODE = "wrong_code"


class Cut(StrEnum):
    """What a connection is cut for."""

    TOO_MANY = "too_many"
    """As many as may be are open, and all of them work."""
    ROOM = "room"
    """It rested, and a new one needed its place."""
    HEADER = "header"
    """It sent no request in time, or half a header."""
    READER = "reader"
    """It did not read its answer."""


class Device(Struct, frozen=True):
    """A subscription: whose, and where it is pushed to as far as that may be told."""

    device: Id
    """The subscription's id."""
    user: UserId
    service: Service
    fingerprint: Id
    browser: Word
    platform: Word

    @classmethod
    def of(cls, subscription: Subscription) -> Self:
        """Tell of a subscription."""
        return cls(
            device=Id(subscription.id),
            user=UserId(subscription.user),
            service=subscription.service,
            fingerprint=Id(subscription.fingerprint),
            browser=Word(subscription.browser),
            platform=Word(subscription.platform),
        )


class Failure(Struct, frozen=True):
    """An error: its kind and its places, and what it says if it is one of ours. Others' words may hold secrets."""

    error: Word
    where: Places
    code: Word | None = None
    reason: Reason | None = None

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Tell of an error what may be told."""
        kind, places = Word(type(error).__name__), Places(error)
        if isinstance(error, PushdeskError):
            return cls(kind, places, Word(error.code), Reason(error.detail))
        return cls(kind, places)
