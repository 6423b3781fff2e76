"""Another site's page in a real Firefox: it is let in where it is listed, and told why where it is not."""

from __future__ import annotations

from socket import socket
from typing import TYPE_CHECKING

import pytest

from tests.browser.running import Server
from tests.browser.site import Site, serving_site
from tests.browser.visitor import CLEAR, PRESS, SHOWN, changed, only, outcomes
from tests.browser.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.firefox import Firefox
    from tests.browser.running import Simulator

pytestmark = pytest.mark.browser

STATUS = "return document.querySelector('#status').textContent"
FORGET_EVERYTHING = """
  const registration = await navigator.serviceWorker.getRegistration();
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
  await registration?.unregister();
  indexedDB.deleteDatabase("pushdesk");
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving_site() as running:
        yield running


@pytest.fixture(scope="module")
def unlisted() -> Iterator[Site]:
    with serving_site() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator, site: Site) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("server") / "home"
    with Server(home, simulator.url, "--allow-origin", site.origin) as running:
        yield running


@pytest.fixture
def customer(firefox: Firefox, site: Site, unlisted: Site) -> Iterator[Firefox]:
    """A Firefox that has been on neither site."""
    yield firefox
    firefox.close_other_tabs()
    for each in (site, unlisted):
        firefox.open(f"{each.origin}/sw.js")
        firefox.evaluate(FORGET_EVERYTHING)


def says(firefox: Firefox, words: str) -> None:
    eventually(lambda: words in firefox.evaluate(STATUS), f"the site says {words!r}")


def shown(firefox: Firefox, title: str) -> None:
    eventually(lambda: title in [one["title"] for one in firefox.evaluate(SHOWN)], f"{title!r} is shown")


def get_in(firefox: Firefox, site: Site, server: Server, user: str) -> None:
    site.follow_the_document(server.url, server.invite(user)["code"])
    firefox.open(site.origin)
    says(firefox, "Notifications are off.")
    firefox.click("notify")
    says(firefox, f"Notifications for {user} are on.")


def test_the_page_of_the_document_gets_from_an_invitation_to_a_push(
    customer: Firefox, site: Site, server: Server, simulator: Simulator
) -> None:
    get_in(customer, site, server, "shopper")
    assert only(server.devices("shopper"))["state"] == "active"
    shown(customer, "It's working!")
    there = f"{site.origin}/?parcel=7"
    assert outcomes(server.notify("shopper", title="Your parcel is there", url=there)) == ["accepted"]
    shown(customer, "Your parcel is there")
    eventually(simulator.was_shown, "Firefox acknowledges every push as decrypted")
    eventually(lambda: customer.evaluate_chrome(PRESS, "Your parcel is there", ""), "the alert can be clicked")
    eventually(lambda: customer.selected_address() == there, "the site is open")


def test_loading_the_page_uses_no_code_and_a_used_one_does_no_harm(
    customer: Firefox, site: Site, server: Server
) -> None:
    path = "/api/v1/enrollments"
    customer.record_requests()
    get_in(customer, site, server, "regular")
    assert [at for _, at, _ in customer.requests()].count(path) == 2
    for _ in range(2):
        customer.reload()
        says(customer, "Notifications for regular are on.")
    customer.evaluate(CLEAR)
    customer.click("notify")
    says(customer, "Notifications for regular are on.")
    # Two of a kind: the question that the browser asks before, and the request.
    assert [at for _, at, _ in customer.requests()].count(path) == 2


def test_page_and_worker_of_a_site_renew_with_the_token_of_the_invitation(
    customer: Firefox, site: Site, server: Server, simulator: Simulator
) -> None:
    get_in(customer, site, server, "loyal")
    key_id = server.rotate_key()
    customer.reload()
    says(customer, "Notifications for loyal are on.")
    assert only(server.devices("loyal"))["key_id"] == key_id
    before = only(server.devices("loyal"))["fingerprint"]
    customer.record_requests()
    simulator.forget_browsers()
    changed(lambda: str(only(server.devices("loyal"))["fingerprint"]), before)
    path = "/api/v1/users/loyal/webpush/subscription"
    tokens = [token for method, at, token in customer.requests() if (method, at) == ("POST", path)]
    assert len(tokens) == 1
    assert tokens[0].startswith("Bearer pdd_")
    assert outcomes(server.notify("loyal", title="Still here")) == ["accepted"]
    shown(customer, "Still here")


def test_a_site_that_is_not_listed_is_refused_and_says_so_and_has_used_no_code(
    customer: Firefox, site: Site, unlisted: Site, server: Server
) -> None:
    code = server.invite("lost")["code"]
    unlisted.follow_the_document(server.url, code)
    customer.open(unlisted.origin)
    says(customer, "Notifications are off.")
    customer.click("notify")
    says(customer, "The server cannot be reached, or does not let this site in.")
    says(customer, f"--allow-origin {unlisted.origin}")
    assert server.devices("lost") == []

    site.follow_the_document(server.url, code)
    customer.open(site.origin)
    says(customer, "Notifications are off.")
    customer.click("notify")
    says(customer, "Notifications for lost are on.")


def test_a_site_whose_server_is_down_says_so(customer: Firefox, site: Site) -> None:
    with socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        site.follow_the_document(f"http://127.0.0.1:{nobody.getsockname()[1]}", "A-CODE")
        customer.open(site.origin)
        says(customer, "Notifications are not available right now.")


def test_a_listed_site_can_name_nobody_by_itself(customer: Firefox, site: Site, server: Server) -> None:
    site.follow_the_document(server.url, "")
    site.page = site.page.replace("push.enable()", 'push.enable("anybody")')
    customer.open(site.origin)
    says(customer, "Notifications are off.")
    customer.click("notify")
    says(customer, "A page of another origin needs an invitation.")
    assert server.devices("anybody") == []


def test_without_a_code_a_site_says_what_is_missing(customer: Firefox, site: Site, server: Server) -> None:
    site.follow_the_document(server.url, "")
    customer.open(site.origin)
    says(customer, "Notifications are off.")
    customer.click("notify")
    says(customer, "An invitation is needed.")
