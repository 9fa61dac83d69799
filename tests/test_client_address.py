"""The address that limits count by: behind trusted proxies, never by what an untrusted peer says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xinflight.forwarded import client_address, read_network
from xinflight.request_limits import address_key

PROXIES = [read_network("10.0.0.0/8"), read_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7, 10.0.0.2,10.0.0.3", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "::ffff:198.51.100.7", "::ffff:198.51.100.7"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.7, 999.1.1.1", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        (None, "198.51.100.7", None),
    ],
)
def test_the_client_is_the_last_that_no_proxy_is(peer: str | None, forwarded: str, address: str | None) -> None:
    assert client_address(peer, forwarded, PROXIES) == address


@given(st.text(), st.text())
def test_nothing_that_a_client_sends_changes_its_address(claimed: str, more: str) -> None:
    """A proxy appends the real address: what comes before it counts for nothing, whatever it is."""
    assert client_address("10.0.0.1", f"{claimed},{more},198.51.100.7", PROXIES) == "198.51.100.7"
    assert client_address("192.0.2.1", claimed, PROXIES) == "192.0.2.1"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("", None),
        (None, None),
    ],
)
def test_addresses_count_by_what_one_client_has(address: str | None, key: str | None) -> None:
    assert address_key(address) == key
