"""What the owner of a link is told of who reads it."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Invalid, NotFound
from sync_ui.models import AuditEntry, Link, Mail, MailKind, User, Visit, db
from sync_ui.services import links, notices, upkeep, visits
from sync_ui.services.access import COMMAND, WORKER, Actor
from sync_ui.services.audit import Action
from sync_ui.services.notices import Notice, NoticeKind
from sync_ui.services.visits import Recorder, Seen
from tests.practice import Clock, Practice

IPHONE = "iOS/26.5 (23F77) dataaccessd/1.0"
GOOGLE = "Google-Calendar-Importer"
URLSCAN = "Mozilla/5.0 (compatible; urlscan.io)"
CURL = "curl/8.14.1"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/137.0.0.0 Safari/537.36"

HOME = "203.0.113.7"
OFFICE = "192.168.1.20"


@pytest.fixture
def config(config: Config) -> Config:
    return replace(config, smtp_url="smtp://127.0.0.1:9", mail_from="calendar@example.com")


@pytest.fixture
def recorder(app: Flask) -> Recorder:
    recorder: Recorder = app.extensions["visits"]
    recorder._thread = threading.current_thread()
    return recorder


@pytest.fixture
def link(practice: Practice, recorder: Recorder) -> Link:
    return links.allow(practice.unlu, practice.unlus_calendar)


def read_by(link: Link, *agents: str, peer: str = HOME) -> None:
    """Each app reads the link's present address, one after the other."""
    db.session.rollback()
    token = [token for token in db.session.get_one(Link, link.id).tokens if not token.retired_at]
    now = clock.now()
    for agent in agents:
        visits.recorder().note(Seen(token[-1].id, link.id, agent, peer, "", now, now))
    visits.recorder().write()


def shown(link: Link) -> list[Notice]:
    db.session.rollback()
    return notices.of(db.session.get_one(Link, link.id))


def told(link: Link) -> list[str]:
    return [notice.words for notice in shown(link)]


def owed() -> list[tuple[MailKind, int | None, str]]:
    db.session.rollback()
    rows = db.session.scalars(select(Mail).order_by(Mail.id))
    return [(row.kind, row.link_id, row.user.email) for row in rows]


def audited(action: Action) -> list[Any]:
    db.session.rollback()
    entries = select(AuditEntry).where(AuditEntry.action == action.value).order_by(AuditEntry.id)
    return [(entry.actor, entry.subject, entry.detail) for entry in db.session.scalars(entries)]


FIRST = "Apple Calendar on iPhone or iPad connected just now, from the internet, 203.0.113.0/24."


def confirm_first(link: Link) -> None:
    [visit] = [n.visit for n in shown(link) if n.kind is NoticeKind.FIRST_READER]
    notices.put_away(COMMAND, visit.id)


def test_the_first_app_is_to_be_confirmed_and_no_alarm(link: Link, practice: Practice) -> None:
    notices.want_mails(practice.unlu, True)
    read_by(link, IPHONE)

    assert [(n.kind, n.words) for n in shown(link)] == [(NoticeKind.FIRST_READER, FIRST)]
    assert audited(Action.LINK_NEW_READER) == []
    assert owed() == []

    read_by(link, GOOGLE)
    assert [n.kind.value for n in shown(link)] == ["new_reader", "first_reader"]
    assert len(owed()) == 1
    confirm_first(link)
    assert [n.kind.value for n in shown(link)] == ["new_reader"]


def test_a_fresh_link_makes_no_stranger_of_who_reads_already(
    link: Link, practice: Practice, now: Clock
) -> None:
    notices.want_mails(practice.unlu, True)
    read_by(link, IPHONE, GOOGLE)
    before = told(link)
    assert len(before) == 2
    assert len(owed()) == 1

    for _ in range(2):
        links.renew(practice.unlu, link.id, 24)
        now.move(minutes=1)
        read_by(link, GOOGLE, IPHONE)
        assert sorted(told(link)) == sorted(before)

    assert len(owed()) == 1
    assert len(audited(Action.LINK_NEW_READER)) == 1
    notices.put_away(practice.unlu, shown(link)[0].visit.id)
    assert len(told(link)) == 1


