from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.event import Kind, Status
from sync_ui.models import Appointment
from sync_ui.services.plans import Plan, moments, plan_of

ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe")

# Around the nights in which one of these zones changes its clocks.
NIGHTS = st.sampled_from(
    [
        *[datetime(2026, 10, 4), datetime(2026, 10, 25), datetime(2026, 11, 1)],
        *[datetime(2027, 3, 14), datetime(2027, 3, 28), datetime(2027, 4, 4)],
    ]
)


@given(
    night=NIGHTS,
    zone=st.sampled_from(ZONES),
    begins=st.integers(-20, 24).map(lambda quarters: quarters * timedelta(minutes=15)),
    length=st.integers(1, 60).map(lambda quarters: quarters * timedelta(minutes=15)),
    all_day=st.booleans(),
)
def test_an_appointment_planned_as_it_stands_stays_as_it_stands(
    night: datetime, zone: str, begins: timedelta, length: timedelta, all_day: bool
) -> None:
    starts = night if all_day else night + begins
    plan = Plan(starts, starts + (timedelta(days=1) if all_day else length), zone, all_day=all_day)
    starts_at, ends_at = moments(plan)
    if ends_at <= starts_at:  # within the hour that the clocks skip: refused
        return
    stored = Appointment(
        starts_local=plan.starts,
        starts_at=starts_at,
        ends_at=ends_at,
        zone=zone,
        all_day=all_day,
        kind=Kind.SESSION,
        status=Status.SCHEDULED,
    )

    assert moments(plan_of(stored)) == (starts_at, ends_at)
