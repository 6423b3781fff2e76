"""Fitting what came from outside into a Struct, and naming every field that does not fit."""

from __future__ import annotations

from enum import EnumMeta
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Self, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from pushdesk.errors import PushdeskError
from pushdesk.field_reasons import one_of, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

S = TypeVar("S", bound=Struct)

_WHOLE_NUMBERS: Final = range(-(2**63), 2**64)


class Fault(NamedTuple):
    """What is wrong with one field."""

    field: str
    reason: str
    is_unknown: bool = False


def fit(values: Mapping[str, object], shape: type[S], *, strict: bool = True) -> S:
    """Return `values` as a `shape`.

    Args:
        values: Decoded JSON, or the parameters of a query.
        shape: The Struct to make.
        strict: Whether a number must be one; a query has only strings.

    Raises:
        PushdeskError: `unknown_field` or `bad_field`, with every offending field.
    """
    made = _fit_flat(values, shape, strict=strict)
    if made is not None:
        return made
    faults = list(_struct_faults(values, shape, "", strict=strict))
    if faults:
        raise PushdeskError(
            " ".join(f"{fault.field}: {fault.reason}." for fault in faults),
            code="unknown_field" if any(fault.is_unknown for fault in faults) else "bad_field",
            fields=tuple(fault.field for fault in faults),
        )
    return msgspec.convert(values, shape, strict=strict)


class _Field(NamedTuple):
    """A field of a Struct."""

    hint: Any
    """Its type, with its bounds."""
    form: Any
    """The type itself, without its bounds and without the `None` it may also be."""
    is_required: bool
    checks: tuple[Callable[[object], object], ...]
    """What the field says by itself of a value that has the right type: `Meta(extra={"check": ...})`."""

    @property
    def is_struct(self) -> bool:
        """Whether it holds a Struct."""
        return isinstance(self.form, type) and issubclass(self.form, Struct)

    @property
    def is_tuple(self) -> bool:
        """Whether it holds a tuple, of Structs perhaps."""
        return get_origin(self.form) is tuple

    @classmethod
    def of(cls, hint: Any, *, is_required: bool = False) -> Self:  # noqa: ANN401 (a type form)
        """Return a field of a type."""
        metas = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        extras = [meta.extra or {} for meta in metas if isinstance(meta, msgspec.Meta)]
        checks = tuple(extra["check"] for extra in extras if "check" in extra)
        return cls(hint, _without_null(hint), is_required, checks)


@cache
def _fields(shape: type[Struct]) -> Mapping[str, _Field]:
    """Return the fields of a Struct by name; to find out costs more than to fit a body."""
    return {
        field.encode_name: _Field.of(field.type, is_required=field.required) for field in msgspec.structs.fields(shape)
    }


class _Flat(NamedTuple):
    """The fields of a Struct that hold neither Structs nor tuples."""

    names: frozenset[str]
    checks: tuple[tuple[str, Callable[[object], object]], ...]
    """What those fields say by themselves, each with the name of its field."""


@cache
def _flat(shape: type[Struct]) -> _Flat:
    flat = {name: field for name, field in _fields(shape).items() if not (field.is_struct or field.is_tuple)}
    return _Flat(frozenset(flat), tuple((name, check) for name, field in flat.items() for check in field.checks))


def _fit_flat(values: Mapping[str, object], shape: type[S], *, strict: bool) -> S | None:
    """Return `values` as a `shape` if nothing is wrong with them and they are flat; else None, whatever it is.

    Most are, and it costs far less than to look for faults.
    """
    flat = _flat(shape)
    if not values.keys() <= flat.names:
        return None
    try:
        # MessagePack has neither halves of surrogate pairs nor numbers of more than 64 bits.
        msgspec.msgpack.encode(values)
        made = msgspec.convert(values, shape, strict=strict)
        for name, check in flat.checks:
            if name in values:
                check(values[name])
    except (UnicodeEncodeError, OverflowError, RecursionError, msgspec.ValidationError, PushdeskError):
        return None
    return made


def _struct_faults(values: object, shape: type[Struct], path: str, *, strict: bool) -> Iterator[Fault]:
    if not isinstance(values, dict):
        yield Fault(path, "must be an object")
        return
    fields = _fields(shape)
    for name in values:
        if name not in fields:
            yield Fault(_printable(_join(path, name)), "not known here", is_unknown=True)
    for name, field in fields.items():
        if name in values:
            yield from _value_faults(values[name], field, _join(path, name), strict=strict)
        elif field.is_required:
            yield Fault(_join(path, name), "required")


def _value_faults(value: object, field: _Field, path: str, *, strict: bool) -> Iterator[Fault]:
    form = field.form
    faults: list[Fault] = []
    if field.is_struct and value is not None:
        faults.extend(_struct_faults(value, form, path, strict=strict))
    elif field.is_tuple and isinstance(value, list):
        item = _Field.of(get_args(form)[0])
        for index, element in enumerate(value):
            faults.extend(_value_faults(element, item, f"{path}[{index}]", strict=strict))
    elif unusable := _unusable(value):
        faults.append(Fault(path, unusable))
    if not faults:
        try:
            msgspec.convert(value, field.hint, strict=strict)
        except msgspec.ValidationError as error:
            faults.append(Fault(path, _reason(error, form)))
        else:
            faults.extend(Fault(path, refusal) for refusal in _refusals(value, field))
    yield from faults


def _refusals(value: object, field: _Field) -> Iterator[str]:
    for check in field.checks:
        try:
            check(value)
        except PushdeskError as error:
            yield error.detail.rstrip(".")


def _without_null(hint: Any) -> Any:  # noqa: ANN401 (a type form)
    """Return the type itself, without its bounds and without the `None` it may also be."""
    if get_origin(hint) is Annotated:
        return _without_null(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        others = [part for part in get_args(hint) if part is not NoneType]
        return _without_null(others[0]) if len(others) == 1 else hint
    return hint


def _reason(error: msgspec.ValidationError, form: object) -> str:
    if isinstance(form, EnumMeta):
        return one_of(form.__members__[name].value for name in form.__members__)
    return reason(error)


def _unusable(value: object) -> str:
    """Say what makes a value one that cannot be stored or sent on, whatever its type should be."""
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            if not _is_text(part):
                return "has half a surrogate pair"
        elif isinstance(part, int):
            if part not in _WHOLE_NUMBERS:
                return "has a number of more than 64 bits"
        elif isinstance(part, dict):
            rest.extend(part.keys())
            rest.extend(part.values())
        elif isinstance(part, list):
            rest.extend(part)
    return ""


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _printable(name: str) -> str:
    """Return a name chosen by a stranger as text that can be encoded."""
    return name.encode(errors="backslashreplace").decode()
