import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.csv_write import guarded, unguarded, write_table
from sync_ui.domain.reading import prose

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n1",
    " =1",
    "\u00a0=HYPERLINK(0)",
    "\u200b=1",
    "\ufeff@x",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    "'=1",
    "''  =1",
]
PLAIN = ["", "Jane", "'t Hooft", "O'Brien", "10:00", "a=b", "2026-12-01", "?=", "'", "''", "Zoë"]

cells = st.text(st.characters(exclude_categories=["Cs"])) | st.builds(
    "".join, st.tuples(st.text("' \t\u200b", max_size=3), st.sampled_from("=+-@＝a"), st.text())
)


def plainly_written(cell: str) -> str:
    """By the csv module alone."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow([cell, ""])
    return text.getvalue()


@pytest.mark.bar("I8")
@pytest.mark.parametrize("cell", FORMULAS[:7])
def test_a_formula_would_pass_through_a_plain_writer(cell: str) -> None:
    assert plainly_written(cell).removeprefix('"').startswith(cell)

    assert write_table(["Title"], [[cell]]).decode("utf-8-sig").splitlines()[1].strip('"')[0] == "'"


@pytest.mark.bar("I8")
@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_becomes_text(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", PLAIN)
def test_what_is_no_formula_stays_as_it_is(cell: str) -> None:
    assert guarded(cell) == cell == unguarded(cell)


@pytest.mark.bar("I8")
@given(cells)
def test_whatever_was_guarded_comes_back(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell


@pytest.mark.bar("I8")
@given(cells)
def test_an_importer_that_trims_reads_what_was_there(cell: str) -> None:
    assert unguarded(prose(guarded(prose(cell)))) == prose(cell)


@pytest.mark.bar("I8")
@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_every_table_is_read_again_by_another_reader(rows: list[tuple[str, str]]) -> None:
    data = write_table(["One", "Two"], rows)

    assert data.startswith(b"\xef\xbb\xbfOne,Two\r\n")
    found = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    assert found == [["One", "Two"], *([guarded(a), guarded(b)] for a, b in rows)]
