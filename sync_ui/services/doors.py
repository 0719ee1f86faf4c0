"""Who may come in: the practice's list of networks, and what a command on the host does to it.

The list rules the application alone. Feeds, the phone's page and what machines
ask stay open: see `web.doors`.
"""

from functools import lru_cache

from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import allowed
from sync_ui.domain.allowed import Allowed
from sync_ui.domain.networks import Address
from sync_ui.domain.roles import Permission
from sync_ui.errors import Invalid
from sync_ui.models import transaction
from sync_ui.services import access, practice
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

SUBJECT = "practice"

LOCKED_OUT = (
    "This list would shut you out: your own address is not in it. Add it, or leave the list empty."
)


def rules() -> Allowed:
    """The list as it is stored; read anew for each request, so that it holds at once."""
    return _read(practice.get().allowed_networks)


def save(actor: Actor, text: str, own: Address | None) -> None:
    """From the next request on only these networks come in; without any, everybody.

    `own` is the address of whoever saves. Raises Invalid, Refused.
    """
    access.require(actor, Permission.SETTINGS)
    wanted = check(text, own)
    with transaction() as session:
        practice.get(session).allowed_networks = wanted.text
        record(session, actor, Action.NETWORKS_CHANGED, SUBJECT, networks=len(wanted.networks))


def check(text: str, own: Address | None) -> Allowed:
    """What would be saved. Raises Invalid."""
    wanted = allowed.read(text)
    if not wanted.admits(own):
        raise Invalid(LOCKED_OUT)
    return wanted


def lift(actor: Actor) -> int:
    """Everybody comes in again, and every administrator hears of it. Returns how many
    networks the list had; they stay in it as remarks. Raises Refused.
    """
    access.require(actor, Permission.SETTINGS)
    with transaction() as session:
        found = practice.get(session)
        before = _read(found.allowed_networks)
        if not before.networks:
            return 0
        found.allowed_networks = allowed.switched_off(before)
        emergency(session)
        record(session, actor, Action.NETWORKS_LIFTED, SUBJECT, networks=len(before.networks))
    return len(before.networks)


def emergency(session: Session) -> None:
    """In the transaction under way: a command on the host has opened a door.

    Every administrator sees it on every page until one of them closes the warning.
    """
    practice.get(session).emergency_at = clock.now()


def tell_of_command(session: Session, actor: Actor) -> None:
    """The same if it is a command on the host that acts here."""
    if actor is access.COMMAND:
        emergency(session)


def close_warning(actor: Actor) -> None:
    """An administrator has seen it. Raises Refused."""
    access.require(actor, Permission.SETTINGS)
    with transaction() as session:
        found = practice.get(session)
        if found.emergency_at is not None:
            found.emergency_at = None
            record(session, actor, Action.EMERGENCY_SEEN, SUBJECT)


@lru_cache(maxsize=4)
def _read(stored: str) -> Allowed:
    return allowed.read(stored)
