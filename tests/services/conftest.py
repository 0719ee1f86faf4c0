"""The services are tested on both databases: SQLCipher and PostgreSQL."""

from dataclasses import replace
from pathlib import Path

import pytest

from sync_ui.config import Config
from sync_ui.models import installation
from tests.postgresql import new_database


@pytest.fixture(params=["sqlcipher", "postgresql"])
def config(request: pytest.FixtureRequest, data_dir: Path) -> Config:
    found = Config(data_dir=data_dir, base_url="https://calendar.example.com")
    if request.param == "sqlcipher":
        return found
    url: str = request.getfixturevalue("migrated_database")
    return replace(found, database_url=for_sqlalchemy(url))


@pytest.fixture
def migrated_database(migrated_template: str, postgresql_server: str) -> str:
    """A database of the test's own, copied from one that was migrated once."""
    return new_database(postgresql_server, migrated_template)


@pytest.fixture(scope="session")
def migrated_template(postgresql_server: str, empty_installation: Path) -> str:
    url = new_database(postgresql_server)
    found = Config(data_dir=empty_installation, base_url="http://127.0.0.1:8000")
    installation.prepare(replace(found, database_url=for_sqlalchemy(url)))
    return url.partition("@/")[2].partition("?")[0]


def for_sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
