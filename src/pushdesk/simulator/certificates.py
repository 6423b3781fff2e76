"""Certificates for the names of the push services, good ones and bad ones, made anew at each start.

Their authority is trusted by whoever is told to (`SSL_CERT_FILE`), and its key is never written anywhere.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY: Final = timedelta(days=1)
_LIFE: Final = 30 * _DAY
_WRONG_NAME: Final = "wrong-name.invalid"


class Authority:
    """Makes certificates that are trusted by those who trust `certificate`."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("pushdesk simulator, for this machine only")
        now = datetime.now(UTC)
        self._certificate = (
            _builder(self._key, self._name, self._name, now - _DAY, now + _LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, SHA256())
        )

    @property
    def certificate(self) -> bytes:
        """Its own certificate, PEM."""
        return self._certificate.public_bytes(Encoding.PEM)

    def good(self, names: Sequence[str]) -> ssl.SSLContext:
        """Return what a server with these names needs."""
        now = datetime.now(UTC)
        return self._context(names, now - _DAY, now + _LIFE)

    def expired(self, names: Sequence[str]) -> ssl.SSLContext:
        """Return the same with a certificate that ended yesterday."""
        now = datetime.now(UTC)
        return self._context(names, now - 2 * _DAY, now - _DAY)

    def wrong_name(self) -> ssl.SSLContext:
        """Return the same with a certificate for another name."""
        return self.good((_WRONG_NAME,))

    def _context(self, names: Sequence[str], begins: datetime, ends: datetime) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(key, _named(names[0]), self._name, begins, ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )
        chain = certificate.public_bytes(Encoding.PEM)
        chain += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A context takes them from a file only.
        with TemporaryDirectory(prefix="pushdesk-") as folder:
            file = Path(folder, "chain.pem")
            file.write_bytes(chain)
            context.load_cert_chain(file)
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
