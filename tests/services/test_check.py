"""The health of an installation: what `flask check` says of feeds and of the public address."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import pytest
from flask import Flask

from sync_ui.domain.outside import SignedOut
from sync_ui.gateways.memory import Memory
from sync_ui.models import FeedFigures, transaction
from sync_ui.models.installation import Installation
from sync_ui.services import audit, check, host, sync
from sync_ui.services.audit import Action
from tests.front import Asked, Authority, Reply, Way, sound, standing
from tests.outside import connect
from tests.practice import NOW, Clock, Practice


def told(subject: str) -> list[tuple[bool, str]]:
    return [(found.ok, found.words) for found in check.findings() if found.subject == subject]


def figures(day: date, unchanged: int = 0, held: int = 0, mended: int = 0, made: int = 0) -> None:
    with transaction() as session:
        session.add(FeedFigures(day=day, unchanged=unchanged, held=held, mended=mended, made=made))


Behind = Callable[..., AbstractContextManager[str]]

TODAY = NOW.date()
YESTERDAY = TODAY - timedelta(days=1)


def test_feeds_that_nobody_reads_are_well(practice: Practice) -> None:
    figures(YESTERDAY - timedelta(days=1), unchanged=9)
    figures(TODAY)

    assert told("feeds") == [(True, "not read since yesterday.")]


def test_todays_readings_are_told(practice: Practice) -> None:
    figures(YESTERDAY, made=7)
    figures(TODAY, unchanged=4085, held=84, mended=41, made=1)

    assert told("feeds") == [
        (
            True,
            "4 211 readings today (UTC), 97 % unchanged, 2 % from memory, 1 % mended there, "
            "under 1 % made anew.",
        )
    ]


def test_before_todays_first_reading_yesterdays_are_told(practice: Practice) -> None:
    figures(YESTERDAY, made=1)

    assert told("feeds") == [(True, "1 reading yesterday (UTC), 100 % made anew.")]


def test_nearly_all_is_not_all(practice: Practice) -> None:
    figures(TODAY, unchanged=9_999, made=1)

    assert told("feeds") == [
        (True, "10 000 readings today (UTC), over 99 % unchanged, under 1 % made anew.")
    ]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def behind(
    app: Flask, authority: Authority, monkeypatch: pytest.MonkeyPatch, practice: Practice
) -> Behind:
    """`behind(way)`, for a with statement: the public address is a front's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))

    @contextmanager
    def stand(way: Way, **certificate: bool) -> Iterator[str]:
        context = authority.context("127.0.0.1", **certificate)
        with standing("http://127.0.0.1:1", way, context) as front:
            installed: Installation = app.extensions["installation"]
            config = replace(installed.config, base_url=front.url)
            app.extensions["installation"] = replace(installed, config=config)
            yield front.url

    return stand


def without_the_product(asked: Asked, on: Callable[[], Reply]) -> Reply:
    """The proxy, with a robots.txt of its own."""
    if asked.secure:
        return Reply(200, {"Content-Type": "text/plain"}, b"User-agent: *\nDisallow: /\n")
    return sound(asked, on)


def test_the_public_address_is_looked_at_without_any_link(behind: Behind, now: object) -> None:
    with behind(without_the_product) as url:
        found = {finding.subject: (finding.ok, finding.words) for finding in check.findings()}

    assert found["public address"] == (
        True,
        f"{url} is not https or not public: most phones cannot read the 0 links. See README.",
    )
    assert found["name"] == (True, "127.0.0.1 is found (A).")
    assert found["from http to https"] == (True, "The redirect is permanent (308).")
    assert found["who can reach it"][0]
    assert found["robots.txt"] == (
        False,
        "Google Calendar: robots.txt forbids the calendar: Google then reads nothing, and does "
        "not say. Pass robots.txt on to the application, or allow /cal/ in its first lines.",
    )


def test_a_wrong_certificate_is_a_problem(behind: Behind) -> None:
    with behind(without_the_product, self_signed=True):
        (found,) = told("certificate")

    assert found == (
        False,
        "Every app: The certificate is not valid: it is self-signed. Apps refuse it without "
        "asking anyone. Get one that they trust, for exactly this name; Caddy does so by itself.",
    )


def test_a_name_out_of_an_example_is_told_and_no_problem(practice: Practice) -> None:
    assert told("public address") == [
        (True, "https://calendar.example.com, 0 links."),
        (
            True,
            "Every app: calendar.example.com is a name out of an example: no app reaches it. Set "
            "SYNC_BASE_URL to the address that people use, and start the server again.",
        ),
    ]


def test_without_tls_nobody_is_called(app: Flask, practice: Practice) -> None:
    installed: Installation = app.extensions["installation"]
    config = replace(installed.config, base_url="http://127.0.0.1:1")
    app.extensions["installation"] = replace(installed, config=config)

    assert told("name") == []
    assert [ok for ok, _ in told("public address")] == [True]


def test_connections_are_told_and_which_need_somebody(practice: Practice, now: Clock) -> None:
    assert told("connections") == [(True, "none.")]
    outside = connect(practice, Memory())
    outside.pass_()
    assert told("connections") == [(True, "1, in step.")]

    now.move(hours=3)
    late = "0 of 1 need somebody, 1 are overdue. Their pages say why."
    assert told("connections") == [(False, late)]

    outside.there.failing = [SignedOut("Sign in again.")]
    sync.run(outside.id)
    needed = "1 of 1 need somebody, 0 are overdue. Their pages say why."
    assert told("connections") == [(False, needed)]


@pytest.mark.bar("O8")
def test_room_on_the_disk_is_told(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=host.LEAST_FREE, total=2 * host.LEAST_FREE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert told("disk") == [(True, "200 MB free of 400.")]

    usage.free -= 1
    assert told("disk") == [(False, "199 MB free of 400. Make room.")]

    monkeypatch.setattr(os, "access", lambda *_: False)
    assert told("disk") == [(False, "the data directory cannot be written to.")]


def test_a_clock_behind_what_has_happened_is_a_problem(practice: Practice, now: Clock) -> None:
    with transaction() as session:
        audit.record(session, practice.ada, Action.POLICY_CHANGED)
    assert told("clock") == [(True, "2026-11-23 17:00 UTC.")]

    now.move(hours=-1)

    words = "earlier than the newest entry of the audit. Set it right: links end by it."
    assert told("clock") == [(False, words)]


@pytest.mark.bar("O6")
def test_a_misspelt_setting_is_a_problem(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told("settings") == []

    monkeypatch.setenv("SYNC_SMTP_ULR", "smtp://mail.example.com")

    assert told("settings") == [(False, "SYNC_SMTP_ULR is no setting; is SYNC_SMTP_URL meant?")]
