"""One connection: its dry run, how it fares, what it needs of people, and its end."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response

from sync_ui import clock
from sync_ui.domain.reconcile import Rule
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid, NotFound, SyncError
from sync_ui.models import Calendar, Connection, ConnectionState, Direction
from sync_ui.services import (
    access,
    connections,
    copies,
    dry_runs,
    leaving,
    limits,
    links,
    practice,
    proposals,
    steps,
)
from sync_ui.services.sync import NEED_SOMEBODY
from sync_ui.web import confirming, previews, proposed
from sync_ui.web.connection_form import ChangeForm, SecretForm, values_of
from sync_ui.web.connection_log import sentence
from sync_ui.web.connection_states import in_words
from sync_ui.web.forms import blame
from sync_ui.web.links import allowed_modes
from sync_ui.web.signing import actor, guard

blueprint = Blueprint(
    "connection", __name__, url_prefix="/calendars/<key>/connections/<int:connection_id>"
)

View = str | Response | tuple[str, int]


@blueprint.get("")
@guard(Permission.OWN_LINKS)
def show(key: str, connection_id: int) -> View:
    return _page(*door(key, connection_id))


@blueprint.post("")
@guard(Permission.OWN_LINKS)
def change(key: str, connection_id: int) -> View:
    calendar, connection = door(key, connection_id)
    form = ChangeForm()
    if not form.validate_on_submit():
        return _page(calendar, connection, form, status=422)
    confirming.require_fresh_unless_own(calendar)
    try:
        connections.change(
            actor(),
            connection_id,
            mode=form.chosen_mode,
            choices=form.choices,
            rule=form.chosen_rule,
            agreement=form.agreement.data or "",
            confirmed=bool(form.confirmed.data),
        )
    except SyncError as error:
        form.blame(error)
        return _page(calendar, connection, form, status=error.status)
    sentence = "Saved. What is written there already follows within moments."
    return _done(calendar, connection, sentence, "choices")


@blueprint.get("/start")
@guard(Permission.OWN_LINKS)
def begin(key: str, connection_id: int) -> View:
    """What would be written and read, before anything is."""
    calendar, connection = door(key, connection_id)
    if connection.state is not ConnectionState.NEW:
        return redirect(_address(calendar, connection))
    return _dry_run(calendar, connection)


@blueprint.post("/start")
@guard(Permission.OWN_LINKS)
def start(key: str, connection_id: int) -> View:
    calendar, connection = door(key, connection_id)
    confirming.require_fresh_unless_own(calendar)
    if "busy_listed" in request.form and connection.state is ConnectionState.NEW:
        connections.choose_busy(actor(), connection_id, request.form.getlist("busy"))
    connection = connections.start(actor(), connection_id)
    flash("The connection works. From now on every change is there within moments.")
    return redirect(_address(calendar, connection))


@blueprint.get("/busy")
@guard(Permission.OWN_LINKS)
def busy(key: str, connection_id: int) -> View:
    """The calendars of the account, to choose those that block time."""
    calendar, connection = door(key, connection_id)
    _require_two_way(connection)
    fault, status, found = "", 200, []
    try:
        found = connections.outside_calendars(actor(), connection_id)
    except SyncError as error:
        fault, status = error.sentence, error.status
    page = render_template(
        "connection/busy.html",
        connection=connection,
        key=links.key(calendar),
        outside_calendars=found,
        fault=fault,
        **in_words(),
    )
    return page, status


@blueprint.post("/busy")
@guard(Permission.OWN_LINKS)
def choose_busy(key: str, connection_id: int) -> View:
    calendar, connection = door(key, connection_id)
    _require_two_way(connection)
    confirming.require_fresh_unless_own(calendar)
    connection = connections.choose_busy(actor(), connection_id, request.form.getlist("busy"))
    if connection.state is ConnectionState.NEW:
        return redirect(url_for("connection.begin", key=key, connection_id=connection_id))
    return _done(calendar, connection, "Saved. Their times are read within moments.", "busy")


@blueprint.post("/sync")
@guard(Permission.OWN_LINKS)
def sync_now(key: str, connection_id: int) -> View:
    calendar, connection = door(key, connection_id)
    connections.sync_now(actor(), connection_id)
    return _done(calendar, connection, "It is looked after at once.", "state")


@blueprint.post("/retry")
@guard(Permission.OWN_LINKS)
def retry(key: str, connection_id: int) -> View:
    calendar, connection = door(key, connection_id)
    connections.retry(actor(), connection_id)
    return _done(calendar, connection, "They are tried again at once.", "state")


@blueprint.post("/answer")
@guard(Permission.OWN_LINKS)
def answer(key: str, connection_id: int) -> View:
    """Of much that was changed at once: all put back, or asked about one by one."""
    calendar, connection = door(key, connection_id)
    word = request.form.get("rule", "")
    if word not in (Rule.ASK, Rule.PUT_BACK):
        raise Invalid("Choose whether to put everything back, or to be asked about each.")
    confirming.require_fresh_unless_own(calendar)
    connections.answer(actor(), connection_id, Rule(word))
    return _done(calendar, connection, "The connection goes on.", "state")


@blueprint.post("/sign-in")
@guard(Permission.OWN_LINKS)
def sign_in(key: str, connection_id: int) -> View:
    """With a new password; of one that has ended, to remove what it wrote."""
    calendar, connection = door(key, connection_id)
    form = SecretForm()
    ended = connection.state is ConnectionState.ENDED
    if not form.validate_on_submit():
        return _page(calendar, connection, secret_form=form, status=422)
    confirming.require_fresh_unless_own(calendar, password=form.password.label.text)
    mend = connections.remove_written if ended else connections.sign_in_again
    try:
        mend(actor(), connection_id, {"password": form.password.data or ""})
    except SyncError as error:
        blame(form.password, error)
        return _page(calendar, connection, secret_form=form, status=error.status)
    sentence = "What it wrote is being removed." if ended else "Signed in. The connection goes on."
    return _done(calendar, connection, sentence, "state")


@blueprint.post("/anew")
@guard(Permission.OWN_LINKS)
def make_anew(key: str, connection_id: int) -> View:
    calendar, connection = door(key, connection_id)
    confirming.require_fresh_unless_own(calendar)
    connections.make_anew(actor(), connection_id)
    return _done(calendar, connection, "There is a new calendar. Everything goes there.", "state")


@blueprint.post("/disconnect")
@guard(Permission.OWN_LINKS)
def disconnect(key: str, connection_id: int) -> View:
    calendar, connection = door(key, connection_id)
    confirming.require_fresh_unless_own(calendar)
    remove = request.form.get("written") != "keep"
    connections.disconnect(actor(), connection_id, remove=remove)
    connection = connections.one(actor(), connection_id)
    removes = connection.state is ConnectionState.LEAVING
    sentence = "Disconnected. " + (
        "What was written there is being removed." if removes else "Nothing is read or written."
    )
    return _done(calendar, connection, sentence, "state")


def door(key: str, connection_id: int) -> tuple[Calendar, Connection]:
    """Both, if they are the actor's to manage and belong together. Raises NotFound."""
    calendar = access.calendar(actor(), key)
    connection = connections.one(actor(), connection_id)
    if connection.calendar_id != calendar.id:
        raise NotFound("There is no such connection.")
    return calendar, connection


