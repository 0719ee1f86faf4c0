"""Reads an uploaded file in a process of its own.

A file from outside may be made to eat time or memory. A child with limits on
both reads it; when it dies, the server has a sentence and nothing else to mend.
It gets the bytes and no more: an empty environment, no web framework, no
database.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, astuple, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from sync_ui.domain.csv_table import (
    NOTHING_SAID,
    ColumnMapping,
    Glance,
    Heading,
    UnknownColumns,
    glance,
)
from sync_ui.domain.event import Kind, Status
from sync_ui.domain.ics_read import read
from sync_ui.domain.reading import (
    MAX_BYTES,
    Entry,
    Occurrence,
    Problem,
    Reading,
    Tell,
    as_utf8,
    nobody,
)
from sync_ui.errors import Invalid, Unavailable

if sys.platform != "win32":
    import resource

# The package is entered by its folder, so that its `__init__`, which brings the
# whole application, does not run. `-I` keeps the environment and the working
# directory out of the imports.
_CHILD = """
import sys, types
package = types.ModuleType("sync_ui")
package.__path__ = [sys.argv[1]]
sys.modules["sync_ui"] = package
from sync_ui.gateways.reader import answer
answer(*sys.argv[2:])
"""

T = TypeVar("T")

_PACKAGE = Path(__file__).resolve().parent.parent

# A busy machine may give the child a fraction of a processor.
_WALL_PER_CPU_SECOND = 3

# A file of up to this size has the usual limits, a larger one more for each further MB:
# 100 000 rows take some 10 seconds and 200 MB, as many events half as much again.
_SMALL = 1024 * 1024
_CPU_SECONDS, _CPU_SECONDS_A_MB = 20, 6
_MEMORY_MB, _MEMORY_MB_A_MB = 768, 32

# What an interpreter needs to start at all on some systems.
_ENVIRONMENT = ("LD_LIBRARY_PATH", "SYSTEMROOT")

_PAST_LIMITS = (
    "This file could not be read within the limits of time and memory."
    " Export a shorter span of time, or fewer calendars at once."
)


def read_in_child(
    data: bytes,
    zone: str,
    today: date,
    mappings: Mapping[str, ColumnMapping] = NOTHING_SAID,
    *,
    tell: Tell = nobody,
    cpu_seconds: int = 0,
    memory_mb: int = 0,
) -> Reading:
    """What `ics_read.read` makes of the file, and this process stays as it was.

    `tell` hears how far the child is. Raises `Invalid` for a file that cannot be
    read (`UnknownColumns` if a user could say what its columns are), and for
    one that takes more than `cpu_seconds` of processor time, three times that
    on the clock, or `memory_mb` MB; a large file may take more than a small
    one. Raises `Unavailable` if no child can be started.
    """
    return _child(data, "read", (zone, today, mappings), (cpu_seconds, memory_mb), _reading, tell)


def glance_in_child(data: bytes, mappings: Mapping[str, ColumnMapping] = NOTHING_SAID) -> Glance:
    """The columns of a table and samples of what they hold. Raises as `read_in_child`."""
    return _child(data, "glance", ("UTC", date.min, mappings), (0, 0), _glance, nobody)


def _child(
    data: bytes,
    task: str,
    given: tuple[str, date, Mapping[str, ColumnMapping]],
    limits: tuple[int, int],
    restored: Callable[[Iterator[Any]], T],
    tell: Tell,
) -> T:
    if len(data) > MAX_BYTES:
        as_utf8(data)  # refuses with its sentence, before anything is started
    zone, today, mappings = given
    megabytes = max(0, len(data) - _SMALL) // 1024**2
    cpu_seconds = limits[0] or _CPU_SECONDS + _CPU_SECONDS_A_MB * megabytes
    memory_mb = limits[1] or _MEMORY_MB + _MEMORY_MB_A_MB * megabytes
    arguments = (task, zone, today.isoformat(), str(cpu_seconds), str(memory_mb))
    options = {signature: astuple(mapping) for signature, mapping in mappings.items()}
    stream = json.dumps(options).encode() + b"\n" + data
    wall = cpu_seconds * _WALL_PER_CPU_SECOND
    try:
        with closing(_lines_of_child(arguments, stream, wall, tell)) as lines:
            return restored(lines)
    except Invalid:
        raise
    except (subprocess.SubprocessError, ValueError, TypeError, LookupError, AttributeError):
        raise Invalid(_PAST_LIMITS) from None
    except OSError:
        raise Unavailable("The server has no room to read a file now. Try again later.") from None


def _lines_of_child(
    arguments: tuple[str, ...], stream: bytes, wall_seconds: int, tell: Tell
) -> Generator[Any, None, None]:
    """What the child says, line by line; raises as soon as it has refused, or died."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _CHILD, str(_PACKAGE), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a traceback could quote the file
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    watch = threading.Timer(wall_seconds, child.kill)
    watch.start()
    try:
        with suppress(BrokenPipeError), child.stdin:  # one that died is noticed below
            child.stdin.write(stream)
        for line in child.stdout:
            said = json.loads(line)
            if "invalid" in said:
                raise (UnknownColumns if said.get("columns") else Invalid)(said["invalid"])
            if "done" in said:
                tell(said["done"], said["of"])
            else:
                yield said
        if child.wait() != 0:
            raise subprocess.SubprocessError
    finally:
        watch.cancel()
        child.kill()
        child.wait()
        child.stdout.close()


