"""One appointment, or a series of them: booked, changed, cancelled."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from flask import Blueprint, render_template, request, url_for

from sync_ui.domain import repeat
from sync_ui.domain.event import GONE
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid, SyncError
from sync_ui.models import Appointment, Client, Series, db
from sync_ui.services import (
    access,
    accounts,
    appointments,
    audit,
    clients,
    freshness,
    series,
    types,
)
from sync_ui.services.appointments import Overtaken
from sync_ui.services.clashes import Clashing
from sync_ui.services.series import Scope
from sync_ui.web import dates
from sync_ui.web.appointment_form import (
    KEPT,
    REPEATS,
    STAYS,
    AppointmentForm,
    data_of,
    near_date,
    suggested,
)
from sync_ui.web.dialog import View, done, in_dialog, number, scope_of, undo_of
from sync_ui.web.forms import blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("appointments", __name__, url_prefix="/calendar")


@blueprint.route("/new", methods=["GET", "POST"])
@guard(Permission.OWN_SCHEDULE)
def new() -> View:
    form = AppointmentForm()
    form.offer()
    if request.method == "GET":
        _prefill(form)
    if not form.validate_on_submit():
        return _page(form)
    try:
        plan, rule = form.plan(_attending(form)), form.rule() or ""
        if rule:
            series.create(actor(), form.clinician.data, plan, rule, despite=form.despite.data or "")
        else:
            appointments.create(actor(), form.clinician.data, plan, despite=form.despite.data or "")
    except SyncError as error:
        return _page(form, error)
    words = (
        "The appointments are in the schedule." if rule else "The appointment is in the schedule."
    )
    return done(words, form.date.data)


@blueprint.route("/<int:appointment_id>", methods=["GET", "POST"])
@guard(Permission.OWN_SCHEDULE)
def edit(appointment_id: int) -> View:
    appointment = access.appointment(actor(), appointment_id)
    of = _series_of(appointment)
    form = AppointmentForm(data=data_of(appointment, of) if request.method == "GET" else None)
    form.offer(appointment)
    if of is not None and repeat.read(of.rule, of.zone) is None:
        form.repeats.choices = REPEATS | {KEPT: "As it is"}
    if not form.validate_on_submit():
        return _page(form, appointment=appointment)
    try:
        _change(form, appointment, of)
    except SyncError as error:
        db.session.rollback()
        return _page(form, error, access.appointment(actor(), appointment_id))
    others = form.scope.data != Scope.THIS or (of is None and form.rule())
    undo = undo_of(appointment_id) if others else None
    return done("The appointment is changed.", form.date.data, undo)


@blueprint.post("/<int:appointment_id>/cancel")
@guard(Permission.OWN_SCHEDULE)
def cancel(appointment_id: int) -> View:
    late, word = "late" in request.form, request.form.get("scope", Scope.THIS.value)
    scope, revision = scope_of(word), number(request.form.get("revision"))
    try:
        if scope is None:
            raise Invalid("Say which to cancel: this one, this and following, or all.")
        if scope is not Scope.THIS:
            count = series.cancel(actor(), appointment_id, scope, late=late, revision=revision)
            day = access.appointment(actor(), appointment_id).starts_local.date()
            words = f"{count} appointments are cancelled."
            return done(words, day, undo_of(appointment_id))
        appointment = appointments.cancel(actor(), appointment_id, late=late, revision=revision)
    except SyncError as error:
        return _again(appointment_id, error)
    undo = {"url": url_for("moves.restore", appointment_id=appointment_id), "values": {}}
    return done("The appointment is cancelled.", appointment.starts_local.date(), undo)


@blueprint.get("/clients")
@guard(Permission.OWN_SCHEDULE)
def find_clients() -> View:
    """The clients whom a few letters may mean, as a list to choose from."""
    text = request.args.get("find", "")
    return render_template(
        "appointments/_found.html",
        found=suggested(text),
        text=" ".join(text.split()),
        may_add=actor().may(Permission.EVERY_CLIENT),
    )


@blueprint.post("/clients")
@guard(Permission.EVERY_CLIENT)
def add_client() -> View:
    """A client who was found to be missing while booking."""
    first, _, last = " ".join(request.form.get("name", "").split()).rpartition(" ")
    added = clients.create(actor(), first_name=first or last, last_name=last if first else "")
    return render_template("appointments/_chip.html", client=added)


def _prefill(form: AppointmentForm) -> None:
    form.date.data = near_date(request.args.get("date")) or dates.today()
    form.start.data = _time(request.args.get("start")) or time(9)
    form.minutes.data = number(request.args.get("minutes")) or 50
    form.clinician.data = request.args.get("clinician", type=int) or actor().clinician_id
    usual = [found.id for found in types.offered() if found.minutes == form.minutes.data]
    form.type.data = usual[0] if usual else 0
    form.weekdays.data = [form.date.data.weekday()]
    client_id = request.args.get("client", type=int)
    form.clients.data = [client_id] if client_id else []


def _attending(form: AppointmentForm) -> tuple[Client, ...]:
    """Who comes: the chosen, and without script the one whom the letters typed can only mean.

    Raises Invalid for an open question, and for whom the actor may not book.
    """
    chosen = _chosen(form)
    if len(chosen) != len(set(form.clients.data or [])):
        raise Invalid("Choose each client by a few letters of the name.")
    text = (form.find.data or "").strip()
    if not text:
        return chosen
    found = suggested(text)
    if len(found) != 1:
        raise Invalid("Several clients fit. Tick one." if found else "No client has this name.")
    ids = [*(client.id for client in chosen), found[0].id]
    return appointments.find_clients(db.session(), ids)


def _chosen(form: AppointmentForm) -> tuple[Client, ...]:
    """The clients that were ticked, but those whom the actor may not know of."""
    appointment_id = (request.view_args or {}).get("appointment_id")
    kept = set()
    if appointment_id is not None:
        kept = {client.id for client in access.appointment(actor(), appointment_id).clients}
    ticked = appointments.known_clients(db.session(), form.clients.data or [])
    return tuple(c for c in ticked if c.id in kept or access.may_know(actor(), c.id))


def _change(form: AppointmentForm, appointment: Appointment, of: Series | None) -> None:
    plan = form.plan(_attending(form), appointment)
    asked: dict[str, Any] = {
        "revision": number(form.revision.data),
        "despite": form.despite.data or "",
    }
    to = form.clinician.data if form.clinician.data != appointment.clinician_id else None
    scope, rule = scope_of(form.scope.data) or Scope.THIS, form.rule(of)
    if of is None and rule and to is None:
        series.change(actor(), appointment.id, plan, Scope.ALL, rule=rule, **asked)
        return
    if of is None or to is not None:
        if to is not None and (scope is not Scope.THIS or (of is None and rule)):
            raise Invalid(STAYS)
        appointments.change(actor(), appointment.id, plan, clinician_id=to, **asked)
        return
    if scope is Scope.THIS and rule is not None:
        raise Invalid("How it repeats is said of “This and following” or of all. Choose which.")
    series.change(actor(), appointment.id, plan, scope, rule=rule, **asked)


def _again(appointment_id: int, error: SyncError) -> View:
    """The form as the appointment stands now, with what was wrong."""
    db.session.rollback()
    appointment = access.appointment(actor(), appointment_id)
    form = AppointmentForm(formdata=None, data=data_of(appointment, _series_of(appointment)))
    form.offer(appointment)
    return _page(form, error, appointment)


def _series_of(appointment: Appointment) -> Series | None:
    if appointment.series_id is None:
        return None
    return db.session.get(Series, appointment.series_id)


def _page(
    form: AppointmentForm,
    error: SyncError | None = None,
    appointment: Appointment | None = None,
) -> View:
    """The form, as a page of its own or in the schedule's dialog."""
    if error is not None:
        _tell(form, error)
    of = _series_of(appointment) if appointment else None
    theirs = data_of(appointment, of) if appointment and isinstance(error, Overtaken) else {}
    if theirs:
        form.revision.data = theirs["revision"]
    shown_in_dialog = in_dialog()
    return render_template(
        "appointments/_form.html" if shown_in_dialog else "appointments/edit.html",
        form=form,
        in_dialog=shown_in_dialog,
        appointment=appointment,
        series=of,
        repeats=repeat.words(of.rule, of.starts_local.date(), of.zone) if of else "",
        chosen=_chosen(form),
        suggested=suggested(form.find.data or ""),
        clashes=error.clashes if isinstance(error, Clashing) else (),
        differences=_differences(form, theirs),
        overtaken_by=_last_change(appointment) if theirs and appointment else "",
        gone=GONE,
        freshness=freshness.of(actor(), appointment) if appointment else [],
        moment=_moment,
    ), error.status if error else (422 if form.errors else 200)


