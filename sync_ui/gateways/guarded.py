"""HTTP to servers that users name: public ones only, whatever their names lead to.

Every address that a name leads to is looked at once, and the very one that was
looked at is called. No proxy, no cookie, no password of the environment takes
part, redirects are left to the caller, and nothing is logged.
"""

import socket
import ssl
import threading
import time
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, urljoin, urlsplit

from sync_ui.domain.outside import Later, Rejected

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2048
LONGEST_BODY = 20 * 1024 * 1024
CHUNK = 65_536

CONNECT = 10.0  # seconds until somebody answers the call
PAUSE = 30.0  # seconds between two parts of an answer
WHOLE = 90.0  # seconds for everything
MOST_ADDRESSES = 4  # of one name

# One for whatever keeps us from a server, so that nobody explores a network by it.
UNREACHABLE = (
    "The calendar server cannot be reached. Check its address; a server in the practice's own"
    " network has to be allowed by whoever runs this installation."
)
UNTRUSTED = (
    "The calendar server's certificate is not valid, so nothing was sent there."
    " Ask whoever runs that server."
)
UNREADABLE = "The calendar server's answer cannot be read. Check that its address is for CalDAV."
NO_ADDRESS = (
    "This is no address of a calendar server. It looks like https://caldav.example.com/,"
    " without a name or password in it."
)


def _networks(texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts.split())


# `is_global` of the standard library lets shared, translated and multicast addresses pass.
_NOT_PUBLIC_V4 = _networks(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24"
    " 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24"
    " 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
)
# Mapped, translated, local and multicast addresses all lie outside of what is given out.
_GIVEN_OUT_V6 = ip_network("2000::/3")
_NOT_PUBLIC_V6 = _networks("2001::/23 2001:db8::/32 2002::/16 3fff::/20 2620:4f:8000::/48")


def is_public(address: Address) -> bool:
    """Whether anybody on the internet would get to the same place by it."""
    if address.version == 4:
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _GIVEN_OUT_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names; `url` is what was asked."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def leads_to(self) -> str:
        """The absolute address of a redirect; empty if it is none."""
        if self.status not in {301, 302, 307, 308}:
            return ""
        try:
            return urljoin(self.url, self.headers.get("location", ""))
        except ValueError:
            return ""


class TooLong(Rejected):
    def __init__(self) -> None:
        super().__init__("The calendar server's answer is too long. Choose a smaller calendar.")


