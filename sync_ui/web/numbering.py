"""Every request has a number, by which whoever operates the server finds what was logged of it.

It is made here, never taken from the visitor, and stands in `X-Request-ID`.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from sync_ui import logs
from sync_ui.web import errors, feeds, security

HEADER = "X-Request-ID"

Environ = dict[str, Any]
Start = Callable[..., object]
Application = Callable[[Environ, Start], Iterable[bytes]]

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    app.wsgi_app = Numbered(app, app.wsgi_app)  # type: ignore[method-assign, assignment, arg-type]


class Numbered:
    """Stands before everything else: what escapes from there is answered here."""

    def __init__(self, app: Flask, others: Application) -> None:
        self._others = others
        self._protection = [*security.protection(app).items()]

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        logs.begin_request()
        # Feeds number their errors themselves; a 304 costs no more than before.
        is_feed = environ.get("PATH_INFO", "").startswith(feeds.PREFIX)
        try:
            return self._others(environ, start if is_feed else _with_number(start))
        except Exception as error:  # noqa: BLE001 - the web server would log the path, and say nothing
            log.error("Nothing answered: %s", logs.kind_and_place(error))
            return self._apologise(start)

    def _apologise(self, start: Start) -> list[bytes]:
        body = errors.plain_page(errors.SENTENCES[500]).encode()
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            (HEADER, logs.request_number()),
            *self._protection,
        ]
        start("500 Internal Server Error", headers)
        return [body]


def _with_number(start: Start) -> Start:
    def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> object:
        return start(status, [*headers, (HEADER, logs.request_number())], *more)

    return begin
