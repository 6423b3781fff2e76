from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushdesk.errors import PushdeskError
from pushdesk.model import Notification, SubscriptionRequest, Turn
from pushdesk.server.applications import WaitQuery
from pushdesk.server.body import MAX_DEPTH, parse
from pushdesk.server.fields import fit
from pushdesk.server.stream import EventsQuery

GOOD_KEYS = {"p256dh": "B", "auth": "a"}

GOOD: dict[type[msgspec.Struct], dict[str, Any]] = {
    Turn: {"user": "ann", "conversation": "c", "title": "t", "status": "finished", "text": "Done."},
    Notification: {"title": "t", "ttl": 60, "urgency": "high", "data": {"a": [1]}, "send_at": "2030-01-01T00:00:00Z"},
    EventsQuery: {"after": "5", "epoch": "7"},
    WaitQuery: {"wait": "1.5"},
}
ODD: list[object] = [
    "",
    "me",
    "a/b",
    "\ud800",
    {"\ud800": 1},
    ["\udfff"],
    2**64 - 1,
    2**64,
    -(2**63) - 1,
    [{"n": 10**400}],
    "high",
    "7",
]
VALUES = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "\ud800"]), inner, max_size=2),
    max_leaves=3,
)


def refusal(values: dict[str, object], shape: type[Notification | SubscriptionRequest]) -> PushdeskError:
    with pytest.raises(PushdeskError) as caught:
        fit(values, shape)
    return caught.value


def told(values: dict[str, object], shape: type[msgspec.Struct], *, is_strict: bool) -> object:
    """Return what is made of values, or what is wrong with them; of "inner" alone, if that is what they have."""
    try:
        made = fit(values, shape, strict=is_strict)
    except PushdeskError as error:
        fields = tuple(name.removeprefix("inner.") for name in error.fields)
        return error.code, error.detail.replace("inner.", ""), fields
    return getattr(made, "inner", made)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'title': 1}",
        b'{"title": "a"} x',
        b'{"title": "\xff"}',
        b'{"title": NaN}',
        b'{"title": Infinity}',
        b'{"title": 1e999}',
        b'{"title": ' + b"9" * 5000 + b"}",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"[]",
        b'"text"',
        b"null",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_json_object_is_bad_json(body: bytes) -> None:
    with pytest.raises(PushdeskError) as caught:
        parse(body)
    assert caught.value.code == "bad_json"


def test_nesting_is_taken_up_to_the_limit_and_no_further() -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    assert parse(nested(MAX_DEPTH))
    with pytest.raises(PushdeskError) as caught:
        parse(nested(MAX_DEPTH + 1))
    assert caught.value.code == "bad_json"
    assert str(MAX_DEPTH) in caught.value.detail


def test_names_that_occur_twice_are_all_named() -> None:
    with pytest.raises(PushdeskError) as caught:
        parse(b'{"title": 1, "title": 2, "data": {"\\ud800": 1, "\\ud800": 2}}')
    assert caught.value.code == "bad_json"
    assert set(caught.value.fields) == {"title", "\\ud800"}


def test_every_field_of_a_wrong_type_or_value_is_named() -> None:
    error = refusal(
        {"title": 5, "ttl": 0, "urgency": "soon", "silent": "yes", "send_at": "2030-01-01T00:00:00", "tag": "fine"},
        Notification,
    )
    assert error.code == "bad_field"
    assert error.fields == ("title", "silent", "ttl", "urgency", "send_at")
    assert "urgency: must be one of very-low, low, normal, high." in error.detail


def test_missing_fields_are_named_in_nested_objects_too() -> None:
    assert refusal({}, SubscriptionRequest).fields == ("endpoint", "keys")
    assert refusal({"keys": {}}, SubscriptionRequest).fields == ("endpoint", "keys.p256dh", "keys.auth")


