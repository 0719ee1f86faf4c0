"""Passes over a Google account: documented behaviour, not held against Google itself."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.exceptions import InvalidTag
from flask import Flask
from sqlalchemy import select

from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Invalid
from sync_ui.models import (
    Appointment,
    Connection,
    ConnectionState,
    Direction,
    Mail,
    Row,
    Step,
    db,
    transaction,
)
from sync_ui.services import appointments, connections, proposals, providers, sync
from sync_ui.services.plans import plan_of
from sync_ui.services.sync import TESTING, Passed
from tests import google_account
from tests.gateways.scripted_google import Answer, Calendar, Fields, ScriptedGoogle, refusal
from tests.google_account import sign_in_again
from tests.practice import NOW, Book, Clock, Practice


@pytest.fixture
def config(config: Config) -> Config:
    found = google_account.with_client(config)
    return replace(found, smtp_url="smtp://127.0.0.1:9", mail_from="calendar@example.com")


@pytest.fixture
def there(
    app: Flask, google_server: ScriptedGoogle, monkeypatch: pytest.MonkeyPatch
) -> ScriptedGoogle:
    google_account.use(app, google_server, monkeypatch)
    google_server.promises_until = NOW + timedelta(days=7)
    return google_server


@pytest.fixture
def connection_id(practice: Practice, there: ScriptedGoogle) -> int:
    return begun(practice)


def begun(practice: Practice, direction: Direction = Direction.TWO_WAY) -> int:
    made = google_account.connect(practice.unlu, practice.unlus_calendar, direction)
    connections.start(practice.unlu, made.id)
    return made.id


def row(connection_id: int) -> Connection:
    db.session.rollback()
    return db.session.get_one(Connection, connection_id)


def calendar_of(there: ScriptedGoogle, connection_id: int) -> Calendar:
    return there.calendars[row(connection_id).outside_id]


def pass_(connection_id: int) -> Passed:
    passed = sync.run_until_done(connection_id)
    assert passed is not None
    return passed


def living(calendar: Calendar) -> list[Fields]:
    return [event for event in calendar.events.values() if event["status"] != "cancelled"]


def summaries(there: ScriptedGoogle, connection_id: int) -> list[str]:
    return sorted(event["summary"] for event in living(calendar_of(there, connection_id)))


def log(connection_id: int) -> list[tuple[str, str]]:
    db.session.rollback()
    wanted = select(Step).where(Step.connection_id == connection_id).order_by(Step.id)
    return [(step.word, step.detail) for step in db.session.scalars(wanted)]


def paths(there: ScriptedGoogle, word: str) -> list[str]:
    return [asked.path for asked in there.asked if word in asked.path]


def to_two_o_clock(there: ScriptedGoogle, calendar: Calendar, event: Fields) -> None:
    there.somebody_writes(
        calendar,
        event["id"],
        start={"dateTime": "2026-11-24T14:00:00-05:00", "timeZone": "America/New_York"},
        end={"dateTime": "2026-11-24T14:50:00-05:00", "timeZone": "America/New_York"},
    )


def test_what_is_booked_is_there_and_what_is_moved_there_is_asked_about(
    practice: Practice, book: Book, there: ScriptedGoogle, connection_id: int
) -> None:
    jane = book(practice.jane)
    assert pass_(connection_id).trouble == ""
    calendar = calendar_of(there, connection_id)
    (event,) = living(calendar)
    assert (event["summary"], event["start"]["dateTime"]) == ("J.S.", "2026-11-24T15:00:00Z")

    to_two_o_clock(there, calendar, event)
    pass_(connection_id)
    (asked,) = proposals.waiting(practice.unlu)
    proposals.accept(practice.unlu, asked.id)
    pass_(connection_id)

    db.session.rollback()
    moved = db.session.get_one(Appointment, jane.id)
    assert moved.starts_local.isoformat() == "2026-11-24T14:00:00"
    written = len([each for each in there.asked if each.method in {"POST", "PATCH", "DELETE"}])
    pass_(connection_id)
    assert len([e for e in there.asked if e.method in {"POST", "PATCH", "DELETE"}]) == written


@pytest.mark.bar("S4")
def test_when_google_has_forgotten_what_changed_all_is_read(
    practice: Practice, book: Book, there: ScriptedGoogle, connection_id: int
) -> None:
    book(practice.jane)
    book(practice.mark, at="2026-11-25 10:00")
    pass_(connection_id)
    calendar = calendar_of(there, connection_id)
    jane, mark = living(calendar)
    to_two_o_clock(there, calendar, jane)
    there.somebody_removes(calendar, mark["id"])
    there.forget_changes()

    assert pass_(connection_id).trouble == ""

    kinds = [asked.kind.value for asked in proposals.waiting(practice.unlu)]
    assert sorted(kinds) == ["move", "removal"]


def test_a_sign_in_that_has_ended_is_told_once_and_nothing_is_lost(
    practice: Practice, book: Book, there: ScriptedGoogle, connection_id: int
) -> None:
    """S3: what Google refuses is nobody's change; a new sign-in finds what is there."""
    book(practice.jane)
    pass_(connection_id)
    there.refresh_tokens.clear()
    there.access_tokens.clear()
    book(practice.mark, at="2026-11-25 10:00")

    assert "Connect the account again" in pass_(connection_id).trouble
    assert sync.run(connection_id) is None
    assert row(connection_id).state is ConnectionState.SIGNED_OUT
    assert len(db.session.scalars(select(Mail)).all()) == 1
    assert proposals.waiting(practice.unlu) == []

    sign_in_again(practice.unlu, connection_id)
    assert pass_(connection_id).trouble == ""
    assert summaries(there, connection_id) == ["J.S.", "M.S."]


