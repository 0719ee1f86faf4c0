"""Fresh confirmation: what is far-reaching needs the password, or a passkey, again after a while.

Whatever was being sent is sent again together with it, so that
nothing typed is lost; only files and passwords are asked for anew.
"""

from urllib.parse import urlsplit

from flask import Blueprint, Flask, current_app, render_template, request, session, url_for
from flask_login import current_user, login_required
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from werkzeug.exceptions import HTTPException
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from sync_ui.errors import SyncError
from sync_ui.models import Calendar
from sync_ui.services import factors, passkeys, sessions
from sync_ui.services import signing as signing_service
from sync_ui.web.forms import own_path
from sync_ui.web.second_step import CHALLENGE, answer_with
from sync_ui.web.signing import actor

blueprint = Blueprint("confirming", __name__)

FIELD = "confirm_password"
PASSKEY = "confirm_passkey"

# What each call that asks is about to do: whoever types a password has to know what for.
ABOUT = {
    "accounts.change_email": "change your e-mail address",
    "audit.export": "download the audit",
    "backups.download": "download a backup",
    "connection.answer": "decide what becomes of changes in another person’s connected calendar",
    "connection.change": "change what another person’s connection shows",
    "connection.choose_busy": "choose which of another person’s calendars block time",
    "connection.disconnect": "disconnect another person’s calendar",
    "connection.make_anew": "make a new calendar in another person’s account",
    "connection.sign_in": "sign in again to another person’s connected account",
    "connection.start": "start the connection of another person’s calendar",
    "connections.connect": "connect another person’s calendar to an account",
    "doors.show": "change from where people may sign in",
    "exports.clients": "download the list of clients",
    "exports.schedule": "download a schedule",
    "factor_rules.forget": "remove a user’s second steps",
    "factor_rules.policy": "change the rules of signing in",
    "factors.add_passkey": "add a passkey",
    "factors.app": "see the secret of an authenticator app",
    "factors.begin_app": "add an authenticator app",
    "factors.confirm_app": "add an authenticator app",
    "factors.draw_codes": "get new recovery codes",
    "factors.offer_passkey": "add a passkey",
    "factors.passkey": "add a passkey",
    "factors.remove_app": "remove your authenticator app",
    "factors.remove_passkey": "remove a passkey",
    "google.start": "connect another person’s calendar to a Google account",
    "keys.show": "see the practice’s keys",
    "leaks.stop": "stop a link that somebody else may have",
    "link.change": "change another person’s link",
    "link.disable": "turn off another person’s link",
    "link.renew": "give another person’s link a new address",
    "link.reset": "give another person’s link a new address",
    "link.show": "see the address of another person’s link",
    "links.allow": "let another person’s calendar be shared",
    "links.change_mode": "change what another person’s link shows",
    "links.create": "create a link to another person’s calendar",
    "links.disable": "turn off another person’s link",
    "links.disallow": "end the sharing of another person’s calendar",
    "links.draw": "show the QR code of another person’s link",
    "links.reset": "give another person’s link a new address",
    "links.reset_all": "give all links of another person’s calendar new addresses",
    "links.send": "mail another person’s link",
    "links.sync": "see the addresses of another person’s links",
    "people.archive": "archive a clinician",
    "people.code": "make a code with which a user chooses a new password",
    "people.disable": "disable a user",
    "people.enable": "enable a user again",
    "people.end_all_sessions": "sign everybody out",
    "people.end_sessions": "sign a user out everywhere",
    "people.invite": "mail a user an invitation",
    "people.new": "add a user",
    "people.password": "set a user’s password",
    "people.reset_known": "reset the links that a user knew",
    "people.user": "change what a user may do",
    "practice.policy": "change the practice’s policy",
    "practice.reset_links": "give all links of the practice new addresses",
}


