"""Signing in at Google: against an emulator that others wrote, and where it knows too little."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build

from sync_ui.domain.outside import (
    Copy,
    Later,
    OutsideCalendar,
    Rejected,
    SignedOut,
    Span,
    Told,
    Window,
)
from sync_ui.gateways.google import Google
from sync_ui.gateways.google_sign_in import (
    BUSY_TIMES,
    CALENDAR_NAMES,
    OWN_CALENDARS,
    App,
    SignIn,
    Tokens,
    revoke,
)
from tests.emulator import REDIRECT, Emulator
from tests.gateways.scripted_google import Answer, ScriptedGoogle, signed_in

TUESDAY = datetime(2026, 11, 24, 15, tzinfo=UTC)
WINDOW = Window(TUESDAY - timedelta(days=1), TUESDAY + timedelta(days=1))
JANE = Copy(
    id="sc0jane",
    mark="ourmark",
    told=Told(starts=TUESDAY, ends=TUESDAY + timedelta(minutes=50), summary="J.S."),
)


def connected(emulator: Emulator) -> Tokens:
    sign_in = SignIn(emulator.app, REDIRECT, two_way=True)
    begun = sign_in.begin()
    return sign_in.finish(emulator.consent(begun.url), begun.state, begun.verifier)


@contextmanager
def anna(emulator: Emulator) -> Iterator[Google]:
    with signed_in(emulator.app, connected(emulator)) as google:
        yield google


def ended(tokens: Tokens) -> Tokens:
    return replace(tokens, expires_at=TUESDAY - timedelta(days=365))


def test_anna_connects_her_account(google_emulator: Emulator) -> None:
    tokens = connected(google_emulator)

    assert tokens.expires_at is not None
    assert tokens.expires_at.tzinfo is UTC
    assert tokens.access != tokens.refresh
    with signed_in(google_emulator.app, tokens) as google:
        assert google.calendars() == [OutsideCalendar("primary", "Anna", writable=True)]
        assert google.tokens == tokens


@pytest.mark.bar("S2")
def test_a_code_is_worth_something_once(google_emulator: Emulator) -> None:
    sign_in = SignIn(google_emulator.app, REDIRECT, two_way=False)
    begun = sign_in.begin()
    answer = google_emulator.consent(begun.url)
    sign_in.finish(answer, begun.state, begun.verifier)

    with pytest.raises(SignedOut, match="did not accept"):
        sign_in.finish(answer, begun.state, begun.verifier)


@pytest.mark.bar("S2")
def test_a_code_is_worth_nothing_without_its_verifier(google_emulator: Emulator) -> None:
    sign_in = SignIn(google_emulator.app, REDIRECT, two_way=False)
    begun = sign_in.begin()
    answer = google_emulator.consent(begun.url)

    with pytest.raises(SignedOut, match="did not accept"):
        sign_in.finish(answer, begun.state, sign_in.begin().verifier)


@pytest.mark.bar("S2")
def test_an_address_that_is_not_registered_is_refused(google_emulator: Emulator) -> None:
    begun = SignIn(google_emulator.app, "https://attacker.example/", two_way=False).begin()

    with pytest.raises(requests.HTTPError):
        google_emulator.consent(begun.url)


def test_a_practice_with_a_wrong_secret_is_told(google_emulator: Emulator) -> None:
    sign_in = SignIn(replace(google_emulator.app, client_secret="old"), REDIRECT, two_way=False)
    begun = sign_in.begin()
    answer = google_emulator.consent(begun.url)

    with pytest.raises(Rejected, match="administrator"):
        sign_in.finish(answer, begun.state, begun.verifier)


def test_an_access_token_that_has_ended_is_renewed(google_emulator: Emulator) -> None:
    tokens = connected(google_emulator)

    with signed_in(google_emulator.app, ended(tokens)) as google:
        google.calendars()
        renewed = google.tokens

    assert renewed.refresh == tokens.refresh
    assert renewed.access != tokens.access
    assert renewed.expires_at != ended(tokens).expires_at


def test_a_permission_that_was_taken_back_is_over(google_emulator: Emulator) -> None:
    tokens = connected(google_emulator)
    with signed_in(google_emulator.app, ended(tokens)) as google:
        google.calendars()

    revoke(google_emulator.app, tokens)

    with signed_in(google_emulator.app, ended(tokens)) as google, pytest.raises(SignedOut):
        google.calendars()


def test_what_is_put_there_is_listed_and_removed(google_emulator: Emulator) -> None:
    with anna(google_emulator) as google:
        google.put("primary", JANE, None)
        listed = google.changes("primary", None).entries
        busy = google.busy("primary", None, WINDOW)
        for found in listed:
            google.remove("primary", found.id, None)

        assert [found.told for found in listed] == [JANE.told]
        assert list(busy.spans.values()) == [
            (Span(starts_at=TUESDAY, ends_at=TUESDAY + timedelta(minutes=50)),)
        ]
        assert google.changes("primary", None).entries == ()


def test_googles_own_client_reads_what_is_put_there(google_emulator: Emulator) -> None:
    with anna(google_emulator) as google:
        google.put("primary", JANE, None)
        client = build(
            "calendar",
            "v3",
            credentials=Credentials(google.tokens.access),
            client_options={"api_endpoint": google_emulator.app.at.api},
            static_discovery=True,
        )
        with client:
            found = client.events().list(calendarId="primary").execute()["items"]
        for event in found:
            google.remove("primary", event["id"], None)

    assert [(each["summary"], each["start"]["dateTime"]) for each in found] == [
        ("J.S.", "2026-11-24T15:00:00Z")
    ]


def test_more_events_than_fit_a_page_are_all_listed(
    google_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_ui.gateways.google._PAGE", 2)
    with anna(google_emulator) as google:
        for number in range(5):
            google.put("primary", replace(JANE, id=f"sc0jane{number}"), None)
        listed = google.changes("primary", None).entries
        for found in listed:
            google.remove("primary", found.id, None)

    assert len(listed) == 5


@pytest.fixture
def sign_in(google_server: ScriptedGoogle, monkeypatch: pytest.MonkeyPatch) -> SignIn:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    return SignIn(google_server.app, REDIRECT, two_way=True)


def granted(*scopes: str, **more: str) -> dict[str, object]:
    """What Google gives for a code when only these boxes were ticked."""
    told = {"access_token": "access-1", "token_type": "Bearer", "expires_in": 3600}
    return {**told, "refresh_token": "refresh-1", "scope": " ".join(scopes), **more}


def finish(sign_in: SignIn, **answer: str) -> Tokens:
    begun = sign_in.begin()
    return sign_in.finish({"state": begun.state, **answer}, begun.state, begun.verifier)


def test_every_box_that_was_ticked_signs_in(sign_in: SignIn, google_server: ScriptedGoogle) -> None:
    google_server.codes["code-1"] = granted(CALENDAR_NAMES, OWN_CALENDARS, BUSY_TIMES)

    assert finish(sign_in, code="code-1").refresh == "refresh-1"


def test_a_box_that_was_left_out_is_told(sign_in: SignIn, google_server: ScriptedGoogle) -> None:
    google_server.codes["code-1"] = granted(OWN_CALENDARS, CALENDAR_NAMES)

    with pytest.raises(SignedOut, match="leave all boxes ticked"):
        finish(sign_in, code="code-1")


def test_a_permission_that_does_not_last_is_told(
    sign_in: SignIn, google_server: ScriptedGoogle
) -> None:
    google_server.codes["code-1"] = granted(*sign_in.scopes, refresh_token="")

    with pytest.raises(SignedOut, match="no lasting permission"):
        finish(sign_in, code="code-1")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": "access_denied"}, "Nothing was connected"),
        ({"error": "server_error"}, "Connect again"),
        ({}, "Connect again"),
        ({"code": "code-1", "state": "of somebody else"}, "another window"),
        ({"code": "code-1", "state": "é"}, "another window"),
    ],
    ids=["declined", "failed", "nothing", "another's", "not ASCII"],
)
def test_an_answer_that_is_no_yes_asks_google_for_nothing(
    sign_in: SignIn, google_server: ScriptedGoogle, answer: dict[str, str], words: str
) -> None:
    google_server.codes["code-1"] = granted(*sign_in.scopes)

    with pytest.raises(SignedOut, match=words):
        finish(sign_in, **answer)

    assert google_server.asked == []


def test_a_google_that_is_out_of_order_is_for_later(
    sign_in: SignIn, google_server: ScriptedGoogle
) -> None:
    for answer in (Answer(503, "<html>"), Answer(200, {})):
        google_server.will_answer("POST", "/token", answer)

        with pytest.raises(Later):
            finish(sign_in, code="code-1")


def test_a_google_that_is_away_is_for_later(sign_in: SignIn) -> None:
    nowhere = replace(
        sign_in.app.at, token="http://127.0.0.1:9/token", revoke="http://127.0.0.1:9/revoke"
    )
    app = replace(sign_in.app, at=nowhere)

    with pytest.raises(Later):
        finish(replace(sign_in, app=app), code="code-1")
    with pytest.raises(Later):
        revoke(app, Tokens("refresh-1"))


def test_a_token_that_google_has_forgotten_is_revoked(google_server: ScriptedGoogle) -> None:
    revoke(google_server.app, google_server.tokens)
    revoke(google_server.app, google_server.tokens)

    assert google_server.refresh_tokens == set()
    assert [asked.path for asked in google_server.asked] == ["/revoke", "/revoke"]


@pytest.mark.bar("S1")
@pytest.mark.parametrize(
    ("two_way", "scopes"),
    [(False, {OWN_CALENDARS}), (True, {OWN_CALENDARS, BUSY_TIMES, CALENDAR_NAMES})],
)
def test_no_more_is_asked_for_than_needed(*, two_way: bool, scopes: set[str]) -> None:
    begun = SignIn(App("practice.apps.example", "secret"), REDIRECT, two_way=two_way).begin()

    url = urlsplit(begun.url)
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (
        f"{url.scheme}://{url.netloc}{url.path}" == "https://accounts.google.com/o/oauth2/v2/auth"
    )
    assert set(asked.pop("scope").split()) == scopes
    assert asked.pop("state") == begun.state
    assert len(asked.pop("code_challenge")) == 43
    assert asked == {
        "response_type": "code",
        "client_id": "practice.apps.example",
        "redirect_uri": REDIRECT,
        "access_type": "offline",
        "prompt": "consent",
        "code_challenge_method": "S256",
    }


@pytest.mark.bar("S2")
def test_what_is_kept_meanwhile_is_in_no_text_of_ours() -> None:
    sign_in = SignIn(App("practice.apps.example", "secret"), REDIRECT, two_way=True)

    assert repr(sign_in.begin()) == "Begun()"
    assert "'secret'" not in repr(sign_in)
    assert sign_in.begin().state != sign_in.begin().state
