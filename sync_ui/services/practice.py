"""The practice: its name, zone, places and policies, and how it is set up."""

from zoneinfo import available_timezones

import regex
from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import Session

from sync_ui.domain import tokens
from sync_ui.domain.event import HOME_VISIT, TELEHEALTH, DisplayMode
from sync_ui.domain.roles import Permission, Role
from sync_ui.errors import Conflict, Invalid
from sync_ui.models import Calendar, Location, Practice, User, db, transaction
from sync_ui.services import access, addresses, calendars, offboarding
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

MOST_MONTHS_AHEAD = 24
MOST_DAYS_BACK = 366
MOST_LINK_DAYS = 3660

# Control characters, halves of surrogate pairs, and what turns the order of letters around.
_HIDDEN = regex.compile(r"[\p{Cc}\p{Cs}\p{Bidi_Control}]")

# Anything but spaces, what takes no room (U+200B and the like), and the empty Braille pattern.
_SHOWS = regex.compile(r"[^\p{Z}\p{C}\p{Default_Ignorable_Code_Point}\u2800]")


def get(session: Session | None = None) -> Practice:
    session = session or db.session()
    found = session.get_one(Practice, 1)
    session.info["practice"] = found  # kept, since the session itself holds rows weakly
    return found


def zones() -> list[str]:
    """The zones to choose from: places, not the historical aliases."""
    places = (z for z in available_timezones() if "/" in z and not z.startswith("Etc/"))
    return [*sorted(places), "UTC"]


def is_set_up() -> bool:
    """As long as there is no administrator, /setup is open to whoever holds its code."""
    return db.session.scalar(select(User.id).where(User.role == Role.ADMINISTRATOR)) is not None


def issue_setup_code() -> str | None:
    """A new one-time code for /setup, or None when the practice is set up already."""
    if is_set_up():
        return None
    code = tokens.new_code()
    with transaction() as session:
        get(session).setup_code = tokens.digest(code)
    return code


def is_setup_code(code: str) -> bool:
    return not is_set_up() and get().setup_code == tokens.digest(code)


def change(
    actor: Actor,
    *,
    name: str,
    zone: str,
    days_back: int,
    months_ahead: int,
) -> None:
    """The practice is called so, and its feeds reach so far.

    Holds for existing links at their next reading. Raises Invalid, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    name = checked_name(name)
    check_zone(zone)
    check_window(days_back, months_ahead)
    with transaction() as session:
        found = get(session)
        before = (found.name, found.zone, found.days_back, found.months_ahead)
        after = (name, zone, days_back, months_ahead)
        found.name, found.zone, found.days_back, found.months_ahead = after
        if after != before:
            calendars.raise_policy(session, calendars.stamp(session))
        record(session, actor, Action.PRACTICE_CHANGED, "practice")


def change_policy(
    actor: Actor,
    *,
    ceiling: DisplayMode,
    longest_link_days: int | None,
    wants_agreement: bool,
    schedulers_share_practice: bool,
) -> int:
    """Feeds show no more than this, existing links too, from their next reading on.

    Links that are older than the longest life, and practice-wide ones of
    schedulers who may no longer share that calendar, end at once. Returns how
    many. Raises Invalid, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    check_longest_life(longest_link_days)
    with transaction() as session:
        found = get(session)
        shown = (found.ceiling, found.wants_agreement)
        found.ceiling, found.wants_agreement = ceiling, wants_agreement
        if shown != (ceiling, wants_agreement):
            calendars.raise_policy(session, calendars.stamp(session))
        found.longest_link_days = longest_link_days
        found.schedulers_share_practice = schedulers_share_practice
        ended = _end_against_policy(session)
        detail = {
            "ceiling": ceiling.value,
            "longest_link_days": longest_link_days,
            "wants_agreement": wants_agreement,
            "schedulers_share_practice": schedulers_share_practice,
            "ended": ended,
        }
        record(session, actor, Action.POLICY_CHANGED, "practice", **detail)
    addresses.write_journal()
    return ended


def would_end(*, longest_link_days: int | None, schedulers_share_practice: bool) -> int:
    """How many live links such a policy would end at once."""
    against: list[ColumnElement[bool]] = []
    if longest_link_days is not None:
        against.append(addresses.is_older_than(longest_link_days))
    if not schedulers_share_practice:
        against.append(Calendar.clinician_id.is_(None) & (User.role == Role.SCHEDULER))
    ending = addresses.alive().join(Calendar).outerjoin(User).where(or_(false(), *against))
    return len(db.session.scalars(ending).all())


