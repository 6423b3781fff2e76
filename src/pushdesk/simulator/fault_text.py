"""How a fault is written: `KIND[:DETAIL=VALUE,...][@WHOM]...`.

429:retry-after=30@10%          of ten pushes one is throttled, for half a minute
silence@browser=3               the third browser's push service never answers
503@service=fcm@next=20         the next twenty pushes to FCM fail
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pushdesk.simulator.display import shortened
from pushdesk.simulator.faults import AT_CONNECTING, AT_SUBSCRIBING, EVERY, Fault, FaultKind
from pushdesk.simulator.personality import Personality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_FAULT: Final = 500
"""Characters."""
_LONGEST_WAIT_S: Final = 3600
_LONGEST_TTL_S: Final = 30 * 24 * 3600
_FINAL: Final = range(200, 600)
"""Statuses that end an answer (RFC 9110 section 15)."""


def parse_fault(text: str) -> Fault:
    """Read a fault.

    Raises:
        ValueError: It is none; the sentence names the part that is wrong and what can stand there.
    """
    if len(text) > LONGEST_FAULT:
        raise ValueError(f"A fault has at most {LONGEST_FAULT} characters.")
    what, *whom = text.split("@")
    name, colon, details = what.partition(":")
    read = _kind(name, text)
    kind: FaultKind = read["kind"]
    for detail in details.split(",") if colon else ():
        read |= _pair(detail, _DETAILS.get(kind, {}), f"{name}:", text)
    for place in whom:
        if place.endswith("%"):
            read["percent"] = _value(_percent, place.removesuffix("%"), "A percentage", text)
        else:
            read |= _pair(place, _places(kind), "@", text)
    if kind in _NEEDS_SECONDS and "seconds" not in read:
        raise _wrong(f"{name} needs its seconds, such as {name}:seconds=5.", text)
    return Fault(text=text, **read)


def _kind(name: str, text: str) -> dict[str, Any]:
    if re.fullmatch(r"[0-9]{3}", name, re.ASCII) and int(name) in _FINAL:
        return {"kind": FaultKind.STATUS, "status": int(name)}
    named = [kind.value for kind in FaultKind if kind is not FaultKind.STATUS]
    if name not in named:
        allowed = f"a status from {_FINAL[0]} to {_FINAL[-1]}, {', '.join(named)}"
        raise _wrong(f"There is no fault “{shortened(name)}”, only {allowed}.", text)
    return {"kind": FaultKind(name)}


def _places(kind: FaultKind) -> Mapping[str, Callable[[str], object]]:
    """Return what can narrow a fault down, where it is met."""
    unknown = {"browser", "subscription"} if kind in AT_CONNECTING else set()
    unknown |= {"subscription"} if kind in AT_SUBSCRIBING else set()
    return {name: reader for name, reader in _WHOM.items() if name not in unknown}


def _pair(pair: str, readers: Mapping[str, Callable[[str], object]], after: str, text: str) -> dict[str, Any]:
    name, equals, value = pair.partition("=")
    if not equals or name not in readers:
        allowed = [f"{one}=…" for one in readers] + (["a percentage"] if after == "@" else [])
        can = f"only {', '.join(allowed)}" if allowed else "nothing"
        raise _wrong(f"“{shortened(pair)}” cannot stand after “{after}”, {can}.", text)
    return {name.replace("-", "_"): _value(readers[name], value, name, text)}


def _value(reader: Callable[[str], object], value: str, name: str, text: str) -> object:
    try:
        return reader(value)
    except ValueError as error:
        raise _wrong(f"{name} cannot be “{shortened(value)}”: it is {error}.", text) from None


def _wrong(why: str, text: str) -> ValueError:
    return ValueError(f"“{shortened(text)}” is no fault. {why}")


def _percent(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text, re.ASCII) is None or not 0 < float(text) <= EVERY:
        raise ValueError(f"over 0 and at most {EVERY:.0f}")
    return float(text)


def _seconds(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text, re.ASCII) is None or float(text) > _LONGEST_WAIT_S:
        raise ValueError(f"a number of seconds up to {_LONGEST_WAIT_S}")
    return float(text)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _matching(pattern: str, wanted: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None:
            raise ValueError(wanted)
        return text

    return read


def _service(text: str) -> Personality:
    if text not in set(Personality):
        raise ValueError(f"one of {', '.join(Personality)}")
    return Personality(text)


_SECONDS: Final = {"seconds": _seconds}
_STATUS: Final = {"status": _whole(_FINAL[0], _FINAL[-1])}
_DETAILS: Final[Mapping[FaultKind, Mapping[str, Callable[[str], object]]]] = {
    FaultKind.STATUS: {
        "retry-after": _matching(
            "[0-9]{1,9}|date|garbage|huge|negative|none",
            "a number of seconds, date, garbage, huge, negative or none",
        ),
        "location": _matching(r"https?://[\x21-\x7e]{1,300}", "a URL such as http://127.0.0.1:1/"),
    },
    FaultKind.TTL: {"seconds": _whole(0, _LONGEST_TTL_S)},
    FaultKind.DELAY: _SECONDS,
    FaultKind.SLOW_HEAD: _SECONDS,
    FaultKind.SLOW_BODY: {**_SECONDS, **_STATUS},
    FaultKind.ENDLESS_BODY: _STATUS,
    FaultKind.GZIP_BOMB: _STATUS,
}
"""What can be said of a fault after its `:`."""
_NEEDS_SECONDS: Final = frozenset({FaultKind.TTL, FaultKind.DELAY})
_WHOM: Final[Mapping[str, Callable[[str], object]]] = {
    "browser": _whole(1, 1_000_000),
    "subscription": _matching("[A-Za-z0-9_-]{1,64}", "the id of a subscription"),
    "service": _service,
    "next": _whole(1, 1_000_000),
}
"""Whom it is for and how often it is met, each after an `@`."""
