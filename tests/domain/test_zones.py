from datetime import date, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.zones import Observance, behaving, named

TODAY = date(2026, 6, 15)


def test_every_iana_name_means_itself() -> None:
    names = available_timezones() - {"Factory"}
    utc = {name for name in names if named(name) == "UTC"}

    assert {name for name in names - utc if named(name) != name} == set()
    assert utc == {"UTC", "GMT", "Zulu", "Etc/UTC", "Etc/GMT", "Etc/Zulu"}


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("america/new_york", "America/New_York"),
        ("America/New York", "America/New_York"),
        ('"Europe/Berlin"', "Europe/Berlin"),
        ("Eastern Standard Time", "America/New_York"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
        ("(GMT-08.00) Pacific Time (US & Canada)", "America/Los_Angeles"),
        ("Pacific Time (US & Canada)", "America/Los_Angeles"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Berlin"),
        ("/freeassociation.sourceforge.net/America/New_York", "America/New_York"),
        ("/freeassociation.sourceforge.net/Tzfile/America/Indiana/Knox", "America/Indiana/Knox"),
        ("/mozilla.org/20050126_1/Europe/Berlin", "Europe/Berlin"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("Coordinated Universal Time", "UTC"),
        ("GMT+0100", "Etc/GMT-1"),
        ("UTC-05:00", "Etc/GMT+5"),
        ("+00:00", "UTC"),
        ("GMT+0530", "Asia/Calcutta"),
        ("GMT+0123", None),
        ("utc+99", None),
        ("Customized Time Zone", None),
        ("../../etc/passwd", None),
        ("Factory", None),
        ("", None),
    ],
)
def test_what_programs_call_a_zone(name: str, zone: str | None) -> None:
    assert named(name) == zone


@given(st.text())
def test_any_name_is_a_zone_or_none(name: str) -> None:
    assert named(name) is None or named(name) in available_timezones()


def us_rules(standard: int, march: str = "2SU", november: str = "1SU") -> list[Observance]:
    winter, summer = timedelta(hours=standard), timedelta(hours=standard + 1)
    begins = datetime(1601, 1, 1, 2)
    return [
        Observance(begins, winter, summer, f"FREQ=YEARLY;BYMONTH=3;BYDAY={march}"),
        Observance(begins, summer, winter, f"FREQ=YEARLY;BYMONTH=11;BYDAY={november}"),
    ]


def test_a_zone_is_known_by_its_clocks() -> None:
    assert behaving(us_rules(-6), ["Europe/Berlin"], TODAY) == "America/Chicago"


def test_of_zones_with_the_same_clocks_the_preferred_one_is_taken() -> None:
    assert behaving(us_rules(-5), ["America/Toronto"], TODAY) == "America/Toronto"


def test_a_zone_without_summer_time_is_known_by_its_offset() -> None:
    since = [Observance(datetime(1970, 1, 1), timedelta(hours=-5), timedelta(hours=-7))]

    assert behaving(since, ["America/New_York", "America/Phoenix"], TODAY) == "America/Phoenix"


def test_outdated_rules_are_the_practices_zone_if_winter_and_summer_agree() -> None:
    outdated = us_rules(-5, march="-1SU", november="-1SU")

    assert behaving(outdated, ["America/New_York"], TODAY) == "America/New_York"
    assert behaving(outdated, ["America/Chicago"], TODAY) is None


def test_the_law_that_ended_long_ago_does_not_matter() -> None:
    before = [
        Observance(
            datetime(1990, 3, 25, 2),
            timedelta(hours=1),
            timedelta(hours=2),
            "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;UNTIL=19990101T000000",
        ),
        Observance(datetime(2000, 1, 1), timedelta(hours=1), timedelta(hours=1)),
    ]

    assert behaving(before, ["Africa/Algiers"], TODAY) == "Africa/Algiers"
