"""The schedule: what is planned, as a calendar and as a list of days."""

from collections.abc import Collection, Iterable
from datetime import date, datetime, time, timedelta

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from sync_ui.domain.event import GONE, TELEHEALTH, Kind, Status
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid, NotFound
from sync_ui.models import BusyTime, Clinician, Holiday
from sync_ui.services import access, busy, links, people, practice, schedule
from sync_ui.services.schedule import DAY, Slot
from sync_ui.web import connection_states, dates, proposed
from sync_ui.web.appointment_form import KINDS, STATUSES, near_date
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("schedule", __name__, url_prefix="/calendar")

View = str | Response | tuple[str, int]

DAYS_SHOWN = 7
MOST_DAYS = 62

# What an outside calendar tells of its events: that they take time.
BUSY = "Busy (personal)"

# The views, what their buttons say, and the keys that press these.
VIEWS = {
    "day": ("Day", "d"),
    "team": ("Team day", "s"),
    "work-week": ("Work week", "k"),
    "week": ("Week", "w"),
    "month": ("Month", "m"),
    "agenda": ("Agenda", "a"),
}


@blueprint.get("")
@guard(Permission.OWN_SCHEDULE)
def show() -> View:
    """The page; its script draws the calendar, but the agenda is drawn here."""
    first = near_date(request.args.get("date") or request.args.get("from")) or dates.today()
    chosen = list(dict.fromkeys(request.args.getlist("clinician", type=int)))
    clinicians = _to_choose_from(chosen)
    view = _view(clinicians)
    days: list[dict[str, object]] = []
    if view == "agenda":
        found = schedule.between(actor(), first, DAYS_SHOWN, chosen)
        several = len(clinicians) > 1 and len(chosen) != 1
        taken = _busy(first, DAYS_SHOWN, chosen)
        names = {each.id: each.name for each in clinicians} if several else {}
        days = [_day(first + n * DAY, found, taken, names) for n in range(DAYS_SHOWN)]
    return render_template(
        "schedule/show.html",
        view=view,
        views={key: words for key, words in VIEWS.items() if key != "team" or len(clinicians) > 1},
        days=days,
        first=first,
        last=first + (DAYS_SHOWN - 1) * DAY,
        step=timedelta(days=DAYS_SHOWN),
        today=dates.today(),
        clinicians=clinicians,
        chosen=chosen,
        zone=dates.zone().key,
        american=practice.american(),
        sync_urls=_sync_urls(),
        **proposed.about(actor()),
        **connection_states.in_need(actor()),
    )


@blueprint.get("/events")
@guard(Permission.OWN_SCHEDULE)
def events() -> dict[str, object] | list[dict[str, object]] | tuple[dict[str, object], int]:
    """What is booked in a span, as the calendar's script takes it: wall times of the practice."""
    chosen = request.args.getlist("clinician", type=int)
    try:
        first, days = _span(request.args.get("start"), request.args.get("end"))
        found = schedule.between(actor(), first, days, chosen)
    except (Invalid, NotFound) as error:
        return {"sentence": error.sentence}, error.status
    by_type = len(chosen) == 1 or not actor().may(Permission.EVERY_SCHEDULE)
    closed = schedule.holidays(first, days)
    whom = chosen or [found.id for found in people.visible(actor())] if closed else []
    address = url_for("schedule.show")
    booked = [_event(slot, address, by_type=by_type) for slot in found]
    taken = [_taken(span) for span in _busy(first, days, chosen)]
    return booked + taken + [_closed(day, whom) for day in closed]


def _view(clinicians: list[Clinician]) -> str:
    """The view asked for; else what the actor will want to see first."""
    asked = request.args.get("view", "agenda" if "from" in request.args else "")
    if asked in VIEWS:
        return asked
    return "team" if len(clinicians) > 1 and actor().clinician_id is None else "week"


def _to_choose_from(chosen: list[int]) -> list[Clinician]:
    """All who are there, and of those who have left whom the address names. Raises NotFound."""
    clinicians = people.visible(actor())
    left = set(chosen) - {found.id for found in clinicians}
    return [*clinicians, *(access.clinician(actor(), clinician_id) for clinician_id in left)]


def _sync_urls() -> dict[int, str]:
    """Sync Calendar of each clinician whose links the actor keeps."""
    return {
        calendar.clinician_id: url_for("links.sync", key=links.key(calendar))
        for calendar in links.manageable(actor())
        if calendar.clinician_id is not None
    }


def _span(start: str | None, end: str | None) -> tuple[date, int]:
    first, over = near_date(start), near_date(end)
    if first is None or over is None or not 0 < (over - first).days <= MOST_DAYS:
        raise Invalid(f"Ask for 1 to {MOST_DAYS} days: start and end as in 2026-11-23.")
    return first, (over - first).days


