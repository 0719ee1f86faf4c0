"""CalDAV against a real Radicale; what it never answers is tested with a scripted server."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import quote

import pytest
import requests

from sync_ui.domain.outside import (
    Expired,
    Later,
    Missing,
    OutsideCalendar,
    Provider,
    Rejected,
    SignedOut,
    Stale,
    Told,
)
from sync_ui.domain.outside_ics import write
from sync_ui.gateways.caldav import AT_ONCE, CalDav
from sync_ui.gateways.guarded import Guarded
from tests.gateways.contract import (
    BERLIN,
    COPY,
    MONDAY,
    OTHER,
    TUESDAY,
    WINDOW,
    Elsewhere,
    Personal,
    ProviderContract,
    as_ics,
    at,
)
from tests.radicale import Radicale

ALLOWED = ["127.0.0.0/8"]


class _OtherApp:
    """Another CalDAV program, which shares no code with ours."""

    def __init__(self, account: tuple[str, str]) -> None:
        self._session = requests.Session()
        self._session.auth = account
        self._session.trust_env = False

    def close(self) -> None:
        self._session.close()

    def change(self, calendar_id: str, entry_id: str, told: Told) -> None:
        url = f"{calendar_id}{entry_id}.ics"
        mark = next(
            line.partition(":")[2]
            for line in self._session.get(url).text.splitlines()
            if line.startswith("X-SYNC-CALENDAR:")
        )
        self.write(url, write(replace(COPY, id=entry_id, mark=mark, told=told), at(1, 9)))

    def delete(self, calendar_id: str, entry_id: str) -> None:
        self._session.delete(f"{calendar_id}{entry_id}.ics").raise_for_status()

    def have(self, calendar_id: str, event: Personal) -> None:
        self.write(f"{calendar_id}{quote(event.id)}.ics", as_ics(event))

    def delete_calendar(self, calendar_id: str) -> None:
        self._session.delete(calendar_id).raise_for_status()

    def write(self, url: str, body: bytes) -> None:
        headers = {"Content-Type": "text/calendar"}
        self._session.put(url, body, headers=headers).raise_for_status()

    def make(self, url: str, component: str) -> None:
        body = (
            '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
            f'<C:supported-calendar-component-set><C:comp name="{component}"/>'
            "</C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>"
        )
        self._session.request("MKCALENDAR", url, data=body).raise_for_status()


@pytest.fixture
def line() -> Iterator[Guarded]:
    with Guarded(ALLOWED) as line:
        yield line


@pytest.fixture
def account(radicale: Radicale) -> tuple[str, str]:
    return radicale.new_user()


@pytest.fixture
def provider(radicale: Radicale, account: tuple[str, str], line: Guarded) -> CalDav:
    return CalDav(line, radicale.url, *account, zone=BERLIN)


@pytest.fixture
def elsewhere(account: tuple[str, str]) -> Iterator[_OtherApp]:
    app = _OtherApp(account)
    yield app
    app.close()


@pytest.fixture
def calendar(provider: CalDav) -> OutsideCalendar:
    return provider.make_calendar("Practice")


class TestCalDav(ProviderContract):
    @pytest.fixture
    def provider(self, radicale: Radicale, account: tuple[str, str], line: Guarded) -> Provider:
        return CalDav(line, radicale.url, *account, zone=BERLIN)

    @pytest.fixture
    def elsewhere(self, elsewhere: Elsewhere) -> Elsewhere:
        return elsewhere


# Finding the account


@pytest.mark.parametrize("path", ["", "{home}", "{home_without_slash}", "{calendar}", "nowhere/"])
def test_the_calendars_are_found_from_wherever_one_starts(
    radicale: Radicale,
    account: tuple[str, str],
    line: Guarded,
    calendar: OutsideCalendar,
    path: str,
) -> None:
    typed = path.format(
        home=f"{account[0]}/",
        home_without_slash=account[0],
        calendar=calendar.id.removeprefix(radicale.url),
    )

    assert CalDav(line, radicale.url + typed, *account).calendars() == [calendar]


def test_a_calendar_for_tasks_alone_is_left_out(
    radicale: Radicale, account: tuple[str, str], provider: CalDav, elsewhere: _OtherApp
) -> None:
    home = f"{radicale.url}{quote(account[0])}/"
    elsewhere.make(f"{home}tasks/", "VTODO")
    elsewhere.make(f"{home}events/", "VEVENT")

    assert [each.id for each in provider.calendars()] == [f"{home}events/"]


def test_a_wrong_password_is_told(
    radicale: Radicale, account: tuple[str, str], line: Guarded, calendar: OutsideCalendar
) -> None:
    stranger = CalDav(line, radicale.url, account[0], "a wrong password")

    for ask in (
        stranger.calendars,
        lambda: stranger.changes(calendar.id, None),
        lambda: stranger.put(calendar.id, COPY, None),
    ):
        with pytest.raises(SignedOut) as told:
            ask()
        assert "anna" not in str(told.value)


def test_somebody_elses_calendar_is_not_allowed(
    radicale: Radicale, line: Guarded, calendar: OutsideCalendar
) -> None:
    stranger = CalDav(line, radicale.url, *radicale.new_user())

    with pytest.raises(SignedOut):
        stranger.changes(calendar.id, None)
    with pytest.raises((SignedOut, Rejected)):
        stranger.put(calendar.id, COPY, None)


def test_a_server_that_is_down_is_for_later(
    radicale: Radicale, provider: CalDav, calendar: OutsideCalendar
) -> None:
    etag = provider.put(calendar.id, COPY, None)
    radicale.stop()
    try:
        for ask in (
            provider.calendars,
            lambda: provider.changes(calendar.id, None),
            lambda: provider.put(calendar.id, COPY, etag),
            lambda: provider.remove(calendar.id, COPY.id, etag),
        ):
            with pytest.raises(Later):
                ask()
    finally:
        radicale.start()

    found = provider.get(calendar.id, COPY.id)
    assert found is not None
    assert (found.etag, found.told) == (etag, MONDAY)


# Entries


@pytest.mark.bar("S4")
def test_many_writers_of_one_entry_have_one_winner(
    radicale: Radicale, account: tuple[str, str], provider: CalDav, calendar: OutsideCalendar
) -> None:
    etag = provider.put(calendar.id, OTHER, None)
    together = threading.Barrier(8)

    def write_both(number: int) -> list[str]:
        told = replace(MONDAY, summary=f"Writer {number}")
        won = []
        with Guarded(ALLOWED) as line:
            own = CalDav(line, radicale.url, *account)
            together.wait()
            for copy, known in ((COPY, None), (OTHER, etag)):
                try:
                    own.put(calendar.id, replace(copy, told=told), known)
                    won.append(copy.id)
                except (Stale, Later):
                    continue
        return won

    with ThreadPoolExecutor(8) as threads:
        won = [entry_id for each in threads.map(write_both, range(8)) for entry_id in each]

    assert sorted(won) == [COPY.id, OTHER.id]


def test_a_calendar_of_many_entries_is_read_in_parts(
    provider: CalDav, calendar: OutsideCalendar
) -> None:
    written = {f"sc{number:05}" for number in range(AT_ONCE + 5)}
    for entry_id in written:
        provider.put(calendar.id, replace(COPY, id=entry_id), None)

    found = provider.changes(calendar.id, None)

    assert {each.id for each in found.entries} == written
    assert {each.told for each in found.entries} == {MONDAY}


def test_an_entry_that_somebody_made_repeat_cannot_be_read(
    provider: CalDav, elsewhere: _OtherApp, calendar: OutsideCalendar
) -> None:
    provider.put(calendar.id, COPY, None)
    repeating = write(COPY, at(1, 9)).replace(b"CLASS", b"RRULE:FREQ=DAILY\r\nCLASS")
    elsewhere.write(f"{calendar.id}{COPY.id}.ics", repeating)

    found = provider.get(calendar.id, COPY.id)

    assert found is not None
    assert (found.mark, found.told) == ("v0mark", None)


def test_an_entry_moved_by_an_app_with_its_own_time_zone_is_understood(
    provider: CalDav, elsewhere: _OtherApp, calendar: OutsideCalendar
) -> None:
    provider.put(calendar.id, COPY, None)
    moved = (
        write(COPY, at(1, 9))
        .replace(b"DTSTART:20261207T090000Z", b"DTSTART;TZID=Europe/Berlin:20261208T100000")
        .replace(b"DTEND:20261207T100000Z", b"DTEND;TZID=Europe/Berlin:20261208T110000")
    )
    elsewhere.write(f"{calendar.id}{COPY.id}.ics", moved)

    found = provider.get(calendar.id, COPY.id)

    assert found is not None
    assert found.told == TUESDAY


@pytest.mark.bar("I7")
def test_what_others_wrote_is_read_without_a_word_of_it(
    provider: CalDav, elsewhere: _OtherApp, calendar: OutsideCalendar
) -> None:
    event = Personal("Zahnarzt @ 10%", at(1, 9), at(1, 10))
    elsewhere.have(calendar.id, event)
    provider.put(calendar.id, COPY, None)

    found = provider.changes(calendar.id, None)

    assert sorted((each.id, each.mark, each.told) for each in found.entries) == [
        ("Zahnarzt @ 10%", "", None),
        (COPY.id, "v0mark", MONDAY),
    ]
    theirs = provider.get(calendar.id, event.id)
    assert theirs is not None
    provider.remove(calendar.id, event.id, theirs.etag)
    assert {each.id for each in provider.changes(calendar.id, None).entries} == {COPY.id}


@pytest.mark.bar("F2", "S5")
def test_no_alarm_no_attendee_and_nothing_public_is_written() -> None:
    lines = write(replace(COPY, told=replace(MONDAY, summary="J.S.")), at(1, 9)).decode()

    assert lines.split("\r\n") == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Sync Calendar//Sync 1//EN",
        "BEGIN:VEVENT",
        f"UID:{COPY.id}",
        "DTSTAMP:20261201T090000Z",
        "DTSTART:20261207T090000Z",
        "DTEND:20261207T100000Z",
        "SUMMARY:J.S.",
        "LOCATION:Room 2",
        "DESCRIPTION:Individual",
        "STATUS:CONFIRMED",
        "TRANSP:OPAQUE",
        "CLASS:PRIVATE",
        "X-SYNC-CALENDAR:v0mark",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]


def test_a_token_of_another_calendar_has_expired(
    provider: CalDav, calendar: OutsideCalendar
) -> None:
    provider.put(calendar.id, COPY, None)
    token = provider.changes(calendar.id, None).token
    another = provider.make_calendar("Another")

    with pytest.raises(Expired):
        provider.changes(another.id, token)


def test_a_write_into_a_deleted_calendar_tells_that_it_is_missing(
    provider: CalDav, elsewhere: _OtherApp, calendar: OutsideCalendar
) -> None:
    etag = provider.put(calendar.id, COPY, None)
    elsewhere.delete_calendar(calendar.id)

    for known in (None, etag):
        with pytest.raises((Missing, Stale)):
            provider.put(calendar.id, COPY, known)
    provider.remove(calendar.id, COPY.id, etag)
    assert provider.get(calendar.id, COPY.id) is None
    with pytest.raises(Missing):
        provider.busy(calendar.id, None, WINDOW)
