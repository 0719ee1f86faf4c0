"""The lines and components of an iCalendar file (RFC 5545, 3.1 and 3.6).

Only the frame is read here, with the line on which each thing begins, so that
one bad event does not cost the others. A frame that is broken or cut off is
refused as a whole: half a file must never pass for all of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from icalendar.parser import Contentline

from sync_ui.domain.reading import MAX_LINE, decode
from sync_ui.errors import Invalid

_MAX_DEPTH = 10

# Some programs write CR CR LF, or CR alone.
_LINE_END = re.compile(rb"\r*\n|\r")
_BEFORE_A_DATE = re.compile(r":\s*(?=\d{4}-?\d\d-?\d\d)", re.ASCII)
_NAME = re.compile(r"\s*([A-Za-z0-9-]+)\s*([;:])")


@dataclass(frozen=True, slots=True)
class Property:
    """One content line; `line` is where it begins in the file."""

    line: int
    name: str
    content: str

    @property
    def text(self) -> str:
        """The value as text, unescaped; empty if the line cannot be read."""
        try:
            _, _, value = Contentline(self.content).parts()  # type: ignore[no-untyped-call]
        except ValueError:
            return self.content.partition(":")[2]
        return str(value)

    @property
    def value(self) -> str:
        """The value as it stands; meant for times, numbers and rules."""
        return self._parts()[1].strip()

    def parameter(self, name: str) -> str:
        """A parameter of a property that holds a time, without quotation marks."""
        pattern = rf';\s*{name}\s*=\s*("[^"]*"|[^;]*)'
        match = re.search(pattern, self._parts()[0], re.IGNORECASE)
        return match[1].strip('"').strip() if match else ""

    def _parts(self) -> tuple[str, str]:
        """Name with parameters, and value.

        Outlook writes time zones with colons in them and does not always quote
        them, so the colon that counts is the one before a date, or the last.
        """
        date = _BEFORE_A_DATE.search(self.content)
        if date:
            return self.content[: date.start()], self.content[date.end() :]
        head, _, value = self.content.rpartition(":")
        return head, value


@dataclass(slots=True)
class Component:
    name: str
    line: int
    properties: list[Property] = field(default_factory=list)
    children: list["Component"] = field(default_factory=list)
    unreadable: int = 0

    def all(self, name: str) -> list[Property]:
        return [each for each in self.properties if each.name == name]

    def text(self, name: str) -> str:
        """The first property of that name as text, or nothing."""
        return next((each.text for each in self.properties if each.name == name), "")

    def value(self, name: str) -> str:
        """The first property of that name as it stands, or nothing."""
        return next((each.value for each in self.properties if each.name == name), "")

    def walk(self) -> Iterator["Component"]:
        """This component and all within it."""
        yield self
        for child in self.children:
            yield from child.walk()


def components(data: bytes) -> list[Component]:
    """The outermost components of a file in UTF-8 or Windows-1252.

    Raises `Invalid` if it is cut off, wrongly nested, too deep, or has a line
    that is too long.
    """
    top = Component("", 1)
    open_ones = [top]
    for line, content in unfolded(data):
        match = _NAME.match(content)
        name = match[1].upper() if match else ""
        if name == "BEGIN":
            _begin(open_ones, line, _component_name(content))
        elif name == "END":
            _end(open_ones, line, _component_name(content))
        elif match:
            open_ones[-1].properties.append(Property(line, name, content))
        else:
            open_ones[-1].unreadable += 1
    if len(open_ones) > 1:
        raise Invalid(
            f"This file breaks off: what begins in line {open_ones[-1].line} does not end."
            " Export it again."
        )
    return top.children


def unfolded(data: bytes) -> Iterator[tuple[int, str]]:
    """Content lines with the number of their first line, empty ones left out.

    Joined before they are decoded: some programs fold inside a character.
    """
    begins, pieces, size = 0, list[bytes](), 0
    for number, line in enumerate(_LINE_END.split(data), 1):
        if pieces and line[:1] in (b" ", b"\t"):
            pieces.append(line[1:])
            size += len(line)
        elif line.strip():
            if pieces:
                yield begins, decode(b"".join(pieces))
            begins, pieces, size = number, [line], len(line)
        if size > MAX_LINE:
            raise Invalid(
                f"Line {begins} is longer than 100 kB, perhaps because of an attached file."
                " Export the calendar without attachments."
            )
    if pieces:
        yield begins, decode(b"".join(pieces))


def _component_name(content: str) -> str:
    return content.partition(":")[2].strip().upper()


def _begin(open_ones: list[Component], line: int, name: str) -> None:
    if len(open_ones) > _MAX_DEPTH:
        raise Invalid(f"Line {line} nests deeper than a calendar does. Export it again.")
    if name == "VEVENT" and open_ones[-1].name == "VEVENT":
        raise Invalid(
            f"The event in line {open_ones[-1].line} does not end before the next begins"
            f" in line {line}. Export the calendar again."
        )
    component = Component(name, line)
    open_ones[-1].children.append(component)
    open_ones.append(component)


def _end(open_ones: list[Component], line: int, name: str) -> None:
    if len(open_ones) == 1 or open_ones[-1].name != name:
        raise Invalid(f"Line {line} ends something that has not begun. Export the calendar again.")
    open_ones.pop()
