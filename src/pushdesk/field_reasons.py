"""What is wrong with a field's value, in words for people: pure. msgspec's own name Python's types and bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

_KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "datetime": "a time (RFC 3339)",
    "null": "null",
}
_FORMS: Final = {"^[0-9a-f]{8}$": "8 hexadecimal digits"}
_TIMES: Final = {
    "Invalid RFC3339 encoded datetime": "must be a time (RFC 3339), such as 2030-01-31T08:00:00Z",
    "Expected `datetime` with a timezone component": "must be a time with its zone, such as 2030-01-31T08:00:00Z",
}
_LENGTH: Final = re.compile(r"Expected `(?P<kind>\w+)` of length (?P<bound>[<>]=) (?P<number>\d+)")
_BOUND: Final = re.compile(r"Expected `(?P<kind>\w+)` (?P<bound>[<>]=) (?P<number>\S+)")
_FORM: Final = re.compile(r"Expected `str` matching regex '(?P<form>.*)'")
_TYPE: Final = re.compile(r"Expected `(?P<kinds>[^`]+)`, got `(?P<got>\w+)`")


def reason(error: msgspec.ValidationError) -> str:
    """Return what a field's value must be: what goes after the field's name, without the full stop."""
    said = str(error).partition(" - at ")[0]
    if said in _TIMES:
        return _TIMES[said]
    if match := _LENGTH.fullmatch(said):
        return _length(match["kind"], match["bound"], int(match["number"]))
    if match := _BOUND.fullmatch(said):
        number = match["number"].removesuffix(".0")
        return f"must be {_kind(match['kind'])} of at {'least' if match['bound'] == '>=' else 'most'} {number}"
    if match := _FORM.fullmatch(said):
        return f"must be {_FORMS.get(match['form'], 'of the form ' + match['form'])}"
    if match := _TYPE.fullmatch(said):
        kinds = " or ".join(_kind(kind) for kind in match["kinds"].split(" | "))
        got = "a number" if match["got"] == "int" else "a fraction" if match["got"] == "float" else _kind(match["got"])
        return f"must be {kinds}, not {got}"
    return said[:1].lower() + said[1:]


def one_of(words: Iterable[str]) -> str:
    """Return the reason for a value that is none of some words."""
    return f"must be one of {', '.join(words)}"


def _length(kind: str, bound: str, number: int) -> str:
    if bound == ">=" and number == 1:
        return "must not be empty"
    noun = "character" if kind == "str" else "item"
    return f"must have at {'least' if bound == '>=' else 'most'} {number} {noun}{'' if number == 1 else 's'}"


def _kind(name: str) -> str:
    return _KINDS.get(name, name)
