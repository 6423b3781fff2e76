"""What an encryption costs: `python -m benchmarks.encryption [ROUNDS]`.

A message of 250 bytes for one device, by what it cannot do without: one key generation and one exchange by the same
library with a public key that was read before. In turns, a few of each at a time, within one run; ratios are the median
of those of the rounds, CPU time of this process. Beside them `http_ece` with keys that were read before, and
`WebPusher.encode` of pywebpush, as its senders call it.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, Final

import http_ece
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pywebpush import WebPusher

from benchmarks.processes import load_average
from pushdesk.webpush.device_keys import KEY_SIZE, DeviceKeys
from pushdesk.webpush.encryption import encode_base64url, encrypt

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS: Final = 600
A_ROUND: Final = 10
MESSAGE: Final = os.urandom(250)
BARE: Final = "key generation and exchange"
KEPT: Final = "pushdesk, device key kept"
READ: Final = "pushdesk, device key read anew"


def contestants() -> dict[str, Callable[[], object]]:
    """Return what is measured, by name."""
    curve, exchange, auth = SECP256R1(), ECDH(), os.urandom(16)
    p256dh = generate_private_key(curve).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    device, keys = EllipticCurvePublicKey.from_encoded_point(curve, p256dh), DeviceKeys(KEY_SIZE)
    subscription = {
        "endpoint": "https://push.example.com/",
        "keys": {"p256dh": encode_base64url(p256dh), "auth": encode_base64url(auth)},
    }

    def with_http_ece() -> object:
        return http_ece.encrypt(
            MESSAGE,
            salt=os.urandom(16),
            private_key=generate_private_key(curve),
            dh=p256dh,
            auth_secret=auth,
            version="aes128gcm",
        )

    return {
        BARE: lambda: generate_private_key(curve).exchange(exchange, device),
        KEPT: lambda: encrypt(MESSAGE, p256dh=p256dh, auth=auth, keys=keys),
        READ: lambda: encrypt(MESSAGE, p256dh=p256dh, auth=auth),
        "http_ece": with_http_ece,
        "pywebpush WebPusher.encode": lambda: WebPusher(subscription).encode(MESSAGE),
    }


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of CPU of one of each, round by round."""
    found: dict[str, list[float]] = defaultdict(list)
    measured = contestants()
    for round_ in range(-10, rounds):
        for name, run in measured.items():
            began_s = time.process_time()
            for _ in range(A_ROUND):
                run()
            if round_ >= 0:
                found[name].append((time.process_time() - began_s) / A_ROUND)
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    before = load_average()
    found = measure(rounds)
    print("| | us | by key generation and exchange | by pushdesk |\n| --- | --: | --: | --: |")
    for name, seconds in found.items():
        by_bare, by_ours = (
            median(mine / other for mine, other in zip(seconds, found[of], strict=True)) for of in (BARE, KEPT)
        )
        print(f"| {name} | {1e6 * median(seconds):.0f} | {by_bare:.2f} | {by_ours:.2f} |")
    print(
        f"\n{rounds} rounds of {A_ROUND} each; load average {before:.2f} before, {load_average():.2f} after. "
        f"A kept key takes {KEY_SIZE} bytes."
    )


if __name__ == "__main__":
    main()
