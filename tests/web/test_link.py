"""A link's own page: every choice about it, and every way to take it back."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from sync_ui.domain.apps import Reader
from sync_ui.domain.event import Choices, DisplayMode, Telehealth
from sync_ui.models import AuditEntry, Link, Reason, Token, Visit, db, transaction
from sync_ui.services import links, replaced
from sync_ui.services import practice as practices
from tests import queries
from tests.practice import Book, Clock, Practice, csrf_token, token_of

NOTICE = b"This calendar link was turned off"

# What the form of a fresh link sends, ticks and all.
FORM = {
    "label": "Anna's iPhone",
    "mode": "initials",
    "location": "y",
    "time_off": "y",
    "telehealth": "none",
    "days_back": "",
    "months_ahead": "",
    "last_day": "",
    "agreement": "",
}


class Visitor:
    """Dr. Ünlü, on the pages of one link."""

    def __init__(self, browser: FlaskClient, practice: Practice, link: Link) -> None:
        self.browser, self.link_id = browser, link.id
        self.sync = f"/calendars/{practice.unlus_calendar}/sync"
        self.page = f"/calendars/{practice.unlus_calendar}/links/{link.id}"

    def send(self, action: str = "", /, **form: str) -> TestResponse:
        return self._post(action, form, {})

    def send_in_place(self, action: str = "", /, **form: str) -> TestResponse:
        """As htmx does."""
        return self._post(action, form, {"HX-Request": "true"})

    def _post(self, action: str, form: dict[str, str], headers: dict[str, str]) -> TestResponse:
        data = form | {"csrf_token": csrf_token(self.browser, "/account")}
        return self.browser.post(f"{self.page}{action}", data=data, headers=headers)

    def look(self, path: str = "") -> str:
        answer = self.browser.get(path or self.page)
        assert answer.status_code == 200
        return words(answer)

    def feed(self, token: str) -> bytes:
        read: bytes = self.browser.get(f"/cal/{token}/dr-unlu.ics").data
        return read

    def link(self) -> Link:
        db.session.rollback()
        return db.session.get_one(Link, self.link_id, populate_existing=True)


@pytest.fixture
def link(practice: Practice, book: Book) -> Link:
    book(practice.jane)
    return links.create(
        practice.unlu, practice.unlus_calendar, "Anna's iPhone", DisplayMode.INITIALS
    )


@pytest.fixture
def unlu(practice: Practice, link: Link, browser_of: Callable[[str], FlaskClient]) -> Visitor:
    return Visitor(browser_of("unlu@example.com"), practice, link)


def words(answer: TestResponse) -> str:
    """The page's text, one space between any two words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def previewed(answer: TestResponse) -> list[str]:
    return re.findall(r'"preview-title">([^<]*)<', answer.text)


def facts(link: Link) -> tuple[object, ...]:
    return (
        *(link.label, link.mode, link.choices, link.days_back, link.months_ahead),
        *(link.expires_at, link.agreement),
    )


def actions() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_the_page_tells_the_state_and_what_the_link_shows(unlu: Visitor) -> None:
    seen = unlu.look()

    assert "Works Initials Not read yet" in seen
    assert links.disclosure(unlu.link()) in seen
    assert "No calendar app has read this link." in seen
    assert re.search(r"Monday, November 23|Tuesday, November 24", seen)
    assert "J.S." in seen


def test_every_choice_is_saved_at_once(unlu: Visitor) -> None:
    saved = unlu.send(
        label="Office  Outlook",
        mode="first_name",
        type="y",
        cancelled="y",
        telehealth="button",
        days_back="0",
        months_ahead="2",
        last_day="2026-12-31",
        agreement="BAA with Microsoft of 3 May",
    )

    assert (saved.status_code, saved.headers["Location"]) == (302, unlu.page)
    assert "Saved. Calendar apps show it when they next look." in unlu.look()
    chosen = Choices(
        location=False, type=True, telehealth=Telehealth.BUTTON, time_off=False, cancelled=True
    )
    # The last minute of New Year's Eve in New York is five hours later elsewhere.
    ends = datetime(2027, 1, 1, 5, tzinfo=UTC)
    assert facts(unlu.link()) == (
        *("Office Outlook", DisplayMode.FIRST_NAME, chosen, 0, 2),
        *(ends, "BAA with Microsoft of 3 May"),
    )
    assert 'value="2026-12-31"' in unlu.browser.get(unlu.page).text


