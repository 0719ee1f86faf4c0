"""The feed: what calendar apps read. No session, no cookie, no redirect, ever."""

from email.utils import format_datetime
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from werkzeug.datastructures import Headers

from sync_ui.errors import NotFound, Unavailable
from sync_ui.services import feeds, visits
from sync_ui.services.feeds import Answer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

blueprint = Blueprint("feeds", __name__)

METHODS = "GET, HEAD, OPTIONS"


@blueprint.get("/cal/<path:link>", provide_automatic_options=False)
def read(link: str) -> Response:
    """Authorization, Accept, cookies and the query are ignored: apps send the oddest things.

    Only the link's first part counts; the readable name after it may be missing or mangled.
    """
    token = link.partition("/")[0]
    try:
        answer = feeds.read(
            token,
            if_none_match=request.headers.get("If-None-Match"),
            if_modified_since=request.headers.get("If-Modified-Since"),
        )
    except NotFound as error:
        return _text(404, error.sentence)
    except Unavailable as error:
        response = _text(503, error.sentence)
        response.headers["Retry-After"] = "60"
        return response
    if request.method == "GET" and answer.status in {200, 304}:
        visits.note(answer.link_id, request.headers.get("User-Agent", ""))
    return _response(answer)


@blueprint.route("/cal/<path:link>", methods=["OPTIONS"])
def options(link: str) -> Response:
    return Response(status=204, headers={"Allow": METHODS})


@blueprint.route(
    "/cal/<path:link>",
    methods=["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "REPORT", "MKCALENDAR"],
    provide_automatic_options=False,
)
def refuse(link: str) -> Response:
    response = _text(405, "This calendar can be read only.")
    response.headers["Allow"] = METHODS
    return response


class Feed(Response):
    """Repeats Last-Modified in a 304, which Werkzeug leaves out and Apple's calendar goes by."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        headers = super().get_wsgi_headers(environ)
        if "Last-Modified" in self.headers:
            headers["Last-Modified"] = self.headers["Last-Modified"]
        return headers


def _response(answer: Answer) -> Response:
    if answer.status == 410:
        return _text(410, answer.body.decode().strip())
    response = Feed(answer.body, status=answer.status)
    headers = response.headers
    headers["Content-Type"] = "text/calendar; charset=utf-8"
    headers["Content-Disposition"] = f'inline; filename="{answer.file_name}"'
    headers["ETag"] = answer.etag
    if answer.last_modified is not None:
        headers["Last-Modified"] = format_datetime(answer.last_modified, usegmt=True)
    headers["Cache-Control"] = "private, no-cache, no-transform"
    return response


def _text(status: int, sentence: str) -> Response:
    response = Response(f"{sentence}\n", status=status, mimetype="text/plain")
    response.headers["Cache-Control"] = "no-store"
    return response
