"""Clients: who is seen, and by which internal ID."""

import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import display, folding
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid, Refused
from sync_ui.models import Appointment, AppointmentClient, Client, Initials, db, transaction
from sync_ui.services import access, calendars
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.practice import one_line

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """A client as lists and pickers show one; less than a row costs."""

    id: int
    first_name: str
    last_name: str
    preferred_name: str
    internal_id: str
    ceiling: DisplayMode | None

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    def holds(self, words: list[str]) -> bool:
        """Whether each of these folded words stands in one of the names or the ID."""
        names = (self.first_name, self.last_name, self.preferred_name, self.internal_id)
        return folding.holds(" ".join(names), words)


def listed(actor: Actor, search: str = "", *, archived: bool = False) -> list[Listed]:
    """Every client that the actor may know of, by last name; `search` narrows by any name or ID.

    Those who have left, with `archived`, and nobody else. Duplicates that were
    merged are in neither list.
    """
    wanted = select(
        Client.id,
        Client.first_name,
        Client.last_name,
        Client.preferred_name,
        Client.internal_id,
        Client.ceiling,
    ).where(Client.merged_into_id.is_(None))
    left = Client.archived_at.is_not(None)
    wanted = wanted.where(left if archived else ~left)
    if not actor.may(Permission.EVERY_CLIENT):
        wanted = wanted.where(Client.id.in_(_seen_by(actor)))
    words = folding.folded(one_line(search)).split()
    everyone = [Listed(*row) for row in db.session.execute(wanted)]
    found = [client for client in everyone if client.holds(words)] if words else everyone
    return sorted(
        found, key=lambda c: (folding.folded(c.last_name), folding.folded(c.first_name), c.id)
    )


def _seen_by(actor: Actor) -> Select[int]:
    return (
        select(AppointmentClient.client_id)
        .join(Appointment, Appointment.id == AppointmentClient.appointment_id)
        .where(Appointment.clinician_id == actor.clinician_id)
    )


def record_of(actor: Actor, client_id: int) -> Client:
    """The client; of a duplicate that was merged, the one who was kept. Raises NotFound."""
    found = access.get(Client, client_id, "There is no such client.")
    return access.client(actor, found.merged_into_id or client_id)


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

    Raises Invalid, Refused, NotFound, and Conflict for an internal ID that is
    taken or a duplicate that was merged.
    """
    _require_write(actor)
    with transaction() as session:
        client = access.client(actor, client_id)
        _refuse_merged(client)
        client.first_name, client.last_name = checked_names(first_name, last_name)
        client.preferred_name = _checked(preferred_name)
        client.internal_id = checked_internal_id(session, internal_id, client_id)
        client.ceiling = ceiling
        for clinician_id in clinicians_of(session, client_id):
            number_initials(session, clinician_id, [client])
        calendars.raise_client(session, client_id, calendars.stamp(session))
        record(session, actor, Action.CLIENT_CHANGED, f"client:{client_id}")
    return client


def archive(actor: Actor, client_id: int) -> Client:
    """The client leaves lists and pickers; appointments stay as they are.

    Raises Refused, NotFound.
    """
    _require_write(actor)
    with transaction() as session:
        client = access.client(actor, client_id)
        if client.archived_at is None:
            client.archived_at = clock.now()
            record(session, actor, Action.CLIENT_ARCHIVED, f"client:{client_id}")
    return client


def restore(actor: Actor, client_id: int) -> Client:
    """An archived client is in lists and pickers again.

    Raises Refused, NotFound, and Conflict for a duplicate that was merged.
    """
    _require_write(actor)
    with transaction() as session:
        client = access.client(actor, client_id)
        _refuse_merged(client)
        if client.archived_at is not None:
            client.archived_at = None
            record(session, actor, Action.CLIENT_RESTORED, f"client:{client_id}")
    return client


def add(
    session: Session,
    first_name: str,
    last_name: str = "",
    preferred_name: str = "",
    internal_id: str = "",
) -> Client:
    """Add a client to the transaction under way."""
    first, last = checked_names(first_name, last_name)
    client = Client(
        first_name=first,
        last_name=last,
        preferred_name=_checked(preferred_name),
        internal_id=checked_internal_id(session, internal_id) or _free_internal_id(session),
        created_at=clock.now(),
    )
    session.add(client)
    return client


def kept(session: Session, found: Iterable[Client]) -> tuple[Client, ...]:
    """These clients, in this order; for a duplicate, once, the one it was merged into."""
    ids = {client.merged_into_id or client.id: client for client in found}
    return tuple(
        client if client.id == kept_id else session.get_one(Client, kept_id)
        for kept_id, client in ids.items()
    )


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
            same = [c for c in same if clinician_id in clinicians_of(session, c.id)]
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
                number=max((other.number for other in others), default=0) + 1,
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


def _refuse_merged(client: Client) -> None:
    if client.merged_into_id is not None:
        raise Conflict("This record was merged into another one. Open that one.")


def _require_write(actor: Actor) -> None:
    if not actor.may(Permission.EVERY_CLIENT):
        raise Refused("Clients are kept by schedulers and administrators.")


def clinicians_of(session: Session, client_id: int) -> list[int]:
    """The clinicians whom the client has come to see, or will."""
    return list(
        session.scalars(
            select(Appointment.clinician_id)
            .join(AppointmentClient, AppointmentClient.appointment_id == Appointment.id)
            .where(AppointmentClient.client_id == client_id)
            .distinct()
        )
    )


def checked_names(first_name: str, last_name: str) -> tuple[str, str]:
    first, last = _checked(first_name), _checked(last_name)
    if not first and not last:
        raise Invalid("A client needs a first or a last name.")
    return first, last


def _checked(name: str) -> str:
    name = one_line(name)
    if len(name) > LONGEST_NAME:
        raise Invalid(f"A name can have at most {LONGEST_NAME} characters.")
    return name


def checked_internal_id(session: Session, internal_id: str, own_id: int | None = None) -> str:
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
