"""The form of one appointment: what it asks, and how that becomes a plan and a repeat rule."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    Field,
    HiddenField,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.validators import InputRequired, NumberRange, Optional, StopValidation

from sync_ui.domain import folding, repeat
from sync_ui.domain.event import Kind, Status
from sync_ui.domain.repeat import By, Freq, Repeat
from sync_ui.errors import Invalid
from sync_ui.models import Appointment, Client, Series
from sync_ui.services import clients, people, plans, practice, types
from sync_ui.services.clients import Listed
from sync_ui.services.plans import LONGEST, Plan
from sync_ui.services.series import Scope
from sync_ui.web import dates
from sync_ui.web.signing import actor

LONGEST_MINUTES = int(LONGEST.total_seconds() // 60)

MOST_SUGGESTED = 8

SHORTEST_MONTH = 28

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

SCOPES = {
    Scope.THIS.value: "This one",
    Scope.FOLLOWING.value: "This and following",
    Scope.ALL.value: "All, the past ones too",
}

STAYS = (
    "A series stays with its clinician. Hand over this one alone, "
    "or book a new series with the other clinician."
)

KEPT = "kept"

REPEATS = {
    "": "Does not repeat",
    "daily": "Every day, or every few days",
    "weekly": "Every week, or every few weeks",
    "monthly day": "Every month on this day of the month",
    "monthly last_day": "Every month on its last day",
    "monthly weekday": "Every month on this weekday, as the second Tuesday",
    "monthly last_weekday": "Every month on the last such weekday",
    "yearly": "Every year",
}

WEEKDAYS = dict(enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")))


def start_unless_all_day(form: "AppointmentForm", field: Field) -> None:
    if form.all_day.data:
        field.errors = []
        raise StopValidation
    if field.data is None:
        field.errors = []
        raise StopValidation("Enter the time at which it starts.")


class AppointmentForm(FlaskForm):
    clinician = SelectField("Clinician", coerce=int)
    clients = SelectMultipleField("Clients", coerce=int, validate_choice=False)
    find = StringField("Client")
    date = DateField("Date", [InputRequired("Choose the date.")])
    start = TimeField("Start", [start_unless_all_day])
    minutes = IntegerField(
        "Minutes",
        [Optional(), NumberRange(1, LONGEST_MINUTES, "From a minute to a year.")],
        default=50,
    )
    all_day = BooleanField("All day")
    last_date = DateField("Last day", [Optional()])
    repeats = SelectField("How", choices=REPEATS, default="")
    every = IntegerField(
        "Every how many days, weeks, months or years",
        [Optional(), NumberRange(1, 99, "A number from 1 to 99.")],
        default=1,
    )
    weekdays = SelectMultipleField("On", coerce=int, choices=WEEKDAYS)
    until = DateField("Until", [Optional()])
    times = IntegerField("Or how often", [Optional(), NumberRange(1, 999, "From 1 to 999 times.")])
    kind = SelectField("Kind", choices=KINDS)
    type = SelectField("Type", coerce=int, default=0)
    title = StringField("Title")
    location = SelectField("Location")
    telehealth_address = StringField("Address of the video room")
    note = TextAreaField("Private note")
    status = SelectField("Status", choices=STATUSES, default=Status.SCHEDULED.value)
    scope = RadioField("Change", choices=SCOPES, default=Scope.THIS.value, validate_choice=False)
    despite = StringField("Reason to book it all the same")
    revision = HiddenField()

    def offer(self, appointment: Appointment | None = None) -> None:
        """The choices that this actor has for this appointment."""
        self.clinician.choices = {c.id: c.name for c in people.visible(actor())}
        if appointment is not None:
            self.clinician.choices.setdefault(appointment.clinician_id, appointment.clinician.name)
        self.type.choices = [(0, "None")] + [
            (found.id, found.name, {"data-minutes": found.minutes}) for found in types.offered()
        ]
        kept = appointment.type if appointment else None
        if kept is not None and kept.archived_at is not None:
            self.type.choices.append((kept.id, kept.name))
        places = practice.location_names()
        if appointment is not None and appointment.location not in {"", *places}:
            places.append(appointment.location)
        self.location.choices = {"": "None"} | {place: place for place in places}

    def rule(self, series: Series | None = None) -> str | None:
        """The repeat rule that is asked for; "" for none, None for the one that the series has.

        Raises Invalid.
        """
        wanted = None if self.repeats.data == KEPT else self._repeat()
        kept = repeat.read(series.rule, series.zone) if series is not None else None
        if self.repeats.data == KEPT or (wanted is not None and wanted == kept):
            return None
        return wanted.rule(self.date.data) if wanted else ""

    def _repeat(self) -> Repeat | None:
        freq, _, by = (self.repeats.data or "").partition(" ")
        if not freq:
            return None
        if by == By.DAY and self.date.data.day > SHORTEST_MONTH:
            raise Invalid(
                "Not every month has this day, so it cannot repeat on it. "
                "Choose the month's last day, or a day up to the 28th."
            )
        return Repeat(
            freq=Freq(freq),
            interval=self.every.data or 1,
            weekdays=tuple(self.weekdays.data or ()) if freq == Freq.WEEKLY else (),
            by=By(by or By.DAY),
            ends=self.until.data,
            count=self.times.data,
        )

    def plan(self, attending: tuple[Client, ...], appointment: Appointment | None = None) -> Plan:
        """What is asked for; an appointment whose times were left alone keeps its own zone."""
        starts, ends, zone = self._times(appointment)
        kind = Kind(self.kind.data)
        return Plan(
            starts=starts,
            ends=ends,
            zone=zone,
            clients=attending,
            kind=kind,
            type_id=(self.type.data or None) if kind is Kind.SESSION else None,
            title=self.title.data or "",
            location=self.location.data or "",
            telehealth_address=(self.telehealth_address.data or "").strip(),
            note=self.note.data or "",
            all_day=bool(self.all_day.data),
            status=Status(self.status.data or Status.SCHEDULED),
        )

    def _times(self, appointment: Appointment | None) -> tuple[datetime, datetime, str]:
        if appointment is not None and self._says(appointment):
            kept = plans.plan_of(appointment)
            return kept.starts, kept.ends, kept.zone
        zone = practice.get().zone
        first = self.date.data
        if self.all_day.data:
            last = max(self.last_date.data or first, first)
            last_midnight = datetime.combine(last, time())
            ends = plans.end_of(last_midnight, timedelta(days=1))
            return datetime.combine(first, time()), ends, zone
        starts = datetime.combine(first, self.start.data)
        return starts, plans.end_of(starts, timedelta(minutes=self.minutes.data or 50)), zone

    def _says(self, appointment: Appointment) -> bool:
        """Whether the form still shows the appointment's own times."""
        shown = times_of(appointment)
        if bool(self.all_day.data) != appointment.all_day or self.date.data != shown["date"]:
            return False
        if appointment.all_day:
            return bool((self.last_date.data or self.date.data) == shown["last_date"])
        return bool((self.start.data, self.minutes.data) == (shown["start"], shown["minutes"]))