def test_with_htmx_the_answer_is_the_page_in_place(unlu: Visitor) -> None:
    saved = unlu.send_in_place(**FORM | {"mode": "busy"})

    assert (saved.status_code, saved.text.lstrip()[:4]) == (200, "<div")
    assert 'id="own-link"' in saved.text
    assert "Saved. Calendar apps show it when they next look." in words(saved)
    assert unlu.link().mode is DisplayMode.BUSY


def test_an_end_that_is_not_touched_stays_to_the_minute(unlu: Visitor, now: Clock) -> None:
    ends = now() + timedelta(days=3, minutes=7)
    with transaction() as session:
        session.get_one(Link, unlu.link_id).expires_at = ends

    unlu.send(**FORM | {"label": "Locum", "last_day": "2026-11-26"})

    assert (unlu.link().label, unlu.link().expires_at) == ("Locum", ends)


FAULTS = {
    "label: none": ({"label": ""}, "Name the link"),
    "label: blank": ({"label": "  "}, "A name must have 1 to 100 characters."),
    "label: too long": ({"label": "x" * 101}, "A name has at most 100 characters."),
    "mode: unknown": ({"mode": "everything"}, "Choose one of these ways to show names."),
    "mode: none": ({"mode": ""}, "Choose one of these ways to show names."),
    "telehealth: unknown": ({"telehealth": "shout"}, "Choose how the video room’s address shows."),
    "days: too many": ({"days_back": "10000"}, "From 0 to 366."),
    "days: negative": ({"days_back": "-1"}, "From 0 to 366."),
    "days: a word": ({"days_back": "many"}, "Enter a whole number, or leave it empty."),
    "days: endless": ({"days_back": "9" * 5000}, "Enter a whole number, or leave it empty."),
    "months: none": ({"months_ahead": "0"}, "From 1 to 24."),
    "months: half": ({"months_ahead": "1.5"}, "Enter a whole number, or leave it empty."),
    "end: past": ({"last_day": "2026-11-22"}, "This day is over."),
    "end: no day": ({"last_day": "2026-02-30"}, "Choose a day of the calendar"),
    "end: never": ({"last_day": "9999-12-31"}, "Choose a day within ten years"),
    "note: too long": ({"agreement": "x" * 201}, "At most 200 characters."),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", [Visitor.send, Visitor.send_in_place])
def test_what_makes_no_sense_is_said_and_nothing_is_lost(
    unlu: Visitor, fault: str, way: Callable[..., TestResponse]
) -> None:
    wrong, sentence = FAULTS[fault]
    before = facts(unlu.link())
    typed = FORM | {"label": "Typed with care", "months_ahead": "7"} | wrong

    refused = way(unlu, **typed)

    assert refused.status_code == 422
    assert sentence in words(refused)
    assert refused.text.count('class="field-errors"') == 1
    for name in {"label", "months_ahead", *wrong} - {"mode", "telehealth"}:
        assert typed[name].strip() in unescape(refused.text)
    assert facts(unlu.link()) == before


def test_full_names_need_a_yes(unlu: Visitor) -> None:
    asked = unlu.send(**FORM | {"mode": "full_name"})
    assert (asked.status_code, unlu.link().mode) == (409, DisplayMode.INITIALS)
    assert "Confirm that yours has one." in words(asked)

    unlu.send(**FORM | {"mode": "full_name", "confirmed": "y"})

    assert unlu.link().mode is DisplayMode.FULL_NAME


def test_where_the_practice_demands_it_full_names_need_a_note(
    unlu: Visitor, practice: Practice
) -> None:
    policy(practice, wants_agreement=True)
    names = FORM | {"mode": "full_name", "confirmed": "y"}

    refused = unlu.send(**names)
    assert (refused.status_code, unlu.link().mode) == (422, DisplayMode.INITIALS)
    assert "only with a note of the agreement" in words(refused)

    unlu.send(**names | {"agreement": "BAA with Google, 3 May 2026"})
    assert links.shown_mode(unlu.link()) is DisplayMode.FULL_NAME


def test_without_a_note_the_simple_page_offers_no_full_names(
    unlu: Visitor, practice: Practice
) -> None:
    option = '<option value="full_name">'
    assert option in unlu.browser.get(unlu.sync).text

    policy(practice, wants_agreement=True)

    assert option not in unlu.browser.get(unlu.sync).text
    assert "Choose full names on the link’s own page" in unlu.look(unlu.sync)


@pytest.mark.bar("F3")
def test_more_than_the_practice_allows_is_refused(unlu: Visitor, practice: Practice) -> None:
    policy(practice, ceiling=DisplayMode.INITIALS)

    refused = unlu.send(**FORM | {"mode": "first_name"})

    assert (refused.status_code, unlu.link().mode) == (403, DisplayMode.INITIALS)
    assert "Your practice allows at most: initials." in words(refused)


def test_a_tightened_ceiling_shows_on_every_page_of_the_link(
    unlu: Visitor, practice: Practice
) -> None:
    unlu.send(**FORM | {"mode": "first_name"})
    assert previewed(unlu.browser.get(unlu.page)) == ["Jane"]

    policy(practice, ceiling=DisplayMode.BUSY)

    for page in (unlu.page, unlu.sync):
        seen = unlu.look(page)
        assert "This link was set to show more (First name); it shows Busy only now." in seen
        assert "Works Busy only" in seen
        assert previewed(unlu.browser.get(page)) == ["Busy"]


def test_the_preview_follows_the_form_and_saves_nothing(unlu: Visitor) -> None:
    before = facts(unlu.link())
    query = {"mode": "first_name", "type": "y", "telehealth": "address", "months_ahead": "1"}

    shown = unlu.browser.get(f"{unlu.page}/preview", query_string=query)

    assert (shown.status_code, facts(unlu.link())) == (200, before)
    seen = words(shown)
    assert "First name" in seen
    assert previewed(shown) == ["Jane"]
    assert "Not saved yet." in seen
    assert "type and the video room's address" in seen
    assert "to Dec 23, to whoever holds the link." in seen


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"mode": "everything", "telehealth": "none"}, "How client names show: Choose one"),
        ({"mode": "busy", "telehealth": "none", "days_back": "10000"}, "Days back: From 0 to 366."),
        ({}, "How client names show: Choose one"),
    ],
)
def test_a_preview_of_nonsense_says_what_is_wrong(
    unlu: Visitor, query: dict[str, str], sentence: str
) -> None:
    answer = unlu.browser.get(f"{unlu.page}/preview", query_string=query)

    assert answer.status_code == 422
    assert sentence in words(answer)


