"""Channels: a promise of Google's to call us when a calendar changes.

A call only shortens the wait. Without channels the calendar is asked every few
minutes, which is as good, but slower.
"""

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from sync_ui import clock
from sync_ui.domain.outside import Provider, Trouble
from sync_ui.gateways.google import Google
from sync_ui.models import Connection, ConnectionState, Direction, Step, db, transaction
from sync_ui.models.installation import current
from sync_ui.services import steps
from sync_ui.services.leases import Lease, LeaseLost
from sync_ui.services.steps import Did

# Where Google calls.
ADDRESS = "/google/notify"

# As long as Google promises anything; a new promise is asked for before the old one ends.
LIFE = timedelta(days=7)
RENEWED_AT = 0.8

# After a refusal: an administrator has to do something, as a rule.
TRY_AGAIN = timedelta(hours=6)

# One change outside makes several calls, and so does each of ours: they are waited for.
SETTLES = timedelta(seconds=2)

_ID = re.compile(r"[0-9a-f]{32}-[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Promise:
    """A channel as Google knows it."""

    id: str
    resource: str


def keep(lease: Lease, provider: Provider) -> None:
    """Google calls when the connection's calendar changes, if this server can be called.

    That Google will not is no trouble: the log says why. Raises LeaseLost.
    """
    if not isinstance(provider, Google):
        return
    connection = db.session.get_one(Connection, lease.connection_id)
    wanted, calendar_id, old = _is_wanted(connection), connection.outside_id, promise(connection)
    db.session.rollback()
    if not wanted:
        return
    # The moment of its making stands in the id: by it the renewal goes.
    name, token = (
        f"{secrets.token_hex(16)}-{int(clock.now().timestamp())}",
        secrets.token_urlsafe(32),
    )
    address, seconds = current().config.base_url + ADDRESS, int(LIFE.total_seconds())
    try:
        made = provider.watch(calendar_id, name, token, address, seconds)
    except Trouble as trouble:
        _do_without(lease, str(trouble))
        return
    try:
        with lease.writing() as (_, connection):
            connection.channel, connection.channel_digest = name, _digest(token)
            connection.channel_resource = made.resource_id
            connection.channel_ends_at = made.expires_at
    except LeaseLost:
        stop(provider, Promise(name, made.resource_id))
        raise
    if old is not None:
        stop(provider, old)


def promise(connection: Connection) -> Promise | None:
    if connection.channel is None:
        return None
    return Promise(connection.channel, connection.channel_resource or "")


def stop(provider: Google, old: Promise) -> None:
    """Google calls no longer; if it cannot be told, nobody listens when it does."""
    try:
        provider.stop(old.id, old.resource)
    except Trouble:
        return


def is_open(connection: Connection, now: datetime) -> bool:
    """Whether Google has promised to call."""
    ends_at = connection.channel_ends_at
    return connection.channel is not None and ends_at is not None and now < ends_at


def forget(connection: Connection) -> None:
    """In the transaction under way: whoever calls is not known any more."""
    connection.channel = connection.channel_digest = connection.channel_resource = None
    connection.channel_ends_at = None


def _is_wanted(connection: Connection) -> bool:
    two_way = connection.direction is Direction.TWO_WAY
    if not two_way or connection.state is not ConnectionState.WORKING:
        return False
    if not current().config.reachable_by_phones:
        return False
    now, ends_at = clock.now(), connection.channel_ends_at
    if ends_at is None:
        return True
    if connection.channel is None:  # it was refused, and this is when to try again
        return ends_at <= now
    made_at = datetime.fromtimestamp(int(connection.channel.partition("-")[2]), UTC)
    return now >= made_at + (ends_at - made_at) * RENEWED_AT


def _do_without(lease: Lease, why: str) -> None:
    with lease.writing() as (session, connection):
        now = clock.now()
        if not is_open(connection, now):
            forget(connection)
            connection.channel_ends_at = now + TRY_AGAIN
        if not _is_noted(session, connection.id, why):
            steps.note(session, connection.id, Did.NO_CHANNEL, 1, why)


def _is_noted(session: Session, connection_id: int, why: str) -> bool:
    of_it = Step.connection_id == connection_id
    wanted = select(Step.id).where(of_it, Step.word == Did.NO_CHANNEL.value, Step.detail == why)
    return session.scalar(wanted.limit(1)) is not None


def heard(channel: str, token: str, resource: str) -> bool:
    """Whether this is a call of Google's that was promised: the connection is due in a moment.

    Nothing else is believed. Several calls within a moment wake the worker once.
    """
    connection = None
    if _ID.fullmatch(channel):
        connection = db.session.scalar(select(Connection).where(Connection.channel == channel))
    digest, known = "", ""
    if connection is not None:
        digest, known = connection.channel_digest or "", connection.channel_resource or ""
    right = hmac.compare_digest(_digest(token), digest)
    right &= hmac.compare_digest(resource.encode(), known.encode())
    if connection is None or not right:
        return False
    if _would_wait(connection):
        _wake(connection.id)
    return True


def _would_wait(connection: Connection) -> bool:
    """A provider that asks us to wait is not called again before that."""
    if connection.state is not ConnectionState.WORKING or connection.failures:
        return False
    return connection.next_at > clock.now() + SETTLES


def _wake(connection_id: int) -> None:
    with transaction() as session:
        connection = session.get(Connection, connection_id, populate_existing=True)
        if connection is None or not _would_wait(connection):
            return
        connection.next_at = clock.now() + SETTLES
    current_app.extensions["wake"](SETTLES.total_seconds())


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
