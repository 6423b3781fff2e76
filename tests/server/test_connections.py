"""How many connections may be open, and which of them makes room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.server.connections import TIME_TO_SPEAK_S, Connections, Verdict
from tests.clocks import FrozenClock

IN: Verdict[str] = Verdict(is_admitted=True)
REFUSED: Verdict[str] = Verdict(is_admitted=False)


def instead_of(connection: str) -> Verdict[str]:
    return Verdict(is_admitted=True, evicted=connection)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def connections(clock: FrozenClock) -> Connections[str]:
    return Connections(most=4, most_per_network=3, most_refused=2, now=clock.monotonic)


def test_the_one_that_rested_longest_makes_room(connections: Connections[str]) -> None:
    for number in range(4):
        assert connections.admit(f"c{number}", f"n{number}") == IN
        connections.work(f"c{number}")
    for number in (2, 0, 3):
        connections.rest(f"c{number}")
    for name, makes_room in (("d", "c2"), ("e", "c0"), ("f", "c3")):
        assert connections.admit(name, name) == instead_of(makes_room)
        connections.work(name)
    assert connections.admit("g", "g") == REFUSED


def test_who_never_asked_for_anything_goes_before_who_may_ask_again(
    connections: Connections[str], clock: FrozenClock
) -> None:
    for number in range(4):
        connections.admit(f"c{number}", f"n{number}")
    for number in range(2):
        connections.work(f"c{number}")
        connections.rest(f"c{number}")
    clock.advance(TIME_TO_SPEAK_S)
    assert connections.admit("d", "m") == instead_of("c2")
    assert connections.admit("e", "o") == instead_of("c3")
    # The silent ones are new: they have a moment to speak.
    assert connections.admit("f", "p") == instead_of("c0")
    assert connections.admit("g", "q") == instead_of("c1")
    # But if there is nobody else, it is one of them.
    assert connections.admit("h", "r") == instead_of("d")
    assert len(connections) == 4


def test_what_works_makes_room_for_nobody_until_it_rests_or_ends(connections: Connections[str]) -> None:
    for number in range(4):
        connections.admit(f"c{number}", f"n{number}")
        connections.work(f"c{number}")
    assert connections.admit("d", "m") == REFUSED
    connections.rest("c2")
    assert connections.admit("d", "m") == instead_of("c2")
    connections.work("d")
    assert connections.admit("e", "m") == REFUSED
    connections.leave("c0")
    assert connections.admit("e", "m") == IN


def test_going_on_resting_is_no_new_rest(connections: Connections[str]) -> None:
    for number in range(4):
        connections.admit(f"c{number}", f"n{number}")
    connections.rest("c0")
    assert connections.admit("d", "m") == instead_of("c0")


def test_a_network_with_its_own_limit_makes_room_by_itself(connections: Connections[str]) -> None:
    connections.admit("other", "m")
    for number in range(3):
        assert connections.admit(f"c{number}", "n") == IN
    assert connections.admit("d", "n") == instead_of("c0")
    for name in ("c1", "c2", "d"):
        connections.work(name)
    assert connections.admit("e", "n") == REFUSED
    assert len(connections) == 4


def test_the_limit_of_a_network_is_not_for_proxies(connections: Connections[str]) -> None:
    assert [connections.admit(f"c{number}", "proxy", is_limited=False) for number in range(4)] == [IN] * 4
    assert connections.admit("d", "proxy", is_limited=False) == instead_of("c0")


def test_a_network_with_more_than_its_share_does_not_drive_out_others() -> None:
    connections: Connections[str] = Connections(most=10, most_per_network=10, now=FrozenClock().monotonic)
    connections.admit("quiet", "n")
    for number in range(9):
        connections.admit(f"flood{number}", "m")
    # The quiet one rests longest of all.
    assert [connections.admit(f"more{number}", "m") for number in range(2)] == [
        instead_of("flood0"),
        instead_of("flood1"),
    ]
    assert connections.admit("newcomer", "o") == instead_of("quiet")
    for number in range(2, 9):
        connections.work(f"flood{number}")
    for number in range(2):
        connections.work(f"more{number}")
    # Nobody of theirs rests: they wait rather than take the newcomer's place.
    assert connections.admit("again", "m") == REFUSED


def test_so_many_are_told_that_they_are_too_many(connections: Connections[str]) -> None:
    assert [connections.refuse(name) for name in "abc"] == [True, True, False]
    connections.leave("a")
    assert connections.refuse("d")
    assert len(connections) == 0


def test_who_is_not_known_may_do_anything(connections: Connections[str]) -> None:
    connections.rest("x")
    connections.work("x")
    connections.leave("x")
    assert len(connections) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(("admit", "rest", "work", "leave")), st.integers(0, 9), st.sampled_from("nmo")),
        max_size=60,
    )
)
def test_only_what_rests_makes_room_and_only_where_there_is_none(steps: list[tuple[str, int, str]]) -> None:
    connections: Connections[int] = Connections(most=4, most_per_network=3, now=FrozenClock().monotonic)
    networks: dict[int, str] = {}
    resting: set[int] = set()
    for step, name, network in steps:
        if step == "admit" and name not in networks:
            neighbours = {other for other, where in networks.items() if where == network}
            is_full = len(networks) == 4 or len(neighbours) == 3
            verdict = connections.admit(name, network)
            assert verdict.is_admitted or (is_full and not neighbours & resting)
            if verdict.evicted is not None:
                assert is_full
                assert verdict.evicted in resting
                del networks[verdict.evicted]
            if verdict.is_admitted:
                networks[name] = network
        elif step != "admit":
            getattr(connections, step)(name)
            if step == "leave":
                networks.pop(name, None)
        resting = {*(resting - {name} if step != "rest" else resting), *([name] if step in {"admit", "rest"} else [])}
        resting &= set(networks)
        assert len(connections) == len(networks) <= 4
