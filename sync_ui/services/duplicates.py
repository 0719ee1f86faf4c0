"""One person with two records: found by name, and made one for good."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session, aliased

from sync_ui import clock
from sync_ui.domain import display
from sync_ui.domain.event import DisplayMode
from sync_ui.domain.folding import folded
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, Invalid
from sync_ui.models import AppointmentClient, Client, ImportedTitle, Series, transaction
from sync_ui.services import access, calendars, clients
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.clients import Listed

# A page of pairs is enough to work through; the next ones follow as these are merged.
MOST_SUGGESTED = 100

# Everything that was read is forgotten afterwards, so that nothing needs to be told of the change.
_UNSEEN = {"synchronize_session": False}


def suggestions(actor: Actor) -> list[tuple[Listed, Listed]]:
    """Pairs of records that could be one person: by the same name, or the same first or
    preferred name with the same last name. Raises Refused.
    """
    access.require(actor, Permission.EVERY_CLIENT)
    alike: defaultdict[tuple[str, str], dict[int, Listed]] = defaultdict(dict)
    for client in clients.listed(actor):
        for name in _names(client):
            alike[name][client.id] = client
    pairs = {
        (one.id, other.id): (one, other)
        for group in alike.values()
        for one, other in combinations(group.values(), 2)
    }
    return list(pairs.values())[:MOST_SUGGESTED]


def merge(actor: Actor, kept_id: int, duplicate_id: int) -> Client:
    """The kept client has the appointments of both; the duplicate's record leads there.

    There is no way back. The stricter ceiling holds. Raises Refused, NotFound,
    Invalid, Conflict.
    """
    access.require(actor, Permission.EVERY_CLIENT)
    with transaction() as session:
        kept, duplicate = access.client(actor, kept_id), access.client(actor, duplicate_id)
        _check(kept, duplicate)
        moved = _move_appointments(session, kept_id, duplicate_id)
        _move_series(session, kept_id, duplicate_id)
        _move_titles(session, kept, duplicate)
        kept.ceiling = _stricter(kept.ceiling, duplicate.ceiling)
        duplicate.archived_at = duplicate.archived_at or clock.now()
        duplicate.merged_into_id = kept_id
        session.execute(
            update(Client)
            .where(Client.merged_into_id == duplicate_id)
            .values(merged_into_id=kept_id),
            execution_options=_UNSEEN,
        )
        session.flush()
        session.expire_all()
        for clinician_id in clients.clinicians_of(session, kept_id):
            clients.number_initials(session, clinician_id, [kept])
        calendars.raise_client(session, kept_id, calendars.stamp(session))
        detail = {"duplicate": duplicate_id, "appointments": moved}
        record(session, actor, Action.CLIENTS_MERGED, f"client:{kept_id}", **detail)
    return kept


def _names(client: Listed) -> Iterable[tuple[str, str]]:
    """What the client could be called, folded; a lone name is too little to go by."""
    last = folded(client.last_name)
    for first in (client.first_name, client.preferred_name):
        if folded(first) and last:
            yield folded(first), last


def _check(kept: Client, duplicate: Client) -> None:
    if kept.id == duplicate.id:
        raise Invalid("Choose two different records.")
    if kept.merged_into_id is not None or duplicate.merged_into_id is not None:
        raise Conflict("One of these records was merged already. Look at the list again.")
    if kept.archived_at is not None:
        raise Conflict("The record to keep is archived. Restore it first, or keep the other one.")


def _move_appointments(session: Session, kept_id: int, duplicate_id: int) -> int:
    """Whoever came to one appointment under both names came once."""
    both = aliased(AppointmentClient)
    of_duplicate = AppointmentClient.client_id == duplicate_id
    twice = exists().where(
        both.appointment_id == AppointmentClient.appointment_id, both.client_id == kept_id
    )
    session.execute(delete(AppointmentClient).where(of_duplicate, twice), execution_options=_UNSEEN)
    moved = session.execute(
        update(AppointmentClient)
        .where(of_duplicate)
        .values(client_id=kept_id)
        .returning(AppointmentClient.appointment_id),
        execution_options=_UNSEEN,
    )
    return len(moved.all())


def _move_series(session: Session, kept_id: int, duplicate_id: int) -> None:
    """What a series makes from now on is with the kept client, once."""
    for series_id, client_ids in session.execute(select(Series.id, Series.client_ids)).all():
        if duplicate_id in client_ids:
            moved = (kept_id if each == duplicate_id else each for each in client_ids)
            session.get_one(Series, series_id).client_ids = list(dict.fromkeys(moved))


def _move_titles(session: Session, kept: Client, duplicate: Client) -> None:
    """The next import finds the kept client under the duplicate's name, too."""
    session.execute(
        update(ImportedTitle)
        .where(ImportedTitle.client_id == duplicate.id)
        .values(client_id=kept.id),
        execution_options=_UNSEEN,
    )
    name = f"{duplicate.first_name} {duplicate.last_name}".strip()
    if folded(name) == folded(f"{kept.first_name} {kept.last_name}"):
        return
    for clinician_id in clients.clinicians_of(session, kept.id):
        known = select(ImportedTitle.id).where(
            ImportedTitle.clinician_id == clinician_id, ImportedTitle.title == name
        )
        if session.scalar(known) is None:
            session.add(ImportedTitle(clinician_id=clinician_id, title=name, client_id=kept.id))


def _stricter(one: DisplayMode | None, other: DisplayMode | None) -> DisplayMode | None:
    if one is None or other is None:
        return one or other
    return display.effective(one, other)
