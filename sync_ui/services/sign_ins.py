"""Signing in at Google: away with an errand, and back with the permission for it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag

from sync_ui import clock
from sync_ui.errors import Invalid
from sync_ui.gateways.google_sign_in import SignIn
from sync_ui.models import Connection, ConnectionState, Direction
from sync_ui.models.installation import current
from sync_ui.services import connections, links, providers, sealing
from sync_ui.services.access import Actor

# Where Google sends people back to; registered there, to the letter.
CALLBACK = "/connections/google/callback"

LASTS = timedelta(minutes=10)

ANOTHER_WINDOW = "This sign-in was begun in another window, or too long ago. Connect again."


@dataclass(frozen=True, slots=True)
class Errand:
    """What somebody goes to Google for: to connect the calendar `key`, or one that is connected."""

    key: str
    two_way: bool
    connection_id: int | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """Somebody on the way: where to, and the ticket that the browser keeps meanwhile."""

    url: str
    ticket: bytes


def to_connect(actor: Actor, key: str, direction: Direction) -> Errand:
    """Raises NotFound, Invalid."""
    calendar = connections.clinicians(actor, key)
    return Errand(links.key(calendar), direction is Direction.TWO_WAY)


def to_sign_in_again(actor: Actor, connection_id: int) -> Errand:
    """Raises NotFound."""
    found = connections.one(actor, connection_id)
    two_way = found.direction is Direction.TWO_WAY
    return Errand(links.key(found.calendar), two_way, found.id)


def redirect_address() -> str:
    return current().config.base_url + CALLBACK


def go(errand: Errand, browser: str) -> Gone:
    """The ticket is good in this `browser` alone, and not for long. Raises Invalid."""
    begun = _sign_in(errand).begin()
    held = {
        "state": begun.state,
        "verifier": begun.verifier,
        "at": clock.now().isoformat(),
        "errand": asdict(errand),
    }
    return Gone(begun.url, sealing.seal(json.dumps(held), _bound_to(browser)))


def errand_of(ticket: bytes, browser: str) -> Errand:
    """Raises Invalid for a ticket of another browser."""
    return Errand(**_opened(ticket, browser)["errand"])


def come_back(actor: Actor, ticket: bytes, browser: str, answer: Mapping[str, str]) -> Connection:
    """The connection is there, NEW, or goes on; one that has ended removes what it wrote.

    Raises Invalid, Unavailable, NotFound, Conflict.
    """
    held = _opened(ticket, browser)
    at = datetime.fromisoformat(held["at"])
    if not at <= clock.now() < at + LASTS:
        raise Invalid(ANOTHER_WINDOW)
    errand = Errand(**held["errand"])
    sign_in = _sign_in(errand)
    tokens = providers.ask(lambda: sign_in.finish(answer, held["state"], held["verifier"]))
    login = providers.google_login(tokens)
    if errand.connection_id is not None:
        return _mended(actor, errand.connection_id, login.credentials)
    look = providers.look_around if errand.two_way else providers.own_calendars_only
    direction = Direction.TWO_WAY if errand.two_way else Direction.SEND_ONLY
    mode = connections.usual_mode(direction)
    return connections.connect(actor, errand.key, look(login), direction, mode)


def _mended(actor: Actor, connection_id: int, secrets: providers.Credentials) -> Connection:
    ended = connections.one(actor, connection_id).state is ConnectionState.ENDED
    mend = connections.remove_written if ended else connections.sign_in_again
    return mend(actor, connection_id, secrets)


def _sign_in(errand: Errand) -> SignIn:
    return SignIn(providers.google_app(), redirect_address(), errand.two_way)


def _opened(ticket: bytes, browser: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(sealing.unseal(ticket, _bound_to(browser)))
    except (InvalidTag, ValueError):
        raise Invalid(ANOTHER_WINDOW) from None
    return found


def _bound_to(browser: str) -> str:
    return f"google sign-in:{browser}"
