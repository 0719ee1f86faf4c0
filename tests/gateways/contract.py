"""What every provider has to do, whoever it is: a class of tests to inherit.

A provider's own tests give the fixtures `provider` and `elsewhere`: the account
as we see it, and the same account in the hands of somebody with another app.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import pytest

from sync_ui.domain.ics_write import cleaned, content_line
from sync_ui.domain.outside import (
    Copy,
    Entry,
    Expired,
    Missing,
    OutsideCalendar,
    Provider,
    Span,
    Stale,
    Told,
    Window,
)

BERLIN = "Europe/Berlin"
WINDOW = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))


@dataclass(frozen=True)
class Personal:
    """An event that somebody has there: wall times in Berlin, or days (end exclusive).

    `moved` tells by their usual start which turns are at another time, None for
    those that are cancelled.
    """

    id: str
    starts: datetime | date
    ends: datetime | date
    rule: str = ""
    exceptions: tuple[datetime, ...] = ()
    moved: Mapping[datetime, tuple[datetime, datetime] | None] = field(default_factory=dict)
    free: bool = False
    cancelled: bool = False
    declined: bool = False
    mark: str = ""


class Elsewhere(Protocol):
    """What people do there with another app."""

    def change(self, calendar_id: str, entry_id: str, told: Told) -> None:
        """One of ours, keeping what the app does not know."""

    def delete(self, calendar_id: str, entry_id: str) -> None: ...

    def have(self, calendar_id: str, event: Personal) -> None:
        """Makes it, or changes it into this."""

    def delete_calendar(self, calendar_id: str) -> None: ...


def as_ics(event: Personal) -> bytes:
    """The event as a calendar app writes it."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Test//App//EN", *_vevent(event)]
    for usual, times in event.moved.items():
        starts, ends = times or (usual, usual + timedelta(hours=1))
        turn = replace(
            event, starts=starts, ends=ends, rule="", exceptions=(), cancelled=times is None
        )
        lines += _vevent(turn, _time("RECURRENCE-ID", usual))
    return ("\r\n".join((*lines, "END:VCALENDAR")) + "\r\n").encode()


def _vevent(event: Personal, *more: str) -> list[str]:
    lines = [
        "BEGIN:VEVENT",
        f"UID:{event.id}",
        "DTSTAMP:20261101T080000Z",
        _time("DTSTART", event.starts),
        _time("DTEND", event.ends),
        "SUMMARY:Dentist",
        *more,
        *(_time("EXDATE", each) for each in event.exceptions),
    ]
    if event.rule:
        lines.append(f"RRULE:{event.rule}")
    if event.free:
        lines.append("TRANSP:TRANSPARENT")
    if event.cancelled:
        lines.append("STATUS:CANCELLED")
    if event.declined:
        lines += [
            "ORGANIZER:mailto:ben@elsewhere.example",
            "ATTENDEE;PARTSTAT=DECLINED:mailto:anna@practice.example",
        ]
    if event.mark:
        lines.append(content_line("X-SYNC-CALENDAR", event.mark).strip())
    return [*lines, "END:VEVENT"]


def _time(name: str, value: datetime | date) -> str:
    if isinstance(value, datetime):
        return f"{name};TZID={BERLIN}:{value:%Y%m%dT%H%M%S}"
    return f"{name};VALUE=DATE:{value:%Y%m%d}"


def at(day: int, hour: int, month: int = 12) -> datetime:
    """A moment in UTC."""
    return datetime(2026, month, day, hour, tzinfo=UTC)


def wall(day: int, hour: int, month: int = 12) -> datetime:
    return datetime(2026, month, day, hour)


def span(day: int, hour: int, hours: int = 1, month: int = 12) -> Span:
    starts = at(day, hour, month)
    return Span(starts_at=starts, ends_at=starts + timedelta(hours=hours))


MONDAY = Told(
    starts=at(7, 9), ends=at(7, 10), summary="J.S.", location="Room 2", description="Individual"
)
TUESDAY = replace(MONDAY, starts=at(8, 9), ends=at(8, 10))
COPY = Copy(id="sc00000000000000000000000000000001", mark="v0mark", told=MONDAY)
OTHER = Copy(id="sc00000000000000000000000000000002", mark="v0mark", told=TUESDAY)

