"""What a link must show, told from the database's rows by rules of its own.

Nothing here is the product's but the tables. Slow, and as plain as the words of
the handbook: a feed is held against it.
"""

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AppointmentType,
    Calendar,
    Client,
    Clinician,
    Initials,
    Link,
    Practice,
    db,
)
from tests.readers import Seen

STRICTEST_FIRST = ("busy", "internal_id", "initials", "first_name", "full_name")

WORDS_FOR_KINDS = {
    "session": "Appointment",
    "meeting": "Meeting",
    "supervision": "Supervision",
    "time_off": "Time off",
    "other": "Appointment",
}


class Rows:
    """All that the database holds now."""

    def __init__(self) -> None:
        db.session.rollback()
        attending = selectinload(Appointment.attendance).joinedload(AppointmentClient.client)
        wanted = select(Appointment).options(attending).order_by(Appointment.uid)
        self.appointments = db.session.scalars(wanted).all()
        self.practice = db.session.get_one(Practice, 1)
        self.calendars = {row.id: row for row in db.session.scalars(select(Calendar))}
        self.clinicians = {row.id: row for row in db.session.scalars(select(Clinician))}
        self.types = {row.id: row for row in db.session.scalars(select(AppointmentType))}
        self.initials = db.session.scalars(select(Initials)).all()

    def shown_by(self, link: Link, now: datetime) -> list[Seen]:
        """Every event that the link has to show now, in the order of their UIDs."""
        whose = self.calendars[link.calendar_id].clinician_id
        starts, ends = self.window(link, now)
        return [
            self._event(found, link, practice_wide=whose is None)
            for found in self.appointments
            if whose in {None, found.clinician_id}
            if found.ends_at > starts and found.starts_at < ends
            if link.shows_cancelled or not _is_cancelled(found)
            if link.shows_time_off or found.kind != "time_off"
        ]

    def window(self, link: Link, now: datetime) -> tuple[datetime, datetime]:
        """From the first midnight to the last one, where the practice is."""
        zone = ZoneInfo(self.practice.zone)
        today = now.astimezone(zone).date()
        back = self.practice.days_back if link.days_back is None else link.days_back
        ahead = self.practice.months_ahead if link.months_ahead is None else link.months_ahead
        first, last = today - timedelta(days=back), _months_after(today, ahead)
        return _midnight(first, zone), _midnight(last + timedelta(days=1), zone)

    def _event(self, found: Appointment, link: Link, *, practice_wide: bool) -> Seen:
        mode = self._mode(found, link)
        is_open = mode != "busy"
        room = found.telehealth_address if is_open and link.telehealth != "none" else ""
        place = one_line(found.location) if is_open and link.shows_location else ""
        written = room if link.telehealth == "address" else ""
        kind = self.types[found.type_id].name if found.type_id else ""
        starts: datetime | date = found.starts_at
        ends: datetime | date = found.ends_at
        if found.all_day:
            starts = found.starts_local.date()
            ends = found.ends_at.astimezone(ZoneInfo(found.zone)).date()
        return Seen(
            uid=found.uid,
            starts=starts,
            ends=ends,
            summary=self._summary(found, mode, practice_wide=practice_wide),
            location=" ".join(filter(None, (place, written))),
            description=one_line(kind) if is_open and link.shows_type else "",
            conference=room,
            status="CANCELLED" if _is_cancelled(found) else "CONFIRMED",
            transp="TRANSPARENT" if _is_cancelled(found) else "OPAQUE",
            sequence=found.revision + link.revision + self.practice.policy_revision,
            changed_at=max(found.changed_at, link.changed_at, self.practice.policy_changed_at),
        )

    def _mode(self, found: Appointment, link: Link) -> str:
        """The strictest of all that have a say."""
        says: list[str | None] = [link.mode, self.practice.ceiling]
        says += [client.ceiling for client in found.clients]
        if found.type_id:
            says.append(self.types[found.type_id].ceiling)
        if self.practice.wants_agreement and not link.agreement:
            says.append("first_name")
        return min(filter(None, says), key=STRICTEST_FIRST.index)

    def _summary(self, found: Appointment, mode: str, *, practice_wide: bool) -> str:
        parts = [one_line(self.clinicians[found.clinician_id].name)] if practice_wide else []
        if _is_cancelled(found):
            parts.append("Cancelled")
        if mode != "busy":
            parts.append(self._what(found, mode))
        elif not _is_cancelled(found):
            parts.append("Busy")
        return ": ".join(parts)

    def _what(self, found: Appointment, mode: str) -> str:
        if found.kind == "time_off":
            return "Time off"
        if len(found.clients) >= 3:
            return f"Group ({len(found.clients)})"
        if found.clients:
            return " & ".join(self._name(one, found.clinician_id, mode) for one in found.clients)
        title = one_line(found.title) if mode == "full_name" else ""
        return title or WORDS_FOR_KINDS[found.kind]

    def _name(self, client: Client, clinician_id: int, mode: str) -> str:
        if mode == "internal_id":
            return client.internal_id
        if mode == "first_name":
            return one_line(client.preferred_name or client.first_name)
        if mode == "full_name":
            return one_line(f"{client.first_name} {client.last_name}")
        letters = _letter(client.first_name) + _letter(client.last_name)
        return letters + self._number(client, clinician_id, letters)

    def _number(self, client: Client, clinician_id: int, letters: str) -> str:
        """Only where another client of the clinician has, or had, the same initials."""
        same = [
            row
            for row in self.initials
            if (row.clinician_id, row.letters) == (clinician_id, letters)
        ]
        mine = [str(row.number) for row in same if row.client_id == client.id]
        return mine[0] if mine and len(same) > 1 else ""


def differences(read: list[Seen], held: list[Seen]) -> list[tuple[Seen | None, Seen | None]]:
    """What a reader found beside what there is, where the two are not the same."""
    by_uid = {seen.uid: seen for seen in read}, {seen.uid: seen for seen in held}
    pairs = [tuple(one.get(uid) for one in by_uid) for uid in sorted(by_uid[0] | by_uid[1])]
    wrong = [(found, there) for found, there in pairs if found != there]
    return wrong if len(read) == len(held) else [(None, None), *wrong]


def one_line(text: str) -> str:
    """Every break and gap is one space, and what no reader may see is gone."""
    kept = (
        " " if character.isspace() else character
        for character in text
        if character.isspace()
        or (
            unicodedata.category(character) not in {"Cc", "Cs"}
            and character not in "\ufeff\ufffe\uffff"
        )
    )
    return re.sub(" +", " ", "".join(kept)).strip(" ")


def _is_cancelled(found: Appointment) -> bool:
    return found.status in {"cancelled", "late_cancelled"}


def _letter(name: str) -> str:
    for character in unicodedata.normalize("NFC", name):
        if re.match(r"[^\W_]", character) and unicodedata.category(character) != "Lm":
            return f"{character.title()}."
    return ""


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for number in range(day.day, 0, -1):  # the 31st of a short month is its last day
        try:
            return date(year, month + 1, number)
        except ValueError:
            continue
    raise AssertionError


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
