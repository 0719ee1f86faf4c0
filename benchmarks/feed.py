"""What the feed costs, as multiples of the bare web server answering the same bytes.

Starts the real product on a demo practice and, beside it, Granian with the
same answer prepared; measures both in turn, and prints the ratios of the
medians of each round. The client's own time is part of both.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.http_load import Answer, get, measure

ROOT = Path(__file__).parent.parent
FLASK = Path(sys.executable).parent / "flask"

ROUNDS = 5
SECONDS_A_ROUND = 1.5


@dataclass(frozen=True)
class Case:
    """One kind of request to the feed."""

    name: str
    status: int
    connections: int


CASES = [
    Case("304, one connection", 304, 1),
    Case("200, one connection", 200, 1),
    Case("304, 16 connections", 304, 16),
    Case("200, 16 connections", 200, 16),
]


def main() -> None:
    options = arguments()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sync-bench-")))
        product = Product(directory, free_port())
        product.flask("demo", "--clinicians", str(options.clinicians), "--password", "x" * 20)
        url = product.link(options.calendar)
        stack.enter_context(started([str(FLASK), "serve"], product.environment, url))
        answer = get(url)
        bare = stack.enter_context(bare_server(directory / "bare", answer))
        events = answer.body.count(b"BEGIN:VEVENT")
        print(f"Feed of {events} events, {len(answer.body) / 1000:.0f} kB; {cores()}")
        print(f"{'':28}{'product':>10}{'bare':>10}{'ratio':>8}")
        for case in CASES:
            compare(case, url, bare, answer.header("etag"))
        after_a_change(product, url)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clinicians", type=int, default=4)
    parser.add_argument(
        "--calendar",
        default="clinician@demo.example",
        help="whose feed; “practice” with --clinicians 50 has 39 000 events",
    )
    return parser.parse_args()


class Product:
    """An installation of its own, in a directory that goes away."""

    def __init__(self, directory: Path, port: int) -> None:
        own = {"SYNC_DATA_DIR": str(directory / "instance"), "PORT": str(port)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNC_")}
        self.environment = {**kept, **own, "HOST": "127.0.0.1"}

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
def bare_server(directory: Path, answer: Answer) -> Iterator[str]:
    """Serves what the product answered; yields its address."""
    directory.mkdir()
    added_by_the_server = {"server", "date", "connection"}
    headers = [pair for pair in answer.headers if pair[0].lower() not in added_by_the_server]
    prepared = {"headers": headers, "etag": answer.header("etag")}
    (directory / "answer.json").write_text(json.dumps(prepared))
    (directory / "body").write_bytes(answer.body)
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "benchmarks.bare", str(port), str(directory)]
    with started(command, dict(os.environ), url):
        yield url


@contextmanager
def started(command: list[str], environment: dict[str, str], url: str) -> Iterator[None]:
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
        if status == 200:
            return
        raise SystemExit(f"The first answer has status {status}.")
    raise SystemExit(f"The server ended with exit code {process.returncode}.")


def compare(case: Case, product: str, bare: str, etag: str) -> None:
    """Both in turn, round by round, so that a disturbance hits both."""
    asked = etag if case.status == 304 else None
    sizes = {url: round_size(url, case, asked) for url in (product, bare)}
    found: dict[str, list[float]] = {product: [], bare: []}
    for _ in range(ROUNDS):
        for url, seconds in found.items():
            taken = measure(url, case.status, sizes[url], case.connections, asked)
            seconds.append(median(taken))
    ours, theirs = median(found[product]), median(found[bare])
    print(f"{case.name:28}{shown(ours):>10}{shown(theirs):>10}{ours / theirs:>7.1f} ×")


def round_size(url: str, case: Case, etag: str | None) -> int:
    """How many requests fill a round; the first ones also warm up."""
    few = 20 * case.connections
    start = time.perf_counter()
    measure(url, case.status, few, case.connections, etag)
    each = (time.perf_counter() - start) / few
    return max(few, int(SECONDS_A_ROUND / each))


def after_a_change(product: Product, url: str) -> None:
    """The first reading after an appointment was added, against any other reading."""
    usual = median(measure(url, 200, 20, 1))
    seconds = []
    for number in range(ROUNDS):
        start = f"2026-12-0{number + 1}T06:00"
        product.flask(
            *("appointments", "add", "--clinician", "clinician@demo.example"),
            *("--client", "Jane Smith", "--start", start, "--minutes", "50"),
        )
        seconds += measure(url, 200, 1, 1)
    changed = median(seconds)
    print(
        f"{'200 after a change':28}{shown(changed):>10}{shown(usual):>10}{changed / usual:>7.1f} ×"
    )
    print("The last line is measured against the product's own 200.")


def shown(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def cores() -> str:
    return f"{os.cpu_count()} cores, Python {sys.version_info.major}.{sys.version_info.minor}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