class Guarded:
    """Calls one server after the other; for one thread.

    `allowed` are host names, addresses and networks that need not be public,
    at which http and any port will do. Connections are kept until `close`, or for
    as long as this is.
    """

    def __init__(
        self,
        allowed: Iterable[str] = (),
        *,
        longest: int = LONGEST_BODY,
        pause: float = PAUSE,
        whole: float = WHOLE,
    ) -> None:
        self._hosts, self._networks = _hosts_and_networks(allowed)
        self._longest, self._pause, self._whole = longest, pause, whole
        self._lines: dict[tuple[str, str, int], HTTPConnection] = {}
        weakref.finalize(self, _hang_up, self._lines)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """The answer, whatever its status. Raises Rejected for an address that may not be
        called, Later for silence, and TooLong beyond `longest` bytes.
        """
        place = _place(url)
        sent = {"Accept-Encoding": "identity", "User-Agent": "Sync-Calendar", **(headers or {})}
        kept = self._lines.pop(_key(place), None)
        if kept is not None:
            try:
                return self._on(kept, method, place, sent, body)
            except (ConnectionError, ssl.SSLError, HTTPException):
                kept.close()  # the server has tired of waiting: once more, from the start
            except (OSError, ValueError):
                raise Later(UNREACHABLE) from None
        try:
            return self._on(self._line(place), method, place, sent, body)
        except ssl.SSLCertVerificationError:
            raise Later(UNTRUSTED) from None
        except (OSError, HTTPException, ValueError):
            # The error's own words may hold the address.
            raise Later(UNREACHABLE) from None

    def close(self) -> None:
        _hang_up(self._lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _on(
        self,
        line: HTTPConnection,
        method: str,
        place: SplitResult,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        target = (place.path or "/") + (f"?{place.query}" if place.query else "")
        whole = False
        try:
            with _cut_off(self._whole) as watched:
                if line.sock is None:
                    line.sock = self._dialled(place)
                # `line` forgets it as soon as the answer announces its last word.
                watched.append(line.sock)
                line.sock.settimeout(self._pause)
                line.request(method, target, body or None, dict(headers))
                with line.getresponse() as response:
                    answer = self._heard(response, place)
            whole = not response.will_close
        finally:
            if whole:
                self._lines[_key(place)] = line
            else:
                line.close()
        return answer

    def _heard(self, response: HTTPResponse, place: SplitResult) -> Answer:
        parts, held = list[bytes](), 0
        while part := response.read1(CHUNK):
            parts.append(part)
            held += len(part)
            if held > self._longest:
                raise TooLong
        if response.length:
            raise ConnectionError  # it breaks off
        response.read()
        headers = {name.lower(): value for name, value in response.headers.items()}
        if parts and headers.get("content-encoding", "identity").lower() != "identity":
            raise Rejected(UNREADABLE)  # compressed though we asked for it not to be
        return Answer(response.status, headers, b"".join(parts), place.geturl())

    # Who may be called

    def _line(self, place: SplitResult) -> HTTPConnection:
        secure, host, port = place.scheme == "https", place.hostname or "", _port(place)
        if not secure:
            return HTTPConnection(host, port)
        return HTTPSConnection(host, port, context=self._tls)

    def _dialled(self, place: SplitResult) -> socket.socket:
        host = place.hostname or ""
        found = socket.getaddrinfo(host, _port(place), type=socket.SOCK_STREAM)
        for *_, at in found:
            if not self._may_call(place, ip_address(str(at[0]).partition("%")[0])):
                raise Rejected(UNREACHABLE)
        failure = OSError("nowhere")
        for family, kind, protocol, _, at in found[:MOST_ADDRESSES]:
            line = socket.socket(family, kind, protocol)
            try:
                line.settimeout(CONNECT)
                line.connect(at)
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if place.scheme == "https":
                    return self._tls.wrap_socket(line, server_hostname=host)
                return line
            except OSError as error:
                line.close()
                failure = error
        raise failure

    def _may_call(self, place: SplitResult, address: Address) -> bool:
        if place.hostname in self._hosts or any(address in each for each in self._networks):
            return True
        return is_public(address) and place.scheme == "https" and _port(place) == 443

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def _hang_up(lines: dict[tuple[str, str, int], HTTPConnection]) -> None:
    while lines:
        lines.popitem()[1].close()


@contextmanager
def _cut_off(seconds: float) -> Iterator[list[socket.socket]]:
    """However slowly the other side goes on talking: after so many seconds it is over."""
    until, watched = time.monotonic() + seconds, list[socket.socket]()

    def cut() -> None:
        for line in watched:
            try:
                # Not that of SSLSocket, which takes TLS away from under who reads.
                socket.socket.shutdown(line, socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended by itself

    watch = threading.Timer(seconds, cut)
    watch.daemon = True
    watch.start()
    try:
        yield watched
        if time.monotonic() >= until:
            raise TimeoutError
    finally:
        watch.cancel()


def _place(url: str) -> SplitResult:
    """The address taken apart, its host as DNS spells it. Raises Rejected for what is none."""
    try:
        if len(url) > LONGEST_URL or "\\" in url or any(sign <= " " for sign in url):
            raise ValueError
        place = urlsplit(url)
        port = f":{place.port}" if place.port else ""
        if place.scheme not in {"https", "http"} or "@" in place.netloc:
            raise ValueError
        host = dns_name(place.hostname or "")
        (place.path + place.query).encode("ascii")
    except ValueError:
        raise Rejected(NO_ADDRESS) from None
    netloc = f"[{host}]{port}" if ":" in host else f"{host}{port}"
    return place._replace(netloc=netloc, fragment="")


def dns_name(host: str) -> str:
    """Lower case, without the last dot, IDNA. Raises ValueError for what is no name."""
    name = host.rstrip(".").lower()
    if ":" not in name:
        name = name.encode("idna").decode("ascii")
    if not name or any(sign in "%/@?#[]" for sign in name):
        raise ValueError
    return name


def _port(place: SplitResult) -> int:
    return place.port or (443 if place.scheme == "https" else 80)


def _key(place: SplitResult) -> tuple[str, str, int]:
    return place.scheme, place.hostname or "", _port(place)


def _hosts_and_networks(texts: Iterable[str]) -> tuple[Collection[str], Collection[Network]]:
    hosts, networks = set[str](), list[Network]()
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError:
            hosts.add(dns_name(text))
    return hosts, networks
