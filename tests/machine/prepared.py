"""What the machine begins with, and a file as another program writes it."""

from datetime import timedelta
from typing import Any

from tests.machine.acts import Desk
from tests.machine.model import ZONE, Model
from tests.practice import Practice


def practice_of(settled: Practice) -> tuple[Model, Desk]:
    """The people of tests/practice.py, in plain dicts."""
    unlu, anna = settled.unlu, settled.anna
    assert unlu.clinician_id is not None
    assert anna.clinician_id is not None
    people = [
        ("ada", settled.ada, "Ada Lin", "administrator", None),
        ("sam", settled.sam, "Sam Rivera", "scheduler", None),
        ("unlu", unlu, "Dr. Ünlü", "clinician", "unlu"),
        ("anna", anna, "Anna Bergström", "clinician", "anna"),
    ]
    clients = [
        ("Jane", "Smith", 1042),
        ("Mark", "Smith", 1043),
        ("Zoë", "O'Brien-García", 2001),
    ]
    model = Model(
        users={
            word: {"id": a.user_id, "name": name, "role": role, "clinician": own, "disabled": False}
            for word, a, name, role, own in people
        },
        clients={
            first: {"first": first, "last": last, "internal_id": number, "at_most": "full_name"}
            for first, last, number in clients
        },
        calendars={"unlu": "Dr. Ünlü", "anna": "Anna Bergström"},
    )
    desk = Desk(
        clinicians={"unlu": unlu.clinician_id, "anna": anna.clinician_id},
        clients={"Jane": settled.jane, "Mark": settled.mark, "Zoë": settled.zoe},
        keys={
            "unlu": settled.unlus_calendar,
            "anna": settled.annas_calendar,
            "practice": "practice",
        },
    )
    return model, desk


def written_as_ics(rows: list[dict[str, Any]], number: int) -> str:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Invented//Exporter 1.0//EN"]
    last = {"Jane": "Smith", "Mark": "Smith", "Zoë": "O'Brien-García"}
    for at, row in enumerate(rows):
        (client,) = row["clients"]
        starts = row["starts"].replace(tzinfo=ZONE)
        ends = starts + timedelta(minutes=row["minutes"])
        lines += [
            "BEGIN:VEVENT",
            f"UID:{number}-{at}@example.org",
            f"DTSTART;TZID={ZONE.key}:{starts:%Y%m%dT%H%M%S}",
            f"DTEND;TZID={ZONE.key}:{ends:%Y%m%dT%H%M%S}",
            f"SUMMARY:{client} {last[client]}",
            "END:VEVENT",
        ]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])
