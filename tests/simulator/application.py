"""An application server on other people's libraries: py-vapid signs, http_ece encrypts."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import http_ece
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

if TYPE_CHECKING:
    import aiohttp

    from tests.simulator.wire import Clock


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    text: str


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encrypted(plaintext: bytes, keys: dict[str, str]) -> bytes:
    p256dh, auth = (base64.urlsafe_b64decode(keys[name] + "==") for name in ("p256dh", "auth"))
    body: bytes = http_ece.encrypt(
        plaintext,
        salt=os.urandom(16),
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=p256dh,
        auth_secret=auth,
        version="aes128gcm",
    )
    return body


class Application:
    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._vapid = Vapid02()
        self._vapid.generate_keys()
        self.public_key = unpadded(self._vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    def authorization(self, endpoint: str, **claims: object) -> str:
        parts = urlsplit(endpoint)
        usual = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int(self._clock.now) + 3600,
            "sub": "mailto:a@b.example",
        }
        return str(self._vapid.sign(usual | claims)["Authorization"])

    def token(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Sign what py-vapid would refuse to."""
        signed = ".".join(unpadded(json.dumps(part).encode()) for part in (header, claims))
        der = self._vapid.private_key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(der)
        return f"vapid t={signed}.{unpadded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))},k={self.public_key}"

    async def post(
        self, endpoint: str, body: bytes = b"", *, authorization: str | None = None, **headers: str | None
    ) -> Answer:
        """Push; a header that is None is left out."""
        sent = {
            "Authorization": authorization or self.authorization(endpoint),
            "TTL": "60",
            "Content-Encoding": "aes128gcm" if body else None,
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.post(
            endpoint, data=body, headers={name: value for name, value in sent.items() if value is not None}
        ) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return Answer(answer.status, dict(answer.headers), json.loads(text) if is_json else {}, text)
