from sqlalchemy import insert

from sync_ui.domain.event import Kind
from sync_ui.models import Appointment, transaction
from sync_ui.services import access, feeds
from tests.practice import NOW, ZONE, Practice


def fill(practice: Practice, *numbers: int) -> None:
    """Appointments of Dr. Ünlü, all at the same time."""
    rows = [
        {
            "uid": f"filled-{number}",
            "clinician_id": practice.unlu.clinician_id,
            "kind": Kind.SESSION,
            "zone": ZONE,
            "starts_local": NOW.replace(tzinfo=None),
            "starts_at": NOW,
            "ends_at": NOW.replace(hour=18),
            "created_at": NOW,
            "changed_at": NOW,
        }
        for number in numbers
    ]
    with transaction() as session:
        session.execute(insert(Appointment), rows)


def test_a_calendar_of_more_than_a_thousand_events_is_large(practice: Practice) -> None:
    fill(practice, *range(1_000))
    assert feeds.is_large(access.calendar(practice.unlu, practice.unlus_calendar)) is False

    fill(practice, 1_000)

    assert feeds.is_large(access.calendar(practice.unlu, practice.unlus_calendar)) is True
    assert feeds.is_large(access.calendar(practice.ada, "practice")) is True
    assert feeds.is_large(access.calendar(practice.anna, practice.annas_calendar)) is False
