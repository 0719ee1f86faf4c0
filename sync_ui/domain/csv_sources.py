"""Programs whose tables are known by their columns, as their makers document them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A program's export: every one of `columns` (bare names) stands in its header."""

    name: str
    columns: frozenset[str]


# The table that we export ourselves.
OURS = "Sync Calendar"


def _header(columns: str) -> frozenset[str]:
    return frozenset("".join(filter(str.isalnum, name)).casefold() for name in columns.split(","))


# SimplePractice, TherapyNotes and Jane name the columns of their exports nowhere in public: such
# files are read by their columns like any other table, or as their user says.
SOURCES = (
    # https://wiki.mozilla.org/Calendar:Feature_Implementations:ImportExport:CSV
    Source(
        "Outlook",
        _header(
            "Subject, Start Date, Start Time, End Date, End Time, All day event,"
            " Reminder on/off, Categories, Private, Sensitivity, Show time as"
        ),
    ),
    # https://support.google.com/calendar/answer/37118, what a table for Google Calendar holds
    Source(
        "Google Calendar",
        _header(
            "Subject, Start Date, Start Time, End Date, End Time, All Day Event,"
            " Description, Location, Private"
        ),
    ),
    Source(
        OURS,
        _header(
            "Start Date, Start Time, End Date, End Time, All Day Event, First Name, Last Name,"
            " Client ID, Title, Type, Status, Location, Notes, Time Zone, Appointment ID,"
            " Clinician, Name of the Type"
        ),
    ),
)


def named(header: Iterable[str]) -> str:
    """The program whose export has this header of bare names; "" if none is known."""
    cells = frozenset(header)
    found = [source for source in SOURCES if source.columns <= cells]
    return max(found, key=lambda source: len(source.columns)).name if found else ""
