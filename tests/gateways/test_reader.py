import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sync_ui.domain.ics_read import read
from sync_ui.errors import Invalid, Unavailable
from sync_ui.gateways import reader
from sync_ui.gateways.reader import read_in_child
from tests.imports import TODAY, ZONE, sample

PAST_LIMITS = (
    "This file could not be read within the limits of time and memory."
    " Export a shorter span of time, or fewer calendars at once."
)

# Every occurrence of every series has to be counted from the year 1900 on.
LABORIOUS = (
    b"BEGIN:VCALENDAR\r\n"
    + b"".join(
        b"BEGIN:VEVENT\r\nUID:%d\r\nDTSTART:19000101T100000\r\n"
        b"RRULE:FREQ=DAILY;COUNT=10000\r\nEND:VEVENT\r\n" % number
        for number in range(3000)
    )
    + b"END:VCALENDAR\r\n"
)


def refusal(data: bytes, **limits: int) -> str:
    with pytest.raises(Invalid) as refused:
        read_in_child(data, ZONE, TODAY, **limits)  # type: ignore[arg-type]
    return refused.value.sentence


@pytest.mark.parametrize(
    "name",
    [
        "google-calendar.ics",
        "additional-dates.ics",
        "all-day-events.ics",
        "bombs.ics",
        "escapes-and-unicode.ics",
        "outlook-365-windows-time-zone.ics",
        "override-told-in-utc.ics",
        "couples-and-groups.csv",
        "practice-system.csv",
        "wrong-rows.csv",
    ],
)
def test_a_child_reads_what_this_process_would(name: str) -> None:
    assert read_in_child(sample(name), ZONE, TODAY) == read(sample(name), ZONE, TODAY)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("empty.ics", "This file is empty. Export the calendar again."),
        ("excel-workbook.xlsx", None),
        ("html-login-page.ics", None),
        ("truncated-in-an-event.ics", None),
        ("too-many-occurrences.ics", None),
    ],
)
def test_a_refusal_comes_through_with_its_sentence(name: str, sentence: str | None) -> None:
    with pytest.raises(Invalid) as here:
        read(sample(name), ZONE, TODAY)

    assert refusal(sample(name)) == here.value.sentence == (sentence or here.value.sentence)


@pytest.mark.bar("I4", "I9")
def test_a_file_that_is_too_large_starts_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")

    assert refusal(b"x" * (32 * 1024 * 1024 + 1)) == (
        "This file is larger than 32 MB. Export a shorter span of time."
    )


@pytest.mark.bar("I4")
@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_child_that_takes_too_much_processor_time_is_ended_and_this_process_goes_on() -> None:
    assert refusal(LABORIOUS, cpu_seconds=1) == PAST_LIMITS
    assert read_in_child(sample("google-calendar.ics"), ZONE, TODAY).entries


@pytest.mark.bar("I4")
@pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited on Linux")
def test_a_child_that_takes_too_much_memory_is_ended_and_this_process_goes_on() -> None:
    lines = b"BEGIN:VCALENDAR\n" + b"X-A:\n" * 500_000 + b"END:VCALENDAR\n"

    assert read_in_child(lines, ZONE, TODAY).entries == ()
    assert refusal(lines, memory_mb=100) == PAST_LIMITS
    assert read_in_child(sample("google-calendar.ics"), ZONE, TODAY).entries


Interpreter = Callable[[str], None]


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    """A script that runs in the child's place."""

    def install(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\n{script}")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))

    return install


@pytest.mark.bar("I4")
def test_a_child_that_hangs_is_killed(interpreter: Interpreter, tmp_path: Path) -> None:
    interpreter(
        "import os, time\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)"
    )

    assert refusal(b"x", cpu_seconds=1) == PAST_LIMITS
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.bar("I4")
@pytest.mark.parametrize(
    "script",
    [
        "raise SystemExit(1)",
        "import os; os.abort()",
        "raise ValueError('Jane Smith')",
        "print('half an answ')",
        "print('')",
        "print('[]')",
        "print('{\"entries\": 1}')",
        'print(\'{"entries": [{"key": 1}], "problems": [], "source": "", "notes": []}\')',
    ],
)
def test_a_child_that_dies_or_talks_nonsense_is_a_refusal_without_a_trace(
    interpreter: Interpreter, script: str, capfd: pytest.CaptureFixture[str]
) -> None:
    interpreter(script)

    assert refusal(b"x") == PAST_LIMITS
    assert capfd.readouterr() == ("", "")


def test_a_child_that_cannot_be_started_is_not_the_files_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(Unavailable):
        read_in_child(b"x", ZONE, TODAY)


@pytest.mark.bar("I4", "O6")
def test_a_child_knows_nothing_of_the_servers_environment(
    interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "secret")
    inherited = subprocess.run(
        [sys.executable, "-c", "import os; print(sorted(os.environ))"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert "SYNC_DATABASE_URL" in inherited.stdout

    interpreter("import json, os; print(json.dumps({'invalid': ' '.join(sorted(os.environ))}))")

    assert set(refusal(b"x").split()) <= {"LC_CTYPE", "LD_LIBRARY_PATH", "SYSTEMROOT"}


def test_a_child_loads_neither_the_web_framework_nor_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = (
        "import json; print(json.dumps({'invalid': ' '.join("
        "{name.partition('.')[0] for name in sys.modules})}))"
    )
    entered = "from sync_ui.gateways.reader import answer\n"
    monkeypatch.setattr(reader, "_CHILD", reader._CHILD.partition(entered)[0] + entered + loaded)

    modules = set(refusal(b"x").split())

    assert {"icalendar", "sync_ui"} <= modules
    assert modules.isdisjoint({"flask", "sqlalchemy", "sqlcipher3", "werkzeug", "huey"})


@pytest.mark.bar("I4")
def test_a_child_can_write_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = "from sync_ui.gateways.reader import answer\n"
    target = tmp_path / "written"
    writes = (
        f"from sync_ui.gateways.reader import _limit\n_limit(20, 768)\n"
        f"open({str(target)!r}, 'w').write('Jane Smith')\n"
    )
    monkeypatch.setattr(reader, "_CHILD", reader._CHILD.partition(entered)[0] + entered + writes)

    assert refusal(b"x") == PAST_LIMITS
    assert target.read_text() == ""
