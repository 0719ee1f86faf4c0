"""The schedule: an agenda by day, and the form for one appointment."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import (
    BooleanField,
    DateField,
    HiddenField,
    IntegerField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.validators import InputRequired, NumberRange, Optional

from sync_ui import clock
from sync_ui.domain.event import GONE, Kind, Status
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, SyncError
from sync_ui.models import Appointment, db
from sync_ui.services import access, appointments, clients, people, practice
from sync_ui.services.appointments import Plan
from sync_ui.web.forms import blame
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("appointments", __name__, url_prefix="/calendar")

View = str | Response | tuple[str, int]

DAYS_SHOWN = 7

KINDS = [
    (Kind.SESSION.value, "Session"),
    (Kind.MEETING.value, "Meeting"),
    (Kind.SUPERVISION.value, "Supervision"),
    (Kind.TIME_OFF.value, "Time off"),
    (Kind.OTHER.value, "Other"),
]

STATUSES = [
    (Status.SCHEDULED.value, "Scheduled"),
    (Status.NO_SHOW.value, "No-show"),
    (Status.CANCELLED.value, "Cancelled"),
    (Status.LATE_CANCELLED.value, "Late-cancelled"),
]


class AppointmentForm(FlaskForm):  # type: ignore[misc]
    clinician = SelectField("Clinician", coerce=int)
    kind = SelectField("Kind", choices=KINDS)
    clients = SelectMultipleField("Clients", coerce=int)
    title = StringField("Title (leaves only where full names may)")
    date = DateField("Date", [InputRequired("Choose the date.")])
    start = TimeField("Start", [Optional()])
    minutes = IntegerField(
        "Minutes", [Optional(), NumberRange(1, 1440, "1 to 1440 minutes.")], default=50
    )
    all_day = BooleanField("All day")
    last_date = DateField("Last day", [Optional()])
    location = SelectField("Location")
    note = TextAreaField("Private note (never leaves the building)")
    status = SelectField("Status", choices=STATUSES)
    despite_clashes = BooleanField("Save despite the clash")
    revision = HiddenField()

    def offer(self) -> None:
        """The choices that this actor has."""
        self.clinician.choices = [(c.id, c.name) for c in people.visible(actor())]
        self.clients.choices = [
            (c.id, f"{c.first_name} {c.last_name}".strip()) for c in clients.listed(actor())
        ]
        places = practice.location_names()
        if self.location.data and self.location.data not in places:
            places.append(self.location.data)
        self.location.choices = [("", "None"), *((place, place) for place in places)]

    def plan(self) -> Plan:
        """Raises NotFound for a client who does not exist, Invalid for a missing start."""
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
            return datetime.combine(first, time()), datetime.combine(
                last + timedelta(days=1), time()
            )
        starts = datetime.combine(first, self.start.data or time(9))
        return starts, starts + timedelta(minutes=self.minutes.data or 50)


@blueprint.get("")
@guard(Permission.OWN_SCHEDULE)
def agenda() -> View:
    zone = ZoneInfo(practice.get().zone)
    today = clock.now().astimezone(zone).date()
    first = _date(request.args.get("from")) or today
    clinician_id = request.args.get("clinician", type=int)
    return render_template(
        "appointments/agenda.html",
        days=appointments.agenda(actor(), first, DAYS_SHOWN, clinician_id),
        today=today,
        first=first,
        previous=first - timedelta(days=DAYS_SHOWN),
        following=first + timedelta(days=DAYS_SHOWN),
        clinicians=people.visible(actor()),
        clinician_id=clinician_id,
        zone=zone,
        gone=GONE,
        practice=practice.get(),
    )


@blueprint.route("/new", methods=["GET", "POST"])
@guard(Permission.OWN_SCHEDULE)
def new() -> View:
    form = AppointmentForm()
    form.offer()
    if request.method == "GET":
        form.date.data = _date(request.args.get("date")) or clock.now().date()
        form.start.data = time(9)
        form.clinician.data = request.args.get("clinician", type=int) or actor().clinician_id
    if not form.validate_on_submit():
        return _form_page(form)
    try:
        appointments.create(
            actor(),
            form.clinician.data,
            form.plan(),
            despite_clashes=bool(form.despite_clashes.data),
        )
    except SyncError as error:
        return _form_page(form, error)
    flash("The appointment is in the schedule.")
    return redirect(url_for("appointments.agenda", **{"from": form.date.data.isoformat()}))


@blueprint.route("/<int:appointment_id>", methods=["GET", "POST"])
@guard(Permission.OWN_SCHEDULE)
def edit(appointment_id: int) -> View:
    appointment = access.appointment(actor(), appointment_id)
    form = AppointmentForm(data=_data(appointment) if request.method == "GET" else None)
    form.offer()
    form.clinician.choices = [(appointment.clinician_id, appointment.clinician.name)]
    if not form.validate_on_submit():
        return _form_page(form, appointment=appointment)
    try:
        appointments.change(
            actor(),
            appointment_id,
            form.plan(),
            revision=int(form.revision.data) if form.revision.data.isdigit() else None,
            despite_clashes=bool(form.despite_clashes.data),
        )
    except SyncError as error:
        return _form_page(form, error, appointment)
    flash("The appointment is changed.")
    return redirect(url_for("appointments.agenda", **{"from": form.date.data.isoformat()}))


@blueprint.post("/<int:appointment_id>/cancel")
@guard(Permission.OWN_SCHEDULE)
def cancel(appointment_id: int) -> View:
    appointment = appointments.cancel(actor(), appointment_id, late="late" in request.form)
    flash("The appointment is cancelled.")
    day = appointment.starts_local.date().isoformat()
    return redirect(url_for("appointments.agenda", **{"from": day}))


def _form_page(
    form: AppointmentForm,
    error: SyncError | None = None,
    appointment: Appointment | None = None,
) -> View:
    if error is not None:
        blame(form.start, error)
    clash = isinstance(error, Conflict) and "taken" in error.sentence
    status = error.status if error else (422 if form.errors else 200)
    return render_template(
        "appointments/edit.html", form=form, appointment=appointment, clash=clash, gone=GONE
    ), status


def _data(appointment: Appointment) -> dict[str, object]:
    starts = appointment.starts_local
    ends = appointment.ends_at.astimezone(ZoneInfo(appointment.zone)).replace(tzinfo=None)
    minutes = int((appointment.ends_at - appointment.starts_at).total_seconds() // 60)
    return {
        "clinician": appointment.clinician_id,
        "kind": appointment.kind.value,
        "clients": [client.id for client in appointment.clients],
        "title": appointment.title,
        "date": starts.date(),
        "start": starts.time(),
        "minutes": min(minutes, 1440),
        "all_day": appointment.all_day,
        "last_date": (ends - timedelta(days=1)).date() if appointment.all_day else None,
        "location": appointment.location,
        "note": appointment.note,
        "status": appointment.status.value,
        "revision": str(appointment.revision),
    }


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None
