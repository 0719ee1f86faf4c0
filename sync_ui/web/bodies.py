"""Requests with a body: whoever sends one slowly holds a thread, and feeds need some, too.

The web server begins a request as soon as its headers are there. So few may
send at the same time that threads are left for all that has no body.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from threading import BoundedSemaphore
from typing import Any

from flask import Flask

from sync_ui.web import errors, security

Environ = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Environ, Start], Iterable[bytes]]

# A form; what is larger is an upload.
SMALL = 64 * 1024

# Of the web server's sixteen threads.
MOST_FORMS = 10
MOST_UPLOADS = 3

BUSY = "Too much is being sent at once. Nothing was changed; try again in a minute."


def init_app(app: Flask) -> None:
    app.wsgi_app = Bodies(app, app.wsgi_app)  # type: ignore[method-assign, assignment, arg-type]


class Bodies:
    """A form is read as a whole before anything looks at it; of uploads few are taken at a time."""

    def __init__(self, app: Flask, others: Application) -> None:
        self._others = others
        self._protection = [*security.protection(app).items()]
        self._forms = BoundedSemaphore(MOST_FORMS)
        self._uploads = BoundedSemaphore(MOST_UPLOADS)

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or "0"
        if length == "0" and "HTTP_TRANSFER_ENCODING" not in environ:
            return self._others(environ, start)
        if not _is_form(length):
            return self._upload(environ, start)
        if not self._forms.acquire(blocking=False):
            return self._refuse(start)
        try:
            environ["wsgi.input"] = BytesIO(_read(environ["wsgi.input"], int(length)))
        finally:
            self._forms.release()
        return self._others(environ, start)

    def _upload(self, environ: Environ, start: Start) -> Iterable[bytes]:
        if not self._uploads.acquire(blocking=False):
            return self._refuse(start)
        try:
            return self._others(environ, start)
        finally:
            self._uploads.release()

    def _refuse(self, start: Start) -> Iterable[bytes]:
        page = errors.plain_page(BUSY).encode()
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            ("Cache-Control", "no-store"),
            ("Retry-After", "60"),
        ]
        start("503 Service Unavailable", [*headers, *self._protection])
        return [page]


def _is_form(length: str) -> bool:
    return length.isascii() and length.isdigit() and len(length) < 10 and 0 < int(length) <= SMALL


def _read(body: Any, length: int) -> bytes:
    """As much as there is, at most `length`."""
    found = bytearray()
    while len(found) < length and (piece := body.read(length - len(found))):
        found += piece
    return bytes(found)
