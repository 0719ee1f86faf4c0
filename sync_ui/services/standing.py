"""What a restore takes over from the database that it replaces: deaths and planned ends."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from sync_ui.models import Calendar, Clinician, Link, Token, copying, database
from sync_ui.models.installation import Installation
from sync_ui.models.journal import Journal


@dataclass(frozen=True, slots=True)
class Address:
    """A token that lives there; `ends_at` is its own end, `expires_at` its link's."""

    digest: str
    link_id: int
    ends_at: datetime | None
    expires_at: datetime | None
    label: str
    clinician: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands there now; without an `installation` nothing that opens.

    `living` is None if nobody can tell, as in a database of an older shape.
    """

    installation: str | None = None
    dead: tuple[str, ...] = ()
    living: tuple[Address, ...] | None = None

    @property
    def addresses(self) -> tuple[Address, ...]:
        return self.living or ()

    def lost(self, alive: Collection[str]) -> tuple[str, ...]:
        """The links that live there, and of whose addresses none is among `alive`."""
        links: dict[int, list[Address]] = {}
        for each in self.addresses:
            links.setdefault(each.link_id, []).append(each)
        return tuple(
            f"{every[0].label} ({every[0].clinician or 'practice'})"
            for every in links.values()
            if not any(each.digest in alive for each in every)
        )


def look(found: Installation) -> Standing:
    """Nothing if there is no database there, or none that opens."""
    config = found.config
    if config.database_url is None:
        path = database.sqlite_path(config.data_dir)
        if not path.exists() or not path.stat().st_size:
            return Standing()
    engine = database.make_engine(config.data_dir, config.database_url, found.keys.database)
    try:
        with engine.connect() as connection:
            uid = connection.scalar(
                text("SELECT uid FROM calendar WHERE clinician_id IS NULL ORDER BY id")
            )
            dead = connection.scalars(
                text("SELECT digest FROM token WHERE retired_at IS NOT NULL")
            ).all()
            installation = copying.installation_of(uid) if uid else None
            return Standing(installation, tuple(dead), _living(connection)) if uid else Standing()
    except SQLAlchemyError:
        return Standing()
    finally:
        engine.dispose()


def shorten(session: Session, standing: Standing, journal: Journal) -> None:
    """No address and no link lives longer than was settled before the restore."""
    known = {each.digest: each for each in standing.addresses}
    for token in session.scalars(select(Token).where(Token.retired_at.is_(None))):
        there = known.get(token.digest)
        own = there.ends_at if there else None
        token.ends_at = _earliest(token.ends_at, own, journal.ends_at(token.digest))
        if there:
            token.link.expires_at = _earliest(token.link.expires_at, there.expires_at)


def _living(connection: Connection) -> tuple[Address, ...] | None:
    columns = (Token.digest, Token.link_id, Token.ends_at, Link.expires_at, Link.label)
    living = (
        select(*columns, Clinician.name)
        .join(Link, Link.id == Token.link_id)
        .join(Calendar, Calendar.id == Link.calendar_id)
        .outerjoin(Clinician, Clinician.id == Calendar.clinician_id)
        .where(Token.retired_at.is_(None), Link.disabled_at.is_(None))
        .order_by(Token.id)
    )
    try:
        return tuple(Address(*row) for row in connection.execute(living))
    except SQLAlchemyError:
        return None


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)
