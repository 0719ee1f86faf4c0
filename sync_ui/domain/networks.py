"""Where a visitor comes from: whose word counts for it, and what is kept of it."""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# As some proxies write it: 203.0.113.7:52100, [2001:db8::7]:52100.
_WITH_PORT = re.compile(r"(?P<v4>[0-9.]+):[0-9]{1,5}|\[(?P<v6>[^\]]*)\](?::[0-9]{1,5})?")

THIS_COMPUTER = "this computer"
OWN = "the practice's own network"
INTERNET = "the internet"

# Private use, link-local and shared space (RFC 1918, 3927, 6598, 4193, 4291): nobody gets from
# there to here over the internet. `is_private` holds more, such as addresses for documents.
_OWN = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
        "fe80::/10",
    )
)


def of(peer: str, forwarded: str, trusted: Collection[Network]) -> str:
    """The visitor's address as text; the peer's if a trusted proxy tells nonsense."""
    found = visitor(peer, forwarded, trusted)
    return peer if found is None else str(found)


def visitor(peer: str, forwarded: str, trusted: Collection[Network]) -> Address | None:
    """The visitor's address: the right-most hop that no trusted proxy vouches for.

    `forwarded` is X-Forwarded-For as it came, several of them joined by commas.
    Whoever is trusted and names nobody before itself is the visitor. None if
    what a trusted proxy names is no address.
    """
    found = None
    hops = (peer, *reversed(forwarded.split(","))) if forwarded.strip() else (peer,)
    for hop in hops:
        found = _address(hop)
        if found is None or not any(found in network for network in trusted):
            return found
    return found


def household(address: str) -> str:
    """What one visitor holds: an IPv4 address, or an IPv6 network of 64 bits."""
    found = _address(address)
    if isinstance(found, IPv6Address):
        return ":".join(found.exploded.split(":")[:4])
    return address.strip()


def words(address: str) -> str:
    """For people, and never the whole address: `the internet, 203.0.113.0/24`."""
    found = _address(address)
    if found is None:
        return INTERNET
    if found.is_loopback:
        return THIS_COMPUTER
    if any(found in network for network in _OWN):
        return OWN
    # A household has 48 to 64 bits of IPv6 to itself: what tells less is as short as /24.
    bits = 24 if found.version == 4 else 40
    return f"{INTERNET}, {ip_network((found, bits), strict=False)}"


def kind(found: str) -> str:
    """Which of the three, of what `words` said."""
    return found.partition(",")[0]


def _address(text: str) -> Address | None:
    text = text.strip()
    if with_port := _WITH_PORT.fullmatch(text):
        text = with_port["v4"] or with_port["v6"]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A server on :: sees IPv4 visitors so.
    return getattr(address, "ipv4_mapped", None) or address