def _require_two_way(connection: Connection) -> None:
    if connection.direction is not Direction.TWO_WAY:
        raise NotFound("A connection that only sends reads no other calendar.")


def _address(calendar: Calendar, connection: Connection) -> str:
    return url_for("connection.show", key=links.key(calendar), connection_id=connection.id)


def _dry_run(calendar: Calendar, connection: Connection) -> View:
    facts: dict[str, object] = {}
    status = 200
    try:
        facts["run"] = dry_runs.dry_run(actor(), connection.id)
        if connection.direction is Direction.TWO_WAY:
            facts["outside_calendars"] = connections.outside_calendars(actor(), connection.id)
    except SyncError as error:
        facts, status = {"fault": error.sentence}, error.status
    page = render_template(
        "connection/begin.html",
        connection=connection,
        key=links.key(calendar),
        **_shown(calendar, connection),
        **facts,
        **in_words(),
    )
    return page, status


def _done(calendar: Calendar, connection: Connection, sentence: str, at: str) -> View:
    """In place with htmx, said in the section `at`; without, back to the page by a redirect."""
    if htmx_request.htmx:
        return _page(calendar, connection, done=sentence, done_at=at)
    flash(sentence)
    return redirect(_address(calendar, connection))


def _page(
    calendar: Calendar,
    connection: Connection,
    form: ChangeForm | None = None,
    *,
    secret_form: SecretForm | None = None,
    status: int = 200,
    **context: object,
) -> View:
    mode = limits.shown(connection.mode, agreed=bool(connection.agreement))
    form = form or ChangeForm(formdata=None, data=values_of(connection, mode))
    alive = connection.state not in leaving.OVER
    template = "connection/_connection.html" if htmx_request.htmx else "connection/show.html"
    page = render_template(
        template,
        connection=connection,
        key=links.key(calendar),
        practice=practice.get(),
        form=form,
        secret_form=secret_form or SecretForm(formdata=None),
        alive=alive,
        needs_somebody=connection.state in NEED_SOMEBODY,
        queue=connections.queue(connection) if alive else 0,
        written=copies.count(connection.id),
        parked=connections.parked(connection.id),
        log=[(step.at, sentence(step)) for step in steps.of(connection.id)],
        proposed=proposed.told(proposals.of_connection(connection.id)),
        allowed_modes=allowed_modes(),
        now=clock.now(),
        **_shown(calendar, connection),
        **in_words(),
        **context,
    )
    return page, status


def _shown(calendar: Calendar, connection: Connection) -> dict[str, object]:
    """What it tells whoever looks at it there, and the next appointments as they show there."""
    mode, agreed = connection.mode, bool(connection.agreement)
    shown = limits.shown(mode, agreed=agreed)
    return {
        "calendar_name": links.name(calendar),
        "mode": shown,
        "disclosure": links.disclosure_of(
            calendar,
            mode,
            connection.choices,
            None,
            None,
            agreed=agreed,
            holder="whoever sees the calendar there",
        ),
        "days": previews.next_days(calendar, shown, connection.choices),
    }
