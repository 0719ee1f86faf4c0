"""What opens the phone's page; see also test_links.py."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from sync_ui.domain.event import DisplayMode
from sync_ui.errors import Conflict, NotFound
from sync_ui.models import AuditEntry, Code, Link, db
from sync_ui.services import accounts, links
from tests.practice import Clock, Practice


def own_link(practice: Practice) -> Link:
    return links.allow(practice.unlu, practice.unlus_calendar)


def test_a_look_shows_the_calendars_name_and_no_address(practice: Practice) -> None:
    text, _ = links.make_code(practice.unlu, own_link(practice).id)

    seen = links.look_at_code(text, None)

    assert (seen.calendar_name, seen.address) == ("Dr. Ünlü", None)
    opened, browser = links.spend_code(text, None)
    assert opened.address == links.address(own_link(practice))
    assert links.look_at_code(text, browser).address == opened.address


@pytest.mark.parametrize("spelling", [str.upper, lambda t: f"{t}.", lambda t: f"<{t}>"])
def test_a_code_survives_mail_and_hand(practice: Practice, spelling: Callable[[str], str]) -> None:
    text, _ = links.make_code(practice.unlu, own_link(practice).id)

    assert links.spend_code(spelling(text), None)[0].address is not None


def test_a_links_token_is_no_code(practice: Practice) -> None:
    address = links.address(own_link(practice)) or ""
    links.make_code(practice.unlu, own_link(practice).id)

    with pytest.raises(NotFound):
        links.look_at_code(address.split("/")[-2], None)


def end_by_reset(practice: Practice, link: Link) -> None:
    links.reset(practice.unlu, link.id)


def end_by_reset_all(practice: Practice, link: Link) -> None:
    links.reset_all(practice.unlu, practice.unlus_calendar)


def end_by_disabling(practice: Practice, link: Link) -> None:
    links.disable(practice.unlu, link.id)


def end_by_disabling_the_user(practice: Practice, link: Link) -> None:
    accounts.disable_user(practice.ada, practice.unlu.user_id or 0)


@pytest.mark.parametrize(
    "end", [end_by_reset, end_by_reset_all, end_by_disabling, end_by_disabling_the_user]
)
def test_codes_made_before_open_nothing_afterwards(
    practice: Practice, end: Callable[[Practice, Link], None]
) -> None:
    link = own_link(practice)
    waiting, _ = links.make_code(practice.unlu, link.id, links.MAIL_LIFETIME)
    spent, _ = links.make_code(practice.unlu, link.id)
    opened, browser = links.spend_code(spent, None)
    assert opened.address is not None
    assert links.look_at_code(waiting, None).calendar_name == "Dr. Ünlü"

    end(practice, link)

    with pytest.raises(NotFound):
        links.look_at_code(spent, browser)
    with pytest.raises(NotFound):
        links.spend_code(waiting, None)


def test_a_reset_leaves_the_codes_of_other_links(practice: Practice) -> None:
    tablet = links.create(practice.unlu, practice.unlus_calendar, "Tablet", DisplayMode.BUSY)
    text, _ = links.make_code(practice.unlu, tablet.id)

    links.reset(practice.unlu, links.create(practice.unlu, "2", "Phone", DisplayMode.BUSY).id)

    assert links.spend_code(text, None)[0].address == links.address(tablet)


def test_one_browser_can_open_two_codes_and_load_both_again(practice: Practice) -> None:
    first, _ = links.make_code(practice.sam, links.allow(practice.sam, "practice").id)
    second, _ = links.make_code(practice.sam, own_link(practice).id)

    one, browser = links.spend_code(first, None)
    two, browser = links.spend_code(second, browser)

    assert links.look_at_code(first, browser) == one
    assert links.look_at_code(second, browser) == two
    with pytest.raises(NotFound):
        links.look_at_code(first, "2" * 26)


def test_a_late_code_opens_nothing(practice: Practice, now: Clock) -> None:
    text, _ = links.make_code(practice.unlu, own_link(practice).id)
    now.move(minutes=9, seconds=59)
    assert links.look_at_code(text, None).calendar_name == "Dr. Ünlü"

    now.move(seconds=1)

    with pytest.raises(NotFound):
        links.spend_code(text, None)


def test_a_dead_link_gets_no_code(practice: Practice) -> None:
    link = own_link(practice)
    links.disable(practice.unlu, link.id)

    with pytest.raises(Conflict):
        links.make_code(practice.unlu, link.id)


def test_neither_database_nor_audit_knows_a_codes_text(practice: Practice) -> None:
    text, _ = links.make_code(practice.unlu, own_link(practice).id)
    _, browser = links.spend_code(text, None)

    kept = [repr(code.__dict__) for code in db.session.scalars(select(Code))]
    kept += [repr(entry.__dict__) for entry in db.session.scalars(select(AuditEntry))]

    assert [secret for secret in (text, browser) for line in kept if secret in line] == []
    assert db.session.scalar(select(func.count(Code.id))) == 1
