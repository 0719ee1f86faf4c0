"""What the running programs tell whoever operates them: one line of JSON per event, on stderr.

A line says what happened and where, never of whom: libraries are quoted by the
first line of what they would have said, without the values filled in; of an
error only its kind and its place in our own code are told.
"""

import json
import logging
import re
import secrets
import sys
import threading
import traceback
import warnings
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sync_ui.config import ROOT, log_level

OURS = "sync_ui"

LONGEST = 500

# The second wall: nothing that we write on purpose looks like these.
HIDDEN = (
    (re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE), "[url]"),
    (re.compile(r"(?:/|%2f)(cal|add|enter)(?:/|%2f)\S*", re.IGNORECASE), r"/\1/[hidden]"),
    (re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+"), "[e-mail]"),
    (re.compile(r"[A-Za-z0-9_-]{24,}"), "[hidden]"),
)

log = logging.getLogger(__name__)

# None outside a request; empty until somebody asks for the number.
_request: ContextVar[str | None] = ContextVar("request", default=None)


def begin_request() -> None:
    """What is logged from here on, in this thread, belongs to a request of its own."""
    _request.set("")


def request_number() -> str:
    """The number of the request under way, made when it is first asked for; "" outside one."""
    found = _request.get()
    if found == "":
        found = secrets.token_hex(4)
        _request.set(found)
    return found or ""


class Line(logging.Formatter):
    """A record as one line of ASCII, whatever is in it."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name[:LONGEST],
            "message": _hide(_message(record))[:LONGEST],
            "request": request_number(),
            "process": self.process,
            **_error(record.exc_info),
        }
        told = json.dumps({name: value for name, value in line.items() if value})
        return told.replace("\x7f", "\\u007f")  # the one control character that JSON lets through


class Handler(logging.StreamHandler[Any]):
    """Writes lines to whatever stderr is at the moment."""

    def __init__(self, process: str) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(Line(process))

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, _: Any) -> None:
        """Nobody else decides."""


def configure(process: str, *, again: bool = True) -> None:
    """From now on this process tells everything in lines, warnings and crashes too.

    `process` is `web`, `worker` or `command`; without `again`, only if nobody has said yet.
    Libraries tell what is wrong; only with SYNC_LOG_LEVEL=debug do they tell more.
    """
    root = logging.getLogger()
    before = [handler for handler in root.handlers if isinstance(handler, Handler)]
    if before and not again:
        return
    for handler in before:
        root.removeHandler(handler)
    root.addHandler(Handler(process))
    logging.raiseExceptions = False  # a line that cannot be written is not worth a traceback
    ours, theirs = levels(log_level())
    root.setLevel(theirs)
    logging.getLogger(OURS).setLevel(ours)
    warnings.showwarning = _warn
    sys.excepthook = _crash
    threading.excepthook = _crash_of_thread
    sys.unraisablehook = _crash_in_vain


def levels(level: str) -> tuple[str, str]:
    """Ours, and that of libraries."""
    ours = level.upper()
    return ours, ours if level in {"debug", "error"} else "WARNING"


def for_granian() -> dict[str, Any]:
    """Granian sets up logging in each of its processes; it is to tell what it tells through us."""
    _, theirs = levels(log_level())
    return {
        "formatters": {},
        "handlers": {"lines": {"()": f"{__name__}.Handler", "process": "web"}},
        "loggers": {"_granian": {"handlers": [], "propagate": True}},
        "root": {"handlers": ["lines"], "level": theirs},
    }


def crashed(error: BaseException) -> None:
    """To be said by whoever ends because of it, before Python says it its own way."""
    log.critical("The program ended: %s", kind_and_place(error))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _message(record: logging.LogRecord) -> str:
    """Ours as it is meant; of others' the words alone, since the values could be anyone's."""
    text = str(record.msg)
    if f"{record.name}.".startswith(f"{OURS}."):
        try:
            return record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong placeholder must not cost the line
            return text
    return (text.splitlines() or [""])[0]


def _hide(text: str) -> str:
    for pattern, instead in HIDDEN:
        text = pattern.sub(instead, text)
    return text


def _error(found: Any) -> dict[str, str]:
    if not found or found is True or found[1] is None:
        return {}
    return {"error": type(found[1]).__name__, "at": place(found[1])}


def kind_and_place(error: BaseException) -> str:
    """`KeyError at sync_ui/services/links.py:120`: all that a log is told of an error."""
    return f"{type(error).__name__} at {place(error) or 'a library'}"


def place(error: BaseException) -> str:
    """`sync_ui/services/links.py:120`: where, in our own code, it came up; "" if nowhere."""
    frames = traceback.walk_tb(error.__traceback__)
    ours = [_below_root(f.f_code.co_filename, line) for f, line in frames]
    return next((found for found in reversed(ours) if found), "")


def _below_root(file: str, line: int) -> str:
    path = Path(file)
    if not path.is_relative_to(ROOT):
        return ""
    below = path.relative_to(ROOT)
    return f"{below}:{line}" if below.parts[0] in {OURS, "app.py"} else ""


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    log.warning("%s at %s", category.__name__, _below_root(filename, lineno) or Path(filename).name)


def _crash(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    crashed(error)


def _crash_of_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and not issubclass(found.exc_type, SystemExit):
        log.error("A thread ended: %s", kind_and_place(found.exc_value))


def _crash_in_vain(found: Any) -> None:
    if found.exc_value is not None:
        log.error("Cleaning up failed: %s", kind_and_place(found.exc_value))