@pytest.mark.bar("L12")
def test_who_reads_a_dead_address_only_is_no_news(link: Link, practice: Practice) -> None:
    notices.want_mails(practice.unlu, True)
    read_by(link, IPHONE)
    token_id = link.tokens[0].id
    links.reset(practice.unlu, link.id)
    now = clock.now()
    visits.recorder().note(Seen(token_id, link.id, CURL, HOME, "", now, now))
    visits.recorder().write()
    db.session.rollback()
    assert "curl" in {visit.name for visit in visits.of_link(link.id)}
    assert told(link) == []
    assert owed() == []

    read_by(link, CURL)

    assert told(link) == ["Curl read this link, from the internet, 203.0.113.0/24."]
    assert len(owed()) == 1


def test_all_of_these_were_me(link: Link, practice: Practice) -> None:
    read_by(link, IPHONE, GOOGLE)
    latest = max(notice.visit.id for notice in shown(link))
    read_by(link, CURL)
    assert len(told(link)) == 3
    with pytest.raises(NotFound):
        notices.put_away_all(practice.anna, link.id)

    assert notices.put_away_all(practice.unlu, link.id, latest) == 2
    assert told(link) == ["Curl read this link, from the internet, 203.0.113.0/24."]
    assert notices.put_away_all(practice.unlu, link.id) == 1
    assert told(link) == []
    assert [detail for *_, detail in audited(Action.NOTICE_PUT_AWAY)] == [
        {"count": 2},
        {"count": 1},
    ]


@pytest.mark.bar("L12")
def test_a_new_kind_of_reader_is_told_of_once(link: Link, now: Clock) -> None:
    """SECURITY L12: Google, Apple, curl and urlscan read; the owner hears of each new kind."""
    read_by(link, IPHONE)
    confirm_first(link)
    for agent in (GOOGLE, CURL, URLSCAN, CHROME):
        now.move(minutes=1)
        read_by(link, agent, agent)

    new = [
        "Somebody opened this link in Chrome, from the internet, 203.0.113.0/24.",
        "Urlscan.io looked at this link, from the internet, 203.0.113.0/24: "
        "it was pasted or mailed somewhere.",
        "Curl read this link, from the internet, 203.0.113.0/24.",
        "Google Calendar reads this link, from the internet, 203.0.113.0/24.",
    ]
    assert told(link) == new
    assert [detail["by"] for *_, detail in audited(Action.LINK_NEW_READER)] == [
        "app",
        "script",
        "preview",
        "browser",
    ]
    now.move(days=1)
    read_by(link, IPHONE, GOOGLE, CURL, URLSCAN, CHROME)
    assert sorted(told(link)) == sorted(new)
    assert len(audited(Action.LINK_NEW_READER)) == 4


@pytest.mark.bar("L12")
def test_who_only_looks_is_news_even_as_the_first(link: Link) -> None:
    """SECURITY L12."""
    read_by(link, CURL)
    assert told(link) == ["Curl read this link, from the internet, 203.0.113.0/24."]

    read_by(link, IPHONE)
    confirm_first(link)

    assert told(link) == ["Curl read this link, from the internet, 203.0.113.0/24."]


@pytest.mark.bar("L12")
def test_a_known_app_on_a_new_kind_of_network_is_news(link: Link) -> None:
    read_by(link, IPHONE, peer=OFFICE)
    read_by(link, IPHONE, peer="192.168.77.1")
    confirm_first(link)
    assert told(link) == []

    read_by(link, IPHONE, peer=HOME)
    read_by(link, IPHONE, peer="198.51.100.3")

    assert told(link) == [
        "Apple Calendar on iPhone or iPad reads this link, from the internet, 203.0.113.0/24."
    ]


def test_that_was_me(link: Link, practice: Practice, now: Clock) -> None:
    read_by(link, IPHONE)
    confirm_first(link)
    read_by(link, GOOGLE)
    [notice] = shown(link)

    notices.put_away(practice.unlu, notice.visit.id)
    read_by(link, GOOGLE, peer="198.51.100.3")

    assert told(link) == []
    assert audited(Action.NOTICE_PUT_AWAY)[1:] == [
        (practice.unlu.word, f"link:{link.id}", {"visit": notice.visit.id})
    ]


