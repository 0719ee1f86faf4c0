"""What importing a file would do, and how one event of it is weighed.

Shared by `merge`, which goes through a file, and `recurring`, which takes its
series.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.event import GONE, HOME_VISIT, TELEHEALTH, Status
from sync_ui.domain.reading import Entry, Problem, Reading
from sync_ui.domain.series import as_wall
from sync_ui.errors import Invalid
from sync_ui.services import drafts, plans
from sync_ui.services.drafts import Changes, Draft, SeriesChange, Update
from sync_ui.services.known import Known
from sync_ui.services.plans import Plan
from sync_ui.services.titles import Person, Register, Titles

_ONLINE = ("http://", "https://", "zoom", "telehealth", "video", "online", "teams", "google meet")


class Outcome(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the preview: what the import does with one event of the file.

    `said` are the words of what it changes, `was` the start that it had before.
    """

    line: int
    outcome: Outcome
    starts: datetime | date
    what: str
    turns: int
    all_day: bool
    said: tuple[str, ...] = ()
    was: datetime | date | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """What an earlier file of the same kind had and this one, over the same days, has not."""

    id: str
    starts: datetime | date
    what: str
    turns: int
    all_day: bool


@dataclass(slots=True)
class Comparison:
    """What importing the file would do."""

    reading: Reading
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    counts: Counter[Outcome] = field(default_factory=Counter)
    titles: list[tuple[str, int, bool]] = field(default_factory=list)
    new_clients: int = 0
    changes: Changes = field(default_factory=Changes)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one event."""

    outcome: Outcome
    draft: Draft
    turns: int = 1
    said: tuple[str, ...] = ()
    was: datetime | date | None = None


class Desk:
    """Where the events of one file meet what is stored of one clinician."""

    def __init__(
        self, session: Session, clinician_id: int, titles: Titles, numbers: Collection[str] = ()
    ) -> None:
        self.clinician_id = clinician_id
        self.known = Known(session, clinician_id)
        self.register = Register(session, clinician_id, titles, numbers)
        self.changes = Changes()
        self.now = clock.now()
        self.span: tuple[datetime, datetime] | None = None

    def update(
        self,
        stored: Any,
        draft: Draft,
        groups: Collection[str],
        series: SeriesChange | None = None,
    ) -> Result:
        """Only what the file has changed since it was last read; edits made here stay."""
        theirs = {group for group in groups if not set(_OWN[group]) & set(stored.own)}
        if _keeps_its_end(stored, draft):
            theirs.discard(drafts.STATUS)
        values = drafts.differences(draft, stored, theirs)
        people = self._people(stored.id, draft, theirs)
        self.changes.updates[stored.id] = Update(stored.id, values, people, draft, series)
        if not values and people is None:
            return Result(Outcome.UNCHANGED, draft)
        gone = values.get("status") in GONE and stored.status not in GONE
        moved = "starts_at" in values or "all_day" in values
        return Result(
            Outcome.CANCELLED if gone else Outcome.CHANGED,
            draft,
            said=_words(values, people),
            was=begin_of(stored) if moved else None,
        )

    def cancel(self, stored: Any) -> Update:
        """The appointment is taken back by the file, or because the user said so."""
        digest = drafts.taken_back(stored.import_digest)
        values = {"status": Status.CANCELLED, "import_digest": digest}
        self.changes.updates[stored.id] = update = Update(stored.id, values)
        return update

    def reach(self, first: datetime, last: datetime) -> None:
        """The file speaks of these days."""
        if self.span is None:
            self.span = (first, last)
        self.span = (min(self.span[0], first), max(self.span[1], last))

    def _people(
        self, stored_id: int, draft: Draft, groups: Collection[str]
    ) -> tuple[Person, ...] | None:
        if drafts.PEOPLE not in groups:
            return None
        coming = self.known.clients_of([stored_id]).get(stored_id, [])
        return None if coming == [person.id for person in draft.people] else draft.people

    def draft(self, entry: Entry) -> Draft:
        """Raises Invalid with the reason for the event's line."""
        people, kind = self.register.attending(entry)
        location, note = self.place(entry.location, entry.note)
        return checked(
            Plan(
                starts=as_wall(entry.starts),
                ends=as_wall(entry.ends),
                zone=entry.zone,
                kind=kind,
                title=entry.title[:200] if entry.ours or not people else "",
                location=location,
                note=note[:5000],
                all_day=not isinstance(entry.starts, datetime),
                status=entry.status,
            ),
            people,
        )

    def place(self, location: str, note: str) -> tuple[str, str]:
        """A place that the practice does not know may be a client's home: it stays in the note."""
        text = " ".join(location.split())
        if not text:
            return "", note
        if text.casefold() in self.known.places:
            return self.known.places[text.casefold()], note
        if any(word in text.casefold() for word in _ONLINE):
            return TELEHEALTH, f"{note}\n{text}".strip()
        if text.casefold() in {"home", "client's home", "home visit"}:
            return HOME_VISIT, note
        return "", f"{note}\nLocation: {text}".strip()


def checked(plan: Plan, people: tuple[Person, ...]) -> Draft:
    """Raises Invalid for what cannot be an appointment."""
    if not plans.is_near(plan.starts):
        raise Invalid(plans.TOO_FAR)
    starts, ends = plans.moments(plan)
    if ends <= starts:
        raise Invalid("An appointment must end after it begins.")
    if ends - starts > plans.LONGEST:
        raise Invalid("An appointment can last a year at most.")
    return Draft(plan, people, starts, ends)


def begin(draft: Draft) -> datetime | date:
    """The moment at which it begins, or the day."""
    return draft.plan.starts.date() if draft.plan.all_day else draft.starts_at


def begin_of(stored: Any) -> datetime | date:
    """The same of a stored row."""
    day: date = stored.starts_local.date()
    moment: datetime = stored.starts_at
    return day if stored.all_day else moment


# The words of a turn's own fields, by what a file can change.
_OWN = {
    drafts.WHEN: {"time"},
    drafts.PEOPLE: {"clients"},
    drafts.WHAT: {"kind", "title"},
    drafts.PLACE: {"location"},
    drafts.NOTE: {"note"},
    drafts.STATUS: {"status"},
}

_WORDS = {"kind": "kind", "title": "title", "location": "place", "note": "note", "status": "status"}


def _words(values: Iterable[str], people: tuple[Person, ...] | None) -> tuple[str, ...]:
    """What changes, in words; a new start tells itself."""
    found = [word for column, word in _WORDS.items() if column in values]
    if people is not None:
        found.insert(0, "clients")
    if "ends_at" in values and "starts_at" not in values:
        found.insert(0, "length")
    return tuple(found)


def _keeps_its_end(stored: Any, draft: Draft) -> bool:
    """What was cancelled here stays so, unless the file itself had cancelled it."""
    revived = stored.status in GONE and draft.plan.status not in GONE
    return revived and not drafts.said_gone(stored.import_digest)
