"""What the bar for links and feeds asks and no other test says, row by row."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
import sqlcipher3.dbapi2 as sqlcipher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, event, select, update
from werkzeug.test import TestResponse

from sync_ui import create_app
from sync_ui.config import Config
from sync_ui.domain.colours import Colour
from sync_ui.domain.event import Choices, DisplayMode, Kind, Telehealth
from sync_ui.domain.tokens import ALPHABET
from sync_ui.errors import Unavailable
from sync_ui.models import Appointment, KeyCheck, Link, db, transaction
from sync_ui.models.database import Row
from sync_ui.services import access, appointments, bodies, clients, codes, links, types, visits
from sync_ui.services import practice as practices
from sync_ui.services.plans import plan_of
from tests.practice import Book, Clock, Practice, token_of
from tests.readers import in_icalendar

BrowserOf = Callable[[str], FlaskClient]

IPHONE = {"User-Agent": "iOS/26.5 (23F77) dataaccessd/1.0"}

EVERYTHING = Choices(type=True, telehealth=Telehealth.ADDRESS, cancelled=True)
NOTHING = Choices(location=False, time_off=False)


def path_of(link: Link) -> str:
    return f"/cal/{token_of(link)}/dr-unlu.ics"


def everything_of(answer: TestResponse) -> str:
    """Body without folds, and every header."""
    return f"{answer.text.replace(chr(13) + chr(10) + ' ', '')}\n{answer.headers}".lower()


# F1: each text is written in one field of the database, and nowhere else.
CANARIES = {
    "first name": "Xaverine",
    "last name": "Yolkowski",
    "preferred name": "Zuzuline",
    "internal ID": "q-77431",
    "topic": "Tessellation",
    "title": "Vexillology",
    "note": "Wistfulness",
    "clash": "Umbrageous",
    "reason": "Pettifoggery",
    "type": "Quixotry",
    "room": "https://video.example.com/rhubarb",
    "place": "Salmagundi Suite",
    "label": "Flibbertigibbet",
    "agreement": "Gongoozler",
    "e-mail": "unlu@example.com",
}

OF_MODES = {
    DisplayMode.BUSY: set[str](),
    DisplayMode.INTERNAL_ID: {"internal ID"},
    DisplayMode.INITIALS: set(),
    DisplayMode.FIRST_NAME: {"preferred name"},
    DisplayMode.FULL_NAME: {"first name", "last name", "title"},
}

OF_CHOICES = {
    "everything": (EVERYTHING, {"type", "room", "place"}),
    "nothing": (NOTHING, set[str]()),
    "a button": (Choices(location=False, telehealth=Telehealth.BUTTON), {"room"}),
}


def canaries_in(text: str) -> set[str]:
    return {field for field, canary in CANARIES.items() if canary.lower() in text.lower()}


@pytest.fixture
def aviary(practice: Practice, book: Book) -> Practice:
    practices.show_internal_ids(practice.ada, shown=True)
    practices.add_location(practice.ada, CANARIES["place"])
    client = clients.create(
        practice.sam,
        first_name=CANARIES["first name"],
        last_name=CANARIES["last name"],
        preferred_name=CANARIES["preferred name"],
        internal_id=CANARIES["internal ID"],
    )
    kind = types.create(practice.ada, name=CANARIES["type"], minutes=50, colour=Colour.TEAL)
    about = {"note": CANARIES["note"], "type_id": kind.id}
    book(
        client.id,
        title=CANARIES["topic"],
        location="Telehealth",
        telehealth_address=CANARIES["room"],
        **about,
    )
    book(client.id, at="2026-11-25 10:00", location=CANARIES["place"], **about)
    book(at="2026-11-26 10:00", kind=Kind.MEETING, title=CANARIES["title"], **about)
    book(at="2026-11-27 10:00", kind=Kind.TIME_OFF, title=CANARIES["reason"], **about)
    with db.engine.connect().execution_options(writing=True) as connection:
        connection.execute(update(Appointment).values(clash_reason=CANARIES["clash"]))
        connection.commit()
    db.session.rollback()
    return practice


@pytest.mark.bar("F1")
@pytest.mark.parametrize("chosen", OF_CHOICES)
@pytest.mark.parametrize("key", ["own", access.PRACTICE])
@pytest.mark.parametrize("mode", DisplayMode)
def test_a_feed_tells_what_mode_and_choices_say_and_nothing_else(
    app: Flask, aviary: Practice, mode: DisplayMode, key: str, chosen: str
) -> None:
    """SECURITY F1."""
    choices, by_choice = OF_CHOICES[chosen]
    link = links.create(
        aviary.ada,
        aviary.unlus_calendar if key == "own" else key,
        CANARIES["label"],
        mode,
        choices=choices,
        agreement=CANARIES["agreement"],
        confirmed=True,
    )
    client = app.test_client()
    full = client.get(path_of(link))
    held = client.get(path_of(link), headers={"If-None-Match": full.headers["ETag"]})

    told = everything_of(full)

    assert told.count("begin:vevent") == 4 - (not choices.time_off)
    assert canaries_in(told) == OF_MODES[mode] | (by_choice if mode != "busy" else set())
    assert (held.status_code, canaries_in(everything_of(held))) == (304, set())
    assert canaries_in(str(full.headers)) == set()


@pytest.mark.bar("F1", "L15")
def test_a_dead_link_tells_nothing(app: Flask, aviary: Practice, now: Clock) -> None:
    """SECURITY F1, L15: neither the notice nor what comes after it."""
    link = links.create(
        aviary.unlu,
        aviary.unlus_calendar,
        CANARIES["label"],
        DisplayMode.FULL_NAME,
        choices=EVERYTHING,
        agreement=CANARIES["agreement"],
        confirmed=True,
    )
    path, client = path_of(link), app.test_client()
    assert canaries_in(client.get(path).text.replace("\r\n ", "")) > {"first name", "room"}
    links.disable(aviary.unlu, link.id)

    notice = client.get(path)
    now.move(days=31)
    gone = client.get(path)

    assert (notice.status_code, gone.status_code) == (200, 410)
    assert canaries_in(everything_of(notice) + everything_of(gone)) == set()


@pytest.mark.bar("F1")
def test_every_canary_sits_in_the_database(aviary: Practice) -> None:
    links.create(
        aviary.unlu,
        aviary.unlus_calendar,
        CANARIES["label"],
        DisplayMode.BUSY,
        agreement=CANARIES["agreement"],
    )

    assert canaries_in(str(every_row())) == set(CANARIES)


@dataclass(frozen=True)
class Capped:
    """Four sessions alike, but for what caps them at Busy."""

    link: Link
    uids: dict[str, str]


CAPS = ["type", "client", "both"]


@pytest.fixture
def capped(practice: Practice, book: Book) -> Capped:
    about = {"location": "Telehealth", "telehealth_address": CANARIES["room"]}
    named = {"first_name": CANARIES["first name"], "last_name": CANARIES["last name"]}
    open_type = types.create(practice.ada, name="Intake", minutes=50, colour=Colour.TEAL)
    secret = types.create(
        practice.ada,
        name=CANARIES["type"],
        minutes=50,
        colour=Colour.TEAL,
        ceiling=DisplayMode.BUSY,
    )
    free = clients.create(practice.sam, first_name="Otto", last_name="Quist", internal_id="O-1")
    shy = clients.create(
        practice.sam,
        **named,
        preferred_name=CANARIES["preferred name"],
        internal_id=CANARIES["internal ID"],
        ceiling=DisplayMode.BUSY,
    )
    booked = {
        "type": book(free.id, at="2026-11-24 09:00", type_id=secret.id, **about),
        "client": book(shy.id, free.id, at="2026-11-24 10:00", type_id=open_type.id, **about),
        "both": book(shy.id, at="2026-11-24 11:00", type_id=secret.id, **about),
        "neither": book(free.id, at="2026-11-24 12:00", type_id=open_type.id, **about),
    }
    link = links.create(
        practice.ada,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.FULL_NAME,
        choices=EVERYTHING,
        confirmed=True,
    )
    return Capped(link, {name: found.uid for name, found in booked.items()})


OPEN = {
    DisplayMode.BUSY: "Busy",
    DisplayMode.INTERNAL_ID: "O-1",
    DisplayMode.INITIALS: "O.Q.",
    DisplayMode.FIRST_NAME: "Otto",
    DisplayMode.FULL_NAME: "Otto Quist",
}


@pytest.mark.bar("F1")
@pytest.mark.parametrize("key", ["own", access.PRACTICE])
@pytest.mark.parametrize("mode", DisplayMode)
def test_what_may_only_be_busy_is_only_busy_in_the_feed(
    app: Flask, practice: Practice, capped: Capped, mode: DisplayMode, key: str
) -> None:
    """42 CFR Part 2: by its type, by its client, or by both."""
    whose = practice.unlus_calendar if key == "own" else key
    link = links.create(practice.ada, whose, "Phone", mode, choices=EVERYTHING, confirmed=True)
    before = "" if key == "own" else "Dr. Ünlü: "

    body = app.test_client().get(path_of(link)).data

    [read] = in_icalendar([body])
    shown = {seen.uid: seen for seen in read}
    for cap in CAPS:
        seen = shown[capped.uids[cap]]
        assert (seen.summary, seen.location, seen.description, seen.conference) == (
            f"{before}Busy",
            "",
            "",
            "",
        )
    assert shown[capped.uids["neither"]].summary == before + OPEN[mode]
    assert (shown[capped.uids["neither"]].description == "Intake") == (mode != "busy")
    told = canaries_in(body.decode().replace("\r\n ", ""))
    assert told == (set() if mode == "busy" else {"room"})  # that of the open session


@pytest.mark.bar("F1")
@pytest.mark.parametrize("mode", DisplayMode)
def test_what_may_only_be_busy_is_only_busy_in_the_preview(
    practice: Practice, capped: Capped, mode: DisplayMode, browser_of: BrowserOf
) -> None:
    """42 CFR Part 2."""
    page = f"/calendars/{practice.unlus_calendar}/links/{capped.link.id}/preview"
    query = {"mode": mode.value, "telehealth": "address", "location": "y", "type": "y"}

    answer = browser_of("unlu@example.com").get(page, query_string=query)

    titles = re.findall(r'"preview-title">([^<]*)<', answer.text)
    assert titles == ["Busy", "Busy", "Busy", OPEN[mode]]
    assert answer.text.count(CANARIES["room"]) == (0 if mode == "busy" else 2)
    assert canaries_in(answer.text) - {"room", "e-mail"} == set()


@pytest.mark.bar("F3")
def test_a_cap_that_comes_later_holds_for_links_that_exist(
    app: Flask, practice: Practice, capped: Capped
) -> None:
    """42 CFR Part 2, SECURITY F3: from the next reading on, and in apps that go by SEQUENCE."""
    client, path = app.test_client(), path_of(capped.link)
    uid = capped.uids["neither"]
    before = client.get(path)
    [old] = [seen for seen in in_icalendar([before.data])[0] if seen.uid == uid]
    assert (old.summary, old.description) == ("Otto Quist", "Intake")
    [intake] = [kind for kind in types.offered() if kind.name == "Intake"]

    types.change(
        practice.ada,
        intake.id,
        name="Intake",
        minutes=50,
        colour=Colour.TEAL,
        ceiling=DisplayMode.BUSY,
    )

    after = client.get(path, headers={"If-None-Match": before.headers["ETag"]})
    [new] = [seen for seen in in_icalendar([after.data])[0] if seen.uid == uid]
    assert (new.summary, new.location, new.description, new.conference) == ("Busy", "", "", "")
    assert new.sequence > old.sequence
    assert new.changed_at > old.changed_at
    assert canaries_in(everything_of(after)) == set()


@pytest.mark.bar("F5")
def test_uids_and_tags_are_chance_and_tell_nothing(
    app: Flask, practice: Practice, book: Book
) -> None:
    """SECURITY F5."""
    made = [book(practice.jane, at=f"2026-11-24 {hour}:00") for hour in ("09", "10", "11")]
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)

    answer = app.test_client().get(path_of(link))
    text = answer.text.replace("\r\n ", "")

    uids = re.findall(r"\nUID:(.*)\r", text)
    assert len(set(uids)) == len(uids) == 1 + len(made)
    assert [(UUID(uid).version, str(UUID(uid))) for uid in uids] == [(4, uid) for uid in uids]
    assert re.fullmatch(r'"[0-9a-f]{32}"', answer.headers["ETag"])
    assert token_of(link) not in everything_of(answer)
    assert link.calendar.uid == uids[0]


@pytest.mark.bar("F5")
def test_an_edit_keeps_the_uid_and_counts_one_further(
    app: Flask, practice: Practice, book: Book, now: Clock
) -> None:
    """SECURITY F5: a place, a time, a client; then cancelled and booked again."""
    found = book(practice.jane)
    link = links.create(
        practice.unlu,
        practice.unlus_calendar,
        "Phone",
        DisplayMode.INITIALS,
        choices=Choices(cancelled=True),
    )
    client = app.test_client()

    def read() -> tuple[str, int, datetime]:
        [[seen]] = in_icalendar([client.get(path_of(link)).data])
        return seen.uid, seen.sequence, seen.changed_at

    plan = plan_of(found)
    hour = timedelta(hours=1)
    states = [read()]
    for change in (
        replace(plan, location="Room 2"),
        replace(plan, starts=plan.starts + hour, ends=plan.ends + hour),
        replace(plan, clients=appointments.find_clients(db.session(), [practice.mark])),
    ):
        appointments.change(practice.unlu, found.id, change)
        states.append(read())
    appointments.cancel(practice.unlu, found.id)
    states.append(read())
    appointments.restore(practice.unlu, found.id)
    states.append(read())

    uids, sequences, stamps = zip(*states, strict=True)
    assert set(uids) == {found.uid}
    assert [number - sequences[0] for number in sequences] == [0, 1, 2, 3, 4, 5]
    assert list(stamps) == sorted(set(stamps))


@contextmanager
def no_room_left() -> Iterator[None]:
    """The disk is full: whatever writes fails."""

    def fail(_: object, __: object, statement: str, *more: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            raise sqlcipher.OperationalError("database or disk is full")

    event.listen(db.engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(db.engine, "before_cursor_execute", fail)


@pytest.mark.bar("F7", "D3")
def test_on_a_full_disk_feeds_are_served_whole(app: Flask, practice: Practice, book: Book) -> None:
    """SECURITY F7."""
    book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    client = app.test_client()

    with no_room_left():
        with pytest.raises(Unavailable, match="The disk is full"):
            book(practice.mark, at="2026-11-25 10:00")
        first = client.get(path_of(link), headers=IPHONE)
        again = client.get(path_of(link), headers=IPHONE | {"If-None-Match": first.headers["ETag"]})
        visits.recorder().write()

    assert (first.status_code, again.status_code) == (200, 304)
    assert [seen.summary for seen in in_icalendar([first.data])[0]] == ["J.S."]
    assert first.data.endswith(b"END:VCALENDAR\r\n")


@pytest.mark.bar("F7", "D6")
def test_a_writer_that_does_not_end_holds_up_no_reader(
    app: Flask, practice: Practice, book: Book
) -> None:
    """SECURITY F7: what is not committed shows nowhere, and no feed waits for it."""
    found = book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)

    with db.engine.connect().execution_options(writing=True) as writer:
        writer.execute(delete(Appointment).where(Appointment.id == found.id))
        answer = app.test_client().get(path_of(link))
        writer.rollback()

    assert [seen.summary for seen in in_icalendar([answer.data])[0]] == ["J.S."]


@pytest.mark.bar("F7")
def test_a_feed_cut_short_is_never_taken_for_a_whole_one(
    app: Flask, practice: Practice, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY F7: its length is said first, and its end comes last, in however many pieces."""
    for day in range(24, 29):
        book(practice.jane, at=f"2026-11-{day} 10:00")
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    monkeypatch.setattr(bodies, "ONE_PIECE", 1_000)

    answer = app.test_client().get(path_of(link), buffered=False)
    pieces = list(answer.iter_encoded())

    assert len(pieces) > 5
    assert int(answer.headers["Content-Length"]) == sum(map(len, pieces))
    for end in range(len(pieces)):
        assert b"END:VCALENDAR" not in b"".join(pieces[:end])
    assert b"".join(pieces).endswith(b"END:VCALENDAR\r\n")


