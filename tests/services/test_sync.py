"""Passes over a connection: what people do here is there; what others do there is asked about."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import select

from sync_ui.domain.event import DisplayMode, Kind
from sync_ui.domain.outside import Later, Missing, Rejected, SignedOut, Span, Told, Trouble
from sync_ui.domain.reconcile import Rule
from sync_ui.errors import Conflict, NotFound
from sync_ui.gateways.memory import Memory
from sync_ui.models import (
    Appointment,
    ConnectionState,
    Direction,
    Outcome,
    Proposal,
    ProposalKind,
    db,
    transaction,
)
from sync_ui.services import (
    access,
    accounts,
    appointments,
    busy,
    clients,
    connections,
    dry_runs,
    feeds,
    leases,
    links,
    proposals,
    providers,
    push,
    sync,
)
from sync_ui.services import practice as practices
from sync_ui.services.clashes import Clashing, Taken
from sync_ui.services.plans import Plan, plan_of
from tests.outside import Outside, connect
from tests.practice import NOW, ZONE, Book, Clock, Practice, token_of

HOUR = timedelta(hours=1)


def moved(told: Told, by: timedelta) -> Told:
    return replace(told, starts=told.starts + by, ends=told.ends + by)


def move_here(practice: Practice, row: Appointment, by: timedelta) -> None:
    plan = plan_of(row)
    later = replace(plan, starts=plan.starts + by, ends=plan.ends + by)
    appointments.change(practice.unlu, row.id, later, despite="Both agreed")


def the_row(row: Appointment) -> Appointment:
    db.session.rollback()
    return db.session.get_one(Appointment, row.id)


def waiting(practice: Practice) -> list[Proposal]:
    db.session.rollback()
    return proposals.waiting(practice.unlu)


# What is done here


def test_a_change_here_is_there_after_one_pass(
    practice: Practice, book: Book, outside: Outside
) -> None:
    first, second = book(practice.jane), book(practice.mark, at="2026-11-25 10:00")
    outside.pass_()
    assert outside.summaries() == ["J.S.", "M.S."]

    before = outside.told(first.uid)
    move_here(practice, first, HOUR)
    appointments.cancel(practice.unlu, second.id)
    outside.pass_()
    assert list(outside.entries()) == [outside.id_of(first.uid)]
    assert outside.told(first.uid) == moved(before, HOUR)

    appointments.restore(practice.unlu, second.id)
    outside.pass_()
    assert outside.summaries() == ["J.S.", "M.S."]


@pytest.mark.bar("S4")
def test_nothing_is_written_a_second_time(practice: Practice, book: Book, outside: Outside) -> None:
    row = book(practice.jane)
    outside.pass_()
    plan = replace(plan_of(row), note="She prefers the window open")
    appointments.change(practice.unlu, row.id, plan)

    for _ in range(3):
        outside.pass_()

    assert len(outside.there.overwritten) == 1


def test_it_is_due_when_something_changes_and_not_before(
    practice: Practice, book: Book, there: Memory, now: Clock
) -> None:
    outside = connect(practice, there, Direction.SEND_ONLY)
    outside.pass_()
    assert sync.due() == []

    book(practice.zoe, actor=practice.anna)
    assert sync.due() == []

    book(practice.jane)
    assert sync.due() == [outside.id]
    outside.pass_()
    assert sync.due() == []

    now.move(days=1)  # another day comes into the window
    assert sync.due() == [outside.id]


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (DisplayMode.BUSY, "Busy"),
        (DisplayMode.INTERNAL_ID, "1042"),
        (DisplayMode.FIRST_NAME, "Jane"),
        (DisplayMode.FULL_NAME, "Jane Smith"),
    ],
)
def test_another_display_mode_is_written_in_its_place(
    practice: Practice, book: Book, outside: Outside, mode: DisplayMode, shown: str
) -> None:
    book(practice.jane)
    outside.pass_()
    [entry] = outside.entries()

    connections.change(
        practice.unlu,
        outside.id,
        mode=mode,
        choices=connections.USUAL,
        rule=Rule.ASK,
        confirmed=True,
    )
    outside.pass_()

    assert list(outside.entries()) == [entry]
    assert outside.summaries() == [shown]


@pytest.mark.bar("F3", "S5")
def test_a_tightened_ceiling_and_a_new_name_hold_there_too(
    practice: Practice, book: Book, there: Memory
) -> None:
    outside = connect(practice, there, mode=DisplayMode.FULL_NAME)
    book(practice.jane)
    outside.pass_()
    assert outside.summaries() == ["Jane Smith"]

    clients.change(
        practice.ada,
        practice.jane,
        first_name="Janet",
        last_name="Smith",
        preferred_name="",
        internal_id="1042",
        ceiling=None,
    )
    outside.pass_()
    assert outside.summaries() == ["Janet Smith"]

    practices.change_policy(
        practice.ada,
        ceiling=DisplayMode.INITIALS,
        longest_link_days=None,
        wants_agreement=False,
        schedulers_share_practice=True,
    )
    outside.pass_()
    assert outside.summaries() == ["J.S."]


def test_who_only_sends_reads_nothing(practice: Practice, book: Book, there: Memory) -> None:
    """SECURITY S7."""
    outside = connect(practice, there, Direction.SEND_ONLY, DisplayMode.BUSY)
    row = book(practice.jane)
    outside.pass_()
    told = outside.told(row.uid)
    there.edit(outside.calendar_id, outside.id_of(row.uid), moved(told, HOUR))

    outside.pass_()
    assert outside.told(row.uid) == moved(told, HOUR)  # nobody has looked

    move_here(practice, row, 2 * HOUR)
    outside.pass_()
    assert outside.told(row.uid) == moved(told, 2 * HOUR)
    assert waiting(practice) == []


# What is done there


def test_a_move_there_is_asked_about_and_accepted(
    practice: Practice, book: Book, outside: Outside
) -> None:
    row = book(practice.jane)
    outside.pass_()
    told, at = outside.told(row.uid), row.starts_at
    outside.there.edit(outside.calendar_id, outside.id_of(row.uid), moved(told, HOUR))

    outside.pass_()
    [question] = waiting(practice)
    assert (question.kind, question.starts_at, question.ends_at) == (
        ProposalKind.MOVE,
        at + HOUR,
        told.ends + HOUR,
    )
    assert the_row(row).starts_at == at
    assert outside.told(row.uid) == moved(told, HOUR)  # it waits for the answer

    proposals.accept(practice.unlu, question.id)
    outside.pass_()
    assert the_row(row).starts_at == at + HOUR
    assert outside.told(row.uid) == moved(told, HOUR)
    assert waiting(practice) == []


def test_a_move_there_is_put_back(practice: Practice, book: Book, outside: Outside) -> None:
    row = book(practice.jane)
    outside.pass_()
    told = outside.told(row.uid)
    outside.there.edit(outside.calendar_id, outside.id_of(row.uid), moved(told, HOUR))
    outside.pass_()
    [question] = waiting(practice)

    proposals.put_back(practice.unlu, question.id)
    outside.pass_()

    assert outside.told(row.uid) == told
    assert waiting(practice) == []
    with pytest.raises(Conflict, match="decided already"):
        proposals.accept(practice.unlu, question.id)


@pytest.mark.bar("S7", "S3")
def test_a_removal_there_removes_nothing_here(
    practice: Practice, book: Book, outside: Outside
) -> None:
    """SECURITY S3."""
    row, other = book(practice.jane), book(practice.mark, at="2026-11-25 10:00")
    outside.pass_()
    for each in (row, other):
        outside.there.delete(outside.calendar_id, outside.id_of(each.uid))
    outside.pass_()
    assert outside.entries() == {}
    asked = {each.appointment_id: each for each in waiting(practice)}
    assert {each.kind for each in asked.values()} == {ProposalKind.REMOVAL}
    assert the_row(row).status.value == the_row(other).status.value == "scheduled"

    proposals.put_back(practice.unlu, asked[row.id].id)
    proposals.accept(practice.unlu, asked[other.id].id)
    outside.pass_()

    assert outside.summaries() == ["J.S."]
    assert the_row(other).status.value == "cancelled"


@pytest.mark.bar("S7")
def test_text_changed_there_is_put_back_and_never_taken_over(
    practice: Practice, book: Book, outside: Outside
) -> None:
    """SECURITY S7."""
    row = book(practice.jane)
    outside.pass_()
    told = outside.told(row.uid)
    outside.there.edit(
        outside.calendar_id, outside.id_of(row.uid), replace(told, summary="Gym", description="x")
    )

    outside.pass_()

    assert outside.told(row.uid) == told
    assert (the_row(row).title, the_row(row).note) == ("", "")
    assert waiting(practice) == []


def test_whoever_moved_it_back_there_is_asked_no_more(
    practice: Practice, book: Book, outside: Outside
) -> None:
    row = book(practice.jane)
    outside.pass_()
    told, entry_id = outside.told(row.uid), outside.id_of(row.uid)
    outside.there.edit(outside.calendar_id, entry_id, moved(told, HOUR))
    outside.pass_()
    assert len(waiting(practice)) == 1

    outside.there.edit(outside.calendar_id, entry_id, told)
    outside.pass_()

    assert waiting(practice) == []
    assert [each.outcome for each in proposals.of_connection(outside.id)] == [Outcome.WITHDRAWN]


def test_moved_here_and_there_here_holds_and_theirs_is_noted(
    practice: Practice, book: Book, outside: Outside
) -> None:
    """SECURITY S4."""
    row = book(practice.jane)
    outside.pass_()
    told = outside.told(row.uid)
    outside.there.edit(outside.calendar_id, outside.id_of(row.uid), moved(told, HOUR))
    move_here(practice, row, 2 * HOUR)

    outside.pass_()

    assert outside.told(row.uid) == moved(told, 2 * HOUR)
    [noted] = proposals.of_connection(outside.id)
    assert (noted.outcome, noted.starts_at) == (Outcome.OVERTAKEN, told.starts + HOUR)


def test_a_change_here_answers_an_open_question(
    practice: Practice, book: Book, outside: Outside
) -> None:
    row = book(practice.jane)
    outside.pass_()
    told = outside.told(row.uid)
    outside.there.edit(outside.calendar_id, outside.id_of(row.uid), moved(told, HOUR))
    outside.pass_()

    move_here(practice, row, 2 * HOUR)
    outside.pass_()

    assert outside.told(row.uid) == moved(told, 2 * HOUR)
    assert [each.outcome for each in proposals.of_connection(outside.id)] == [Outcome.OVERTAKEN]


def test_the_rule_moves_it_here_too_if_the_time_is_free(
    practice: Practice, book: Book, there: Memory
) -> None:
    outside = connect(practice, there, rule=Rule.FOLLOW)
    row, other = book(practice.jane), book(practice.mark, at="2026-11-24 12:00")
    outside.pass_()
    told, entry_id = outside.told(row.uid), outside.id_of(row.uid)

    there.edit(outside.calendar_id, entry_id, moved(told, HOUR))
    outside.pass_()
    assert the_row(row).starts_at == told.starts + HOUR

    there.edit(outside.calendar_id, entry_id, moved(told, 2 * HOUR))  # Mark's time
    outside.pass_()
    assert the_row(row).starts_at == told.starts + HOUR
    [question] = waiting(practice)
    with pytest.raises(Clashing):
        proposals.accept(practice.unlu, question.id)
    proposals.accept(practice.unlu, question.id, despite="Both agreed")
    assert the_row(row).starts_at == the_row(other).starts_at


@pytest.mark.bar("S7")
def test_the_rule_never_cancels_by_itself(practice: Practice, book: Book, there: Memory) -> None:
    outside = connect(practice, there, rule=Rule.FOLLOW)
    row = book(practice.jane)
    outside.pass_()
    there.delete(outside.calendar_id, outside.id_of(row.uid))

    outside.pass_()

    assert the_row(row).status.value == "scheduled"
    assert [each.kind for each in waiting(practice)] == [ProposalKind.REMOVAL]


def test_the_rule_puts_it_back_twice_a_day_and_then_gives_way(
    practice: Practice, book: Book, there: Memory
) -> None:
    outside = connect(practice, there, rule=Rule.PUT_BACK)
    row = book(practice.jane)
    outside.pass_()
    told, entry_id = outside.told(row.uid), outside.id_of(row.uid)
    for _ in range(2):
        there.edit(outside.calendar_id, entry_id, moved(told, HOUR))
        outside.pass_()
        assert outside.told(row.uid) == told

    there.edit(outside.calendar_id, entry_id, moved(told, HOUR))
    outside.pass_()
    assert outside.told(row.uid) == moved(told, HOUR)
    [parked] = connections.parked(outside.id)
    assert parked.trouble == "Somebody, or another program, keeps changing it outside."

    assert connections.retry(practice.unlu, outside.id) == 1
    outside.pass_()
    assert outside.told(row.uid) == told


@pytest.mark.bar("S4", "S3")
def test_events_of_others_are_never_touched(
    practice: Practice, book: Book, outside: Outside
) -> None:
    book(practice.jane)
    outside.pass_()
    gym = Told(starts=NOW, ends=NOW + HOUR, summary="Gym")
    outside.there.edit(outside.calendar_id, "gym", gym)
    outside.pass_()

    connections.disconnect(practice.unlu, outside.id, remove=True)
    outside.pass_()

    assert list(outside.entries()) == ["gym"]


def test_a_copy_that_somebody_made_of_an_entry_is_theirs(
    practice: Practice, book: Book, outside: Outside
) -> None:
    row = book(practice.jane)
    outside.pass_()
    entry = outside.entries()[outside.id_of(row.uid)]
    outside.there.edit(
        outside.calendar_id, "a-copy", moved(outside.told(row.uid), HOUR), mark=entry.mark
    )

    outside.pass_()
    connections.disconnect(practice.unlu, outside.id, remove=True)
    outside.pass_()

    assert list(outside.entries()) == ["a-copy"]


def test_an_entry_that_lost_its_mark_gets_it_back(
    practice: Practice, book: Book, outside: Outside
) -> None:
    row = book(practice.jane)
    outside.pass_()
    entry_id = outside.id_of(row.uid)
    mark = outside.entries()[entry_id].mark
    assert mark

    outside.there.edit(outside.calendar_id, entry_id, outside.told(row.uid), mark="")
    outside.pass_()

    assert outside.entries()[entry_id].mark == mark


def test_an_entry_that_lost_its_mark_is_removed_with_the_others(
    practice: Practice, book: Book, outside: Outside
) -> None:
    row = book(practice.jane)
    outside.pass_()
    told = outside.told(row.uid)
    outside.there.edit(outside.calendar_id, outside.id_of(row.uid), moved(told, HOUR), mark="")
    outside.pass_()
    assert len(waiting(practice)) == 1

    connections.disconnect(practice.unlu, outside.id, remove=True)
    outside.pass_()

    assert outside.entries() == {}
    assert waiting(practice) == []


def test_days_off_that_were_moved_outside_are_moved_here(
    practice: Practice, book: Book, outside: Outside
) -> None:
    starts = datetime(2026, 12, 10)
    days = Plan(
        starts=starts,
        ends=starts + timedelta(days=2),
        zone=ZONE,
        kind=Kind.TIME_OFF,
        all_day=True,
    )
    row = appointments.create(practice.unlu, practice.unlu.clinician_id or 0, days)
    outside.pass_()
    told = outside.told(row.uid)
    assert told.starts == date(2026, 12, 10)
    outside.there.edit(outside.calendar_id, outside.id_of(row.uid), moved(told, timedelta(days=3)))
    outside.pass_()

    [question] = waiting(practice)
    proposals.accept(practice.unlu, question.id)
    outside.pass_()

    assert the_row(row).starts_local == datetime(2026, 12, 13)
    assert outside.told(row.uid) == moved(told, timedelta(days=3))


def test_what_was_changed_here_since_is_not_moved_by_an_old_question(
    practice: Practice, book: Book, outside: Outside
) -> None:
    row, other = book(practice.jane), book(practice.mark, at="2026-11-25 10:00")
    outside.pass_()
    for each in (row, other):
        told = outside.told(each.uid)
        outside.there.edit(outside.calendar_id, outside.id_of(each.uid), moved(told, HOUR))
    outside.pass_()
    asked = {each.appointment_id: each.id for each in waiting(practice)}

    appointments.cancel(practice.unlu, row.id)
    move_here(practice, other, 3 * HOUR)

    for each in (row, other):
        was = the_row(each).starts_at
        with pytest.raises(Conflict, match="changed here meanwhile"):
            proposals.accept(practice.unlu, asked[each.id])
        assert the_row(each).starts_at == was


def test_of_two_who_decide_at_once_one_is_refused(
    practice: Practice, book: Book, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = book(practice.jane)
    outside.pass_()
    told = outside.told(row.uid)
    outside.there.edit(outside.calendar_id, outside.id_of(row.uid), moved(told, HOUR))
    outside.pass_()
    [question] = waiting(practice)
    change = appointments.change

    def put_back_first(*args: object, **more: object) -> Appointment:
        monkeypatch.undo()
        proposals.put_back(practice.unlu, question.id)
        return change(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(appointments, "change", put_back_first)
    with pytest.raises(Conflict, match="decided already"):
        proposals.accept(practice.unlu, question.id)

    assert the_row(row).starts_at == told.starts


def test_an_account_is_connected_once_under_whatever_address(
    practice: Practice, outside: Outside
) -> None:
    login = providers.caldav_login("https://dav.example.com/unlu/", "unlu", "a password")
    with pytest.raises(Conflict, match="connected already"):
        connections.connect(
            practice.unlu,
            practice.unlus_calendar,
            providers.look_around(login),
            Direction.SEND_ONLY,
            DisplayMode.BUSY,
        )


# Somebody is quicker


def when_all_is_read(there: Memory, act: Callable[[], object]) -> None:
    """Right after the reading of a pass: with the second call that comes."""
    at = there.calls + 2

    def called() -> None:
        if there.calls == at:
            act()

    there.called = called


def test_a_move_there_just_before_a_writing_is_noted_and_ours_holds(
    practice: Practice, book: Book, outside: Outside
) -> None:
    """SECURITY S4."""
    row = book(practice.jane)
    outside.pass_()
    told, entry_id = outside.told(row.uid), outside.id_of(row.uid)
    move_here(practice, row, 2 * HOUR)
    there = outside.there
    when_all_is_read(there, lambda: there.edit(outside.calendar_id, entry_id, moved(told, HOUR)))

    outside.pass_()

    assert outside.told(row.uid) == moved(told, 2 * HOUR)
    [noted] = proposals.of_connection(outside.id)
    assert (noted.outcome, noted.starts_at) == (Outcome.OVERTAKEN, told.starts + HOUR)


def test_a_move_there_just_before_new_words_is_asked_about(
    practice: Practice, book: Book, outside: Outside
) -> None:
    row = book(practice.jane)
    outside.pass_()
    told, entry_id = outside.told(row.uid), outside.id_of(row.uid)
    appointments.change(practice.unlu, row.id, replace(plan_of(row), location="Room 2"))
    there = outside.there
    there.before_write = lambda: there.edit(outside.calendar_id, entry_id, moved(told, HOUR))

    outside.pass_()

    assert outside.told(row.uid) == moved(told, HOUR)
    assert [each.starts_at for each in waiting(practice)] == [told.starts + HOUR]


def test_whoever_cancels_wins_over_a_move_there(
    practice: Practice, book: Book, outside: Outside
) -> None:
    row = book(practice.jane)
    outside.pass_()
    told, entry_id = outside.told(row.uid), outside.id_of(row.uid)
    appointments.cancel(practice.unlu, row.id)
    there = outside.there
    there.before_write = lambda: there.edit(outside.calendar_id, entry_id, moved(told, HOUR))

    outside.pass_()

    assert outside.entries() == {}
    assert ("restored", 1) in outside.log()


def test_who_only_sends_writes_over_what_was_quicker(
    practice: Practice, book: Book, there: Memory
) -> None:
    outside = connect(practice, there, Direction.SEND_ONLY)
    row = book(practice.jane)
    outside.pass_()
    told, entry_id = outside.told(row.uid), outside.id_of(row.uid)
    move_here(practice, row, 2 * HOUR)
    there.before_write = lambda: there.edit(outside.calendar_id, entry_id, moved(told, HOUR))

    outside.pass_()

    assert outside.told(row.uid) == moved(told, 2 * HOUR)
    assert proposals.of_connection(outside.id) == []


# Safety


@pytest.mark.bar("S3", "I5")
def test_much_that_is_gone_at_once_stops_everything_and_asks(
    practice: Practice, book: Book, outside: Outside
) -> None:
    """SECURITY S3."""
    rows = [book(practice.jane, at=f"2026-12-{day:02} 10:00") for day in range(1, 13)]
    outside.pass_()
    token = outside.row.token
    for row in rows[:10]:
        outside.there.delete(outside.calendar_id, outside.id_of(row.uid))
    book(practice.mark, at="2026-12-20 10:00")

    passed = sync.run(outside.id)

    assert passed is not None
    assert passed.moved == {"stopped": 10}
    assert outside.row.state is ConnectionState.STOPPED
    assert outside.row.token == token
    assert (len(outside.entries()), waiting(practice)) == (2, [])
    assert sync.run(outside.id) is None


@pytest.mark.bar("S3")
@pytest.mark.parametrize(("rule", "asked", "back"), [(Rule.PUT_BACK, 0, 12), (Rule.ASK, 10, 2)])
def test_whoever_looked_says_how_it_goes_on(
    practice: Practice, book: Book, outside: Outside, rule: Rule, asked: int, back: int
) -> None:
    rows = [book(practice.jane, at=f"2026-12-{day:02} 10:00") for day in range(1, 13)]
    outside.pass_()
    for row in rows[:10]:
        outside.there.delete(outside.calendar_id, outside.id_of(row.uid))
    sync.run(outside.id)

    connections.answer(practice.unlu, outside.id, rule)
    outside.pass_()

    assert (len(waiting(practice)), len(outside.entries())) == (asked, back)
    assert outside.row.state is ConnectionState.WORKING


@pytest.mark.bar("S4", "D9")
def test_a_writing_whose_answer_was_lost_is_not_written_again(
    practice: Practice, book: Book, outside: Outside, now: Clock
) -> None:
    """SECURITY S4."""
    book(practice.jane)
    outside.there.losing = 1
    passed = sync.run(outside.id)
    assert passed is not None
    assert outside.summaries() == ["J.S."]

    now.move(hours=1)
    outside.pass_()

    assert len(outside.there.overwritten) == 1
    assert [copy.attempts for copy in outside.copies()] == [0]


@pytest.mark.bar("S4")
def test_a_lost_token_means_that_everything_is_read_and_nothing_doubled(
    practice: Practice, book: Book, outside: Outside
) -> None:
    rows = [book(practice.jane, at=f"2026-12-{day:02} 10:00") for day in range(1, 4)]
    outside.pass_()
    outside.there.delete(outside.calendar_id, outside.id_of(rows[0].uid))
    outside.there.forget_tokens()

    outside.pass_()

    assert len(outside.entries()) == 2
    assert [each.appointment_id for each in waiting(practice)] == [rows[0].id]
    assert len(outside.there.overwritten) == 3


def test_connected_anew_it_finds_what_it_wrote_before(
    practice: Practice, book: Book, outside: Outside
) -> None:
    first, second = book(practice.jane), book(practice.mark, at="2026-11-25 10:00")
    outside.pass_()
    connections.disconnect(practice.unlu, outside.id, remove=False)
    assert outside.row.sealed is None
    appointments.cancel(practice.unlu, second.id)
    book(practice.jane, at="2026-11-26 10:00")

    again = connect(practice, outside.there)
    assert again.calendar_id == outside.calendar_id
    again.pass_()

    assert again.summaries() == ["J.S.", "J.S."]
    assert again.id_of(first.uid) in again.entries()
    assert len(outside.there.overwritten) == 4  # two, the new one, and the removal


def test_what_it_wrote_can_be_removed_after_disconnecting(
    practice: Practice, book: Book, outside: Outside
) -> None:
    book(practice.jane)
    outside.pass_()
    connections.disconnect(practice.unlu, outside.id, remove=False)
    assert outside.summaries() == ["J.S."]

    connections.remove_written(practice.unlu, outside.id, {"password": "a password of the app"})
    outside.pass_()

    assert outside.entries() == {}
    assert outside.row.state is ConnectionState.ENDED
    assert outside.row.sealed is None


def test_who_disconnected_never_comes_back_by_itself(
    practice: Practice, book: Book, outside: Outside
) -> None:
    book(practice.jane)
    outside.pass_()
    connections.disconnect(practice.unlu, outside.id, remove=True)
    outside.there.failing = [SignedOut("Sign in again.")]

    sync.run(outside.id)
    assert (outside.row.state, outside.row.sealed) == (ConnectionState.ENDED, None)

    connections.remove_written(practice.unlu, outside.id, {"password": "a new one"})
    outside.pass_()
    assert (outside.entries(), outside.row.state) == ({}, ConnectionState.ENDED)


@pytest.mark.bar("D7")
def test_a_clock_that_was_set_back_holds_up_nothing(
    practice: Practice, book: Book, outside: Outside, now: Clock
) -> None:
    now.move(days=3650)
    leases.take(outside.id)
    now.set(NOW)

    assert sync.due() == [outside.id]
    book(practice.jane)
    outside.pass_()
    assert outside.summaries() == ["J.S."]


@pytest.mark.bar("D9")
def test_only_one_works_on_a_connection(
    practice: Practice, book: Book, outside: Outside, now: Clock
) -> None:
    """SECURITY D9."""
    book(practice.jane)
    late = leases.take(outside.id)
    assert late is not None
    assert sync.run(outside.id) is None

    now.move(minutes=4)  # whoever had it is gone, or slow
    outside.pass_()
    assert outside.summaries() == ["J.S."]
    with pytest.raises(leases.LeaseLost), late.writing():
        pass


def test_a_rush_is_written_in_portions(practice: Practice, book: Book, outside: Outside) -> None:
    for day in range(1, 29):
        book(practice.jane, at=f"2026-12-{day:02} 10:00")

    first = sync.run(outside.id)

    assert first is not None
    assert (first.more, len(outside.entries())) == (True, 20)
    assert sync.due() == [outside.id]
    second = sync.run(outside.id)
    assert second is not None
    assert (second.more, len(outside.entries())) == (False, 28)


@pytest.mark.bar("I4")
def test_more_than_any_practice_has_is_not_written(
    practice: Practice, book: Book, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert push.MOST_COPIES == 20_000
    monkeypatch.setattr(push, "MOST_COPIES", 2)
    for day in (1, 2):
        book(practice.jane, at=f"2026-12-{day:02} 10:00")
    outside.pass_()
    book(practice.jane, at="2026-12-03 10:00")

    sync.run(outside.id)

    assert len(outside.entries()) == 2
    assert (outside.row.state, outside.row.trouble) == (
        ConnectionState.STOPPED,
        "More than 2 appointments would be written.",
    )


# Troubles


@pytest.mark.bar("I5", "S3")
@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (SignedOut("Sign in again."), ConnectionState.SIGNED_OUT),
        (Missing("The calendar is gone."), ConnectionState.LOST),
        (Later("Out of reach."), ConnectionState.WORKING),
    ],
)
def test_trouble_is_shown_and_nothing_is_lost(
    practice: Practice,
    book: Book,
    outside: Outside,
    now: Clock,
    trouble: Trouble,
    state: ConnectionState,
) -> None:
    book(practice.jane)
    outside.there.failing = [trouble]

    passed = sync.run(outside.id)

    assert passed is not None
    assert passed.trouble == str(trouble)
    assert (outside.row.state, outside.row.trouble) == (state, str(trouble))
    assert outside.row.failures == 1
    now.move(hours=2)
    if state is ConnectionState.SIGNED_OUT:
        connections.sign_in_again(practice.unlu, outside.id, {"password": "a new one"})
    if state is ConnectionState.LOST:
        assert sync.due() == []
        made = connections.make_anew(practice.unlu, outside.id)
        outside = Outside(outside.there, outside.id, made.outside_id)
    outside.pass_()
    assert outside.summaries() == ["J.S."]
    assert (outside.row.state, outside.row.trouble) == (ConnectionState.WORKING, "")


@pytest.mark.bar("S6")
def test_who_asks_for_patience_gets_it(
    practice: Practice, book: Book, outside: Outside, now: Clock
) -> None:
    """SECURITY S6."""
    outside.there.failing = [Later("Too many requests.", seconds=7200)]
    book(practice.jane)
    sync.run(outside.id)

    now.move(minutes=119)
    book(practice.mark, at="2026-11-25 10:00")
    assert sync.due() == []
    now.move(minutes=2)
    assert sync.due() == [outside.id]


@pytest.mark.bar("S6")
def test_one_that_is_refused_holds_up_no_other(
    practice: Practice, book: Book, outside: Outside, now: Clock
) -> None:
    first = book(practice.jane)
    book(practice.mark, at="2026-11-25 10:00")
    refused = outside.id_of(first.uid)
    put = outside.there.put

    def refuse(calendar_id: str, copy: object, etag: str | None) -> str:
        if copy.id == refused:  # type: ignore[attr-defined]
            raise Rejected("The provider does not take this event.")
        return put(calendar_id, copy, etag)  # type: ignore[arg-type]

    outside.there.put = refuse  # type: ignore[method-assign]
    for _ in range(8):
        outside.pass_()
        now.move(hours=2)
    assert outside.summaries() == ["M.S."]
    [parked] = connections.parked(outside.id)
    assert (parked.entry_id, parked.trouble) == (
        refused,
        "The provider does not take this event.",
    )

    outside.there.put = put  # type: ignore[method-assign]
    outside.pass_()
    assert outside.summaries() == ["M.S."]
    connections.retry(practice.unlu, outside.id)
    outside.pass_()
    assert outside.summaries() == ["J.S.", "M.S."]


# Busy times


@pytest.fixture
def gym(practice: Practice, there: Memory) -> Outside:
    """Dr. Ünlü's private calendar blocks time; on Tuesday from 3 to 4 pm there is something."""
    [private] = there.calendars()
    starts = NOW + timedelta(days=1, hours=3)
    there.take_time(private.id, "gym", Span(starts_at=starts, ends_at=starts + HOUR))
    there.take_time(
        private.id, "birthday", Span(starts_at=NOW, ends_at=NOW + 24 * HOUR, all_day=True)
    )
    return connect(practice, there, busy=(private.id,))


