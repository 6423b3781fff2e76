"""What operators do to VAPID keys: `Desk` over HTTP, as in `admin.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from msgspec import Meta, Struct

from pushdesk.masked import Masked
from pushdesk.model import ExportedKey, RevokedKeys, VapidKey
from pushdesk.server.auth import Access
from pushdesk.server.routes import AnyRoute, Call, NoQuery, Route, answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

B = TypeVar("B", bound=Struct)

Word = Annotated[str, Meta(max_length=64)]
KeyId = Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]


class RotateRequest(Struct, frozen=True):
    """Rotation is confirmed with the word `rotate`."""

    confirm: Word = ""


class RotatedKey(Struct, frozen=True):
    """The new current key."""

    key: VapidKey


class RetireRequest(Struct, frozen=True):
    """Which key; the word is `retire`, and is not needed for one without subscriptions."""

    id: KeyId
    confirm: Word = ""


class RollBackRequest(Struct, frozen=True):
    """Which key; the word is `rollback`."""

    id: KeyId
    confirm: Word = ""


class RevokeRequest(Struct, frozen=True):
    """Revoking is confirmed with the word `revoke`."""

    confirm: Word = ""


class ImportRequest(Masked, Struct, frozen=True):
    """A key as it was written elsewhere; the word is `import`, and is needed if it is to be the current one."""

    text: Annotated[str, Meta(min_length=1, max_length=16_384)]
    current: bool = False
    confirm: Word = ""

    def __repr__(self) -> str:
        return f"ImportRequest(current={self.current!r})"


class ExportRequest(Struct, frozen=True):
    """Which key; the word is `export`."""

    id: KeyId
    confirm: Word = ""


class ChangedKey(Struct, frozen=True):
    """The key as it is now."""

    key: VapidKey


class TakenOutKey(Struct, frozen=True):
    """The key, with its private half."""

    key: ExportedKey


async def rotate(call: Call[NoQuery, RotateRequest]) -> web.Response:
    """Make a new current key."""
    return answer(RotatedKey(await call.engine.rotate_key(confirm=call.body.confirm)))


async def retire(call: Call[NoQuery, RetireRequest]) -> web.Response:
    """End a retiring key."""
    return answer(ChangedKey(await call.engine.retire_key(call.body.id, confirm=call.body.confirm)))


async def roll_back(call: Call[NoQuery, RollBackRequest]) -> web.Response:
    """Make a retiring or retired key current again."""
    return answer(ChangedKey(await call.engine.roll_back_key(call.body.id, confirm=call.body.confirm)))


async def revoke(call: Call[NoQuery, RevokeRequest]) -> web.Response:
    """Make a new current key, and end all others for good."""
    return answer(await call.engine.revoke_keys(confirm=call.body.confirm))


async def take_in(call: Call[NoQuery, ImportRequest]) -> web.Response:
    """Take a key that was used elsewhere."""
    body = call.body
    return answer(ChangedKey(await call.engine.import_key(body.text, current=body.current, confirm=body.confirm)))


async def give_out(call: Call[NoQuery, ExportRequest]) -> web.Response:
    """Answer with a key's private half."""
    return answer(TakenOutKey(await call.engine.export_key(call.body.id, confirm=call.body.confirm)))


def _command(
    name: str, summary: str, handler: Callable[[Call[NoQuery, B]], Awaitable[web.Response]], body: type[B], gives: type
) -> AnyRoute:
    return Route(
        method="POST",
        path=f"/api/v1/admin/keys/{name}",
        summary=summary,
        access=Access.ADMIN,
        query=NoQuery,
        body=body,
        handler=handler,
        answers={200: gives},
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    _command("rotate", "Make a new current VAPID key", rotate, RotateRequest, RotatedKey),
    _command("retire", "End a retiring VAPID key", retire, RetireRequest, ChangedKey),
    _command("rollback", "Make a retiring or retired VAPID key current again", roll_back, RollBackRequest, ChangedKey),
    _command("revoke", "Make a new current VAPID key, and end all others for good", revoke, RevokeRequest, RevokedKeys),
    _command("import", "Take a VAPID key that was used elsewhere", take_in, ImportRequest, ChangedKey),
    _command("export", "A VAPID key with its private half", give_out, ExportRequest, TakenOutKey),
)
