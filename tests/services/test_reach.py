"""Who leaves, or may do less, leaves no door open."""

import pytest

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.errors import NotFound
from sync_ui.models import Link, db
from sync_ui.services import access, accounts, feeds, links
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
