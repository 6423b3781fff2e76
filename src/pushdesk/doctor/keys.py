"""The VAPID keys and the encryption: whether they can be used, and whether others' implementations agree with ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import http_ece
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from pushdesk.doctor.database import NAMES
from pushdesk.doctor.findings import Check, Finding, broken, not_looked_at, ok, warning
from pushdesk.errors import PushdeskError
from pushdesk.model import KeyState, Service
from pushdesk.webpush.encryption import MAX_PLAINTEXT, encrypt
from pushdesk.webpush.vapid import Authorizer, SigningKey, subscriber_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushdesk.doctor.database import Contents
    from pushdesk.storage.records import StoredKey

STRICT: Final = (Service.APPLE,)
"""The services that look at the subscriber (docs/push-services.md)."""
UNKNOWN: Final = (Service.WNS,)
"""The services of which nobody knows whether they do."""
SOMEWHERE: Final = "https://push.example"


def judge_keys(
    keys: Sequence[StoredKey], unseal: Callable[[StoredKey], bytes], *, subscriber: str, now: float
) -> list[Finding]:
    """Say what is to be said of the keys.

    Args:
        keys: As they are stored.
        unseal: Returns a private key as PEM; raises `PushdeskError` if it cannot.
        subscriber: The `sub` claim.
        now: Unix time in seconds.
    """
    current = next((key for key in keys if key.state is KeyState.CURRENT), None)
    if current is None:
        return [
            broken(
                Check.VAPID_KEY,
                "There is no current VAPID key.",
                why="A start makes a new one. If there were older ones, browsers have to subscribe anew with it.",
                advice="If you have the old key, bring it back with `pushdesk keys import`; else start the server.",
            )
        ]
    findings = []
    signing = _read(current, unseal)
    if isinstance(signing, SigningKey):
        findings += [
            ok(Check.VAPID_KEY, f"The VAPID key {current.id} can be read."),
            _judge_token(signing, subscriber, now),
        ]
    else:
        findings.append(
            broken(
                Check.VAPID_KEY,
                f"The VAPID key {current.id} cannot be used: {signing}",
                why="Nothing can be signed with it, so nothing can be sent, and a start fails.",
                advice="Restore the database from a backup, or the key to unseal it with.",
            )
        )
    older = [key for key in keys if key.state is KeyState.RETIRING]
    unusable = [key.id for key in older if not isinstance(_read(key, unseal), SigningKey)]
    if unusable:
        findings.append(
            broken(
                Check.OLDER_KEYS,
                f"Retiring VAPID keys cannot be used: {', '.join(unusable)}.",
                why="They sign for the browsers that have not come by since the key was replaced.",
                advice="Restore the database from a backup, or the key to unseal it with.",
            )
        )
    elif older:
        names = ", ".join(key.id for key in older)
        advice = "`pushdesk keys list` shows how far their devices have moved."
        findings.append(ok(Check.OLDER_KEYS, f"Retiring keys go on signing: {names}.", advice=advice))
    return findings


def _read(key: StoredKey, unseal: Callable[[StoredKey], bytes]) -> SigningKey | str:
    """Return a key, or in a sentence why it cannot be used."""
    try:
        signing = SigningKey.from_pem(unseal(key))
    except PushdeskError as error:
        return error.detail
    if signing.public_key != key.public_key or signing.id != key.id:
        return "its private half does not belong to its public one."
    return signing


def _judge_token(key: SigningKey, subscriber: str, now: float) -> Finding:
    """Sign as for a push, and have it verified by the implementation that others use."""
    try:
        header = Authorizer(subscriber=subscriber, clock=lambda: now).authorization(key, f"{SOMEWHERE}/1")
        is_verified = bool(Vapid02.verify(header))
    except (ValueError, AssertionError, KeyError, IndexError):
        is_verified = False
    if is_verified:
        return ok(Check.VAPID_TOKEN, "What it signs is verified by py-vapid.")
    return broken(
        Check.VAPID_TOKEN,
        "What it signs is not verified by py-vapid.",
        why="Push services would refuse it: this installation is damaged, or cryptography does not fit.",
        advice="Install pushdesk anew.",
    )


def judge_encryption() -> Finding:
    """Encrypt and have http_ece decrypt, and the other way round a second time with keys of its own."""
    browser, auth = generate_private_key(SECP256R1()), os.urandom(16)
    point = browser.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    text = os.urandom(MAX_PLAINTEXT)
    sender, salt = generate_private_key(SECP256R1()), os.urandom(16)
    try:
        ours = encrypt(text, p256dh=point, auth=auth, private_key=sender, salt=salt)
        agrees = bool(http_ece.decrypt(ours, private_key=browser, auth_secret=auth) == text)
        # With the same key and salt there is one right answer, to the last bit.
        theirs = http_ece.encrypt(text, private_key=sender, dh=point, auth_secret=auth, salt=salt, rs=4096)
        agrees = agrees and theirs == ours
    except (http_ece.ECEException, ValueError):
        agrees = False
    if agrees:
        return ok(Check.ENCRYPTION, "What is encrypted here is what http_ece encrypts, and it can read it.")
    return broken(
        Check.ENCRYPTION,
        "What is encrypted here is not what http_ece encrypts, or it cannot read it.",
        why="No browser could show it: this installation is damaged, or cryptography does not fit.",
        advice="Install pushdesk anew.",
    )


def judge_subscriber(subscriber: str, contents: Contents) -> list[Finding]:
    """Say which push services take the `sub` claim."""
    problem = subscriber_problem(subscriber)
    if problem is None:
        return [ok(Check.SUBSCRIBER, f"All four push services take the subscriber {subscriber}.")]
    advice = "Set subscriber in [push] to a mailto: address of yours."
    findings = []
    for service in STRICT:
        say = broken if contents.active(service) else warning
        devices = contents.active(service)
        findings.append(
            say(
                Check.SUBSCRIBER,
                f"{NAMES[service]} refuses the subscriber {subscriber}. {problem}",
                why=f"It answers 403 to every push with it{f', and {devices} devices are there' if devices else ''}.",
                advice=advice,
            )
        )
    others = [service for service in Service if service not in (*STRICT, *UNKNOWN, Service.OTHER)]
    findings.append(ok(Check.SUBSCRIBER, f"{' and '.join(NAMES[service] for service in others)} take it."))
    findings += [
        not_looked_at(Check.SUBSCRIBER, f"{NAMES[service]} may or may not take it.", why="Nobody documented it.")
        for service in UNKNOWN
    ]
    return findings
