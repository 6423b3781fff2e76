"""A small site at an origin of its own, which is no pushdesk: the page of `docs/sites.md` and a copy of `sw.js`."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Final

from aiohttp import web

from pushdesk.assets import assets_directory
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXAMPLE: Final = re.compile(r"```html\n(?P<page>.*?)```", re.DOTALL)


class Site:
    """A site that runs. `page` is what it serves at `/`."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.page = ""

    def follow_the_document(self, server: str, code: str) -> None:
        """Serve the page of `docs/sites.md`, for this server and this invitation."""
        example = _EXAMPLE.search((CHECKOUT / "docs" / "sites.md").read_text(encoding="utf-8"))
        assert example is not None
        page = example["page"]
        for placeholder, value in (("https://push.example", server), ("THE-INVITATIONS-CODE", code)):
            assert placeholder in page
            page = page.replace(placeholder, value)
        self.page = page

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer with the page, or with the copy of the worker."""
        if request.path == "/":
            return web.Response(text=self.page, content_type="text/html")
        return web.FileResponse(assets_directory() / request.path.removeprefix("/"))


@contextmanager
def serving_site() -> Iterator[Site]:
    """Run a site on this machine, under another name than the server's."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="site")
    thread.start()
    site = Site("")
    app = web.Application()
    for path in ("/", "/sw.js"):
        app.router.add_get(path, site.serve)
    runner = web.AppRunner(app, access_log=None)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    try:
        site.origin = f"http://127.0.0.1:{asyncio.run_coroutine_threadsafe(start(), loop).result()}"
        yield site
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
