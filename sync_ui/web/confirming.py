"""Fresh confirmation: what is far-reaching needs the password once more, if the last was long ago.

Whatever was being sent is sent again together with the password, so that
nothing typed is lost; only files and passwords are asked for anew.
"""

from flask import Blueprint, Flask, render_template, request, url_for
from flask_login import current_user, login_required
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from sync_ui.errors import SyncError
from sync_ui.models import Calendar
from sync_ui.services import sessions
from sync_ui.services import signing as signing_service
from sync_ui.web.forms import own_path
from sync_ui.web.signing import actor

blueprint = Blueprint("confirming", __name__)

FIELD = "confirm_password"


class NotFresh(SyncError):
    """The password is asked for first; `ask_again` names the form's own password fields."""

    status = 403

    def __init__(self, ask_again: dict[str, str], fault: SyncError | None = None) -> None:
        super().__init__(fault.sentence if fault else "")
        self.status = fault.status if fault else 403
        self.ask_again = ask_again


def init_app(app: Flask) -> None:
    app.register_error_handler(NotFresh, _ask)


def require_fresh(**ask_again: str) -> None:
    """Goes on if whoever sits there was made sure of within five minutes, or just now.

    `ask_again`: fields of the form that hold passwords, with their labels; what
    was typed there never goes back into a page. Raises NotFresh.
    """
    if sessions.fresh(current_user.id):
        return
    typed = request.form.get(FIELD)
    if typed is None:
        raise NotFresh(ask_again)
    try:
        signing_service.confirm(current_user.id, typed)
    except SyncError as error:
        raise NotFresh(ask_again, error) from None


def require_fresh_unless_own(calendar: Calendar) -> None:
    """The same for a link of anybody's but the actor's own calendar."""
    if not is_own(calendar):
        require_fresh()


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


def _ask(error: NotFresh) -> Response | tuple[str, int]:
    here = request.script_root + request.full_path.rstrip("?")
    reading = request.method in {"GET", "HEAD"}
    asked = {
        "action": url_for("confirming.confirm") if reading else here,
        "fields": [("next", here)] if reading else _fields(error.ask_again),
        "files": [] if reading else [name for name, file in request.files.items() if file.filename],
        "ask_again": error.ask_again,
        "fault": error.sentence,
    }
    if not htmx_request.htmx:
        return render_template("confirming/ask.html", **asked), error.status
    part: Response = make_response(
        render_template("confirming/_ask.html", **asked), retarget="#flashes", reswap="innerHTML"
    )
    part.headers["HX-Reselect"] = "#confirming"
    part.status_code = error.status
    return part


def _fields(ask_again: dict[str, str]) -> list[tuple[str, str]]:
    """What was sent, in its order; never a password, and never an old token."""
    return [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in {FIELD, "csrf_token", *ask_again} and "password" not in name
    ]
