"""Where a visitor comes from: whose word counts for it, and what is kept of it."""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

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
    """The visitor's address: the right-most hop that no trusted proxy vouches for.

    `forwarded` is X-Forwarded-For as it came, several of them joined by commas.
    """
    for hop in (peer, *reversed(forwarded.split(","))):
        address = _address(hop)
        if address is None:
            break
        if not any(address in network for network in trusted):
            return str(address)
    return peer


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
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    # A server on :: sees IPv4 visitors so.
    return getattr(address, "ipv4_mapped", None) or address
