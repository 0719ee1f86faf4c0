"""Addresses: the secrets that open a link, from their issue to their end.

All but `write_journal` work in the transaction under way; whoever ended an
address calls `write_journal` after it.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, delete, or_, select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain import tokens
from sync_ui.domain.apps import Reader
from sync_ui.models import Code, Link, Reason, Token, Visit, db
from sync_ui.models.installation import current as installation
from sync_ui.services import calendars, sealing

log = logging.getLogger(__name__)


def issue(link: Link) -> None:
    """The link has one more address, shown from now on."""
    secret = tokens.new_token()
    digest = tokens.digest(secret)
    link.tokens.append(
        Token(digest=digest, sealed=sealing.seal(secret, digest), created_at=clock.now())
    )


def current(link: Link) -> Token | None:
    """The address that is shown: neither dead nor replaced."""
    alive = (token for token in link.tokens if token.retired_at is None and token.ends_at is None)
    return next(alive, None)


def replaced(link: Link) -> list[Token]:
    """Addresses that a fresh one has replaced and that are not dead yet."""
    return [token for token in link.tokens if token.retired_at is None and token.ends_at]


def latest_visits(link: Link) -> dict[int, Visit]:
    """The latest reading by an app of each of the link's addresses, by the token's id."""
    of_apps = select(Visit).where(Visit.link_id == link.id, Visit.reader == Reader.APP)
    in_order = of_apps.order_by(Visit.last_at, Visit.id)
    return {visit.token_id: visit for visit in db.session.scalars(in_order)}


def last_retired_at(link: Link) -> datetime | None:
    """When the link last lost an address, by a reset or because its time was over."""
    return max((token.retired_at for token in link.tokens if token.retired_at), default=None)


def renew(session: Session, link: Link, grace: timedelta) -> None:
    """The link has a fresh address; the one it had works so much longer."""
    old = current(link)
    if old is not None:
        old.ends_at = clock.now() + grace
    _drop_codes(session, link)
    issue(link)


def reset(session: Session, link: Link, reason: Reason | None = None) -> None:
    """The link has a new address, and no other works any more, whatever grace it had."""
    retire(session, link, reason)
    issue(link)
    link.changed_at = calendars.stamp(session)
    link.read_at = link.read_by = None


def end(session: Session, link: Link, reason: Reason | None = None) -> None:
    """The link is dead, with every address and code it had."""
    retire(session, link, reason)
    link.disabled_at = clock.now()
    link.changed_at = calendars.stamp(session)


def retire(session: Session, link: Link, reason: Reason | None = None) -> None:
    """None of the link's addresses and codes opens anything any more."""
    for token in link.tokens:
        if token.retired_at is None:
            _retire(token, reason)
    _drop_codes(session, link)


def retire_late(session: Session, longest_days: int | None) -> list[Link]:
    """Replaced addresses whose grace or longest life is over are dead for good.

    Returns their links.
    """
    late = Token.ends_at <= clock.now()
    if longest_days is not None:
        late |= Token.ends_at.is_not(None) & _has_lived(longest_days)
    found = session.scalars(select(Token).where(Token.retired_at.is_(None), late)).all()
    for token in found:
        _retire(token, None)
    return list(dict.fromkeys(token.link for token in found))


def alive() -> Select[Link]:
    """Links that neither were ended nor have expired by their own date."""
    not_expired = or_(Link.expires_at.is_(None), Link.expires_at > clock.now())
    return select(Link).where(Link.disabled_at.is_(None), not_expired)


def older_than(days: int) -> Select[Link]:
    """Links that are alive although their address has lived so many days."""
    return alive().where(is_older_than(days))


def is_older_than(days: int) -> ColumnElement[bool]:
    """The same as a condition."""
    shown = select(Token.link_id).where(Token.retired_at.is_(None), Token.ends_at.is_(None))
    return Link.id.in_(shown.where(_has_lived(days)))


def write_journal() -> None:
    """Every retired token stands in the journal outside the database; so does a planned end.

    Called after the transaction that retired it, and by the worker, so that
    neither a crash in between nor a file that cannot be written leaves a gap.
    """
    dead = db.session.scalars(select(Token.digest).where(Token.retired_at.is_not(None)))
    planned = select(Token.digest, Token.ends_at).where(
        Token.retired_at.is_(None), Token.ends_at.is_not(None)
    )
    ends = [(digest, ends_at) for digest, ends_at in db.session.execute(planned) if ends_at]
    try:
        installation().journal.add(dead, clock.now())
        installation().journal.plan(ends)
    except OSError as error:
        # The database has it: for today's readers the address is dead.
        log.error("The journal of dead links cannot be written: %s", type(error).__name__)


def _has_lived(days: int) -> ColumnElement[bool]:
    return Token.created_at <= clock.now() - timedelta(days=days)


def _retire(token: Token, reason: Reason | None) -> None:
    token.retired_at, token.reason = clock.now(), reason
    token.sealed = None


def _drop_codes(session: Session, link: Link) -> None:
    # A code that went out before would hand over the new address.
    session.execute(delete(Code).where(Code.link_id == link.id))