def test_another_account_is_not_taken_for_the_same(
    practice: Practice, there: ScriptedGoogle, connection_id: int
) -> None:
    there.calendars.clear()

    with pytest.raises(Invalid, match="Sign in to the same one"):
        sign_in_again(practice.unlu, connection_id)


@pytest.mark.parametrize(
    ("days", "hinted"), [(3, False), (6.4, False), (6.6, True), (7.4, True), (7.6, False)]
)
def test_a_sign_in_that_ends_after_a_week_brings_a_hint(
    there: ScriptedGoogle, connection_id: int, now: Clock, days: float, *, hinted: bool
) -> None:
    there.refresh_tokens.clear()
    there.access_tokens.clear()
    now.move(days=days)

    assert pass_(connection_id).trouble != ""

    assert row(connection_id).trouble.endswith(TESTING) == hinted


@pytest.mark.bar("S6")
def test_google_is_left_alone_for_as_long_as_it_asks(
    practice: Practice, book: Book, there: ScriptedGoogle, connection_id: int, now: Clock
) -> None:
    """S6: and the other accounts go on."""
    annas = google_account.connect(practice.anna, practice.annas_calendar).id
    connections.start(practice.anna, annas)
    book(practice.jane)
    wait = refusal(403, "rateLimitExceeded", {"Retry-After": "300"})
    there.will_answer("GET", "/events", wait)

    assert "wait" in pass_(connection_id).trouble
    assert pass_(annas).trouble == ""

    now.move(seconds=299)
    assert connection_id not in sync.due()
    now.move(seconds=1)
    assert connection_id in sync.due()
    pass_(connection_id)
    assert summaries(there, connection_id) == ["J.S."]


@pytest.mark.bar("S6")
def test_each_failure_waits_longer(there: ScriptedGoogle, connection_id: int, now: Clock) -> None:
    """S6."""
    waits = []
    for _ in range(4):
        there.will_answer("GET", "/events", refusal(429, "rateLimitExceeded"))
        pass_(connection_id)
        waits.append(row(connection_id).next_at - now())
        now.move(hours=1)

    assert waits == sorted(waits)
    assert waits[0] >= timedelta(seconds=24)


def test_a_token_that_google_replaces_is_kept(
    practice: Practice, book: Book, there: ScriptedGoogle, connection_id: int
) -> None:
    """Also when the pass, or a page, comes to nothing afterwards."""
    pass_(connection_id)
    there.rotates = True

    there.access_tokens.clear()
    there.will_answer("GET", "/events", refusal(401, "authError"))
    there.will_answer("GET", "/events", refusal(429, "rateLimitExceeded"))
    assert "wait" in pass_(connection_id).trouble
    there.access_tokens.clear()
    connections.outside_calendars(practice.unlu, connection_id)
    there.access_tokens.clear()
    book(practice.jane)

    assert pass_(connection_id).trouble == ""
    assert summaries(there, connection_id) == ["J.S."]


def held(connection_id: int) -> dict[str, str]:
    return providers.login_of(row(connection_id)).credentials


