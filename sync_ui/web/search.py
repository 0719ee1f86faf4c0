"""Search: one field for clients, appointments, clinicians and settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, render_template, request, url_for

from sync_ui.domain import days, folding
from sync_ui.domain.roles import Permission
from sync_ui.services import plans, practice, search
from sync_ui.services.search import Group, Hit
from sync_ui.web import dates
from sync_ui.web.signing import actor, guard

blueprint = Blueprint("search", __name__, url_prefix="/search")

IN_THE_DIALOG = 5
ON_THE_PAGE = 25

HEADINGS = {
    Group.CLIENT: "Clients",
    Group.APPOINTMENT: "Appointments",
    Group.SCHEDULE: "Schedules",
    Group.SYNC: "Sync Calendar",
}

_EVERYONE = Permission.OWN_SCHEDULE

# (label, endpoint, who may, what else it is called)
PAGES = (
    ("Schedule", "schedule.show", _EVERYONE, "calendar agenda day week month today"),
    ("Add appointment", "appointments.new", _EVERYONE, "book new session meeting time off"),
    ("Clients", "clients.listed", Permission.OWN_CLIENTS, "patients list records"),
    ("Add client", "clients.new", Permission.EVERY_CLIENT, "new patient"),
    ("Duplicates", "duplicates.suggested", Permission.EVERY_CLIENT, "merge clients double twice"),
    ("Calendars", "links.calendars", _EVERYONE, "sync links feeds phones reset access disable qr"),
    ("Import", "imports.upload", Permission.IMPORTS, "upload file csv ics calendar simplepractice"),
    ("Export", "exports.choose", _EVERYONE, "download file csv ics excel spreadsheet"),
    ("Account", "accounts.account", _EVERYONE, "password sign in e-mail email"),
    ("People", "people.listed", Permission.PEOPLE, "users clinicians roles passwords staff"),
    ("Time zone and practice name", "practice.settings", Permission.SETTINGS, "settings timezone"),
    (
        "What calendars may show",
        "practice.policy",
        Permission.SETTINGS,
        "settings policy ceiling names privacy initials agreement baa longest life reset all links",
    ),
    (
        "How far calendars reach",
        "practice.settings",
        Permission.SETTINGS,
        "settings window days back months ahead",
    ),
    ("Internal IDs", "practice.clients", Permission.SETTINGS, "settings clients numbers"),
    ("Places", "practice.places", Permission.SETTINGS, "settings rooms offices locations"),
    ("Appointment types", "types.listed", Permission.SETTINGS, "settings durations colours colors"),
    ("Holidays", "holidays.listed", Permission.SETTINGS, "settings closed days off"),
    ("Audit", "audit.entries", Permission.SETTINGS, "settings log history who changed"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the results."""

    title: str
    meta: str
    href: str
    gone: bool = False


@blueprint.get("")
@guard(Permission.OWN_SCHEDULE)
def find() -> str:
    """The page; for the dialog only its results."""
    text = request.args.get("q", "")
    in_dialog = request.headers.get("HX-Target") == "search-results"
    groups = _groups(text, IN_THE_DIALOG if in_dialog else ON_THE_PAGE)
    return render_template(
        "search/_options.html" if in_dialog else "search/page.html",
        text=text.strip(),
        groups=groups,
        count=sum(len(found) for found in groups.values()),
    )


def _groups(text: str, limit: int) -> dict[str, list[Found]]:
    """The results under their headings; a heading without any is left out."""
    hits = search.find(actor(), text, limit)
    groups = {
        heading: [_found(hit) for hit in hits if hit.group is group]
        for group, heading in HEADINGS.items()
    }
    groups["Pages"] = list(_pages(text))[:limit]
    return {heading: found for heading, found in groups.items() if found}


def _found(hit: Hit) -> Found:
    match hit.group:
        case Group.CLIENT:
            preferred, internal_id = hit.facts
            shown = internal_id if practice.get().shows_internal_ids else ""
            meta = _joined(f"“{preferred}”" if preferred else "", shown)
            return Found(hit.title, meta, url_for("clients.show", client_id=hit.id))
        case Group.APPOINTMENT:
            meta = _joined(_when(hit), "cancelled" if hit.gone else "", *hit.facts)
            address = url_for("appointments.edit", appointment_id=hit.id)
            return Found(hit.title, meta, address, hit.gone)
        case Group.SCHEDULE:
            return Found(hit.title, "", url_for("schedule.show", clinician=hit.id))
        case Group.SYNC:
            return Found(hit.title, "", url_for("links.sync", key=str(hit.id)))


def _when(hit: Hit) -> str:
    if isinstance(hit.starts_at, datetime):
        return f"{dates.short_day(hit.starts_at)}, {dates.clock_time(hit.starts_at)}"
    return dates.short_day(hit.starts_at) if hit.starts_at else ""


def _pages(text: str) -> Iterator[Found]:
    words = folding.folded(text).split()
    if not words or len("".join(words)) < 2:
        return
    day, _ = days.typed(folding.folded(text), dates.today(), dates.zone().key)
    if day is not None and plans.is_near(day):
        yield Found(f"Schedule of {dates.day(day)}", "", url_for("schedule.show", date=day))
    for label, endpoint, permission, more in PAGES:
        if actor().may(permission) and folding.holds(f"{label} {more}", words):
            yield Found(label, "", url_for(endpoint))


def _joined(*facts: str) -> str:
    return "\u00a0· ".join(fact for fact in facts if fact)
