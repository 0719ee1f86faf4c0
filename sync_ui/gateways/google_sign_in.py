"""Signing in at Google: what a clinician is asked for there, and what comes back.

Each practice has a registration of its own at Google, a client ID with its
secret. PKCE and a state bind the answer to the browser that asked.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests
from google_auth_oauthlib.flow import Flow
from oauthlib.oauth2 import InvalidClientError, MissingTokenError, OAuth2Error

from sync_ui.domain.outside import Later, Rejected, SignedOut

TIMEOUT = (5, 30)

_SCOPE = "https://www.googleapis.com/auth/"
# Make calendars of our own, and nothing else.
OWN_CALENDARS = f"{_SCOPE}calendar.app.created"
# See when other calendars are taken, and which there are.
BUSY_TIMES = f"{_SCOPE}calendar.events.freebusy"
CALENDAR_NAMES = f"{_SCOPE}calendar.calendarlist.readonly"

SEND_ONLY = (OWN_CALENDARS,)
TWO_WAY = (OWN_CALENDARS, BUSY_TIMES, CALENDAR_NAMES)

NOT_KNOWN = (
    "Google does not know this installation. "
    "Ask your administrator to check the Google client ID and secret."
)
OUT_OF_REACH = "Google cannot be reached right now."


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where Google answers; `api` ends with a slash."""

    authorize: str = "https://accounts.google.com/o/oauth2/v2/auth"
    token: str = "https://oauth2.googleapis.com/token"  # noqa: S105
    revoke: str = "https://oauth2.googleapis.com/revoke"
    api: str = "https://www.googleapis.com/calendar/v3/"


@dataclass(frozen=True, slots=True)
class App:
    """The practice's registration at Google."""

    client_id: str
    client_secret: str = field(repr=False)
    at: Endpoints = Endpoints()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What Google accepts in place of a password; `access` lasts until `expires_at`, an hour."""

    refresh: str = field(repr=False)
    access: str = field(default="", repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way: where the browser goes, and what its session keeps meanwhile."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignIn:
    """One way of signing in; `redirect` is registered at Google, to the letter."""

    app: App
    redirect: str
    two_way: bool

    @property
    def scopes(self) -> tuple[str, ...]:
        return TWO_WAY if self.two_way else SEND_ONLY

    def begin(self) -> Begun:
        flow = self._flow(self.scopes)
        # Only with consent asked anew does Google hand out a refresh token again.
        url, state = flow.authorization_url(access_type="offline", prompt="consent")
        return Begun(url, state, flow.code_verifier)

    def finish(self, answer: Mapping[str, str], state: str, verifier: str) -> Tokens:
        """The tokens for what Google added to `redirect`, with every permission asked for.

        Raises SignedOut if the person declined all or a part, or came with
        somebody else's answer; Rejected if Google does not know the practice; Later.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
            raise SignedOut("This sign-in was begun in another window. Connect again.")
        if answer.get("error") == "access_denied":
            raise SignedOut("Google was not allowed to share the calendar. Nothing was connected.")
        if not answer.get("code"):
            raise SignedOut("Google did not sign you in. Connect again.")
        token = self._exchanged(answer["code"], verifier)
        granted = token.get("scope") or self.scopes
        if not set(self.scopes) <= set(granted):
            raise SignedOut(
                "Google was not given every permission. Connect again and leave all boxes ticked."
            )
        if not token.get("refresh_token"):
            raise SignedOut("Google gave no lasting permission. Connect again.")
        ends = token.get("expires_at")
        expires_at = datetime.fromtimestamp(ends, UTC) if ends else None
        return Tokens(token["refresh_token"], token["access_token"], expires_at)

    def _exchanged(self, code: str, verifier: str) -> dict[str, Any]:
        # Without scopes: the library takes fewer ones than asked for as a fault of its own.
        flow = self._flow(None)
        flow.code_verifier = verifier
        flow.oauth2session.trust_env = False
        try:
            token: dict[str, Any] = flow.fetch_token(
                code=code, include_client_id=True, timeout=TIMEOUT
            )
        except InvalidClientError:
            raise Rejected(NOT_KNOWN) from None
        # Neither a yes nor a no, or nonsense, or nothing.
        except (MissingTokenError, ValueError, requests.RequestException):
            raise Later(OUT_OF_REACH) from None
        except OAuth2Error:
            raise SignedOut("Google did not accept the sign-in. Connect again.") from None
        return token

    def _flow(self, scopes: tuple[str, ...] | None) -> Any:
        client = {
            "client_id": self.app.client_id,
            "client_secret": self.app.client_secret,
            "auth_uri": self.app.at.authorize,
            "token_uri": self.app.at.token,
        }
        return Flow.from_client_config({"web": client}, scopes, redirect_uri=self.redirect)


def revoke(app: App, tokens: Tokens) -> None:
    """Google forgets the permission, and with it every connection of this account. Raises Later.

    A token that Google no longer knows is forgotten already.
    """
    try:
        with requests.Session() as session:
            session.trust_env = False
            form = {"token": tokens.refresh}
            answer = session.post(app.at.revoke, form, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException:
        raise Later(OUT_OF_REACH) from None
    if answer.status_code not in {200, 400}:
        raise Later(OUT_OF_REACH)
