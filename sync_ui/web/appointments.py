"""One appointment, or a series of them: booked, changed, moved, cancelled, restored."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from htmx_flask import make_response
from htmx_flask import request as htmx_request
from werkzeug.wrappers import Response

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
    plans,
    practice,
    series,
    types,
)
from sync_ui.services.appointments import Overtaken
from sync_ui.services.clashes import Clashing
from sync_ui.services.plans import Plan
from sync_ui.services.series import Scope
from sync_ui.web import dates
from sync_ui.web.appointment_form import (
    KEPT,
    REPEATS,
    SCOPES,
    AppointmentForm,
    data_of,
    near_date,
    suggested,
    times_of,
)
from sync_ui.web.forms import blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("appointments", __name__, url_prefix="/calendar")

View = str | Response | tuple[str, int]

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

# What undoing says, so that nothing can stand in its way.
PUT_BACK = "Put back"

NOWHERE = "The time to move it to is not one. Try again."
STAYS = (
    "A series stays with its clinician. Hand over this one alone, "
    "or book a new series with the other clinician."
)


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
    return _done(words, form.date.data)


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
    return _done("The appointment is changed.", form.date.data)


@blueprint.post("/<int:appointment_id>/move")
@guard(Permission.OWN_SCHEDULE)
def move(appointment_id: int) -> View:
    """To another time, or to another clinician: what dragging does, and undoing it."""
    appointment = access.appointment(actor(), appointment_id)
    before = _place_of(appointment)
    scope = _scope(request.form.get("scope"))
    try:
        plan, to = _moved(appointment), _given("clinician")
        to = None if to == appointment.clinician_id else to
        if to is not None and scope not in {None, Scope.THIS}:
            raise Invalid(STAYS)
        if appointment.series_id is not None and scope is None and to is None:
            return _ask(appointment)
        despite, revision = request.form.get("despite", ""), _number(request.form.get("revision"))
        if appointment.series_id is not None and to is None:
            found = series.change(
                actor(),
                appointment_id,
                plan,
                scope or Scope.THIS,
                revision=revision,
                despite=despite,
            )
        else:
            found = appointments.change(
                actor(),
                appointment_id,
                plan,
                clinician_id=to,
                revision=revision,
                despite=despite,
            )
    except SyncError as error:
        db.session.rollback()
        return _ask(access.appointment(actor(), appointment_id), error)
    day = found.starts_at.astimezone(dates.zone())
    words = f"Moved to {dates.day(day.date())}" + (
        "." if found.all_day else f", {dates.clock_time(found.starts_at)}."
    )
    values = before | {"revision": found.revision, "despite": PUT_BACK}
    if scope is not None:
        values["scope"] = scope.value
    return _done(words, day.date(), {"url": request.path, "values": values})


@blueprint.post("/<int:appointment_id>/cancel")
@guard(Permission.OWN_SCHEDULE)
def cancel(appointment_id: int) -> View:
    late, word = "late" in request.form, request.form.get("scope", Scope.THIS.value)
    scope, revision = _scope(word), _number(request.form.get("revision"))
    try:
        if scope is None:
            raise Invalid("Say which to cancel: this one, this and following, or all.")
        if scope is not Scope.THIS:
            appointments.refuse_overtaken(access.appointment(actor(), appointment_id), revision)
            count = series.cancel(actor(), appointment_id, scope, late=late)
            day = access.appointment(actor(), appointment_id).starts_local.date()
            return _done(f"{count} appointments are cancelled.", day)
        appointment = appointments.cancel(actor(), appointment_id, late=late, revision=revision)
    except SyncError as error:
        return _again(appointment_id, error)
    undo = {"url": url_for("appointments.restore", appointment_id=appointment_id), "values": {}}
    return _done("The appointment is cancelled.", appointment.starts_local.date(), undo)


@blueprint.post("/<int:appointment_id>/restore")
@guard(Permission.OWN_SCHEDULE)
def restore(appointment_id: int) -> View:
    try:
        appointment = appointments.restore(
            actor(), appointment_id, despite=request.form.get("despite", "")
        )
    except SyncError as error:
        db.session.rollback()
        return _ask(access.appointment(actor(), appointment_id), error, restoring=True)
    return _done("The appointment takes place.", appointment.starts_local.date())


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
    form.minutes.data = _number(request.args.get("minutes")) or 50
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
        "revision": _number(form.revision.data),
        "despite": form.despite.data or "",
    }
    to = form.clinician.data if form.clinician.data != appointment.clinician_id else None
    scope, rule = _scope(form.scope.data) or Scope.THIS, form.rule(of)
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


def _moved(appointment: Appointment) -> Plan:
    """The appointment at the time that the request names. Raises Invalid."""
    plan, start = plans.plan_of(appointment), request.form.get("start", "")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:00)?)?", start, re.ASCII):
        raise Invalid(NOWHERE)
    try:
        starts = datetime.fromisoformat(start)
    except ValueError:
        raise Invalid(NOWHERE) from None
    minutes, all_day = _given("minutes"), "T" not in start
    length = timedelta(minutes=minutes) if minutes else plan.ends - plan.starts
    if all_day:
        length = max(DAY, -(-length // DAY) * DAY)
    ends = plans.end_of(starts, length)
    return replace(plan, starts=starts, ends=ends, all_day=all_day, zone=practice.get().zone)


def _given(name: str) -> int | None:
    """A number of the request, if it names one. Raises Invalid for what is none."""
    text = request.form.get(name, "")
    if text and not _number(text):
        raise Invalid(NOWHERE)
    return _number(text)


def _place_of(appointment: Appointment) -> dict[str, object]:
    """Where to put it back: what `move` takes."""
    found = times_of(appointment)
    place = {"start": f"{found['date']}T{found['start']}", "minutes": found["minutes"]}
    if appointment.all_day:
        plan = plans.plan_of(appointment)
        place = {"start": f"{found['date']}", "minutes": (plan.ends - plan.starts) // MINUTE}
    return place | {"clinician": appointment.clinician_id}


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
    in_dialog = _in_dialog()
    return render_template(
        "appointments/_form.html" if in_dialog else "appointments/edit.html",
        form=form,
        in_dialog=in_dialog,
        appointment=appointment,
        series=of,
        repeats=repeat.words(of.rule, of.starts_local.date(), of.zone) if of else "",
        chosen=_chosen(form),
        suggested=suggested(form.find.data or ""),
        clashes=error.clashes if isinstance(error, Clashing) else (),
        differences=_differences(form, theirs),
        overtaken_by=_last_change(appointment) if theirs and appointment else "",
        gone=GONE,
    ), error.status if error else (422 if form.errors else 200)


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


def _ask(
    appointment: Appointment, error: SyncError | None = None, *, restoring: bool = False
) -> View:
    """What has to be decided before it can be moved or restored."""
    return render_template(
        "appointments/_ask.html" if _in_dialog() or htmx_request.htmx else "appointments/ask.html",
        appointment=appointment,
        restoring=restoring,
        error=error,
        clashes=error.clashes if isinstance(error, Clashing) else (),
        overtaken=isinstance(error, Overtaken),
        values=request.form,
        scopes={} if restoring or appointment.series_id is None else SCOPES,
    ), error.status if error else 409


def _done(words: str, day: date, undo: Mapping[str, object] | None = None) -> View:
    """Said where it was done: in the schedule, whose dialog closes, or on the next page."""
    if htmx_request.htmx:
        toast = {"text": words} | ({"undo": undo} if undo else {})
        events = {"dialog-done": {}, "schedule-changed": {}, "toast": toast}
        answer: Response = make_response("", 204, trigger=events)
        return answer
    flash(words)
    query: dict[str, Any] = {"from": day.isoformat()}  # a reserved word of Python
    query["clinician"] = request.args.get("clinician", type=int)
    return redirect(url_for("schedule.show", **query))


def _in_dialog() -> bool:
    return request.headers.get("HX-Target") == "dialog-body"


def _scope(word: str | None) -> Scope | None:
    return Scope(word) if word in set(Scope) else None


def _time(text: str | None) -> time | None:
    known = text and re.fullmatch(r"(?:[01]\d|2[0-3]):[0-5]\d", text)
    return time.fromisoformat(text) if text and known else None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else None
