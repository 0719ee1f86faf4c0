"""What the practice must be like: plain dicts, and rules in plain words, none of the product's.

Each change returns what the audit must say of it, or raises Refusal where the product must refuse.
"""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.machine.installation import Entry

ZONE = ZoneInfo("America/New_York")

STRICTEST_FIRST = ("busy", "internal_id", "initials", "first_name", "full_name")

ANNA_MAY = {"clinician", "scheduler"}
SAM_MAY = {"scheduler", "administrator"}

DAYS_BACK, MONTHS_AHEAD = 30, 6

# Start, end, title and place of an event.
Told = tuple[datetime, datetime, str, str]

Row = dict[str, Any]


class Refusal(Exception):
    """The product has to say no, and to change nothing."""


@dataclass
class Model:
    """`users` and `clients` by name, the others by their number; `retired` only ever grows."""

    users: dict[str, Row]
    clients: dict[str, Row]
    calendars: dict[str, str]
    ceiling: str = "full_name"
    appointments: dict[int, Row] = field(default_factory=dict)
    links: dict[int, Row] = field(default_factory=dict)
    connections: dict[int, Row] = field(default_factory=dict)
    initials: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)

    def copy(self) -> "Model":
        return deepcopy(self)

    # who may do what

    def is_in(self, name: str) -> bool:
        return name in self.users and not self.users[name]["disabled"]

    def may_schedule(self, name: str, clinician: str) -> bool:
        everyones = self.users[name]["role"] in {"scheduler", "administrator"}
        return everyones or self.users[name]["clinician"] == clinician

    def may_share(self, name: str, calendar: str) -> bool:
        everyones = self.users[name]["role"] in {"scheduler", "administrator"}
        return everyones or (calendar != "practice" and self.users[name]["clinician"] == calendar)

    def those_in(self) -> list[str]:
        return [name for name in self.users if self.is_in(name)]

    # the schedule

    def book(self, who: str, **asked: Any) -> list[Entry]:
        number = max(self.appointments, default=0) + 1
        self.appointments[number] = {**asked, "cancelled": False}
        self._number_initials(self.appointments[number])
        return [(self.word(who), "appointment.created", f"appointment:{number}")]

    def edit(self, who: str, number: int, **asked: Any) -> list[Entry]:
        self.appointments[number] |= asked
        self._number_initials(self.appointments[number])
        return [(self.word(who), "appointment.changed", f"appointment:{number}")]

    def cancel(self, who: str, number: int) -> list[Entry]:
        if self.appointments[number]["cancelled"]:
            return []
        self.appointments[number]["cancelled"] = True
        return [(self.word(who), "appointment.cancelled", f"appointment:{number}")]

    def import_file(self, clinician: str, clinician_id: int, rows: list[Row]) -> list[Entry]:
        """By command; each row is one that was not there before."""
        for row in rows:
            self.book("command", clinician=clinician, **row)
        return [("command", "import.applied", f"clinician:{clinician_id}")]

    def _number_initials(self, appointment: Row) -> None:
        """Equal initials are numbered in the order in which a clinician came to see them."""
        for client in appointment["clients"]:
            same = self.initials.setdefault((appointment["clinician"], self._letters(client)), [])
            if client not in same:
                same.append(client)

    # the links

    def create_link(self, who: str, calendar: str, label: str, mode: str) -> list[Entry]:
        if _wider(mode, self.ceiling):
            raise Refusal
        number = max(self.links, default=0) + 1
        self.links[number] = {
            "calendar": calendar,
            "label": label,
            "mode": mode,
            "maker": who,
            "place": True,
            "time_off": True,
            "last_day": None,
            "dead": False,
            "undecided": False,
            "token": "",
        }
        return [(self.word(who), "link.created", f"link:{number}")]

    def change_link(self, who: str, number: int, now: datetime, **asked: Any) -> list[Entry]:
        link = self.links[number]
        self._refuse_dead(number, now)
        shown = self.within(link["mode"])
        if asked["mode"] != shown and _wider(asked["mode"], self.ceiling):
            raise Refusal
        if asked["mode"] == shown:
            asked["mode"] = link["mode"]
        changed = any(link[fact] != value for fact, value in asked.items())
        link |= asked
        return [(self.word(who), "link.changed", f"link:{number}")] if changed else []

    def change_mode(self, who: str, number: int, now: datetime, mode: str) -> list[Entry]:
        self._refuse_dead(number, now)
        if self.within(self.links[number]["mode"]) == mode:
            return []
        if _wider(mode, self.ceiling):
            raise Refusal
        self.links[number]["mode"] = mode
        return [(self.word(who), "link.mode_changed", f"link:{number}")]

    def reset_link(self, who: str, number: int, now: datetime) -> list[Entry]:
        self._refuse_dead(number, now)
        self._retire(number)
        return [(self.word(who), "link.reset", f"link:{number}")]

    def disable_link(self, who: str, number: int, now: datetime) -> list[Entry]:
        self._refuse_dead(number, now)
        self._end(number)
        return [(self.word(who), "link.disabled", f"link:{number}")]

    def is_live(self, number: int, now: datetime) -> bool:
        link = self.links[number]
        return not link["dead"] and not self._is_over(link, now)

    def opens(self, number: int, now: datetime) -> bool:
        """Whether its address shows appointments."""
        return self.is_live(number, now) and self.links[number]["token"] not in self.retired

    def forget_those_over(self, now: datetime) -> None:
        """Before the clock is set back: whether a link that has ended by its own day was ended
        for good depends on when the worker last looked.
        """
        for link in self.links.values():
            link["undecided"] = link["undecided"] or self._is_over(link, now)

    def _is_over(self, link: Row, now: datetime) -> bool:
        if link["last_day"] is None:
            return False
        return bool(now.astimezone(ZONE).date() > link["last_day"])

    def _refuse_dead(self, number: int, now: datetime) -> None:
        if not self.is_live(number, now):
            raise Refusal

    def _retire(self, number: int) -> None:
        if token := self.links[number]["token"]:
            self.retired.add(token)
        self.links[number]["token"] = ""

    def _end(self, number: int) -> None:
        if not self.links[number]["dead"]:
            self._retire(number)
            self.links[number]["dead"] = True

    # the calendar outside

    @property
    def connection(self) -> tuple[int, Row] | None:
        """The latest, which is over if its state is `leaving` or `ended`."""
        return max(self.connections.items(), default=None, key=lambda each: each[0])

    def connect(self, who: str, calendar: str, mode: str) -> list[Entry]:
        """Nothing is written yet."""
        if _wider(mode, self.ceiling):
            raise Refusal
        number = max(self.connections, default=0) + 1
        self.connections[number] = {
            "calendar": calendar,
            "mode": mode,
            "maker": who,
            "place": True,
            "time_off": True,
            "state": "new",
        }
        return [(self.word(who), "connection.created", f"connection:{number}")]

    def start_connection(self, who: str, number: int) -> list[Entry]:
        """With a calendar there that blocks time."""
        self.connections[number]["state"] = "working"
        subject = f"connection:{number}"
        return [
            (self.word(who), "connection.changed", subject),
            (self.word(who), "connection.started", subject),
        ]

    def go_on(self, who: str, number: int) -> list[Entry]:
        """Somebody has looked after a restore."""
        self.connections[number]["state"] = "working"
        return [(self.word(who), "connection.started", f"connection:{number}")]

    def put_back(self, who: str, number: int) -> list[Entry]:
        return [(self.word(who), "appointment.proposal_decided", f"appointment:{number}")]

    def follow(self, who: str, number: int, starts: datetime | None) -> list[Entry]:
        """It is moved here too, or cancelled."""
        done = self.edit(who, number, starts=starts) if starts else self.cancel(who, number)
        return done + self.put_back(who, number)

    # the people and the policy

    def change_ceiling(self, who: str, ceiling: str) -> list[Entry]:
        self.ceiling = ceiling
        return [(self.word(who), "practice.policy_changed", "practice")]

    def change_role(self, who: str, name: str, role: str) -> list[Entry]:
        self.users[name]["role"] = role
        for number, link in self.links.items():
            if link["maker"] == name and not self.may_share(name, link["calendar"]):
                self._end(number)
        for connection in self.connections.values():
            if connection["maker"] == name and not self.may_share(name, connection["calendar"]):
                self._leave(connection)
        return [(self.word(who), "user.changed", self.word(name))]

    def disable_user(self, who: str, name: str) -> list[Entry]:
        self.users[name]["disabled"] = True
        for number, link in self.links.items():
            if name in {link["calendar"], link["maker"]}:
                self._end(number)
        for connection in self.connections.values():
            if name in {connection["calendar"], connection["maker"]}:
                self._leave(connection)
        return [(self.word(who), "user.disabled", self.word(name))]

    def _leave(self, connection: Row) -> None:
        """It takes back what it wrote."""
        if connection["state"] != "ended":
            connection["state"] = "leaving"

    def enable_user(self, who: str, name: str) -> list[Entry]:
        self.users[name]["disabled"] = False
        return [(self.word(who), "user.enabled", self.word(name))]

    def word(self, who: str) -> str:
        """How the audit calls them."""
        return f"user:{self.users[who]['id']}" if who in self.users else who

    # backups

    def restored(self, backup: "Model", now: datetime) -> "Model":
        """As it was then, but no link whose address has died since lives, and those made since
        are unknown.
        """
        self.forget_those_over(now)
        found = backup.copy()
        addresses = {link["token"] for link in found.links.values()}
        since = {link["token"] for link in self.links.values()} - addresses
        found.retired |= (self.retired | since) - {""}
        undecided = {link["token"] for link in self.links.values() if link["undecided"]}
        for link in found.links.values():
            link["undecided"] = link["undecided"] or link["token"] in undecided
            link["dead"] = link["dead"] or link["token"] in found.retired
        for connection in found.connections.values():
            over = connection["state"] in {"leaving", "ended"}
            connection["state"] = "ended" if over else "held"
        return found

    # what a link tells, and a connection

    def told(self, link: Row, now: datetime) -> list[Told]:
        """In order of time; a connection tells the same."""
        return sorted(self.events(link, now).values())

    def events(self, link: Row, now: datetime) -> dict[int, Told]:
        """By the number of the appointment."""
        starts, ends = window(now)
        return {
            number: self._event(found, link)
            for number, found in self.appointments.items()
            if not found["cancelled"]
            and link["calendar"] in {"practice", found["clinician"]}
            and (link["time_off"] or found["kind"] != "time_off")
            and _utc(found["starts"]) < ends
            and _utc(found["starts"]) + timedelta(minutes=found["minutes"]) > starts
        }

    def _event(self, found: Row, link: Row) -> Told:
        modes = [
            link["mode"],
            self.ceiling,
            *(self.clients[c]["at_most"] for c in found["clients"]),
        ]
        mode = min(modes, key=STRICTEST_FIRST.index)
        whose = f"{self.calendars[found['clinician']]}: " if link["calendar"] == "practice" else ""
        starts = _utc(found["starts"])
        return (
            starts,
            starts + timedelta(minutes=found["minutes"]),
            whose + self._title(found, mode),
            found["place"] if link["place"] and mode != "busy" else "",
        )

    def _title(self, found: Row, mode: str) -> str:
        if mode == "busy":
            return "Busy"
        if found["kind"] == "time_off":
            return "Time off"
        if found["kind"] == "meeting":
            return found["title"] if mode == "full_name" else "Meeting"
        if len(found["clients"]) >= 3:
            return f"Group ({len(found['clients'])})"
        return " & ".join(self._name(c, found["clinician"], mode) for c in found["clients"])

    def _name(self, client: str, clinician: str, mode: str) -> str:
        known = self.clients[client]
        if mode == "internal_id":
            return str(known["internal_id"])
        if mode == "first_name":
            return str(known["first"])
        if mode == "full_name":
            return f"{known['first']} {known['last']}"
        letters = self._letters(client)
        same = self.initials[clinician, letters]
        return letters + (str(same.index(client) + 1) if len(same) > 1 else "")

    def _letters(self, client: str) -> str:
        return f"{self.clients[client]['first'][0]}.{self.clients[client]['last'][0]}."

    def within(self, mode: str) -> str:
        return min(mode, self.ceiling, key=STRICTEST_FIRST.index)


def _wider(mode: str, ceiling: str) -> bool:
    return STRICTEST_FIRST.index(mode) > STRICTEST_FIRST.index(ceiling)


def window(now: datetime) -> tuple[datetime, datetime]:
    """From one midnight to another, where the practice is."""
    today = now.astimezone(ZONE).date()
    year, month = divmod(today.year * 12 + today.month - 1 + MONTHS_AHEAD, 12)
    last = date(year, month + 1, min(today.day, 28))
    assert last.day == today.day, "the machine's clock stays within the first 28 days of a month"
    return _midnight(today - timedelta(days=DAYS_BACK)), _midnight(last + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZONE).astimezone(UTC)


def _utc(wall: datetime) -> datetime:
    return wall.replace(tzinfo=ZONE).astimezone(UTC)
