"""The server's own public address, called as somebody outside calls it.

Nobody else is ever called: not the proxy that the environment names, not the
place that a redirect leads to. Nothing is logged, since addresses hold secrets.
"""

import errno
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import ip_address
from threading import Lock
from urllib.parse import urlsplit

from sync_ui.domain.reach import Address, Answer, Heard, Silence, Trouble

# So long one step may take: finding the way, shaking hands, a part of the answer.
SECONDS_A_STEP = 5.0
CHUNK = 65_536

# Of X509_verify_cert in OpenSSL; what is not here is said in its words.
_INVALID = {
    10: "it has expired",
    18: "it is self-signed",
    19: "it is signed by someone whom nobody knows",
    20: "it is signed by someone whom nobody knows, or the chain is not sent along",
    21: "it is signed by someone whom nobody knows, or the chain is not sent along",
    62: "it is for another name",
    64: "it is for another address",
}
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class Public:
    """Calls `base_url`; whatever is still under way after so many seconds is cut off."""

    def __init__(self, base_url: str, seconds: float) -> None:
        url = urlsplit(base_url)
        self.host = url.hostname or ""
        self.secure = url.scheme == "https"
        self._port = url.port or (443 if self.secure else 80)
        # Apps take webcal for http: at the same port, or at 80 where none is named.
        self._plain_port = url.port or 80
        self._deadline = time.monotonic() + seconds
        self._open: set[socket.socket] = set()
        self._lock = Lock()

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def addresses(self) -> list[Address]:
        """Where the name leads; none if it leads nowhere."""
        try:
            found = socket.getaddrinfo(self.host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return []
        texts = dict.fromkeys(str(place[4][0]).partition("%")[0] for place in found)
        return [ip_address(text) for text in texts]

    def dial(self, address: Address) -> datetime | Silence | None:
        """Connect to one address of the name: when its certificate ends, None without TLS."""
        try:
            with self._dialled(address) as line:
                return _ends_at(line) if isinstance(line, ssl.SSLSocket) else None
        except OSError as error:
            return _silence(error)

    @contextmanager
    def _dialled(self, address: Address) -> Iterator[socket.socket]:
        place = (str(address), self._port)
        with socket.create_connection(place, timeout=self._step()) as line:
            if not self.secure:
                yield line
                return
            context = ssl.create_default_context()
            with context.wrap_socket(line, server_hostname=self.host) as safe:
                yield safe

    def ask(
        self, path: str, headers: Mapping[str, str], *, method: str = "GET", most: int = CHUNK
    ) -> Heard:
        """The answer, of its body at most `most` bytes; redirects are not followed."""
        if not self.secure:
            return self._ask(HTTPConnection(self.host, self._port), method, path, headers, most)
        # The certificate is verified before the path, and with it the secret, leaves.
        context = ssl.create_default_context()
        line = HTTPSConnection(self.host, self._port, context=context)
        return self._ask(line, method, path, headers, most)

    def ask_plainly(self, path: str, headers: Mapping[str, str]) -> Heard:
        """The same by http, where apps begin that take webcal for it: never with a secret."""
        line = HTTPConnection(self.host, self._plain_port)
        return self._ask(line, "GET", path, headers, CHUNK)

    def hang_up(self) -> None:
        """Every call still under way ends now."""
        with self._lock:
            for line in self._open:
                try:
                    # Not that of SSLSocket, which takes TLS away from under who reads.
                    socket.socket.shutdown(line, socket.SHUT_RDWR)
                except OSError:
                    continue  # it has ended by itself

    def _ask(
        self,
        line: HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        most: int,
    ) -> Heard:
        try:
            with self._called(line):
                # By hand, since `request` adds an Accept-Encoding that no app has sent.
                line.putrequest(method, path, skip_accept_encoding=True)
                for name, value in headers.items():
                    line.putheader(name, value)
                line.endheaders()
                return self._hear(line.getresponse(), most)
        except (OSError, HTTPException, ValueError) as error:
            return _silence(error)

    def _hear(self, response: HTTPResponse, most: int) -> Answer:
        parts, held, ended = [], 0, False
        while held < most and not ended:
            if self.seconds_left <= 0:
                raise TimeoutError
            part = response.read(min(CHUNK, most - held))
            parts.append(part)
            held += len(part)
            ended = not part or response.isclosed()
        headers = {name.lower(): value for name, value in response.headers.items()}
        told = headers.get("content-length", "")
        promised = int(told) if told.isascii() and told.isdigit() else held
        return Answer(response.status, headers, b"".join(parts), ended and held >= promised)

    def _step(self) -> float:
        if self.seconds_left <= 0:
            raise TimeoutError
        return min(SECONDS_A_STEP, self.seconds_left)

    @contextmanager
    def _called(self, line: HTTPConnection) -> Iterator[None]:
        """The line is open; `hang_up` knows of it."""
        line.timeout = self._step()
        found: socket.socket | None = None
        try:
            line.connect()
            found = line.sock
            with self._lock:
                self._open.add(found)
            yield
        finally:
            with self._lock:
                if found is not None:
                    self._open.discard(found)
            line.close()


def _silence(error: Exception) -> Silence:
    """What went wrong, without the error's own words: they may hold the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = _INVALID.get(error.verify_code, error.verify_message)
        return Silence(Trouble.CERTIFICATE, words)
    if isinstance(error, socket.gaierror):
        return Silence(Trouble.NO_NAME)
    if isinstance(error, TimeoutError):
        return Silence(Trouble.LATE)
    if isinstance(error, ConnectionRefusedError):
        return Silence(Trouble.REFUSED)
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return Silence(Trouble.NO_ROUTE)
    return Silence(Trouble.BROKEN)


def _ends_at(line: ssl.SSLSocket) -> datetime | Silence:
    told = (line.getpeercert() or {}).get("notAfter")
    if not isinstance(told, str):
        return Silence(Trouble.BROKEN)
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(told), UTC)
