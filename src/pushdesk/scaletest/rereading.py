"""What the server that this project descends from did for each push: read again what its caller had known.

It read the conversation, then its model, then the provider of that, each with a connection of its own from the pool.
The tables are made in the database that is measured, and read through the same driver and the same pool as all else
there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, ForeignKey, MetaData, Table, Text, insert, select

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_METADATA: Final = MetaData()
PROVIDERS: Final = Table(
    "scaletest_providers", _METADATA, Column("id", Text, primary_key=True), Column("base_url", Text)
)
MODELS: Final = Table(
    "scaletest_models",
    _METADATA,
    Column("id", Text, primary_key=True),
    Column("provider", Text, ForeignKey(PROVIDERS.c.id)),
    Column("name", Text),
)
CONVERSATIONS: Final = Table(
    "scaletest_conversations",
    _METADATA,
    Column("user", Text, primary_key=True),
    Column("model", Text, ForeignKey(MODELS.c.id)),
    Column("title", Text),
)
MODEL: Final = "gpt-5-mini"


class Rereading:
    """Reads again before each push."""

    def __init__(self) -> None:
        self._database: Any = None
        self._known: set[str] = set()

    def filling(self, open_: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """Wrap the opening of the database: make the tables."""

        async def opening(database: Any) -> Any:  # noqa: ANN401 (its own)
            opened = await open_(database)
            async with database.write() as transaction:
                for table in _METADATA.sorted_tables:
                    await transaction.execute(_creation(table))
                await transaction.execute(
                    insert(PROVIDERS), [{"id": "openai", "base_url": "http://localhost:11434/v1"}]
                )
                await transaction.execute(insert(MODELS), [{"id": MODEL, "provider": "openai", "name": MODEL}])
            self._database = database
            return opened

        return opening

    def before(
        self, attempt: Callable[..., Coroutine[Any, Any, Any]], metered: Callable[[Any], Any]
    ) -> Callable[..., Any]:
        """Wrap the attempt to push a message: read first."""
        read = metered(self._read)

        async def attempting(pusher: object, job: Any, *args: Any) -> Any:  # noqa: ANN401 (its own)
            await read(job.delivery.user)
            return await attempt(pusher, job, *args)

        return attempting

    async def _read(self, user: str) -> None:
        if user not in self._known:
            # With the first push of all, when the device subscribes: before anything is measured.
            self._known.add(user)
            async with self._database.write() as transaction:
                row = {"user": user, "model": MODEL, "title": f"The conversation of {user}"}
                await transaction.execute(insert(CONVERSATIONS), [row])
        model = await self._look_up(select(CONVERSATIONS).where(CONVERSATIONS.c.user == user))
        provider = await self._look_up(select(MODELS).where(MODELS.c.id == model.model))
        await self._look_up(select(PROVIDERS).where(PROVIDERS.c.id == provider.provider))

    async def _look_up(self, statement: Any) -> Any:  # noqa: ANN401 (a row)
        async with self._database.read() as connection:
            return (await connection.execute(statement)).one()


def _creation(table: Table) -> Any:  # noqa: ANN401 (an executable)
    from sqlalchemy.schema import CreateTable  # noqa: PLC0415

    return CreateTable(table, if_not_exists=True)
