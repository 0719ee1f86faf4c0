from ipaddress import ip_address, ip_network

import pytest

from sync_ui.domain import networks
from sync_ui.domain.networks import INTERNET, OWN, THIS_COMPUTER

PROXY = (ip_network("127.0.0.0/8"), ip_network("10.1.0.0/16"), ip_network("fd00::/8"))


@pytest.mark.bar("N1")
@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1,203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7, not an address", "127.0.0.1"),
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "10.1.9.9, 10.1.2.3", "10.1.9.9"),
        ("127.0.0.1", "203.0.113.7,", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7:52100", "203.0.113.7"),
        ("127.0.0.1", "[2001:db8::7]:52100, [fd00::1]", "2001:db8::7"),
        ("127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "[::ffff:203.0.113.7]:1", "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7:port", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.300", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.07", "127.0.0.1"),
        ("127.0.0.1", "3405803783", "127.0.0.1"),
        ("::ffff:127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("fd00::1", "203.0.113.7", "203.0.113.7"),
        ("", "203.0.113.7", ""),
    ],
)
def test_the_right_most_hop_that_no_trusted_proxy_vouches_for_counts(
    peer: str, forwarded: str, address: str
) -> None:
    assert networks.of(peer, forwarded, PROXY) == address


@pytest.mark.bar("N1")
@pytest.mark.bar("N1")
@pytest.mark.parametrize("told", ["unknown", "203.0.113.7,", "203.0.113.300", ",", "10.1.2.3, _x"])
def test_of_nonsense_from_a_trusted_proxy_nobody_knows_the_visitor(told: str) -> None:
    assert networks.visitor("127.0.0.1", told, PROXY) is None
    assert networks.visitor("203.0.113.7", told, PROXY) == ip_address("203.0.113.7")


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert networks.of("127.0.0.1", "203.0.113.7", ()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1", THIS_COMPUTER),
        ("127.8.9.10", THIS_COMPUTER),
        ("::1", THIS_COMPUTER),
        ("192.168.1.20", OWN),
        ("10.20.30.40", OWN),
        ("172.31.255.255", OWN),
        ("169.254.3.4", OWN),
        ("100.101.102.103", OWN),
        ("fe80::1234%eth0", OWN),
        ("fd12:3456::1", OWN),
        ("::ffff:192.168.1.20", OWN),
        ("172.32.0.1", "the internet, 172.32.0.0/24"),
        ("203.0.113.7", "the internet, 203.0.113.0/24"),
        ("::ffff:203.0.113.7", "the internet, 203.0.113.0/24"),
        ("2001:db8:1234:5678:9abc:def0:1234:5678", "the internet, 2001:db8:1200::/40"),
        ("", INTERNET),
        ("an oddity", INTERNET),
    ],
)
def test_a_network_has_words_that_never_hold_the_whole_address(address: str, words: str) -> None:
    """SECURITY L12: the owner sees where a reader comes from, and no more than that."""
    assert networks.words(address) == words
    assert not address or address not in networks.words(address)


@pytest.mark.parametrize("kind", [THIS_COMPUTER, OWN, INTERNET])
def test_the_kind_of_a_network_is_the_first_of_its_words(kind: str) -> None:
    assert networks.kind(kind) == kind
    assert networks.kind(f"{kind}, 203.0.113.0/24") == kind


@pytest.mark.parametrize(
    ("address", "holder"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        ("", ""),
    ],
)
def test_a_visitor_holds_an_address_or_64_bits_of_a_network(address: str, holder: str) -> None:
    assert networks.household(address) == holder
