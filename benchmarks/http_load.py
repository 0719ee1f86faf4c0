"""A small HTTP client for measuring: kept-alive connections, prepared requests, little parsing."""

import selectors
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHUNK = 1 << 18

# A real app's name, since the product notes which app reads a link.
USER_AGENT = "iOS/18.1 (22B83) dataaccessd/1.0"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers if key.lower() == name)


@dataclass
class Connection:
    """One request at a time; `finished` tells when the whole answer has been read."""

    socket: socket.socket
    request: bytes
    sent_at: float = 0.0
    status: int = 0
    received: bytearray = field(default_factory=bytearray)
    missing: int = -1

    def send(self) -> None:
        self.received.clear()
        self.missing = -1
        self.sent_at = time.perf_counter()
        self.socket.sendall(self.request)

    def receive(self, scratch: memoryview) -> bool:
        """Read what is there; True when the answer is complete."""
        size = self.socket.recv_into(scratch)
        if not size:
            raise ConnectionError("the server closed the connection")
        if self.missing >= 0:
            self.missing -= size
            return self.missing == 0
        self.received += scratch[:size]
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.received[:end])
        self.status = int(head[9:12])
        self.missing = content_length(head) - (len(self.received) - end - 4)
        return self.missing == 0


def content_length(head: bytes) -> int:
    start = head.lower().find(b"\r\ncontent-length:")
    if start < 0 or head[9:12] == b"304":
        return 0
    return int(head[start + 17 :].split(b"\r\n", 1)[0])


def request(url: str, etag: str | None = None) -> bytes:
    address = urlsplit(url)
    lines = [
        f"GET {address.path} HTTP/1.1",
        f"Host: {address.netloc}",
        f"User-Agent: {USER_AGENT}",
        "Accept: text/calendar",
    ]
    if etag is not None:
        lines.append(f"If-None-Match: {etag}")
    return "\r\n".join([*lines, "", ""]).encode()


def connect(url: str) -> socket.socket:
    address = urlsplit(url)
    made = socket.create_connection((address.hostname or "", address.port or 80), timeout=60)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def get(url: str) -> Answer:
    """One request on a connection of its own."""
    data = bytearray()
    with connect(url) as connection:
        prepared = request(url).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        connection.sendall(prepared)
        while part := connection.recv(CHUNK):
            data += part
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Answer(int(status.split()[1]), pairs, body)


def measure(
    url: str, expected: int, requests: int, connections: int, etag: str | None = None
) -> list[float]:
    """The seconds of each of `requests` requests, `connections` at a time.

    Raises RuntimeError when an answer has another status than `expected`.
    """
    scratch = memoryview(bytearray(CHUNK))
    prepared = request(url, etag)
    seconds: list[float] = []
    started = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = Connection(connect(url), prepared)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
            started += 1
        while len(seconds) < requests:
            for key, _ in selector.select():
                connection = key.data
                if not connection.receive(scratch):
                    continue
                seconds.append(time.perf_counter() - connection.sent_at)
                if connection.status != expected:
                    raise RuntimeError(f"status {connection.status} instead of {expected}")
                if started < requests:
                    connection.send()
                    started += 1
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    return seconds
