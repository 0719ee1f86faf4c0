"""Addresses that a link shows no more: which still work, who reads by them, who took them back."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from sync_ui import clock
from sync_ui.domain.roles import Role
from sync_ui.models import AuditEntry, Link, Reason, Token, User, db
from sync_ui.services import access, addresses, links
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action

# So long a page says that somebody else has reset its link.
RESET_IS_NEWS = timedelta(days=7)

# The audit's entry follows the first address at most so much later, in the same transaction.
LONGEST_RESET = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class OldAddress:
    """An address that a fresh one has replaced, until when it works, and who read it last."""

    until: datetime
    read_at: datetime | None
    read_by: str | None


@dataclass(frozen=True, slots=True)
class Reset:
    """When somebody else took the link's address back, and why."""

    at: datetime
    by_administrator: bool
    reason: Reason | None


def old_address_until(link: Link) -> datetime | None:
    """Until when an address works that a fresh one has replaced; None if there is none."""
    return max((until for _, until in _replaced(link)), default=None)


def old_addresses(link: Link) -> list[OldAddress]:
    """Every address that still works although a fresh one has replaced it, the latest first."""
    found = _replaced(link)
    visits = addresses.latest_visits(link) if found else {}
    return [
        OldAddress(until, visit.last_at if visit else None, visit.name if visit else None)
        for token, until in reversed(found)
        for visit in [visits.get(token.id)]
    ]


def read_by(link: Link) -> str | None:
    """Which app read the link last, and, if that was not its present address, so much."""
    if link.read_at is None or not any(token.ends_at for token in link.tokens):
        return link.read_by
    shown = addresses.current(link)
    read = [*addresses.latest_visits(link).values()]
    latest = max(read, key=lambda visit: (visit.last_at, visit.token_id), default=None)
    if shown is None or latest is None or latest.token_id == shown.id:
        return link.read_by
    works = latest.token_id in {token.id for token, _ in _replaced(link)}
    return f"{link.read_by}, {'still by an old address' if works else 'by an address that ended'}"


def reset_by_another(actor: Actor, link: Link) -> Reset | None:
    """The latest reset of the living link within seven days, if somebody else did it."""
    at = addresses.last_retired_at(link)
    if at is None or at <= clock.now() - RESET_IS_NEWS or not links.is_live(link):
        return None
    about = (f"link:{link.id}", f"calendar:{link.calendar_id}", "practice")
    of_left = AuditEntry.subject.startswith("user:")  # whoever has left knew the address
    entry = db.session.scalar(
        select(AuditEntry)
        .where(
            AuditEntry.at.between(at, at + LONGEST_RESET),
            AuditEntry.action.in_((Action.LINK_RESET, Action.LINKS_RESET)),
            AuditEntry.subject.in_(about) | of_left,
        )
        .order_by(AuditEntry.id.desc())
        .limit(1)
    )
    if entry is None or entry.actor == actor.word:
        return None
    word = entry.detail.get("reason")
    return Reset(entry.at, _is_administrator(entry.actor), Reason(word) if word else None)


def _is_administrator(actor: str) -> bool:
    """Of an actor as the audit has it; whoever runs commands is one."""
    kind, _, user_id = actor.partition(":")
    user = db.session.get(User, int(user_id)) if kind == "user" else None
    return kind == access.COMMAND.word or (user is not None and user.role is Role.ADMINISTRATOR)


def _replaced(link: Link) -> list[tuple[Token, datetime]]:
    """The replaced addresses that still work, the oldest first, each with its end."""
    found = (
        (token, min(at for at in (token.ends_at, links.too_old_at(token), link.expires_at) if at))
        for token in addresses.replaced(link)
    )
    return [(token, until) for token, until in found if until > clock.now()]