@pytest.mark.bar("L8")
def test_a_stranger_hears_the_same_of_every_address_that_is_none(
    app: Flask, practice: Practice, book: Book, now: Clock
) -> None:
    """SECURITY L8: nothing tells a near miss of a live, a dead or a gone link from chance."""
    book(practice.jane)
    live, dead, gone = (
        links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
        for _ in range(3)
    )
    code = codes.make(practice.unlu, live.id)[0]
    tokens = [token_of(link) for link in (live, dead, gone)]
    links.disable(practice.unlu, gone.id)
    now.move(days=31)
    links.disable(practice.unlu, dead.id)
    client = app.test_client()
    assert [client.get(f"/cal/{token}").status_code for token in tokens] == [200, 200, 410]
    missed = [
        "".join((token[:at], next(c for c in ALPHABET if c != token[at]), token[at + 1 :]))
        for token in tokens
        for at in (0, 16, 32)
    ]
    paths = ["2" * 33, code, code + "2222222", *missed, *(token[:-1] for token in tokens)]

    for method, headers in product(
        ("GET", "HEAD"), ({}, IPHONE, {"If-None-Match": "*"}, {"If-Modified-Since": "x"})
    ):
        now.move(hours=1)  # or guessing so often would be slowed
        answers = [
            client.open(f"/cal/{path}/a.ics?x=1", method=method, headers=headers) for path in paths
        ]
        assert {answer.status_code for answer in answers} == {404}
        for answer in answers:
            assert re.fullmatch("[0-9a-f]{8}", answer.headers.pop("X-Request-ID"))  # by chance
        assert len({(str(answer.headers), answer.data) for answer in answers}) == 1


