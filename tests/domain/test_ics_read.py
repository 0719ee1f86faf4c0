from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_ui.domain.ics_read import read, read_ics
from sync_ui.domain.reading import MAX_BYTES, MAX_EVENTS, MAX_LINE, Reading
from sync_ui.domain.recurrence import expand
from sync_ui.errors import Invalid
from tests.imports import FOLDER, TODAY, ZONE, expectations, sample, samples, told

HEAD = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"
TAIL = b"END:VCALENDAR\r\n"


def event(number: int, *lines: bytes) -> bytes:
    start = b"DTSTART;TZID=America/New_York:20260706T100000"
    parts = (b"BEGIN:VEVENT", b"UID:%d" % number, start, *lines, b"END:VEVENT", b"")
    return b"\r\n".join(parts)


def calendar(*parts: bytes) -> bytes:
    return HEAD + b"".join(parts) + TAIL


def refusal(data: bytes) -> str:
    with pytest.raises(Invalid) as refused:
        read(data, ZONE, TODAY)
    return refused.value.sentence


def test_every_sample_has_an_expectation_and_the_reverse() -> None:
    assert set(samples()) == set(expectations())


def test_there_are_many_oddities() -> None:
    assert len(samples(".ics")) >= 60


@pytest.mark.parametrize("name", [name for name in samples() if not name.endswith(".csv")])
def test_a_sample_says_what_is_expected(name: str) -> None:
    try:
        found = told(read(sample(name), ZONE, TODAY))
    except Invalid as refused:
        found = [f"refused: {refused.sentence}"]

    assert found == expectations()[name]


@pytest.mark.parametrize("name", ["google-calendar.ics", "override-told-in-utc.ics"])
def test_the_order_of_events_does_not_matter(name: str) -> None:
    head, *events = sample(name).split(b"BEGIN:VEVENT\r\n")
    events[-1] = events[-1].removesuffix(TAIL)
    turned = b"BEGIN:VEVENT\r\n".join([head, *reversed(events)]) + TAIL

    before, after = (read_ics(each, ZONE, TODAY) for each in (sample(name), turned))

    assert before != after
    assert facts(after) == facts(before)


def facts(reading: Reading) -> dict[str, object]:
    """What a reading says, without lines and order."""
    return {
        entry.key: (
            entry.starts,
            entry.ends,
            entry.zone,
            entry.rule,
            entry.exceptions,
            {each.original: (each.starts, each.cancelled) for each in entry.occurrences},
        )
        for entry in reading.entries
    }


def test_a_file_read_twice_says_the_same() -> None:
    for name in ("google-calendar.ics", "no-version-no-uid-no-dtstamp.ics"):
        assert read(sample(name), ZONE, TODAY) == read(sample(name), ZONE, TODAY)


def test_the_occurrences_of_a_sample_come_at_the_wall_time_of_their_zone() -> None:
    series = read(sample("google-calendar.ics"), ZONE, TODAY).entries[0]

    found = expand(
        series.rule,
        series.starts,
        series.zone,
        date(2026, 3, 1),
        date(2026, 3, 20),
        series.exceptions,
    )

    assert found == [datetime(2026, 3, day, 10) for day in (3, 10, 17)]


@pytest.mark.bar("I4")
def test_as_many_events_as_may_be_are_read_and_one_more_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """100,000 of them in the product; the rule is the same for a hundred."""
    assert MAX_EVENTS == 100_000
    monkeypatch.setattr("sync_ui.domain.ics_read.MAX_EVENTS", 100)
    events = [event(number) for number in range(100)]

    assert len(read(calendar(*events), ZONE, TODAY).entries) == 100
    assert refusal(calendar(*events, event(100))) == (
        "This file has more than 100,000 events. Export a shorter span of time."
    )