def test_only_who_may_manage_the_link_puts_its_notices_away(link: Link, practice: Practice) -> None:
    read_by(link, IPHONE)
    confirm_first(link)
    read_by(link, GOOGLE)
    [notice] = shown(link)

    with pytest.raises(NotFound):
        notices.put_away(practice.anna, notice.visit.id)
    with pytest.raises(NotFound):
        notices.put_away(practice.unlu, 4711)
    assert len(told(link)) == 1

    notices.put_away(practice.sam, notice.visit.id)
    assert told(link) == []


def test_after_a_reset_who_was_known_is_no_news_and_who_was_not_is(
    link: Link, practice: Practice, now: Clock
) -> None:
    """Whoever read the old address without its owner's word is a stranger to the new one, too."""
    read_by(link, IPHONE, GOOGLE, CURL)
    confirm_first(link)
    google = next(notice for notice in shown(link) if notice.visit.name == "Google Calendar")
    notices.put_away(practice.unlu, google.visit.id)
    now.move(days=1)
    links.reset(practice.unlu, link.id)

    read_by(link, IPHONE)
    read_by(link, GOOGLE)
    read_by(link, CURL)

    assert [notice.visit.name for notice in shown(link)] == ["curl"]


def read_daily(link: Link, now: Clock, days: int, *agents: str) -> None:
    """Known apps read, day after day."""
    for _ in range(days):
        read_by(link, *agents)
        for notice in shown(link):
            if notice.kind is not NoticeKind.SILENT:
                notices.put_away(COMMAND, notice.visit.id)
        now.move(days=1)
    now.move(days=-1)


SILENT = (
    "Apple Calendar on iPhone or iPad read this link on most days, and has not for 3 days. "
    "Is your phone still connected?"
)


def test_an_app_that_read_daily_and_stopped_fell_silent(link: Link, now: Clock) -> None:
    read_daily(link, now, 3, IPHONE)
    now.move(days=2, hours=23)
    assert told(link) == []

    now.move(hours=1)

    assert told(link) == [SILENT]
    read_by(link, IPHONE)
    assert told(link) == []


def test_one_phone_on_many_networks_is_one(link: Link, now: Clock) -> None:
    for peer in (HOME, "198.51.100.3", HOME):
        read_by(link, IPHONE, peer=peer)
        notices.put_away_all(COMMAND, link.id)
        now.move(days=1)
    now.move(days=2)

    assert told(link) == [SILENT]


def test_another_apps_reading_does_not_hide_a_silence(link: Link, now: Clock) -> None:
    read_daily(link, now, 3, IPHONE, GOOGLE)
    now.move(days=3)
    read_by(link, GOOGLE)

    assert told(link) == [SILENT]


@pytest.mark.parametrize("days", [1, 2])
def test_who_has_not_read_for_three_days_can_not_fall_silent(
    link: Link, now: Clock, days: int
) -> None:
    read_daily(link, now, days, IPHONE)
    now.move(days=9)

    assert told(link) == []


def test_a_silence_can_be_put_away_until_the_next(
    link: Link, practice: Practice, now: Clock
) -> None:
    read_daily(link, now, 3, IPHONE)
    now.move(days=4)
    [notice] = shown(link)
    notices.put_away(practice.unlu, notice.visit.id)
    assert told(link) == []

    read_daily(link, now, 8, IPHONE)
    now.move(days=3)

    assert told(link) == [SILENT]


@pytest.mark.parametrize("how", ["disabled", "reset"])
def test_what_is_dead_is_silent_by_right(
    link: Link, practice: Practice, now: Clock, how: str
) -> None:
    read_daily(link, now, 3, IPHONE)
    now.move(days=3)
    assert told(link) == [SILENT]

    if how == "reset":
        links.reset(practice.unlu, link.id)
    else:
        links.disable(practice.unlu, link.id)

    assert told(link) == []


@pytest.mark.bar("L12")
def test_mail_about_a_new_reader_is_owed_to_who_wants_it(
    link: Link, practice: Practice, now: Clock
) -> None:
    """SECURITY L12."""
    read_by(link, IPHONE, GOOGLE)
    assert owed() == []

    notices.want_mails(practice.unlu, True)
    read_by(link, CURL)
    assert owed() == [(MailKind.NEW_READER, link.id, "unlu@example.com")]

    notices.want_mails(practice.unlu, False)
    now.move(days=2)
    read_by(link, URLSCAN)
    assert len(owed()) == 1
    assert notices.wants_mails(practice.unlu) is False


