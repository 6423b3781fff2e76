from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.errors import EndpointRefusedError
from pushdesk.model import Service
from pushdesk.webpush.endpoint import (
    check_endpoint,
    is_allowed_address,
    is_permanently_removed,
    origin_of,
    without_endpoint,
)

NONE_ALLOWED: frozenset[str] = frozenset()
LOCAL = frozenset({"http://127.0.0.1:8485", "https://push.example.org"})


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        ("https://fcm.googleapis.com/fcm/send/fioYOFKVMzg:APA91bE0", Service.FCM),
        ("https://fcm.googleapis.com/wp/x", Service.FCM),
        ("https://FCM.GoogleAPIs.com/fcm/send/x", Service.FCM),
        ("https://fcm.googleapis.com:443/fcm/send/x", Service.FCM),
        ("https://updates.push.services.mozilla.com/wpush/v2/gAAAAABn", Service.MOZILLA),
        ("https://web.push.apple.com/QF8w7V0M", Service.APPLE),
        ("https://api.push.apple.com/3/device/x", Service.APPLE),
        ("https://wns2-par02p.notify.windows.com/w/?token=BQYAAAD%2fCm%2bwt4%3d", Service.WNS),
    ],
)
def test_endpoint_of_a_known_service_is_taken(endpoint: str, service: Service) -> None:
    assert check_endpoint(endpoint, allowed_origins=NONE_ALLOWED) is service


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("http://fcm.googleapis.com/x", "not https"),
        ("https://fcm.googleapis.com:8443/x", "names a port"),
        ("https://fcm.googleapis.com:80/x", "names a port"),
        ("https://fcm.googleapis.com:0/x", "names a port"),
        ("https://user@fcm.googleapis.com/x", "user name"),
        ("https://user:pass@fcm.googleapis.com/x", "user name"),
        ("https://@fcm.googleapis.com/x", "user name"),
        ("https://:@fcm.googleapis.com/x", "user name"),
        ("https://fcm.googleapis.com@evil.example/x", "user name"),
        ("https://fcm.googleapis.com/x#y", "fragment"),
        ("https://fcm.googleapis.com/x#", "fragment"),
        ("https://evil.example/fcm.googleapis.com/", "not a push service"),
        ("https://evilfcm.googleapis.com/x", "not a push service"),
        ("https://fcm.googleapis.com.evil.example/x", "not a push service"),
        ("https://fcm.googleapis.com./x", "not a push service"),
        ("https://push.apple.com/x", "not a push service"),
        ("https://evilpush.apple.com/x", "not a push service"),
        ("https://notify.windows.com.evil.example/x", "not a push service"),
        ("https://localhost/x", "not a push service"),
        ("https://2130706433/x", "not a push service"),
        ("https://0x7f.1/x", "not a push service"),
        ("https://fcm%2egoogleapis.com/x", "not a complete"),
        ("https://fcm.googleapis.com:4_43/x", "not a complete"),
        ("https://fcm.googleapis.com:+443/x", "not a complete"),
        ("https://[::1]evil.example/x", "not a complete"),
        ("https://10.0.0.5/a.notify.windows.com/", "private or reserved"),
        ("https://127.0.0.1/x", "private or reserved"),
        ("https://0.0.0.0/x", "private or reserved"),
        ("https://169.254.169.254/latest/meta-data", "private or reserved"),
        ("https://[::1]/x", "private or reserved"),
        ("https://[::ffff:127.0.0.1]/x", "private or reserved"),
        ("https://[fe80::1%25eth0]/x", "private or reserved"),
        ("https://8.8.8.8/x", "is an address"),
        ("https://[2606:4700::1111]/x", "is an address"),
        ("https://127\u30020\u30020\u30021/x", "do not belong into a URL"),
        ("https://\uff11\uff12\uff17.0.0.1/x", "do not belong into a URL"),
        ("https://fcm.googleapis.com/x\r\nHost: evil", "do not belong into a URL"),
        ("https://fcm.googleapis.com/x\0", "do not belong into a URL"),
        ("https://fcm.googleapis.com/\x1b[31m", "do not belong into a URL"),
        (" https://fcm.googleapis.com/x", "do not belong into a URL"),
        ("ht\ttps://fcm.googleapis.com/x", "do not belong into a URL"),
        ("", "do not belong into a URL"),
        ("https://fcm.googleapis.com\\@evil.example/x", "not a complete"),
        ("https://evil.example\\.notify.windows.com/x", "not a complete"),
        ("https:///fcm.googleapis.com/x", "not a complete"),
        ("https:fcm.googleapis.com/x", "not a complete"),
        ("//fcm.googleapis.com/x", "not a complete"),
        ("fcm.googleapis.com/x", "not a complete"),
        ("https://[::1/x", "not a complete"),
        ("https://fcm.googleapis.com:99999/x", "not a complete"),
        ("https://fcm.googleapis.com:https/x", "not a complete"),
        ("ftp://fcm.googleapis.com/x", "not a complete"),
        ("file://fcm.googleapis.com/etc/passwd", "not a complete"),
        ("https://permanently-removed.invalid/fcm/send/x", "removed this subscription"),
        ("https://fcm.googleapis.com/" + "x" * 2022, "2049 characters, and at most 2048"),
    ],
)
def test_any_other_endpoint_is_refused_and_told_why(endpoint: str, says: str) -> None:
    with pytest.raises(EndpointRefusedError, match=says) as refused:
        check_endpoint(endpoint, allowed_origins=NONE_ALLOWED)
    assert refused.value.fields == ("endpoint",)
    assert refused.value.__context__ is None


