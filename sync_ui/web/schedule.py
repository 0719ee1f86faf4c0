"""The schedule: what is planned, day by day."""

from datetime import timedelta

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from sync_ui.domain.event import GONE, Status
from sync_ui.domain.roles import Permission
from sync_ui.models import Appointment
from sync_ui.services import access, links, people, schedule
from sync_ui.services.schedule import Day
from sync_ui.web import dates
from sync_ui.web.appointments import KINDS, STATUSES, near_date
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("schedule", __name__, url_prefix="/calendar")

View = str | Response | tuple[str, int]

DAYS_SHOWN = 7


@blueprint.get("")
@guard(Permission.OWN_SCHEDULE)
def show() -> View:
    first = near_date(request.args.get("from")) or dates.today()
    clinician_id = request.args.get("clinician", type=int)
    clinicians = people.visible(actor())
    found = schedule.agenda(actor(), first, DAYS_SHOWN, clinician_id)
    several = len(clinicians) > 1 and clinician_id is None
    return render_template(
        "schedule/agenda.html",
        days=[_day(day, with_clinician=several) for day in found],
        first=first,
        last=first + timedelta(days=DAYS_SHOWN - 1),
        previous=first - timedelta(days=DAYS_SHOWN),
        following=first + timedelta(days=DAYS_SHOWN),
        today=dates.today(),
        clinicians=clinicians,
        clinician_id=clinician_id,
        sync_url=_sync_url(clinician_id),
    )


def _sync_url(clinician_id: int | None) -> str | None:
    """Sync Calendar of the clinician whose schedule is shown, if the actor keeps their links."""
    if clinician_id is None:
        return None
    calendar = access.calendar_of(access.clinician(actor(), clinician_id))
    return url_for("links.sync", key=links.key(calendar))


def _day(day: Day, *, with_clinician: bool) -> dict[str, object]:
    """One day as the agenda's macro takes it."""
    return {
        "label": dates.day(day.date),
        "today": day.date == dates.today(),
        "events": [_event(each, with_clinician=with_clinician) for each in day.appointments],
    }


def _event(appointment: Appointment, *, with_clinician: bool) -> dict[str, object]:
    kind = KINDS[appointment.kind.value]
    names = [f"{c.first_name} {c.last_name}".strip() for c in appointment.clients]
    title = " & ".join(names) or appointment.title or kind
    facts = [kind if kind != title else "", appointment.location]
    if with_clinician:
        facts.insert(0, appointment.clinician.name)
    return {
        "time": _span(appointment),
        "title": title,
        "href": url_for("appointments.edit", appointment_id=appointment.id),
        "meta": "\u00a0· ".join(fact for fact in facts if fact),
        "badges": _badges(appointment.status),
        "gone": appointment.status in GONE,
    }


def _span(appointment: Appointment) -> str:
    if appointment.all_day:
        return "All day"
    return dates.span(appointment.starts_at, appointment.ends_at)


def _badges(status: Status) -> list[tuple[str, str]]:
    if status is Status.SCHEDULED:
        return []
    return [(STATUSES[status.value], "bad" if status is Status.NO_SHOW else "warn")]
