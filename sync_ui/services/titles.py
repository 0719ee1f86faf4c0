"""Which client an imported event belongs to: from its columns or its title."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui.domain import names
from sync_ui.domain.event import Kind
from sync_ui.domain.reading import Entry
from sync_ui.errors import Invalid, SyncError
from sync_ui.models import Client, ImportedTitle
from sync_ui.services import clients

# Words that speak of something else than a client, and of what.
KINDS = (
    (Kind.SUPERVISION, ("supervision", "consultation group")),
    (
        Kind.TIME_OFF,
        ("vacation", "holiday", "time off", "pto", "day off", "out of office", "leave"),
    ),
    (Kind.MEETING, ("meeting", "staff", "team", "call with", "training", "conference")),
    (Kind.OTHER, ("lunch", "break", "admin", "notes", "dentist", "gym", "hold", "busy", "blocked")),
)

_NAME = re.compile(r"[^\W\d_][^\W\d_.'’-]*(?:[.'’-][^\W\d_]*)*")


class Titles:
    """The answers to “is this title a client?”, given now or remembered."""

    def __init__(self, answers: Mapping[str, bool], *, take_all: bool) -> None:
        self._answers = {key(title): is_client for title, is_client in answers.items()}
        self._take_all = take_all
        self._asked: Counter[str] = Counter()
        self._decided: dict[str, bool] = {}

    def is_client(self, title: str, *, known: bool, likely: bool) -> bool:
        """`known` titles and `likely` ones are clients unless told otherwise."""
        self._asked[title] += 1
        suggested = known or likely or self._take_all
        self._decided[title] = self._answers.get(key(title), suggested)
        return self._decided[title]

    def asked(self) -> list[tuple[str, int, bool]]:
        """(title, how often, whether it is a client), the doubtful first."""
        return sorted(
            ((title, count, self._decided[title]) for title, count in self._asked.items()),
            key=lambda asked: (asked[2], -asked[1], asked[0].casefold()),
        )


@dataclass(slots=True, eq=False)
class Person:
    """A client as an import meets them; a new one has no `id` until it is written.

    `formerly` are the ids of duplicates that were merged into this client.
    """

    first_name: str
    last_name: str
    internal_id: str = ""
    id: int | None = None
    formerly: tuple[int, ...] = ()


@dataclass(slots=True, eq=False)
class Remembered:
    """What a title was said to be: `person`, or (without one) no client."""

    title: str
    person: Person | None
    id: int | None = None


class Register:
    """The practice's clients as an import meets them; new ones are met once.

    `numbers` are all the internal IDs of the file: two of them are two clients,
    whatever their names.
    """

    def __init__(
        self, session: Session, clinician_id: int, titles: Titles, numbers: Collection[str] = ()
    ) -> None:
        self._session = session
        self._numbers = {number.strip().casefold() for number in numbers}
        self._numbered: dict[Person, str] = {}
        self._titles = titles
        self._by_name: dict[str, list[Person]] = {}
        self._by_internal_id: dict[str, Person] = {}
        self._remembered: dict[str, Remembered] = {}
        self.new: list[Person] = []
        self.told: dict[str, Remembered] = {}
        self._load(clinician_id)

    def attending(self, entry: Entry) -> tuple[tuple[Person, ...], Kind]:
        """Who comes, and what it is. Raises Invalid for an internal ID that nobody has."""
        if entry.client_ids or entry.clients:
            return self._named_in_columns(entry), entry.kind or Kind.SESSION
        if entry.ours and entry.kind:
            return (), entry.kind
        if (entry.kind or Kind.SESSION) is not Kind.SESSION or not entry.title.strip():
            return (), entry.kind or Kind.OTHER
        title = " ".join(entry.title.split())
        known = self._known(title)
        likely = looks_like_a_name(title) and blocks_time(entry)
        if self._titles.is_client(title, known=known is not None, likely=likely):
            return known or self._create_from(title), Kind.SESSION
        self._remember(title, None)
        return (), kind_of(title)

    def _load(self, clinician_id: int) -> None:
        everyone: dict[int, Person] = {}
        merged: dict[int, int] = {}
        for row in self._session.execute(_CLIENTS):
            everyone[row.id] = Person(row.first_name, row.last_name, row.internal_id, row.id)
            if row.merged_into_id is not None:
                merged[row.id] = row.merged_into_id
            elif row.archived_at is None:
                self._add(everyone[row.id])
        for client_id in merged:
            kept = everyone[_last(client_id, merged)]
            kept.formerly += (client_id,)
            if kept.internal_id.casefold() in self._by_internal_id:
                self._by_internal_id[everyone[client_id].internal_id.casefold()] = kept
        own = select(ImportedTitle.id, ImportedTitle.title, ImportedTitle.client_id).where(
            ImportedTitle.clinician_id == clinician_id
        )
        for known in self._session.execute(own):
            person = None if known.client_id is None else everyone[_last(known.client_id, merged)]
            self._remembered[key(known.title)] = Remembered(known.title, person, known.id)

    def _add(self, person: Person) -> None:
        full = key(f"{person.first_name} {person.last_name}")
        self._by_name.setdefault(full, []).append(person)
        if person.internal_id:
            self._by_internal_id[person.internal_id.casefold()] = person

    def _named_in_columns(self, entry: Entry) -> tuple[Person, ...]:
        by_id = [self._by_internal_id.get(i.strip().casefold()) for i in entry.client_ids]
        found = [person for person in by_id if person is not None]
        if entry.client_ids and len(found) == len(by_id):
            return tuple(found)
        if not entry.clients:
            raise Invalid(
                "No client has this internal ID. Add the client first, or give the name too."
            )
        ids = [*entry.client_ids, *[""] * len(entry.clients)]
        return tuple(
            dict.fromkeys(
                self._by_internal_id.get(internal_id.strip().casefold())
                or self._find_or_create(first, last, internal_id)
                for (first, last), internal_id in zip(entry.clients, ids, strict=False)
            )
        )

    def _known(self, title: str) -> tuple[Person, ...] | None:
        """The clients that a title names, all of them known; else None."""
        remembered = self._remembered.get(key(title))
        if remembered is not None and remembered.person is not None:
            return (remembered.person,)
        if key(title) in self._by_internal_id:
            return (self._by_internal_id[key(title)],)
        named = [self._by_name.get(key(" ".join(name)), []) for name in names.people(title)]
        if named and all(len(same) == 1 for same in named):
            return tuple(same[0] for same in named)
        return None

    def _create_from(self, title: str) -> tuple[Person, ...]:
        named = names.people(title)
        if len(named) == 2 and all(all(name) for name in named):
            return tuple(self._find_or_create(*name) for name in named)
        person = self._find_or_create(*(named[0] if len(named) == 1 else (title, "")))
        self._remember(title, person)
        return (person,)

    def _find_or_create(self, first: str, last: str, internal_id: str = "") -> Person:
        full = f"{first} {last}"
        number = internal_id.strip().casefold()
        same = self._same(full, number)
        if len(same) > 1:
            raise Invalid("Several clients have this name. Give the internal ID in the file.")
        person = same[0] if same else self._checked(first, last, internal_id)
        if number:
            self._numbered[person] = number
        if same:
            return person
        self._add(person)
        self.new.append(person)
        self._remember(" ".join(full.split()), person)
        return person

    def _same(self, full: str, number: str) -> list[Person]:
        """Who may be meant by this name: the one whom it meant before, else all who bear it."""
        remembered = self._remembered.get(key(full))
        before = [] if remembered is None or remembered.person is None else [remembered.person]
        by_name = self._by_name.get(key(full), [])
        if not number:
            return before or by_name
        return self._free(before, number) or self._free(by_name, number)

    def _free(self, people: Collection[Person], number: str) -> list[Person]:
        """Without those who have another number in this file."""
        return [
            person
            for person in people
            if person.internal_id.casefold() not in self._numbers
            and self._numbered.get(person, number) == number
        ]

    def _checked(self, first: str, last: str, internal_id: str) -> Person:
        """Whatever is wrong with a new client is wrong with the row."""
        try:
            names_ = clients.checked_names(first, last)
            given = clients.checked_internal_id(self._session, internal_id)
        except SyncError as error:
            raise Invalid(error.sentence) from None
        return Person(*names_, given)

    def _remember(self, title: str, person: Person | None) -> None:
        """So that a client who is renamed here is found again next week."""
        known = self._remembered.setdefault(key(title), Remembered(title, person))
        if known.id is None or known.person is not person:
            known.person = person
            self.told[key(title)] = known


_CLIENTS = select(
    Client.id,
    Client.first_name,
    Client.last_name,
    Client.internal_id,
    Client.archived_at,
    Client.merged_into_id,
).order_by(Client.id)


def _last(client_id: int, merged: Mapping[int, int]) -> int:
    """Whom a merged client has become."""
    while client_id in merged:
        client_id = merged[client_id]
    return client_id


def key(title: str) -> str:
    return " ".join(unicodedata.normalize("NFC", title).split()).casefold()


def blocks_time(entry: Entry) -> bool:
    """Sessions have an hour; all-day and free entries are birthdays and holidays."""
    return isinstance(entry.starts, datetime) and not entry.free


def looks_like_a_name(title: str) -> bool:
    """“First Last”, or two of them; the first word and the last begin with a capital."""
    named = names.people(title)
    if _tells_of_else(title) or not 1 <= len(named) <= 2:
        return False
    return all(_is_a_name(first, last) for first, last in named)


def _is_a_name(first: str, last: str) -> bool:
    words = f"{first} {last}".split()
    return (
        bool(first and last)
        and len(words) <= 4
        and all(_NAME.fullmatch(word) for word in words)
        and not words[0][0].islower()
        and not words[-1][0].islower()
    )


def kind_of(title: str) -> Kind:
    """What an event without a client is, by the words of its title."""
    lowered = f" {key(title)} "
    for kind, words in KINDS:
        if any(f" {word}" in lowered for word in words):
            return kind
    return Kind.OTHER


def _tells_of_else(title: str) -> bool:
    lowered = f" {key(title)} "
    return any(f" {word}" in lowered for _, words in KINDS for word in words)
