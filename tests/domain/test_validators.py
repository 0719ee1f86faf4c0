from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_ui.domain.validators import etag, last_modified, next_change, not_modified

CHANGED = datetime(2026, 11, 3, 9, 30, 5, tzinfo=UTC)
NOW = datetime(2026, 11, 3, 9, 31, 0, 500_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TAG = '"abc"'
MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
)


def is_not_modified(
    *,
    none_match: str | None = None,
    since: str | None = None,
    changed: datetime = CHANGED,
    now: datetime = NOW,
) -> bool:
    return not_modified(
        etag=TAG,
        last_modified=changed,
        if_none_match=none_match,
        if_modified_since=since,
        now=now,
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def http(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def test_a_tag_is_strong_quoted_and_the_same_for_the_same_parts() -> None:
    tag = etag(1, 17, "initials", "2026-11-03")

    assert tag == etag(1, 17, "initials", "2026-11-03")
    assert tag[0] == tag[-1] == '"'
    assert len(tag) == 34


@pytest.mark.parametrize(
    "parts", [(1, 18, "x"), (11, 7, "x"), (1, 17), (1, "17x"), (1, 17, "x", ""), ("1:1", "7x")]
)
def test_any_other_part_makes_another_tag(parts: tuple[object, ...]) -> None:
    assert etag(*parts) != etag(1, 17, "x")


@pytest.mark.bar("F6")
@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_parts_never_run_into_each_other(one: list[str], other: list[str]) -> None:
    assert (etag(*one) == etag(*other)) == (one == other)


@pytest.mark.bar("F6")
@pytest.mark.parametrize(
    ("changed", "now", "zone", "expected"),
    [
        ("2026-11-03T09:30", "2026-11-03T12:00", "UTC", "2026-11-03T09:30"),
        ("2026-11-03T09:30", "2026-11-05T12:00", "UTC", "2026-11-05T00:00"),
        ("2026-11-03T09:30", "2026-11-05T04:59", "America/New_York", "2026-11-04T05:00"),
        ("2026-11-03T09:30", "2026-11-05T05:00", "America/New_York", "2026-11-05T05:00"),
        ("2026-11-03T09:30", "2026-11-05T12:00", "Asia/Kathmandu", "2026-11-04T18:15"),
        # The night in which clocks change, and the day after it.
        ("2026-11-01T03:30", "2026-11-01T12:00", "America/New_York", "2026-11-01T04:00"),
        ("2026-11-01T03:30", "2026-11-02T12:00", "America/New_York", "2026-11-02T05:00"),
        # 00:00 does not exist: the day begins at 01:00, the moment of the change.
        ("2026-01-01T00:00", "2026-09-06T12:00", "America/Santiago", "2026-09-06T04:00"),
        # 00:00 comes twice: the day begins with the first.
        ("2026-01-01T00:00", "2026-11-01T12:00", "America/Havana", "2026-11-01T04:00"),
        # The clock was set back after the change.
        ("2026-11-03T09:30", "2026-11-01T12:00", "UTC", "2026-11-03T09:30"),
    ],
)
def test_the_body_changes_with_a_change_and_with_each_local_midnight(
    changed: str, now: str, zone: str, expected: str
) -> None:
    assert last_modified(utc(changed), utc(now), zone) == utc(expected)


def test_last_modified_has_whole_seconds_in_utc() -> None:
    berlin = datetime(2026, 11, 3, 10, 30, 5, 999_999, tzinfo=timezone(timedelta(hours=1)))

    found = last_modified(berlin, NOW, "UTC")

    assert found == CHANGED
    assert found.tzinfo is UTC


def test_a_change_is_noted_at_its_second() -> None:
    assert next_change(NOW, CHANGED) == datetime(2026, 11, 3, 9, 31, tzinfo=UTC)


@pytest.mark.bar("F6")
def test_two_changes_in_one_second_are_told_apart() -> None:
    first = next_change(NOW, CHANGED)

    assert next_change(NOW, first) == first + SECOND
    assert next_change(NOW, first + SECOND) == first + 2 * SECOND


@pytest.mark.bar("F6", "D7")
def test_a_clock_that_was_set_back_does_not_make_a_change_look_older() -> None:
    assert next_change(NOW - timedelta(days=1), CHANGED) == CHANGED + SECOND


def test_a_change_in_the_first_second_of_a_day_is_told_from_the_day_itself() -> None:
    midnight = datetime(2026, 11, 3, tzinfo=UTC)
    just_after = midnight + timedelta(milliseconds=300)

    before = last_modified(CHANGED - timedelta(days=1), just_after, "UTC")
    after = last_modified(next_change(just_after, CHANGED - timedelta(days=1)), just_after, "UTC")

    assert (before, after) == (midnight, midnight + SECOND)


@given(now=MOMENTS, previous=MOMENTS)
def test_a_change_is_always_later_than_the_one_before(now: datetime, previous: datetime) -> None:
    noted = next_change(now, previous)

    assert noted > previous.replace(microsecond=0)
    assert noted >= now.replace(microsecond=0)
    assert noted.microsecond == 0


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ('"x",W/"abc" , "y"', True),
        (' , "abc",, ', True),
        ('"x,", "abc"', True),
        ("*", True),
        (" * ", True),
        ('"abd"', False),
        ('"x, "abc"', False),
        ("abc", False),
        ('"abc', False),
        ('w/"abc"', False),
        ('"ABC"', False),
        ('"abc" "x"', False),
        ('*, "abc"', False),
        ("", False),
        (",", False),
        ('"abc"\x00', False),
    ],
)
def test_if_none_match_is_read_as_the_standard_says(header: str, expected: bool) -> None:
    assert is_not_modified(none_match=header) is expected


