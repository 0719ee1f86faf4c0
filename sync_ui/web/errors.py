"""Errors as people see them: one sentence, the right status, nothing of the inside."""

import logging
import secrets

from flask import Flask, current_app, render_template, request
from flask_login import AnonymousUserMixin
from flask_wtf.csrf import CSRFError
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response

from sync_ui.errors import SyncError
from sync_ui.models import db

SENTENCES = {
    400: "The request could not be understood. Go back, load the page again and try once more.",
    403: "Your role does not allow this.",
    404: "There is nothing at this address.",
    405: "This address does not take this kind of request.",
    413: "The file is too large: 32 MB at most.",
    500: "Something went wrong on our side. Nothing was changed.",
    503: "The database is busy or cannot be reached. Nothing was changed; try again in a minute.",
}

log = logging.getLogger(__name__)

Answer = tuple[str | Response, int]


def init_app(app: Flask) -> None:
    app.register_error_handler(SyncError, _known)
    app.register_error_handler(CSRFError, _expired_form)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(Exception, _unknown)


def _known(error: SyncError) -> Answer:
    return _page(error.status, error.sentence)


def _expired_form(_: CSRFError) -> Answer:
    return _page(400, "This form has expired. Load the page again and send it once more.")


def _http(error: HTTPException) -> Answer:
    status = error.code or 500
    body, status = _page(status, SENTENCES.get(status, SENTENCES[400 if status < 500 else 500]))
    answer = make_response(body, status)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # RFC 9110, 15.5.6
    return answer, status


def _database(error: DBAPIError) -> Answer:
    # The statement and its values stay out of the log: they hold clients' data.
    log.error("Database error: %s at %s", type(error.orig).__name__, request.endpoint)
    db.session.rollback()
    return _page(503, SENTENCES[503])


def _unknown(error: Exception) -> Answer:
    number = secrets.token_hex(4)
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
    log.error("Error %s: %s at %s", number, type(error).__name__, where)
    db.session.rollback()
    return _page(500, f"{SENTENCES[500]} (Error {number})")


def _page(status: int, sentence: str) -> Answer:
    if htmx_request.htmx:
        return _fragment(status, sentence)
    if status >= 500:
        return _bare_page(status, sentence), status
    return render_template("error.html", status=status, sentence=sentence), status


def _fragment(status: int, sentence: str) -> Answer:
    """Shown above the page, which stays as it is, whatever the request was to change."""
    fragment = current_app.jinja_env.get_template("_error.html").render(sentence=sentence)
    answer: Response = make_response(fragment, retarget="#flashes", reswap="innerHTML")
    answer.headers["HX-Reselect"] = "[role=alert]"
    return answer, status


def _bare_page(status: int, sentence: str) -> str:
    """For nobody in particular: who is signed in stands in the database, which may be the fault."""
    return current_app.jinja_env.get_template("error.html").render(
        status=status, sentence=sentence, current_user=AnonymousUserMixin()
    )