class NotFresh(SyncError):
    """The password is asked for first; `ask_again` names the form's own password fields.

    `by`: the field in which something was shown that was not taken.
    """

    status = 403

    def __init__(
        self, ask_again: dict[str, str], fault: SyncError | None = None, by: str = FIELD
    ) -> None:
        super().__init__(fault.sentence if fault else "")
        self.status = fault.status if fault else 403
        self.ask_again = ask_again
        self.by = by


def init_app(app: Flask) -> None:
    app.register_error_handler(NotFresh, _ask)


def require_fresh(**ask_again: str) -> None:
    """Goes on if whoever sits there was made sure of within five minutes, or just now.

    `ask_again`: fields of the form that hold passwords, with their labels; what
    was typed there never goes back into a page. Raises NotFresh.
    """
    if sessions.fresh(current_user.id):
        return
    typed, shown = request.form.get(FIELD), request.form.get(PASSKEY)
    if typed is None and not shown:
        raise NotFresh(ask_again)
    try:
        if shown:
            challenge = session.pop(CHALLENGE, "")
            signing_service.confirm_by_passkey(current_user.id, challenge, shown)
        else:
            signing_service.confirm(current_user.id, typed or "")
    except SyncError as error:
        raise NotFresh(ask_again, error, PASSKEY if shown else FIELD) from None


def require_fresh_unless_own(calendar: Calendar, **ask_again: str) -> None:
    """The same for a link or connection of anybody's but the actor's own calendar."""
    if not is_own(calendar):
        require_fresh(**ask_again)


def may_see_addresses(calendar: Calendar) -> bool:
    """Whether a page may show addresses of the calendar's links without asking first."""
    return is_own(calendar) or sessions.fresh(current_user.id)


def is_own(calendar: Calendar) -> bool:
    return calendar.clinician_id is not None and calendar.clinician_id == actor().clinician_id


@blueprint.post("/confirm")
@login_required
def confirm() -> Response:
    """Where a page that was only looked at asks, and from where it is shown."""
    require_fresh()
    return redirect(own_path(request.form.get("next")) or url_for("pages.home"))


@blueprint.post("/confirm/passkey/options")
@login_required
def offer_passkey() -> Response:
    """Asked for by a script, which sends the answer with the form."""
    return answer_with(signing_service.offer_passkey(current_user.id))


def _ask(error: NotFresh) -> Response | tuple[str, int]:
    here = request.script_root + request.full_path.rstrip("?")
    reading = request.method in {"GET", "HEAD"}
    asked = {
        "action": url_for("confirming.confirm") if reading else here,
        "fields": [("next", here)] if reading else _fields(error.ask_again),
        "files": [] if reading else [name for name, file in request.files.items() if file.filename],
        "about": ABOUT.get(_endpoint(), "do something far-reaching"),
        "ask_again": error.ask_again,
        "fault": error.sentence if error.by == FIELD else "",
        "passkey_fault": error.sentence if error.by == PASSKEY else "",
        "has_passkey": passkeys.possible() and factors.held(current_user.user_id).passkeys,
    }
    if not htmx_request.htmx:
        return render_template("confirming/ask.html", **asked), error.status
    part: Response = make_response(
        render_template("confirming/_ask.html", **asked), retarget="#flashes", reswap="innerHTML"
    )
    part.headers["HX-Reselect"] = "#confirming"
    part.status_code = error.status
    return part


def _endpoint() -> str:
    """What was asked for; of a confirmation, the page behind it."""
    if request.endpoint != "confirming.confirm":
        return request.endpoint or ""
    path = urlsplit(own_path(request.form.get("next")) or "").path
    try:
        return str(current_app.url_map.bind("").match(path.removeprefix(request.script_root))[0])
    except HTTPException:
        return ""


def _fields(ask_again: dict[str, str]) -> list[tuple[str, str]]:
    """What was sent, in its order; never a password, a passkey's answer or an old token."""
    return [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in {FIELD, PASSKEY, "csrf_token", *ask_again} and "password" not in name
    ]