def plan(at: str) -> Plan:
    starts = datetime.fromisoformat(at)
    return Plan(starts=starts, ends=starts + HOUR, zone=ZONE)


@pytest.mark.bar("I7")
def test_private_time_is_asked_about_when_it_is_booked_over(
    practice: Practice, book: Book, gym: Outside
) -> None:
    gym.pass_()

    with pytest.raises(Clashing) as taken:
        appointments.create(practice.sam, practice.unlu.clinician_id or 0, plan("2026-11-24 15:30"))
    [clash] = taken.value.clashes
    assert (clash.taken, clash.what) == (Taken.PERSONAL, "")
    appointments.create(practice.sam, practice.unlu.clinician_id or 0, plan("2026-11-24 16:00"))
    appointments.create(practice.sam, practice.anna.clinician_id or 0, plan("2026-11-24 15:30"))


@pytest.mark.bar("I7")
def test_private_time_is_in_no_feed(practice: Practice, book: Book, gym: Outside) -> None:
    book(practice.jane)
    gym.pass_()
    ids = [practice.unlu.clinician_id or 0]
    assert len(busy.between(ids, NOW, NOW + timedelta(days=30))) == 1

    for key in (practice.unlus_calendar, access.PRACTICE):
        link = links.create(practice.ada, key, "Phone", DisplayMode.FULL_NAME, confirmed=True)
        text = feeds.read(token_of(link)).body.decode()
        assert (text.count("BEGIN:VEVENT"), "gym" in text) == (1, False)


