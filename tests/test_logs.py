"""A line of the log is one line, whoever wrote what is in it, and it tells of nobody."""

import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui import logs
from sync_ui.logs import Handler, Line

TOKEN = "2" * 16 + "abcdefghjkmnpqrst"


def line(
    text: object, *values: object, name: str = "sync_ui.web", error: BaseException | None = None
) -> dict[str, str]:
    found: dict[str, str] = json.loads(written(text, *values, name=name, error=error))
    return found


def written(
    text: object, *values: object, name: str = "sync_ui.web", error: BaseException | None = None
) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(name, logging.ERROR, "file.py", 1, text, values, info)
    return Line("web").format(record)


def fails_with(text: str) -> BaseException:
    try:
        json.loads(f"{{{text}")
    except ValueError as error:
        return error
    raise AssertionError


@pytest.mark.bar("O4")
@given(text=st.text(), name=st.text())
def test_whatever_is_logged_is_one_line_of_printable_ascii(text: str, name: str) -> None:
    for logger in ("sync_ui.web", name):
        told = written(text, name=logger)

        assert told.isascii()
        assert told.isprintable()
        assert json.loads(told)["level"] == "error"


@pytest.mark.bar("O4")
@pytest.mark.parametrize(
    "forged", ["\r\n", "\n", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\x00", "\x9b"]
)
def test_what_could_forge_or_colour_a_line_is_encoded(forged: str) -> None:
    text = f'name{forged}{{"level": "critical"}}'
    assert forged in text

    told = written(text)

    assert forged not in told
    assert json.loads(told)["message"] == text


@pytest.mark.bar("L7", "O3")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"GET /cal/{TOKEN}/dr.ics failed", "GET /cal/[hidden] failed"),
        (f"GET %2Fcal%2F{TOKEN[:8]} failed", "GET /cal/[hidden] failed"),
        ("POST /add/abcd1234 failed", "POST /add/[hidden] failed"),
        ("POST /ENTER/abcd1234?x failed", "POST /ENTER/[hidden] failed"),
        (f"unknown: {TOKEN}.", "unknown: [hidden]."),
        ("to jane.smith@example.com now", "to [e-mail] now"),
        ("https://user:word@example.com/x?y refused", "[url] refused"),
        ("webcal://example.com refused", "[url] refused"),
        ("Link 12 of calendar 3 was read", "Link 12 of calendar 3 was read"),
    ],
)
def test_what_opens_a_door_or_names_someone_is_hidden(text: str, told: str) -> None:
    assert line(text)["message"] == told
    assert line("%s", text)["message"] == told


def test_a_library_is_quoted_without_its_values() -> None:
    told = line("Task %s failed\nTraceback: %s", "7", "Jane Smith", name="huey")

    assert told["message"] == "Task %s failed"
    assert line("Task %s failed", "7")["message"] == "Task 7 failed"


def test_of_an_error_its_kind_and_our_own_place_are_told() -> None:
    in_a_library = line("It failed", name="huey", error=fails_with("Jane Smith"))
    assert (in_a_library["error"], in_a_library.get("at")) == ("JSONDecodeError", None)

    with pytest.raises(AttributeError) as ours:
        logs.place(None)  # type: ignore[arg-type]

    assert line("It failed", error=ours.value)["at"].startswith("sync_ui/logs.py:")


def test_a_wrong_placeholder_does_not_cost_the_line() -> None:
    assert line("%d links", "three")["message"] == "%d links"


def test_a_line_says_when_where_and_for_which_request() -> None:
    logs._request.set(None)  # this thread may have answered for another test
    assert "request" not in line("x")

    logs.begin_request()
    try:
        told = line("x")
        assert told.keys() == {"time", "level", "logger", "message", "request", "process"}
        assert told["request"] == line("y")["request"] == logs.request_number()
        logs.begin_request()
        assert line("z")["request"] != told["request"]
    finally:
        logs._request.set(None)


Told = Callable[[], list[Any]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Told]:
    """`told()`: the lines on stderr. The tests' own way to log comes back afterwards."""
    monkeypatch.setattr(logging, "raiseExceptions", True)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    for hook in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, hook, getattr(sys, hook))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root, ours = logging.getLogger(), logging.getLogger("sync_ui")
    levels = root.level, ours.level
    yield lambda: [json.loads(each) for each in capsys.readouterr().err.splitlines()]
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    for handler in [one for one in root.handlers if isinstance(one, Handler)]:
        root.removeHandler(handler)


def test_threads_warnings_and_crashes_are_lines_too(told: Told) -> None:
    logs.configure("worker")
    error = fails_with("Jane Smith")

    sys.excepthook(type(error), error, error.__traceback__)
    threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = logs._warn  # the context would put the usual one back
        warnings.warn("Jane Smith is late", UserWarning, stacklevel=1)

    assert [(each["level"], each["process"], each["message"]) for each in told()] == [
        ("critical", "worker", "The program ended: JSONDecodeError at a library"),
        ("error", "worker", "A thread ended: JSONDecodeError at a library"),
        ("warning", "worker", "UserWarning at test_logs.py"),
    ]


@pytest.mark.parametrize(
    ("level", "messages"),
    [
        ("debug", ["ours debug", "ours info", "theirs debug", "theirs warning"]),
        ("info", ["ours info", "theirs warning"]),
        ("warning", ["theirs warning"]),
        ("error", []),
    ],
)
def test_the_level_that_is_set_says_how_much_is_told(
    told: Told, monkeypatch: pytest.MonkeyPatch, level: str, messages: list[str]
) -> None:
    monkeypatch.setenv("SYNC_LOG_LEVEL", level)
    logs.configure("web")
    logs.configure("command", again=False)

    ours, theirs = logging.getLogger("sync_ui.web"), logging.getLogger("huey")
    ours.debug("ours debug")
    ours.info("ours info")
    theirs.debug("theirs debug")
    theirs.warning("theirs warning")

    lines = told()
    assert [each["message"] for each in lines] == messages
    assert {each["process"] for each in lines} <= {"web"}
