"""From which networks the application may be used: a list that people write, one a line."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from sync_ui.domain.networks import Address, Network
from sync_ui.errors import Invalid

MOST_LINES = 200
LONGEST_LINE = 200

# IPv4 addresses as IPv6 writes them.
_MAPPED = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True)
class Allowed:
    """The lines as they are kept, remarks after # included, and the networks that they name."""

    lines: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def admits(self, address: Address | None) -> bool:
        """Whether somebody from there may come in; without any network everybody may."""
        if not self.networks:
            return True
        return address is not None and any(address in network for network in self.networks)


def read(text: str) -> Allowed:
    """What was written, each network in its usual form. Raises Invalid, naming the line."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    lines = list(dict.fromkeys(filter(None, lines)))
    if len(lines) > MOST_LINES or any(len(line) > LONGEST_LINE for line in lines):
        raise Invalid(
            f"At most {MOST_LINES} lines of {LONGEST_LINE} characters are kept. "
            "Write networks instead of single addresses."
        )
    kept, networks = [], []
    for number, line in enumerate(lines, 1):
        network, _, remark = (part.strip() for part in line.partition("#"))
        if not network:
            kept.append(f"# {remark}")
            continue
        found = _network(network, number)
        networks.append(found)
        kept.append(f"{written(found)} # {remark}" if remark else written(found))
    return Allowed(tuple(kept), tuple(networks))


def household(address: Address) -> str:
    """What to allow for one visitor: the address, or in IPv6, where it changes, its 64 bits."""
    bits = 64 if isinstance(address, IPv6Address) else 32
    return written(ip_network((address, bits), strict=False))


def written(network: Network) -> str:
    """`203.0.113.7` rather than `203.0.113.7/32`."""
    whole = network.prefixlen == network.max_prefixlen
    return str(network.network_address if whole else network)


def switched_off(allowed: Allowed) -> str:
    """The same lines as remarks: nobody is kept out, and nothing has to be written anew."""
    lines = (line if line.startswith("#") else f"# {line}" for line in allowed.lines)
    return "\n".join(line[:LONGEST_LINE] for line in lines)


def _network(text: str, line: int) -> Network:
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise Invalid(
            f"Line {line} is neither an address nor a network. "
            "Write one a line, such as 203.0.113.7 or 198.51.100.0/24."
        ) from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        mapped = found.network_address.ipv4_mapped
        return IPv4Network((mapped or 0, found.prefixlen - 96))
    return found
