"""The audit's head, a file: never lowered, never half written, never made out of nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from sync_ui.config import ROOT
from sync_ui.models.head import START, Head, Newest

WRITERS = """
import sys
from pathlib import Path
from threading import Thread
from sync_ui.models.head import Head, Newest

def raise_it(first):
    for number in range(first, 200, 8):
        Head(Path(sys.argv[1])).raise_to(Newest(number, f"{number:064}"))

threads = [Thread(target=raise_it, args=(int(sys.argv[2]) + step,)) for step in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""

DIGEST = "7" * 64

DAMAGED = [
    *("", "7", "seven 7777", "7 8 9", "\x00\xff", "0 x", "-7 x", f"7 {DIGEST}7"),
    *(f"7 {DIGEST[1:]}", f"0 {DIGEST}", f"-7 {DIGEST}", f"+7 {DIGEST}", f"07 {DIGEST}"),
    *(f"\N{ARABIC-INDIC DIGIT SEVEN} {DIGEST}", f"-7 {START.digest}"),
    *(f"7 {'g' * 64}", f"7 {DIGEST}\n8 {DIGEST}\n", f"{'7' * 5000} {DIGEST}"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "audit.head"
    Head(path).create()
    return path


@pytest.mark.bar("O2")
def test_it_begins_before_the_first_entry_and_is_its_owners_alone(path: Path) -> None:
    assert Head(path).read() == START
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.bar("O2")
def test_it_is_raised_and_never_lowered(path: Path) -> None:
    Head(path).raise_to(Newest(7, "7" * 64))
    Head(path).raise_to(Newest(5, "5" * 64))
    Head(path).create()

    assert Head(path).read() == (7, "7" * 64)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.bar("O2")
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_or_missing_one_is_not_made_anew(path: Path, damage: str) -> None:
    path.write_text(damage)
    Head(path).raise_to(Newest(7, "7" * 64))
    assert (Head(path).read(), path.read_text()) == (None, damage)

    path.unlink()
    Head(path).raise_to(Newest(7, "7" * 64))
    assert (Head(path).read(), path.exists()) == (None, False)


@pytest.mark.bar("O2")
def test_several_processes_and_threads_leave_the_highest(path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITERS, path, first], cwd=ROOT)
        for first in ("0", "4")
    ]

    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert Head(path).read() == (199, f"{199:064}")


def test_one_that_cannot_be_written_stops_nobody(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit.head.new").mkdir()

    Head(path).raise_to(Newest(7, "7" * 64))

    assert Head(path).read() == START
    assert caplog.messages == ["The audit's head cannot be written: IsADirectoryError"]
