"""Tables as spreadsheets open them: RFC 4180 in UTF-8, and no cell that computes.

A cell that begins with = + - or @ is a formula to a spreadsheet, and can fetch,
run or reveal (OWASP, CSV Injection). An apostrophe before it makes it text;
`unguarded` takes it away again when a table of ours comes back.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

# Without it Excel takes UTF-8 for the code page of the machine.
_BYTE_ORDER_MARK = "\ufeff"

# Also behind blanks and what cannot be seen, and in the full width of East Asian keyboards.
_BLANK = r"[\s\x00-\x1f\x7f\xa0\u200b-\u200f\u2060\ufeff]*"
_FORMULA = re.compile(rf"'*(?:[\t\r\n]|{_BLANK}[=+\-@\uff1d\uff0b\uff0d\uff20])")
_GUARDED = re.compile(rf"'{_FORMULA.pattern}")


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """The whole file; every cell stays text."""
    return _BYTE_ORDER_MARK.encode() + _written([columns]) + write_rows(rows)


def write_rows(rows: Iterable[Sequence[str]]) -> bytes:
    """What follows in a table that is written bit by bit; every cell stays text."""
    return _written([guarded(cell) for cell in row] for row in rows)


def _written(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def guarded(cell: str) -> str:
    """The cell with an apostrophe before it if a spreadsheet would compute it.

    Also if it is such a cell with apostrophes already, so that `unguarded`
    gives back exactly what was there.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """The text of a cell that `guarded` wrote, here or in another program."""
    return cell[1:] if _GUARDED.match(cell) else cell
