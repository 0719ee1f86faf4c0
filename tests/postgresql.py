"""A real PostgreSQL for tests: private, on a socket in a directory of its own, gone afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.system import missing

# The data is thrown away, so nothing waits for the disk; nobody listens on the network.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "timezone": "UTC",
}

MEMORY = Path("/dev/shm")
ROOM = 1_000_000_000

_numbers = count(1)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a server of this test process alone, without a database's name."""
    programs = find_programs()
    if programs is None:
        missing("PostgreSQL")
    # Not below pytest's directory: that is closed to the unprivileged user.
    with (
        tempfile.TemporaryDirectory(prefix="sync-postgresql-", dir=memory()) as directory,
        running(programs, Path(directory)),
    ):
        yield f"host={directory}"


def memory() -> Path | None:
    """Where files are in memory alone, if there is room; a container may have 64 MB there."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else None


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server: str) -> str:
    """A database that all tests of this process share."""
    return new_database(postgresql_server)


@pytest.fixture
def empty_postgresql_url(postgresql_server: str) -> str:
    """A database of the test's own."""
    return new_database(postgresql_server)


def new_database(server: str, template: str = "template0") -> str:
    name = f"sync_{next(_numbers)}"
    with psycopg.connect(f"{server} user=postgres dbname=postgres", autocommit=True) as connection:
        # What nobody has to be able to restore is quicker copied; older servers know no other way.
        quick = " STRATEGY file_copy" if connection.info.server_version >= 150000 else ""
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}{quick}".encode())
    return f"postgresql://postgres@/{name}?{server}"


def drop_database(server: str, url: str) -> None:
    with psycopg.connect(f"{server} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name_of(url)} WITH (FORCE)".encode())


def name_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


def find_programs() -> Path | None:
    """Where `initdb` and `postgres` are; Debian keeps them off the PATH."""
    candidates = []
    if found := shutil.which("initdb"):
        candidates.append(Path(found).resolve().parent)
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True)
        candidates.append(Path(answer.stdout.strip()))
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(debian, key=lambda path: float(path.parent.name), reverse=True)
    for directory in candidates:
        if (directory / "initdb").exists() and (directory / "postgres").exists():
            return directory
    return None


@contextmanager
def running(programs: Path, directory: Path) -> Iterator[None]:
    unprivileged = as_unprivileged_user(directory)
    data = directory / "data"
    subprocess.run(
        [
            *(programs / "initdb", "--pgdata", data, "--username", "postgres"),
            *("--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        ],
        check=True,
        capture_output=True,
        **unprivileged,
    )
    options = [f"--{name}={value}" for name, value in SETTINGS.items()]
    with (directory / "log").open("w") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", directory, *options],
            stdout=log,
            stderr=log,
            **unprivileged,
        )
    try:
        wait_for(server, directory)
        yield
    finally:
        server.send_signal(signal.SIGINT)  # PostgreSQL's "fast": it ends those who are connected
        server.wait()


def as_unprivileged_user(directory: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root; `directory` then belongs to another user."""
    if os.geteuid() != 0:
        return {}
    user = unprivileged_user()
    os.chown(directory, user.pw_uid, user.pw_gid)
    # "/" because the user may not look into the current directory.
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def unprivileged_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def wait_for(server: subprocess.Popen[bytes], directory: Path) -> None:
    while server.poll() is None:
        try:
            psycopg.connect(f"host={directory} user=postgres dbname=postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError((directory / "log").read_text())