@pytest.mark.bar("F3")
def test_a_preview_shows_no_more_than_the_practice_allows(
    unlu: Visitor, practice: Practice
) -> None:
    policy(practice, ceiling=DisplayMode.INITIALS)

    query = {"mode": "full_name", "telehealth": "none"}
    assert previewed(unlu.browser.get(f"{unlu.page}/preview", query_string=query)) == ["J.S."]


def test_a_fresh_link_leaves_the_old_one_its_time(unlu: Visitor, link: Link, now: Clock) -> None:
    old = token_of(link)

    unlu.send("/access/fresh", hours="24")

    new = token_of(unlu.link())
    assert new != old
    assert (NOTICE in unlu.feed(old), NOTICE in unlu.feed(new)) == (False, False)
    seen = unlu.look()
    assert "The old one works for 24 hours more." in seen
    assert "The address before this one works until tomorrow at 12:00 PM" in seen
    now.move(hours=25)
    assert (NOTICE in unlu.feed(old), NOTICE in unlu.feed(new)) == (True, False)


@pytest.mark.parametrize("hours", ["", "1", "-24", "many", "9" * 30])
def test_an_old_address_has_24_or_72_hours(unlu: Visitor, link: Link, hours: str) -> None:
    old = token_of(link)

    refused = unlu.send("/access/fresh", hours=hours)

    assert (refused.status_code, token_of(unlu.link())) == (422, old)
    assert "for 24 or for 72 hours." in words(refused)


