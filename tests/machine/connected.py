"""Dr. Ünlü's account on a real CalDAV server, and the product's connection to it."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from icalendar import Calendar

from tests.journeys.product import until
from tests.machine.acts import Act
from tests.machine.installation import Entry
from tests.machine.model import ZONE, Model, Row, Told, window
from tests.machine.office import Office
from tests.machine.readings import told, unfolded
from tests.radicale import Radicale
from tests.wire import wire

# Whose calendar is connected.
WHOSE = "unlu"

# What is private there.
DENTIST = "Canary-of-the-dentist"

PRIVATE = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Invented//Phone 1.0//EN
BEGIN:VEVENT
UID:{name}
DTSTAMP:20261101T000000Z
DTSTART:{starts:%Y%m%dT%H%M%SZ}
DTEND:{ends:%Y%m%dT%H%M%SZ}
SUMMARY:Canary-of-the-dentist
END:VEVENT
END:VCALENDAR
"""

PRIVATE_FROM = datetime(2026, 11, 25, 11, tzinfo=UTC)

Effect = Callable[[Model], list[Entry]]

# Longer than a lease that somebody died with.
OVER_A_LEASE = timedelta(minutes=4)

SECONDS_TO_PASS = 6


class Account:
    """Files on the server, and what an app on a phone does there; `personal` is a calendar of
    their own, the other one the product has made.
    """

    def __init__(self, radicale: Radicale) -> None:
        self.url = radicale.url
        self.user, self.password = radicale.new_user()
        self._root = radicale.folder / "collections" / "collection-root" / self.user
        self._wire = wire()
        self._wire.auth = (self.user, self.password)
        self.private: dict[str, bytes] = {}
        self._ask("MKCALENDAR", "personal/")

    def copies(self) -> dict[str, bytes]:
        """What does not belong to the person, by its path."""
        return {path: body for path, body in self._files() if path not in self.private}

    def check_private(self) -> None:
        """Nobody has touched what is private."""
        files = dict(self._files())
        assert {path: files.get(path) for path in self.private} == self.private

    def busy(self) -> set[tuple[datetime, datetime]]:
        """When the personal calendar takes time."""
        personal = [body for path, body in self.private.items() if path.startswith("personal/")]
        return {each[:2] for body in personal for each in told(body)}

    def add_private(self, calendar: str) -> None:
        name = f"private-{len(self.private)}"
        starts = PRIVATE_FROM + timedelta(hours=len(self.private))
        path = f"{calendar}/{name}.ics"
        ends = starts + timedelta(minutes=30)
        self._ask("PUT", path, PRIVATE.format(name=name, starts=starts, ends=ends).encode())
        self.private[path] = (self._root / path).read_bytes()

    def change(self, path: str, by: timedelta, title: str = "") -> None:
        """Later by so much, and by another name if one is said."""
        calendar = Calendar.from_ical((self._root / path).read_bytes())
        event: Any = calendar.events[0]
        for name in ("DTSTART", "DTEND"):
            event[name].dt += by
        event["SUMMARY"] = title or event["SUMMARY"]
        self._ask("PUT", path, calendar.to_ical())

    def remove(self, path: str) -> None:
        self._ask("DELETE", path)

    def _files(self) -> list[tuple[str, bytes]]:
        """One that goes while it is looked for is gone."""
        found = []
        for path in sorted(self._root.glob("*/*.ics")):
            with suppress(FileNotFoundError):
                found.append((str(path.relative_to(self._root)), path.read_bytes()))
        return found

    def _ask(self, method: str, path: str, body: bytes = b"") -> None:
        address, kind = f"{self.url}{self.user}/{path}", {"Content-Type": "text/calendar"}
        self._wire.request(method, address, data=body, headers=kind, timeout=30).raise_for_status()


