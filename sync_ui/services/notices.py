"""Notices: what the owner of a link should know of who reads it, until it is put away."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import habits
from sync_ui.domain.apps import Reader
from sync_ui.errors import Invalid
from sync_ui.models import Link, MailKind, Token, User, Visit, db, transaction
from sync_ui.services import access, links, mail, visits
from sync_ui.services.access import Actor
from sync_ui.services.audit import Action, record

# A silence that is older is no news any more.
TOLD_WITHIN = timedelta(days=10)


# So long a connection is spoken of as one of just now.
JUST_NOW = timedelta(hours=1)


class NoticeKind(StrEnum):
    """A link's first app is to be confirmed; whoever comes after it is an alarm."""

    FIRST_READER = "first_reader"
    NEW_READER = "new_reader"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Notice:
    """`visit` is the reader that it is about."""

    kind: NoticeKind
    visit: Visit
    words: str


def of(link: Link) -> list[Notice]:
    """What was not put away: new readers first, then apps that fell silent."""
    return of_all([link])[link.id]


def of_all(found: Iterable[Link]) -> dict[int, list[Notice]]:
    """The notices of several links, by their ids."""
    by_id = {link.id: link for link in found}
    readers = visits.of_links(by_id)
    return {link_id: _of(link, readers[link_id]) for link_id, link in by_id.items()}


def _of(link: Link, found: list[Visit]) -> list[Notice]:
    if not links.is_live(link):
        return []
    silent = [Notice(NoticeKind.SILENT, v, _words_of_silent(v)) for v in _silent(link, found)]
    return [_notice_of_new(found, visit) for visit in _unknown(found)] + silent


def _unknown(found: list[Visit]) -> list[Visit]:
    """The first visit of each kind of reader that was not put away, at whatever living address."""
    first: dict[tuple[str, str], Visit] = {}
    for visit in found:
        if visit.told_at is None and visits.works(visit.token):
            who = visits.who(visit)
            first[who] = min(first.get(who, visit), visit, key=lambda v: v.id)
    return list(first.values())


def _notice_of_new(found: list[Visit], visit: Visit) -> Notice:
    if visits.is_first(found, visit):
        return Notice(NoticeKind.FIRST_READER, visit, _words_of_first(visit))
    return Notice(NoticeKind.NEW_READER, visit, _words_of_new(visit))


def put_away(actor: Actor, visit_id: int) -> Visit:
    """That was me: no notice of this kind of reader shows any more. Raises NotFound."""
    with transaction() as session:
        visit = access.get(Visit, visit_id, "There is no such visit.")
        access.link(actor, visit.link_id)
        _know(visit)
        record(session, actor, Action.NOTICE_PUT_AWAY, f"link:{visit.link_id}", visit=visit_id)
    return visit


def put_away_all(actor: Actor, link_id: int, latest: int | None = None) -> int:
    """All of these were me: none of the link's notices shows any more. Returns how many.

    `latest` is the highest visit that the actor saw a notice of: who came after
    it stays news. Raises NotFound.
    """
    with transaction() as session:
        link = access.link(actor, link_id)
        shown = [n.visit for n in of(link) if latest is None or n.visit.id <= latest]
        for visit in shown:
            _know(visit)
        if shown:
            record(session, actor, Action.NOTICE_PUT_AWAY, f"link:{link_id}", count=len(shown))
    return len(shown)


def _know(visit: Visit) -> None:
    """In the transaction under way: its kind of reader is known, at every address of the link."""
    for same in db.session.scalars(select(Visit).where(Visit.link_id == visit.link_id)):
        if visits.who(same) == visits.who(visit):
            same.told_at = clock.now()


def wants_mails(actor: Actor) -> bool:
    user = db.session.get(User, actor.user_id) if actor.user_id else None
    return user is not None and user.mails_notices


def want_mails(actor: Actor, wanted: bool) -> None:
    """Whether the actor gets a mail for each new notice of their links. Raises Invalid."""
    with transaction() as session:
        user = session.get(User, actor.user_id) if actor.user_id else None
        if user is None:
            raise Invalid("Only a signed-in user has an address to send notices to.")
        user.mails_notices = wanted
        record(session, actor, Action.USER_CHANGED, f"user:{user.id}", mails_notices=wanted)


def tell_silent(actor: Actor) -> int:
    """Owners who want such mail hear once of an app that fell silent. Returns of how many links."""
    if not mail.is_configured():
        return 0
    now = clock.now()
    quiet = (
        select(Visit.link_id)
        .join(Token)
        .where(
            Visit.reader == Reader.APP,
            Visit.last_at.between(now - TOLD_WITHIN, now - habits.SILENT_AFTER),
            Token.retired_at.is_(None),
        )
        .distinct()
    )
    due = [link_id for link_id in db.session.scalars(quiet) if _is_due(db.session(), link_id)]
    if not due:
        return 0
    with transaction() as session:
        told = [link_id for link_id in due if _is_due(session, link_id)]
        for link_id in told:
            mail.owe_notice(session, session.get_one(Link, link_id), MailKind.SILENT)
            record(session, actor, Action.LINK_SILENT, f"link:{link_id}")
    return len(told)


def _is_due(session: Session, link_id: int) -> bool:
    """Whether an app fell silent since the owner was last told so, and they want to be told."""
    link = session.get_one(Link, link_id)
    if not mail.wants_notice(session, link, MailKind.SILENT):
        return False
    since = clock.now() - TOLD_WITHIN
    told_at = mail.last_notice(session, link_id, MailKind.SILENT)
    quiet_since = [visit.last_at for visit in _silent(link, visits.of_link(link_id))]
    return any(at > max(since, told_at or since) for at in quiet_since)


def _silent(link: Link, found: Iterable[Visit]) -> list[Visit]:
    """The latest visit of each app that read daily and then no more."""
    if not links.is_live(link):
        return []
    alive = visits.alive(found)
    return [visit for visit in visits.latest_by_app(alive) if _fell_silent(alive, visit)]


def _fell_silent(found: Iterable[Visit], latest: Visit) -> bool:
    """Over all networks that the app came from."""
    same = [visit for visit in found if visit.name == latest.name]
    if any(visit.told_at and visit.told_at > latest.last_at for visit in same):
        return False
    return habits.fell_silent(
        min(visit.first_at for visit in same),
        latest.last_at,
        days=sum(visit.days for visit in same),
        now=clock.now(),
    )


def _words_of_first(visit: Visit) -> str:
    is_fresh = clock.now() - visit.first_at < JUST_NOW
    when = "just now" if is_fresh else "for the first time"
    return f"{visit.name} connected {when}, from {visit.network}."


def _words_of_new(visit: Visit) -> str:
    what = {
        Reader.APP: f"{visit.name} reads this link, from {visit.network}.",
        Reader.BROWSER: f"Somebody opened this link in {visit.name}, from {visit.network}.",
        Reader.PREVIEW: (
            f"{visit.name} looked at this link, from {visit.network}: "
            "it was pasted or mailed somewhere."
        ),
        Reader.SCRIPT: f"{visit.name} read this link, from {visit.network}.",
    }
    words = what[visit.reader]
    return words[0].upper() + words[1:]


def _words_of_silent(visit: Visit) -> str:
    days = (clock.now() - visit.last_at).days
    return (
        f"{visit.name} read this link on most days, and has not for {days} days. "
        "Is your phone still connected?"
    )