@pytest.mark.bar("L3")
def test_a_reset_kills_the_old_address_at_once_and_keeps_the_reason(
    unlu: Visitor, link: Link
) -> None:
    unlu.send(**FORM | {"mode": "busy", "days_back": "3"})
    before, old = facts(unlu.link()), token_of(link)

    unlu.send("/access/reset", reason="lost")

    assert NOTICE in unlu.feed(old)
    assert NOTICE not in unlu.feed(token_of(unlu.link()))
    assert facts(unlu.link()) == before
    assert db.session.scalars(select(Token.reason).order_by(Token.id)).all() == [Reason.LOST, None]


def test_nobody_has_to_say_why(unlu: Visitor, link: Link) -> None:
    old = token_of(link)

    assert unlu.send("/access/reset", reason="").status_code == 302

    assert NOTICE in unlu.feed(old)
    assert set(db.session.scalars(select(Token.reason))) == {None}


def test_all_links_of_a_calendar_are_reset_with_a_reason(
    unlu: Visitor, practice: Practice, link: Link
) -> None:
    other = links.create(practice.unlu, practice.unlus_calendar, "Office", DisplayMode.BUSY)
    old = [token_of(link), token_of(other)]
    form = {"reason": "leaked", "csrf_token": csrf_token(unlu.browser, "/account")}

    unlu.browser.post(f"/calendars/{practice.unlus_calendar}/reset-all", data=form)

    assert [NOTICE in unlu.feed(token) for token in old] == [True, True]
    db.session.rollback()
    reasons = db.session.scalars(select(Token.reason).where(Token.retired_at.is_not(None))).all()
    assert reasons == [Reason.LEAKED, Reason.LEAKED]


def test_a_disabled_link_tells_so_and_takes_no_change(unlu: Visitor, link: Link) -> None:
    old = token_of(link)
    unlu.send("/access/disable")

    seen = unlu.look()
    assert "Turned off" in seen
    assert "It shows no appointment any more" in seen
    assert "Get a fresh link" not in seen
    assert "Someone else had this link" in seen
    assert NOTICE in unlu.feed(old)
    before = facts(unlu.link())
    for send in (unlu.send, unlu.send_in_place):
        for action in ("", "/access/fresh", "/access/reset", "/access/disable"):
            refused = send(action, hours="24", **FORM)
            assert (action, refused.status_code) == (action, 409)
            assert "This link was turned off already. Make a new one." in words(refused)
    assert facts(unlu.link()) == before


def test_an_expired_link_tells_so(
    unlu: Visitor, now: Clock, browser_of: Callable[[str], FlaskClient]
) -> None:
    unlu.send(**FORM | {"last_day": "2026-11-23"})
    assert "Works until tomorrow at 12:00 AM" in unlu.look()

    now.move(days=1)
    unlu.browser = browser_of("unlu@example.com")

    assert "Expired today at 12:00 AM" in unlu.look()
    assert unlu.send(**FORM).status_code == 409
    assert "Ended links" in unlu.look(unlu.sync)


def test_a_new_reader_shows_until_its_owner_knows_it(unlu: Visitor, link: Link, now: Clock) -> None:
    add_visit(link, now(), "Thunderbird", told_at=now())
    visit = add_visit(link, now())
    for page in (unlu.page, unlu.sync, "/calendars"):
        assert "New reader" in unlu.look(page)
    assert "Google Calendar reads this link" in unlu.look()

    known = unlu.send_in_place(f"/visits/{visit}/known")

    assert known.status_code == 200
    for page in (unlu.page, unlu.sync, "/calendars"):
        assert "New reader" not in unlu.look(page)


@pytest.mark.bar("Z1")
def test_a_visit_of_another_link_is_not_found(
    unlu: Visitor, practice: Practice, now: Clock
) -> None:
    other = links.create(practice.unlu, practice.unlus_calendar, "Office", DisplayMode.BUSY)
    visit = add_visit(other, now())

    assert unlu.send(f"/visits/{visit}/known").status_code == 404
    assert unlu.send("/visits/999999999999/known").status_code == 404
    assert db.session.get_one(Visit, visit, populate_existing=True).told_at is None


