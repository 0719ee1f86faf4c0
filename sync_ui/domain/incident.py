"""The note of an incident: an address of a link may have come into wrong hands.

A draft for whoever decides whether it was a breach (45 CFR 164.402): what is
known, and the four factors as questions. It names no client.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Reading:
    """By one app, from one kind of network."""

    name: str
    network: str
    first_at: datetime
    last_at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Incident:
    """`ended_at` is None while the address still works; `ended_how` says by whom and how."""

    practice: str
    zone: str
    american: bool
    noted_at: datetime
    noted_by: str
    calendar: str
    link: str
    since: datetime
    ended_at: datetime | None
    ended_how: str
    disclosure: str
    appointments: int
    clients: int
    readings: Sequence[Reading]
    forgotten: bool

    def moment(self, at: datetime) -> str:
        """`21 Nov 2026, 14:02` or `Nov 21, 2026, 2:02 PM`, on the practice's wall."""
        local = at.astimezone(ZoneInfo(self.zone))
        if not self.american:
            return f"{local.day} {local:%b %Y}, {local:%H:%M}"
        return f"{local:%b} {local.day}, {local.year}, {local.hour % 12 or 12}:{local:%M %p}"


def note(incident: Incident) -> str:
    """Plain text, to be completed by hand."""
    parts = (_what_happened(incident), _what_showed(incident), _who_read(incident), _FACTORS)
    return "\n\n".join(parts) + "\n"


def _what_happened(incident: Incident) -> str:
    ended = "It still works."
    if incident.ended_at is not None:
        how = f" {incident.ended_how}" if incident.ended_how else ""
        ended = f"It was taken back on {incident.moment(incident.ended_at)}{how}."
    return f"""\
INCIDENT NOTE (draft)
{incident.practice}, {incident.moment(incident.noted_at)} ({incident.zone}), by {incident.noted_by}

WHAT HAPPENED
The secret address of a calendar link may have come into the hands of someone it was not
meant for. Whoever holds such an address can read the calendar without signing in.
Link: “{incident.link}”, calendar of {incident.calendar}.
The address was made on {incident.moment(incident.since)}. {ended}
How it came into wrong hands, and how and when we learned of it:
"""


def _what_showed(incident: Incident) -> str:
    return f"""\
WHAT IT SHOWED
{incident.disclosure}
At most {_counted(incident.appointments, "appointment")} of \
{_counted(incident.clients, "client")} could be read at that address."""


def _who_read(incident: Incident) -> str:
    lines = ["WHO READ IT"]
    lines += [f"- {_reading(incident, reading)}" for reading in incident.readings]
    if not incident.readings:
        lines.append("No reading of this address is on record.")
    if incident.forgotten:
        lines.append("Readings are kept for 90 days; there may have been earlier ones.")
    lines.append("Which of these are ours, and which are not:\n")
    return "\n".join(lines)


def _reading(incident: Incident, reading: Reading) -> str:
    first, last = incident.moment(reading.first_at), incident.moment(reading.last_at)
    span = f"on {first}" if reading.count == 1 else f"from {first} to {last}"
    return f"{reading.name}, {reading.network}: {_counted(reading.count, 'time')}, {span}"


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


_FACTORS = """\
WAS IT A BREACH? (45 CFR 164.402: presumed, unless these show a low probability that the
information has been compromised)
1. What was it: which kinds of identifiers, and how likely can someone tell who is meant?
   (Initials with times of appointments are identifiers, too.)

2. Who could use it, or was it given to? Are they bound to keep it to themselves?

3. Was it actually acquired or viewed? (See who read it.)

4. How far has the risk been lessened? (The address was taken back; apps that read it again
   show a notice instead; a copy or a screenshot stays. Has the person confirmed in writing
   that they deleted it?)

CONCLUSION
[ ] Low probability, because:
[ ] A breach. Each client is told without unreasonable delay, within 60 days of the day we
    learned of it (164.404); the Department of Health and Human Services within 60 days
    after the end of the year, or at the same time if 500 clients or more are concerned
    (164.408); the media, if more than 500 of one state are (164.406).
Decided by, on:

Keep this note for six years (164.530(j)). The law of your state may ask for more, and sooner."""
