"""What a server of another version says, as far as this version understands it.

It is decoded strictly first, which is all that happens as a rule. Only what does not fit is taken apart: items that
cannot be read are left out of their list and entries out of their mapping, and a field has its default. A field that
has none takes along what it belongs to. A list of numbers is a series, in which places count: it is whole, or left out.
"""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, TypeVar, get_args, get_origin

import msgspec
from msgspec import DecodeError, Raw, Struct, ValidationError, structs

T = TypeVar("T")
Shape: TypeAlias = Any
"""A type that JSON can be decoded to."""
Content: TypeAlias = bytes | str | Raw

MOST_LEFT_OUT: Final = 1000
"""Parts that are left out of an answer; one of which more cannot be read is not worth the time."""
_LISTS: Final = (tuple, list, frozenset, set)
_NUMBERS: Final = frozenset({int, float, NoneType})


def understand(content: bytes | str, shape: type[T]) -> tuple[T, int]:
    """Decode JSON; returns what was understood, and how many items, entries and fields of it were left out.

    Raises:
        msgspec.DecodeError: It is no JSON, or nothing of it can be understood, or too little.
    """
    reader = _Reader()
    try:
        value: T = reader.read(content, shape)
    except RecursionError:
        raise DecodeError("It is too deep.") from None
    except UnicodeDecodeError:
        raise DecodeError("It has text that is not UTF-8.") from None
    return value, reader.left_out


class _Reader:
    """Reads one answer.

    Attributes:
        left_out: How many parts were left out.
    """

    def __init__(self) -> None:
        self.left_out = 0

    def read(self, content: Content, shape: Shape) -> Any:  # noqa: ANN401 (what the type says)
        """Return what is understood of a part."""
        try:
            return decoder(shape).decode(content)
        except ValidationError:
            kind: Any = get_origin(shape)
            if kind is None:
                kind = shape
            if kind is UnionType:
                return self.read(content, _one_of(content, get_args(shape)))
            if kind in _LISTS and not _is_number(get_args(shape)[0]):
                return kind(self._items(content, get_args(shape)[0]))
            if kind is dict:
                return self._entries(content, *get_args(shape))
            if isinstance(kind, type) and issubclass(kind, Struct):
                return kind(**self._fields(content, _fields(shape)))
            raise

    def _items(self, content: Content, item: Shape) -> list[Any]:
        understood = []
        for part in decoder(list[Raw]).decode(content):
            try:
                understood.append(self.read(part, item))
            except ValidationError:
                self._leave_out()
        return understood

    def _entries(self, content: Content, key: Shape, value: Shape) -> dict[Any, Any]:
        understood = {}
        for name, part in decoder(dict[str, Raw]).decode(content).items():
            try:
                understood[msgspec.convert(name, key)] = self.read(part, value)
            except ValidationError:
                self._leave_out()
        return understood

    def _fields(self, content: Content, fields: tuple[structs.FieldInfo, ...]) -> dict[str, Any]:
        parts, understood = decoder(dict[str, Raw]).decode(content), {}
        for field in fields:
            if field.encode_name in parts:
                try:
                    understood[field.name] = self.read(parts[field.encode_name], field.type)
                except ValidationError:
                    if field.required:
                        raise
                    self._leave_out()
            elif field.required:
                raise ValidationError(f"{field.encode_name} is missing.")
        return understood

    def _leave_out(self) -> None:
        self.left_out += 1
        if self.left_out > MOST_LEFT_OUT:
            raise DecodeError("Too little of it can be read.")


@cache
def decoder(shape: Shape) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type: to make one costs more than to use it."""
    return msgspec.json.Decoder(shape)


@cache
def _fields(shape: Shape) -> tuple[structs.FieldInfo, ...]:
    return structs.fields(shape)


def _is_number(shape: Shape) -> bool:
    """Whether it is a number, or a number or nothing."""
    return _NUMBERS.issuperset(get_args(shape) or (shape,))


def _one_of(content: Content, shapes: tuple[Shape, ...]) -> Shape:
    """Return which of the types it is meant to be: the only one besides None, or the one with its tag."""
    shapes = tuple(shape for shape in shapes if shape is not type(None))
    if len(shapes) == 1:
        return shapes[0]
    parts = decoder(dict[str, Raw]).decode(content)
    for shape in shapes:
        about = shape.__struct_config__
        tag = parts.get(about.tag_field)
        if tag is not None and decoder(Any).decode(tag) == about.tag:
            return shape
    raise ValidationError("It is of no type that is known here.")