def _end_against_policy(session: Session) -> int:
    found = get(session)
    days, shared = found.longest_link_days, found.schedulers_share_practice
    ended = would_end(longest_link_days=days, schedulers_share_practice=shared)
    if days is not None:
        for link in session.scalars(addresses.older_than(days)).all():
            addresses.end(session, link)
        addresses.retire_late(session, days)
    if not shared:
        offboarding.end_out_of_reach_of_schedulers(session)
    return ended


def check_longest_life(days: int | None) -> None:
    """None is no limit. Raises Invalid."""
    if days is not None and not 1 <= days <= MOST_LINK_DAYS:
        raise Invalid(
            f"A link can live 1 to {MOST_LINK_DAYS} days. Leave the field empty for no limit."
        )


def check_window(days_back: int, months_ahead: int) -> None:
    """Raises Invalid."""
    if not 0 <= days_back <= MOST_DAYS_BACK or not 1 <= months_ahead <= MOST_MONTHS_AHEAD:
        raise Invalid(
            f"Feeds can reach 0 to {MOST_DAYS_BACK} days back "
            f"and 1 to {MOST_MONTHS_AHEAD} months ahead."
        )


def american() -> bool:
    """Whether days are written, weeks begin and clocks go as they do in the United States."""
    # Where imports take 03/04 for 4 March, too.
    name = get().zone
    return name.startswith(("America/", "US/")) or name == "Pacific/Honolulu"


def show_internal_ids(actor: Actor, shown: bool) -> None:
    """Account Settings > Clients: whether pages show internal IDs."""
    access.require(actor, Permission.SETTINGS)
    with transaction() as session:
        get(session).shows_internal_ids = shown
        record(session, actor, Action.CLIENT_SETTINGS_CHANGED, "practice", shown=shown)


def locations() -> list[Location]:
    return list(db.session.scalars(select(Location).order_by(func.lower(Location.name))))


def location_names() -> list[str]:
    """Every place that an appointment may be at and a feed may name."""
    return [*(location.name for location in locations()), TELEHEALTH, HOME_VISIT]


def add_location(actor: Actor, name: str, *, exclusive: bool = False) -> None:
    """The practice has a place of this name; an `exclusive` one holds one appointment at a time.

    Raises Invalid, Conflict, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    name = checked_name(name)
    with transaction() as session:
        if name.lower() in {known.lower() for known in location_names()}:
            raise Conflict("There is a place of this name already.")
        location = Location(name=name, exclusive=exclusive)
        session.add(location)
        session.flush()
        record(session, actor, Action.LOCATION_CREATED, f"location:{location.id}")


def make_exclusive(actor: Actor, location_id: int, exclusive: bool) -> None:
    """Whether the place holds one appointment at a time. Raises NotFound, Refused."""
    access.require(actor, Permission.SETTINGS)
    with transaction() as session:
        location = access.get(Location, location_id, "There is no such place.")
        location.exclusive = exclusive
        detail = {"exclusive": exclusive}
        record(session, actor, Action.LOCATION_CHANGED, f"location:{location_id}", **detail)


def remove_location(actor: Actor, location_id: int) -> None:
    """New appointments cannot choose it; those that have it keep it."""
    access.require(actor, Permission.SETTINGS)
    with transaction() as session:
        location = access.get(Location, location_id, "There is no such place.")
        session.delete(location)
        record(session, actor, Action.LOCATION_REMOVED, f"location:{location_id}")


def checked_name(name: str) -> str:
    """A name on one line, 1 to 100 characters, some of which show. Raises Invalid."""
    name = one_line(name)
    if not _SHOWS.search(name) or len(name) > 100:
        raise Invalid("A name must have 1 to 100 characters.")
    return name


def one_line(text: str) -> str:
    """The text on one line, its words one space apart, and nothing that cannot be seen."""
    return " ".join(visible(text).split())


def visible(text: str) -> str:
    """The text without control characters, of which PostgreSQL refuses one; its lines stay."""
    return "\n".join(_HIDDEN.sub("", line.expandtabs()) for line in text.splitlines())


def check_zone(zone: str) -> None:
    """Raises Invalid for a time zone that does not exist."""
    if zone not in available_timezones():
        raise Invalid("Choose a time zone from the list, such as America/New_York.")
