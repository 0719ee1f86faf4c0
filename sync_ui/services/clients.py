"""Clients: who is seen, and by which internal ID."""

import secrets
import unicodedata

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import display
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid, Refused
from sync_ui.models import Appointment, AppointmentClient, Client, Initials, db, transaction
from sync_ui.services import access, calendars
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import one_line

LONGEST_NAME = 100


def listed(actor: Actor, search: str = "") -> list[Client]:
    """Every client that the actor may know of, by last name; `search` narrows by any name or ID."""
    wanted = select(Client).where(Client.archived_at.is_(None))
    if not actor.may(Permission.EVERY_CLIENT):
        wanted = wanted.where(Client.id.in_(_seen_by(actor)))
    for word in one_line(search).split():
        wanted = wanted.where(
            or_(
                *(
                    column.icontains(word, autoescape=True)
                    for column in (
                        Client.first_name,
                        Client.last_name,
                        Client.preferred_name,
                        Client.internal_id,
                    )
                )
            )
        )
    ordered = wanted.order_by(func.lower(Client.last_name), func.lower(Client.first_name))
    return list(db.session.scalars(ordered))


def _seen_by(actor: Actor) -> Select[int]:
    return (
        select(AppointmentClient.client_id)
        .join(Appointment, Appointment.id == AppointmentClient.appointment_id)
        .where(Appointment.clinician_id == actor.clinician_id)
    )


def create(
    actor: Actor,
    *,
    first_name: str,
    last_name: str = "",
    preferred_name: str = "",
    internal_id: str = "",
    ceiling: DisplayMode | None = None,
) -> Client:
    """A new client; without an `internal_id` a random one is assigned.

    Raises Invalid, Refused, and Conflict for an internal ID that is taken.
    """
    _require_write(actor)
    with transaction() as session:
        client = add(session, first_name, last_name, preferred_name, internal_id)
        client.ceiling = ceiling
        session.flush()
        record(session, actor, Action.CLIENT_CREATED, f"client:{client.id}")
    return client


def change(
    actor: Actor,
    client_id: int,
    *,
    first_name: str,
    last_name: str,
    preferred_name: str,
    internal_id: str,
    ceiling: DisplayMode | None,
) -> Client:
    """The client is called so from the next reading of every feed on.

    Raises Invalid, Refused, NotFound, and Conflict for an internal ID that is taken.
    """
    _require_write(actor)
    with transaction() as session:
        client = access.client(actor, client_id)
        client.first_name, client.last_name = _checked_names(first_name, last_name)
        client.preferred_name = _checked(preferred_name)
        client.internal_id = _checked_internal_id(session, internal_id, client_id)
        client.ceiling = ceiling
        for clinician_id in _clinicians_of(session, client_id):
            number_initials(session, clinician_id, [client])
        calendars.raise_client(session, client_id, calendars.stamp(session))
        record(session, actor, Action.CLIENT_CHANGED, f"client:{client_id}")
    return client


def add(
    session: Session,
    first_name: str,
    last_name: str = "",
    preferred_name: str = "",
    internal_id: str = "",
) -> Client:
    """Add a client to the transaction under way."""
    first, last = _checked_names(first_name, last_name)
    client = Client(
        first_name=first,
        last_name=last,
        preferred_name=_checked(preferred_name),
        internal_id=_checked_internal_id(session, internal_id) or _free_internal_id(session),
        created_at=clock.now(),
    )
    session.add(client)
    return client


def find_or_create(actor: Actor, name: str, clinician_id: int) -> Client:
    """The client of this full name, “First Last”; a new one if there is none yet.

    Of several, the one who comes to this clinician. Raises Conflict if that
    does not settle it.
    """
    first, _, last = one_line(name).rpartition(" ")
    first, last = (first, last) if first else (last, "")
    with transaction() as session:
        same = _named(session, first, last)
        if len(same) > 1:
            same = [c for c in same if clinician_id in _clinicians_of(session, c.id)]
            if len(same) != 1:
                raise Conflict("Several clients have this name. Add the appointment on the page.")
        if same:
            return same[0]
        client = add(session, first, last)
        session.flush()
        record(session, actor, Action.CLIENT_CREATED, f"client:{client.id}")
    return client


def number_initials(session: Session, clinician_id: int, clients: list[Client]) -> None:
    """Each of these clients has its place among the clinician's equal initials, for good.

    When the second of them arrives, the first shows as J.S.1 from then on: its
    appointments count as changed.
    """
    for client in clients:
        letters = display.initials(client.first_name, client.last_name)
        key = (clinician_id, client.id, letters)
        if session.get(Initials, key):
            continue
        others = session.scalars(
            select(Initials).where(
                Initials.clinician_id == clinician_id, Initials.letters == letters
            )
        ).all()
        session.add(
            Initials(
                clinician_id=clinician_id,
                client_id=client.id,
                letters=letters,
                number=len(others) + 1,
            )
        )
        session.flush()
        if len(others) == 1:
            calendars.raise_client(session, others[0].client_id, calendars.stamp(session))


def _named(session: Session, first_name: str, last_name: str) -> list[Client]:
    """Every client of this name; compared in Python, since SQLite folds ASCII only."""
    first, last = _folded(first_name), _folded(last_name)
    everyone = session.scalars(select(Client).where(Client.archived_at.is_(None)))
    return [c for c in everyone if (_folded(c.first_name), _folded(c.last_name)) == (first, last)]


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def _require_write(actor: Actor) -> None:
    if not actor.may(Permission.EVERY_CLIENT):
        raise Refused("Clients are kept by schedulers and administrators.")


def _clinicians_of(session: Session, client_id: int) -> list[int]:
    return list(
        session.scalars(
            select(Appointment.clinician_id)
            .join(AppointmentClient, AppointmentClient.appointment_id == Appointment.id)
            .where(AppointmentClient.client_id == client_id)
            .distinct()
        )
    )


def _checked_names(first_name: str, last_name: str) -> tuple[str, str]:
    first, last = _checked(first_name), _checked(last_name)
    if not first and not last:
        raise Invalid("A client needs a first or a last name.")
    return first, last


def _checked(name: str) -> str:
    name = one_line(name)
    if len(name) > LONGEST_NAME:
        raise Invalid(f"A name can have at most {LONGEST_NAME} characters.")
    return name


def _checked_internal_id(session: Session, internal_id: str, own_id: int | None = None) -> str:
    internal_id = internal_id.strip()
    if not internal_id and own_id is None:
        return ""
    if not internal_id or len(internal_id) > 20 or not internal_id.isascii():
        raise Invalid("An internal ID must have 1 to 20 plain characters.")
    if not internal_id.replace("-", "").isalnum():
        raise Invalid("An internal ID can hold letters, digits and hyphens only.")
    taken = session.scalar(
        select(Client.id).where(func.lower(Client.internal_id) == internal_id.lower())
    )
    if taken is not None and taken != own_id:
        raise Conflict("This internal ID belongs to another client. Choose another one.")
    return internal_id


def _free_internal_id(session: Session) -> str:
    """Random, since an ID made from a name or a date would tell of it (45 CFR 164.514(c))."""
    digits = 4
    while session.scalar(select(func.count(Client.id))) > 10**digits // 4:
        digits += 1
    while True:
        chosen = str(secrets.randbelow(9 * 10 ** (digits - 1)) + 10 ** (digits - 1))
        if session.scalar(select(Client.id).where(Client.internal_id == chosen)) is None:
            return chosen
