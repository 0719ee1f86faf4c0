"""Whatever happens on both sides, in whatever order and with whatever fault: in the end they agree.

Nothing stands there twice, nothing is owed, nobody's appointment is gone, and
whoever's change outside was overwritten had been heard.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from sync_ui import clock
from sync_ui.domain.event import GONE, DisplayMode
from sync_ui.domain.outside import Later, Told
from sync_ui.domain.reconcile import Rule
from sync_ui.errors import Conflict
from sync_ui.gateways.memory import Memory
from sync_ui.models import (
    Appointment,
    AppointmentClient,
    AuditEntry,
    BusyCalendar,
    BusyTime,
    Connection,
    ConnectionState,
    Copy,
    Direction,
    Proposal,
    Step,
    db,
    transaction,
)
from sync_ui.services import appointments, connections, copies, proposals, sync
from sync_ui.services.plans import Plan, plan_of
from sync_ui.services.push import duties
from tests.outside import connect
from tests.practice import NOW, ZONE, Clock, Practice

HOUR = timedelta(hours=1)
WHICH = st.integers(0, 9)
HOURS = st.integers(-5, 5).filter(bool)

# What of the log tells that somebody outside was heard.
HEARD = {"restored", "moved_outside", "removed_outside", "overtaken", "found_again", "adopted"}


ACTIONS = (
    *("work",) * 6,
    *("book", "move_here", "cancel_or_restore", "show_otherwise", "decide", "decide"),
    *("move_there", "move_there", "rename_there", "remove_there", "make_one_there"),
    *("change_there_before_the_next_write", "fail_soon", "lose_answers", "forget_tokens"),
)


class Killed(BaseException):
    """The worker is gone in the middle of a call, without a word."""


class Machine(RuleBasedStateMachine):
    practice: Practice
    now: Clock

    @initialize(
        rule_=st.sampled_from(Rule),
        direction=st.sampled_from([Direction.TWO_WAY, Direction.TWO_WAY, Direction.SEND_ONLY]),
    )
    def begin(self, rule_: Rule, direction: Direction) -> None:
        db.session.rollback()
        with transaction() as session:
            for table in (Step, Proposal, Copy, BusyTime, BusyCalendar, Connection):
                session.execute(delete(table))
            session.execute(delete(AppointmentClient))
            session.execute(delete(Appointment))
            session.execute(delete(AuditEntry))
        self.now.set(NOW)
        self.there = Memory()
        self.outside = connect(self.practice, self.there, direction, rule=rule_)
        self.reads = direction is Direction.TWO_WAY
        self.days = 0
        self.theirs: set[str] = set()
        self.edits: set[str] = set()
        for _ in range(4):
            self.book(0, 0, yes=True)
        self.outside.pass_()

    @rule(
        what=st.sampled_from(ACTIONS),
        which=WHICH,
        hours=HOURS,
        yes=st.booleans(),
    )
    def act(self, what: str, which: int, hours: int, yes: bool) -> None:
        """One rule for all, so that no kind of step is left out of an example."""
        act: Callable[[int, int, bool], None] = getattr(self, what)
        act(which, hours, yes)

    # Here

    def book(self, which: int, hours: int, yes: bool) -> None:
        self.days += 1
        starts = NOW.replace(tzinfo=None) + timedelta(days=self.days)
        jane = appointments.find_clients(db.session(), [self.practice.jane])
        plan = Plan(starts=starts, ends=starts + HOUR, zone=ZONE, clients=jane)
        clinician_id = self.practice.unlu.clinician_id
        assert clinician_id is not None
        appointments.create(self.practice.unlu, clinician_id, plan)

    def move_here(self, which: int, hours: int, yes: bool) -> None:
        row = self.row(which)
        plan = plan_of(row)
        by = timedelta(hours=hours)
        later = replace(plan, starts=plan.starts + by, ends=plan.ends + by)
        appointments.change(self.practice.unlu, row.id, later, despite="Agreed")

    def cancel_or_restore(self, which: int, hours: int, yes: bool) -> None:
        row = self.row(which)
        if row.status in GONE:
            appointments.restore(self.practice.unlu, row.id, despite="Agreed")
        else:
            appointments.cancel(self.practice.unlu, row.id)

    def show_otherwise(self, which: int, hours: int, yes: bool) -> None:
        connections.change(
            self.practice.unlu,
            self.outside.id,
            mode=[DisplayMode.BUSY, DisplayMode.INITIALS, DisplayMode.FULL_NAME][which % 3],
            choices=connections.USUAL,
            rule=self.outside.row.rule,
            confirmed=True,
        )

    def decide(self, which: int, hours: int, yes: bool) -> None:
        db.session.rollback()
        open_ones = proposals.waiting(self.practice.unlu)
        if not open_ones:
            return
        question = open_ones[which % len(open_ones)]
        if yes:
            with suppress(Conflict):  # it was changed here meanwhile
                proposals.accept(self.practice.unlu, question.id, despite="Agreed")
        else:
            proposals.put_back(self.practice.unlu, question.id)

    # There

    def move_there(self, which: int, hours: int, yes: bool) -> None:
        self.change_ours(which, "move", hours)

    def rename_there(self, which: int, hours: int, yes: bool) -> None:
        self.change_ours(which, "rename", hours)

    def remove_there(self, which: int, hours: int, yes: bool) -> None:
        self.change_ours(which, "remove", hours)

    def change_there_before_the_next_write(self, which: int, hours: int, yes: bool) -> None:
        what = ["move", "rename", "remove"][which % 3]
        self.there.before_write = lambda: self.change_ours(which, what, hours)

    def make_one_there(self, which: int, hours: int, yes: bool) -> None:
        name = f"private-{len(self.theirs)}"
        told = Told(starts=NOW, ends=NOW + HOUR, summary="Private")
        self.there.edit(self.outside.calendar_id, name, told)
        self.theirs.add(name)

    # Faults

    def fail_soon(self, which: int, hours: int, yes: bool) -> None:
        calls = self.there.calls
        trouble = Later("Out of reach.") if yes else Killed()

        def fail() -> None:
            if self.there.calls > calls + which:
                self.there.called = lambda: None
                raise trouble

        self.there.called = fail

    def lose_answers(self, which: int, hours: int, yes: bool) -> None:
        self.there.losing = 1 + which % 2

    def forget_tokens(self, which: int, hours: int, yes: bool) -> None:
        self.there.forget_tokens()

    # Time, and the worker

    def work(self, which: int, hours: int, yes: bool) -> None:
        self.now.move(minutes=[1, 5, 90, 60 * 30][which % 4] if yes else 4)
        try:
            sync.run(self.outside.id)
        except Killed:
            db.session.remove()

    # What holds

    @invariant()
    def nothing_of_others_is_touched(self) -> None:
        if hasattr(self, "outside"):
            assert self.theirs <= set(self.outside.entries())

    def teardown(self) -> None:
        if not hasattr(self, "outside"):
            return
        self.there.losing, self.there.before_write = 0, None
        self.there.called = lambda: None
        self.settle()
        db.session.rollback()
        connection = self.outside.row
        wanted = copies.wanted(connection, clock.now())
        known = {copy.entry_id: copy for copy in self.outside.copies()}
        mark = copies.mark(connection.calendar)
        free = {each for each, copy in known.items() if not copy.held and not copy.parked}
        ours = {
            each: entry.told
            for each, entry in self.outside.entries().items()
            if entry.mark == mark and self.is_agreed(each, free, known)
        }
        expected = {each: want.told for each, want in wanted.items() if each in free}
        if self.reads:
            assert ours == expected
        assert [duty for duty in duties(connection, wanted) if duty.entry_id in free] == []
        self.nothing_more_is_written()
        self.everybody_was_heard()

    def is_agreed(self, entry_id: str, free: set[str], known: dict[str, Copy]) -> bool:
        return entry_id in free or entry_id not in known

    def settle(self) -> None:
        """Everything that has to wait has waited; who is asked has not answered."""
        for _ in range(12):
            self.now.move(hours=2)
            if self.outside.row.state is ConnectionState.STOPPED:
                connections.answer(self.practice.unlu, self.outside.id, Rule.ASK)
            passed = sync.run_until_done(self.outside.id)
            assert passed is None or passed.trouble == ""

    def nothing_more_is_written(self) -> None:
        written = len(self.there.overwritten)
        sync.run_until_done(self.outside.id)
        assert len(self.there.overwritten) == written

    def everybody_was_heard(self) -> None:
        """Each change of theirs that we wrote over had been noted."""
        over = [
            known.etag
            for _, known, _ in self.there.overwritten
            if known is not None and known.etag in self.edits
        ]
        assert len(over) == len(set(over))
        heard = sum(count for word, count in self.outside.log() if word in HEARD)
        if self.reads and len(self.outside.log()) < 100:
            assert len(over) <= heard

    # Small words

    def change_ours(self, which: int, what: str, hours: int) -> None:
        ours = sorted(set(self.there.entries(self.outside.calendar_id)) - self.theirs)
        if not ours:
            return
        entry_id = ours[which % len(ours)]
        told = self.there.entries(self.outside.calendar_id)[entry_id].told
        assert told is not None
        by = timedelta(hours=hours)
        if what == "remove":
            self.there.delete(self.outside.calendar_id, entry_id)
            return
        new = replace(told, summary="Gym")
        if what == "move":
            new = replace(told, starts=told.starts + by, ends=told.ends + by)
        self.edits.add(self.there.edit(self.outside.calendar_id, entry_id, new))

    def row(self, which: int) -> Appointment:
        db.session.rollback()
        rows = db.session.scalars(select(Appointment).order_by(Appointment.id)).all()
        return rows[which % len(rows)]


@pytest.mark.bar("S4")
@pytest.mark.parametrize("config", ["sqlcipher"], indirect=True)
def test_both_sides_agree_in_the_end(app: Flask, practice: Practice, now: Clock) -> None:
    """SECURITY S4."""
    Machine.practice, Machine.now = practice, now
    profile = settings.default
    assert profile is not None
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=max(30, profile.max_examples // 2), stateful_step_count=30, deadline=None
        ),
    )
