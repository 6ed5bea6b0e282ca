"""Who a client is: the peer, or what trusted proxies say stood before them."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserve.core.traffic import address, client_address, client_network

PROXIES = tuple(map(ip_network, ("10.0.0.0/8", "2001:db8:aaaa::/48")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("203.0.113.9", "10.0.0.1, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.2.3.4,198.51.100.7,10.9.9.9,10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "junk, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, junk", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", ",".join(["1.2.3.4"] * 5000 + ["198.51.100.7"]), "198.51.100.7"),
        ("10.0.0.1", " 198.51.100.7:51234 ", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8::5]:443", "2001:db8::5"),
        ("10.0.0.1", "[2001:db8::5]", "2001:db8::5"),
        ("10.0.0.1", "198.51.100.7:99999x", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:aaaa::1", "2001:db8::5", "2001:db8::5"),
        ("::ffff:203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("", "1.2.3.4", "None"),
        ("unix", "1.2.3.4", "None"),
    ],
)
def test_only_a_trusted_proxy_names_the_client(peer: str, forwarded: str, client: str) -> None:
    """The rightmost address that is no such proxy; what stands left of it is the client's own invention."""
    assert str(client_address(peer, forwarded, PROXIES)) == client


@given(st.text(max_size=80), st.text("0123456789abcdef:.,[]% x", max_size=80))
def test_no_header_raises(peer: str, forwarded: str) -> None:
    """And a peer that is no proxy is the client, whatever is claimed."""
    found = client_address(peer, forwarded, PROXIES)
    assert found is None or client_network(found)
    assert client_address("203.0.113.9", forwarded, PROXIES) == address("203.0.113.9")
    client_address("10.0.0.1", forwarded, PROXIES)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.9", "203.0.113.10", False),
        ("203.0.113.9", "::ffff:203.0.113.9", True),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::1", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_an_ipv6_client_is_its_network(one: str, other: str, same: bool) -> None:
    """A /64 is one household, which has more addresses than any rule could count."""
    assert (client_network(address(one)) == client_network(address(other))) is same
