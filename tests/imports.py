"""The sample files of other programs, and what each of them says.

`data/imports` holds one oddity a file, `data/imports.txt` what a reader must
make of it, in the words of `told`.
"""

from datetime import date, datetime
from pathlib import Path

from sync_ui.domain.reading import Entry, Occurrence, Reading

ZONE = "America/New_York"
TODAY = date(2026, 6, 15)

FOLDER = Path(__file__).parent / "data" / "imports"
EXPECTED = FOLDER.with_suffix(".txt")


def samples(*suffixes: str) -> list[str]:
    """Names of the sample files; all of them, or those with one of the suffixes."""
    names = [path.name for path in FOLDER.iterdir() if not path.name.startswith(".")]
    return sorted(name for name in names if not suffixes or name.endswith(suffixes))


def sample(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def expectations() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in EXPECTED.read_text("utf-8").splitlines():
        if line.startswith("== "):
            lines = found.setdefault(line.removeprefix("== "), [])
        elif line and not line.startswith("#"):
            lines.append(line)
    return found


def told(reading: Reading) -> list[str]:
    """A reading in lines: its source, its entries, problems (!) and notes (*)."""
    return [
        f"from {reading.source}",
        *(_entry(entry) for entry in reading.entries),
        *(f"! {problem.line}: {problem.reason}" for problem in reading.problems),
        *(f"* {note}" for note in reading.notes),
    ]


def _entry(entry: Entry) -> str:
    parts = [
        f"{entry.line}: {_span(entry.starts, entry.ends)} {entry.zone} {_key(entry.key)}",
        f"“{entry.title}”" if entry.title else "",
        "with " + " & ".join(f"{first}|{last}" for first, last in entry.clients)
        if entry.clients
        else "",
        f"number {' '.join(entry.client_ids)}" if entry.client_ids else "",
        f"at {entry.location}" if entry.location else "",
        f"note {entry.note!r}" if entry.note else "",
        "" if entry.status.value == "scheduled" else entry.status.value,
        f"kind {entry.kind.value}" if entry.kind else "",
        "free" if entry.free else "",
        entry.rule,
        f"except {_list(entry.exceptions)}" if entry.exceptions else "",
        f"also {_list(entry.additions)}" if entry.additions else "",
        *(_occurrence(occurrence) for occurrence in entry.occurrences),
    ]
    return ", ".join(part for part in parts if part)


def _occurrence(found: Occurrence) -> str:
    if found.cancelled:
        return f"[{_when(found.original)} is cancelled]"
    now = f"{_span(found.starts, found.ends)} {found.zone} “{found.title}”"
    return f"[{_when(found.original)} is {now}]"


def _key(key: str) -> str:
    """Digests say nothing to a reader."""
    source, _, name = key.partition(":")
    is_digest = len(name) == 32 and set(name) <= set("0123456789abcdef")
    return f"{source}:…" if is_digest else key


def _span(starts: datetime | date, ends: datetime | date) -> str:
    same_day = isinstance(starts, datetime) and _when(starts)[:10] == _when(ends)[:10]
    return f"{_when(starts)}..{_when(ends)[11:] if same_day else _when(ends)}"


def _list(times: tuple[datetime | date, ...]) -> str:
    return " ".join(_when(each) for each in times)


def _when(value: datetime | date) -> str:
    return value.isoformat(timespec="minutes") if isinstance(value, datetime) else f"{value}"