def test_the_list_tells_all_links_at_one_glance(
    unlu: Visitor, practice: Practice, link: Link, now: Clock
) -> None:
    ends = now() + timedelta(days=1)
    links.create(
        practice.unlu, practice.unlus_calendar, "Partner", DisplayMode.BUSY, expires_at=ends
    )
    with transaction() as session:
        row = session.get_one(Link, link.id)
        row.read_at, row.read_by = now() - timedelta(minutes=6), "Google Calendar"

    _, _, listed = unlu.look(unlu.sync).partition("All links of this calendar")

    assert re.findall(r"Anna's iPhone Works Initials|Partner Works Busy only", listed) == [
        "Anna's iPhone Works Initials",
        "Partner Works Busy only",
    ]
    assert "Last read 6 minutes ago by Google Calendar" in listed
    assert "Not read yet Works until tomorrow at 12:00 PM" in listed
    for each in links.live(link.calendar):
        assert links.disclosure(each) in listed
        assert unlu.page.replace(f"/{link.id}", f"/{each.id}") in unlu.browser.get(unlu.sync).text


def test_one_link_alone_needs_no_list(unlu: Visitor) -> None:
    seen = unlu.look(unlu.sync)

    assert "All links of this calendar" not in seen
    assert links.disclosure(unlu.link()) in seen


def test_links_that_have_ended_stay_in_sight(unlu: Visitor) -> None:
    unlu.send("/access/disable")

    seen = unlu.look(unlu.sync)

    assert "nothing leaves the practice. Ended links 1 Anna's iPhone Turned off" in seen
    assert unlu.page in unlu.browser.get(unlu.sync).text


def test_a_practices_longest_life_shows_where_the_end_is_chosen(
    unlu: Visitor, practice: Practice
) -> None:
    policy(practice, longest_link_days=30)

    seen = unlu.look()

    assert "Your practice lets an address live 30 days at most; a fresh one begins anew." in seen
    assert "Works until Dec 23, 2026 at 12:00 PM" in seen
    refused = unlu.send(**FORM | {"last_day": "2027-01-15"})
    assert (refused.status_code, unlu.link().expires_at) == (422, None)
    assert "Your practice lets no link live longer than 30 days." in words(refused)
    assert 'aria-describedby="last_day-hint last_day-errors"' in refused.text


@pytest.mark.bar("F9")
def test_the_lists_of_calendars_and_links_ask_the_database_as_often_for_many_links(
    unlu: Visitor, practice: Practice
) -> None:
    pages = ["/calendars", f"/calendars/{practice.unlus_calendar}/sync"]

    def asked() -> list[int]:
        return [queries.number_of(lambda: unlu.browser.get(page)) for page in pages]  # noqa: B023

    policy(practice, longest_link_days=30)
    links.create(practice.unlu, practice.unlus_calendar, "Phone", DisplayMode.BUSY)
    few = asked()
    for number in range(10):
        links.create(practice.unlu, practice.unlus_calendar, f"Link {number}", DisplayMode.BUSY)

    assert asked() == few


def test_changes_are_remembered(unlu: Visitor) -> None:
    before = len(actions())

    unlu.send(**FORM | {"mode": "busy"})
    unlu.send("/access/fresh", hours="72")
    unlu.send("/access/disable")

    ours = [action for action in actions()[before:] if action.startswith("link.")]
    assert ours == ["link.changed", "link.renewed", "link.disabled"]


def policy(
    practice: Practice,
    ceiling: DisplayMode = DisplayMode.FULL_NAME,
    *,
    wants_agreement: bool = False,
    longest_link_days: int | None = None,
) -> None:
    practices.change_policy(
        practice.ada,
        ceiling=ceiling,
        longest_link_days=longest_link_days,
        wants_agreement=wants_agreement,
        schedulers_share_practice=True,
    )


def add_visit(
    link: Link, at: datetime, name: str = "Google Calendar", told_at: datetime | None = None
) -> int:
    with transaction() as session:
        visit = Visit(
            link_id=link.id,
            token_id=link.tokens[0].id,
            reader=Reader.APP,
            name=name,
            network="the internet, 203.0.113.0/24",
            told_at=told_at,
            first_at=at,
            last_at=at,
            seen_until=at,
        )
        session.add(visit)
        session.flush()
        return visit.id


