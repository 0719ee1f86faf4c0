"""The commands: one result on stdout, errors on stderr, no questions."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import delete, func, select

from sync_ui.config import ROOT
from sync_ui.domain.event import Choices, DisplayMode, Status, Telehealth
from sync_ui.domain.ics_write import NOTICE
from sync_ui.models import Appointment, AuditEntry, Client, Link, Reason, User, db
from sync_ui.services import feeds, links, replaced
from sync_ui.services import practice as practices
from tests.practice import NOW, Clock, Practice

PASSWORD = "four unrelated words here"

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    """`run("link", "list")`: how the command ended; whatever is no error of ours is raised."""
    runner = app.test_cli_runner()

    def invoke(*words: str, input: str | None = None) -> Result:
        db.session.rollback()
        result = runner.invoke(args=list(words), input=input)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def printed(result: Result) -> str:
    """The one result, and nothing on stderr."""
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout.rstrip("\n")


def refused(result: Result) -> str:
    """The sentence on stderr, and nothing on stdout."""
    assert result.exit_code != 0
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.strip()


# users


@pytest.mark.bar("O6")
def test_a_user_is_made_before_the_set_up(run: Run, now: Clock) -> None:
    made = run(
        *("user", "create", "Ada@Example.com", "--role", "administrator", "--password-stdin"),
        input=f"{PASSWORD}\n",
    )

    assert printed(made) == "ada@example.com"
    assert printed(run("user", "list")) == "1\tada@example.com\tadministrator\tactive"
    assert practices.is_set_up()


@pytest.mark.bar("O6")
def test_no_password_is_asked_for_without_a_terminal(run: Run, now: Clock) -> None:
    sentence = refused(run("user", "create", "ada@example.com", "--role", "administrator"))

    assert sentence.endswith("Error: Give the password with --password-stdin.")
    assert db.session.scalar(select(func.count(User.id))) == 0


@pytest.mark.parametrize(
    ("email", "role", "password", "sentence"),
    [
        ("ada", "scheduler", PASSWORD, "Enter one e-mail address, such as anna@example.com."),
        ("a@example.com", "scheduler", "short", "A password needs at least 15 characters."),
        ("a@example.com", "scheduler", "", "A password needs at least 15 characters."),
        (
            "sam@example.com",
            "scheduler",
            PASSWORD,
            "There is a user with this e-mail address already.",
        ),
    ],
)
def test_a_wrong_user_is_one_sentence(
    run: Run, practice: Practice, email: str, role: str, password: str, sentence: str
) -> None:
    made = run("user", "create", email, "--role", role, "--password-stdin", input=password)

    assert refused(made) == f"Error: {sentence}"


def test_a_role_that_does_not_exist_is_refused(run: Run) -> None:
    made = run("user", "create", "a@example.com", "--role", "owner", "--password-stdin", input="x")

    assert "'owner' is not one of 'administrator', 'scheduler', 'clinician'" in refused(made)


def test_before_the_set_up_lists_are_empty(run: Run) -> None:
    assert printed(run("user", "list")) == ""
    assert printed(run("link", "list")) == ""


# appointments


def add(run: Run, **other: str) -> Result:
    words = {
        "clinician": "unlu@example.com",
        "client": "Jane Smith",
        "start": "2026-12-01T10:00",
        "minutes": "50",
    } | other
    return run("appointments", "add", *(w for n, v in words.items() for w in (f"--{n}", v)))


def test_an_appointment_is_added_in_practice_time(run: Run, practice: Practice) -> None:
    added = printed(add(run))

    found = db.session.get_one(Appointment, int(added))
    assert found.starts_at.isoformat() == "2026-12-01T15:00:00+00:00"
    assert (found.ends_at - found.starts_at).total_seconds() == 50 * 60
    assert [client.id for client in found.clients] == [practice.jane]


def test_a_client_who_is_not_known_yet_is_made_once(run: Run, practice: Practice) -> None:
    printed(add(run, client="Paula de la Cruz"))
    printed(add(run, client="paula de la cruz", start="2026-12-02 10:00"))

    made = db.session.scalars(select(Client).where(Client.last_name == "Cruz")).all()
    assert [client.first_name for client in made] == ["Paula de la"]


def test_a_clash_warns_and_goes_on(run: Run, practice: Practice) -> None:
    printed(add(run))

    again = add(run, client="Mark Smith")

    assert again.exit_code == 0
    assert again.stdout == "2\n"
    warning = "Warning: the clinician or a client has another appointment then.\n"
    assert again.stderr == warning


@pytest.mark.parametrize(
    "wrong",
    [
        {"clinician": "nobody@example.com"},
        {"clinician": "ada@example.com"},
        {"start": "tomorrow"},
        {"start": "2026-13-01T10:00"},
        {"start": "9999-12-31T23:59"},
        {"start": "0001-01-01T00:00"},
        {"minutes": "0"},
        {"minutes": "many"},
        {"location": "Jane's home"},
        {"client": ""},
        {"client": "x" * 300},
    ],
)
def test_a_wrong_appointment_is_one_sentence_and_changes_nothing(
    run: Run, practice: Practice, wrong: dict[str, str]
) -> None:
    refused(add(run, **({"client": "Paula Brown"} | wrong)))

    assert db.session.scalar(select(func.count(Appointment.id))) == 0
    assert db.session.scalar(select(func.count(Client.id))) == 3


def test_an_appointment_is_cancelled_by_its_id(run: Run, practice: Practice) -> None:
    added = printed(add(run))

    assert printed(run("appointments", "cancel", added)) == added

    db.session.rollback()
    assert db.session.get_one(Appointment, int(added)).status is Status.CANCELLED
    assert printed(run("appointments", "cancel", added)) == added


@pytest.mark.parametrize("appointment_id", ["999", "0", "9" * 30])
def test_what_is_not_there_cannot_be_cancelled(
    run: Run, practice: Practice, appointment_id: str
) -> None:
    sentence = refused(run("appointments", "cancel", appointment_id))

    assert sentence == "Error: There is no such appointment."


CSV = "Client,Start,End\nJane Smith,2026-12-01 10:00,2026-12-01 10:50\n"


def test_a_file_is_imported_once(run: Run, practice: Practice, tmp_path: Path) -> None:
    file = tmp_path / "schedule.csv"
    file.write_text(CSV)
    words = ("appointments", "import", str(file), "--clinician", "unlu@example.com")

    tried = printed(run(*words, "--dry-run"))
    assert db.session.scalar(select(func.count(Appointment.id))) == 0
    first, second = printed(run(*words)), printed(run(*words))

    assert [text.count("\n") for text in (tried, first, second)] == [0, 0, 0]
    assert db.session.scalar(select(func.count(Appointment.id))) == 1


def test_a_wrong_row_is_named_and_nothing_is_imported(
    run: Run, practice: Practice, tmp_path: Path
) -> None:
    file = tmp_path / "schedule.csv"
    file.write_text(f"{CSV}Mark Smith,yesterday,2026-12-01 11:50\n")
    words = ("appointments", "import", str(file), "--clinician", "unlu@example.com")

    sentence = refused(run(*words))

    assert sentence.startswith("line 3: ")
    assert "Mark" not in sentence
    assert db.session.scalar(select(func.count(Appointment.id))) == 0
    assert run(*words, "--skip-wrong-rows").exit_code == 0
    assert db.session.scalar(select(func.count(Appointment.id))) == 1


@pytest.mark.parametrize("clinician", ["nobody@example.com", "sam@example.com"])
def test_an_import_needs_a_clinician(
    run: Run, practice: Practice, tmp_path: Path, clinician: str
) -> None:
    file = tmp_path / "schedule.csv"
    file.write_text(CSV)

    refused(run("appointments", "import", str(file), "--clinician", clinician))
    refused(run("appointments", "import", str(tmp_path / "none.csv"), "--clinician", clinician))


# links


def create(run: Run, calendar: str = "unlu@example.com", display: str = "initials") -> Result:
    words = ("--calendar", calendar, "--label", "Anna's iPhone", "--display", display)
    return run("link", "create", *words)


@pytest.mark.parametrize("display", [mode.value for mode in DisplayMode])
@pytest.mark.parametrize(
    ("calendar", "file"),
    [("unlu@example.com", "dr-unlu.ics"), ("practice", "riverside.ics")],
)
def test_a_link_is_its_address_and_nothing_else(
    run: Run, practice: Practice, calendar: str, file: str, display: str
) -> None:
    address = printed(create(run, calendar, display))

    found = re.fullmatch(rf"https://calendar\.example\.com/cal/([2-9a-z]{{33}})/{file}", address)
    assert found is not None
    assert feeds.read(found[1]).status == 200
    assert db.session.scalars(select(Link)).one().mode.value == display


def test_only_the_ceiling_refuses_a_link(run: Run, practice: Practice) -> None:
    practices.change_policy(
        practice.ada,
        ceiling=DisplayMode.INITIALS,
        longest_link_days=None,
        wants_agreement=False,
        schedulers_share_practice=True,
    )

    sentence = refused(create(run, display="first_name"))

    assert sentence.startswith("Error: Your practice allows at most: initials.")
    printed(create(run, display="initials"))


@pytest.mark.parametrize("calendar", ["nobody@example.com", "sam@example.com", "", "1"])
def test_a_calendar_that_does_not_exist_gets_no_link(
    run: Run, practice: Practice, calendar: str
) -> None:
    refused(create(run, calendar))

    assert db.session.scalar(select(func.count(Link.id))) == 0


def test_links_are_listed_with_their_last_reading(run: Run, practice: Practice, now: Clock) -> None:
    address = printed(create(run))
    printed(create(run, "practice", "busy"))
    links.disable(practice.ada, 2)
    link = db.session.get_one(Link, 1)
    assert (link.read_at, link.read_by) == (None, None)

    lines = printed(run("link", "list")).splitlines()

    assert lines == [
        "2\tRiverside\tAnna's iPhone\tbusy\tdisabled\tnever",
        "1\tDr. Ünlü\tAnna's iPhone\tinitials\tlive\tnever",
    ]
    assert address.split("/")[-2] not in "".join(lines)
    assert now() == NOW


def test_a_reset_prints_the_new_address(run: Run, practice: Practice) -> None:
    old = printed(create(run)).split("/")[-2]

    new = printed(run("link", "reset", "1")).split("/")[-2]

    assert new != old
    assert feeds.read(new).link_id == 1
    assert NOTICE.encode() in feeds.read(old).body


def test_a_link_shows_and_reaches_what_its_options_say(run: Run, practice: Practice) -> None:
    words = ("--calendar", "unlu@example.com", "--label", "Partner", "--display", "initials")
    more = "--no-location --type --telehealth button --no-time-off --cancelled --days-back 0"

    printed(
        run(
            *("link", "create", *words, *more.split()),
            *("--months-ahead", "2", "--expires", "2026-12-31", "--agreement", "BAA of May"),
        )
    )

    link = db.session.scalars(select(Link)).one()
    assert link.choices == Choices(
        location=False, type=True, telehealth=Telehealth.BUTTON, time_off=False, cancelled=True
    )
    assert (link.days_back, link.months_ahead, link.agreement) == (0, 2, "BAA of May")
    # The last day is over at midnight in New York.
    assert link.expires_at == datetime(2027, 1, 1, 5, tzinfo=UTC)


def test_a_link_without_options_shows_what_links_usually_show(run: Run, practice: Practice) -> None:
    printed(create(run))

    link = db.session.scalars(select(Link)).one()
    assert link.choices == Choices()
    assert (link.days_back, link.months_ahead, link.expires_at) == (None, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--days-back", "-1"),
        ("--days-back", "9" * 30),
        ("--months-ahead", "0"),
        ("--months-ahead", "25"),
        ("--expires", "2026-11-22"),
        ("--expires", "9999-12-31"),
        ("--expires", "0001-01-01"),
        ("--expires", "Christmas"),
        ("--telehealth", "perhaps"),
        ("--label", ""),
        ("--label", "x" * 101),
        ("--agreement", "x" * 201),
    ],
)
def test_a_wrong_option_makes_no_link(run: Run, practice: Practice, wrong: tuple[str, str]) -> None:
    words = ("--calendar", "unlu@example.com", "--label", "Partner", "--display", "initials")

    refused(run("link", "create", *words, *wrong))

    assert db.session.scalar(select(func.count(Link.id))) == 0


def test_a_fresh_address_is_printed_and_the_old_one_works_on(run: Run, practice: Practice) -> None:
    old = printed(create(run)).split("/")[-2]

    new = printed(run("link", "renew", "1", "--hours", "72")).split("/")[-2]

    assert new != old
    assert [feeds.read(token).link_id for token in (old, new)] == [1, 1]
    link = db.session.get_one(Link, 1)
    assert replaced.old_address_until(link) == NOW + timedelta(hours=72)
    refused(run("link", "renew", "1", "--hours", "48"))


def test_a_reset_can_say_why(run: Run, practice: Practice) -> None:
    printed(create(run))

    printed(run("link", "reset", "1", "--reason", "lost"))

    link = db.session.get_one(Link, 1)
    assert [token.reason for token in link.tokens] == [Reason.LOST, None]
    refused(run("link", "reset", "1", "--reason", "boredom"))


def test_a_disabled_link_is_off_for_good(run: Run, practice: Practice) -> None:
    old = printed(create(run)).split("/")[-2]

    assert printed(run("link", "disable", "1")) == "1"

    assert NOTICE.encode() in feeds.read(old).body
    refused(run("link", "disable", "1"))
    refused(run("link", "reset", "1"))
    refused(run("link", "reset", "9" * 30))


# the rest


def test_check_tells_each_thing_and_fails_if_one_is_wrong(run: Run, practice: Practice) -> None:
    well = run("check")
    assert (well.exit_code, well.stderr) == (0, "")
    assert {line.split()[0] for line in well.stdout.splitlines()} == {"ok"}

    key = practice_key(run)
    key.chmod(0o644)

    ill = run("check")
    assert ill.exit_code == 1
    assert [line for line in ill.stdout.splitlines() if not line.startswith("ok")] == [
        "PROBLEM token.key: readable by others: chmod 600."
    ]


def practice_key(_: Run) -> Path:
    from sync_ui.models.installation import current

    return current().config.data_dir / "token.key"


def test_a_demo_beside_a_real_practice_is_refused(run: Run, practice: Practice) -> None:
    sentence = refused(run("demo", "--password", "demo password"))

    assert sentence.startswith("Error: There is a practice in this data directory already")


# as real processes


def flask(
    data_dir: Path, *words: str, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    ours = {"SYNC_DATA_DIR": str(data_dir)} | environ
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNC_")}
    return subprocess.run(
        [sys.executable, "-m", "flask", *words],
        cwd=ROOT,
        env=kept | ours,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_in_an_empty_directory_a_demo_is_one_line(tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "instance"

    done = flask(data_dir, "demo", "--clinicians", "1", "--weeks", "1")

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"Demo practice ready\. Sign in as admin@demo\.example, scheduler@demo\.example "
        r"or clinician@demo\.example with the password [\w-]{16}\.\n",
        done.stdout,
    )
    modes = {path.name: path.stat().st_mode & 0o777 for path in data_dir.glob("*.key")}
    assert modes == {"database.key": 0o600, "token.key": 0o600, "secret.key": 0o600}


def test_links_carry_the_address_that_is_set(tmp_path: Path) -> None:
    flask(tmp_path, "demo", "--clinicians", "1", "--weeks", "1")
    words = ("link", "create", "--calendar", "practice", "--label", "x", "--display", "busy")

    done = flask(tmp_path, *words, SYNC_BASE_URL="https://calendar.example.com/")

    assert done.stderr == ""
    assert done.stdout.startswith("https://calendar.example.com/cal/")


@pytest.mark.bar("O6")
@pytest.mark.parametrize(
    ("environ", "spoil", "sentence"),
    [
        ({"SYNC_BASE_URL": "nonsense"}, None, "SYNC_BASE_URL must look like"),
        ({}, "token.key", "the key file token.key is missing"),
    ],
)
def test_what_cannot_start_says_so_in_one_line(
    tmp_path: Path, environ: dict[str, str], spoil: str | None, sentence: str
) -> None:
    assert flask(tmp_path, "user", "list").returncode == 0
    if spoil:
        (tmp_path / spoil).unlink()

    done = flask(tmp_path, "user", "list", **environ)

    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith(f"Sync Calendar cannot start: {sentence}")
    assert done.stderr.count("\n") == 1


# the audit


@pytest.mark.bar("O2")
def test_the_audit_is_verified_and_what_is_wrong_is_named(run: Run, practice: Practice) -> None:
    practices.show_internal_ids(practice.ada, shown=True)
    practices.show_internal_ids(practice.ada, shown=False)
    assert printed(run("audit", "verify")) == "whole: 2 entries"

    with db.engine.connect().execution_options(writing=True) as connection:
        connection.execute(delete(AuditEntry).where(AuditEntry.id == 2))
        connection.commit()

    sentence = "Error: entry 2 is missing: the end was cut off."
    assert refused(run("audit", "verify")) == sentence
    assert printed(run("audit", "restart")) == "whole: 2 entries"


@pytest.mark.bar("O2")
def test_an_audit_without_its_table_is_a_sentence(tmp_path: Path) -> None:
    assert flask(tmp_path, "audit", "verify").returncode == 0
    drop = "from sync_ui.models import db; from sqlalchemy import text; "
    drop += "c = db.engine.connect().execution_options(writing=True); "
    drop += "c.execute(text('DROP TABLE audit_entry')); c.commit()"
    assert flask(tmp_path, "shell", stdin=drop).returncode == 0

    done = flask(tmp_path, "audit", "verify")

    sentence = "Error: the table of the entries is missing. Restore a backup.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


def test_the_audit_is_exported_by_days(run: Run, practice: Practice, now: Clock) -> None:
    practices.show_internal_ids(practice.ada, shown=True)
    now.move(days=1)

    written = printed(run("audit", "export", "--to", f"{NOW:%Y-%m-%d}"))
    later = printed(run("audit", "export", "--from", f"{NOW + timedelta(days=1):%Y-%m-%d}"))

    what = [[line.split(",")[5] for line in text.splitlines()[1:]] for text in (written, later)]
    assert what == [["practice.client_settings_changed"], ["audit.exported", "audit.exported"]]
    assert "does not match" in refused(run("audit", "export", "--from", "yesterday"))


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_audit_of_a_day_too_far_away_is_a_sentence(
    run: Run, practice: Practice, option: str, day: str
) -> None:
    sentence = "Error: The date is too far away. Check the year."
    assert refused(run("audit", "export", option, day)) == sentence
