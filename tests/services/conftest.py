"""The services are tested on both databases: SQLCipher and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from sync_ui.config import Config
from sync_ui.gateways.memory import Memory
from sync_ui.models import installation
from tests.journeys.mailbox import Mailbox, mailbox
from tests.outside import Outside, connect
from tests.postgresql import drop_database, name_of, new_database
from tests.practice import Practice, Settled, settle, with_practice


@pytest.fixture(params=["sqlcipher", "postgresql"])
def config(request: pytest.FixtureRequest, data_dir: Path) -> Config:
    found = Config(data_dir=data_dir, base_url="https://calendar.example.com")
    if request.param == "sqlcipher":
        return found
    url: str = request.getfixturevalue("migrated_database")
    return replace(found, database_url=for_sqlalchemy(url))


@pytest.fixture
def migrated_database(request: pytest.FixtureRequest, postgresql_server: str) -> Iterator[str]:
    """A database of the test's own, copied from one that was made once."""
    template = "settled_template" if with_practice(request) else "migrated_template"
    url = new_database(postgresql_server, request.getfixturevalue(template))
    yield url
    drop_database(postgresql_server, url)  # thousands would fill the memory


@pytest.fixture(scope="session")
def migrated_template(postgresql_server: str, empty_installation: Path) -> str:
    url = new_database(postgresql_server)
    found = Config(data_dir=empty_installation, base_url="http://127.0.0.1:8000")
    installation.prepare(replace(found, database_url=for_sqlalchemy(url)))
    return name_of(url)


@pytest.fixture(scope="session")
def settled_template(postgresql_server: str, migrated_template: str, settled: Settled) -> str:
    url = new_database(postgresql_server, migrated_template)
    found = Config(data_dir=settled.data_dir, base_url="https://calendar.example.com")
    assert settle(replace(found, database_url=for_sqlalchemy(url))) == settled.practice
    return name_of(url)


def for_sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture(scope="module")
def post_office() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


@pytest.fixture
def post(post_office: Mailbox) -> Mailbox:
    """A mail server that has taken nothing yet."""
    post_office.letters.clear()
    return post_office


@pytest.fixture
def there(app: Flask) -> Memory:
    """An account with a private calendar."""
    found = Memory()
    found.make_calendar("Private")
    return found


@pytest.fixture
def outside(practice: Practice, there: Memory) -> Outside:
    return connect(practice, there)