def test_full_names_that_lack_their_note_are_never_called_saved(
    unlu: Visitor, practice: Practice
) -> None:
    unlu.send(**FORM | {"mode": "full_name", "confirmed": "y"})
    policy(practice, wants_agreement=True)
    assert links.shown_mode(unlu.link()) is DisplayMode.FIRST_NAME

    refused = unlu.send(**FORM | {"mode": "full_name"})
    renamed = unlu.send(**FORM | {"mode": "first_name", "label": "Office"})

    assert (refused.status_code, renamed.status_code) == (422, 302)
    assert "only with a note of the agreement" in words(refused)
    assert (unlu.link().label, unlu.link().mode) == ("Office", DisplayMode.FULL_NAME)


def test_a_note_alone_shows_no_more_than_the_form_said(unlu: Visitor, practice: Practice) -> None:
    unlu.send(**FORM | {"mode": "full_name", "confirmed": "y"})
    policy(practice, wants_agreement=True)

    unlu.send(**FORM | {"mode": "first_name", "agreement": "BAA of 3 May"})

    assert links.shown_mode(unlu.link()) is DisplayMode.FIRST_NAME


def test_every_old_address_is_told_with_its_end_and_its_reader(
    unlu: Visitor, link: Link, now: Clock
) -> None:
    unlu.send("/access/fresh", hours="24")
    unlu.send("/access/fresh", hours="72")
    add_visit(link, now())
    with transaction() as session:
        row = session.get_one(Link, link.id)
        row.read_at, row.read_by = now(), "Google Calendar"
        visit = session.scalars(select(Visit)).one()
        visit.token_id, visit.name = row.tokens[0].id, "Google Calendar"
        visit.reader, visit.last_at = Reader.APP, now()

    for page in (unlu.page, unlu.sync):
        seen = unlu.look(page)
        assert "Last read just now by Google Calendar, still by an old address" in seen
        assert "The address before this one works until Nov 26, 2026 at 12:00 PM, not read" in seen
        assert "An older address works until tomorrow at 12:00 PM, last read just now by" in seen


@pytest.mark.parametrize("word", ["<script>", "LOST"])
def test_an_unknown_reason_resets_nothing(unlu: Visitor, link: Link, word: str) -> None:
    before = token_of(link)

    assert unlu.send("/access/reset", reason=word).status_code == 422
    assert unlu.send("/reset", reason=word).status_code == 422

    assert token_of(unlu.link()) == before


def test_a_mode_saved_after_another_tab_disabled_all_shows_the_unshared_page(
    unlu: Visitor, practice: Practice
) -> None:
    links.disallow(practice.unlu, practice.unlus_calendar)

    stale = unlu.send_in_place("/mode", mode="busy")

    assert stale.status_code == 409
    assert words(stale).startswith("This link was turned off already. Make a new one.")
    assert "How client names show" not in words(stale)
    assert "Until you tick the box" in words(stale)


def test_two_living_links_have_two_names_that_no_mark_turns_around(
    unlu: Visitor, practice: Practice
) -> None:
    other = links.create(
        practice.unlu, practice.unlus_calendar, "Out\u202elook\u2066", DisplayMode.BUSY
    )
    assert other.label == "Outlook"

    refused = unlu.send(**FORM | {"label": "OUTLOOK"})
    assert (refused.status_code, unlu.link().label) == (409, "Anna's iPhone")
    assert "There is a link of this name already." in words(refused)
    assert "How client names show in “Anna's iPhone”" in unlu.look(unlu.sync)

    links.disable(practice.unlu, other.id)
    assert unlu.send(**FORM | {"label": "OUTLOOK"}).status_code == 302


def test_a_reset_by_an_administrator_is_told_for_a_week(
    unlu: Visitor, practice: Practice, link: Link, now: Clock
) -> None:
    links.reset(practice.ada, link.id, Reason.LOST)
    told = "Reset by an administrator today at 12:00 PM because a device was lost or stolen"
    assert told in unlu.look()
    assert told in unlu.look(unlu.sync)
    now.move(days=7)
    assert replaced.reset_by_another(practice.unlu, unlu.link()) is None


def test_ones_own_reset_is_no_news(unlu: Visitor, practice: Practice, link: Link) -> None:
    links.reset(practice.ada, link.id)
    assert "Reset by an administrator today at 12:00 PM: add it" in unlu.look()

    unlu.send("/access/reset")

    assert "Reset by" not in unlu.look()
