"""Access tokens: what applications and operators show to be let in. Held in memory, so that no request reads them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.engine.statistics import utc
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.filters import Part
from pushdesk.log import write
from pushdesk.log_events import AccessTokenMade, AccessTokenRevoked, AccessTokenUsesUnwritten
from pushdesk.log_fields import Failure, Id, Word
from pushdesk.model import AccessToken, NewAccessToken, Scope, TokenGrant
from pushdesk.paging import Listing, Sort
from pushdesk.plain_text import is_printable
from pushdesk.storage.records import StoredToken
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from collections.abc import Collection

    from pushdesk.clock import Clock
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.publisher import Publisher
    from pushdesk.model import Page, PageQuery
    from pushdesk.storage.access_tokens import AccessTokens as AccessTokensTable

PREFIX: Final = "pdk"
MAX_NAME: Final = 100
WRITE_USES_S: Final = 60.0
"""How often it is written down when tokens were last used."""
_TOKEN: Final = re.compile(rf"{PREFIX}_(?P<id>[0-9a-f]{{26}})_(?P<secret>[0-9a-f]{{64}})")
_NOTHING: Final = bytes(32)
_ID: Final[Sort[AccessToken]] = Sort(str, lambda token: token.id)
_TOKENS: Final[Listing[AccessToken]] = Listing(
    identity=_ID,
    # Ids sort by the time they were made.
    sorts={"created_at": _ID, "name": Sort(str, lambda token: token.name)},
    default="-created_at",
)


class AccessTokens:
    """The tokens in memory, as they are in the store.

    Args:
        table: The store's.
        identifiers: For ids and secrets.
        clock: For when they were made and used.
        publisher: Told of those that are made and revoked.
    """

    def __init__(self, table: AccessTokensTable, identifiers: Identifiers, clock: Clock, publisher: Publisher) -> None:
        self._table = table
        self._publisher = publisher
        self._identifiers = identifiers
        self._clock = clock
        self._tokens: dict[str, StoredToken] = {}
        self._uses: dict[str, int] = {}
        """When tokens were used whose use is not written down yet, in milliseconds since the epoch."""
        self._ending = asyncio.Event()

    async def load(self) -> None:
        """Read the tokens.

        Raises:
            DatabaseError: They could not be read.
        """
        self._tokens = {token.access.id: token for token in await self._table.all()}

    def grant(self, token: str) -> TokenGrant | None:
        """Return what a token allows, or None if it is not valid, and note that it was used."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        known = self._tokens.get(parts["id"])
        # Compared in any case: how long it takes tells nothing of which ids there are.
        is_right = hmac.compare_digest(_digest(parts["secret"]), known.secret_digest if known else _NOTHING)
        if known is None or not is_right:
            return None
        self._uses[known.access.id] = round(self._clock.time() * 1000)
        return TokenGrant(known.access.id, frozenset(known.access.scopes))

    async def create(self, name: str, scopes: Collection[Scope]) -> NewAccessToken:
        """Make a token; it is returned this once.

        Raises:
            PushdeskError: `bad_field` for a name that is empty, too long or not printable, or for no scope at all;
                `forbidden` when there are too many tokens.
            DatabaseError: There is no new token.
        """
        name = name.strip()
        if not name or len(name) > MAX_NAME or not all(map(is_printable, name)):
            raise PushdeskError(
                f"A token's name has 1 to {MAX_NAME} printable characters.", code="bad_field", fields=("name",)
            )
        if not scopes:
            raise PushdeskError(
                "A token needs a scope.",
                code="bad_field",
                fields=("scopes",),
                hint=f"One or more of {', '.join(Scope)}.",
            )
        secret = self._identifiers.secret()
        given = tuple(scope for scope in Scope if scope in scopes)
        access = AccessToken(self._identifiers.new(), name, given, utc(self._clock))
        stored = StoredToken(access, _digest(secret))
        await self._table.add(stored)
        self._tokens[access.id] = stored
        self._publisher.token_made(access)
        write(AccessTokenMade(token=Id(access.id), scopes=Word(" ".join(given))))
        return NewAccessToken(f"{PREFIX}_{access.id}_{secret}", access)

    async def revoke(self, token: str) -> AccessToken:
        """End a token, from now on.

        Raises:
            PushdeskError: `not_found`.
            DatabaseError: It is as it was.
        """
        known = self._tokens.get(token)
        if known is None:
            raise PushdeskError(
                "There is no such access token.", code="not_found", hint="pushdesk tokens list shows those there are."
            )
        await self._table.remove(token)
        # Only now: a token that would be valid again after a restart is not said to be revoked.
        self._tokens.pop(token, None)
        self._uses.pop(token, None)
        self._publisher.token_revoked(token)
        write(AccessTokenRevoked(token=Id(token)))
        return known.access

    def page(self, query: PageQuery) -> Page[AccessToken]:
        """List the tokens; the filter is a part of the name (`filters`).

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
        """
        wanted = Part.of(query.filter)
        named = (self._as_used(token.access) for token in self._tokens.values() if wanted.is_in(token.access.name))
        return _TOKENS.page(named, query)

    def _as_used(self, access: AccessToken) -> AccessToken:
        """Return a token with the use that is not written down yet."""
        used_ms = self._uses.get(access.id)
        return access if used_ms is None else structs.replace(access, last_used_at=to_datetime(used_ms))

    async def run(self) -> None:
        """Write down when tokens were used, now and then, until the end and once more then."""
        is_ending = False
        while not is_ending:
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_USES_S):
                    is_ending = await self._ending.wait()
            await self._write_uses()

    def end(self) -> None:
        """Let `run` end."""
        self._ending.set()

    async def _write_uses(self) -> None:
        uses, self._uses = self._uses, {}
        if not uses:
            return
        for token, used_ms in uses.items():
            if (known := self._tokens.get(token)) is not None:
                access = structs.replace(known.access, last_used_at=to_datetime(used_ms))
                self._tokens[token] = replace(known, access=access)
        try:
            await self._table.note_uses(uses)
        except DatabaseError as error:
            # What was used since counts more than what could not be written.
            self._uses = uses | self._uses
            write(AccessTokenUsesUnwritten(Failure.of(error)))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