TEXTS = (
    "Zoë O'Brien-García",
    "渡辺 さくら",
    "محمد",
    "a\u0301 combining, \u00e1 composed",
    "👩‍👩‍👧 family",
    "comma, semicolon; colon: backslash\\ n\\n quote\" apostrophe'",
    "two\nlines\n\nand an empty one",
    "line feed at the end\n",
    "  spaces around  ",
    "\\",
    "\\\\;",
    "^n ^^ ^' are escapes of parameters",
    "BEGIN:VEVENT",
    "END:VCALENDAR\nBEGIN:VCALENDAR",
    "<b>&amp; ]]> <![CDATA[",
    "%41 =41 &#65;",
    "ü" * 300,
    "long line " * 100,
    "tab\there",
    "carriage\rreturn\r\nboth",
    "\x00\x07\x1b controls",
    "\u2028line and paragraph\u2029",
    "\ufeffmark",
    "\u200bzero\u200dwidth\u00ad",
    "=cmd|'/c calc'!A1",
)


class ProviderContract:
    """The tests themselves; `no_token` is one that the provider never gave."""

    no_token = "nonsense"

    @pytest.fixture
    def provider(self) -> Provider:
        raise NotImplementedError

    @pytest.fixture
    def elsewhere(self) -> Elsewhere:
        raise NotImplementedError

    @pytest.fixture
    def calendar(self, provider: Provider) -> OutsideCalendar:
        return provider.make_calendar("Dr. Weber & Söhne <Praxis>")

    # Calendars

    def test_a_new_calendar_is_listed_and_holds_nothing(
        self, provider: Provider, calendar: OutsideCalendar
    ) -> None:
        found = provider.changes(calendar.id, None)

        assert calendar in provider.calendars()
        assert (calendar.name, calendar.writable) == ("Dr. Weber & Söhne <Praxis>", True)
        assert (found.entries, found.gone, found.whole) == ((), (), True)

    def test_a_calendar_that_somebody_deleted_is_missing(
        self, provider: Provider, elsewhere: Elsewhere, calendar: OutsideCalendar
    ) -> None:
        token = provider.changes(calendar.id, None).token
        elsewhere.delete_calendar(calendar.id)

        with pytest.raises(Missing):
            provider.changes(calendar.id, token)
        with pytest.raises(Missing):
            provider.changes(calendar.id, None)
        with pytest.raises(Missing):
            provider.busy(calendar.id, None, WINDOW)
        with pytest.raises(Missing):
            provider.put(calendar.id, COPY, None)
        assert calendar not in provider.calendars()

    # Writing

    def test_what_was_written_stands_there(
        self, provider: Provider, calendar: OutsideCalendar
    ) -> None:
        assert provider.get(calendar.id, COPY.id) is None

        etag = provider.put(calendar.id, COPY, None)

        entry = Entry(id=COPY.id, etag=etag, mark="v0mark", told=MONDAY)
        assert etag
        assert provider.get(calendar.id, COPY.id) == entry
        assert provider.changes(calendar.id, None).entries == (entry,)

    @pytest.mark.parametrize(
        "told",
        [
            replace(MONDAY, location="", description=""),
            replace(MONDAY, free=True),
            replace(MONDAY, starts=date(2026, 12, 24), ends=date(2026, 12, 27)),
            replace(MONDAY, starts=at(25, 0, 10), ends=at(25, 1, 10)),
        ],
        ids=["few words", "free", "days", "in the hour that comes twice"],
    )
    def test_it_is_read_as_it_was_written(
        self, provider: Provider, calendar: OutsideCalendar, told: Told
    ) -> None:
        provider.put(calendar.id, replace(COPY, told=told), None)

        found = provider.get(calendar.id, COPY.id)

        assert found is not None
        assert found.told == told

    @pytest.mark.bar("S4")
    def test_any_text_is_read_as_it_was_written(
        self, provider: Provider, calendar: OutsideCalendar
    ) -> None:
        etag, seen = None, []
        for text in map(cleaned, TEXTS):
            told = replace(MONDAY, summary=text, location=text, description=text)
            etag = provider.put(calendar.id, replace(COPY, told=told), etag)
            found = provider.get(calendar.id, COPY.id)
            assert found is not None
            seen.append((found.told, found.etag))
            assert seen[-1] == (told, etag)

        assert len(seen) == len(TEXTS)

    @pytest.mark.bar("S4")
    def test_a_new_one_never_replaces_what_is_there(
        self, provider: Provider, calendar: OutsideCalendar
    ) -> None:
        provider.put(calendar.id, COPY, None)

        with pytest.raises(Stale):
            provider.put(calendar.id, replace(COPY, told=TUESDAY), None)

        assert _told(provider, calendar) == {COPY.id: MONDAY}

    @pytest.mark.bar("S4")
    def test_only_who_knows_the_last_version_overwrites_it(
        self, provider: Provider, calendar: OutsideCalendar
    ) -> None:
        first = provider.put(calendar.id, COPY, None)
        second = provider.put(calendar.id, replace(COPY, told=TUESDAY), first)

        with pytest.raises(Stale):
            provider.put(calendar.id, replace(COPY, told=MONDAY), first)

        assert first != second
        assert _told(provider, calendar) == {COPY.id: TUESDAY}

    def test_what_is_gone_is_not_overwritten(
        self, provider: Provider, elsewhere: Elsewhere, calendar: OutsideCalendar
    ) -> None:
        etag = provider.put(calendar.id, COPY, None)
        elsewhere.delete(calendar.id, COPY.id)

        with pytest.raises(Stale):
            provider.put(calendar.id, COPY, etag)

        assert _told(provider, calendar) == {}

    def test_what_was_removed_can_be_written_again(
        self, provider: Provider, calendar: OutsideCalendar
    ) -> None:
        provider.remove(calendar.id, COPY.id, provider.put(calendar.id, COPY, None))

        provider.put(calendar.id, COPY, None)

        assert _told(provider, calendar) == {COPY.id: MONDAY}

    @pytest.mark.bar("S4")
    def test_only_who_knows_the_last_version_removes_it(
        self, provider: Provider, elsewhere: Elsewhere, calendar: OutsideCalendar
    ) -> None:
        etag = provider.put(calendar.id, COPY, None)
        elsewhere.change(calendar.id, COPY.id, TUESDAY)

        with pytest.raises(Stale):
            provider.remove(calendar.id, COPY.id, etag)
        assert _told(provider, calendar) == {COPY.id: TUESDAY}

        provider.remove(calendar.id, COPY.id, None)
        assert _told(provider, calendar) == {}

    def test_removing_what_is_gone_is_no_trouble(
        self, provider: Provider, calendar: OutsideCalendar
    ) -> None:
        etag = provider.put(calendar.id, COPY, None)

        for known in (etag, etag, None):
            provider.remove(calendar.id, COPY.id, known)

        assert provider.get(calendar.id, COPY.id) is None

    # Changes

    def test_a_token_tells_what_has_changed_since(
        self, provider: Provider, elsewhere: Elsewhere, calendar: OutsideCalendar
    ) -> None:
        provider.put(calendar.id, COPY, None)
        etag = provider.put(calendar.id, OTHER, None)
        known = provider.changes(calendar.id, None)

        elsewhere.delete(calendar.id, COPY.id)
        third = replace(COPY, id="sc00000000000000000000000000000003")
        provider.put(calendar.id, third, None)
        found = provider.changes(calendar.id, known.token)

        assert {each.id for each in known.entries} == {COPY.id, OTHER.id}
        assert [(each.id, each.told) for each in found.entries] == [(third.id, MONDAY)]
        assert (found.gone, found.whole) == ((COPY.id,), False)
        assert provider.changes(calendar.id, known.token) == found
        nothing_new = provider.changes(calendar.id, found.token)
        assert (nothing_new.entries, nothing_new.gone) == ((), ())
        assert etag == _entries(provider, calendar)[OTHER.id].etag

    def test_what_is_gone_is_not_among_everything(
        self, provider: Provider, elsewhere: Elsewhere, calendar: OutsideCalendar
    ) -> None:
        token = provider.changes(calendar.id, None).token
        provider.put(calendar.id, COPY, None)
        elsewhere.delete(calendar.id, COPY.id)

        everything = provider.changes(calendar.id, None)
        since = provider.changes(calendar.id, token)

        assert (everything.entries, everything.gone, everything.whole) == ((), (), True)
        assert since.entries == ()
        assert set(since.gone) <= {COPY.id}

    def test_a_change_made_elsewhere_is_told_with_our_mark(
        self, provider: Provider, elsewhere: Elsewhere, calendar: OutsideCalendar
    ) -> None:
        etag = provider.put(calendar.id, COPY, None)
        token = provider.changes(calendar.id, None).token

        elsewhere.change(calendar.id, COPY.id, TUESDAY)
        (found,) = provider.changes(calendar.id, token).entries

        assert (found.id, found.mark, found.told) == (COPY.id, "v0mark", TUESDAY)
        assert found.etag != etag
        assert provider.put(calendar.id, COPY, found.etag)
        assert _told(provider, calendar) == {COPY.id: MONDAY}

    def test_an_event_of_somebody_elses_has_no_mark(
        self, provider: Provider, elsewhere: Elsewhere, calendar: OutsideCalendar
    ) -> None:
        elsewhere.have(calendar.id, Personal("their-event", wall(1, 10), wall(1, 11)))

        (found,) = provider.changes(calendar.id, None).entries

        assert (found.id, found.mark) == ("their-event", "")

    @pytest.mark.bar("S4")
    def test_a_token_that_is_not_known_has_expired(
        self, provider: Provider, calendar: OutsideCalendar
    ) -> None:
        with pytest.raises(Expired):
            provider.changes(calendar.id, self.no_token)
        with pytest.raises(Expired):
            provider.busy(calendar.id, self.no_token, WINDOW)

    # Busy times

    @pytest.mark.parametrize(
        ("event", "taken"),
        [
            (Personal("e", wall(1, 10), wall(1, 11)), (span(1, 9),)),
            (
                Personal("e", date(2026, 12, 24), date(2026, 12, 26)),
                (Span(starts_at=at(23, 23), ends_at=at(25, 23), all_day=True),),
            ),
            (
                Personal("e", wall(19, 10, 10), wall(19, 11, 10), "FREQ=WEEKLY;COUNT=3"),
                (span(19, 8, month=10), span(26, 9, month=10), span(2, 9, month=11)),
            ),
            (
                Personal(
                    "e", wall(1, 10), wall(1, 11), "FREQ=DAILY;COUNT=4", (wall(2, 10),),
                    {wall(3, 10): (wall(3, 15), wall(3, 17)), wall(4, 10): None},
                ),
                (span(1, 9), span(3, 14, 2)),
            ),
            (
                Personal("e", wall(7, 10, 1), wall(7, 11, 1), "FREQ=YEARLY"),
                (),
            ),
            (
                Personal("e", wall(30, 10, 9), wall(1, 10, 10)),
                (Span(starts_at=at(30, 8, 9), ends_at=at(1, 8, 10)),),
            ),
        ],
        ids=["once", "days", "while clocks change", "with exceptions", "not now", "at the edge"],
    )  # fmt: skip
    def test_what_takes_time_is_told_turn_by_turn(
        self,
        provider: Provider,
        elsewhere: Elsewhere,
        calendar: OutsideCalendar,
        event: Personal,
        taken: tuple[Span, ...],
    ) -> None:
        elsewhere.have(calendar.id, event)

        found = provider.busy(calendar.id, None, WINDOW)

        told = tuple(each for spans in found.spans.values() for each in spans)
        assert tuple(sorted(told, key=lambda each: each.starts_at)) == taken
        assert (found.gone, found.whole) == ((), True)

    @pytest.mark.parametrize(
        "changed",
        [
            Personal("e", wall(1, 10), wall(1, 11), free=True),
            Personal("e", wall(1, 10), wall(1, 11), cancelled=True),
            Personal("e", wall(1, 10), wall(1, 11), declined=True),
        ],
        ids=["free", "cancelled", "declined"],
    )
    def test_what_is_free_cancelled_or_declined_takes_no_time(
        self,
        provider: Provider,
        elsewhere: Elsewhere,
        calendar: OutsideCalendar,
        changed: Personal,
    ) -> None:
        elsewhere.have(calendar.id, Personal("e", wall(1, 10), wall(1, 11)))
        known = provider.busy(calendar.id, None, WINDOW)

        elsewhere.have(calendar.id, changed)
        found = provider.busy(calendar.id, known.token, WINDOW)

        assert list(known.spans.values()) == [(span(1, 9),)]
        assert (*found.spans.values(), *((),) * len(found.gone)) == ((),)
        assert provider.busy(calendar.id, None, WINDOW).spans == {}

    def test_what_is_ours_takes_no_time_there(
        self, provider: Provider, elsewhere: Elsewhere, calendar: OutsideCalendar
    ) -> None:
        provider.put(calendar.id, COPY, None)
        elsewhere.have(calendar.id, Personal("copied", wall(1, 10), wall(1, 11), mark="v1mark"))

        assert provider.busy(calendar.id, None, WINDOW).spans == {}

    def test_busy_times_are_told_since_a_token(
        self, provider: Provider, elsewhere: Elsewhere, calendar: OutsideCalendar
    ) -> None:
        first = Personal("first", wall(1, 10), wall(1, 11))
        elsewhere.have(calendar.id, first)
        elsewhere.have(calendar.id, replace(first, id="second"))
        known = provider.busy(calendar.id, None, WINDOW)

        elsewhere.have(calendar.id, replace(first, starts=wall(2, 10), ends=wall(2, 11)))
        elsewhere.delete(calendar.id, "second")
        found = provider.busy(calendar.id, known.token, WINDOW)

        assert known.spans == {"first": (span(1, 9),), "second": (span(1, 9),)}
        assert (found.spans, found.gone, found.whole) == (
            {"first": (span(2, 9),)},
            ("second",),
            False,
        )
        assert provider.busy(calendar.id, None, WINDOW).spans == {"first": (span(2, 9),)}


def _entries(provider: Provider, calendar: OutsideCalendar) -> dict[str, Entry]:
    return {each.id: each for each in provider.changes(calendar.id, None).entries}


def _told(provider: Provider, calendar: OutsideCalendar) -> dict[str, Told | None]:
    return {each.id: each.told for each in _entries(provider, calendar).values()}
