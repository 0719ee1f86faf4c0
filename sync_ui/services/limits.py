"""What the practice's policy allows its links."""

from datetime import datetime, timedelta

from sync_ui import clock
from sync_ui.domain import display
from sync_ui.domain.event import DisplayMode
from sync_ui.errors import ConfirmationNeeded, Invalid, Refused
from sync_ui.services import practice

LONGEST_AGREEMENT = 200

MODE_WORDS = {
    DisplayMode.BUSY: "Busy only",
    DisplayMode.INTERNAL_ID: "internal ID",
    DisplayMode.INITIALS: "initials",
    DisplayMode.FIRST_NAME: "first name",
    DisplayMode.FULL_NAME: "full name",
}


def shown(mode: DisplayMode, *, agreed: bool) -> DisplayMode:
    """What of the mode shows: at most the ceiling, and no full names against policy."""
    found = practice.get()
    return display.allowed(mode, found.ceiling, agreed=agreed or not found.wants_agreement)


def check_mode(mode: DisplayMode, agreement: str, *, confirmed: bool) -> None:
    """Raises Refused above what the practice allows, ConfirmationNeeded for full names."""
    found = practice.get()
    if mode.disclosure > found.ceiling.disclosure:
        raise Refused(
            f"Your practice allows at most: {MODE_WORDS[found.ceiling]}. "
            "An administrator can change that under Settings."
        )
    if mode is not DisplayMode.FULL_NAME:
        return
    if found.wants_agreement and not agreement:
        raise Refused(
            "Your practice allows full names only with a note of the agreement (BAA) "
            "with the calendar service. Enter it, or show less."
        )
    if not confirmed:
        raise ConfirmationNeeded(
            "Full names in a calendar service that has no agreement with your practice "
            "are a HIPAA violation. Confirm that yours has one."
        )


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
