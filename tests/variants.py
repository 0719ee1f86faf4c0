"""A schedule of all that a feed can meet, as rows, and links that show it in every way."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from sync_ui.domain.event import Choices, DisplayMode, Kind, Status, Telehealth
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AppointmentType,
    Client,
    Clinician,
    Initials,
    Link,
    db,
    transaction,
)
from sync_ui.services import access, links
from tests.practice import NOW, ZONE, Clock, Practice

ROOM = "https://video.example.com/room;k=v?a=b&c=d#unlu"

# What hand, import and malice can put into a name, a title or a place.
HOSTILE = [
    "Smith\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:x",
    "Smith\nATTENDEE:mailto:jane@example.com",
    "Smith\x85NEL",
    "Smith\u2028LS\u2029PS",
    "Smith\x0bVT\x0cFF\x1cFS\x1eRS",
    "Smith\x08\x1b[31m\x7f",
    "\ufeffSmith\ufeff",
    "END:VEVENT",
    "a;b,c:d\"e'f^g=h\\i\\nj\\",
    "🙂 Zoë 👩‍👩‍👧‍👦 🏳️‍🌈",
    "שרה לוי",
    "\u202eSmith\u202c",
    "محمد\u200fعلي",
    "e\u0301" * 60,
    "é" * 100,
    "🙂" * 60,
    *(
        "x" * (75 - len("SUMMARY:") + n) + end
        for n in (-4, -3, -2, -1, 0, 1)
        for end in ("é", "🙂")
    ),
    *("x" * (74 - len("SUMMARY:") + n) for n in (0, 1, 2, 74, 75)),
    "x" * 64 + " " + "y" * 90,
    "x" * 66 + "\\;",
    "x" * 65 + ",,,,,,,",
]

CHOICES = {
    "as usual": Choices(),
    "type": Choices(type=True),
    "button": Choices(telehealth=Telehealth.BUTTON),
    "address": Choices(telehealth=Telehealth.ADDRESS),
    "no time off": Choices(time_off=False),
    "cancelled kept": Choices(cancelled=True),
    "no location": Choices(location=False),
    "all": Choices(type=True, telehealth=Telehealth.ADDRESS, cancelled=True),
    "least": Choices(location=False, time_off=False),
}

# Days back and months ahead, beside the practice's own 30 and 6.
WINDOWS = [(0, 1), (7, 3), (90, 12), (22, 4)]


class Schedule:
    """Writes rows as no form would let them through; UIDs count up."""

    def __init__(self, practice: Practice) -> None:
        assert practice.unlu.clinician_id is not None
        assert practice.anna.clinician_id is not None
        self.unlu, self.anna = practice.unlu.clinician_id, practice.anna.clinician_id
        self.rows: list[Appointment] = []
        self._numbers = count()

    def add(
        self,
        at: str,
        *client_ids: int,
        minutes: int = 50,
        zone: str = ZONE,
        **more: object,
    ) -> None:
        number = next(self._numbers)
        local = datetime.fromisoformat(at)
        starts = local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        ends = starts + timedelta(minutes=minutes)
        if more.get("all_day"):
            wall = local + timedelta(minutes=minutes)
            ends = wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        given = {
            "uid": str(UUID(int=number, version=4)),
            "clinician_id": self.unlu,
            "kind": Kind.SESSION if client_ids else Kind.MEETING,
            "zone": zone,
            "starts_local": local,
            "starts_at": starts,
            "ends_at": ends,
            "revision": number % 3,
            "created_at": NOW - timedelta(days=40),
            "changed_at": NOW - timedelta(days=number % 40, seconds=number),
        }
        row = Appointment(**(given | more))
        row.attendance = [
            AppointmentClient(client_id=client_id, position=position)
            for position, client_id in enumerate(client_ids)
        ]
        self.rows.append(row)


@pytest.fixture
def everything(practice: Practice, now: Clock) -> Practice:
    """Whatever a feed can meet, in both clinicians' calendars."""
    with transaction() as session:
        kinds = [
            AppointmentType(name="Couple, 80 min; \\ first"),
            AppointmentType(name="Substance use", ceiling=DisplayMode.BUSY),
            AppointmentType(name="Intake\u2028LOCATION:x", ceiling=DisplayMode.INITIALS),
        ]
        joan = Client(first_name="Joan", last_name="Swift", internal_id="J-1", created_at=NOW)
        shy = Client(
            first_name="Wanda",
            preferred_name="Wan",
            internal_id="W-1",
            ceiling=DisplayMode.BUSY,
            created_at=NOW,
        )
        strange = [
            Client(first_name=text, last_name="O;'Brien,", internal_id=f"h-{n}", created_at=NOW)
            for n, text in enumerate(HOSTILE[::2])
            if re.search(r"\w", text)
        ]
        session.add_all([*kinds, joan, shy, *strange])
        session.flush()
        rows = Schedule(practice)
        everyday(rows, practice, joan.id, shy.id, [kind.id for kind in kinds])
        clock_changes(rows, practice)
        edges_of_windows(rows, practice)
        for n, client in enumerate(strange):
            rows.add(f"2026-12-{1 + n % 28:02} 0{n % 10}:00", client.id)
        for n, text in enumerate(HOSTILE):
            at = f"2027-01-{1 + n % 28:02} 0{n % 10}:00"
            rows.add(at, title=text, location=text, clinician_id=rows.anna)
        session.add_all(rows.rows)
        session.add_all(
            Initials(clinician_id=rows.unlu, client_id=client_id, letters="J.S.", number=number)
            for number, client_id in enumerate((practice.jane, joan.id), 1)
        )
        session.get_one(Clinician, rows.anna).name = "Anna; Bergström,\u2028 " + "é" * 60
    db.session.remove()
    return practice


