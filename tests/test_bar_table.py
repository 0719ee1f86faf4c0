"""Each row of the security bar has a test or says why it has none."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.bar import OPEN, PARTS, ROWS, STARRED

TESTS = Path(__file__).parent

pytest_plugins = ["pytester"]


def marked(text: str) -> list[object]:
    """The arguments of every mark `bar(...)` in a module, wherever it stands."""
    return [
        argument.value if isinstance(argument, ast.Constant) else ast.dump(argument)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "bar"
        for argument in node.args
    ]


PROOFS = """
import pytest

@pytest.mark.bar("L1")
@pytest.mark.parametrize("n", [1, 2])
def test_passes(n): pass

@pytest.mark.bar("L2", "F1")
def test_fails(): assert False

@pytest.mark.bar("L3")
def test_skips(): pytest.skip("no browser")

def test_proves_no_row(): assert False
"""


@pytest.fixture(scope="module")
def found() -> set[object]:
    return {row for file in TESTS.rglob("*.py") for row in marked(file.read_text("utf-8"))}


def test_the_bar_has_93_rows_of_which_20_matter_most() -> None:
    counted = Counter(row.rstrip("0123456789") for row in ROWS)

    assert counted == dict(zip(PARTS, (15, 9, 10, 6, 5, 10, 7, 6, 9, 6, 10), strict=True))
    assert (len(ROWS), len(STARRED), len(STARRED & set(ROWS))) == (93, 20, 20)


def test_every_row_has_a_test_or_says_why_not(found: set[object]) -> None:
    assert [row for row in ROWS if row not in found and row not in OPEN] == []


def test_every_reason_belongs_to_a_row_and_is_a_sentence() -> None:
    assert [row for row in OPEN if row not in ROWS] == []
    assert [row for row, why in OPEN.items() if not why.strip().endswith(".")] == []


def test_no_test_claims_a_row_that_does_not_exist(found: set[object]) -> None:
    assert found - set(ROWS) == set()


def test_a_claim_is_found_wherever_it_stands() -> None:
    text = """
import pytest
pytestmark = pytest.mark.bar("L1")
@pytest.mark.bar("F1", "F2")
def test_a(): ...
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.bar("Z9"))])
def test_b(x): ...
"""

    assert marked(text) == ["L1", "F1", "F2", "Z9"]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_table_tells_what_came_of_each_row(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS.parent))
    pytester.makeini("[pytest]\nmarkers = bar(*ids): rows")
    pytester.makepyfile(PROOFS)

    result = pytester.runpytest_subprocess(
        "-p", "tests.bar_table", "--bar-table", "bar.md", "-n", processes
    )

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    lines = (pytester.path / "bar.md").read_text("utf-8").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    found = {cell[0]: (cell[-2], cell[-1]) for cell in cells}
    assert {row: found[row] for row in ("L1", "L2", "L3", "F1", "F2")} == {
        "L1": ("2", "pass"),
        "L2": ("1", "FAIL (1)"),
        "L3": ("1", "skipped"),
        "F1": ("1", "FAIL (1)"),
        "F2": ("0", "-"),
    }
