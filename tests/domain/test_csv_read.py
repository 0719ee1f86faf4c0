from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_ui.domain.csv_read import COLUMNS, read_csv
from sync_ui.domain.ics_read import read
from sync_ui.domain.reading import MAX_EVENTS, Entry, Reading
from sync_ui.errors import Invalid
from tests.imports import TODAY, ZONE, expectations, sample, samples, told


def only(*lines: str, zone: str = ZONE) -> Entry:
    (found,) = read_csv("\n".join(lines).encode(), zone, TODAY).entries
    return found


@pytest.mark.parametrize("name", samples(".csv"))
def test_a_sample_says_what_is_expected(name: str) -> None:
    try:
        found = told(read(sample(name), ZONE, TODAY))
    except Invalid as refused:
        found = [f"refused: {refused.sentence}"]

    assert found == expectations()[name]


def test_the_documented_examples_make_a_row() -> None:
    header = ",".join(column.name for column in COLUMNS)
    row = ",".join(f'"{column.example}"' for column in COLUMNS)

    found = only(header, row)

    assert found.starts == datetime(2026, 12, 31, 15, 30)
    assert found.ends == datetime(2026, 12, 31, 16, 20)
    assert found.clients == (("Jane", "Smith"),)
    assert found.client_ids == ("1042",)
    assert found.key == "csv:A-2041"


def test_no_two_columns_have_a_name_in_common() -> None:
    names = [name.casefold() for column in COLUMNS for name in (column.name, *column.synonyms)]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("synonym", "column"),
    [(synonym, column.name) for column in COLUMNS for synonym in column.synonyms],
)
@pytest.mark.parametrize("spelling", [str.upper, str.lower, lambda name: name.replace(" ", "_")])
def test_a_column_is_known_by_each_of_its_names(
    synonym: str, column: str, spelling: type[str]
) -> None:
    def row(name: str) -> list[str]:
        base = {"Start": "2026-07-06T10:00", "Title": "Team meeting"}
        examples = {each.name: each.example for each in COLUMNS}
        cells = {name: examples[column]} | {
            key: value for key, value in base.items() if key != column
        }
        return [",".join(cells), ",".join(f'"{cell}"' for cell in cells.values())]

    assert only(*row(spelling(synonym))) == only(*row(column))


def test_a_row_keeps_its_key_when_other_rows_come_before_it() -> None:
    header, row = "Client,Start,Minutes", "Jane Smith,2026-07-06 10:00,50"
    before = only(header, row)

    after = read_csv(f"{header}\nMark Smith,2026-07-05 10:00,50\n{row}".encode(), ZONE, TODAY)

    assert after.entries[1].key == before.key
    assert after.entries[1].line == 3


def test_a_row_with_an_id_keeps_its_key_when_it_is_moved() -> None:
    header = "ID,Client,Start,Minutes"

    before = only(header, "A-1,Jane Smith,2026-07-06 10:00,50")
    after = only(header, "A-1,Jane Smith,2026-07-07 11:00,50")

    assert before.key == after.key == "csv:A-1"


def test_a_moment_that_the_clocks_show_twice_stays_in_utc() -> None:
    first, second = (
        only("Title,Start,End", f"Night,2026-11-01T0{hour}:30:00Z,2026-11-01T0{hour}:50:00Z")
        for hour in (5, 6)
    )

    assert (first.starts, first.zone) == (datetime(2026, 11, 1, 1, 30), ZONE)
    assert (second.starts, second.zone) == (datetime(2026, 11, 1, 6, 30), "UTC")


def test_outside_america_the_day_comes_before_the_month() -> None:
    lines = ("Client,Date,Time,Minutes", "Jane Smith,03/07/2026,10:00,50")

    assert only(*lines, zone="Europe/Berlin").starts == datetime(2026, 7, 3, 10)
    assert only(*lines).starts == datetime(2026, 3, 7, 10)


@pytest.mark.bar("I4", "I8")
def test_as_many_rows_as_may_be_are_read_and_one_more_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """100,000 of them in the product; the rule is the same for a hundred."""
    assert MAX_EVENTS == 100_000
    monkeypatch.setattr("sync_ui.domain.csv_read.MAX_EVENTS", 100)
    midnight = datetime(2026, 7, 6)
    rows = [
        f"Jane Smith,{midnight + timedelta(seconds=n):%Y-%m-%d,%H:%M:%S},50" for n in range(100)
    ]
    table = "\n".join(["Client,Date,Time,Minutes", *rows])

    assert len(read_csv(table.encode(), ZONE, TODAY).entries) == 100
    with pytest.raises(Invalid) as refused:
        read_csv(f"{table}\nMark Smith,2026-07-06,10:00,50".encode(), ZONE, TODAY)
    assert refused.value.sentence == (
        "This file has more than 100,000 rows. Export a shorter span of time."
    )


@pytest.mark.bar("I8")
def test_a_row_may_name_fifty_clients_and_no_more() -> None:
    def row(number: int) -> Reading:
        names = ";".join(f"Client{n} Smith" for n in range(number))
        return read_csv(f"Client,Start\n{names},2026-07-06 10:00".encode(), ZONE, TODAY)

    assert len(row(50).entries[0].clients) == 50
    assert [problem.reason for problem in row(51).problems] == [
        "It names more than 50 clients. Split the row."
    ]


@pytest.mark.bar("O3")
def test_a_refusal_never_quotes_a_row_that_stands_where_the_header_should() -> None:
    with pytest.raises(Invalid) as refused:
        read_csv(b"Jane Smith,Date,10:00\nMark Smith,2026-07-06,11:00", ZONE, TODAY)

    assert refused.value.sentence == (
        "A column Client, First Name and Last Name, Client ID or Title is needed."
        " Found: Start Date."
    )


CELLS = [
    "Client", "Start Date", "Start", "Time", "End", "Minutes", "All Day", "Status", "Jane Smith",
    '"Smith, Jane"', "2026-07-06", "7/6/2026", "10:00", "3pm", "50", "-1", "cancelled", '"', '""',
    '"a\nb"', "\x85", "é", "2026-07-06T10:00Z", "9999-12-31", "True", "", " ", "=1+1",
]  # fmt: skip


@pytest.mark.bar("I8", "O10")
@settings(deadline=None, max_examples=300)
@given(
    rows=st.lists(st.lists(st.sampled_from(CELLS), max_size=6), max_size=6),
    separator=st.sampled_from(",;\t"),
    end=st.sampled_from(["\r\n", "\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "cp1252"]),
)
def test_any_cells_are_read_or_refused(
    rows: list[list[str]], separator: str, end: str, encoding: str
) -> None:
    header = separator.join(["Client", "Start Date", "Time", "Minutes"])
    for lines in (rows, [[header], *rows]):
        table = end.join(separator.join(row) for row in lines)
        try:
            found = read_csv(table.encode(encoding, errors="replace"), ZONE, TODAY)
        except Invalid:
            continue
        assert all(entry.starts < entry.ends for entry in found.entries)


@pytest.mark.bar("I8", "O10")
@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = read_csv(b"Client,Start Date,Time\n" + data, ZONE, TODAY)
    except Invalid:
        return
    assert isinstance(found, Reading)