def test_longest_endpoint_is_taken() -> None:
    assert check_endpoint("https://fcm.googleapis.com/" + "x" * 2021, allowed_origins=NONE_ALLOWED) is Service.FCM


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:8485/push/1", "https://push.example.org/p?x=1", "https://PUSH.example.org:443/p"]
)
def test_allowed_origin_may_be_http_or_private_or_on_a_port(endpoint: str) -> None:
    assert check_endpoint(endpoint, allowed_origins=LOCAL) is Service.OTHER


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("https://127.0.0.1:8485/push/1", "names a port"),
        ("http://127.0.0.1:8486/push/1", "not https"),
        ("http://127.0.0.1/push/1", "not https"),
        ("http://localhost:8485/push/1", "not https"),
        ("https://push.example.org.evil.example/p", "not a push service"),
        ("https://a.push.example.org/p", "not a push service"),
        ("http://user@127.0.0.1:8485/push/1", "user name"),
        ("http://127.0.0.1:8485/push/1#x", "fragment"),
        ("http://127.0.0.1:8485/push 1", "do not belong"),
        ("http://127.0.0.1:8485/" + "x" * 2048, "at most 2048"),
    ],
)
def test_allowed_origin_allows_exactly_that_origin(endpoint: str, says: str) -> None:
    with pytest.raises(EndpointRefusedError, match=says):
        check_endpoint(endpoint, allowed_origins=LOCAL)


def test_removed_subscription_is_a_signal_of_its_own() -> None:
    assert is_permanently_removed("https://permanently-removed.invalid/fcm/send/x")
    assert is_permanently_removed("https://Permanently-Removed.invalid/")
    assert not is_permanently_removed("https://fcm.googleapis.com/permanently-removed.invalid")
    assert not is_permanently_removed("https://x.permanently-removed.invalid/")
    assert not is_permanently_removed("not a URL")


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("https://FCM.googleapis.com/a?b", "https://fcm.googleapis.com"),
        ("https://h:443", "https://h"),
        ("http://h:80/", "http://h"),
        ("http://h:443/", "http://h:443"),
        ("HTTPS://[::1]:8443/x", "https://[::1]:8443"),
    ],
)
def test_origin_is_scheme_host_and_a_port_of_its_own(endpoint: str, origin: str) -> None:
    assert origin_of(endpoint) == origin


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.5", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254"),  # noqa: S104
        *("172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"),
        *("198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
        *("255.255.255.255", "168.63.129.16"),
        *("::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe"),
        *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1::8.8.8.8"),
        *("100::1", "2001::1", "2001:0:4136:e378::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::"),
        *("3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
        *("", "localhost", "fcm.googleapis.com", "127.1", "0x7f000001", "2130706433", "\uff11\uff12\uff17.0.0.1"),
    ],
)
def test_address_that_is_not_on_the_public_internet_is_refused(address: str) -> None:
    assert not is_allowed_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "142.250.185.74", "17.57.146.20", "172.15.0.1", "172.32.0.1", "100.63.255.255"),
        *("168.63.129.15", "223.255.255.255", "192.0.1.1", "11.0.0.0"),
        *("2606:4700:4700::1111", "2a00:1450:4001:82a::200a", "2620:149:208:430a::a", "2001:4860:4860::8888"),
        *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
    ],
)
def test_public_address_is_allowed_also_inside_ipv6(address: str) -> None:
    assert is_allowed_address(address)
    assert is_allowed_address(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_mapped_and_translated_addresses_are_judged_like_the_ipv4_address_inside(inner: ipaddress.IPv4Address) -> None:
    judged = is_allowed_address(inner)
    assert is_allowed_address(f"::ffff:{inner}") is judged
    assert is_allowed_address(f"64:ff9b::{inner}") is judged
    assert not (judged and not inner.is_global)


@given(st.ip_addresses(v=6))
def test_ipv6_address_is_never_allowed_where_the_standard_library_calls_it_private(
    address: ipaddress.IPv6Address,
) -> None:
    assert not (is_allowed_address(address) and address.ipv4_mapped is None and not address.is_global)


@given(st.text(max_size=60))
def test_any_text_is_either_taken_or_refused_by_name(text: str) -> None:
    for endpoint in (text, f"https://{text}", f"https://fcm.googleapis.com{text}"):
        try:
            service = check_endpoint(endpoint, allowed_origins=NONE_ALLOWED)
        except EndpointRefusedError as refused:
            assert refused.code == "endpoint_refused"  # noqa: PT017 - either way is right
        else:
            assert service is not Service.OTHER


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("no subscription /wpush/tok-Zm9vYmFy here", "no subscription /wpush/… here"),
        ("unknown TOK-ZM9VYMFY", "unknown …"),
        ("cipher is 'a+b/c=long enough'", "cipher is '…'"),
        ("wpush says no", "wpush says no"),
        ("", ""),
    ],
)
def test_what_a_service_repeats_of_the_endpoint_is_left_out(said: str, kept: str) -> None:
    endpoint = "https://push.example/wpush/tok-Zm9vYmFy?token=a%2bb%2fc%3dlong%20enough"
    assert without_endpoint(said, endpoint) == kept


def test_keys_that_a_service_repeats_are_left_out_too() -> None:
    said = without_endpoint("none with Zm9vYmFyYmF6cXV4, zm9vymfy", "https://push.example/", "Zm9vYmFyYmF6cXV4")
    assert said == "none with …, zm9vymfy"


def test_an_endpoint_without_a_secret_leaves_a_text_as_it_is() -> None:
    assert without_endpoint("no", "https://push.example/") == "no"
