"""Subscribing a device over HTTP, as the local page does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import msgspec

if TYPE_CHECKING:
    from tests.push_service import Device


async def subscribe(url: str, user: str, device: Device) -> None:
    """Subscribe a device for a user."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{url}/api/v1/users/{user}/webpush/subscription",
            data=msgspec.json.encode(device.request()),
            headers={"Content-Type": "application/json"},
        ) as answer,
    ):
        assert answer.status == 201, await answer.text()
