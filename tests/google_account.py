"""A Google of the tests' own, as an installation that has a client there sees it."""

import re
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from flask import Flask

from sync_ui.config import Config
from sync_ui.gateways.google import Google
from sync_ui.gateways.google_sign_in import TWO_WAY
from sync_ui.models import Connection, Direction, ProviderName
from sync_ui.services import sign_ins
from sync_ui.services.access import Actor
from sync_ui.services.providers import Login
from tests.gateways.discovery import Checked
from tests.gateways.scripted_google import ScriptedGoogle

REDIRECT = "https://calendar.example.com/connections/google/callback"

Answer = dict[str, str]


def with_client(config: Config) -> Config:
    """The practice has registered itself."""
    return replace(
        config,
        google_client_id="practice.apps.example",
        google_client_secret="a client's secret",
    )


def use(app: Flask, google: ScriptedGoogle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Google account is there; requests are held to Google's description of its API."""
    # Without it the library signs in by https alone.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    app.extensions["google"] = google.app.at
    google.redirects.add(REDIRECT)
    openers = app.extensions["providers"]
    usual = openers[ProviderName.GOOGLE]

    def opened(login: Login) -> Google:
        account: Google = usual(login)
        account.session.mount("http://", Checked(TWO_WAY))
        return account

    openers[ProviderName.GOOGLE] = opened


def agree(url: str) -> Answer:
    """Somebody agrees at Google: what the browser brings back to `REDIRECT`."""
    with requests.Session() as browser:
        browser.trust_env = False
        place = browser.get(url, timeout=5, allow_redirects=False).headers["Location"]
    assert place.startswith(f"{REDIRECT}?")
    return dict(parse_qsl(urlsplit(place).query))


def way_out(page: str) -> str:
    """Where the page leads to by itself."""
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page)
    assert found is not None, page
    return unescape(found[1])


def connect(actor: Actor, key: str, direction: Direction = Direction.TWO_WAY) -> Connection:
    """Signed in and connected, not begun."""
    gone = sign_ins.go(sign_ins.to_connect(actor, key, direction), "a browser")
    return sign_ins.come_back(actor, gone.ticket, "a browser", agree(gone.url))


def sign_in_again(actor: Actor, connection_id: int) -> Connection:
    gone = sign_ins.go(sign_ins.to_sign_in_again(actor, connection_id), "a browser")
    return sign_ins.come_back(actor, gone.ticket, "a browser", agree(gone.url))
