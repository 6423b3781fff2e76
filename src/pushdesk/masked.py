"""Structs that hold secrets, and whose repr leaves them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class Masked:
    """To be derived from before `Struct`: Rich, which paints tracebacks with what is in them, is told nothing either.

    What every Struct tells it by itself is all that it holds, whatever the repr says.
    """

    __slots__ = ()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []
