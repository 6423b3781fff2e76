"""The events of the log: each a constant with typed fields, in which there is no room for a secret."""

from __future__ import annotations

import inspect
import sys
import types
from enum import StrEnum
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import pytest
from msgspec import structs

from pushdesk import log_events
from pushdesk.log_events import LogEvent, SubscriptionMade, fields_of, name_of
from pushdesk.log_fields import Device, Failure, Id, Origin, Places, Reason, RoutePattern, UserId, Word
from pushdesk.model import LogLevel, Service
from tests.programs import CHECKOUT, bare_environment, run

if TYPE_CHECKING:
    from pathlib import Path

KEYWORD_ONLY = Parameter.KEYWORD_ONLY
TEXTS = {Id, Word, RoutePattern, Origin, UserId, Reason, Places}
EVENTS = sorted(
    (
        kind
        for kind in vars(log_events).values()
        if isinstance(kind, type) and issubclass(kind, LogEvent) and not kind.__name__.endswith("Event")
    ),
    key=name_of,
)
WELL_SAID = """
from pushdesk.log import write
from pushdesk.log_events import DispatchAccepted, KeyMadeCurrent, ServerEnded
from pushdesk.log_fields import Id, UserId
from pushdesk.model import DispatchKind, PushTarget

def tell(target: PushTarget, token: str, plaintext: bytes) -> None:
    write(ServerEnded(left=1))
    write(KeyMadeCurrent(key=Id(target.key_id)))
    write(DispatchAccepted(dispatch=Id("0a"), kind=DispatchKind.TEST, user=UserId(target.user)))
"""
BADLY_SAID = {
    "    write(ServerEnded(left=1, right=2))": "call-arg",
    "    write(ServerEnded())": "call-arg",
    '    write(ServerEnded(left="one"))': "arg-type",
    "    write(KeyMadeCurrent(key=target.endpoint))": "arg-type",
    "    write(KeyMadeCurrent(key=target.p256dh))": "arg-type",
    "    write(KeyMadeCurrent(key=token))": "arg-type",
    "    write(KeyMadeCurrent(key=Id(plaintext)))": "arg-type",
    '    write(DispatchAccepted(dispatch=Id("0a"), kind="test", user=UserId(token)))': "arg-type",
    '    write("something happened")': "arg-type",
    "    write(target)": "arg-type",
}


def parts(annotation: Any) -> set[Any]:
    """Return the types of a union, or the one that it is."""
    return set(get_args(annotation)) if get_origin(annotation) in {Union, types.UnionType} else {annotation}


def leaves(kind: type[LogEvent | Device | Failure]) -> dict[str, set[Any]]:
    """Return the types that each field of an event may have."""
    hints = get_type_hints(kind)
    found: dict[str, set[Any]] = {}
    for field in structs.fields(kind):
        allowed = parts(hints[field.name])
        for part in allowed & {Device, Failure}:
            found |= leaves(part)
        if not allowed & {Device, Failure}:
            found[field.name] = allowed
    return found


async def test_mypy_refuses_what_an_event_does_not_have(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(WELL_SAID + "\n".join(BADLY_SAID) + "\n")
    command = (sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-error-summary")
    options = ("--follow-imports=silent", "--cache-dir", str(tmp_path / "cache"), str(snippet))
    finished = await run(*command, *options, env=bare_environment(tmp_path), cwd=CHECKOUT, timeout_s=100)
    before = WELL_SAID.count("\n")
    refused = {
        int(line.split(":")[1]) - before: line.rpartition("[")[2].rstrip("]")
        for line in finished.out.splitlines()
        if ": error: " in line
    }
    assert refused == dict(enumerate(BADLY_SAID.values(), start=1)), finished.out + finished.err


@pytest.mark.parametrize("kind", EVENTS, ids=name_of)
def test_a_field_holds_a_number_an_enumeration_or_a_text_that_guards_itself(kind: type[LogEvent]) -> None:
    for name, allowed in leaves(kind).items():
        for part in allowed - TEXTS - {int, float, bool, types.NoneType}:
            assert issubclass(part, StrEnum), f"{kind.__name__}.{name}: {part}"


@pytest.mark.parametrize("kind", EVENTS, ids=name_of)
def test_an_event_is_constant_and_its_fields_are_given_by_name(kind: type[LogEvent]) -> None:
    assert kind.__struct_config__.frozen
    positional = {name for name, given in inspect.signature(kind).parameters.items() if given.kind is not KEYWORD_ONLY}
    assert positional <= {"failure", "subscription"}
    assert not {"time", "level", "event", "logger", "type"} & set(leaves(kind))


def row(kind: type[LogEvent]) -> str:
    """Return what docs/log.md says of an event."""
    fields = [f"`{name}`" for name in leaves(kind)]
    return f"| `{name_of(kind)}` | {kind.level} | {', '.join(fields)} | {(kind.__doc__ or '').rstrip('.')} |"


def test_every_event_is_documented_as_it_is() -> None:
    written = (CHECKOUT / "docs" / "log.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in written if line.startswith("| `") and line.split(" | ")[1] in set(LogLevel)]
    assert sorted(rows) == [row(kind) for kind in EVENTS]


def test_names_are_the_classes_in_snake_case() -> None:
    assert name_of(SubscriptionMade) == "subscription_made"
    names = [name_of(kind) for kind in EVENTS]
    assert len(set(names)) == len(names) > 20


def test_a_device_and_a_failure_are_told_as_fields_of_the_event() -> None:
    device = Device(Id("0a"), UserId("ada"), Service.FCM, Id("ff"), Word("Firefox"), Word("macOS"))
    assert fields_of(SubscriptionMade(device)) == {
        "device": "0a",
        "user": "ada",
        "service": "fcm",
        "fingerprint": "ff",
        "browser": "Firefox",
        "platform": "macOS",
    }
