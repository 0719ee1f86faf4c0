"""A reverse proxy before the product, sound or spoilt as a test says: real sockets, real TLS."""

import datetime as dt
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TLS_HANDSHAKE = b"\x16"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    secure: bool

    @property
    def for_feed(self) -> bool:
        return self.path.startswith("/cal/")


@dataclass(frozen=True)
class Reply:
    """`promised`: the Content-Length, if it shall be another than the body's."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    promised: int | None = None

    def having(self, **headers: str) -> "Reply":
        """`Content_Type="…"`; with "" the header is left out."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in self.headers.items() if name not in named}
        return replace(self, headers=kept | {n: v for n, v in named.items() if v})


# Given what was asked, and a way to pass it on to the product.
Way = Callable[[Asked, Callable[[], Reply]], Reply]


class Front(ThreadingHTTPServer):
    """Speaks TLS and plain http at one port, by the first byte of who calls."""

    daemon_threads = True

    def __init__(self, behind: str, way: Way, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server_address[1]}"
        self.behind, self.way, self.context = urlsplit(behind), way, context
        self.asked: list[Asked] = []

    def finish_request(self, request: Any, client_address: Any) -> None:
        if not self.context or request.recv(1, socket.MSG_PEEK) != TLS_HANDSHAKE:
            self._answer(request, client_address)
            return
        with self.context.wrap_socket(request, server_side=True) as safe:
            self._answer(safe, client_address)

    def _answer(self, line: socket.socket, client_address: Any) -> None:
        with suppress(OSError):  # whoever called has hung up
            _Handler(line, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who refuses the certificate says so to themselves."""


class _Handler(BaseHTTPRequestHandler):
    server: Front

    def do_GET(self) -> None:
        secure = isinstance(self.connection, ssl.SSLSocket)
        asked = Asked(self.command, self.path, dict(self.headers.items()), secure)
        self.server.asked.append(asked)
        reply = self.server.way(asked, lambda: self._passed_on(asked))
        # Who is in front says the time, where the product's answer does not.
        self.send_response_only(reply.status)
        if "Date" not in reply.headers:
            self.send_header("Date", self.date_time_string())
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 304:
            promised = len(reply.body) if reply.promised is None else reply.promised
            self.send_header("Content-Length", str(promised))
        self.end_headers()
        if asked.method != "HEAD":
            self.wfile.write(reply.body)

    do_HEAD = do_GET  # noqa: N815 - the name is the base class's

    def _passed_on(self, asked: Asked) -> Reply:
        line = http.client.HTTPConnection(self.server.behind.netloc, timeout=30)
        try:
            line.putrequest(asked.method, asked.path, skip_accept_encoding=True, skip_host=True)
            for name, value in asked.headers.items():
                line.putheader(name, value)
            line.endheaders()
            answer = line.getresponse()
            body = answer.read()
            own = {"content-length", "connection", "transfer-encoding", "date"}
            kept = {n: v for n, v in answer.getheaders() if n.lower() not in own}
            kept = {n.title().replace("Etag", "ETag"): v for n, v in kept.items()}
            promised = int(answer.headers.get("Content-Length") or 0)
            return Reply(answer.status, kept, body, promised if asked.method == "HEAD" else None)
        finally:
            line.close()

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def standing(behind: str, way: Way, context: ssl.SSLContext | None = None) -> Iterator[Front]:
    with Front(behind, way, context) as front:
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield front
        finally:
            front.shutdown()
            thread.join()


def sound(asked: Asked, on: Callable[[], Reply]) -> Reply:
    """As the README's Caddy: http is sent to https for good, the rest passed on."""
    if asked.secure:
        return on()
    return Reply(308, {"Location": f"https://{asked.headers['Host']}{asked.path}"})


class Authority:
    """Signs certificates; who trusts it has its own at `path`."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
        self._folder = folder
        self.path = folder / "authority.pem"
        own = self._builder(self._name, self._key, days=30).issuer_name(self._name)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        signed = own.sign(self._key, hashes.SHA256())
        self.path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def context(
        self, *names: str, days: int = 90, since_days: int = 1, self_signed: bool = False
    ) -> ssl.SSLContext:
        """A server's, with a certificate for these names or addresses, valid so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        issuer = subject if self_signed else self._name
        builder = self._builder(subject, key, days, since_days).issuer_name(issuer)
        builder = builder.add_extension(alternatives, critical=False)
        signed = builder.sign(key if self_signed else self._key, hashes.SHA256())
        path = self._folder / f"{signed.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + signed.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int, since_days: int = 1
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        # Half an hour more, so that a whole day is not over before the test is.
        ends = now + dt.timedelta(days=days, minutes=30)
        builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(days=since_days))
        return builder.not_valid_after(ends)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
