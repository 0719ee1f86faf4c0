"""What dragging does: an appointment goes to another time or clinician, and back."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

from flask import Blueprint, render_template, request
from htmx_flask import request as htmx_request

from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid, SyncError
from sync_ui.models import Appointment, db
from sync_ui.services import access, appointments, changes, plans, practice, series
from sync_ui.services.appointments import Overtaken
from sync_ui.services.clashes import Clashing
from sync_ui.services.plans import Plan
from sync_ui.services.series import Scope
from sync_ui.web import dates
from sync_ui.web.appointment_form import SCOPES, STAYS, times_of
from sync_ui.web.dialog import View, done, in_dialog, number, scope_of, undo_of
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("moves", __name__, url_prefix="/calendar")

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

# What undoing says, so that nothing can stand in its way.
PUT_BACK = "Put back"

NOWHERE = "The time to move it to is not one. Try again."


@blueprint.post("/<int:appointment_id>/move")
@guard(Permission.OWN_SCHEDULE)
def move(appointment_id: int) -> View:
    """To another time, or to another clinician: what dragging does, and undoing it."""
    appointment = access.appointment(actor(), appointment_id)
    before, is_turn = _place_of(appointment), appointment.series_id is not None
    scope = scope_of(request.form.get("scope"))
    try:
        plan, to = _moved(appointment), _given("clinician")
        to = None if to == appointment.clinician_id else to
        if to is not None and scope not in {None, Scope.THIS}:
            raise Invalid(STAYS)
        if is_turn and scope is None and to is None:
            return _ask(appointment)
        found = _carry_out(appointment_id, plan, scope if is_turn and to is None else None, to)
    except SyncError as error:
        db.session.rollback()
        return _ask(access.appointment(actor(), appointment_id), error)
    day = found.starts_at.astimezone(dates.zone())
    words = f"Moved to {dates.day(day.date())}" + (
        "." if found.all_day else f", {dates.clock_time(found.starts_at)}."
    )
    if is_turn and scope is not Scope.THIS:
        return done(words, day.date(), undo_of(appointment_id))
    values = before | {"revision": found.revision, "despite": PUT_BACK}
    if is_turn:
        values["scope"] = Scope.THIS.value
    return done(words, day.date(), {"url": request.path, "values": values})


def _carry_out(
    appointment_id: int, plan: Plan, scope: Scope | None, clinician_id: int | None
) -> Appointment:
    """With a scope it is a turn of a series."""
    despite, revision = request.form.get("despite", ""), number(request.form.get("revision"))
    if scope is not None:
        return series.change(
            actor(), appointment_id, plan, scope, revision=revision, despite=despite
        )
    return appointments.change(
        actor(),
        appointment_id,
        plan,
        clinician_id=clinician_id,
        revision=revision,
        despite=despite,
    )


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
    return done("The appointment takes place.", appointment.starts_local.date())


@blueprint.post("/changes/<int:change_id>/undo")
@guard(Permission.OWN_SCHEDULE)
def undo(change_id: int) -> View:
    """A change of a series, or a handing over, taken back."""
    found = changes.undo(actor(), change_id)
    return done("It is as it was before.", found.starts_local.date())


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
    if text and not number(text):
        raise Invalid(NOWHERE)
    return number(text)


def _place_of(appointment: Appointment) -> dict[str, object]:
    """Where to put it back: what `move` takes."""
    found = times_of(appointment)
    place = {"start": f"{found['date']}T{found['start']}", "minutes": found["minutes"]}
    if appointment.all_day:
        plan = plans.plan_of(appointment)
        place = {"start": f"{found['date']}", "minutes": (plan.ends - plan.starts) // MINUTE}
    return place | {"clinician": appointment.clinician_id}


def _ask(
    appointment: Appointment, error: SyncError | None = None, *, restoring: bool = False
) -> View:
    """What has to be decided before it can be moved or restored."""
    return render_template(
        "appointments/_ask.html" if in_dialog() or htmx_request.htmx else "appointments/ask.html",
        appointment=appointment,
        restoring=restoring,
        error=error,
        clashes=error.clashes if isinstance(error, Clashing) else (),
        overtaken=isinstance(error, Overtaken),
        values=request.form,
        scopes={} if restoring or appointment.series_id is None else SCOPES,
    ), error.status if error else 409
