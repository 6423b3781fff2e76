"""What is asked for in excess, or in other people's name, is refused in full; what is just within bounds is done."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.push_service import Device
from tests.reference.bench import Bench, bench
from tests.server.running import ADMIN_TOKEN
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_the_fiftieth_device_is_taken_and_no_other_until_one_goes(desk: Bench) -> None:
    devices = [await desk.subscribe_quietly("anna", f"d{number}") for number in range(50)]
    moving = await desk.subscribe_quietly("bert", "moving")
    service = desk.server.push_service
    before = await desk.listed("anna")
    for attempt in (
        desk.try_to_subscribe("anna", service.device("d50")),
        desk.try_to_subscribe("anna", service.device("d51"), replaces=service.origin + "/none"),
        desk.try_to_subscribe("anna", moving),
    ):
        problem = assert_problem(await attempt, 403, "forbidden")
        assert "50" in problem["detail"]
        assert "max_devices" in problem["hint"]
    assert await desk.listed("anna") == before
    assert len(await desk.listed("bert")) == 1
    # A renewal is no further device, and what is there already is none either.
    renewed = service.device("renewed")
    assert (await desk.try_to_subscribe("anna", renewed, replaces=devices[0].endpoint)).status == 201
    assert (await desk.try_to_subscribe("anna", renewed)).status == 200
    assert len(await desk.listed("anna")) == 50
    assert (await desk.notify("anna"))["counts"] == {"accepted": 50}
    await desk.unsubscribe("anna", renewed)
    assert (await desk.try_to_subscribe("anna", moving)).status == 200
    assert len(await desk.listed("anna")) == 50


async def test_the_cap_holds_for_many_who_subscribe_at_once(desk: Bench) -> None:
    service = desk.server.push_service
    keys = Device("").keys
    tries = [
        desk.ask(
            "POST",
            "anna",
            "subscription",
            msgspec.to_builtins(msgspec.structs.replace(service.device(f"d{number}").request(), keys=keys))
            | {"replaces": service.origin + "/none"},
        )
        for number in range(200)
    ]
    statuses = [answer.status for answer in await asyncio.gather(*tries)]
    assert (statuses.count(201), statuses.count(403)) == (50, 150)
    assert await desk.states("anna") == ["active"] * 50


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("topic", ["t", "t" * 200, "🐝" * 200, " \t/?#"], ["", "t" * 201, "🐝" * 201, 7, ["t"], {}, True]),
        ("ttl", [1, 60, 2_419_200], [0, -1, 2_419_201, 31_536_000, 10**30, 1.5, "60", True, [60]]),
        ("urgency", ["very-low", "low", "normal", "high"], ["", "HIGH", "urgent", 1, None]),
    ],
)
async def test_how_a_notification_is_to_be_delivered_is_within_bounds(
    desk: Bench, field: str, good: list[Any], bad: list[Any]
) -> None:
    await desk.subscribe("anna", "phone")
    desk.pushes.clear()
    for value in good:
        assert (await desk.notify("anna", **{field: value}))["counts"] == {"accepted": 1}
        header = desk.pushes.pop().headers[field.upper() if field == "ttl" else field.title()]
        assert header == {"topic": header[:32], "ttl": str(value), "urgency": value}[field]
        assert header.isascii()
    for value in bad:
        assert_problem(await desk.try_to_notify("anna", **{field: value}), 400, "bad_field", field)
    assert desk.pushed_to() == []


async def test_endpoints_that_are_other_peoples_in_the_one_way_or_another_are_refused(tmp_path: Path) -> None:
    """Loopback, private, metadata, another's server by a likely name: by subscribe, as a renewal, and with a token."""
    async with bench(tmp_path, is_allowed=False) as desk:
        for endpoint in (
            "https://127.0.0.1/x",
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:10.0.0.1]/x",
            "https://fcm.googleapis.com.evil.example/x",
            "https://evil.example/fcm.googleapis.com",
            "https://fcm.googleapis.com@evil.example/x",
            "https://fcm.googleapis.com:8443/x",
            "http://fcm.googleapis.com/x",
            desk.server.push_service.endpoint("phone"),
        ):
            device = Device(endpoint)
            for more in ({}, {"replaces": "https://fcm.googleapis.com/old"}):
                for token in (None, ADMIN_TOKEN):
                    body = msgspec.to_builtins(device.request(**more))
                    answer = await desk.ask("POST", "anna", "subscription", body, token=token)
                    assert_problem(answer, 400, "endpoint_refused", "endpoint")
        assert await desk.server.is_empty()
        assert desk.pushed_to() == []


@pytest.mark.parametrize("is_padded", [False, True], ids=["without padding", "padded"])
@pytest.mark.parametrize("encode", [base64.urlsafe_b64encode, base64.b64encode], ids=["base64url", "base64"])
async def test_keys_in_either_alphabet_with_and_without_padding_are_pushed_to(
    desk: Bench, encode: Callable[[bytes], bytes], *, is_padded: bool
) -> None:
    device = desk.server.push_service.device("phone")
    # One whose keys differ between the alphabets.
    while not {"-", "_"} & set(device.keys.p256dh + device.keys.auth):
        device = desk.server.push_service.device("phone")
    body = msgspec.to_builtins(device.request())
    for name, value in body["keys"].items():
        text = encode(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))).decode()
        body["keys"][name] = text if is_padded else text.rstrip("=")
    assert (await desk.ask("POST", "anna", "subscription", body)).status == 201
    await desk.notify("anna", "Hello")
    assert desk.pushed(device) == ["It's working!", "Hello"]
    # However they are written, they are the same keys.
    assert (await desk.try_to_subscribe("anna", device)).status == 200
