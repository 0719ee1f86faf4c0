"""The feed: what calendar apps read. No session, no cookie, no redirect, ever.

It stands before Flask, as a WSGI application of its own: what most readings
ask is whether anything is new, and Flask's machinery costs ten times as much
as the answer.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from threading import BoundedSemaphore
from typing import Any

from flask import Flask

from sync_ui import clock, logs
from sync_ui.domain import networks
from sync_ui.errors import NotFound, Unavailable
from sync_ui.models.installation import Installation
from sync_ui.services.feeds import Answer, Asked, Feeds
from sync_ui.services.visits import Recorder, Seen
from sync_ui.web import security

Environ = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Environ, Start], Iterable[bytes]]
Headers = list[tuple[str, str]]

PREFIX = "/cal/"
METHODS = "GET, HEAD, OPTIONS"

MOST_PREPARED = 4096

# Of the web server's sixteen threads.
MOST_STREAMS = 4

# What one household may ask for in vain, so often within a while.
MOST_IN_VAIN = 30
A_WHILE = timedelta(minutes=10)
MOST_HOUSEHOLDS = 10_000

TOO_MANY = "Too many calendar links that do not exist were asked for. Try again later."

STATUS = {
    200: "200 OK",
    204: "204 No Content",
    304: "304 Not Modified",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    410: "410 Gone",
    429: "429 Too Many Requests",
    503: "503 Service Unavailable",
}


def init_app(app: Flask) -> None:
    app.wsgi_app = FeedsFirst(app, app.wsgi_app)  # type: ignore[method-assign, assignment, arg-type]


class FeedsFirst:
    """Answers whoever reads a link, and leaves everyone else to the application."""

    def __init__(self, app: Flask, others: Application) -> None:
        self._others = others
        self._feeds: Feeds = app.extensions["feeds"]
        self._visits: Recorder = app.extensions["visits"]
        self._protection = [*security.protection(app).items()]
        self._prepared: dict[str, Headers] = {}
        self._strangers = Strangers()
        self._streams = BoundedSemaphore(MOST_STREAMS)
        found: Installation = app.extensions["installation"]
        self._trusted = found.config.trusted_proxies

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if not path.startswith(PREFIX) or path == PREFIX:
            return self._others(environ, start)
        method = environ["REQUEST_METHOD"]
        if method in {"GET", "HEAD"}:
            return self._read(path, method == "GET", environ, start)
        allow = ("Allow", METHODS)
        if method == "OPTIONS":
            start(STATUS[204], [allow, *self._protection])
            return []
        return self._say(start, 405, "This calendar can be read only.", allow)

    def _read(self, path: str, sent: bool, environ: Environ, start: Start) -> Iterable[bytes]:
        """Authorization, Accept, cookies and the query are ignored: apps send the oddest things.

        Only the link's first part counts; the readable name after it may be missing or mangled.
        """
        token = path[len(PREFIX) :].partition("/")[0]
        asked = Asked(environ.get("HTTP_IF_NONE_MATCH"), environ.get("HTTP_IF_MODIFIED_SINCE"))
        try:
            answer = self._feeds.read(token, asked)
        except NotFound as error:
            return self._not_found(error.sentence, environ, start)
        except Unavailable as error:
            return self._say(start, 503, error.sentence, ("Retry-After", "60"))
        if answer.status == 410:
            return self._say(start, 410, answer.body.decode().strip())
        if sent and answer.token_id is not None:
            self._visits.note(_seen(answer, environ))
        headers = self._headers(answer)
        if answer.status == 304:
            start(STATUS[304], headers)
            return []
        start(STATUS[200], [("Content-Length", str(answer.size)), *headers])
        return self._pieces(answer) if sent else []

    def _pieces(self, answer: Answer) -> Iterable[bytes]:
        """A short feed in one go, which frees the server's thread at once; a long one bit by bit,
        never copied as a whole. That holds a thread for as long as its reader takes, so that
        only a few may at a time.
        """
        if len(answer.pieces) == 1:
            return list(answer.pieces)
        if self._streams.acquire(blocking=False):
            return Stream(answer.pieces, self._streams)
        return [answer.body]

    def _headers(self, answer: Answer) -> Headers:
        """All but the length, prepared once for each state of a feed: its tag tells it."""
        found = self._prepared.get(answer.etag)
        if found is None:
            if len(self._prepared) >= MOST_PREPARED:
                self._prepared.clear()
            found = [*_headers(answer), *self._protection]
            self._prepared[answer.etag] = found
        return found

    def _not_found(self, sentence: str, environ: Environ, start: Start) -> Iterable[bytes]:
        """Whoever guesses is slowed down; a living link is read from the same address all the
        same, since calendar services read all of theirs from a few.
        """
        peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", "")
        household = networks.household(networks.of(peer, forwarded, self._trusted))
        if self._strangers.are_too_many(household, clock.now()):
            return self._say(start, 429, TOO_MANY, ("Retry-After", str(A_WHILE.seconds)))
        return self._say(start, 404, sentence)

    def _say(self, start: Start, status: int, sentence: str, *more: tuple[str, str]) -> list[bytes]:
        text = f"{sentence}\n".encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(text))),
            ("Cache-Control", "no-store"),
            ("X-Request-ID", logs.request_number()),
        ]
        start(STATUS[status], [*headers, *more, *self._protection])
        return [text]


class Stream:
    """The pieces one by one; `close`, which the server calls at the end, makes room for others."""

    def __init__(self, pieces: Iterable[bytes], room: BoundedSemaphore) -> None:
        self._pieces = iter(pieces)
        self._room: BoundedSemaphore | None = room

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.release()


class Strangers:
    """Who asked for links that do not exist, and how often; in memory, for a while."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[int, datetime]] = {}

    def are_too_many(self, household: str, now: datetime) -> bool:
        """Whether this was once too often; counts it."""
        count, since = self._asked.get(household, (0, now))
        if not since <= now < since + A_WHILE:
            count, since = 0, now
        if household not in self._asked and len(self._asked) >= MOST_HOUSEHOLDS:
            self._asked.clear()  # rather forget than let guessing fill the memory
        self._asked[household] = count + 1, since
        return count >= MOST_IN_VAIN


def _headers(answer: Answer) -> Headers:
    assert answer.last_modified is not None
    return [
        ("Content-Type", "text/calendar; charset=utf-8"),
        ("Content-Disposition", f'inline; filename="{answer.file_name}"'),
        ("ETag", answer.etag),
        # In a 304 too: Apple's calendar goes by it.
        ("Last-Modified", format_datetime(answer.last_modified, usegmt=True)),
        ("Cache-Control", "private, no-cache, no-transform"),
    ]


def _seen(answer: Answer, environ: Environ) -> Seen:
    assert answer.token_id is not None
    assert answer.link_id is not None
    assert answer.last_modified is not None
    return Seen(
        answer.token_id,
        answer.link_id,
        environ.get("HTTP_USER_AGENT", ""),
        environ.get("REMOTE_ADDR", ""),
        environ.get("HTTP_X_FORWARDED_FOR", ""),
        answer.last_modified,
        clock.now(),
        answer.how.value,
        environ.get("HTTP_X_SYNC_CHECK", ""),
    )