def everyday(rows: Schedule, practice: Practice, joan: int, shy: int, type_ids: list[int]) -> None:
    plain, secret, capped = type_ids
    jane, mark, zoe = practice.jane, practice.mark, practice.zoe
    rows.add("2026-11-23 09:00", jane, location="Room 2", type_id=plain)
    rows.add("2026-11-23 10:00", jane, mark, location="Main office, 2nd floor; left")
    rows.add("2026-11-23 11:00", jane, mark, zoe, joan, type_id=plain)
    rows.add("2026-11-24 09:00", joan, location="Telehealth", telehealth_address=ROOM)
    rows.add("2026-11-24 10:00", zoe, location="Telehealth", telehealth_address=ROOM, type_id=plain)
    rows.add("2026-11-24 11:00", shy, location="Telehealth", telehealth_address=ROOM)
    rows.add("2026-11-24 12:00", jane, shy)
    rows.add("2026-11-24 13:00", jane, type_id=secret, location="Room 2")
    rows.add("2026-11-24 14:00", shy, type_id=secret, status=Status.LATE_CANCELLED)
    rows.add("2026-11-24 15:00", zoe, type_id=capped)
    rows.add("2026-11-25 09:00", mark, status=Status.CANCELLED, location="Room 2")
    rows.add("2026-11-25 10:00", mark, status=Status.LATE_CANCELLED)
    rows.add("2026-11-25 11:00", mark, status=Status.NO_SHOW)
    rows.add("2026-11-25 12:00", title="About Jane Smith")
    rows.add("2026-11-25 13:00", kind=Kind.SUPERVISION)
    rows.add("2026-11-25 14:00", kind=Kind.OTHER, title="   ")
    rows.add("2026-11-25 15:00", kind=Kind.SESSION)
    rows.add("2026-11-25 16:00", kind=Kind.TIME_OFF, title="Dentist", location="Main office")
    off: dict[str, Any] = {"kind": Kind.TIME_OFF, "all_day": True}
    rows.add("2026-11-27 00:00", minutes=24 * 60, **off)
    rows.add("2026-12-24 00:00", minutes=9 * 24 * 60, **off)
    rows.add("2026-11-30 00:00", minutes=24 * 60, title="Retreat", all_day=True)
    rows.add("2026-12-01 00:00", minutes=24 * 60, **off, status=Status.CANCELLED)
    rows.add("2026-12-31 23:30", jane, minutes=90, clinician_id=rows.anna)


def clock_changes(rows: Schedule, practice: Practice) -> None:
    """In New York on 1 November 2026 and on 14 March 2027, and in odd zones elsewhere."""
    off: dict[str, Any] = {"kind": Kind.TIME_OFF, "all_day": True}
    for at in ("10-31 23:30", "11-01 00:30", "11-01 01:30", "11-01 02:30", "11-02 10:00"):
        rows.add(f"2026-{at}", practice.zoe, minutes=240)
    for at in ("03-13 23:30", "03-14 01:30", "03-14 02:30", "03-14 03:00", "03-15 10:00"):
        rows.add(f"2027-{at}", practice.zoe, minutes=240)
    rows.add("2026-11-01 00:00", minutes=24 * 60, **off)
    rows.add("2026-10-31 00:00", minutes=3 * 24 * 60, **off)
    rows.add("2027-03-14 00:00", minutes=24 * 60, **off)
    for zone in (
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Kiritimati",
        "Pacific/Pago_Pago",
    ):
        rows.add("2027-04-04 01:45", practice.zoe, zone=zone)
        rows.add("2027-04-04 00:00", minutes=24 * 60, zone=zone, **off)


def edges_of_windows(rows: Schedule, practice: Practice) -> None:
    """One second, and one day, on either side of each window's first and last midnight."""
    zone = ZoneInfo(ZONE)
    today = NOW.astimezone(zone).replace(hour=0, tzinfo=None)
    firsts = [today - timedelta(days=back) for back in (0, 7, 22, 30, 90)]
    lasts = [datetime(2026, 12, 24), datetime(2027, 2, 24), datetime(2027, 3, 24)]
    lasts += [datetime(2027, 5, 24), datetime(2027, 11, 24)]
    second, a_day = timedelta(seconds=1), timedelta(days=1)
    for edge in [*firsts, *lasts]:
        for start in (edge - second, edge, edge + second, edge - timedelta(minutes=50)):
            rows.add(start.isoformat(), practice.mark, clinician_id=rows.anna)
        for day in (edge - a_day, edge):
            rows.add(day.isoformat(), minutes=24 * 60, all_day=True, clinician_id=rows.anna)


def every_link(practice: Practice) -> Iterator[tuple[str, Link]]:
    for key in (practice.unlus_calendar, access.PRACTICE):
        whose = "practice" if key == access.PRACTICE else "own"
        for mode in DisplayMode:
            for chosen, choices in CHOICES.items():
                name = f"{whose}, {mode}, {chosen}"
                yield (
                    name,
                    links.create(practice.ada, key, "Phone", mode, choices=choices, confirmed=True),
                )
    for key in (practice.annas_calendar, access.PRACTICE):
        for back, ahead in WINDOWS:
            yield (
                f"{key}, {back} days to {ahead} months",
                links.create(
                    practice.ada,
                    key,
                    "Phone",
                    DisplayMode.INITIALS,
                    days_back=back,
                    months_ahead=ahead,
                ),
            )
