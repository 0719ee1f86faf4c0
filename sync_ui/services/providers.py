"""How an account at a provider is reached: its gateway, with the credentials unsealed."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from flask import Flask, current_app

from sync_ui.domain.outside import (
    Later,
    Missing,
    OutsideCalendar,
    Provider,
    Rejected,
    SignedOut,
    Trouble,
)
from sync_ui.errors import Invalid, SyncError, Unavailable
from sync_ui.gateways import google_sign_in
from sync_ui.gateways.caldav import CalDav
from sync_ui.gateways.google import Google
from sync_ui.gateways.google_sign_in import App, Endpoints, Tokens
from sync_ui.gateways.guarded import Guarded
from sync_ui.models import Connection, ProviderName, db, transaction
from sync_ui.models.installation import current
from sync_ui.services import practice, sealing

Credentials = dict[str, str]

GOOGLE_ACCOUNT = "Google"

LONGEST_ADDRESS = 2000
LONGEST_USER = 200

NOT_ACCEPTED = (
    "The calendar server does not accept this user name and password. "
    "Many providers want a password made for this use alone."
)

_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class Login:
    """An account at a provider: `name` is who signs in there, `server` where CalDAV is spoken."""

    provider: ProviderName
    name: str
    server: str
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Account:
    """An account that has answered, with its calendars: a connection can be made with it."""

    login: Login
    calendars: tuple[OutsideCalendar, ...]


Opener = Callable[[Login], Provider]


def init_app(app: Flask) -> None:
    """`app.extensions["providers"]` opens an account at each of them; it calls nobody."""
    app.extensions["providers"] = {ProviderName.CALDAV: _caldav, ProviderName.GOOGLE: _google}
    app.extensions["google"] = Endpoints()


def _caldav(login: Login) -> Provider:
    line = Guarded(current().config.allow_private_addresses)
    password, zone = login.credentials["password"], practice.get().zone
    return CalDav(line, login.server, login.name, password, zone=zone)


def has_google() -> bool:
    """Whether the practice has a client of its own at Google."""
    config = current().config
    return bool(config.google_client_id and config.google_client_secret)


def google_app() -> App:
    """The practice's client at Google. Raises Invalid if it has none."""
    config = current().config
    if not config.google_client_id or not config.google_client_secret:
        raise Invalid("Your practice has no client at Google yet. Ask your administrator.")
    at: Endpoints = current_app.extensions["google"]
    return App(config.google_client_id, config.google_client_secret, at)


def google_login(tokens: Tokens) -> Login:
    """What Google calls the account, its permissions do not tell."""
    return Login(ProviderName.GOOGLE, GOOGLE_ACCOUNT, "", _as_credentials(tokens))


def _google(login: Login) -> Provider:
    found = login.credentials
    ends = found.get("expires_at")
    expires_at = datetime.fromisoformat(ends) if ends else None
    try:
        app = google_app()
    except Invalid as error:  # mends itself as soon as somebody has put it back
        raise Later(error.sentence) from None
    return Google(app, Tokens(found["refresh"], found.get("access", ""), expires_at))


def _as_credentials(tokens: Tokens) -> Credentials:
    expires_at = tokens.expires_at.isoformat() if tokens.expires_at else ""
    return {"refresh": tokens.refresh, "access": tokens.access, "expires_at": expires_at}


def renewed(provider: Provider, before: Credentials) -> Credentials | None:
    """The credentials as they are after some calls, if they are not as before."""
    if not isinstance(provider, Google):
        return None
    after = _as_credentials(provider.tokens)
    return after if after != before else None


@contextmanager
def calling(connection: Connection) -> Iterator[Provider]:
    """The account, for somebody who waits for its answers; what it renews is kept.

    Raises Invalid and Unavailable.
    """
    login, connection_id = ask(lambda: login_of(connection)), connection.id
    provider = ask(lambda: open_login(login))
    db.session.rollback()
    try:
        yield provider
    finally:
        after = renewed(provider, login.credentials)
        if after is not None:
            _keep(connection_id, after)


def _keep(connection_id: int, credentials: Credentials) -> None:
    with transaction() as session:
        connection = session.get(Connection, connection_id)
        if connection is not None and connection.sealed is not None:
            seal(connection, credentials)


def revoke(provider: Google) -> None:
    """Google forgets the permission, if it can be reached."""
    try:
        google_sign_in.revoke(google_app(), provider.tokens)
    except (SyncError, Trouble):
        return


def open_login(login: Login) -> Provider:
    openers: dict[ProviderName, Opener] = current_app.extensions["providers"]
    return openers[login.provider](login)


def open_(connection: Connection) -> Provider:
    """Raises SignedOut without credentials; calls nobody."""
    return open_login(login_of(connection))


def login_of(connection: Connection) -> Login:
    """Raises SignedOut if its credentials are gone."""
    if connection.sealed is None:
        raise SignedOut("This connection is signed out. Sign in again.")
    found = json.loads(sealing.unseal(connection.sealed, bound_to(connection)))
    return Login(connection.provider, connection.account, connection.server, found)


def seal(connection: Connection, credentials: Credentials) -> None:
    """The row has its id already: to it the credentials are bound."""
    connection.sealed = sealing.seal(json.dumps(credentials), bound_to(connection))


def bound_to(connection: Connection) -> str:
    return f"connection:{connection.id}"


def caldav_login(server: str, user: str, password: str) -> Login:
    """Raises Invalid, with what is missing."""
    server, user = server.strip(), practice.one_line(user)
    if not server or len(server) > LONGEST_ADDRESS:
        raise Invalid("Enter the address of the CalDAV server, e.g. https://caldav.example.com.")
    if not user or len(user) > LONGEST_USER:
        raise Invalid("Enter the user name of the account.")
    if not password:
        raise Invalid("Enter the password, best one made for this connection alone.")
    if "://" not in server:
        server = f"https://{server}"
    return Login(ProviderName.CALDAV, user, server, {"password": password})


def look_around(login: Login) -> Account:
    """Signs in; nothing is stored. Raises Invalid and Unavailable, with what is wrong."""

    def calendars() -> list[OutsideCalendar]:
        try:
            return open_login(login).calendars()
        except SignedOut:
            if login.provider is not ProviderName.CALDAV:
                raise
            raise Rejected(NOT_ACCEPTED) from None

    return Account(login, tuple(ask(calendars)))


def own_calendars_only(login: Login) -> Account:
    """An account whose permission shows no calendar but those that we make."""
    return Account(login, ())


def ask(call: Callable[[], _Told]) -> _Told:
    """What the provider says; its troubles as sentences for whoever waits for the answer."""
    try:
        return call()
    except (Missing, Rejected, SignedOut) as trouble:
        raise Invalid(str(trouble)) from None
    except Trouble as trouble:
        raise Unavailable(str(trouble)) from None
