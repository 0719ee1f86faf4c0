"""Proposals in words: what was moved or removed outside, as staff see it inside the building."""

from collections.abc import Iterable
from datetime import datetime

from sync_ui.models import Appointment, Outcome, Proposal, ProposalKind
from sync_ui.services import proposals as service
from sync_ui.services.access import Actor
from sync_ui.web import dates
from sync_ui.web.appointment_form import KINDS

OUTCOMES = {
    Outcome.ACCEPTED: "Done here too",
    Outcome.PUT_BACK: "Put back",
    Outcome.OVERTAKEN: "Changed here since, which holds",
    Outcome.WITHDRAWN: "Undone outside",
}

Told = dict[str, object]


def about(actor: Actor, clinician_id: int | None = None) -> dict[str, object]:
    """What waits for the actor's decision, of one clinician or of all."""
    found = [
        each
        for each in service.waiting(actor)
        if clinician_id is None or each.appointment.clinician_id == clinician_id
    ]
    several = len({each.appointment.clinician_id for each in found}) > 1
    return {"proposed": told(found, with_clinician=several)}


def told(found: Iterable[Proposal], *, with_clinician: bool = False) -> list[Told]:
    return [_told(each, with_clinician=with_clinician) for each in found]


def _told(proposal: Proposal, *, with_clinician: bool) -> Told:
    appointment = proposal.appointment
    removal = proposal.kind is ProposalKind.REMOVAL
    who = [_who(appointment)] + ([appointment.clinician.name] if with_clinician else [])
    return {
        "id": proposal.id,
        "title": "Removed outside" if removal else "Moved outside",
        "what": f"{' · '.join(who)}: {_when(proposal)}",
        "accept": "Cancel it here too" if removal else "Move it here too",
        "decided": OUTCOMES[proposal.outcome] if proposal.outcome else "",
        "decided_at": proposal.decided_at,
        "made_at": proposal.made_at,
        "appointment_id": appointment.id,
        "day": appointment.starts_at.astimezone(dates.zone()).date(),
    }


def _who(appointment: Appointment) -> str:
    names = [f"{each.first_name} {each.last_name}".strip() for each in appointment.clients]
    return " & ".join(names) or appointment.title or KINDS[appointment.kind.value]


def _when(proposal: Proposal) -> str:
    """`Tuesday, November 24, 3:00 PM → 4:00 PM`, with what else differs: the day, the length."""
    appointment = proposal.appointment
    then = dates.span(appointment.starts_at, appointment.ends_at)
    if proposal.starts_at is None or proposal.ends_at is None:
        return f"{_day(appointment.starts_at)}, {then}"
    now = dates.span(proposal.starts_at, proposal.ends_at)
    length = appointment.ends_at - appointment.starts_at
    if proposal.ends_at - proposal.starts_at == length:
        then = dates.clock_time(appointment.starts_at)
        now = dates.clock_time(proposal.starts_at)
    before, after = _day(appointment.starts_at), _day(proposal.starts_at)
    return f"{before}, {then} → {now if before == after else f'{after}, {now}'}"


def _day(moment: datetime) -> str:
    return dates.day(moment.astimezone(dates.zone()).date())
