"""The form for one appointment."""

import re
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import (
    BooleanField,
    DateField,
    Field,
    HiddenField,
    IntegerField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.validators import InputRequired, NumberRange, Optional, StopValidation

from sync_ui.domain.event import GONE, Kind, Status
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, SyncError
from sync_ui.models import Appointment, db
from sync_ui.services import access, appointments, clients, people, practice
from sync_ui.services.appointments import LONGEST, Plan
from sync_ui.web import dates
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("appointments", __name__, url_prefix="/calendar")

View = str | Response | tuple[str, int]

LONGEST_MINUTES = int(LONGEST.total_seconds() // 60)

KINDS = {
    Kind.SESSION.value: "Session",
    Kind.MEETING.value: "Meeting",
    Kind.SUPERVISION.value: "Supervision",
    Kind.TIME_OFF.value: "Time off",
    Kind.OTHER.value: "Other",
}

STATUSES = {
    Status.SCHEDULED.value: "Scheduled",
    Status.NO_SHOW.value: "No-show",
    Status.CANCELLED.value: "Cancelled",
    Status.LATE_CANCELLED.value: "Late-cancelled",
}


def start_unless_all_day(form: "AppointmentForm", field: Field) -> None:
    if form.all_day.data:
        field.errors = []
        raise StopValidation
    if field.data is None:
        field.errors = []
        raise StopValidation("Enter the time at which it starts.")


class AppointmentForm(FlaskForm):
    clinician = SelectField("Clinician", coerce=int)
    kind = SelectField("Kind", choices=KINDS)
    clients = SelectMultipleField("Clients", coerce=int)
    title = StringField("Title")
    date = DateField("Date", [InputRequired("Choose the date.")])
    start = TimeField("Start", [start_unless_all_day])
    minutes = IntegerField(
        "Minutes",
        [Optional(), NumberRange(1, LONGEST_MINUTES, "From a minute to a year.")],
        default=50,
    )
    all_day = BooleanField("All day")
    last_date = DateField("Last day", [Optional()])
    location = SelectField("Location")
    note = TextAreaField("Private note")
    status = SelectField("Status", choices=STATUSES, default=Status.SCHEDULED.value)
    despite_clashes = BooleanField("Save despite the clash")
    revision = HiddenField()

    def offer(self) -> None:
        """The choices that this actor has."""
        self.clinician.choices = {c.id: c.name for c in people.visible(actor())}
        self.clients.choices = {
            c.id: f"{c.first_name} {c.last_name}".strip() for c in clients.listed(actor())
        }
        places = practice.location_names()
        if self.location.data and self.location.data not in places:
            places.append(self.location.data)
        self.location.choices = {"": "None"} | {place: place for place in places}

    def plan(self) -> Plan:
        """Raises NotFound for a client who does not exist."""
        starts, ends = self._times()
        return Plan(
            starts=starts,
            ends=ends,
            zone=practice.get().zone,
            clients=appointments.find_clients(db.session(), self.clients.data or []),
            kind=Kind(self.kind.data),
            title=self.title.data or "",
            location=self.location.data or "",
            note=self.note.data or "",
            all_day=bool(self.all_day.data),
            status=Status(self.status.data or Status.SCHEDULED),
        )

    def _times(self) -> tuple[datetime, datetime]:
        first = self.date.data
        if self.all_day.data:
            last = max(self.last_date.data or first, first)
            last_midnight = datetime.combine(last, time())
            ends = appointments.end_of(last_midnight, timedelta(days=1))
            return datetime.combine(first, time()), ends
        starts = datetime.combine(first, self.start.data)
        return starts, appointments.end_of(starts, timedelta(minutes=self.minutes.data or 50))


@blueprint.route("/new", methods=["GET", "POST"])
@guard(Permission.OWN_SCHEDULE)
def new() -> View:
    form = AppointmentForm()
    form.offer()
    if request.method == "GET":
        form.date.data = near_date(request.args.get("date")) or dates.today()
        form.start.data = time(9)
        form.clinician.data = request.args.get("clinician", type=int) or actor().clinician_id
    if not form.validate_on_submit():
        return _form_page(form)
    try:
        appointments.create(
            actor(),
            form.clinician.data,
            form.plan(),
            despite="As agreed" if form.despite_clashes.data else "",
        )
    except SyncError as error:
        return _form_page(form, error)
    flash("The appointment is in the schedule.")
    return redirect(_agenda_url(form.date.data))


@blueprint.route("/<int:appointment_id>", methods=["GET", "POST"])
@guard(Permission.OWN_SCHEDULE)
def edit(appointment_id: int) -> View:
    appointment = access.appointment(actor(), appointment_id)
    form = AppointmentForm(data=_data(appointment) if request.method == "GET" else None)
    form.offer()
    form.clinician.choices = {appointment.clinician_id: appointment.clinician.name}
    if not form.validate_on_submit():
        return _form_page(form, appointment=appointment)
    try:
        appointments.change(
            actor(),
            appointment_id,
            form.plan(),
            revision=_number(form.revision.data),
            despite="As agreed" if form.despite_clashes.data else "",
        )
    except SyncError as error:
        return _form_page(form, error, appointment)
    flash("The appointment is changed.")
    return redirect(_agenda_url(form.date.data))


@blueprint.post("/<int:appointment_id>/cancel")
@guard(Permission.OWN_SCHEDULE)
def cancel(appointment_id: int) -> View:
    appointment = appointments.cancel(actor(), appointment_id, late="late" in request.form)
    flash("The appointment is cancelled.")
    return redirect(_agenda_url(appointment.starts_local.date()))


def _agenda_url(first: date) -> str:
    """The schedule from this day on, of the clinician whose schedule it was before."""
    query: dict[str, Any] = {"from": first.isoformat()}  # a reserved word of Python
    query["clinician"] = request.args.get("clinician", type=int)
    return url_for("schedule.show", **query)


def _form_page(
    form: AppointmentForm,
    error: SyncError | None = None,
    appointment: Appointment | None = None,
) -> View:
    if error is not None:
        form.form_errors = [error.sentence]
    clash = isinstance(error, Conflict) and "taken" in error.sentence
    status = error.status if error else (422 if form.errors else 200)
    return render_template(
        "appointments/edit.html", form=form, appointment=appointment, clash=clash, gone=GONE
    ), status


def _data(appointment: Appointment) -> dict[str, object]:
    """The form's content; times are shown, and saved, in the practice's zone."""
    starts = appointment.starts_at.astimezone(dates.zone())
    first = appointment.starts_local.date() if appointment.all_day else starts.date()
    length = appointment.ends_at - appointment.starts_at
    ends = appointment.ends_at.astimezone(ZoneInfo(appointment.zone))
    return {
        "clinician": appointment.clinician_id,
        "kind": appointment.kind.value,
        "clients": [client.id for client in appointment.clients],
        "title": appointment.title,
        "date": first,
        "start": None if appointment.all_day else starts.time(),
        "minutes": None if appointment.all_day else int(length.total_seconds() // 60),
        "all_day": appointment.all_day,
        "last_date": (ends - timedelta(days=1)).date() if appointment.all_day else None,
        "location": appointment.location,
        "note": appointment.note,
        "status": appointment.status.value,
        "revision": str(appointment.revision),
    }


def near_date(text: str | None) -> date | None:
    """The date, if there can be appointments around it."""
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    return found if appointments.is_near(found) else None


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else None