def every_value() -> Iterator[str]:
    db.session.rollback()
    for table in Row.metadata.sorted_tables:
        for found in db.session.execute(select(table)):
            yield from (repr(value) for value in found)


@pytest.mark.bar("S1")
def test_what_google_gave_is_stored_sealed_and_bound(
    practice: Practice, there: ScriptedGoogle, connection_id: int
) -> None:
    """S1: no token stands in the database as it is, nor opens another connection."""
    pass_(connection_id)
    other = google_account.connect(practice.anna, practice.annas_calendar).id
    secrets = [*held(connection_id).values(), *held(other).values()]
    secrets += [each["token"] for each in there.channels.values()]
    assert all(secrets)
    assert {secret for secret in secrets for value in every_value() if secret in value} == set()

    with transaction() as session:
        sealed = session.get_one(Connection, connection_id).sealed
        session.get_one(Connection, other).sealed = sealed

    with pytest.raises(InvalidTag):
        held(other)


@pytest.mark.bar("S5")
@pytest.mark.parametrize("mode", [DisplayMode.FULL_NAME, DisplayMode.INITIALS, DisplayMode.BUSY])
def test_google_holds_no_more_of_a_client_than_the_mode(
    practice: Practice, book: Book, there: ScriptedGoogle, connection_id: int, mode: DisplayMode
) -> None:
    """S5: looked for in all that was ever sent there."""
    made = row(connection_id)
    connections.change(
        practice.unlu,
        connection_id,
        mode=mode,
        choices=made.choices,
        rule=made.rule,
        agreement="Signed in June",
        confirmed=True,
    )
    jane = book(practice.jane, note="canary of the note")
    pass_(connection_id)
    plan = plan_of(jane)
    later = replace(plan, starts=plan.starts + timedelta(hours=1), ends=plan.ends)
    later = replace(later, ends=plan.ends + timedelta(hours=1), note="another canary")
    appointments.change(practice.unlu, jane.id, later)
    pass_(connection_id)
    connections.disconnect(practice.unlu, connection_id, remove=True)
    pass_(connection_id)

    sent = repr([(asked.path, asked.query, asked.body) for asked in there.asked])
    canaries = ("Jane", "Smith", "J.S.", "1042", "canary", "unlu@example.com")
    found = {word for word in canaries if word in sent}
    expected = {DisplayMode.FULL_NAME: {"Jane", "Smith"}, DisplayMode.INITIALS: {"J.S."}}
    assert found == expected.get(mode, set())


# Channels


def test_google_is_asked_to_call_for_a_week(
    there: ScriptedGoogle, connection_id: int, now: Clock
) -> None:
    pass_(connection_id)

    ((name, asked),) = there.channels.items()
    assert asked["address"] == "https://calendar.example.com/google/notify"
    assert asked["params"] == {"ttl": "604800"}
    made = row(connection_id)
    assert (made.channel, made.channel_ends_at) == (name, NOW + timedelta(days=7))
    pass_(connection_id)
    assert list(there.channels) == [name]
    assert made.next_at - now() == sync.POLLED_BESIDE_CHANNEL


def test_busy_calendars_are_asked_as_often_as_without_a_channel(
    practice: Practice, there: ScriptedGoogle, connection_id: int, now: Clock
) -> None:
    private = there.calendar("Private")
    connections.choose_busy(practice.unlu, connection_id, [private.id])
    pass_(connection_id)

    assert len(there.channels) == 1
    assert row(connection_id).next_at - now() == timedelta(minutes=2)


def test_a_channel_is_renewed_before_it_ends_and_the_old_one_stopped_after_that(
    there: ScriptedGoogle, connection_id: int, now: Clock
) -> None:
    pass_(connection_id)
    (old,) = there.channels
    now.move(days=5.59)
    pass_(connection_id)
    assert list(there.channels) == [old]

    there.promises_until = NOW + timedelta(days=12)
    now.move(days=0.02)
    pass_(connection_id)

    (new,) = there.channels
    assert new != old
    last = [asked for asked in there.asked if "watch" in asked.path or "stop" in asked.path][-2:]
    assert [asked.body["id"] for asked in last] == [new, old]


def test_a_channel_shorter_than_asked_for_is_not_renewed_at_once(
    there: ScriptedGoogle, connection_id: int, now: Clock
) -> None:
    there.promises_until = NOW + timedelta(hours=10)
    pass_(connection_id)
    (old,) = there.channels

    now.move(hours=7)
    pass_(connection_id)
    assert list(there.channels) == [old]
    now.move(hours=1)
    pass_(connection_id)
    assert list(there.channels) != [old]


