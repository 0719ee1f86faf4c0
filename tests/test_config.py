import re
from pathlib import Path

import pytest

from sync_ui import config
from sync_ui.errors import CannotStart


def load(tmp_path: Path, **environ: str) -> config.Config:
    return config.load({"SYNC_DATA_DIR": str(tmp_path), **environ})


@pytest.mark.bar("O6")
def test_without_settings_it_serves_this_computer_only(tmp_path: Path) -> None:
    found = load(tmp_path)

    assert found == config.Config(data_dir=tmp_path, base_url="http://127.0.0.1:8000")
    assert (found.secure, found.reachable_by_phones) == (False, False)


def test_links_are_built_from_the_address_that_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "")
    monkeypatch.setenv("PORT", "")
    assert load(tmp_path, PORT="8123").base_url == "http://127.0.0.1:8123"

    config.remember_address(tmp_path, "127.0.0.1", 8456)

    assert load(tmp_path).base_url == "http://127.0.0.1:8456"
    assert load(tmp_path, PORT="8123").base_url == "http://127.0.0.1:8123"
    assert load(tmp_path, SYNC_BASE_URL="https://C.example/").base_url == "https://c.example"


@pytest.mark.parametrize(
    ("base_url", "reachable"),
    [
        ("https://calendar.example.com", True),
        ("http://calendar.example.com", False),
        ("https://localhost", False),
        ("https://127.0.0.1:8000", False),
    ],
)
def test_phones_reach_https_on_another_address(
    tmp_path: Path, base_url: str, reachable: bool
) -> None:
    assert load(tmp_path, SYNC_BASE_URL=base_url).reachable_by_phones is reachable


def test_a_setting_can_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "database"
    secret.write_text("postgres://sync:secret@db.example/sync\n")

    found = load(tmp_path, SYNC_DATABASE_URL_FILE=str(secret))

    assert found.database_url == "postgresql+psycopg://sync:secret@db.example/sync"
    assert "secret" not in repr(found)


@pytest.mark.bar("I1")
def test_calendar_servers_need_not_be_public_where_they_are_named(tmp_path: Path) -> None:
    found = load(tmp_path, SYNC_ALLOW_PRIVATE_ADDRESSES="NAS.home.arpa., 192.168.1.0/24,::1")

    assert load(tmp_path).allow_private_addresses == ()
    assert found.allow_private_addresses == ("nas.home.arpa", "192.168.1.0/24", "::1")


@pytest.mark.bar("O6")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("SYNC_BASE_URL", "calendar.example.com"),
        ("SYNC_BASE_URL", "ftp://calendar.example.com"),
        ("SYNC_BASE_URL", "https://calendar.example.com/sync"),
        ("SYNC_BASE_URL", "https://user:password@calendar.example.com"),
        ("SYNC_BASE_URL", "https://calendar.example.com?x=1"),
        ("SYNC_BASE_URL", "https://[::1"),
        ("SYNC_DATABASE_URL", "mysql://db.example/sync"),
        ("SYNC_REDIS_URL", "http://redis.example"),
        ("SYNC_SMTP_URL", "mail.example.com"),
        ("SYNC_SMTP_URL", "smtp://mail.example.com"),
        ("SYNC_MAIL_FROM", "nobody"),
        ("SYNC_TRUSTED_PROXIES", "everyone"),
        ("SYNC_ALLOW_PRIVATE_ADDRESSES", "https://nas.home.arpa"),
        ("SYNC_ALLOW_PRIVATE_ADDRESSES", "192.168.1.0/33"),
        ("SYNC_ALLOW_PRIVATE_ADDRESSES", "192.168.1.1/24"),
        ("SYNC_ALLOW_PRIVATE_ADDRESSES", "192.168.1.300"),
        ("SYNC_ALLOW_PRIVATE_ADDRESSES", "nas..home"),
        ("SYNC_PROCESSES", "0"),
        ("SYNC_PROCESSES", "four"),
        ("SYNC_FEED_MEMORY", "-1"),
        ("SYNC_LOG_LEVEL", "everything"),
        ("SYNC_BASE_URL_FILE", "/nowhere/at/all"),
    ],
)
def test_nonsense_refuses_to_start_with_a_sentence_that_names_the_setting(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(CannotStart) as refused:
        load(tmp_path, **{name: value})

    assert name in str(refused.value)
    assert "password" not in str(refused.value).replace("or a password", "")


def test_a_setting_and_its_file_together_refuse_to_start(tmp_path: Path) -> None:
    with pytest.raises(CannotStart):
        load(tmp_path, SYNC_BASE_URL="https://a.example", SYNC_BASE_URL_FILE="/etc/hostname")


@pytest.mark.bar("O6")
def test_a_misspelt_name_is_told_with_what_was_meant() -> None:
    environ = ("SYNC_BASEURL", "SYNC_SMTP_URL", "SYNC_REDIS_URL_FILE", "SYNC_X\x1b[31m", "HOME")

    assert config.unknown_names(environ) == [
        "SYNC_BASEURL is no setting; is SYNC_BASE_URL meant?",
        "SYNC_X\\x1b[31m is no setting.",
    ]


def test_every_setting_has_its_name_in_the_list() -> None:
    read = set(re.findall(r"\bSYNC_[A-Z_]+\b", Path(config.__file__).read_text()))

    assert read == set(config.NAMES)