def every_row() -> dict[str, list[tuple[object, ...]]]:
    db.session.rollback()
    return {
        table.name: [tuple(row) for row in db.session.execute(select(table))]
        for table in Row.metadata.sorted_tables
    }


@pytest.mark.bar("L14")
@pytest.mark.parametrize("state", ["live", "dead", "unknown"])
@pytest.mark.parametrize(
    "method",
    "GET HEAD OPTIONS POST PUT PATCH DELETE PROPFIND PROPPATCH REPORT MKCALENDAR LOCK".split(),
)
def test_whatever_is_asked_of_a_feed_changes_nothing_but_what_visits_tell(
    app: Flask, practice: Practice, book: Book, method: str, state: str
) -> None:
    """SECURITY L14."""
    recorder = app.extensions["visits"]
    recorder._thread = threading.current_thread()  # writes when it is told to
    book(practice.jane)
    link = links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.INITIALS)
    path = f"/cal/{'2' * 33}" if state == "unknown" else path_of(link)
    if state == "dead":
        links.disable(practice.unlu, link.id)
    before = every_row()

    for address in (path, f"{path}?mode=full_name", f"{path}/../settings"):
        answer = app.test_client().open(address, method=method, data=b"x=1", headers=IPHONE)
        allowed = {"GET": {200, 404}, "HEAD": {200, 404}, "OPTIONS": {204}}.get(method, {405})
        assert answer.status_code in allowed
        assert (answer.status_code != 405) or answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    recorder.write()

    after = every_row()
    changed = {table for table in after if after[table] != before[table]}
    noted = {"visit", "feed_figures", "link", "audit_entry"}
    assert changed == (noted if (method, state) == ("GET", "live") else set())
    read = ("read_at", "read_by")
    kept = [column for column in Link.__table__.c if column.name not in read]
    places = [list(Link.__table__.c).index(column) for column in kept]
    assert [[row[n] for n in places] for row in after["link"]] == [
        [row[n] for n in places] for row in before["link"]
    ]


