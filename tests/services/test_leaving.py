"""Who leaves, or may do less, leaves no door open."""

import pytest

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.errors import NotFound, Refused
from sync_ui.models import Code, Link, db
from sync_ui.services import access, accounts, codes, feeds, links
from tests.practice import Practice, token_of


def states(*made: Link) -> list[str]:
    return [links.state(db.session.get_one(Link, link.id)) for link in made]


def test_who_leaves_ends_only_own_and_made_links(practice: Practice) -> None:
    """A scheduler without a calendar: the practice's links of others go on."""
    desk = links.create(practice.ada, "practice", "Front desk", DisplayMode.BUSY)
    own = links.create(practice.anna, practice.annas_calendar, "Phone", DisplayMode.BUSY)
    mine = links.create(practice.sam, "practice", "Sam's phone", DisplayMode.BUSY)
    for_anna = links.create(practice.sam, practice.annas_calendar, "Tablet", DisplayMode.BUSY)

    accounts.disable_user(practice.ada, practice.sam.user_id or 0)

    assert states(desk, own, mine, for_anna) == ["live", "live", "disabled", "disabled"]


@pytest.mark.bar("L13")
def test_who_becomes_a_clinician_keeps_only_own_links(practice: Practice) -> None:
    sam = practice.sam.user_id or 0
    accounts.change_user(
        practice.ada, sam, name="Sam Rivera", role=Role.SCHEDULER, sees_clients=True
    )
    scheduler = access.actor_for(accounts.user(sam))
    own_calendar = access.own_calendar(scheduler)
    assert own_calendar is not None
    own = links.create(scheduler, links.key(own_calendar), "Phone", DisplayMode.BUSY)
    practice_wide = links.create(scheduler, "practice", "Phone", DisplayMode.BUSY)
    annas = links.create(scheduler, practice.annas_calendar, "Phone", DisplayMode.BUSY)
    old = token_of(practice_wide)
    assert states(own, practice_wide, annas) == ["live", "live", "live"]

    accounts.change_user(practice.ada, sam, name="Sam Rivera", role=Role.CLINICIAN)

    assert states(own, practice_wide, annas) == ["live", "disabled", "disabled"]
    assert feeds.read(old).link_id is None


def test_a_new_name_ends_nothing(practice: Practice) -> None:
    desk = links.create(practice.sam, "practice", "Front desk", DisplayMode.BUSY)

    accounts.change_user(
        practice.ada, practice.sam.user_id or 0, name="Samuel Rivera", role=Role.SCHEDULER
    )

    assert states(desk) == ["live"]


@pytest.mark.parametrize("row_id", [0, -1, 2**31, 10**30])
def test_what_no_row_can_have_as_its_id_is_not_found(practice: Practice, row_id: int) -> None:
    for door in (access.link, access.appointment, access.client, access.clinician):
        with pytest.raises(NotFound):
            door(practice.ada, row_id)
    with pytest.raises(NotFound):
        accounts.user(row_id)


def opens(code: str) -> bool:
    """Whether somebody's browser gets in by it."""
    try:
        codes.spend(code, None)
    except NotFound:
        return False
    return True


@pytest.mark.bar("Z3")
def test_codes_that_a_leaver_drew_for_colleagues_open_nothing(practice: Practice) -> None:
    """SECURITY Z3: a code in the leaver's own mailbox would hand over a link that goes on."""
    annas = links.create(practice.anna, practice.annas_calendar, "Phone", DisplayMode.BUSY)
    drawn, mailed = (
        codes.make(practice.sam, annas.id, lifetime)[0]
        for lifetime in (codes.QR_LIFETIME, codes.MAIL_LIFETIME)
    )
    bound, browser = codes.make(practice.sam, annas.id)[0], "Sam's browser"
    codes.spend(bound, browser)
    annas_own = codes.make(practice.anna, annas.id)[0]

    accounts.disable_user(practice.ada, practice.sam.user_id or 0)

    assert states(annas) == ["live"]
    assert [opens(code) for code in (drawn, mailed)] == [False, False]
    with pytest.raises(NotFound):
        codes.look_at(bound, browser)
    assert opens(annas_own)


@pytest.mark.bar("Z3")
def test_codes_that_others_drew_for_a_leavers_calendar_open_nothing(practice: Practice) -> None:
    """SECURITY Z3, L13."""
    annas = links.create(practice.sam, practice.annas_calendar, "Tablet", DisplayMode.BUSY)
    code = codes.make(practice.sam, annas.id)[0]
    assert codes.look_at(code, None).calendar_name == "Anna Bergström"

    accounts.disable_user(practice.ada, practice.anna.user_id or 0)

    assert states(annas) == ["disabled"]
    assert not opens(code)


def test_codes_out_of_reach_of_a_new_role_open_nothing(practice: Practice) -> None:
    """SECURITY L13."""
    sam = practice.sam.user_id or 0
    accounts.change_user(
        practice.ada, sam, name="Sam Rivera", role=Role.SCHEDULER, sees_clients=True
    )
    scheduler = access.actor_for(accounts.user(sam))
    own_calendar = access.own_calendar(scheduler)
    assert own_calendar is not None
    own = links.create(scheduler, links.key(own_calendar), "Phone", DisplayMode.BUSY)
    annas = links.create(practice.anna, practice.annas_calendar, "Phone", DisplayMode.BUSY)
    for_own, for_annas = (codes.make(scheduler, link.id)[0] for link in (own, annas))

    accounts.change_user(practice.ada, sam, name="Sam Rivera", role=Role.CLINICIAN)

    assert [opens(code) for code in (for_own, for_annas)] == [True, False]


@pytest.mark.bar("Z3")
def test_a_request_under_way_brings_whoever_was_put_out_no_new_secret(practice: Practice) -> None:
    """SECURITY Z3: the actor was let in just before."""
    annas = links.create(practice.sam, practice.annas_calendar, "Phone", DisplayMode.BUSY)
    kept = links.create(practice.anna, practice.annas_calendar, "Tablet", DisplayMode.BUSY)
    assert codes.make(practice.sam, kept.id)[0]
    accounts.disable_user(practice.ada, practice.sam.user_id or 0)

    for ask in (
        lambda: links.create(practice.sam, "practice", "Late", DisplayMode.BUSY),
        lambda: links.allow(practice.sam, "practice"),
        lambda: links.reset(practice.sam, kept.id),
        lambda: links.renew(practice.sam, kept.id, 24),
        lambda: codes.make(practice.sam, kept.id),
    ):
        with pytest.raises(Refused):
            ask()

    assert states(annas, kept) == ["disabled", "live"]
    assert db.session.query(Link).count() == 2
    assert db.session.query(Code).count() == 0