def test_a_google_that_will_not_call_is_asked_instead(
    there: ScriptedGoogle, connection_id: int, now: Clock
) -> None:
    def refuse() -> None:
        there.will_answer("POST", "/watch", refusal(400, "pushNotSupportedForRequestedResource"))

    refuse()
    assert pass_(connection_id).trouble == ""
    words = ("no_channel", "Google refuses this (pushNotSupportedForRequestedResource).")
    assert log(connection_id).count(words) == 1
    made = row(connection_id)
    assert (made.state, made.channel) == (ConnectionState.WORKING, None)
    assert made.next_at - now() == timedelta(minutes=2)

    now.move(hours=5)
    pass_(connection_id)
    assert len(paths(there, "watch")) == 1
    refuse()
    now.move(hours=1)
    pass_(connection_id)
    assert len(paths(there, "watch")) == 2
    assert log(connection_id).count(words) == 1


@pytest.mark.parametrize("base_url", ["http://calendar.example.com", "https://localhost"])
def test_a_server_that_google_cannot_reach_asks(
    app: Flask, there: ScriptedGoogle, connection_id: int, base_url: str
) -> None:
    found = app.extensions["installation"]
    config = replace(found.config, base_url=base_url)
    app.extensions["installation"] = replace(found, config=config)

    pass_(connection_id)

    assert paths(there, "watch") == []


def test_whoever_sends_only_needs_no_call(practice: Practice, there: ScriptedGoogle) -> None:
    pass_(begun(practice, Direction.SEND_ONLY))

    assert paths(there, "watch") == []


# The end


@pytest.mark.bar("S1")
@pytest.mark.parametrize("remove", [True, False])
def test_at_the_end_google_forgets_us(
    practice: Practice, book: Book, there: ScriptedGoogle, connection_id: int, *, remove: bool
) -> None:
    """S1: after what was written is removed, if it is."""
    book(practice.jane)
    pass_(connection_id)
    calendar = calendar_of(there, connection_id)

    connections.disconnect(practice.unlu, connection_id, remove=remove)
    if remove:
        pass_(connection_id)

    assert (there.channels, there.refresh_tokens) == ({}, set())
    assert len(living(calendar)) == (0 if remove else 1)
    assert row(connection_id).sealed is None


def test_a_permission_that_another_connection_may_need_stays(
    practice: Practice, there: ScriptedGoogle
) -> None:
    """Ada has connected two calendars, for all we know with one account."""
    keys = (practice.unlus_calendar, practice.annas_calendar)
    first, second = (google_account.connect(practice.ada, key).id for key in keys)

    connections.disconnect(practice.ada, first, remove=False)
    assert paths(there, "/revoke") == []

    connections.disconnect(practice.ada, second, remove=False)
    assert paths(there, "/revoke") == ["/revoke"]


def test_a_connection_whose_credentials_do_not_open_can_be_ended(
    practice: Practice, there: ScriptedGoogle, connection_id: int
) -> None:
    with transaction() as session:
        session.get_one(Connection, connection_id).sealed = b"sealed with the key of another day"

    connections.disconnect(practice.unlu, connection_id, remove=False)

    assert row(connection_id).state is ConnectionState.ENDED


def test_a_google_that_hears_nothing_does_not_keep_the_connection(
    practice: Practice, there: ScriptedGoogle, connection_id: int
) -> None:
    pass_(connection_id)
    there.will_answer("POST", "channels/stop", Answer(503))
    there.will_answer("POST", "/revoke", Answer(503))

    connections.disconnect(practice.unlu, connection_id, remove=True)
    assert pass_(connection_id).trouble == ""

    assert row(connection_id).state is ConnectionState.ENDED
    assert paths(there, "/revoke") == ["/revoke"]


def test_what_was_left_is_removed_with_a_new_sign_in(
    practice: Practice, book: Book, there: ScriptedGoogle, connection_id: int
) -> None:
    book(practice.jane)
    pass_(connection_id)
    calendar = calendar_of(there, connection_id)
    connections.disconnect(practice.unlu, connection_id, remove=False)
    assert len(living(calendar)) == 1

    sign_in_again(practice.unlu, connection_id)
    pass_(connection_id)

    assert living(calendar) == []
    assert row(connection_id).state is ConnectionState.ENDED
