"""The first administrator, for whoever can read the console."""

from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Role
from sync_ui.errors import Conflict, Invalid
from sync_ui.models import transaction
from sync_ui.services import accounts, calendars, passwords, practice, types
from sync_ui.services.access import SETUP
from sync_ui.services.audit import Action, record


def check_code(code: str) -> None:
    """Raises Invalid for a code that this start of the server did not print."""
    if not practice.is_setup_code(code):
        raise Invalid("This is not the setup code. The console shows it at every start.")


def set_up(
    code: str,
    *,
    name: str,
    zone: str,
    ceiling: DisplayMode,
    admin_name: str,
    email: str,
    password: str,
) -> None:
    """The practice exists with its first administrator, and the code is spent.

    Raises Invalid, and Conflict if someone else was quicker.
    """
    check_code(code)
    name, admin_name = practice.checked_name(name), practice.checked_name(admin_name)
    practice.check_zone(zone)
    email = accounts.checked_email(email)
    password_hash = passwords.hashed(passwords.checked(password, email, admin_name))
    with transaction() as session:
        if not practice.is_setup_code(code):
            raise Conflict("The practice was set up in the meantime. Sign in.")
        found = practice.get(session)
        found.name, found.zone, found.ceiling, found.setup_code = name, zone, ceiling, None
        types.add_usual(session)
        calendars.raise_policy(session, calendars.stamp(session))
        user = accounts.add_user(session, email, admin_name, Role.ADMINISTRATOR, password_hash)
        record(session, SETUP, Action.PRACTICE_SET_UP, f"user:{user.id}", ceiling=ceiling.value)
