"""Calendars at a provider: what is written there, what is found there, what can go wrong.

`Provider` is what every provider's gateway fulfils. Nothing here knows a client:
an `Event` was made by the display rules before it comes here, and of events
that are not ours no word is kept, only when they take time.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Protocol

from sync_ui.domain.event import Event
from sync_ui.domain.ics_write import cleaned

# Google's limit for the longest text that it keeps whole; nobody allows less.
LONGEST_TEXT = 8192


@dataclass(frozen=True, slots=True)
class OutsideCalendar:
    """A calendar of the account; `id` is what the provider knows it by."""

    id: str
    name: str
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that an entry tells whoever looks at it: what makes two of them equal.

    `starts` and `ends` are both moments in UTC or both dates (end exclusive).
    """

    starts: datetime | date
    ends: datetime | date
    summary: str
    location: str = ""
    description: str = ""
    free: bool = False

    @property
    def digest(self) -> str:
        parts = (
            self.when,
            self.summary,
            self.location,
            self.description,
            "free" if self.free else "busy",
        )
        return sha256("\x1f".join(parts).encode()).hexdigest()[:32]

    @property
    def when(self) -> str:
        return f"{_stamp(self.starts)}/{_stamp(self.ends)}"


def _stamp(moment: datetime | date) -> str:
    if isinstance(moment, datetime):
        return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return f"{moment:%Y%m%d}"


def told(event: Event) -> Told:
    """What of an event a provider is given; an address to join at stands in the description."""
    lines = [text for text in (event.description, event.conference) if text]
    return Told(
        starts=event.starts,
        ends=event.ends,
        summary=cleaned(event.summary),
        location=cleaned(event.location),
        description=cleaned("\n".join(dict.fromkeys(lines)))[:LONGEST_TEXT],
        free=event.cancelled,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """An appointment as it is to stand at the provider.

    `id` is made by us, once: lower-case letters a to v and digits, 5 to 64 of
    them. `mark` says which calendar of which installation wrote it.
    """

    id: str
    mark: str
    told: Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event found in the calendar that we write to.

    `mark` is empty for one that is not ours. `told` is None for what cannot be
    read. `etag` changes with any change of it.
    """

    id: str
    etag: str
    mark: str = ""
    told: Told | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What has changed since a token; everything there is, if `whole`.

    `gone` are ids of entries that are no more, known or not.
    """

    entries: tuple[Entry, ...]
    gone: tuple[str, ...]
    token: str
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time that is taken: moments in UTC. `all_day` ones begin and end at local midnight."""

    starts_at: datetime
    ends_at: datetime
    all_day: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """What takes time in an outside calendar, by the id of its event; everything, if `whole`.

    An event of the mapping replaces what was known of it; without spans it takes
    no time. Never among them: what is free, cancelled or declined, and whatever
    carries a mark.
    """

    spans: dict[str, tuple[Span, ...]]
    gone: tuple[str, ...]
    token: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Window:
    starts_at: datetime
    ends_at: datetime


class Provider(Protocol):
    """An account at a provider. Each method can raise any `Trouble`.

    A method that returns has told all: whoever is cut off in the middle of a
    listing raises and tells nothing.
    """

    def calendars(self) -> list[OutsideCalendar]:
        """Every calendar of the account that can hold events."""

    def make_calendar(self, name: str) -> OutsideCalendar:
        """A new one, empty. Raises Rejected where the provider makes none."""

    def changes(self, calendar_id: str, token: str | None) -> Changes:
        """Since `token`; everything, without. Raises Expired, Missing."""

    def get(self, calendar_id: str, entry_id: str) -> Entry | None:
        """One of our entries as it is now; None if it is no more."""

    def put(self, calendar_id: str, copy: Copy, etag: str | None) -> str:
        """The copy stands there; returns its new etag, empty if the provider tells none.

        `etag` is that of the entry to overwrite; None makes a new one. Raises
        Stale if the entry has another etag, or stands there already, or is gone.
        """

    def remove(self, calendar_id: str, entry_id: str, etag: str | None) -> None:
        """It is gone, also if it was before. Raises Stale if it has another etag than `etag`."""

    def busy(self, calendar_id: str, token: str | None, window: Window) -> Busy:
        """What takes time within the window, since `token`; everything, without.

        Repeating events are told turn by turn. Raises Expired, Missing.
        """


class Trouble(Exception):
    """Something with the provider; `str` is a sentence for people, without names or addresses."""


class Stale(Trouble):
    """Somebody else has changed, made or removed the entry."""


class Expired(Trouble):
    """The token is no longer good: read everything."""


class SignedOut(Trouble):
    """The provider no longer accepts the sign-in, or it lacks a permission."""


class Missing(Trouble):
    """The calendar is no more."""


class Later(Trouble):
    """Not now: busy, out of reach or broken; `seconds` is what the provider asked for."""

    def __init__(self, sentence: str, seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class Rejected(Trouble):
    """The provider will not do this, now or later."""