def test_private_time_follows_what_happens_there(practice: Practice, gym: Outside) -> None:
    def between() -> list[timedelta]:
        db.session.rollback()
        ids = [practice.unlu.clinician_id or 0]
        found = busy.between(ids, NOW, NOW + timedelta(days=30))
        return [each.starts_at - NOW for each in found]

    gym.pass_()
    assert between() == [timedelta(days=1, hours=3)]
    private = gym.row.busy_calendars[0].outside_id

    starts = NOW + timedelta(days=2)
    gym.there.take_time(private, "gym", Span(starts_at=starts, ends_at=starts + HOUR))
    gym.pass_()
    assert between() == [timedelta(days=2)]

    gym.there.delete(private, "gym")
    gym.pass_()
    assert between() == []

    gym.there.take_time(private, "run", Span(starts_at=starts, ends_at=starts + HOUR))
    gym.pass_()
    connections.disconnect(practice.unlu, gym.id, remove=True)
    assert between() == []


# Before anything is written


def test_a_dry_run_tells_what_would_happen_and_does_nothing(
    practice: Practice, book: Book, gym: Outside
) -> None:
    book(practice.jane)
    gym.there.edit(gym.calendar_id, "theirs", Told(starts=NOW, ends=NOW + HOUR, summary="Theirs"))

    found = dry_runs.dry_run(practice.unlu, gym.id)

    assert found == dry_runs.DryRun(write=1, remove=0, foreign=1, busy=1, all_day=1)
    assert gym.there.overwritten == []
    gym.pass_()
    assert dry_runs.dry_run(practice.unlu, gym.id).write == 0


