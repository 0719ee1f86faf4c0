"""The product as a practice runs it: `flask serve`, with a port and a data directory of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from sync_ui.config import ROOT
from tests.journeys.calendar_app import Reading, fetch

SECONDS_TO_START = 60
SECONDS_TO_STOP = 30

ROOTS_WARNING = "Running as root: a user of its own would be safer."


class Product:
    """One installation; `settings` are its environment."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = folder / "instance"
        self._log = folder / "output.txt"
        ours = {"SYNC_DATA_DIR": str(self.data_dir), "PORT": str(self.port), **settings}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNC_")}
        self._environment = kept | ours
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str, given: str = "") -> str:
        """What a flask command prints, if `given` is what it reads."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", *words],
            cwd=ROOT,
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flask", "serve"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._serves, SECONDS_TO_START)

    @property
    def setup_code(self) -> str:
        found = re.findall(r"/setup with the code (\w+)", self._log.read_text())
        assert found, self._log.read_text()
        code: str = found[-1]
        return code

    def news(self) -> list[str]:
        """What it has said so far beside its greeting: never a name, a link or a code."""
        greeting = f"Sync Calendar serves {self.url}"
        setup = f"Set it up at {self.url}/setup with the code "
        return [
            line
            for line in self._log.read_text().splitlines()
            if line not in {greeting, ROOTS_WARNING} and not line.startswith(setup)
        ]

    def stop(self) -> None:
        """As a service manager does; everything that it started ends with it."""
        assert self._process is not None
        self._end(self._process, signal.SIGTERM)
        assert self._process.returncode == 0
        self._process = None

    def kill(self) -> None:
        """As a power cut does, for the first process; the others have to notice."""
        assert self._process is not None
        self._end(self._process, signal.SIGKILL)
        self._process = None

    def stop_if_running(self) -> None:
        if self._process is not None:
            self.stop()

    def processes(self) -> list[int]:
        """The ids of all that it runs as."""
        assert self._process is not None
        return [self._process.pid, *descendants(self._process.pid)]

    def _end(self, process: subprocess.Popen[bytes], how: signal.Signals) -> None:
        family = descendants(process.pid)
        process.send_signal(how)
        process.wait(SECONDS_TO_STOP)
        until(lambda: not any(map(is_alive, family)) and port_is_free(self.port), SECONDS_TO_STOP)

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            return fetch(f"{self.url}/health").status == 200
        except OSError:
            return False

    def read(self, address: str, **more: str) -> Reading:
        """As calendar apps do with a webcal address: over the scheme that this server speaks."""
        return fetch(address.replace("webcal:", "http:", 1), **more)


def running(product: Product) -> Iterator[Product]:
    """Started, stopped as a service is, and silent about what is nobody's business."""
    product.start()
    yield product
    product.stop_if_running()
    assert product.news() == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def descendants(pid: int) -> list[int]:
    """Linux tells them, by the thread that started them; elsewhere the free port has to do."""
    children: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended meanwhile
            children += map(int, listed.read_text().split())
    return children + [each for child in children for each in descendants(child)]


def is_alive(pid: int) -> bool:
    """A process that has ended and waits to be noticed is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(happens: Callable[[], bool], seconds: float = 15) -> None:
    """Look again and again, for what no page tells."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.05)
