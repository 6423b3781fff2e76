"""Prints how long the listings of a crowd take into docs/listings.md: `scripts/listings-report`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

from pushdesk.model import Outcome, PageQuery
from pushdesk.paging import Order
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.storage.times import to_milliseconds
from tests.crowd import fill, name_of
from tests.figures import table, write_figures
from tests.programs import CHECKOUT, bare_environment, serving
from tests.server.index_cost import BATCH, cost

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT: Final = CHECKOUT / "docs" / "listings.md"
SIZE: Final = 1_000_000
TIMES: Final = 15
"""How often each page is asked for."""
SORTS: Final = {
    "users": ("id", "created_at"),
    "subscriptions": ("created_at", "user", "state", "service", "failures"),
    "deliveries": ("at",),
    "dispatches": ("accepted_at",),
}
BY_ID: Final = {("subscriptions", "created_at"), ("dispatches", "accepted_at")}
"""What is sorted by its ids, which sort by the time they were made."""


class Listings:
    """The listings of a server that runs."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def page(self, listing: str, query: PageQuery) -> dict[str, Any]:
        """Return a page."""
        asked = {name: str(value) for name, value in msgspec.to_builtins(query).items() if value is not None}
        async with self._session.get(f"/api/v1/admin/{listing}", params=asked) as response:
            if response.status != 200:
                raise AssertionError(f"{listing} was answered with {response.status}: {await response.text()}")
            page: dict[str, Any] = await response.json()
            return page

    async def timed(self, listing: str, query: PageQuery) -> str:
        """Return how many milliseconds a request for a page takes, from asking to the last byte: median / worst."""
        took_ms = []
        for _ in range(TIMES):
            began_at = time.perf_counter()
            await self.page(listing, query)
            took_ms.append((time.perf_counter() - began_at) * 1000)
        return f"{median(took_ms):.0f} / {max(took_ms):.0f}"

    async def half_way(self, listing: str, sort: str, size: int) -> PageQuery:
        """Return the query for a page in the middle of a listing."""
        field = sort.removeprefix("-")
        somebody = PageQuery(filter=f"^{name_of(size // 2)}")
        (item,) = (await self.page(listing, somebody))["items"]
        value = item["id"] if (listing, field) in BY_ID else item[field]
        if (listing, field) not in BY_ID and field in {"created_at", "at"}:
            value = to_milliseconds(datetime.fromisoformat(value))
        query = PageQuery(sort=sort)
        return PageQuery(sort=sort, cursor=Order.of(query, (field,), default="").cursor(value, item["id"]))


async def measure(size: int) -> dict[str, str]:
    """Return the tables for a crowd of so many, by name."""
    with TemporaryDirectory() as folder:
        data = Path(folder, "data")
        data.mkdir(mode=0o700)
        async with Store(data / DATABASE_NAME):
            pass
        fill(data / DATABASE_NAME, size)
        async with serving(env=bare_environment(Path(folder), PUSHDESK_DATA_DIR=str(data))) as server:
            # What it says is read, or its pipe would fill up.
            said = asyncio.create_task(server.errors())
            headers = {"Authorization": f"Bearer {(data / 'admin.token').read_text(encoding='utf-8').strip()}"}
            # By address: which of localhost's it is is not to be decided again and again.
            url = server.url.replace("localhost", "127.0.0.1")
            async with aiohttp.ClientSession(url, headers=headers) as session:
                listings = Listings(session)
                tables = {
                    "every sort": await _every_sort(listings, size),
                    "deliveries": await _deliveries(listings, size),
                }
            said.cancel()
            await server.end(signal.SIGTERM)
        without, with_ = await cost(data / DATABASE_NAME, size)
        header = (f"a push, {BATCH} at once", "without", "with", "ratio")
        row = ("microseconds of the database", f"{without:.0f}", f"{with_:.0f}", f"{with_ / without:.2f}")
        return tables | {"pushes": table(header, [row])}


async def _every_sort(listings: Listings, size: int) -> str:
    filters = {
        "`^` many": "^ada",
        "`^` one": f"^{name_of(size // 3)}",
        "many": "ada",
        "few": "quill",
        "the first": "elder",
        "none": "nobody",
    }
    rows: list[tuple[object, ...]] = []
    for listing, fields in SORTS.items():
        for sort in (f"{sign}{field}" for field in fields for sign in ("", "-")):
            cells = [
                await listings.timed(listing, PageQuery(sort=sort)),
                await listings.timed(listing, await listings.half_way(listing, sort, size)),
                *[await listings.timed(listing, PageQuery(sort=sort, filter=text)) for text in filters.values()],
            ]
            rows.append((listing, f"`{sort}`", *cells))
    return table(("listing", "sort", "open", "half way", *filters), rows)


async def _deliveries(listings: Listings, size: int) -> str:
    (device,) = (await listings.page("subscriptions", PageQuery(filter=f"^{name_of(size // 3)}")))["items"]
    filters = {
        "most: `accepted`": Outcome.ACCEPTED,
        "one in twenty thousand: `gone`": Outcome.GONE,
        "none: `held`": Outcome.HELD,
        "one: `subscription:` and its id": f"subscription:{device['id']}",
    }
    rows: list[tuple[object, ...]] = [
        (name, await listings.timed("deliveries", PageQuery(filter=text))) for name, text in filters.items()
    ]
    return table(("deliveries", "ms"), rows)


def main(arguments: Sequence[str]) -> None:
    """Measure, and write what comes of it into the document; of another size than a million, onto the terminal."""
    size = int(arguments[0]) if arguments else SIZE
    load = os.getloadavg()[0]
    tables = asyncio.run(measure(size))
    tables["machine"] = f"{os.cpu_count()} cores; load {load:.1f} before, {os.getloadavg()[0]:.1f} after."
    for name, text in tables.items():
        if size == SIZE:
            write_figures(DOCUMENT, name, text)
        else:
            sys.stdout.write(f"{text}\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