@pytest.mark.bar("I4", "I9")
def test_thirty_two_megabytes_are_read_and_a_byte_more_is_refused() -> None:
    line = b"X-FILL:" + b"x" * 90_000 + b"\r\n"
    fill = line * ((MAX_BYTES - 1_000) // len(line))
    full = calendar(event(1), fill)
    full += b"\n" * (MAX_BYTES - len(full))

    assert len(read(full, ZONE, TODAY).entries) == 1
    assert refusal(full + b"\n") == "This file is larger than 32 MB. Export a shorter span of time."


@pytest.mark.bar("I4")
def test_a_line_of_100_kb_is_read_and_a_longer_one_is_refused_folded_or_not() -> None:
    name = b"DESCRIPTION:"
    longest = name + b"x" * (MAX_LINE - len(name))
    folded = b"\r\n ".join(longest[at : at + 70] for at in range(0, MAX_LINE, 70))

    assert len(read(calendar(event(1, longest)), ZONE, TODAY).entries) == 1
    assert refusal(calendar(event(1, longest + b"x"))) == (
        "Line 6 is longer than 100 kB, perhaps because of an attached file."
        " Export the calendar without attachments."
    )
    assert refusal(calendar(event(1, folded + b"x" * 100))).startswith("Line 6 is longer")


@pytest.mark.bar("I4")
def test_ten_components_may_be_within_each_other_and_eleven_may_not() -> None:
    def nested(depth: int) -> bytes:
        return b"BEGIN:X-BOX\r\n" * depth + b"END:X-BOX\r\n" * depth

    assert read(calendar(nested(9), event(1)), ZONE, TODAY).entries
    assert refusal(calendar(nested(10))) == (
        "Line 12 nests deeper than a calendar does. Export it again."
    )


@pytest.mark.bar("I4")
def test_a_thousand_additions_are_read_and_more_are_a_problem() -> None:
    def added(number: int) -> bytes:
        days = (date.fromordinal(date(2026, 7, 7).toordinal() + day) for day in range(number))
        dates = b",".join(f"{day:%Y%m%d}T100000".encode() for day in days)
        return calendar(event(1, b"RDATE;TZID=America/New_York:" + dates))

    assert len(read(added(1000), ZONE, TODAY).entries[0].additions) == 1000
    assert told(read(added(1001), ZONE, TODAY))[1:] == [
        "! 3: It lists more single dates than a series can hold. Split the series."
    ]


def test_a_calendar_inside_a_quoted_cell_does_not_hide_a_table() -> None:
    table = b'Client,Date,Time,Minutes,Notes\r\nJane Smith,2026-07-06,10:00,50,"BEGIN:"\r\n'

    assert read(table, ZONE, TODAY).source == "CSV"


WORDS = [
    b"BEGIN:VCALENDAR", b"END:VCALENDAR", b"BEGIN:VEVENT", b"END:VEVENT", b"BEGIN:VTIMEZONE",
    b"END:VTIMEZONE", b"BEGIN:STANDARD", b"END:STANDARD", b"TZID:Own", b"TZOFFSETFROM:+0100",
    b"TZOFFSETTO:-0530", b"DTSTART:16010101T000000", b"DTSTART;TZID=Own:20260706T100000",
    b"DTSTART;VALUE=DATE:20260706", b"DTSTART:20260706T100000Z", b"DTEND:20260706T110000Z",
    b"DTEND;TZID=America/New_York:20261101T013000", b"DURATION:PT50M", b"DURATION:-P1W",
    b"RRULE:FREQ=WEEKLY", b"RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU", b"RRULE:FREQ=SECONDLY",
    b"EXDATE:20260713T100000Z,20260720", b"RDATE;VALUE=PERIOD:20260714T100000Z/PT1H",
    b"RECURRENCE-ID:20260713T100000Z", b"RECURRENCE-ID;VALUE=DATE:20260713", b"UID:1", b"UID:2",
    b"SEQUENCE:1", b"SUMMARY:Jane", b" Smith", b"DESCRIPTION:<p>a</p>", b"STATUS:CANCELLED",
    b"X-WR-TIMEZONE:Europe/Berlin", b"METHOD:CANCEL", b"TRANSP:TRANSPARENT", b"BEGIN:VALARM",
    b"END:VALARM", b"X-LIC-LOCATION:Europe/Berlin", b'SUMMARY;X="', b"\xff\xfe", b"=", b"\0", b"",
]  # fmt: skip


def reading_or_refusal(data: bytes) -> None:
    try:
        found = read(data, ZONE, TODAY)
    except Invalid:
        return
    assert isinstance(found, Reading)


@pytest.mark.bar("I4", "O10")
@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    reading_or_refusal(data)


@pytest.mark.bar("I4", "O10")
@settings(deadline=None, max_examples=300)
@given(
    words=st.lists(st.sampled_from(WORDS), max_size=30),
    end=st.sampled_from([b"\r\n", b"\n", b"\r"]),
)
def test_any_order_of_lines_is_read_or_refused(words: list[bytes], end: bytes) -> None:
    reading_or_refusal(end.join(words))
    reading_or_refusal(calendar(b"BEGIN:VEVENT\r\n", end.join(words), end, b"END:VEVENT\r\n"))


@pytest.mark.bar("I4", "O10")
@settings(deadline=None, max_examples=200)
@given(
    name=st.sampled_from(samples()),
    at=st.integers(0, 3000),
    size=st.integers(0, 40),
    instead=st.binary(max_size=20),
)
def test_a_damaged_sample_is_read_or_refused(name: str, at: int, size: int, instead: bytes) -> None:
    data = sample(name)

    reading_or_refusal(data[:at] + instead + data[at + size :])


@pytest.mark.bar("I5", "F7")
@settings(deadline=None, max_examples=200)
@given(
    name=st.sampled_from([name for name in samples(".ics") if b"VEVENT" in sample(name)]),
    part=st.floats(0, 1),
)
def test_a_calendar_that_is_cut_off_is_never_read_in_part(name: str, part: float) -> None:
    data = (FOLDER / name).read_bytes().rstrip()
    if data.count(b"BEGIN:VCALENDAR") != 1 or b"\0" in data:
        return
    cut = data[: int(part * (len(data) - 1))]

    with pytest.raises(Invalid):
        read(cut, ZONE, TODAY)
