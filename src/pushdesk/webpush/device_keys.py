"""The public keys of devices, read and checked once: to do so for every message costs a twelfth of its encryption."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

PUBLIC_KEY_SIZE: Final = 65
"""Bytes of an uncompressed point of P-256."""

KEY_SIZE: Final = 2600
"""Bytes of memory that a key takes, nearly all of them OpenSSL's, which Python's own accounts do not see: measured."""

CACHE_SHARE: Final = 0.1
"""The part of the cache's memory that all the keys together may take."""

_CURVE: Final = SECP256R1()


class DeviceKeys:
    """Keeps the keys that were used last. What is no key is never kept.

    Args:
        max_size: Bytes of memory that they may take together; 0 to keep none.
    """

    def __init__(self, max_size: int) -> None:
        self._room = max_size // KEY_SIZE
        self._keys: OrderedDict[bytes, EllipticCurvePublicKey] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def size(self) -> int:
        """Bytes of memory that the keys take, by estimate."""
        return len(self._keys) * KEY_SIZE

    def read(self, p256dh: bytes) -> EllipticCurvePublicKey:
        """Return a device's public key, which is the last to give way from now on.

        Args:
            p256dh: The key as an uncompressed point.

        Raises:
            ValueError: It is none.
        """
        key = self._keys.get(p256dh)
        if key is not None:
            self._keys.move_to_end(p256dh)
            return key
        key = read_public_key(p256dh)
        if self._room:
            if len(self._keys) >= self._room:
                self._keys.popitem(last=False)
            self._keys[p256dh] = key
        return key


def read_public_key(p256dh: bytes) -> EllipticCurvePublicKey:
    """Read a device's public key.

    Args:
        p256dh: The key as an uncompressed point.

    Raises:
        ValueError: It is none: another form, another curve or not on this one.
    """
    if len(p256dh) != PUBLIC_KEY_SIZE:
        raise ValueError("This is no uncompressed point of P-256.")
    return EllipticCurvePublicKey.from_encoded_point(_CURVE, p256dh)


def share_of_cache(cache_size: int, holders: int) -> int:
    """Return how many bytes each of those who hold keys may give them.

    Args:
        cache_size: Bytes of the whole cache, as configured.
        holders: How many hold keys; at least 1.
    """
    return int(cache_size * CACHE_SHARE) // holders
