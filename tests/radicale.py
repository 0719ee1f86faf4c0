"""A real CalDAV server for tests: Radicale, on a port and in a folder of its own."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

HOST = "127.0.0.1"

CONFIG = """
[server]
hosts = {host}:{port}
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {folder}/collections
[logging]
level = critical
"""


class Radicale:
    """The server; `stop` and `start` keep what it holds and where it is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._users = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "users").touch()
        (folder / "config").write_text(CONFIG.format(host=HOST, port=self.port, folder=folder))

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    def new_user(self) -> tuple[str, str]:
        """The name and password of somebody who has nothing here yet."""
        name = f"anna-{next(self._users)}@practice.example"
        with (self.folder / "users").open("a") as users:
            users.write(f"{name}:a real password\n")
        return name, "a real password"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "radicale", "--config", self.folder / "config"],
                stdout=log,
                stderr=log,
            )
        while self._process.poll() is None:
            try:
                socket.create_connection((HOST, self.port)).close()
            except ConnectionRefusedError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def radicale() -> Iterator[Radicale]:
    """The server that all tests of this process share; each takes a user of its own."""
    with tempfile.TemporaryDirectory(prefix="sync-radicale-") as folder:
        server = Radicale(Path(folder))
        server.start()
        yield server
        server.stop()
