"""What is to be done: how many conversations and turns, and with which of its savings the server runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Variant(StrEnum):
    """With which of its savings a server runs."""

    FULL = "full"
    """As it is."""
    WITHOUT_CACHE = "without_cache"
    """The subscriptions of a user are read again for each turn: `--cache-ttl 0`."""
    REREADING = "rereading"
    """Each push reads conversation, model and provider again, each with a connection of its own."""

    @property
    def words(self) -> str:
        """What a person calls it."""
        return _TITLES[self]

    @property
    def is_without_cache(self) -> bool:
        """Whether the server's cache is off."""
        return self is Variant.WITHOUT_CACHE


_TITLES = {
    Variant.FULL: "as it is",
    Variant.WITHOUT_CACHE: "cache off",
    Variant.REREADING: "re-reading per push",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    conversations: int
    """Each with a user of its own, who has one subscription."""
    turns: int
    """Of each conversation, one after the other."""
    connections: int = 64
    """Kept open to the server's API, each with one request under way."""
    under_way: int = 1000
    """The most turns that were asked for and have not arrived yet."""
    port: int = 0
    """The server's; 0 for any free one."""
    seed: int = 0
    """Of what is drawn: the order of the conversations, the sample that is decrypted."""
    variant: Variant = Variant.FULL
    senders: int | None = None
    """Sender processes; as many as the server thinks right if it is not said."""
    patience_s: float = 30.0
    """Seconds without any progress after which nothing more is waited for."""
    data_dir: Path | None = None
    """Where the server works; a temporary folder if it is not said."""
    keeps_data: bool = False
    """Whether that folder is left there."""
    database: Path | None = None
    """The file of the database, if it is not to be in that folder."""
    probes: bool = True
    """Whether the server tells what its time goes into; what tells it takes time itself."""

    @property
    def total(self) -> int:
        """All turns of all conversations."""
        return self.conversations * self.turns
