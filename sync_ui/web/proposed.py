"""Proposals in words: what was moved or removed outside, as staff see it inside the building."""

from collections.abc import Iterable
from datetime import datetime, timedelta

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
    was_starts, was_ends = proposal.was_starts_at, proposal.was_ends_at
    if proposal.appointment.all_day:
        return _days(proposal)
    then = dates.span(was_starts, was_ends)
    if proposal.starts_at is None or proposal.ends_at is None:
        return f"{_day(was_starts)}, {then}"
    now = dates.span(proposal.starts_at, proposal.ends_at)
    if proposal.ends_at - proposal.starts_at == was_ends - was_starts:
        then, now = dates.clock_time(was_starts), dates.clock_time(proposal.starts_at)
    before, after = _day(was_starts), _day(proposal.starts_at)
    return f"{before}, {then} → {now if before == after else f'{after}, {now}'}"


def _days(proposal: Proposal) -> str:
    before = _from_to(proposal.was_starts_at, proposal.was_ends_at)
    if proposal.starts_at is None or proposal.ends_at is None:
        return before
    return f"{before} → {_from_to(proposal.starts_at, proposal.ends_at)}"


def _from_to(starts: datetime, ends: datetime) -> str:
    """Whole days; they end at the midnight after the last."""
    first, last = _day(starts), _day(ends - timedelta(minutes=1))
    return first if first == last else f"{first} to {last}"


def _day(moment: datetime) -> str:
    return dates.day(moment.astimezone(dates.zone()).date())
