"""Google: people go there to sign in and come back, and it calls us when a calendar changes."""

from base64 import b64decode, b64encode

from flask import Blueprint, Flask, flash, redirect, render_template, request, session, url_for
from flask_login import current_user
from flask_wtf import CSRFProtect
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response

from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid, SyncError
from sync_ui.models import ConnectionState, Direction
from sync_ui.services import access, channels, sign_ins
from sync_ui.services.sign_ins import Errand
from sync_ui.web import confirming
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("google", __name__)

TICKET = "google"

View = str | Response | tuple[str, int]


def init_app(app: Flask) -> None:
    protection: CSRFProtect = app.extensions["csrf"]
    protection.exempt(notify)


@blueprint.post("/connections/google/start")
@guard(Permission.OWN_LINKS)
def start() -> View:
    """Of the form: `connection`, to sign in to it again, or `calendar` and `direction`."""
    errand = _errand()
    confirming.require_fresh_unless_own(access.calendar(actor(), errand.key))
    try:
        gone = sign_ins.go(errand, current_user.id)
    except SyncError as error:
        return _refused(error, errand)
    session[TICKET] = b64encode(gone.ticket).decode()
    if htmx_request.htmx:
        answer: Response = make_response("", redirect=gone.url)
        return answer
    return render_template("google/go.html", url=gone.url)


@blueprint.get(sign_ins.CALLBACK)
def callback() -> View:
    """Back from Google; whatever came of it, the ticket is used up."""
    ticket = b64decode(session.pop(TICKET, ""))
    if not current_user.is_authenticated:
        # Without a word of where to go afterwards: Google's answer would be part of it.
        return redirect(url_for("accounts.sign_in"))
    errand = None
    try:
        errand = sign_ins.errand_of(ticket, current_user.id)
        found = sign_ins.come_back(actor(), ticket, current_user.id, request.args)
    except SyncError as error:
        return _refused(error, errand)
    key, connection_id = errand.key, found.id
    if errand.connection_id is None:
        return redirect(url_for("connection.begin", key=key, connection_id=connection_id))
    ended = found.state is ConnectionState.LEAVING
    flash("What it wrote is being removed." if ended else "Signed in. The connection goes on.")
    return redirect(url_for("connection.show", key=key, connection_id=connection_id))


@blueprint.post(channels.ADDRESS)
def notify() -> tuple[str, int]:
    """A calendar has changed, says whoever knows the channel's secret; nothing else is read."""
    names = ("X-Goog-Channel-ID", "X-Goog-Channel-Token", "X-Goog-Resource-ID")
    known = channels.heard(*(request.headers.get(name, "") for name in names))
    return "", 204 if known else 404


def _errand() -> Errand:
    """Raises NotFound, Invalid."""
    connection_id, word = request.form.get("connection", ""), request.form.get("direction", "")
    if connection_id:
        if not (connection_id.isascii() and connection_id.isdigit()):
            raise Invalid("There is no such connection.")
        return sign_ins.to_sign_in_again(actor(), int(connection_id))
    if word not in set(Direction):
        raise Invalid("Choose two-way sync, or to send only.")
    return sign_ins.to_connect(actor(), request.form.get("calendar", ""), Direction(word))


def _refused(error: SyncError, errand: Errand | None) -> Response:
    """What is wrong, on the page where people can try again."""
    flash(error.sentence, "error")
    if errand is None:
        return redirect(url_for("links.calendars"))
    return redirect(url_for("links.sync", key=errand.key))