@pytest.mark.bar("L10")
def test_robots_may_read_feeds_and_nothing_else(app: Flask) -> None:
    """SECURITY L10: Google asks before it reads a calendar; `noindex` keeps it out of searches."""
    answer = app.test_client().get("/robots.txt")

    assert answer.text.split("\n") == ["User-agent: *", "Allow: /cal/", "Disallow: /", ""]


@pytest.mark.bar("L6")
def test_other_keys_sign_people_out_and_keep_every_link(
    app: Flask, config: Config, practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    """SECURITY L6: a feed needs neither the key of cookies nor that of the links' copies."""
    book(practice.jane)
    path = path_of(links.allow(practice.unlu, practice.unlus_calendar))
    browser = browser_of("unlu@example.com")
    before = browser.get(path)
    assert browser.get("/account").status_code == 200
    cookie = browser.get_cookie("__Host-session")
    assert cookie is not None
    with transaction() as session:
        session.execute(delete(KeyCheck))  # or the next start refuses other keys
    for name in ("secret", "token"):
        (config.data_dir / f"{name}.key").write_text("ab" * 32)

    restarted = create_app(config)
    again = restarted.test_client()
    again.set_cookie("__Host-session", cookie.value)

    assert (again.get(path).status_code, again.get(path).data) == (200, before.data)
    assert again.get("/account").headers["Location"].startswith("/sign-in")
    with restarted.app_context():
        db.engine.dispose()
