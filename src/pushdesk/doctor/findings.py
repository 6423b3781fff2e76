"""What the doctor says: findings, each about one check, with what is the case, why it matters, and what to do."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    NOT_LOOKED_AT = "not_looked_at"

    @property
    def glyph(self) -> str:
        """The sign before a finding."""
        return {"ok": "✓", "warning": "!", "broken": "✗", "not_looked_at": "-"}[self]


class Check(StrEnum):
    """Everything that is looked at, in the order in which it is told; before the dot, the subject."""

    CONFIGURATION = "configuration.readable"
    CONFIGURATION_MODE = "configuration.mode"
    ALLOWED_ENDPOINTS = "configuration.allowed_endpoints"
    ALLOWED_ORIGINS = "configuration.allowed_origins"
    SUMMARIES = "configuration.summaries"
    DATA_DIRECTORY = "data_directory.usable"
    OWNER = "data_directory.owner"
    MODES = "data_directory.modes"
    FILE_SYSTEM = "data_directory.file_system"
    DISK = "data_directory.disk"
    LOG_FILE = "data_directory.log_file"
    DATABASE = "database.readable"
    SCHEMA = "database.schema"
    INTEGRITY = "database.integrity"
    SIZE = "database.size"
    QUEUE = "database.queue"
    SEALING = "secrets.sealing"
    VAPID_KEY = "keys.current"
    OLDER_KEYS = "keys.older"
    VAPID_TOKEN = "keys.token"  # noqa: S105 (the name of the check)
    ENCRYPTION = "keys.encryption"
    SUBSCRIBER = "keys.subscriber"
    ANSWERS = "deliveries.answers"
    DEVICES = "deliveries.devices"
    LISTENING = "server.address"
    SERVER = "server.answers"
    VERSION = "server.version"
    READINESS = "server.readiness"
    PAGE = "server.page"
    WORKER = "server.worker"
    SERVER_KEY = "server.key"
    SECURE_CONTEXT = "access_url.secure_context"
    ACCESS_URL = "access_url.leads_here"
    CERTIFICATE = "access_url.certificate"
    LOCAL_PAGE = "access_url.local_page"
    TRUSTED_PROXY = "access_url.trusted_proxy"
    PUSH_SERVICE = "push_services.reachable"
    CLOCK = "machine.clock"
    OPEN_FILES = "machine.open_files"
    IPV6_LOOPBACK = "machine.ipv6_loopback"

    @property
    def subject(self) -> str:
        """What it is about, for a person."""
        name = self.partition(".")[0].replace("_", " ")
        return {"access url": "Access URL"}.get(name, name.capitalize())


class Finding(Struct, frozen=True):
    """One thing that was found. Holds no secret, and of strangers' words only plain text."""

    check: Check
    level: Level
    what: str
    why: str = ""
    advice: str = ""


def ok(check: Check, what: str, *, why: str = "", advice: str = "") -> Finding:
    """Say that something is as it should be; advice is for whoever wants more than that."""
    return Finding(check, Level.OK, what, why, advice)


def warning(check: Check, what: str, *, why: str, advice: str) -> Finding:
    """Say that something works and could be better, or will not work for long."""
    return Finding(check, Level.WARNING, what, why, advice)


def broken(check: Check, what: str, *, why: str, advice: str) -> Finding:
    """Say that something does not work, or that secrets lie open."""
    return Finding(check, Level.BROKEN, what, why, advice)


def not_looked_at(check: Check, what: str, *, why: str = "") -> Finding:
    """Say what was left out."""
    return Finding(check, Level.NOT_LOOKED_AT, what, why)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order of the checks."""
    order = {check: number for number, check in enumerate(Check)}
    return tuple(sorted(findings, key=lambda finding: order[finding.check]))


def are_healthy(findings: Iterable[Finding], *, strict: bool) -> bool:
    """Whether nothing is broken; if `strict`, whether there is no warning either."""
    bad = {Level.BROKEN, Level.WARNING} if strict else {Level.BROKEN}
    return not any(finding.level in bad for finding in findings)
