"""What the practice's policy allows its links."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain, count
from typing import NamedTuple

from sqlalchemy import literal, select, union

from sync_ui import clock
from sync_ui.domain import display
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import ConfirmationNeeded, Conflict, Invalid, Refused
from sync_ui.models import AppointmentType, Client, Link, db
from sync_ui.services import practice

LONGEST_AGREEMENT = 200

MODE_WORDS = {
    DisplayMode.BUSY: "Busy only",
    DisplayMode.INTERNAL_ID: "internal ID",
    DisplayMode.INITIALS: "initials",
    DisplayMode.FIRST_NAME: "first name",
    DisplayMode.FULL_NAME: "full name",
}


class Ceilings(NamedTuple):
    """The ceilings that types of appointments, and clients, have of their own."""

    types: frozenset[DisplayMode]
    clients: frozenset[DisplayMode]

    def below(self, mode: DisplayMode) -> tuple[bool, bool]:
        """Whether some type, and some client, shows less than the mode."""
        types, clients = (
            any(ceiling.disclosure < mode.disclosure for ceiling in of) for of in self
        )
        return types, clients


def ceilings() -> Ceilings:
    """All that there are, whoever they belong to."""
    of_types, of_clients = AppointmentType.ceiling, Client.ceiling
    found = db.session.execute(
        union(
            select(literal(True), of_types).where(of_types.is_not(None)),
            select(literal(False), of_clients).where(of_clients.is_not(None)),
        )
    ).all()
    return Ceilings(
        frozenset(ceiling for of_type, ceiling in found if of_type and ceiling),
        frozenset(ceiling for of_type, ceiling in found if ceiling and not of_type),
    )


def shown(mode: DisplayMode, *, agreed: bool) -> DisplayMode:
    """What of the mode shows: at most the ceiling, and no full names against policy."""
    found = practice.get()
    return display.allowed(mode, found.ceiling, agreed=agreed or not found.wants_agreement)


def check_mode(mode: DisplayMode, agreement: str, *, confirmed: bool) -> None:
    """Raises Refused above what the practice allows, for full names Invalid and ConfirmationNeeded.

    Invalid says that the note on the agreement is missing.
    """
    found = practice.get()
    if mode.disclosure > found.ceiling.disclosure:
        raise Refused(
            f"Your practice allows at most: {MODE_WORDS[found.ceiling]}. "
            "An administrator can change that under Settings."
        )
    if mode is not DisplayMode.FULL_NAME:
        return
    if found.wants_agreement and not agreement:
        raise Invalid(
            "Your practice allows full names only with a note of the agreement (BAA) "
            "with the calendar service. Enter it, or show less."
        )
    if not confirmed:
        raise ConfirmationNeeded(
            "Full names in a calendar service that has no agreement with your practice "
            "are a HIPAA violation. Confirm that yours has one."
        )


def changed_mode(
    before: DisplayMode, agreed_before: str, mode: DisplayMode, agreement: str, *, confirmed: bool
) -> DisplayMode:
    """What to store for a link or a connection that is to show `mode` from now on.

    What it shows already leaves the mode that it was set to, which the practice
    may allow again. Raises as `check_mode`.
    """
    if (mode, agreement) != (shown(before, agreed=bool(agreed_before)), agreed_before):
        check_mode(mode, agreement, confirmed=confirmed or mode is before)
    return before if shown(before, agreed=bool(agreement)) is mode else mode


def check_expiry(expires_at: datetime | None, address_since: datetime) -> None:
    """Raises Invalid for a moment that is past or that the practice lets no link reach."""
    if expires_at is None:
        return
    if expires_at <= clock.now():
        raise Invalid("A link can only end in the future. Choose a later day, or none.")
    days = practice.get().longest_link_days
    if expires_at > clock.now() + timedelta(days=practice.MOST_LINK_DAYS):
        raise Invalid("Choose a day within ten years, or none.")
    if days is not None and expires_at > address_since + timedelta(days=days):
        raise Invalid(
            f"Your practice lets no link live longer than {days} days. "
            "Choose an earlier day, or none."
        )


def check_window(days_back: int | None, months_ahead: int | None) -> None:
    """Without a count of its own the practice's. Raises Invalid."""
    practice.check_window(days_back or 0, 1 if months_ahead is None else months_ahead)


def checked_agreement(note: str) -> str:
    """The note on one line. Raises Invalid."""
    note = practice.one_line(note)
    if len(note) > LONGEST_AGREEMENT:
        raise Invalid(f"A note on an agreement has at most {LONGEST_AGREEMENT} characters.")
    return note


def free_label(label: str, others: Iterable[Link]) -> str:
    """The label, numbered if another link has it: two of one name cannot be told apart."""
    taken = {other.label.casefold() for other in others}
    numbered = (f"{label[:90]} ({number})" for number in count(2))
    return next(name for name in chain([label], numbered) if name.casefold() not in taken)


def check_label(label: str, others: Iterable[Link]) -> None:
    """Raises Conflict."""
    if label.casefold() in {other.label.casefold() for other in others}:
        raise Conflict("There is a link of this name already.")