def test_a_day_brings_one_mail_about_new_readers_of_a_link(
    link: Link, practice: Practice, now: Clock
) -> None:
    notices.want_mails(practice.unlu, True)
    second = links.create(practice.unlu, practice.unlus_calendar, "iPad", DisplayMode.BUSY)
    read_by(link, IPHONE, GOOGLE, CURL)
    read_by(link, URLSCAN)
    read_by(second, IPHONE, GOOGLE)
    assert [link_id for _, link_id, _ in owed()] == [link.id, second.id]

    now.move(days=1)
    read_by(link, CHROME)

    assert [link_id for _, link_id, _ in owed()] == [link.id, second.id, link.id]


def test_the_owner_is_the_clinician_or_else_who_made_the_link(
    link: Link, practice: Practice, now: Clock
) -> None:
    for actor in (practice.unlu, practice.sam, practice.ada):
        notices.want_mails(actor, True)
    by_sam = links.create(practice.sam, practice.unlus_calendar, "Desk", DisplayMode.BUSY)
    wide = links.create(practice.sam, "practice", "Front desk", DisplayMode.BUSY)
    nobodys = links.create(COMMAND, "practice", "Screen", DisplayMode.BUSY)
    for each in (by_sam, wide, nobodys):
        read_by(each, CURL)

    assert [email for *_, email in owed()] == ["unlu@example.com", "sam@example.com"]


def test_without_a_mail_server_nothing_is_owed(app: Flask, link: Link, practice: Practice) -> None:
    notices.want_mails(practice.unlu, True)
    found = app.extensions["installation"]
    app.extensions["installation"] = replace(found, config=replace(found.config, smtp_url=None))

    read_by(link, CURL)

    assert owed() == []
    assert len(told(link)) == 1


def test_the_sweep_finds_a_silence_and_owes_one_mail(
    link: Link, practice: Practice, now: Clock
) -> None:
    read_daily(link, now, 3, IPHONE)
    now.move(days=3)
    assert notices.tell_silent(WORKER) == 0
    notices.want_mails(practice.unlu, True)

    upkeep.sweep()
    upkeep.sweep()
    now.move(days=1)
    upkeep.sweep()

    assert owed() == [(MailKind.SILENT, link.id, "unlu@example.com")]
    assert audited(Action.LINK_SILENT) == [("worker", f"link:{link.id}", {})]

    read_daily(link, now, 6, IPHONE)
    now.move(days=3)
    upkeep.sweep()
    assert [kind for kind, *_ in owed()] == [MailKind.SILENT, MailKind.SILENT]


def test_a_silence_of_long_ago_is_no_news(link: Link, practice: Practice, now: Clock) -> None:
    read_daily(link, now, 3, IPHONE)
    notices.want_mails(practice.unlu, True)
    now.move(days=11)

    assert notices.tell_silent(WORKER) == 0
    assert len(told(link)) == 1


def test_a_silence_that_was_put_away_is_not_mailed(
    link: Link, practice: Practice, now: Clock
) -> None:
    read_daily(link, now, 3, IPHONE)
    now.move(days=3)
    [notice] = shown(link)
    notices.put_away(practice.unlu, notice.visit.id)
    notices.want_mails(practice.unlu, True)

    assert notices.tell_silent(WORKER) == 0


@pytest.mark.parametrize("actor", [COMMAND, WORKER])
def test_who_has_no_address_can_have_no_mail(practice: Practice, actor: Actor) -> None:
    with pytest.raises(Invalid):
        notices.want_mails(actor, True)
    assert notices.wants_mails(actor) is False


def test_the_choice_is_in_the_audit(practice: Practice) -> None:
    notices.want_mails(practice.unlu, True)

    assert audited(Action.USER_CHANGED) == [
        (practice.unlu.word, f"user:{practice.unlu.user_id}", {"mails_notices": True})
    ]
    assert db.session.get_one(User, practice.unlu.user_id).mails_notices
    assert db.session.scalars(select(Visit)).all() == []