def data_of(appointment: Appointment, series: Series | None) -> dict[str, object]:
    """The form's content for an appointment as it stands."""
    return {
        "clinician": appointment.clinician_id,
        "kind": appointment.kind.value,
        "type": appointment.type_id or 0,
        "clients": [client.id for client in appointment.clients],
        "title": appointment.title,
        **times_of(appointment),
        **(_repeat_of(series) if series else {}),
        "location": appointment.location,
        "telehealth_address": appointment.telehealth_address,
        "note": appointment.note,
        "status": appointment.status.value,
        "despite": appointment.clash_reason,
        "revision": str(appointment.revision),
    }


def times_of(appointment: Appointment) -> dict[str, object]:
    """Times are shown, and saved, in the practice's zone."""
    starts = appointment.starts_at.astimezone(dates.zone())
    first = appointment.starts_local.date() if appointment.all_day else starts.date()
    length = plans.length_on_the_wall(appointment.starts_at, appointment.ends_at, dates.zone().key)
    ends = appointment.ends_at.astimezone(ZoneInfo(appointment.zone))
    return {
        "date": first,
        "start": None if appointment.all_day else starts.time(),
        "minutes": None if appointment.all_day else int(length.total_seconds() // 60),
        "all_day": appointment.all_day,
        "last_date": (ends - timedelta(days=1)).date() if appointment.all_day else None,
    }


def _repeat_of(series: Series) -> dict[str, object]:
    found = repeat.read(series.rule, series.zone)
    if found is None:
        return {"repeats": KEPT}
    repeats = f"{found.freq} {found.by}" if found.freq is Freq.MONTHLY else found.freq.value
    return {
        "repeats": repeats,
        "every": found.interval,
        "weekdays": list(found.weekdays),
        "until": found.ends,
        "times": found.count,
    }


def suggested(text: str) -> list[Listed]:
    """The clients whom a few letters may mean, of those that the actor may book.

    Those of whom a name begins so come first: “cher” is Cher rather than Fischer.
    """
    if not text.strip():
        return []
    begun = folding.folded(text).split()[:1]
    found = clients.listed(actor(), text)
    found.sort(key=lambda client: not folding.folded(client.name).startswith(tuple(begun)))
    return found[:MOST_SUGGESTED]


def near_date(text: str | None) -> date | None:
    """The date, if there can be appointments around it."""
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    return found if plans.is_near(found) else None
