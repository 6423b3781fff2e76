"""How a fault is written, and what is said of what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.simulator.fault_text import LONGEST_FAULT, parse_fault
from pushdesk.simulator.faults import Fault, FaultKind
from pushdesk.simulator.personality import Personality
from tests.programs import CHECKOUT


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("silence", Fault(FaultKind.SILENCE, "silence")),
        ("503", Fault(FaultKind.STATUS, "503", status=503)),
        (
            "429:retry-after=30@10%",
            Fault(FaultKind.STATUS, "429:retry-after=30@10%", status=429, retry_after="30", percent=10.0),
        ),
        (
            "302:location=http://127.0.0.1:1/a:b=c",
            Fault(
                FaultKind.STATUS,
                "302:location=http://127.0.0.1:1/a:b=c",
                status=302,
                location="http://127.0.0.1:1/a:b=c",
            ),
        ),
        ("delay:seconds=0.5@0.1%", Fault(FaultKind.DELAY, "delay:seconds=0.5@0.1%", seconds=0.5, percent=0.1)),
        (
            "slow-body:seconds=2,status=503@browser=3",
            Fault(FaultKind.SLOW_BODY, "slow-body:seconds=2,status=503@browser=3", status=503, seconds=2.0, browser=3),
        ),
        (
            "ttl:seconds=0@subscription=a_B-9",
            Fault(FaultKind.TTL, "ttl:seconds=0@subscription=a_B-9", seconds=0, subscription="a_B-9"),
        ),
        (
            "tls-cut@service=wns@50%@next=7",
            Fault(FaultKind.TLS_CUT, "tls-cut@service=wns@50%@next=7", percent=50.0, next=7, service=Personality.WNS),
        ),
    ],
)
def test_a_fault_is_read(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.STATUS])
def test_every_fault_can_be_written_with_its_name(kind: FaultKind) -> None:
    needed = ":seconds=5" if kind in {FaultKind.TTL, FaultKind.DELAY} else ""

    assert parse_fault(f"{kind}{needed}").kind is kind


def test_every_fault_is_in_the_documentation() -> None:
    text = (CHECKOUT / "docs" / "simulator.md").read_text("utf-8")

    assert [kind for kind in FaultKind if kind is not FaultKind.STATUS and f"`{kind}`" not in text] == []


@pytest.mark.parametrize(
    ("text", "wrong", "allowed"),
    [
        ("", "There is no fault “”", "silence"),
        ("snooze", "There is no fault “snooze”", "a status from 200 to 599"),
        ("status", "There is no fault “status”", "silence"),
        ("199", "“199”", "200 to 599"),
        ("600", "“600”", "200 to 599"),
        ("٤٠٤", "“٤٠٤”", "200 to 599"),
        ("@10%", "There is no fault “”", "silence"),
        ("429:", "“” cannot stand after “429:”", "retry-after=…"),
        ("429:retry-after", "“retry-after” cannot stand after “429:”", "retry-after=…, location=…"),
        ("429:retry=5", "“retry=5”", "retry-after=…"),
        ("429:retry-after=soon", "retry-after cannot be “soon”", "date, garbage, huge, negative or none"),
        ("429:retry-after=-1", "retry-after cannot be “-1”", "negative"),
        ("302:location=ftp://x", "location cannot be “ftp://x”", "a URL"),
        ("silence:seconds=5", "“seconds=5” cannot stand after “silence:”", "nothing"),
        ("delay", "delay needs its seconds", "delay:seconds=5"),
        ("ttl", "ttl needs its seconds", "ttl:seconds=5"),
        ("ttl:seconds=1.5", "seconds cannot be “1.5”", "a whole number"),
        ("delay:seconds=3601", "seconds cannot be “3601”", "up to 3600"),
        ("delay:seconds=nan", "seconds cannot be “nan”", "a number"),
        ("delay:seconds=1e3", "seconds cannot be “1e3”", "a number"),
        ("gzip-bomb:status=99", "status cannot be “99”", "200 to 599"),
        ("503@", "“” cannot stand after “@”", "a percentage"),
        ("503@0%", "A percentage cannot be “0”", "over 0 and at most 100"),
        ("503@101%", "A percentage cannot be “101”", "at most 100"),
        ("503@ten%", "A percentage cannot be “ten”", "at most 100"),
        ("503@10", "“10” cannot stand after “@”", "browser=…, subscription=…, service=…, next=…, a percentage"),
        ("503@browser=0", "browser cannot be “0”", "from 1"),
        ("503@browser=", "browser cannot be “”", "from 1"),
        ("503@user=ada", "“user=ada” cannot stand after “@”", "browser=…"),
        ("503@service=gcm", "service cannot be “gcm”", "other, fcm, mozilla, apple, wns"),
        ("503@subscription=a/b", "subscription cannot be “a/b”", "id"),
        ("503@next=0", "next cannot be “0”", "from 1"),
        ("tls-cut@browser=1", "“browser=1” cannot stand after “@”", "service=…, next=…, a percentage"),
        ("removed@subscription=a", "“subscription=a” cannot stand after “@”", "browser=…"),
        ("x" * (LONGEST_FAULT + 1), "at most 500 characters", ""),
    ],
)
def test_what_is_no_fault_is_said_with_what_can_stand_there(text: str, wrong: str, allowed: str) -> None:
    with pytest.raises(ValueError, match="fault") as raised:
        parse_fault(text)

    assert wrong in str(raised.value)
    assert allowed in str(raised.value)


@given(st.text(alphabet="429silence:retry-after=30@10%browser\x1b\n,", max_size=60))
def test_any_text_is_a_fault_or_an_error_on_one_line(text: str) -> None:
    try:
        said = parse_fault(text).text
    except ValueError as error:
        said = str(error)

    assert said.isprintable()