def answer(task: str, zone: str, today: str, cpu_seconds: str, memory_mb: str) -> None:
    """The child: reads the file from standard input and writes a line of JSON for each thing."""
    _limit(int(cpu_seconds), int(memory_mb))
    options, _, data = sys.stdin.buffer.read().partition(b"\n")
    mappings = {
        signature: ColumnMapping(tuple(columns), day_first)
        for signature, (columns, day_first) in json.loads(options).items()
    }
    try:
        if task == "glance":
            _say(asdict(glance(data, mappings)))
        else:
            _say_reading(read(data, zone, date.fromisoformat(today), mappings, _tell))
    except Invalid as error:
        _say({"invalid": error.sentence, "columns": isinstance(error, UnknownColumns)})


def _say_reading(reading: Reading) -> None:
    for entry in reading.entries:
        _say({"entry": _plain(entry)})
    for problem in reading.problems:
        _say({"problem": _plain(problem)})
    rest = (reading.source, reading.notes, reading.signature, reading.is_table)
    _say({"end": rest})


def _tell(done: int, total: int) -> None:
    _say({"done": done, "of": total})
    sys.stdout.buffer.flush()


def _say(value: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")


def _limit(cpu_seconds: int, memory_mb: int) -> None:
    if sys.platform == "win32":  # the wall clock alone limits it there
        return
    for limit, most in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_mb * 1024 * 1024),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),  # it writes no file
    ):
        resource.setrlimit(limit, (most, most))


# JSON and back: days and times as ISO 8601, which tells them apart.


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, (Entry, Occurrence, Problem)):
        return [_plain(getattr(value, name)) for name in _NAMES[type(value)]]
    return value


_NAMES: dict[type, tuple[str, ...]] = {
    kind: tuple(f.name for f in fields(kind)) for kind in (Entry, Occurrence, Problem)
}


def _reading(lines: Iterator[Any]) -> Reading:
    entries, problems = [], []
    for said in lines:
        if "entry" in said:
            entries.append(_entry(said["entry"]))
        elif "problem" in said:
            problems.append(Problem(*said["problem"]))
        else:
            source, notes, signature, is_table = said["end"]
            next(lines, None)  # whether it ended well
            return Reading(
                tuple(entries), tuple(problems), source, tuple(notes), signature, is_table
            )
    raise ValueError("The child said no end.")


def _glance(lines: Iterator[Any]) -> Glance:
    said = next(lines)
    next(lines, None)
    headings = (
        Heading(each["cell"], tuple(each["samples"]), each["name"]) for each in said["headings"]
    )
    return Glance(said["signature"], tuple(headings), said["day_first"])


def _entry(plain: list[Any]) -> Entry:
    return Entry(*_restored(plain, _ENTRY_FIELDS))


def _occurrence(plain: list[Any]) -> Occurrence:
    return Occurrence(*_restored(plain, _OCCURRENCE_FIELDS))


def _restored(plain: list[Any], special: Sequence[Callable[[Any], object] | None]) -> Iterator[Any]:
    for value, restore in zip(plain, special, strict=True):
        yield restore(value) if restore else value


def _time(text: str) -> datetime | date:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _times(texts: list[str]) -> tuple[datetime | date, ...]:
    return tuple(_time(text) for text in texts)


def _by_name(
    kind: type, special: dict[str, Callable[[Any], object]]
) -> tuple[Callable[[Any], object] | None, ...]:
    return tuple(special.get(name) for name in _NAMES[kind])


_OCCURRENCE_FIELDS = _by_name(Occurrence, {"original": _time, "starts": _time, "ends": _time})
_ENTRY_FIELDS = _by_name(
    Entry,
    {
        "starts": _time,
        "ends": _time,
        "status": Status,
        "kind": lambda text: Kind(text) if text else None,
        "clients": lambda names: tuple((first, last) for first, last in names),
        "client_ids": tuple,
        "exceptions": _times,
        "additions": _times,
        "occurrences": lambda plain: tuple(_occurrence(each) for each in plain),
    },
)
