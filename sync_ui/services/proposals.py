"""Proposals: changes made outside, and what people decide about them."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.event import GONE
from sync_ui.domain.roles import Permission
from sync_ui.errors import Conflict, NotFound
from sync_ui.models import (
    Appointment,
    Connection,
    Outcome,
    Proposal,
    ProposalKind,
    db,
    transaction,
)
from sync_ui.models.database import owes_more
from sync_ui.services import access, appointments, copies, steps
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record
from sync_ui.services.plans import plan_of
from sync_ui.services.steps import Did


def waiting(actor: Actor) -> list[Proposal]:
    """What the actor may decide about, the oldest first."""
    wanted = select(Proposal).join(Appointment).where(Proposal.decided_at.is_(None))
    if not actor.may(Permission.EVERY_SCHEDULE):
        wanted = wanted.where(Appointment.clinician_id == actor.clinician_id)
    return list(db.session.scalars(wanted.order_by(Proposal.id)))


def decided(actor: Actor, *, limit: int = 20) -> list[Proposal]:
    """What became of those that the actor could decide about, the latest first."""
    wanted = select(Proposal).join(Appointment).where(Proposal.decided_at.is_not(None))
    if not actor.may(Permission.EVERY_SCHEDULE):
        wanted = wanted.where(Appointment.clinician_id == actor.clinician_id)
    latest = wanted.order_by(Proposal.decided_at.desc(), Proposal.id.desc()).limit(limit)
    return list(db.session.scalars(latest))


def of_connection(connection_id: int, *, limit: int = 50) -> list[Proposal]:
    """Decided or not, the latest first."""
    wanted = select(Proposal).where(Proposal.connection_id == connection_id)
    return list(db.session.scalars(wanted.order_by(Proposal.id.desc()).limit(limit)))


def accept(actor: Actor, proposal_id: int, *, despite: str = "") -> Appointment:
    """The appointment is moved or cancelled here too.

    `despite` says why, if the time is taken. Raises NotFound, Conflict for one
    that is decided already or whose appointment was changed meanwhile, Invalid,
    Clashing.
    """
    proposal = _open(actor, proposal_id)
    found = proposal.appointment
    _refuse_changed(proposal)

    def decide(session: Session) -> None:
        _decide(session, actor, proposal_id, Outcome.ACCEPTED, Did.ACCEPTED)

    if proposal.kind is ProposalKind.REMOVAL:
        return appointments.cancel(actor, found.id, revision=found.revision, also=decide)
    assert proposal.starts_at is not None
    assert proposal.ends_at is not None
    zone = ZoneInfo(found.zone)
    starts, ends = (
        moment.astimezone(zone).replace(tzinfo=None)
        for moment in (proposal.starts_at, proposal.ends_at)
    )
    plan = replace(plan_of(found), starts=starts, ends=ends)
    return appointments.change(
        actor, found.id, plan, revision=found.revision, despite=despite, also=decide
    )


def put_back(actor: Actor, proposal_id: int) -> None:
    """Outside it is again as it is here, within moments. Raises NotFound, Conflict."""
    with transaction() as session:
        _decide(session, actor, proposal_id, Outcome.PUT_BACK, Did.PUT_BACK)


def _refuse_changed(proposal: Proposal) -> None:
    """What was asked about holds no more; the next pass says so outside."""
    found = proposal.appointment
    was = (proposal.was_starts_at, proposal.was_ends_at)
    if found.status in GONE or (found.starts_at, found.ends_at) != was:
        raise Conflict("This appointment was changed here meanwhile, and that holds.")


def _decide(session: Session, actor: Actor, proposal_id: int, outcome: Outcome, did: Did) -> None:
    """In the transaction under way, so that of two who decide at once one is refused."""
    proposal = _open(actor, proposal_id)
    proposal.outcome, proposal.decided_at = outcome, clock.now()
    proposal.decided_by_id = actor.user_id
    _release(session, proposal)
    steps.note(session, proposal.connection_id, did, 1)
    record(
        session,
        actor,
        Action.PROPOSAL_DECIDED,
        f"appointment:{proposal.appointment_id}",
        connection=proposal.connection_id,
        outcome=outcome.value,
    )


def _release(session: Session, proposal: Proposal) -> None:
    """Nothing is held back for it any more."""
    copy = copies.find(session, proposal.connection_id, proposal.entry_id)
    if copy is not None:
        copy.held = ""
    session.get_one(Connection, proposal.connection_id).next_at = clock.now()
    owes_more(session)


def _open(actor: Actor, proposal_id: int) -> Proposal:
    proposal = access.get(Proposal, proposal_id, "There is no such question.")
    db.session.refresh(proposal)
    if not access.may_schedule(actor, proposal.appointment.clinician_id):
        raise NotFound("There is no such question.")
    if proposal.decided_at is not None:
        raise Conflict("This was decided already, here or outside.")
    return proposal
