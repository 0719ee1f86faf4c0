"""Runs the tests that are marked with rows of the bar, and prints what came of each row.

A plugin for `make bar` alone: pytest -p tests.bar_table [--bar-table FILE]. The rows travel in
the reports, since with several processes the one that prints has collected nothing itself.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.bar import PARTS, ROWS

PROPERTY = "bar"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bar-table", metavar="FILE", help="writes the table as Markdown too")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only what proves a row is left; each item knows which."""
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        rows = sorted({str(row) for mark in item.iter_markers("bar") for row in mark.args})
        item.user_properties.append((PROPERTY, rows))
        (kept if rows else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Table(config.getoption("--bar-table")))


class Table:
    """What came of each test, gathered where the results are printed."""

    def __init__(self, file: str | None) -> None:
        self._file = file
        self._rows: dict[str, list[str]] = {}
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = dict(report.user_properties).get(PROPERTY)
        self._rows[report.nodeid] = told if isinstance(told, list) else []
        worst = {"passed": 0, "skipped": 1, "failed": 2}
        known = self._outcomes.get(report.nodeid, "passed")
        self._outcomes[report.nodeid] = max(known, report.outcome, key=worst.__getitem__)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        table, gaps = self.lines(), self.gaps()
        terminalreporter.section("the security bar")
        for line in table:
            terminalreporter.write_line("  ".join(line))
        terminalreporter.section("not covered")
        for row, why in gaps:
            terminalreporter.write_line(f"{row:4} {why}")
        if self._file:
            Path(self._file).write_text(markdown(table, gaps), encoding="utf-8")

    def counted(self, row: str) -> Counter[str]:
        return Counter(self._outcomes[test] for test, rows in self._rows.items() if row in rows)

    def lines(self) -> list[tuple[str, str, str, str, str]]:
        """Id, star, behaviour, how many tests, what came of them; one line for each row."""
        wide = max(len(row.behaviour) for row in ROWS.values())
        return [
            (
                f"{row.id:3}",
                "★" if row.starred else " ",
                row.behaviour.ljust(wide),
                f"{self.counted(row.id).total():4}",
                state(self.counted(row.id)),
            )
            for row in ROWS.values()
        ]

    def gaps(self) -> list[tuple[str, str]]:
        return [
            (row.id, row.open or "No test ran.")
            for row in ROWS.values()
            if row.open or not self.counted(row.id)
        ]


def state(counted: Counter[str]) -> str:
    """One word for a row; what failed or was skipped with its number."""
    if counted["failed"]:
        return f"FAIL ({counted['failed']})"
    if not counted["passed"]:
        return "skipped" if counted["skipped"] else "-"
    return f"pass (skipped {counted['skipped']})" if counted["skipped"] else "pass"


def markdown(table: list[tuple[str, str, str, str, str]], gaps: list[tuple[str, str]]) -> str:
    written = ["# The security bar", ""]
    for letter, title in PARTS.items():
        written += [f"## {letter}. {title}", "", "| row | ★ | what holds | tests | result |"]
        written.append("|---|---|---|---|---|")
        cells = [[cell.strip() for cell in line] for line in table]
        written += [f"| {' | '.join(line)} |" for line in cells if line[0][0] == letter]
        written.append("")
    written += ["## Not covered", "", *(f"- {row}: {why}" for row, why in gaps), ""]
    return "\n".join(written)
