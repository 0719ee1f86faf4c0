"""Errors as people see them: one sentence, the right status, nothing of the inside.

A page is drawn for whoever is signed in, or for nobody in particular where the
database may be the fault, or without any template where that is the fault.
"""

import logging
from collections.abc import Callable

from flask import Flask, current_app, jsonify, render_template, request
from flask_login import AnonymousUserMixin
from flask_wtf.csrf import CSRFError
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response

from sync_ui import logs
from sync_ui.errors import SyncError
from sync_ui.models import db
from sync_ui.models.damage import sentence_for
from sync_ui.models.installation import current

AGAIN = "Go back, load the page again and try once more."

SENTENCES = {
    400: f"The request could not be understood. {AGAIN}",
    401: "Sign in first.",
    403: "Your role does not allow this.",
    404: "There is nothing at this address.",
    405: "This address does not take this kind of request.",
    406: "This address has nothing of the kind that was asked for.",
    408: "The request took too long to arrive. Try again.",
    413: "The file is too large: 32 MB at most.",
    414: "The address is too long.",
    415: "This address does not take this kind of content.",
    422: f"Something that was sent is wrong. {AGAIN}",
    429: "Too many tries. Wait a few minutes and try again.",
    431: "The browser sent too much with its request. Delete the cookies of this site.",
    500: "Something went wrong on our side. Nothing was changed.",
    503: "The database is busy or cannot be reached. Nothing was changed; try again in a minute.",
}

PLAIN = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>Something went wrong · Sync Calendar</title></head><body><main>"
    "<h1>Something went wrong</h1><p data-message>{sentence}</p>"
    "<p>If you ask for help, name this number: <code>{number}</code></p>"
    '<p><a href="/">Go to the start</a></p></main></body></html>\n'
)

SECONDS_TO_WAIT = "60"

log = logging.getLogger(__name__)

Answer = tuple[str | Response, int]


def init_app(app: Flask) -> None:
    app.register_error_handler(SyncError, _known)
    app.register_error_handler(CSRFError, _expired_form)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(PoolTimeoutError, _database)
    app.register_error_handler(Exception, _unknown)


def _known(error: SyncError) -> Answer:
    return _answer(error.status, error.sentence)


def _expired_form(_: CSRFError) -> Answer:
    return _answer(400, "This form has expired. Load the page again and send it once more.")


def _http(error: HTTPException) -> Answer:
    status = error.code or 500
    body, status = _answer(status, SENTENCES.get(status, SENTENCES[400 if status < 500 else 500]))
    answer = make_response(body, status)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # RFC 9110, 15.5.6
    return answer, status


def _database(error: DBAPIError | PoolTimeoutError) -> Answer:
    # The statement and its values stay out of the log: they hold clients' data.
    kind = type(error.orig if isinstance(error, DBAPIError) else error).__name__
    log.error("Database error: %s at %s", kind, request.endpoint)
    _let_go()
    current().damage.notice(error)
    told = sentence_for(error) if isinstance(error, DBAPIError) else None
    return _answer(503, told or SENTENCES[503])


def _unknown(error: Exception) -> Answer:
    log.error("An answer failed: %s", logs.kind_and_place(error))
    _let_go()
    return _answer(500, SENTENCES[500])


def _let_go() -> None:
    """Of the transaction; a connection that is gone has let go by itself."""
    try:
        db.session.rollback()
    except DBAPIError as error:
        log.warning("A transaction could not be ended: %s", type(error.orig).__name__)


def _answer(status: int, sentence: str) -> Answer:
    answer: Response
    if wants_json():
        answer = jsonify(error=sentence, request=logs.request_number())
    elif htmx_request.htmx:
        answer = _fragment(status, sentence)
    else:
        answer = make_response(_page(status, sentence))
    if status == 503:
        answer.headers["Retry-After"] = SECONDS_TO_WAIT
    return answer, status


def wants_json() -> bool:
    """Only whoever names JSON and would rather not have a page."""
    accepts = request.accept_mimetypes
    return accepts.best_match(["text/html", "application/json"]) == "application/json"


def _page(status: int, sentence: str) -> str:
    ways: list[Callable[[int, str], str]] = [_page_for_user, _page_for_nobody]
    for draw in ways[1:] if status >= 500 else ways:
        try:
            return draw(status, sentence)
        except Exception as error:  # noqa: BLE001 - the next way needs less
            log.error("The page of an error failed: %s", logs.kind_and_place(error))
    return plain_page(sentence)


def _page_for_user(status: int, sentence: str) -> str:
    number = logs.request_number()
    return render_template("error.html", status=status, sentence=sentence, number=number)


def _page_for_nobody(status: int, sentence: str) -> str:
    """Who is signed in stands in the database, which may be the fault."""
    return current_app.jinja_env.get_template("error.html").render(
        status=status,
        sentence=sentence,
        number=logs.request_number(),
        current_user=AnonymousUserMixin(),
    )


def plain_page(sentence: str) -> str:
    """Needs no template, no database and no request of Flask's."""
    return str(PLAIN.format(sentence=sentence, number=logs.request_number()))


def _fragment(status: int, sentence: str) -> Response:
    """Shown above the page, which stays as it is, whatever the request was to change."""
    number = logs.request_number() if status >= 500 else ""
    try:
        template = current_app.jinja_env.get_template("_error.html")
        fragment = template.render(sentence=sentence, number=number)
    except Exception as error:  # noqa: BLE001 - what went wrong is told all the same
        log.error("The part of an error failed: %s", logs.kind_and_place(error))
        fragment = Markup('<p role="alert">{}</p>').format(sentence)
    answer: Response = make_response(fragment, retarget="#flashes", reswap="innerHTML")
    answer.headers["HX-Reselect"] = "[role=alert]"
    return answer
