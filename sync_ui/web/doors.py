"""The doors: names that this server answers to, and networks that people may come from.

Both are asked before anything else looks at a request. Feeds stand before
Flask and are open to everyone; so is what phones and machines need.
"""

import logging
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_login import AnonymousUserMixin, current_user
from flask_wtf import FlaskForm
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response
from wtforms import TextAreaField

from sync_ui import clock, logs
from sync_ui.domain import allowed, networks
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid
from sync_ui.models.installation import current
from sync_ui.services import doors, practice
from sync_ui.web import confirming, errors, security
from sync_ui.web.forms import blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("doors", __name__, url_prefix="/settings/network")

# What is open from everywhere, by what answers it, never by how its address is spelled.
OPEN = frozenset(
    ("phone.look", "phone.spend", "google.notify", "health.health", "pages.robots", "static")
)

# Monitors ask by whatever name they know.
OF_ANY_NAME = frozenset({"health.health"})

# One line in the log for each household and so long.
A_WHILE = timedelta(hours=1)
MOST_HOUSEHOLDS = 1000

REFUSED = (
    "Sync Calendar can be used only from the networks that the practice has chosen, such as its "
    "office. Try again from there, or ask an administrator to add the network that you are in."
)

log = logging.getLogger(__name__)

View = str | Response | tuple[str, int]


class NetworksForm(FlaskForm):
    text = TextAreaField("Addresses and networks")


def init_app(app: Flask) -> None:
    app.before_request(_answer_to_own_name)
    app.before_request(Door())
    app.context_processor(_warning)


@blueprint.route("", methods=["GET", "POST"])
@guard(Permission.SETTINGS)
def show() -> View:
    form = NetworksForm(text=doors.rules().text)
    own = security.visitor()
    if not form.validate_on_submit():
        return _page(form)
    text = form.text.data or ""
    if "add" in request.form and own is not None:
        form.text.data = f"{text.rstrip()}\n{allowed.household(own)}".lstrip()
        return _page(form, added=True)
    try:
        doors.check(text, own)
        confirming.require_fresh()
        doors.save(actor(), text, own)
    except Invalid as error:
        blame(form.text, error)
        return _page(form, status=error.status)
    who = "Only the addresses in the list" if doors.rules().networks else "Everybody"
    flash(f"Saved. {who} may come in, from the next press on.")
    return redirect(url_for("doors.show"))


@blueprint.post("/warning")
@guard(Permission.SETTINGS)
def close_warning() -> View:
    doors.close_warning(actor())
    flash("The warning is closed; the audit keeps what was done.")
    return redirect(url_for("practice.settings"))


class Door:
    """Lets in whoever comes from where the practice allows; everybody else hears so, no more."""

    def __init__(self) -> None:
        self._told: dict[str, datetime] = {}

    def __call__(self) -> Response | None:
        if request.endpoint in OPEN or doors.rules().admits(security.visitor()):
            return None
        self._log()
        return _refusal()

    def _log(self) -> None:
        household, now = security.network(), clock.now()
        last = self._told.get(household)
        if last is not None and last <= now < last + A_WHILE:
            return
        if len(self._told) >= MOST_HOUSEHOLDS:
            self._told.clear()
        self._told[household] = now
        log.warning("Refused somebody from %s.", networks.words(str(security.visitor())))


def _refusal() -> Response:
    """For nobody in particular: not even who is signed in may show."""
    answer: Response
    if errors.wants_json():
        answer = jsonify(error=REFUSED, request=logs.request_number())
        answer.status_code = 403
        return answer
    if htmx_request.htmx:
        # The page that is open goes, too: it was meant for another place.
        answer = make_response("", 403, refresh=True)
        return answer
    template = current_app.jinja_env.get_template("doors/refused.html")
    page = template.render(
        current_user=AnonymousUserMixin(), sentence=REFUSED, number=logs.request_number()
    )
    return Response(page, 403, content_type="text/html")


def _answer_to_own_name() -> None:
    """Pages answer to the name of SYNC_BASE_URL, to localhost and to addresses.

    Another name in a browser may be somebody else's who has it lead here. Raises BadRequest.
    """
    if request.endpoint not in OF_ANY_NAME and not _is_own(request.host):
        raise BadRequest


def _is_own(host: str) -> bool:
    """`host` with or without a port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    own = urlsplit(current().config.base_url).hostname
    return name in {own, "localhost"} or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _warning() -> dict[str, object]:
    if not (current_user.is_authenticated and actor().may(Permission.SETTINGS)):
        return {}
    return {"emergency_at": practice.get().emergency_at}


def _page(form: NetworksForm, *, added: bool = False, status: int = 0) -> View:
    own = security.visitor()
    trusted = current().config.trusted_proxies
    peer = networks.visitor(request.remote_addr or "", "", ())
    told = "X-Forwarded-For" in request.headers
    return render_template(
        "doors/networks.html",
        form=form,
        own=own,
        added=added,
        proxy_unknown=told and not any(peer in network for network in trusted if peer),
    ), status or (422 if form.errors else 200)
