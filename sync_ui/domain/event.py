"""What an appointment is inside the building, and what of it may leave.

`Client` and `Subject` hold everything that the display rules need. `Words` are
what they let out: there is no field that could carry more.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class DisplayMode(StrEnum):
    """How clients' names show, from the least disclosure to the most."""

    BUSY = "busy"
    INTERNAL_ID = "internal_id"
    INITIALS = "initials"
    FIRST_NAME = "first_name"
    FULL_NAME = "full_name"

    @property
    def disclosure(self) -> int:
        return list(DisplayMode).index(self)


class Telehealth(StrEnum):
    """How a video room's address leaves: not at all, as a button to join, or in writing."""

    NONE = "none"
    BUTTON = "button"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Choices:
    """What a link shows beside names; the busy mode shows none of it."""

    location: bool = True
    type: bool = False
    telehealth: Telehealth = Telehealth.NONE
    time_off: bool = True
    cancelled: bool = False


class Kind(StrEnum):
    """What an appointment is for; all but a session go without a client."""

    SESSION = "session"
    MEETING = "meeting"
    SUPERVISION = "supervision"
    TIME_OFF = "time_off"
    OTHER = "other"


class Status(StrEnum):
    SCHEDULED = "scheduled"
    CANCELLED = "cancelled"
    LATE_CANCELLED = "late_cancelled"
    NO_SHOW = "no_show"


# What leaves the feed: a no-show took place as far as the calendar knows.
GONE = frozenset({Status.CANCELLED, Status.LATE_CANCELLED})

TELEHEALTH = "Telehealth"
HOME_VISIT = "Home visit"


@dataclass(frozen=True, slots=True)
class Client:
    """`number` tells equal initials of one clinician's clients apart."""

    first_name: str
    last_name: str = ""
    preferred_name: str = ""
    internal_id: str = ""
    number: int | None = None
    ceiling: DisplayMode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an appointment is about, with whom and where.

    `location` is the practice's own name for a place, never an address;
    `telehealth_address` that of a video room. `ceiling` is the type's.
    """

    kind: Kind
    clinician: str
    clients: tuple[Client, ...] = ()
    title: str = ""
    location: str = ""
    telehealth_address: str = ""
    type: str = ""
    ceiling: DisplayMode | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """One occurrence; times in UTC.

    `days` is set for all-day ones: the first day, and the day after the last.
    """

    uid: str
    subject: Subject
    starts_at: datetime
    ends_at: datetime
    revision: int
    created_at: datetime
    changed_at: datetime
    days: tuple[date, date] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What an event tells beside its times; `conference` is an address to join at."""

    summary: str
    location: str = ""
    description: str = ""
    conference: str = ""
    out_of_office: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Words):
    """One VEVENT as it leaves the building.

    `starts` and `ends` are both moments in UTC or both dates (end exclusive).
    """

    uid: str
    starts: datetime | date
    ends: datetime | date
    sequence: int
    created_at: datetime
    changed_at: datetime