def test_a_weak_tag_of_ours_is_compared_weakly_too() -> None:
    assert not_modified(
        etag='W/"abc"',
        last_modified=CHANGED,
        if_none_match='"abc"',
        if_modified_since=None,
        now=NOW,
    )


def test_a_long_malformed_list_of_tags_is_refused_at_once() -> None:
    assert not is_not_modified(none_match='"a"' + " , \t" * 20_000 + "x")


def test_the_date_does_not_count_beside_a_tag() -> None:
    assert is_not_modified(since=http(CHANGED))
    assert not is_not_modified(none_match='"old"', since=http(CHANGED))
    assert not is_not_modified(none_match="broken", since=http(CHANGED))
    assert is_not_modified(none_match=TAG, since=http(CHANGED - SECOND))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Tue, 03 Nov 2026 09:30:05 GMT", True),
        ("Tuesday, 03-Nov-26 09:30:05 GMT", True),
        ("Tue Nov  3 09:30:05 2026", True),
        ("Tue, 03 Nov 2026 09:30:04 GMT", False),
        ("Tue, 03 Nov 2026 09:30:06 GMT", False),
        ("Wed, 03 Nov 2027 09:30:05 GMT", False),
        ("Tue, 03 Nov 2026 09:30:05 +0100", False),
        ("2026-11-03T09:30:05Z", False),
        ("Tue, 33 Nov 2026 09:30:05 GMT", False),
        ("Tue, 03 Nov 99999999999 09:30:05 GMT", False),
        ("Tue, 03 Nov 2026 09:30:05 +999999999", False),
        ("yesterday", False),
        ("", False),
    ],
)
def test_only_the_very_date_given_out_means_unchanged(header: str, expected: bool) -> None:
    assert is_not_modified(since=header) is expected


def test_without_a_header_everything_is_sent() -> None:
    assert not is_not_modified()


def test_a_date_in_the_future_may_be_given_out_again_and_proves_nothing() -> None:
    assert is_not_modified(since=http(CHANGED), now=CHANGED)
    assert not is_not_modified(since=http(CHANGED), now=CHANGED - SECOND)


def test_fractions_of_a_second_do_not_hide_that_nothing_changed() -> None:
    fraction = CHANGED + timedelta(milliseconds=700)

    assert is_not_modified(since=http(CHANGED), changed=fraction)


@pytest.mark.bar("F6")
@settings(deadline=None)
@given(none_match=st.none() | st.text(st.characters()), since=st.none() | st.text(st.characters()))
def test_no_nonsense_is_ever_taken_for_unchanged(none_match: str | None, since: str | None) -> None:
    expected = none_match is not None and none_match.strip() in {"*", TAG}

    assert is_not_modified(none_match=none_match, since=since) is expected


STEPS = st.lists(
    st.tuples(st.sampled_from(["change", "fetch"]), st.integers(0, 2_000) | st.integers(0, 10**8))
)


@pytest.mark.bar("F6")
@settings(deadline=None)
@given(start=MOMENTS, steps=STEPS)
def test_a_304_by_date_never_hides_a_change(start: datetime, steps: list[tuple[str, int]]) -> None:
    """SECURITY F6."""
    now, noted, version = start, start - SECOND, 0
    held = ("", (version, now.date()))
    for what, milliseconds in steps:
        now += timedelta(milliseconds=milliseconds)
        if what == "change":
            noted, version = next_change(now, noted), version + 1
            continue
        modified = last_modified(noted, now, "UTC")
        body = (version, now.date())
        if is_not_modified(since=held[0], changed=modified, now=now):
            assert body == held[1]
        held = (http(modified), body)


@pytest.mark.bar("F6", "D7")
def test_a_304_by_date_hides_no_change_made_after_the_clock_was_set_back() -> None:
    given_out = http(last_modified(CHANGED, NOW, "UTC"))
    an_hour_ago = NOW - timedelta(hours=1)
    noted = next_change(an_hour_ago, CHANGED)

    for now in (an_hour_ago, NOW):
        modified = last_modified(noted, now, "UTC")
        assert not is_not_modified(since=given_out, changed=modified, now=now)
