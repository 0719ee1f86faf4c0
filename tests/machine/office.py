"""The practice at work: server, people, the model beside them, and what must always hold."""

import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import requests

from tests.machine.acts import NOTE, ROOM, Act, Desk
from tests.machine.installation import Entry, Installation, chained, sound
from tests.machine.model import Model, Refusal
from tests.machine.people import Person
from tests.machine.readings import SPELLINGS, Held, Readers, shows_nothing, told, unfolded
from tests.practice import NOW, PASSWORD
from tests.radicale import HOST

# Who acts when nobody does: what they note comes when it comes.
BACKGROUND = {"worker", "phone", "nobody", "setup"}


@dataclass(frozen=True)
class Backup:
    """A file, and what was true when it was made."""

    path: Path
    model: Model
    audit: list[str]


class Office:
    """One installation, started on a prepared data directory, and what it must be like."""

    def __init__(self, folder: Path, model: Model, desk: Desk, chance: Random) -> None:
        self.product = Installation(
            folder, starts_at=NOW + timedelta(minutes=1), SYNC_ALLOW_PRIVATE_ADDRESSES=HOST
        )
        self.model, self.desk, self.chance = model, desk, chance
        self.people = {
            name: Person(self.product.url, f"{name}@example.com", PASSWORD) for name in model.users
        }
        self.stranger = Person(self.product.url, "", "")
        self.readers = Readers(self.product.url)
        self.held: dict[str, list[Held]] = {}
        self.seen: set[str] = set()
        self.secrets: set[str] = set()
        self.audit: list[str] = []
        self.backups: list[Backup] = []
        self.product.start()
        self.note()

    # what happens

    def do(self, act: Act) -> bool:
        """What the model allows the product does, what it refuses the product refuses."""
        after, said = self.foresee(act)
        answer = self.people[act.who].post(act.path, act.form)
        if after is None:
            assert 400 <= answer.status_code < 500, (act, answer.status_code)
            self.expect([])
            return False
        assert answer.status_code == 302, (act, answer.status_code, answer.text)
        self.model = after
        self.expect(said)
        return True

    def do_and_kill(self, act: Act, seconds: float) -> None:
        """The server is killed so long after the form was sent.

        What it acknowledged is there afterwards; else all of it or nothing.
        """
        after, said = self.foresee(act)
        filled = self.people[act.who].filled(act.form)
        answers: list[requests.Response] = []

        def send() -> None:
            with suppress(requests.RequestException):  # nobody answers any more
                answers.append(self.people[act.who].send(act.path, filled))

        sending = threading.Thread(target=send)
        sending.start()
        time.sleep(seconds)
        self.product.kill_all()
        sending.join()
        self.start()
        if after is None:
            self.expect([])
            return
        acknowledged = any(answer.status_code == 302 for answer in answers)
        if self.expect(said, *([] if acknowledged else [[]])) == said:
            self.model = after

    def foresee(self, act: Act) -> tuple[Model | None, list[Entry]]:
        """The model after it and what the audit must say; no model where it is refused."""
        after = self.model.copy()
        try:
            return after, act.effect(after)
        except Refusal:
            return None, []

    def start(self) -> None:
        self.product.start()
        for person in [*self.people.values(), self.stranger]:
            person.hang_up()
        self.readers.hang_up()

    def back_up(self) -> None:
        """One more backup, and what the practice was like when it was made."""
        path = self.product.data_dir.parent / f"backup-{len(self.backups)}"
        self.backups.append(Backup(path, self.model.copy(), [*self.audit]))
        self.product.command("backup", str(path))
        (_, action, _) = self.note()[0]
        assert action == "backup.made"

    def restore(self, backup: Backup) -> None:
        """The server is down; afterwards everything is as it was, but what is dead stays dead."""
        self.product.command("restore", str(backup.path), "--yes")
        self.model = self.model.restored(backup.model, self.product.now())
        self.audit = [*backup.audit]
        self.start()
        self.expect([("command", "backup.restored", "practice")])

    # the audit

    def expect(self, *possible: list[Entry]) -> list[Entry]:
        """What people and commands did since the last look is one of these; returns which."""
        said = self.note()
        assert said in possible, (said, possible)
        return said

    def note(self) -> list[Entry]:
        """The audit has only grown; returns what people and commands did since the last look."""
        with self.product.database() as opened:
            entries = chained(opened, self.audit)
        new = entries[len(self.audit) :]
        self.audit = [digest for digest, _ in entries]
        return [
            (actor, action, subject)
            for _, (actor, action, subject) in new
            if actor not in BACKGROUND and not action.startswith("session.")
        ]

    # what must always hold

    def check_readings(self) -> None:
        """A link shows what the model says, or, once it is dead, nothing; now and for good."""
        self.learn_addresses()
        now = self.product.now()
        for number, link in self.model.links.items():
            if link["undecided"] or not self.model.opens(number, now):
                continue
            answer = self.readers.read(link["token"])
            assert answer.status_code == 200, (number, link, answer.status_code)
            expected = self.model.told(link, now)
            assert told(answer.content) == expected, (number, link)
            self.check_canaries(unfolded(answer.content), " ".join(each[2] for each in expected))
            self.hold(link["token"], answer)
        for token in self.dead():
            answer = self.readers.read(token)
            assert shows_nothing(answer), answer.text

    def dead(self) -> list[str]:
        """Addresses that must show nothing: the latest, and some of old."""
        now = self.product.now()
        over = [
            link["token"]
            for number, link in self.model.links.items()
            if link["token"] and not link["undecided"] and not self.model.opens(number, now)
        ]
        retired = sorted(self.model.retired)
        return over + self.chance.sample(retired, min(6, len(retired)))

    def check_canaries(self, text: str, allowed: str) -> None:
        """Nothing of a client is in it that the mode does not put into the title."""
        words = {NOTE, ROOM, "example.com"}
        for client in self.model.clients.values():
            words |= {client["first"], client["last"], str(client["internal_id"])}
        shown = {word for word in words if word in text.replace("SUMMARY", "")}
        # Dates and stamps are digits too, as an internal ID is.
        shown -= {word for word in shown if word.isdigit() and f":{word}" not in text}
        assert {word for word in shown if word not in allowed} == set()

    def learn_addresses(self) -> None:
        """As the administrator finds them on the page."""
        for number, link in self.model.links.items():
            if link["token"] or link["undecided"]:
                continue
            if self.model.is_live(number, self.product.now()):
                link["token"] = self.address_on_page(number)
                assert link["token"] not in self.seen, "an address was given out twice"
                self.seen.add(link["token"])

    def check_addresses(self) -> None:
        """The page shows each living link's address, whatever keys were changed since."""
        for number, link in self.model.links.items():
            if not link["undecided"] and self.model.is_live(number, self.product.now()):
                assert self.address_on_page(number) == link["token"]

    def address_on_page(self, number: int) -> str:
        path = f"/calendars/{self.desk.keys[self.model.links[number]['calendar']]}/sync"
        page = self.people["ada"].get(f"{path}?link={number}").text
        found = re.search(r'id="link-https" value="[^"]*/cal/([2-9a-z]{33})/', page)
        assert found, page
        return found[1]

    def hold(self, token: str, answer: requests.Response) -> None:
        """A reader keeps it; a tag never stands for two bodies."""
        held = Held(answer.headers["ETag"], answer.headers["Last-Modified"], answer.content)
        of_token = self.held.setdefault(token, [])
        assert all(old.body == held.body for old in of_token if old.etag == held.etag)
        if held not in of_token:
            of_token.append(held)

    def ask_again(self, token: str, held: Held, *, tag: bool, date: bool, spelling: int) -> None:
        """304 only where the bytes are equal to those that the reader holds."""
        asked = {"If-None-Match": held.etag} if tag else {}
        asked |= {"If-Modified-Since": held.date} if date else {}
        spelt = SPELLINGS[spelling % len(SPELLINGS)]
        whole = self.readers.read(token, spelling=spelt)
        answer = self.readers.read(token, asked, spelling=spelt)
        if answer.status_code == 304:
            assert whole.content == held.body, "304 for what the reader does not hold"
            assert answer.content == b""
            return
        assert (answer.status_code, answer.content) == (whole.status_code, whole.content)
        assert not (tag and whole.headers.get("ETag") == held.etag)

    def ask_for_head(self, token: str) -> None:
        whole, head = self.readers.read(token), self.readers.read(token, method="HEAD")
        assert (head.status_code, head.content) == (whole.status_code, b"")
        for name in ("ETag", "Last-Modified", "Content-Length", "Content-Type"):
            assert head.headers.get(name) == whole.headers.get(name)

    def probe(self) -> None:
        """Somebody looks at something: it opens for those whom the matrix lets in."""
        name = self.chance.choice([*self.model.users, "stranger"])
        person = self.people.get(name, self.stranger)
        doors = self.doors(name)
        closed = [door for door in doors if not door[1]]  # of which there are fewer
        path, lets_in, otherwise = self.chance.choice(self.chance.choice([doors, closed or doors]))
        if not self.model.is_in(name):
            answer = person.look(path)
            assert answer.status_code == 302, (name, path)
            assert "/sign-in" in answer.headers["Location"]
            return
        assert person.get(path).status_code == (200 if lets_in else otherwise), (name, path)

    def doors(self, name: str) -> list[tuple[str, bool, int]]:
        """Paths, whether they open for this user, and what is said if not."""
        model, known = self.model, self.model.is_in(name)
        governs = known and model.users[name]["role"] == "administrator"
        found = [
            ("/people", governs, 403),
            ("/settings/policy", governs, 403),
            ("/calendar", True, 403),
        ]
        for calendar, key in self.desk.keys.items():
            shares = known and model.may_share(name, calendar)
            found.append((f"/calendars/{key}/sync", shares, 404))
        for number, link in model.links.items():
            key = self.desk.keys[link["calendar"]]
            shares = known and model.may_share(name, link["calendar"])
            found.append((f"/calendars/{key}/links/{number}", shares, 404))
        for number, appointment in model.appointments.items():
            schedules = known and model.may_schedule(name, appointment["clinician"])
            found.append((f"/calendar/{number}", schedules, 404))
        return found

    def check_files(self) -> None:
        """No address is in any file, nor in the database once it is unlocked; nor any other
        of the `secrets`; no client's name is in a file as it lies there; the server said nothing
        of either.
        """
        names = [str(client["last"]).encode() for client in self.model.clients.values()]
        secrets = [each.lower().encode() for each in self.seen | self.secrets]
        for name, content in self.product.everything_stored():
            for secret in secrets:
                assert secret not in content.lower(), f"a secret stands in {name}"
            for known in names if name != "database" else []:
                assert known not in content, f"a client stands in {name}"
        said = self.product.output()
        assert not any(secret.decode() in said.lower() for secret in secrets)
        assert not any(name.decode() in said for name in [*names, NOTE.encode()])

    def check_database(self) -> None:
        assert self.product.command("audit", "verify").startswith("whole: ")
        with self.product.database() as opened:
            assert {what: wrong for what, wrong in sound(opened).items() if wrong} == {}
            assert [digest for digest, _ in chained(opened)][: len(self.audit)] == self.audit
