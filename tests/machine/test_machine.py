"""The running product, whatever happens to it in whatever order.

A Hypothesis machine drives one installation over HTTP and by commands, kills it, sets its clock
and restores its backups, beside a model of plain dicts. Choices are numbers of a fixed range that
pick from what there is, so that what is drawn never depends on how a race ended.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.machine.acts import Act
from tests.machine.connected import Account, Connected
from tests.machine.model import ANNA_MAY, SAM_MAY, STRICTEST_FIRST, ZONE, Model
from tests.machine.office import Office
from tests.machine.prepared import practice_of, written_as_ics
from tests.machine.soaking import rounds, soaks
from tests.practice import Settled
from tests.radicale import Radicale

T = TypeVar("T")

ANY = st.integers(0, 999)

MONDAY = datetime(2026, 11, 23)

# Most at the edges of what a feed reaches, which moves on at midnight.
DAYS = st.integers(-32, -28) | st.integers(178, 183) | st.integers(-5, 40)

HOURS = st.integers(8, 17)

CLIENTS = ("Jane", "Mark", "Zoë")

KINDS = ("session", "session", "session", "meeting", "time_off")

PLACES = ("", "Room 2", "Telehealth")

MODES = st.sampled_from(STRICTEST_FIRST)

CHANGES = st.sampled_from(["move", "remove", "rename", "private", "personal"])

DOWN = st.sampled_from(["killed", "stopped", "parent killed"])

# A booking takes about so long.
LONGEST_BEFORE_A_KILL = 120


def one_of(found: Sequence[T], which: int) -> T:
    return found[which % len(found)]


class TheProduct(RuleBasedStateMachine):
    """`prepared` is the installation to begin from, `radicale` the calendar server beside it."""

    prepared: Settled
    radicale: Radicale

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        shutil.copytree(self.prepared.data_dir, self.folder / "instance")
        self.made = 0

    @initialize(seed=st.integers(0, 2**32))
    def opens(self, seed: int) -> None:
        model, desk = practice_of(self.prepared.practice)
        self.office = Office(self.folder, model, desk, Random(seed))
        self.outside = Connected(self.office, Account(self.radicale))

    def teardown(self) -> None:
        if hasattr(self, "office"):
            self.office.product.kill_if_running()
        shutil.rmtree(self.folder)

    @property
    def model(self) -> Model:
        return self.office.model

    # the schedule

    @rule(who=ANY, clinician=ANY, number=ANY, kind=ANY, place=ANY, days=DAYS, hour=HOURS)
    def book(self, **drawn: int) -> None:
        self.office.do(self.booking(**drawn))

    def booking(self, who: int, clinician: int, **drawn: int) -> Act:
        whose = one_of(("unlu", "anna"), clinician)
        return self.office.desk.book(
            one_of(self.those_who_schedule(whose), who), self.wish(whose, **drawn)
        )

    def wish(
        self, whose: str, *, number: int, kind: int, place: int, days: int, hour: int
    ) -> dict[str, Any]:
        what = one_of(KINDS, kind)
        return {
            "clinician": whose,
            "kind": what,
            "clients": [*CLIENTS[: 1 + number % 3]] if what == "session" else [],
            "title": "Canary-of-the-title",
            "starts": MONDAY + timedelta(days=days, hours=hour),
            "minutes": 50,
            "place": one_of(PLACES, place),
        }

    @rule(which=ANY, who=ANY, number=ANY, kind=ANY, place=ANY, days=DAYS, hour=HOURS)
    def edit(self, which: int, who: int, **drawn: int) -> None:
        standing = self.standing()
        if not standing:
            return
        appointment = one_of(standing, which)
        whose = self.model.appointments[appointment]["clinician"]
        doer = one_of(self.those_who_schedule(whose), who)
        self.office.do(self.office.desk.edit(doer, appointment, self.wish(whose, **drawn)))

    @rule(which=ANY, who=ANY, late=st.booleans())
    def cancel(self, which: int, who: int, late: bool) -> None:
        standing = self.standing()
        if not standing:
            return
        appointment = one_of(standing, which)
        doers = self.those_who_schedule(self.model.appointments[appointment]["clinician"])
        self.office.do(self.office.desk.cancel(one_of(doers, who), appointment, late=late))

    @rule(clinician=ANY, count=st.integers(1, 3), good=st.booleans())
    def import_a_file(self, clinician: int, count: int, good: bool) -> None:
        """A bad one changes nothing: its end is missing."""
        whose = one_of(("unlu", "anna"), clinician)
        rows = [self.row_of_a_file(n) for n in range(count)]
        self.made += count
        file = self.folder / "calendar.ics"
        written = written_as_ics(rows, self.made)
        file.write_text(written if good else written[: -len("EVENT\r\nEND:VCALENDAR\r\n")])
        words = ("appointments", "import", str(file), "--clinician", f"{whose}@example.com")
        if not good:
            with pytest.raises(subprocess.CalledProcessError):
                self.office.product.command(*words)
            self.office.expect([])
            return
        self.office.product.command(*words)
        clinician_id = self.office.desk.clinicians[whose]
        self.office.expect(self.model.import_file(whose, clinician_id, rows))

    def row_of_a_file(self, n: int) -> dict[str, Any]:
        """At an hour of its own: what is the same as something booked would be found to be it."""
        number = self.made + n
        return {
            "kind": "session",
            "clients": [one_of(CLIENTS, number)],
            "title": "",
            "starts": MONDAY + timedelta(days=1 + number // 5, hours=18 + number % 5),
            "minutes": 45,
            "place": "",
        }

    # the links

    @rule(who=ANY, calendar=ANY, mode=MODES)
    def create_link(self, who: int, calendar: int, mode: str) -> None:
        whose = one_of(("unlu", "anna", "practice"), calendar)
        doer = one_of(self.those_who_share(whose), who)
        self.made += 1
        self.office.do(self.office.desk.create_link(doer, whose, f"Phone {self.made}", mode))

    @rule(calendar=ANY, mode=MODES)
    def create_link_by_command(self, calendar: int, mode: str) -> None:
        whose = one_of(("unlu", "anna", "practice"), calendar)
        key = whose if whose == "practice" else f"{whose}@example.com"
        self.made += 1
        label = f"Phone {self.made}"
        words = ("link", "create", "--calendar", key, "--label", label, "--display", mode)
        act = Act("command", "", {}, lambda model: model.create_link("command", whose, label, mode))
        after, said = self.office.foresee(act)
        if after is None:
            with pytest.raises(subprocess.CalledProcessError):
                self.office.product.command(*words)
        else:
            self.office.product.command(*words)
            self.office.model = after
        self.office.expect(said)

    @rule(which=ANY, who=ANY, place=st.booleans(), time_off=st.booleans(), ends=st.booleans())
    def change_link(self, which: int, who: int, place: bool, time_off: bool, ends: bool) -> None:
        """It has another name, and may end with this day."""
        found = self.link(which, who)
        if not found:
            return
        number, doer = found
        self.made += 1
        now = self.office.product.now()
        asked = {
            "label": f"Phone {self.made}",
            "mode": self.model.within(self.model.links[number]["mode"]),
            "place": place,
            "time_off": time_off,
            "last_day": now.astimezone(ZONE).date() if ends else None,
        }
        self.office.do(self.office.desk.change_link(doer, self.model, number, now, asked))

    @rule(which=ANY, who=ANY, mode=MODES)
    def change_mode(self, which: int, who: int, mode: str) -> None:
        if found := self.link(which, who):
            number, doer = found
            now = self.office.product.now()
            self.office.do(self.office.desk.change_mode(doer, self.model, number, now, mode))

    @rule(which=ANY, who=ANY)
    def reset_link(self, which: int, who: int) -> None:
        if act := self.resetting(which, who):
            self.office.do(act)

    def resetting(self, which: int, who: int) -> Act | None:
        found = self.link(which, who)
        if not found:
            return None
        number, doer = found
        now = self.office.product.now()
        return self.office.desk.reset_link(doer, self.model, number, now)

    @rule(which=ANY, who=ANY)
    def disable_link(self, which: int, who: int) -> None:
        if act := self.disabling(which, who):
            self.office.do(act)

    def disabling(self, which: int, who: int) -> Act | None:
        found = self.link(which, who)
        if not found:
            return None
        number, doer = found
        now = self.office.product.now()
        return self.office.desk.disable_link(doer, self.model, number, now)

    # the people and the policy

    @rule(mode=st.sampled_from(STRICTEST_FIRST[1:]))
    def change_ceiling(self, mode: str) -> None:
        self.office.do(self.office.desk.change_ceiling("ada", mode))

    @rule(sam=st.booleans(), role=ANY)
    def change_role(self, sam: bool, role: int) -> None:
        name, may = ("sam", SAM_MAY) if sam else ("anna", ANNA_MAY)
        wanted = one_of(sorted(may), role)
        self.office.do(self.office.desk.change_role("ada", self.model, name, wanted))

    @rule(who=ANY)
    def disable_or_enable_a_user(self, who: int) -> None:
        name = one_of(("anna", "sam", "unlu"), who)
        desk = self.office.desk
        change = desk.enable_user if self.model.users[name]["disabled"] else desk.disable_user
        self.office.do(change("ada", self.model, name))

    # the readers

    @rule(which=ANY, held=ANY, tag=st.booleans(), date=st.booleans(), spelling=ANY)
    def ask_again(self, which: int, held: int, tag: bool, date: bool, spelling: int) -> None:
        """Some of those who ask hold what was long ago, or ask for what is dead."""
        if self.office.held:
            token = one_of(sorted(self.office.held), which)
            known = one_of(self.office.held[token], held)
            self.office.ask_again(token, known, tag=tag, date=date, spelling=spelling)

    @rule(which=ANY)
    def ask_for_head(self, which: int) -> None:
        if self.office.seen:
            self.office.ask_for_head(one_of(sorted(self.office.seen), which))

    # the calendar outside

    @rule(
        who=ANY, mode=MODES, what=CHANGES, which=ANY, hours=st.integers(-30, 30), yes=st.booleans()
    )
    def sync(self, who: int, mode: str, what: str, which: int, hours: int, yes: bool) -> None:
        """Somebody changes something there, and it comes to be as the model says."""
        doer = one_of(self.those_who_share("unlu"), who)
        self.outside.settle(doer, self.model.within(mode))
        self.outside.change(doer, what, which, timedelta(hours=hours or 1), follows=yes)

    # mishaps, and those who run the host

    @rule(how=DOWN)
    def go_down_and_up(self, how: str) -> None:
        self.go_down(how)
        self.office.start()

    def go_down(self, how: str) -> None:
        {
            "killed": self.office.product.kill_all,
            "stopped": self.office.product.stop,
            "parent killed": self.office.product.kill,
        }[how]()

    @rule()
    def back_up(self) -> None:
        self.office.back_up()

    @rule(which=ANY, how=DOWN)
    def restore(self, which: int, how: str) -> None:
        """Any backup, older ones too; the newest is as good as any."""
        if self.office.backups:
            self.go_down(how)
            self.office.restore(one_of(self.office.backups, which))

    @rule(key=st.sampled_from(["token", "secret", "database"]), how=DOWN)
    def rotate_a_key(self, key: str, how: str) -> None:
        """While the server runs; that of the database takes turns with it."""
        if key == "database":
            self.go_down(how)
        self.office.product.command("keys", "rotate", key)
        if key == "database":
            self.office.start()
        self.office.expect([("command", "key.rotated", f"key:{key}")])

    @rule(
        what=st.sampled_from(["book", "reset", "disable"]),
        which=ANY,
        who=ANY,
        milliseconds=st.integers(0, LONGEST_BEFORE_A_KILL),
        days=DAYS,
        hour=HOURS,
    )
    def die_while_writing(
        self, what: str, which: int, who: int, milliseconds: int, days: int, hour: int
    ) -> None:
        booking = self.booking(
            who, which, number=which, kind=which, place=which, days=days, hour=hour
        )
        act = {"reset": self.resetting(which, who), "disable": self.disabling(which, who)}.get(what)
        self.office.do_and_kill(act or booking, milliseconds / 1000)

    @rule(days=st.sampled_from([-1, 1]))
    def set_the_clock(self, days: int) -> None:
        """A day at most from where it began, so that no month ends."""
        ahead = (self.office.product.now() - MONDAY.replace(tzinfo=ZONE)).days
        if abs(ahead + days) > 3:
            return
        if days < 0:
            self.model.forget_those_over(self.office.product.now())
            self.outside.before_the_clock_goes_back()
        self.office.product.step(timedelta(days=days))

    @rule()
    def look_into_files(self) -> None:
        self.office.check_files()
        self.office.check_database()
        self.office.check_addresses()

    # what always holds

    @precondition(lambda self: hasattr(self, "office"))
    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        self.office.expect([])
        self.office.check_readings()
        for _ in range(3):
            self.office.probe()
        self.office.expect([])

    # who could do it

    def those_who_schedule(self, clinician: str) -> list[str]:
        return [n for n in self.model.those_in() if self.model.may_schedule(n, clinician)]

    def those_who_share(self, calendar: str) -> list[str]:
        return [n for n in self.model.those_in() if self.model.may_share(n, calendar)]

    def standing(self) -> list[int]:
        return [n for n, found in self.model.appointments.items() if not found["cancelled"]]

    def link(self, which: int, who: int) -> tuple[int, str] | None:
        """A link, dead or alive, and somebody who may change it."""
        known = [n for n, link in self.model.links.items() if not link["undecided"]]
        if not known:
            return None
        number = one_of(known, which)
        return number, one_of(self.those_who_share(self.model.links[number]["calendar"]), who)


# The first example of each round is the shortest there is; the others take half a minute each.
ROUNDS, EXAMPLES, STEPS = 1, 2, 25

SOAK_ROUNDS, SOAK_EXAMPLES, SOAK_STEPS = 30, 4, 40


@pytest.mark.bar("L1", "L3", "L4", "L5", "L6", "L7", "F1", "F3", "F6", "Z1", "Z3")
@pytest.mark.bar("B1", "D2", "D7", "I7", "O1", "O2", "S4", "S5", "S7")
def test_the_product_stays_true_whatever_happens_to_it(
    settled: Settled, radicale: Radicale
) -> None:
    class OnThisInstallation(TheProduct):
        prepared = settled

    OnThisInstallation.radicale = radicale

    how = settings(
        max_examples=SOAK_EXAMPLES if soaks() else EXAMPLES,
        stateful_step_count=SOAK_STEPS if soaks() else STEPS,
        deadline=None,
        database=None,
        # A race may end otherwise the next time: what went wrong is told as it was, not smaller.
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    for _ in rounds(ROUNDS, SOAK_ROUNDS):
        run_state_machine_as_test(OnThisInstallation, settings=how)
