import re
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import icalendar
import pytest
from dateutil.rrule import rrulestr
from ical.calendar_stream import IcsCalendarStream

from sync_ui.domain.vtimezone import vtimezone

YEAR = 2026
ZONES = sorted(available_timezones() - {"localtime", "Factory"})
ODD_ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Santiago",
    "America/St_Johns",
    "America/Scoresbysund",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Chatham",
    "UTC",
]


def four_dates(year: int) -> list[datetime]:
    return [datetime(year, month, 15, 12, tzinfo=UTC) for month in (1, 4, 7, 10)]


def offset_by_law(zone: str, moment: datetime) -> timedelta | None:
    return moment.astimezone(ZoneInfo(zone)).utcoffset()


Onsets = list[tuple[datetime, timedelta]]


def offset_by_text(onsets: Onsets, moment: datetime) -> timedelta:
    """What RFC 5545, 3.6.5 makes of it: the latest onset before the moment decides."""
    return onsets[bisect_right(onsets, moment, key=lambda onset: onset[0]) - 1][1]


def read_onsets(text: str, year: int, years: int = 1) -> Onsets:
    """Every onset from the year before on, in order."""
    found = []
    for part in re.findall("BEGIN:(?:STANDARD|DAYLIGHT)\r\n(.*?)END:", text, re.DOTALL):
        lines = dict(line.split(":", 1) for line in part.split("\r\n") if line)
        first = datetime.strptime(lines["DTSTART"], "%Y%m%dT%H%M%S")
        before, after = (read_offset(lines[f"TZOFFSET{end}"]) for end in ("FROM", "TO"))
        starts = [first]
        if "RRULE" in lines:
            rule = rrulestr(lines["RRULE"], dtstart=first)
            starts = rule.between(datetime(year - 1, 1, 1), datetime(year + years, 1, 1))
        found += [((start - before).replace(tzinfo=UTC), after) for start in starts]
    return sorted(found)


def read_offset(text: str) -> timedelta:
    sign = -1 if text[0] == "-" else 1
    return sign * timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))


@pytest.mark.bar("F8")
@pytest.mark.parametrize("year", [2024, 2026, 2027, 2030])
def test_every_zone_is_right_on_four_dates_of_its_year(year: int) -> None:
    onsets = {zone: read_onsets(vtimezone(zone, year), year) for zone in ZONES}
    dates = [(zone, moment) for zone in ZONES for moment in four_dates(year)]

    assert [offset_by_text(onsets[zone], moment) for zone, moment in dates] == [
        offset_by_law(zone, moment) for zone, moment in dates
    ]


@pytest.mark.bar("F8")
@pytest.mark.parametrize("zone", [*ODD_ZONES, "America/New_York", "Europe/Berlin"])
def test_a_zone_is_right_at_every_hour_of_its_year(zone: str) -> None:
    onsets = read_onsets(vtimezone(zone, YEAR), YEAR)
    hours = [datetime(YEAR, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(365 * 24)]

    assert [
        hour for hour in hours if offset_by_text(onsets, hour) != offset_by_law(zone, hour)
    ] == []


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "America/Santiago"])
def test_a_regular_law_is_right_in_the_years_to_come(zone: str) -> None:
    onsets = read_onsets(vtimezone(zone, YEAR), YEAR, years=11)
    days = [datetime(YEAR, 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(10 * 365)]

    assert [day for day in days if offset_by_text(onsets, day) != offset_by_law(zone, day)] == []


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_odd_zones_are_read_by_icalendar(zone: str) -> None:
    part = icalendar.Timezone.from_ical(vtimezone(zone, YEAR))
    assert isinstance(part, icalendar.Timezone)
    tz = part.to_tz(lookup_tzid=False)
    moments = [moment.replace(tzinfo=None) for moment in four_dates(YEAR)]

    assert [tz.utcoffset(moment) for moment in moments] == [
        ZoneInfo(zone).utcoffset(moment) for moment in moments
    ]


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_odd_zones_are_read_by_ical(zone: str) -> None:
    body = f"BEGIN:VCALENDAR\r\n{vtimezone(zone, YEAR)}END:VCALENDAR\r\n"

    assert [tz.tz_id for tz in IcsCalendarStream.calendar_from_ics(body).timezones] == [zone]


def test_outlook_finds_one_standard_and_one_daylight_at_most() -> None:
    counts = {
        (text.count("BEGIN:STANDARD"), text.count("BEGIN:DAYLIGHT"))
        for text in (vtimezone(zone, YEAR) for zone in ZONES)
    }

    assert counts == {(1, 0), (1, 1)}


def test_irish_winter_time_is_the_standard_though_the_law_says_otherwise() -> None:
    text = vtimezone("Europe/Dublin", YEAR)

    assert re.findall("BEGIN:(STANDARD|DAYLIGHT).*?TZNAME:(\\w+)", text, re.DOTALL) == [
        ("DAYLIGHT", "IST"),
        ("STANDARD", "GMT"),
    ]


def test_clocks_that_changed_for_good_follow_no_yearly_rule() -> None:
    assert vtimezone("Asia/Almaty", 2024) == (
        "BEGIN:VTIMEZONE\r\n"
        "TZID:Asia/Almaty\r\n"
        "BEGIN:STANDARD\r\n"
        "DTSTART:19720101T000000\r\n"
        "TZOFFSETFROM:+0600\r\n"
        "TZOFFSETTO:+0600\r\n"
        "TZNAME:+06\r\n"
        "END:STANDARD\r\n"
        "BEGIN:STANDARD\r\n"
        "DTSTART:20240301T000000\r\n"
        "TZOFFSETFROM:+0600\r\n"
        "TZOFFSETTO:+0500\r\n"
        "TZNAME:+05\r\n"
        "END:STANDARD\r\n"
        "END:VTIMEZONE\r\n"
    )


@pytest.mark.parametrize("zone", ["", "Nowhere/Land", "../etc/passwd", "UTC\r\nX-LINE:1"])
def test_an_unknown_zone_is_an_error(zone: str) -> None:
    with pytest.raises((ValueError, ZoneInfoNotFoundError)):
        vtimezone(zone, YEAR)