def _moment(at: datetime) -> str:
    """“14:02” today, else “yesterday at 14:02” or “on 20 Nov 2026 at 14:02”."""
    days = (dates.today() - at.astimezone(dates.zone()).date()).days
    if days <= 0:
        return dates.clock_time(at)
    day = "yesterday" if days == 1 else f"on {dates.short_day(at)}"
    return f"{day} at {dates.clock_time(at)}"


def _tell(form: AppointmentForm, error: SyncError) -> None:
    """The sentence, beside the field that it is about."""
    about = {
        "client": form.find,
        "video room": form.telehealth_address,
        "repeat": form.repeats,
    }
    field = next((field for word, field in about.items() if word in error.sentence), None)
    if field is not None and isinstance(error, Invalid):
        blame(field, error)
    else:
        form.form_errors = [error.sentence]


def _differences(form: AppointmentForm, theirs: Mapping[str, object]) -> list[tuple[str, str]]:
    """(label, what it is now) of each field in which the form differs from what was saved."""
    found = []
    for name, value in theirs.items():
        field = form[name]
        mine = field.data
        if name in {"revision", "despite"} or (mine or None) == (value or None):
            continue
        found.append((field.label.text, _shown(field, value)))
    return found


def _shown(field: Any, value: object) -> str:
    if field.name == "clients":
        found = appointments.known_clients(db.session(), value)  # type: ignore[arg-type]
        return ", ".join(f"{c.first_name} {c.last_name}".strip() for c in found) or "nobody"
    if isinstance(value, date):
        return dates.day(value)
    if isinstance(value, time):
        return dates.clock_time(datetime.combine(dates.today(), value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    choices = getattr(field, "choices", None) or {}
    pairs = choices.items() if isinstance(choices, dict) else [c[:2] for c in choices]
    return str(dict(pairs).get(value, value)) or "empty"


def _last_change(appointment: Appointment) -> str:
    """“Sam Rivera at 14:02”."""
    entry = audit.latest_of(f"appointment:{appointment.id}")
    if entry is None:
        return "Someone"
    return f"{accounts.name_of(entry.actor)} at {dates.clock_time(entry.at)}"


def _time(text: str | None) -> time | None:
    known = text and re.fullmatch(r"(?:[01]\d|2[0-3]):[0-5]\d", text)
    return time.fromisoformat(text) if text and known else None
