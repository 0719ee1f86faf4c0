"""A road to a CalDAV server on which things go wrong: a proxy on a real socket.

It lets requests through, or refuses them, cuts them off before or after they
arrived, loses answers, and makes sync tokens invalid, as its `weather` says.
Before or after a writing it stops to let somebody else act, or a process die.
And it remembers: what was written, over what, and what was told to whom.
"""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

from tests.radicale import HOST

WRITES = {"PUT", "DELETE"}
PASSED_ON = {"Content-Type", "ETag", "Location", "WWW-Authenticate"}

_TOKEN = re.compile(rb"(<(?:\w+:)?sync-token>)[^<]+(</)")
_NO_TOKEN = b"http://radicale.org/ns/sync/" + b"0" * 64
_STAMP = re.compile(rb"DTSTAMP:.*")
_HREF = re.compile(r"<(?:\w+:)?href>([^<]+)<")
_GONE = re.compile(r"<(?:\w+:)?response>\s*<(?:\w+:)?href>([^<]+)</(?:\w+:)?href>\s*"
                   r"<(?:\w+:)?status>HTTP/1.1 404")  # fmt: skip


class Fault(StrEnum):
    """What becomes of one request."""

    BUSY = "429, come back in seven seconds"
    BROKEN = "500"
    CUT_BEFORE = "the line goes dead before it arrived"
    CUT_AFTER = "it arrived, and the line goes dead"
    HALF = "half of the answer comes"
    SILENCE = "it arrived, and no answer comes"
    BAD_TOKEN = "the sync token is invalid"


class When(StrEnum):
    BEFORE = "before"
    AFTER = "after"


@dataclass
class Meeting:
    """At the writing after so many more, before or after it arrives, `act` is called with its path.

    The request waits for it.
    """

    more: int
    when: When
    act: Callable[[str], None]


@dataclass(frozen=True)
class Written:
    """A writing that was accepted; `over` is the etag of what stood there, empty if none did."""

    method: str
    path: str
    over: str
    theirs: bool  # whether that was a change, or a removal, by somebody else
    known: bool  # whether we had been told of it before
    anew: bool  # whether the very same stood there already


class Proxy:
    """In front of the server at `port`. `tampered` are changes of others, which it has to know."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}"
        self.begin()

    def begin(self) -> None:
        """Fair weather, and nothing is remembered."""
        self.weather: Iterator[Fault | None] | None = None
        self.meetings: list[Meeting] = []
        self.written: list[Written] = []
        self.tried = 0
        self._there: dict[str, str] = {}
        self._texts: dict[str, bytes] = {}
        self._tampered: set[tuple[str, str]] = set()
        self._told: set[tuple[str, str]] = set()

    @contextmanager
    def open(self) -> Iterator["Proxy"]:
        serving = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        serving.start()
        yield self
        self._server.shutdown()
        serving.join()
        self._server.server_close()

    # Others

    def tamper(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> int:
        """A writing of somebody else, past us; the status of its answer."""
        with self._lock:
            answer = self._send(method, quote(path), headers, body)
            if answer.status < 300:
                etag = answer.etag if method == "PUT" else ""
                self._there[path] = etag
                self._texts.pop(path, None)
                self._tampered.add((path, etag))
                self._told.discard((path, etag))
            return answer.status

    def agree(self, path: str) -> None:
        """That others removed it is what we want ourselves."""
        with self._lock:
            self._tampered.discard((path, ""))

    def changes_written_over(self) -> list[Written]:
        """What others had done, and we undid."""
        return [each for each in self.written if each.theirs]

    # Ours

    def take(self, request: "_Request") -> "_Answer | Fault":
        writes = request.method in WRITES
        with self._lock:
            fault = next(self.weather) if self.weather else None
            self.tried += writes
            due = [each for each in self.meetings if writes and not each.more]
            for each in self.meetings:
                each.more -= writes
            self.meetings = [each for each in self.meetings if each not in due]
        self._meet(due, When.BEFORE, request.path)
        if fault is Fault.BUSY:
            return _Answer(429, {"Retry-After": "7"}, b"")
        if fault is Fault.BROKEN:
            return _Answer(500, {}, b"")
        if fault is Fault.CUT_BEFORE:
            return fault
        body = request.body
        if fault is Fault.BAD_TOKEN:
            body = _TOKEN.sub(rb"\g<1>" + _NO_TOKEN + rb"\g<2>", body)
        answer = self._pass_on(request, body)
        self._meet(due, When.AFTER, request.path)
        if fault in {Fault.CUT_AFTER, Fault.HALF, Fault.SILENCE}:
            return fault if fault is not Fault.HALF else _Answer(answer.status, {}, answer.body, 2)
        self._tell(request, body, answer)
        return answer

    def _meet(self, due: list[Meeting], when: When, path: str) -> None:
        for each in due:
            if each.when is when:
                each.act(unquote(path))

    def _pass_on(self, request: "_Request", body: bytes) -> "_Answer":
        path = unquote(request.path)
        with self._lock:
            over = self._there.get(path, "")
            theirs, known = (path, over) in self._tampered, (path, over) in self._told
            answer = self._send(request.method, request.path, request.headers, body)
            if request.method in WRITES and answer.status < 300:
                text = _STAMP.sub(b"", request.body)
                anew = request.method == "PUT" and bool(over) and self._texts.get(path) == text
                self._texts[path] = text
                self.written.append(Written(request.method, path, over, theirs, known, anew))
                self._tampered.discard((path, over))
                self._there[path] = answer.etag if request.method == "PUT" else ""
        return answer

    def _send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> "_Answer":
        behind = HTTPConnection(HOST, self._behind, timeout=60)
        try:
            behind.request(method, path, body or None, headers)
            answer = behind.getresponse()
            told = {name: text for name, text in answer.getheaders() if name in PASSED_ON}
            return _Answer(answer.status, told, answer.read())
        finally:
            behind.close()

    def _tell(self, request: "_Request", body: bytes, answer: "_Answer") -> None:
        """Note which changes of others the answer tells of."""
        text = answer.body.decode() + "".join(answer.headers.values())
        gone = {unquote(href) for href in _GONE.findall(text)}
        if request.method == "GET" and answer.status == 404:
            gone.add(unquote(request.path))
        if (
            answer.status == 207 and b"<sync-token></sync-token>" in body
        ):  # it lists all that there is
            listed = {unquote(href) for href in _HREF.findall(text)}
            gone |= {path for path, _ in self._tampered} - listed
        with self._lock:
            self._told |= {
                (path, etag)
                for path, etag in self._tampered
                if (etag in text if etag else path in gone)
            }


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class _Answer:
    """Of its body, one of `parts` is sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    parts: int = 1

    @property
    def etag(self) -> str:
        return self.headers.get("ETag", "").strip('"')


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                """Whoever asked is gone: killed, or tired of waiting."""

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {
                name: text
                for name, text in self.headers.items()
                if name not in {"Host", "Connection", "Content-Length"}
            }
            answer = proxy.take(_Request(self.command, self.path, headers, body))
            if isinstance(answer, Fault):
                if answer is Fault.SILENCE:
                    self.connection.recv(1)  # until the other side hangs up
                self._hang_up()
                return
            self.send_response(answer.status)
            for name, text in answer.headers.items():
                self.send_header(name, text)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body) + (answer.parts > 1)))
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) // answer.parts])
            if answer.parts > 1:
                self.wfile.flush()
                self._hang_up()

        def _hang_up(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

    return Handler
