"""What opens the phone's page; see also test_links.py."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Conflict, NotFound
from sync_ui.models import AuditEntry, Code, Link, db
from sync_ui.services import accounts, codes, links
from tests.practice import Clock, Practice


def own_link(practice: Practice) -> Link:
    return links.allow(practice.unlu, practice.unlus_calendar)


@pytest.mark.bar("M3")
def test_a_look_shows_the_calendars_name_and_no_address(practice: Practice) -> None:
    text, _ = codes.make(practice.unlu, own_link(practice).id)

    seen = codes.look_at(text, None)

    assert (seen.calendar_name, seen.address) == ("Dr. Ünlü", None)
    opened, browser = codes.spend(text, None)
    assert opened.address == links.address(own_link(practice))
    assert codes.look_at(text, browser).address == opened.address


@pytest.mark.parametrize("spelling", [str.upper, lambda t: f"{t}.", lambda t: f"<{t}>"])
def test_a_code_survives_mail_and_hand(practice: Practice, spelling: Callable[[str], str]) -> None:
    text, _ = codes.make(practice.unlu, own_link(practice).id)

    assert codes.spend(spelling(text), None)[0].address is not None


@pytest.mark.bar("L1")
def test_a_links_token_is_no_code(practice: Practice) -> None:
    address = links.address(own_link(practice)) or ""
    codes.make(practice.unlu, own_link(practice).id)

    with pytest.raises(NotFound):
        codes.look_at(address.split("/")[-2], None)


def end_by_reset(practice: Practice, link: Link) -> None:
    links.reset(practice.unlu, link.id)


def end_by_reset_all(practice: Practice, link: Link) -> None:
    links.reset_all(practice.unlu, practice.unlus_calendar)


def end_by_disabling(practice: Practice, link: Link) -> None:
    links.disable(practice.unlu, link.id)


def end_by_disabling_the_user(practice: Practice, link: Link) -> None:
    accounts.disable_user(practice.ada, practice.unlu.user_id or 0)


@pytest.mark.bar("M3")
@pytest.mark.parametrize(
    "end", [end_by_reset, end_by_reset_all, end_by_disabling, end_by_disabling_the_user]
)
def test_codes_made_before_open_nothing_afterwards(
    practice: Practice, end: Callable[[Practice, Link], None]
) -> None:
    link = own_link(practice)
    waiting, _ = codes.make(practice.unlu, link.id, codes.MAIL_LIFETIME)
    spent, _ = codes.make(practice.unlu, link.id)
    opened, browser = codes.spend(spent, None)
    assert opened.address is not None
    assert codes.look_at(waiting, None).calendar_name == "Dr. Ünlü"

    end(practice, link)

    with pytest.raises(NotFound):
        codes.look_at(spent, browser)
    with pytest.raises(NotFound):
        codes.spend(waiting, None)


def test_a_reset_leaves_the_codes_of_other_links(practice: Practice) -> None:
    tablet = links.create(practice.unlu, practice.unlus_calendar, "Tablet", DisplayMode.BUSY)
    text, _ = codes.make(practice.unlu, tablet.id)

    links.reset(practice.unlu, links.create(practice.unlu, "2", "Phone", DisplayMode.BUSY).id)

    assert codes.spend(text, None)[0].address == links.address(tablet)


def test_one_browser_can_open_two_codes_and_load_both_again(practice: Practice) -> None:
    first, _ = codes.make(practice.sam, links.allow(practice.sam, "practice").id)
    second, _ = codes.make(practice.sam, own_link(practice).id)

    one, browser = codes.spend(first, None)
    two, browser = codes.spend(second, browser)

    assert codes.look_at(first, browser) == one
    assert codes.look_at(second, browser) == two
    with pytest.raises(NotFound):
        codes.look_at(first, "2" * 26)


@pytest.mark.bar("M3")
def test_a_late_code_opens_nothing(practice: Practice, now: Clock) -> None:
    text, _ = codes.make(practice.unlu, own_link(practice).id)
    now.move(minutes=9, seconds=59)
    assert codes.look_at(text, None).calendar_name == "Dr. Ünlü"

    now.move(seconds=1)

    with pytest.raises(NotFound):
        codes.spend(text, None)


def test_a_dead_link_gets_no_code(practice: Practice) -> None:
    link = own_link(practice)
    links.disable(practice.unlu, link.id)

    with pytest.raises(Conflict):
        codes.make(practice.unlu, link.id)


@pytest.mark.bar("L5", "M3")
def test_neither_database_nor_audit_knows_a_codes_text(practice: Practice) -> None:
    text, _ = codes.make(practice.unlu, own_link(practice).id)
    _, browser = codes.spend(text, None)

    kept = [repr(code.__dict__) for code in db.session.scalars(select(Code))]
    kept += [repr(entry.__dict__) for entry in db.session.scalars(select(AuditEntry))]

    assert [secret for secret in (text, browser) for line in kept if secret in line] == []
    assert db.session.scalar(select(func.count(Code.id))) == 1
