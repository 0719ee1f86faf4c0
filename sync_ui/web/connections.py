"""How a calendar is connected: which provider, which account, and what it is to show there."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from sync_ui.domain.roles import Permission
from sync_ui.domain.servers import SERVERS, Server
from sync_ui.errors import NotFound, SyncError
from sync_ui.models import Calendar, Direction
from sync_ui.services import connections, links, practice, providers
from sync_ui.web import confirming
from sync_ui.web.connection_form import ConnectForm
from sync_ui.web.connection_states import DIRECTIONS
from sync_ui.web.links import allowed_modes
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("connections", __name__, url_prefix="/calendars/<key>/connections")

View = str | Response | tuple[str, int]


@blueprint.get("/new")
@guard(Permission.OWN_LINKS)
def new(key: str) -> View:
    """First who keeps the calendar, then the account there."""
    calendar, direction = connections.clinicians(actor(), key), _direction()
    if "provider" in request.args:
        form = ConnectForm(formdata=None, mode=connections.usual_mode(direction).value)
        return _form(calendar, form)
    return render_template(
        "connections/new.html",
        servers=SERVERS,
        google_set_up=providers.has_google(),
        **_about(calendar),
    )


@blueprint.post("/new")
@guard(Permission.OWN_LINKS)
def connect(key: str) -> View:
    """Looks whether the account can be reached; nothing is written there but an empty calendar."""
    calendar, direction, server = connections.clinicians(actor(), key), _direction(), _server()
    form = ConnectForm()
    if not form.validate_on_submit():
        return _form(calendar, form, 422)
    confirming.require_fresh_unless_own(calendar, password=form.password.label.text)
    try:
        made = _connected(key, direction, server, form)
    except SyncError as error:
        form.blame(error)
        return _form(calendar, form, error.status)
    if made is None:
        return _form(calendar, form, looked=True)
    return redirect(url_for("connection.begin", key=key, connection_id=made))


def _connected(key: str, direction: Direction, server: Server, form: ConnectForm) -> int | None:
    """The connection's id; None if only the calendars there were asked for."""
    address = server.address or form.server.data or ""
    login = providers.caldav_login(address, form.user.data or "", form.password.data or "")
    account = providers.look_around(login)
    form.offer(account.calendars)
    if form.look.data:
        return None
    made = connections.connect(
        actor(),
        key,
        account,
        direction,
        form.chosen_mode,
        rule=form.chosen_rule,
        outside_id=form.outside.data or "",
        agreement=form.agreement.data or "",
        confirmed=bool(form.confirmed.data),
    )
    return made.id


def _form(
    calendar: Calendar, form: ConnectForm, status: int = 200, *, looked: bool = False
) -> tuple[str, int]:
    server = _server()
    page = render_template(
        "connections/connect.html",
        form=form,
        server=server,
        looked=looked,
        allowed_modes=allowed_modes(),
        practice=practice.get(),
        **_about(calendar),
    )
    return page, status


def _about(calendar: Calendar) -> dict[str, object]:
    return {
        "key": links.key(calendar),
        "calendar_name": links.name(calendar),
        "direction": _direction(),
        "directions": DIRECTIONS,
    }


def _direction() -> Direction:
    """Raises NotFound for a word that is none."""
    word = request.args.get("direction", "")
    if word not in set(Direction):
        raise NotFound("There is no such way to sync.")
    return Direction(word)


def _server() -> Server:
    """Raises NotFound."""
    found = SERVERS.get(request.args.get("provider", ""))
    if found is None:
        raise NotFound("There is no such provider.")
    return found
