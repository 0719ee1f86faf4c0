"""The real product, in a process of its own on a directory that goes away."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.http_load import get

ROOT = Path(__file__).parent.parent
FLASK = Path(sys.executable).parent / "flask"


class Product:
    """An installation of its own; `more` are settings."""

    def __init__(self, directory: Path, port: int, more: dict[str, str]) -> None:
        own = {"SYNC_DATA_DIR": str(directory / "instance"), "PORT": str(port)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNC_")}
        self.environment = {**kept, **own, **more, "HOST": "127.0.0.1"}
        self.health = f"http://127.0.0.1:{port}/health"

    def flask(self, *command: str) -> str:
        done = subprocess.run(
            [FLASK, *command],
            cwd=ROOT,
            env=self.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.strip()

    def link(self, calendar: str) -> str:
        options = ("--calendar", calendar, "--label", "Benchmark", "--display", "initials")
        return self.flask("link", "create", *options)

    @contextmanager
    def serving(self) -> Iterator[None]:
        with started([str(FLASK), "serve"], self.environment, self.health):
            yield


@contextmanager
def started(command: list[str], environment: dict[str, str], url: str) -> Iterator[None]:
    """Runs while inside, from its first answer at `url` on."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(process, url)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    while process.poll() is None:
        try:
            status = get(url).status
        except OSError:
            time.sleep(0.05)
            continue
        if status < 400:
            return
        raise SystemExit(f"The first answer has status {status}.")
    raise SystemExit(f"The server ended with exit code {process.returncode}.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