class Connected:
    """The account and the office beside it."""

    def __init__(self, office: Office, account: Account) -> None:
        self.office, self.account = office, account
        office.secrets |= {DENTIST, account.password}
        # Those that were too old to be looked after, when the clock was later than now.
        self._left: set[str] = set()

    # what happens

    def settle(self, who: str, mode: str) -> None:
        """The calendar is connected, and there is nothing that the product would still do."""
        self._end()
        connection = self.office.model.connection
        if connection is None or connection[1]["state"] == "ended":
            self._connect(who, mode)
        elif connection[1]["state"] == "held":
            number = connection[0]
            self._do(who, number, "answer", {"rule": "ask"}, lambda m: m.go_on(who, number))
        self.pass_(who)

    def pass_(self, who: str) -> None:
        """The product passes; what is asked is put back, until there is nothing left to do."""
        fence = self._row()["fence"]

        def is_done() -> bool:
            row = self._row()
            for number, appointment in self._questions().items():
                self._put_back(who, number, appointment)
            if self._is_stuck():
                self._press(who)
            passed = row["fence"] > fence and row["leased_until"] is None
            return passed and not self._questions() and self._there() == self._told()

        self._until(is_done, lambda: self._press(who))
        self.check()

    def change(self, who: str, what: str, which: int, by: timedelta, *, follows: bool) -> None:
        """Somebody changes something there; what is asked about it `who` answers."""
        if what in {"private", "personal"}:
            self.account.add_private("personal" if what == "personal" else self._place())
            self.pass_(who)
            return
        standing = sorted(self._standing().items())
        if not standing:
            return
        path, before = standing[which % len(standing)]
        if what == "rename":
            self.account.change(path, timedelta(), "Gym")
            self.pass_(who)
        elif what == "move":
            self.account.change(path, by)
            self._decide(who, before, before[0] + by, follows=follows)
        else:
            self.account.remove(path)
            self._decide(who, before, None, follows=follows)

    def _decide(self, who: str, before: Told, moved: datetime | None, *, follows: bool) -> None:
        """The product asks about just this change, and does as it is told."""
        self._until(lambda: bool(self._questions()), lambda: self._press(who))
        ((number, appointment),) = self._questions().items()
        assert self._wanted()[appointment] == before
        if follows:
            starts = moved.astimezone(ZONE).replace(tzinfo=None) if moved else None
            self._answer(who, number, "accept", lambda m: m.follow(who, appointment, starts))
        else:
            self._put_back(who, number, appointment)
        self.pass_(who)

    def before_the_clock_goes_back(self) -> None:
        starts = window(self.office.product.now())[0]
        copies = self.account.copies().items()
        self._left |= {path for path, body in copies if told(body)[0][1] <= starts}

    # what must hold

    def check(self) -> None:
        """What lies outside is what the model says."""
        there, wanted = self._there(), self._told()
        assert there == wanted, (there, wanted, self._row()["state"], self._row()["trouble"])
        for body in self.account.copies().values():
            self.office.check_canaries(unfolded(body), told(body)[0][2])
        self.account.check_private()
        with self.office.product.database() as opened:
            rows = opened.execute("SELECT starts_at, ends_at FROM busy_time").fetchall()
        assert {(_moment(a), _moment(b)) for a, b in rows} == self.account.busy()

    def _there(self) -> list[Told]:
        """What lies there, but for what was left there long ago."""
        wanted = self._told()
        left = [told(body)[0] for path, body in self._in_reach() if path in self._left]
        return sorted([*self._standing().values(), *(each for each in left if each in wanted)])

    def _standing(self) -> dict[str, Told]:
        return {path: told(body)[0] for path, body in self._in_reach() if path not in self._left}

    def _in_reach(self) -> list[tuple[str, bytes]]:
        starts = window(self.office.product.now())[0]
        copies = self.account.copies().items()
        return [(path, body) for path, body in copies if told(body)[0][1] > starts]

    def _told(self) -> list[Told]:
        return sorted(self._wanted().values())

    def _wanted(self) -> dict[int, Told]:
        _, connection = self._connection()
        return self.office.model.events(connection, self.office.product.now())

    def _connection(self) -> tuple[int, Row]:
        connection = self.office.model.connection
        assert connection is not None
        return connection

    # small steps

    def _end(self) -> None:
        """One that is over takes back everything."""
        connection = self.office.model.connection
        if connection is None or connection[1]["state"] != "leaving":
            return
        self._until(lambda: self._row()["state"] == "ended", lambda: None)
        assert (self._row()["state"], self.account.copies()) == ("ended", {})
        self.account.check_private()
        connection[1]["state"] = "ended"

    def _connect(self, who: str, mode: str) -> None:
        form = {
            "server": self.account.url,
            "user": self.account.user,
            "password": self.account.password,
            "mode": mode,
            "rule": "ask",
            "confirmed": "y",
        }
        place = f"/calendars/{self.office.desk.keys[WHOSE]}/connections"
        path = f"{place}/new?direction=two_way&provider=other"
        if not self.office.do(Act(who, path, form, lambda m: m.connect(who, WHOSE, mode))):
            raise AssertionError("a mode within the ceiling was refused")
        number = max(self.office.model.connections)
        page = self.office.people[who].get(f"{place}/{number}/start").text
        (personal,) = re.findall(r'name="busy" value="([^"]*/personal/)"', page)
        ticked = {"busy_listed": "1", "busy": personal}
        self._do(who, number, "start", ticked, lambda m: m.start_connection(who, number))

    def _do(self, who: str, number: int, what: str, form: Row, effect: Effect) -> None:
        path = f"/calendars/{self.office.desk.keys[WHOSE]}/connections/{number}/{what}"
        assert self.office.do(Act(who, path, form, effect))

    def _until(self, happens: Callable[[], bool], begin: Callable[[], None]) -> None:
        """A lease that somebody died with is stepped over."""
        for _ in range(5):
            begin()
            with suppress(AssertionError):
                until(happens, SECONDS_TO_PASS)
                return
            self.office.product.step(OVER_A_LEASE)

    def _press(self, who: str) -> None:
        number, row = self._connection()[0], self._row()
        assert (row["id"], row["state"]) == (number, "working"), row["trouble"]
        self._do(who, number, "retry" if self._is_stuck() else "sync", {}, lambda _: [])

    def _answer(self, who: str, number: int, what: str, effect: Effect) -> None:
        form = {"despite": "Both agreed"}
        assert self.office.do(Act(who, f"/proposals/{number}/{what}", form, effect))

    def _put_back(self, who: str, number: int, appointment: int) -> None:
        self._answer(who, number, "put-back", lambda m: m.put_back(who, appointment))

    def _place(self) -> str:
        """The folder of the calendar that the product made."""
        return str(self._row()["outside_id"]).rstrip("/").rpartition("/")[2]

    def _row(self) -> Row:
        return self._rows("connection ORDER BY id DESC LIMIT 1")[0]

    def _questions(self) -> dict[int, int]:
        found = self._rows("proposal WHERE decided_at IS NULL ORDER BY id")
        return {row["id"]: row["appointment_id"] for row in found}

    def _is_stuck(self) -> bool:
        """What was put back again and again waits for somebody to say so."""
        return bool(self._rows("copy WHERE parked"))

    def _rows(self, where: str) -> list[Row]:
        with self.office.product.database() as opened:
            found = opened.execute(f"SELECT * FROM {where}")
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found]


def _moment(stored: str) -> datetime:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)
