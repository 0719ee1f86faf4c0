"""Keys on paper: sixteen groups of four in four lines, each with a check group at its end.

A line tells itself which it is (`D1` is the first of the database's key), and
its check group covers that too, so that a typing error, a line in another's
place and a key taken for another are all found.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LETTERS: Mapping[str, str] = {"database": "D", "token": "T", "secret": "S"}

LINES = 4
GROUP = 4

# Digits of a key in one line.
WIDTH = 16

_NAMES = {letter: name for name, letter in LETTERS.items()}
_LINE = re.compile(r"([DTS])([1-4])([0-9A-F]{20})")

# What eyes and typewriters take for one another; no other letter of a key looks like a digit.
_ALIKE = str.maketrans("OIL", "011")


class Mistyped(ValueError):
    """The sentence says which line, never what stands in it."""


@dataclass(frozen=True, slots=True)
class Line:
    """`label` is `D1` …, `groups` the line's four groups, `check` the one behind them."""

    label: str
    groups: tuple[str, ...]
    check: str

    def __str__(self) -> str:
        return " ".join((self.label, *self.groups, self.check))


def lines(name: str, key: bytes) -> list[Line]:
    """How the key is printed; `name` is `database`, `token` or `secret`."""
    digits = key.hex()
    return [
        _line(f"{LETTERS[name]}{number + 1}", digits[number * WIDTH : (number + 1) * WIDTH])
        for number in range(LINES)
    ]


def read(typed: Iterable[str]) -> dict[str, bytes]:
    """The keys that the lines hold, by name; empty lines do not matter, nor does their order.

    Raises Mistyped for a line that is none, has a wrong check group or is missing.
    """
    found: dict[str, str] = {}
    for number, text in enumerate(typed, 1):
        if text.strip():
            label, digits = _read_line(number, text)
            if found.setdefault(label, digits) != digits:
                raise Mistyped(f"Line {label} was typed twice, and differently.")
    names = dict.fromkeys(_NAMES[label[0]] for label in found)
    return {name: _joined(name, found) for name in names}


def trouble(typed: str) -> str | None:
    """What is wrong with one line, in a sentence."""
    try:
        _read_line(1, typed)
    except Mistyped as error:
        return str(error)
    return None


def _line(label: str, digits: str) -> Line:
    groups = tuple(digits[at : at + GROUP] for at in range(0, WIDTH, GROUP))
    return Line(label, groups, _check(label, digits))


def _check(label: str, digits: str) -> str:
    return hashlib.sha256(f"{label} {digits}".encode()).hexdigest()[:GROUP]


def _read_line(number: int, text: str) -> tuple[str, str]:
    plain = re.sub(r"[\s.:·-]", "", text).upper().translate(_ALIKE)
    parts = _LINE.fullmatch(plain)
    if parts is None:
        raise Mistyped(
            f"Line {number} of what was typed is no line of a recovery sheet, which looks like "
            "“D1 0123 4567 89ab cdef 0123”."
        )
    label, digits = parts[1] + parts[2], parts[3].lower()
    if _check(label, digits[:WIDTH]) != digits[WIDTH:]:
        raise Mistyped(f"Line {label} has a typing error: its check group does not fit.")
    return label, digits[:WIDTH]


def _joined(name: str, found: Mapping[str, str]) -> bytes:
    labels = [f"{LETTERS[name]}{number + 1}" for number in range(LINES)]
    if missing := [label for label in labels if label not in found]:
        raise Mistyped(f"The {name} key is not whole: line {missing[0]} is missing.")
    return bytes.fromhex("".join(found[label] for label in labels))