def _event(slot: Slot, address: str, *, by_type: bool) -> dict[str, object]:
    """As EventCalendar reads it; `extendedProps` are ours."""
    gone = slot.status in GONE
    facts: dict[str, object] = {
        "type": slot.type,
        "location": slot.location,
        "status": "" if slot.status is Status.SCHEDULED else STATUSES[slot.status.value],
        "telehealth": slot.telehealth or slot.location == TELEHEALTH,
        "repeats": slot.repeats,
    }
    event: dict[str, object] = {
        "id": str(slot.id),
        "resourceIds": [str(slot.clinician_id)],
        "start": _wall(slot.starts, all_day=slot.all_day),
        "end": _wall(slot.ends, all_day=slot.all_day),
        "title": _title(slot),
        "allDay": slot.all_day,
        "classNames": _classes(slot, by_type=by_type),
        "extendedProps": {
            "url": f"{address}/{slot.id}",
            "revision": slot.revision,
            "minutes": slot.minutes,
            "clinician": slot.clinician,
        }
        | {key: value for key, value in facts.items() if value},
    }
    return event | {"editable": False} if gone else event


def _classes(slot: Slot, *, by_type: bool) -> list[str]:
    colour = slot.type_colour if by_type and slot.type_colour else slot.clinician_colour
    classes = [f"colour-{colour.value}"]
    if slot.status in GONE:
        classes.append("event-gone")
    if slot.status is Status.NO_SHOW:
        classes.append("event-no-show")
    if slot.kind is Kind.TIME_OFF:
        classes.append("event-time-off")
    return classes


def _closed(holiday: Holiday, clinician_ids: Collection[int]) -> dict[str, object]:
    return {
        "id": f"holiday-{holiday.id}",
        "resourceIds": [str(clinician_id) for clinician_id in clinician_ids],
        "start": holiday.first_day.isoformat(),
        "end": (holiday.last_day + DAY).isoformat(),
        "title": holiday.name,
        "allDay": True,
        "display": "background",
        "classNames": ["holiday"],
    }


def _busy(first: date, days: int, chosen: Collection[int]) -> list[BusyTime]:
    """When outside calendars take the time of those who are shown."""
    whom = list(chosen) or [found.id for found in people.visible(actor())]
    begins, over = (
        datetime.combine(day, time(), dates.zone()) for day in (first, first + days * DAY)
    )
    return busy.between(whom, begins, over)


def _taken(span: BusyTime) -> dict[str, object]:
    starts, ends = _walls(span)
    return {
        "id": f"busy-{span.id}",
        "resourceIds": [str(span.clinician_id)],
        "start": _wall(starts, all_day=False),
        "end": _wall(ends, all_day=False),
        "title": BUSY,
        "display": "background",
        "classNames": ["busy-time"],
    }


def _walls(span: BusyTime) -> tuple[datetime, datetime]:
    """Wall times of the practice; in the hour that the clocks repeat, its length tells the end."""
    starts, ends = (
        moment.astimezone(dates.zone()).replace(tzinfo=None)
        for moment in (span.starts_at, span.ends_at)
    )
    return starts, ends if ends > starts else starts + (span.ends_at - span.starts_at)


def _wall(when: datetime, *, all_day: bool) -> str:
    return when.date().isoformat() if all_day else when.isoformat(timespec="minutes")


def _title(slot: Slot) -> str:
    return " & ".join(slot.clients) or slot.title or KINDS[slot.kind.value]


def _day(
    day: date, slots: list[Slot], taken: Iterable[BusyTime], names: dict[int, str]
) -> dict[str, object]:
    """One day as the agenda's macro takes it; `names` of clinicians, if several are shown."""
    on_day = schedule.on(slots, day)
    booked = [(slot.starts, _item(slot, with_clinician=bool(names))) for slot in on_day]
    walls = [(*_walls(span), names.get(span.clinician_id, "")) for span in taken]
    midnight = datetime.combine(day, time())
    personal = [
        (starts, _busy_item(starts, ends, midnight, name))
        for starts, ends, name in walls
        if starts < midnight + DAY and ends > midnight
    ]
    return {
        "label": dates.day(day),
        "today": day == dates.today(),
        "events": [item for _, item in sorted(booked + personal, key=lambda pair: pair[0])],
    }


def _busy_item(
    starts: datetime, ends: datetime, midnight: datetime, name: str
) -> dict[str, object]:
    whole = starts <= midnight and ends >= midnight + DAY
    when = "All day" if whole else dates.span(max(starts, midnight), min(ends, midnight + DAY))
    return {"time": when, "title": BUSY, "meta": name, "personal": True}


def _item(slot: Slot, *, with_clinician: bool) -> dict[str, object]:
    title, kind = _title(slot), slot.type or KINDS[slot.kind.value]
    facts = [kind if kind != title else "", slot.location]
    if with_clinician:
        facts.insert(0, slot.clinician)
    return {
        "time": "All day" if slot.all_day else dates.span(slot.starts, slot.ends),
        "title": title,
        "href": url_for("appointments.edit", appointment_id=slot.id),
        "meta": "\u00a0· ".join(fact for fact in facts if fact),
        "badges": _badges(slot.status),
        "gone": slot.status in GONE,
        "colour": slot.clinician_colour.value if with_clinician else "",
    }


def _badges(status: Status) -> list[tuple[str, str]]:
    if status is Status.SCHEDULED:
        return []
    return [(STATUSES[status.value], "bad" if status is Status.NO_SHOW else "warn")]
