"""What an appointment shall be, and what can be one at all."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sync_ui.domain import recurrence
from sync_ui.domain.event import HOME_VISIT, TELEHEALTH, Kind, Status
from sync_ui.errors import Invalid
from sync_ui.models import Appointment, Client
from sync_ui.services import practice

LONGEST = timedelta(days=366)

LONGEST_ADDRESS = 500

TOO_FAR = "The date is too far away. Check the year."


@dataclass(frozen=True, slots=True)
class Plan:
    """What an appointment shall be; `starts` and `ends` are wall times in `zone`.

    All-day ones begin and end at midnight (end exclusive).
    """

    starts: datetime
    ends: datetime
    zone: str
    clients: tuple[Client, ...] = ()
    kind: Kind = Kind.SESSION
    type_id: int | None = None
    title: str = ""
    location: str = ""
    telehealth_address: str = ""
    note: str = ""
    all_day: bool = False
    status: Status = Status.SCHEDULED


def plan_of(appointment: Appointment) -> Plan:
    """The appointment as it stands."""
    return Plan(
        starts=appointment.starts_local,
        ends=_end_on_the_wall(appointment),
        zone=appointment.zone,
        clients=tuple(appointment.clients),
        kind=appointment.kind,
        type_id=appointment.type_id,
        title=appointment.title,
        location=appointment.location,
        telehealth_address=appointment.telehealth_address,
        note=appointment.note,
        all_day=appointment.all_day,
        status=appointment.status,
    )


def _end_on_the_wall(appointment: Appointment) -> datetime:
    """What `moments` makes the same end of."""
    if appointment.all_day:
        return recurrence.on_the_wall(appointment.ends_at, appointment.zone)
    length = length_on_the_wall(appointment.starts_at, appointment.ends_at, appointment.zone)
    return appointment.starts_local + length


def length_on_the_wall(starts_at: datetime, ends_at: datetime, zone: str) -> timedelta:
    """How far apart the clocks on the wall are: days and nights can have an hour more or less.

    In the odd hour itself they mislead, and it is the time that passes.
    """
    shown = [moment.astimezone(ZoneInfo(zone)) for moment in (starts_at, ends_at)]
    if shown[0].utcoffset() == shown[1].utcoffset():
        return ends_at - starts_at
    walls = [recurrence.on_the_wall(moment, zone) for moment in (starts_at, ends_at)]
    if all(recurrence.is_shown_once(wall, zone) for wall in walls):
        return walls[1] - walls[0]
    return ends_at - starts_at


def moments(plan: Plan) -> tuple[datetime, datetime]:
    """The plan's start and end in UTC.

    In the night of a time change wall times can mislead: an appointment that touches
    the odd hour lasts as long as its wall times are apart.
    """
    starts, ends = (recurrence.in_utc(wall, plan.zone) for wall in (plan.starts, plan.ends))
    plain = all(recurrence.is_shown_once(wall, plan.zone) for wall in (plan.starts, plan.ends))
    return starts, ends if plain or plan.all_day else starts + (plan.ends - plan.starts)


def is_near(day: date) -> bool:
    """Whether an appointment may be then; a wrong year is a slip."""
    return 1970 <= day.year <= 2200


def end_of(starts: datetime, length: timedelta) -> datetime:
    """When it ends. Raises Invalid beyond the last date that there is."""
    try:
        return starts + length
    except OverflowError:
        raise Invalid(TOO_FAR) from None


def check(plan: Plan, kept_location: str = "") -> None:
    """Raises Invalid for what cannot be an appointment.

    `kept_location` is allowed although the practice may have removed the place since.
    """
    if not is_near(plan.starts):
        raise Invalid(TOO_FAR)
    starts, ends = moments(plan)
    if ends <= starts:
        raise Invalid("An appointment must end after it begins.")
    if plan.all_day and (plan.starts.time(), plan.ends.time()) != (time(), time()):
        raise Invalid("An all-day appointment begins and ends at midnight.")
    if ends - starts > LONGEST:
        raise Invalid("An appointment can last a year at most.")
    if plan.location not in {"", kept_location, *practice.location_names()}:
        raise Invalid(
            f"The location must be a place of the practice, {TELEHEALTH} or {HOME_VISIT}: "
            "feeds may never name a client's address."
        )
    _check_telehealth_address(plan)
    if len(plan.title) > 200 or len(plan.note) > 5000:
        raise Invalid("A title can have 200 characters and a note 5 000.")


def _check_telehealth_address(plan: Plan) -> None:
    address = plan.telehealth_address
    if not address:
        return
    if plan.location != TELEHEALTH:
        raise Invalid(f"An address of a video room goes with the location {TELEHEALTH} only.")
    try:
        parts = urlsplit(address)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        fits = False
    if not fits or len(address) > LONGEST_ADDRESS or not address.isprintable() or " " in address:
        raise Invalid("The video room needs an address such as https://video.example.com/room.")
