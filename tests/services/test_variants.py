"""On either database a link shows what the rows say: in every variant, and after every change."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from sync_ui.domain.colours import Colour
from sync_ui.domain.event import DisplayMode, Status
from sync_ui.models import Appointment, AppointmentType, Client, Link, db
from sync_ui.services import appointments, clients, feeds, people, types
from sync_ui.services import practice as practices
from sync_ui.services.plans import plan_of
from tests.oracle import Rows, differences
from tests.practice import Clock, Practice, token_of
from tests.readers import in_ical
from tests.variants import every_link

Links = dict[str, Link]


def wrong(made: Links, now: Clock) -> dict[str, object]:
    """Every link whose feed is not what the rows say, and in what."""
    read = in_ical([feeds.read(token_of(link)).body for link in made.values()])
    rows = Rows()
    return {
        name: found
        for (name, link), feed in zip(made.items(), read, strict=True)
        if (found := differences(feed, rows.shown_by(link, now())))
    }


def test_every_variant_shows_what_the_rows_say(everything: Practice, now: Clock) -> None:
    assert wrong(dict(every_link(everything)), now) == {}


def janes_next(status: Status = Status.SCHEDULED) -> Appointment:
    """One that she comes to alone."""
    rows = db.session.scalars(select(Appointment).order_by(Appointment.starts_at))
    fitting = (row for row in rows if [c.first_name for c in row.clients] == ["Jane"])
    return next(row for row in fitting if row.status is status)


def move(practice: Practice, by: timedelta) -> None:
    found = janes_next()
    plan = plan_of(found)
    moved = replace(plan, starts=plan.starts + by, ends=plan.ends + by, location="Telehealth")
    appointments.change(practice.ada, found.id, moved, despite="Both agreed")


def rename(practice: Practice) -> None:
    jane = db.session.get_one(Client, practice.jane)
    clients.change(
        practice.sam,
        jane.id,
        first_name="Ædith",
        last_name="Smith;,",
        preferred_name="Edie",
        internal_id=jane.internal_id,
        ceiling=None,
    )


def cap(practice: Practice, ceiling: DisplayMode | None) -> None:
    wanted = select(AppointmentType).where(AppointmentType.name.startswith("Couple"))
    kind = db.session.scalars(wanted).one()
    types.change(
        practice.ada,
        kind.id,
        name="Couple, 90 min",
        minutes=90,
        colour=Colour.TEAL,
        ceiling=ceiling,
    )


def set_policy(practice: Practice, ceiling: DisplayMode, *, wants_agreement: bool) -> None:
    practices.change_policy(
        practice.ada,
        ceiling=ceiling,
        longest_link_days=None,
        wants_agreement=wants_agreement,
        schedulers_share_practice=True,
    )


CHANGES: dict[str, Callable[[Practice, Clock], object]] = {
    "an appointment is moved within its day": lambda p, _: move(p, timedelta(hours=3)),
    "an appointment is moved to another month": lambda p, _: move(p, timedelta(days=40)),
    "an appointment is cancelled": lambda p, _: appointments.cancel(p.ada, janes_next().id),
    "it comes back": lambda p, _: appointments.restore(
        p.ada, janes_next(Status.CANCELLED).id, despite="Both agreed"
    ),
    "a client is renamed": lambda p, _: rename(p),
    "a type is capped": lambda p, _: cap(p, DisplayMode.BUSY),
    "a type is open again": lambda p, _: cap(p, None),
    "a clinician is renamed": lambda p, _: people.change(
        p.ada, p.unlu.clinician_id or 0, "Dr. Ünlü-Kaya"
    ),
    "full names need an agreement": lambda p, _: set_policy(
        p, DisplayMode.FULL_NAME, wants_agreement=True
    ),
    "the practice allows less": lambda p, _: set_policy(
        p, DisplayMode.INTERNAL_ID, wants_agreement=False
    ),
    "the practice allows all again": lambda p, _: set_policy(
        p, DisplayMode.FULL_NAME, wants_agreement=False
    ),
    "a day goes by": lambda _, now: now.move(days=1),
    "the 31st comes": lambda _, now: now.set(datetime(2027, 1, 31, 17, tzinfo=UTC)),
}


def test_after_every_change_every_feed_shows_what_the_rows_say(
    everything: Practice, now: Clock
) -> None:
    """SECURITY F3, F8: whatever was written before and is kept in memory."""
    chosen = (", all", "to 1 months", "to 12 months")
    made = {name: link for name, link in every_link(everything) if name.endswith(chosen)}
    assert wrong(made, now) == {}

    for what, change in CHANGES.items():
        before = [feeds.read(token_of(link)).body for link in made.values()]
        change(everything, now)
        after = [feeds.read(token_of(link)).body for link in made.values()]
        assert (what, after != before, wrong(made, now)) == (what, True, {})