# Whose it is


@pytest.mark.bar("Z1")
def test_a_connection_is_its_calendars_own(practice: Practice, outside: Outside) -> None:
    """PAINS 15: nobody sends a colleague's schedule to an account of their own."""
    assert connections.one(practice.unlu, outside.id).id == outside.id
    with pytest.raises(NotFound):
        connections.one(practice.anna, outside.id)
    with pytest.raises(NotFound):
        connections.disconnect(practice.anna, outside.id, remove=True)


@pytest.mark.bar("S1")
def test_credentials_open_no_other_row(practice: Practice, outside: Outside) -> None:
    """SECURITY S1."""
    other = connections.disconnect(practice.unlu, outside.id, remove=False)
    again = connect(practice, outside.there)
    assert b"a password of the app" not in (again.row.sealed or b"")
    sealed = again.row.sealed
    with transaction() as session:
        session.get_one(type(other), outside.id).sealed = sealed
    assert providers.login_of(again.row).credentials == {"password": "a password of the app"}
    with pytest.raises(InvalidTag):
        providers.login_of(outside.row)


@pytest.mark.bar("S5", "F1")
def test_nothing_of_a_client_beyond_the_mode_leaves(
    practice: Practice, book: Book, there: Memory
) -> None:
    """SECURITY S5."""
    outside = connect(practice, there, mode=DisplayMode.INITIALS)
    row = book(practice.jane, title="CANARYTITLE", note="CANARYNOTE")
    outside.pass_()

    [entry] = outside.entries().values()

    assert entry.told == Told(starts=row.starts_at, ends=row.ends_at, summary="J.S.")


@pytest.mark.bar("Z3")
def test_who_leaves_takes_back_what_their_connection_wrote(
    practice: Practice, book: Book, outside: Outside
) -> None:
    book(practice.jane)
    outside.pass_()
    assert practice.unlu.user_id is not None

    accounts.disable_user(practice.ada, practice.unlu.user_id)
    assert outside.row.state is ConnectionState.LEAVING
    outside.pass_()

    assert outside.entries() == {}
    assert db.session.scalars(select(Appointment.id)).all() != []
