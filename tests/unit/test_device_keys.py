from __future__ import annotations

import subprocess
import sys
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.engine.carrier import InProcess
from pushdesk.errors import BadKeysError
from pushdesk.sender.frames import Push
from pushdesk.webpush.device_keys import CACHE_SHARE, KEY_SIZE, DeviceKeys, share_of_cache
from pushdesk.webpush.encryption import encrypt
from pushdesk.webpush.push_answer import PushAnswer

if TYPE_CHECKING:
    from pushdesk.webpush.request import PushRequest

AUTH = bytes(range(16))


class Accepting:
    """What posts, where every push is accepted."""

    async def post(self, _request: PushRequest) -> PushAnswer:
        return PushAnswer(201, {}, b"", 0.0)

    async def aclose(self) -> None:
        """Nothing is open."""


def private_key(number: int) -> EllipticCurvePrivateKey:
    return derive_private_key(number + 1, SECP256R1())


def point(number: int) -> bytes:
    return private_key(number).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


POINTS = tuple(map(point, range(12)))


@given(st.integers(0, 5), st.lists(st.integers(0, len(POINTS) - 1), max_size=40))
def test_those_used_last_are_kept_within_the_bytes_that_there_are(room: int, used: list[int]) -> None:
    keys = DeviceKeys(room * KEY_SIZE + KEY_SIZE - 1)
    expected: OrderedDict[int, object] = OrderedDict()
    for number in used:
        key = keys.read(POINTS[number])
        assert key == private_key(number).public_key()
        assert expected.pop(number, key) is key, "it was read anew"
        expected[number] = key
        while len(expected) > room:
            expected.popitem(last=False)
        assert (len(keys), keys.size) == (len(expected), len(expected) * KEY_SIZE)


@pytest.mark.parametrize("p256dh", [b"", POINTS[0][:-1], POINTS[0][:-1] + bytes([POINTS[0][-1] ^ 1]), b"\x04" * 65])
def test_what_is_no_key_is_refused_each_time_and_never_kept(p256dh: bytes) -> None:
    keys = DeviceKeys(10 * KEY_SIZE)
    for _ in range(3):
        with pytest.raises(BadKeysError) as refused:
            encrypt(b"x", p256dh=p256dh, auth=AUTH, keys=keys)
        assert refused.value.fields == ("keys.p256dh",)
        with pytest.raises(ValueError, match=r"."):
            keys.read(p256dh)
    assert len(keys) == 0


def test_a_good_key_with_a_bad_secret_is_refused_although_it_is_kept() -> None:
    keys = DeviceKeys(10 * KEY_SIZE)
    for _ in range(2):
        with pytest.raises(BadKeysError) as refused:
            encrypt(b"x", p256dh=POINTS[0], auth=AUTH[1:], keys=keys)
        assert refused.value.fields == ("keys.auth",)


def test_messages_by_keys_that_were_kept_are_for_whom_they_are_meant() -> None:
    keys = DeviceKeys(3 * KEY_SIZE)
    for number in (0, 1, 0, 2, 3, 4, 0, 1):
        body = encrypt(b"for %d" % number, p256dh=POINTS[number], auth=AUTH, keys=keys)
        read = http_ece.decrypt(body, private_key=private_key(number), auth_secret=AUTH, version="aes128gcm")
        assert read == b"for %d" % number


def test_all_who_hold_keys_take_no_more_than_their_share_of_the_cache_together() -> None:
    for holders in range(1, 9):
        assert 0 < share_of_cache(40_000_000, holders) * holders <= 40_000_000 * CACHE_SHARE


MEASURE = """
import gc
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ec import ECDH, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pushdesk.webpush.device_keys import KEY_SIZE, DeviceKeys

def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def use(keys, numbers):
    for number in numbers:
        made = derive_private_key(number, SECP256R1())
        made.exchange(ECDH(), keys.read(made.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)))

use(DeviceKeys(0), range(1, 2000))
keys = DeviceKeys(4000 * KEY_SIZE)
before = resident()
use(keys, range(2000, 6000))
full = resident() - before
use(keys, range(6000, 14000))
print(keys.size, full, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_keys_take_the_memory_that_they_are_counted_with_also_where_others_gave_way() -> None:
    said = subprocess.run(  # noqa: S603 (a program of our own)
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    ).stdout
    counted, full, later = map(int, said.split())
    assert counted == 4000 * KEY_SIZE
    assert 0.8 * counted <= full <= counted
    assert later <= 1.1 * counted


async def test_keys_are_kept_where_the_engine_sends_by_itself() -> None:
    keys = DeviceKeys(2 * KEY_SIZE)
    carrier = InProcess(Accepting(), time.monotonic, keys)
    for point_ in (POINTS[0], POINTS[1], POINTS[0], b"no key"):
        await carrier.carry("1", Push("https://push.example.com/", point_, AUTH, b"hello", {}))
    assert len(keys) == 2
