"""Who reads a link, as pages say it: on the link's page, at an appointment, on the account."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.models import AuditEntry, Link, Mail, User, db
from sync_ui.services import appointments, links, notices
from sync_ui.services.plans import plan_of
from sync_ui.services.visits import Recorder, Seen
from tests.practice import NOW, Book, Clock, Practice, csrf_token, token_of

BrowserOf = Callable[[str], FlaskClient]

IPHONE = "iOS/26.5 (23F77) dataaccessd/1.0"
GOOGLE = "Google-Calendar-Importer"
CURL = "curl/8.14.1"
URLSCAN = "Mozilla/5.0 (compatible; urlscan.io)"

WISH = "E-mail me when somebody new reads my link, or my phone goes silent"


@pytest.fixture
def config(config: Config) -> Config:
    return replace(config, smtp_url="smtp://127.0.0.1:9", mail_from="calendar@example.com")


@pytest.fixture
def recorder(app: Flask) -> Recorder:
    """Writes when the test says so."""
    recorder: Recorder = app.extensions["visits"]
    recorder._thread = threading.current_thread()
    return recorder


@pytest.fixture
def office(practice: Practice, recorder: Recorder) -> Link:
    return links.create(practice.unlu, practice.unlus_calendar, "Office", DisplayMode.INITIALS)


def seen(link: Link, agent: str, at: float, *, until: float | None = None) -> Seen:
    """A reading `at` hours from now, which got whatever had changed `until` then."""
    read_at = NOW + timedelta(hours=at)
    given = read_at if until is None else NOW + timedelta(hours=until)
    return Seen(link.tokens[0].id, link.id, agent, "203.0.113.7", "", given, read_at)


def words(client: FlaskClient, address: str) -> str:
    """What a page says, in one line."""
    text = re.sub(r"<script.*?</script>|<[^>]+>", " ", client.get(address).text, flags=re.DOTALL)
    return " ".join(unescape(text).split())


def page_of(practice: Practice, link: Link) -> str:
    return f"/calendars/{practice.unlus_calendar}/links/{link.id}"


@pytest.mark.bar("L12")
def test_whoever_reads_a_link_is_on_its_page_in_the_audit_and_in_a_mail(
    practice: Practice, browser_of: BrowserOf, office: Link, recorder: Recorder
) -> None:
    """SECURITY L12: fetched as Apple, Google, curl and urlscan."""
    notices.want_mails(practice.unlu, True)
    stranger = browser_of("")
    for agent in (IPHONE, GOOGLE, CURL, URLSCAN):
        answer = stranger.get(f"/cal/{token_of(office)}/x.ics", headers={"User-Agent": agent})
        assert answer.status_code == 200
        recorder.write()

    page = words(browser_of("unlu@example.com"), page_of(practice, office))

    for name in ("Apple Calendar on iPhone or iPad", "Google Calendar", "curl", "urlscan.io"):
        assert f"{name} Read once, just now, from" in page.replace(" script", "").replace(
            " preview", ""
        )
    assert page.count("That was me") == 4
    assert "Apple Calendar on iPhone or iPad connected just now, from" in page
    assert "Not me: reset" in page
    assert page.index("Read once") < page.index("Opened, but not by a calendar app")
    db.session.rollback()
    entries = list(db.session.scalars(select(AuditEntry.action)))
    assert [entries.count(f"link.{word}") for word in ("first_read", "opened", "new_reader")] == [
        1,
        1,
        3,
    ]
    assert [(mail.kind, mail.user.email) for mail in db.session.scalars(select(Mail))] == [
        ("new_reader", "unlu@example.com")
    ]


def test_the_page_says_how_often_and_from_where(
    practice: Practice, browser_of: BrowserOf, office: Link, recorder: Recorder, now: Clock
) -> None:
    for hour in range(-48, 1):
        recorder.note(seen(office, IPHONE, hour))
    recorder.write()
    now.move(minutes=6)

    page = words(browser_of("unlu@example.com"), page_of(practice, office))

    assert (
        "Read 49 times, about every hour, first Nov 21, 2026, last 6 minutes ago, "
        "from the internet (203.0.113.0/24)"
    ) in page


def test_that_was_me_puts_the_notice_away(
    practice: Practice, browser_of: BrowserOf, office: Link, recorder: Recorder
) -> None:
    recorder.note(seen(office, IPHONE, -2))
    recorder.write()
    browser = browser_of("unlu@example.com")
    page = page_of(practice, office)
    [action] = re.findall(rf'action="({page}/visits/\d+/known)"', browser.get(page).text)
    assert "All of these were me" not in words(browser, page)

    token = csrf_token(browser, page)
    assert browser.post(action, data={"csrf_token": token}).status_code == 302

    assert "That was me" not in words(browser, page)


def test_several_notices_are_put_away_in_one_press(
    practice: Practice, browser_of: BrowserOf, office: Link, recorder: Recorder
) -> None:
    recorder.note(seen(office, IPHONE, -2))
    recorder.note(seen(office, GOOGLE, -1))
    recorder.write()
    sam, unlu = browser_of("sam@example.com"), browser_of("unlu@example.com")
    page = page_of(practice, office)
    assert words(sam, page).count("Known reader") == 2
    assert "were me" not in words(sam, page)
    assert words(unlu, page).count("That was me") == 2
    [latest] = re.findall(r'name="latest" value="(\d+)"', unlu.get(page).text)

    data = {"csrf_token": csrf_token(unlu, page), "latest": latest}
    assert unlu.post(f"{page}/visits/known", data=data).status_code == 302

    assert "That was me" not in words(unlu, page)


def test_an_appointment_tells_who_lost_the_link(
    practice: Practice,
    browser_of: BrowserOf,
    office: Link,
    recorder: Recorder,
    book: Book,
    now: Clock,
) -> None:
    recorder.note(seen(office, GOOGLE, -1))
    recorder.write()
    session = book(practice.jane)
    late = "Readings count after a few seconds."
    unlu = browser_of("unlu@example.com")
    assert late in words(unlu, f"/calendar/{session.id}")
    links.reset(practice.unlu, office.id)
    lost = "Google Calendar (link “Office”) lost this link at 12:00 PM and has not been added again"
    assert lost in words(unlu, f"/calendar/{session.id}")

    db.session.rollback()
    fresh = db.session.get_one(Link, office.id).tokens[-1].id
    recorder.note(seen(office, GOOGLE, 0.1)._replace(token_id=fresh))
    recorder.write()
    now.move(minutes=10)

    page = words(unlu, f"/calendar/{session.id}")
    assert "(link “Office”) has it, read 12:06 PM" in page
    assert lost not in page
    assert late not in page


def test_an_appointment_tells_who_has_not_seen_its_change(
    practice: Practice,
    browser_of: BrowserOf,
    office: Link,
    recorder: Recorder,
    book: Book,
    now: Clock,
) -> None:
    phone = links.create(practice.unlu, practice.unlus_calendar, "My iPhone", DisplayMode.BUSY)
    links.create(practice.unlu, practice.unlus_calendar, "Old phone", DisplayMode.BUSY)
    links.create(practice.ada, "practice", "Front desk", DisplayMode.BUSY)
    session = book(practice.jane)
    now.move(hours=2, minutes=2)
    plan = plan_of(session)
    later = replace(plan, starts=plan.starts.replace(hour=15), ends=plan.ends.replace(hour=15))
    appointments.change(practice.unlu, session.id, later)
    recorder.note(seen(office, GOOGLE, -2.8, until=-2.8))
    recorder.note(seen(phone, IPHONE, 2.2))
    recorder.write()
    now.move(hours=1)
    unlu, ada = browser_of("unlu@example.com"), browser_of("ada@example.com")

    page = words(unlu, f"/calendar/{session.id}")

    assert "Changed 2:02 PM 1 of 2 apps without it" in page
    assert "Google Calendar (link “Office”) last read 9:12 AM and still shows it as it was" in page
    assert "Apple Calendar on iPhone or iPad (link “My iPhone”) has it, read 2:12 PM" in page
    assert "Nobody reads the link “Old phone”" in page
    assert "Front desk" not in page
    assert "Nobody reads the link “Front desk” of the whole practice" in words(
        ada, f"/calendar/{session.id}"
    )


def test_a_cancelled_appointment_tells_who_still_shows_it(
    practice: Practice,
    browser_of: BrowserOf,
    office: Link,
    recorder: Recorder,
    book: Book,
    now: Clock,
) -> None:
    session = book(practice.jane)
    recorder.note(seen(office, GOOGLE, 1, until=-1))
    recorder.write()
    now.move(hours=2)
    page = words(browser_of("unlu@example.com"), f"/calendar/{session.id}")
    assert "Added 12:00 PM 1 of 1 apps without it" in page
    assert "(link “Office”) last read 1:00 PM and does not show it yet" in page

    appointments.cancel(practice.unlu, session.id)
    now.move(days=1)

    page = words(browser_of("unlu@example.com"), f"/calendar/{session.id}")
    assert "Cancelled yesterday at 2:00 PM 1 of 1 apps without it" in page
    assert "(link “Office”) last read yesterday at 1:00 PM and still shows it" in page


def test_an_old_change_is_not_spoken_of(
    practice: Practice, browser_of: BrowserOf, office: Link, book: Book, now: Clock
) -> None:
    session = book(practice.jane)
    now.set(session.changed_at + timedelta(days=2))

    assert "Added" not in words(browser_of("unlu@example.com"), f"/calendar/{session.id}")


@pytest.mark.parametrize("email", ["unlu@example.com", "sam@example.com", "ada@example.com"])
def test_the_account_page_asks_whether_to_mail_notices(
    practice: Practice, browser_of: BrowserOf, email: str
) -> None:
    browser = browser_of(email)

    def wants() -> tuple[bool, bool]:
        db.session.rollback()
        user = db.session.scalars(select(User).where(User.email == email)).one()
        [box] = re.findall(r'<input[^>]*name="wanted"[^>]*>', browser.get("/account").text)
        return user.mails_notices, "checked" in box

    assert WISH in words(browser, "/account")
    assert wants() == (False, False)
    for form, wanted in (({"wanted": "y"}, True), ({}, False)):
        token = csrf_token(browser, "/account")
        answer = browser.post("/account/notices", data={**form, "csrf_token": token})
        assert answer.status_code == 302
        assert wants() == (wanted, wanted)


def test_without_a_mail_server_the_account_page_says_that_nothing_is_sent(
    app: Flask, practice: Practice, browser_of: BrowserOf
) -> None:
    browser = browser_of("unlu@example.com")
    sentence = "This installation has no mail server yet, so nothing is sent"
    assert sentence not in words(browser, "/account")

    found = app.extensions["installation"]
    app.extensions["installation"] = replace(found, config=replace(found.config, smtp_url=None))

    assert sentence in words(browser, "/account")
