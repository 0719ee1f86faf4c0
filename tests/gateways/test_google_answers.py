"""What Google says instead of yes, and what becomes of the sign-in: documented, not verified."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sync_ui.domain.outside import (
    Copy,
    Later,
    Rejected,
    SignedOut,
    Told,
    Trouble,
)
from sync_ui.gateways.google import Google
from sync_ui.gateways.google_sign_in import Tokens
from tests.gateways.scripted_google import (
    Answer,
    Calendar,
    ScriptedGoogle,
    refusal,
    signed_in,
)

TUESDAY = datetime(2026, 11, 24, 15, tzinfo=UTC)
JANE = Copy(
    id="sc0jane",
    mark="ourmark",
    told=Told(starts=TUESDAY, ends=TUESDAY + timedelta(minutes=50), summary="J.S."),
)


@pytest.fixture
def calendar(google_server: ScriptedGoogle) -> Calendar:
    return google_server.calendar("Sessions")


@pytest.mark.bar("S6")
@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (refusal(403, "rateLimitExceeded"), None),
        (refusal(403, "userRateLimitExceeded"), None),
        (refusal(403, "quotaExceeded"), None),
        (refusal(429, "rateLimitExceeded", {"Retry-After": "7"}), 7.0),
        (refusal(500, "backendError", {"Retry-After": "soon"}), None),
        (Answer(503, "<html>"), None),
    ],
    ids=["rate", "rate of the user", "quota", "too many", "broken", "away"],
)
def test_whoever_is_told_to_wait_tries_later(
    google: Google,
    calendar: Calendar,
    google_server: ScriptedGoogle,
    answer: Answer,
    seconds: float | None,
) -> None:
    google_server.will_answer("POST", "/events", answer)

    with pytest.raises(Later) as caught:
        google.put(calendar.id, JANE, None)

    assert caught.value.seconds == seconds
    assert google.put(calendar.id, JANE, None) != ""


@pytest.mark.parametrize(
    ("answer", "trouble", "words"),
    [
        (refusal(403, "insufficientPermissions"), SignedOut, "permission"),
        (refusal(403, "accessNotConfigured"), Later, "Ask your administrator"),
        (refusal(403, "requiredAccessLevel"), Rejected, "requiredAccessLevel"),
        (refusal(400, "invalid"), Rejected, "invalid"),
        (Answer(302, headers={"Location": "http://127.0.0.1:9/"}), Rejected, "302"),
    ],
    ids=["scope", "switched off", "not writable", "bad", "a detour"],
)
def test_what_waiting_does_not_mend_is_told(
    google: Google,
    calendar: Calendar,
    google_server: ScriptedGoogle,
    answer: Answer,
    trouble: type[Exception],
    words: str,
) -> None:
    google_server.will_answer("POST", "/events", answer)

    with pytest.raises(trouble, match=words):
        google.put(calendar.id, JANE, None)


@pytest.mark.bar("I5")
def test_nonsense_in_place_of_an_answer_is_for_later(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    nonsenses: list[object] = ["sign in to this wireless network", [], None]
    for nonsense in nonsenses:
        google_server.will_answer("GET", "/events", Answer(200, nonsense))

        with pytest.raises(Later):
            google.changes(calendar.id, None)


def test_a_google_that_cannot_be_reached_is_for_later(google_server: ScriptedGoogle) -> None:
    nowhere = "http://127.0.0.1:9"
    silent = replace(google_server.app, at=replace(google_server.app.at, token=f"{nowhere}/token"))

    with signed_in(silent, google_server.tokens) as google, pytest.raises(Later):
        google.calendars()


def test_a_sign_in_that_was_taken_back_is_told(
    google: Google, google_server: ScriptedGoogle
) -> None:
    google.calendars()
    google_server.access_tokens.clear()
    google.calendars()  # with a new one
    google_server.access_tokens.clear()
    google_server.refresh_tokens.clear()

    with pytest.raises(SignedOut, match="Connect the account again"):
        google.calendars()


def test_a_practice_that_google_does_not_know_is_told(google_server: ScriptedGoogle) -> None:
    stranger = replace(google_server.app, client_secret="an old secret")

    with (
        signed_in(stranger, google_server.tokens) as google,
        pytest.raises(Later, match="administrator"),
    ):
        google.calendars()


def test_tokens_are_kept_until_they_end(google_server: ScriptedGoogle) -> None:
    with signed_in(google_server.app, google_server.tokens) as google:
        google.calendars()
        held = google.tokens
    google_server.asked.clear()

    with signed_in(google_server.app, held) as google:
        google.calendars()
        assert google.tokens == held

    assert [asked.path for asked in google_server.asked] == ["/calendar/v3/users/me/calendarList"]
    assert held.refresh == "refresh-1"


def test_tokens_that_have_ended_are_renewed_beforehand(google_server: ScriptedGoogle) -> None:
    ended = Tokens("refresh-1", "access-0", TUESDAY - timedelta(days=365))

    with signed_in(google_server.app, ended) as google:
        google.calendars()

    assert google_server.asked[0].path == "/token"


def test_a_refresh_token_that_google_replaces_can_be_stored(
    google: Google, google_server: ScriptedGoogle
) -> None:
    google_server.rotates = True
    google.calendars()

    assert google.tokens.refresh != "refresh-1"
    assert google_server.refresh_tokens == {google.tokens.refresh}


@pytest.mark.bar("S1", "I10")
def test_tokens_and_secrets_are_in_no_text_of_ours(
    google: Google, google_server: ScriptedGoogle
) -> None:
    google.calendars()

    assert repr(google.tokens).startswith("Tokens(expires_at=")
    assert "secret" not in repr(google_server.app)


@pytest.mark.bar("O3")
def test_a_refusal_is_told_without_names_or_addresses(
    google: Google, calendar: Calendar, google_server: ScriptedGoogle
) -> None:
    for answer in (refusal(412, "conditionNotMet"), refusal(500, "backendError"), Answer(400)):
        google_server.will_answer("POST", "/events", answer)
        with pytest.raises(Trouble) as caught:
            google.put(calendar.id, JANE, None)

        told = f"{caught.value!r} {caught.value.__cause__}"
        assert [word for word in ("J.S.", calendar.id, "127.0.0.1") if word in told] == []
