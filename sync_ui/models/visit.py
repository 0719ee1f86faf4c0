"""Who has read a link, and what reading costs."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from sync_ui.domain.apps import Reader
from sync_ui.models.columns import words
from sync_ui.models.database import Instant, Row
from sync_ui.models.link import Link, Token


class Visit(Row):
    """One reader of one address, from one kind of network: first, last, how often.

    `name` is the app's; `days` counts the days (UTC) on which it read;
    `seen_until` is the Last-Modified that it was last given, so that every
    change up to then has reached it. `told_at`: since when the link's owner knows
    of this reader; None as long as the notice of it is not put away.
    """

    __tablename__ = "visit"
    __table_args__ = (UniqueConstraint("token_id", "name", "network"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    link_id: Mapped[int] = mapped_column(ForeignKey("link.id"), index=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("token.id"))
    reader: Mapped[Reader] = mapped_column(words(Reader))
    name: Mapped[str]
    network: Mapped[str]
    first_at: Mapped[datetime] = mapped_column(Instant)
    last_at: Mapped[datetime] = mapped_column(Instant, index=True)
    count: Mapped[int] = mapped_column(default=1)
    days: Mapped[int] = mapped_column(default=1)
    seen_until: Mapped[datetime] = mapped_column(Instant)
    told_at: Mapped[datetime | None] = mapped_column(Instant)

    link: Mapped[Link] = relationship()
    token: Mapped[Token] = relationship()


class FeedFigures(Row):
    """How a day's readings were answered: unchanged, from memory, mended there, or made anew."""

    __tablename__ = "feed_figures"

    day: Mapped[date] = mapped_column(primary_key=True)
    unchanged: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    mended: Mapped[int] = mapped_column(default=0)
    made: Mapped[int] = mapped_column(default=0)
