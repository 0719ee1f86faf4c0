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
from collections.abc import Callable
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sync_ui.domain.event import Kind, Status
from sync_ui.domain.ics_read import read
from sync_ui.domain.reading import MAX_BYTES, Entry, Occurrence, Problem, Reading, as_utf8
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
_PACKAGE = Path(__file__).resolve().parent.parent

# A busy machine may give the child a fraction of a processor.
_WALL_PER_CPU_SECOND = 3

# What an interpreter needs to start at all on some systems.
_ENVIRONMENT = ("LD_LIBRARY_PATH", "SYSTEMROOT")

_PAST_LIMITS = (
    "This file could not be read within the limits of time and memory."
    " Export a shorter span of time, or fewer calendars at once."
)


def read_in_child(
    data: bytes, zone: str, today: date, *, cpu_seconds: int = 20, memory_mb: int = 768
) -> Reading:
    """What `ics_read.read` makes of the file, and this process stays as it was.

    Raises `Invalid` for a file that cannot be read, and for one that takes more
    than `cpu_seconds` of processor time, three times that on the clock, or
    `memory_mb` MB; `Unavailable` if no child can be started.
    """
    if len(data) > MAX_BYTES:
        as_utf8(data)  # refuses with its sentence, before anything is started
    try:
        told = json.loads(_told_by_child(data, zone, today, cpu_seconds, memory_mb))
        if "invalid" in told:
            raise Invalid(told["invalid"])
        return _reading(told)
    except (subprocess.SubprocessError, ValueError, TypeError, KeyError):
        raise Invalid(_PAST_LIMITS) from None
    except OSError:
        raise Unavailable("The server has no room to read a file now. Try again later.") from None


def _told_by_child(data: bytes, zone: str, today: date, cpu_seconds: int, memory_mb: int) -> bytes:
    arguments = (str(_PACKAGE), zone, today.isoformat(), str(cpu_seconds), str(memory_mb))
    return subprocess.run(
        [sys.executable, "-I", "-c", _CHILD, *arguments],
        input=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a traceback could quote the file
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        timeout=cpu_seconds * _WALL_PER_CPU_SECOND,
        check=True,
    ).stdout


def answer(zone: str, today: str, cpu_seconds: str, memory_mb: str) -> None:
    """The child: reads the file from standard input and writes JSON."""
    _limit(int(cpu_seconds), int(memory_mb))
    data = sys.stdin.buffer.read()
    try:
        result = _plain(read(data, zone, date.fromisoformat(today)))
    except Invalid as error:
        result = {"invalid": error.sentence}
    sys.stdout.buffer.write(json.dumps(result, ensure_ascii=False).encode())


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
    if isinstance(value, (Reading, Entry, Occurrence, Problem)):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value


def _reading(plain: dict[str, Any]) -> Reading:
    return Reading(
        entries=tuple(_entry(each) for each in plain["entries"]),
        problems=tuple(Problem(**each) for each in plain["problems"]),
        source=plain["source"],
        notes=tuple(plain["notes"]),
    )


def _entry(plain: dict[str, Any]) -> Entry:
    return Entry(**_restored(plain, _ENTRY_FIELDS))


def _occurrence(plain: dict[str, Any]) -> Occurrence:
    return Occurrence(**_restored(plain, _OCCURRENCE_FIELDS))


def _restored(plain: dict[str, Any], special: dict[str, Callable[[Any], object]]) -> dict[str, Any]:
    return {name: special.get(name, _same)(value) for name, value in plain.items()}


def _same(value: object) -> object:
    return value


def _time(text: str) -> datetime | date:
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _times(texts: list[str]) -> tuple[datetime | date, ...]:
    return tuple(_time(text) for text in texts)


_OCCURRENCE_FIELDS: dict[str, Callable[[Any], object]] = {
    "original": _time,
    "starts": _time,
    "ends": _time,
}
_ENTRY_FIELDS: dict[str, Callable[[Any], object]] = {
    "starts": _time,
    "ends": _time,
    "status": Status,
    "kind": lambda text: Kind(text) if text else None,
    "clients": lambda names: tuple((first, last) for first, last in names),
    "client_ids": tuple,
    "exceptions": _times,
    "additions": _times,
    "occurrences": lambda plain: tuple(_occurrence(each) for each in plain),
}
