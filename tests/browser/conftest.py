"""A real server, a push service and two real browsers; each is started once for a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium as chromium_driver
from tests.browser import firefox as firefox_driver
from tests.browser.chromium import Chromium
from tests.browser.firefox import Firefox
from tests.browser.presence import required
from tests.browser.running import Server, Simulator
from tests.browser.visitor import CLEAR, Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("simulator") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server") / "home", simulator.url) as running:
        yield running


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Firefox]:
    binary = required("Firefox", firefox_driver.find_firefox(), firefox_driver.INSTALL)
    with Firefox(binary, tmp_path_factory.mktemp("firefox") / "profile", simulator.url) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Chromium]:
    binary = required("Chromium", chromium_driver.find_chromium(), chromium_driver.INSTALL)
    with Chromium(binary, tmp_path_factory.mktemp("chromium") / "profile", server.url) as running:
        yield running


@pytest.fixture
def visitor(firefox: Firefox, server: Server) -> Iterator[Visitor]:
    firefox.close_other_tabs()
    visitor = Visitor(firefox, server)
    yield visitor
    firefox.close_other_tabs()
    firefox.open(server.url)
    if visitor.settled()[0] == "on":
        visitor.turn_off()
    firefox.evaluate(CLEAR)