def test_every_unknown_field_is_named_among_the_other_offending_ones() -> None:
    error = refusal(
        {"title": 5, "colour": 1, "badge_colour": 2, "actions": [{"action": "a", "title": "b"}, {"action": 1, "x": 1}]},
        Notification,
    )
    assert error.code == "unknown_field"
    assert error.fields == ("colour", "badge_colour", "title", "actions[1].x", "actions[1].action", "actions[1].title")


def test_an_unknown_name_that_is_no_text_is_named_printably() -> None:
    assert refusal({"title": "a", "\ud800": 1}, Notification).fields == ("\\ud800",)


@pytest.mark.parametrize(
    "value",
    ["\ud800", {"a": ["\udfff"]}, {"\ud800": 1}, 2**64, [-(2**63) - 1], {"n": 10**400}],
)
def test_data_that_cannot_be_stored_is_refused(value: object) -> None:
    assert refusal({"title": "a", "data": value}, Notification).fields == ("data",)


def test_a_number_beyond_all_bounds_is_the_fields_fault() -> None:
    assert refusal({"title": "a", "ttl": 10**400}, Notification).fields == ("ttl",)


def test_a_lone_surrogate_in_text_is_the_fields_fault() -> None:
    assert refusal({"title": "\ud83d", "body": "\ude00"}, Notification).fields == ("title", "body")


def test_null_is_taken_where_a_field_may_be_absent_and_nowhere_else() -> None:
    assert fit({"title": "a", "body": None, "data": None}, Notification) == Notification("a")
    assert refusal({"title": None}, Notification).fields == ("title",)
    assert refusal({"endpoint": "https://a", "keys": None}, SubscriptionRequest).fields == ("keys",)
    assert refusal({"title": "a", "actions": None}, Notification).fields == ("actions",)


def test_too_many_elements_are_the_lists_fault() -> None:
    action = {"action": "a", "title": "b"}
    assert refusal({"title": "a", "actions": [action] * 9}, Notification).fields == ("actions",)
    assert len(fit({"title": "a", "actions": [action] * 8}, Notification).actions) == 8


@pytest.mark.parametrize("expiration", [None, 0, 1.5, 1_900_000_000_000])
def test_an_expiration_time_is_null_or_a_number(expiration: float | None) -> None:
    made = fit({"endpoint": "https://a", "keys": GOOD_KEYS, "expirationTime": expiration}, SubscriptionRequest)
    assert made.expirationTime == expiration


def test_a_refusal_says_nothing_of_the_values() -> None:
    error = refusal(
        {"endpoint": 1, "keys": {"p256dh": "p" * 201, "auth": "canary" * 30}, "key_id": "canary"}, SubscriptionRequest
    )
    assert error.fields == ("endpoint", "keys.p256dh", "keys.auth", "key_id")
    assert "canary" not in str(error)
    assert "ppp" not in str(error)


def test_a_query_is_read_from_strings() -> None:
    assert fit({"after": "5", "epoch": "7"}, EventsQuery, strict=False) == EventsQuery(5, "7")
    with pytest.raises(PushdeskError) as caught:
        fit({"after": "-1", "epoch": ""}, EventsQuery, strict=False)
    assert caught.value.fields == ("after", "epoch")


@settings(max_examples=500)
@given(data=st.data(), shape=st.sampled_from(list(GOOD)), is_strict=st.booleans())
def test_an_object_is_told_the_same_alone_and_in_another(
    data: st.DataObject, shape: type[msgspec.Struct], *, is_strict: bool
) -> None:
    names = st.sampled_from([*msgspec.structs.asdict(fit(GOOD[shape], shape, strict=False)), "other"])
    values = GOOD[shape] | data.draw(st.dictionaries(names, VALUES, max_size=1))
    for name in data.draw(st.sets(st.sampled_from(list(values)), max_size=1)):
        del values[name]
    # What has objects in it is looked at field by field; what has none, only when something is wrong with it.
    outer = msgspec.defstruct("Outer", [("inner", shape)])
    assert told(values, shape, is_strict=is_strict) == told({"inner": values}, outer, is_strict=is_strict)
