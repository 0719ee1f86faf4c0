"""What the feed costs, as multiples of nginx sending the same bytes from a file.

Starts the real product on a demo practice and, beside it, nginx, the bare web
server with the same answer prepared, and Radicale with the same events. Each
figure is the median of rounds in turn, so that a disturbance hits all; the
client's own time is part of all of them. Read ratios, not seconds.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import peers
from benchmarks.http_load import get, measure
from benchmarks.product import Product, free_port

ROUNDS = 5
SECONDS_A_ROUND = 1.0
CHANGES = 7

# A fresh installation's worker has things to do at first.
SECONDS_TO_SETTLE = 5


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
        product = Product(directory, free_port(), dict(settings(options)))
        product.flask("demo", "--clinicians", str(options.clinicians), "--password", "x" * 20)
        own, whole = product.link("clinician@demo.example"), product.link("practice")
        for url in (own, whole):
            compare_all(product, url, directory / url.split("/")[4])
        cold(product, whole, directory / "radicale" if options.radicale else None)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clinicians", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--radicale", action="store_true", help="beside Radicale too: minutes")
    parser.add_argument("--postgresql", default="", help="an empty database's postgresql:// URL")
    return parser.parse_args()


def settings(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    yield "SYNC_PROCESSES", str(options.processes)
    if options.postgresql:
        yield "SYNC_DATABASE_URL", options.postgresql


def compare_all(product: Product, url: str, directory: Path) -> None:
    """Every case for one feed, beside whoever is installed."""
    directory.mkdir()
    with product.serving(), ExitStack() as stack:
        time.sleep(SECONDS_TO_SETTLE)
        answer = get(url)
        beside = {"bare server": stack.enter_context(peers.bare(directory / "bare", answer))}
        if peers.has_nginx():
            beside["nginx"] = stack.enter_context(peers.nginx(directory / "nginx", answer))
        events = answer.body.count(b"BEGIN:VEVENT")
        print(f"\nFeed of {events} events, {len(answer.body) / 1e6:.1f} MB; {cores()}")
        print(f"{'':28}{'product':>10}" + "".join(f"{name:>13}{'ratio':>8}" for name in beside))
        large = len(answer.body) > 5e6
        for case in CASES[:2] if large else CASES:
            compare(case, url, beside, answer.header("etag"))
        after_a_change(product, url, beside)


def compare(case: Case, product: str, beside: dict[str, str], etag: str) -> None:
    """All in turn, round by round."""
    tags = {url: get(url).header("etag") for url in beside.values()} | {product: etag}
    asked = tags if case.status == 304 else dict.fromkeys(tags)
    sizes = {url: round_size(url, case, asked[url]) for url in asked}
    found: dict[str, list[float]] = {url: [] for url in asked}
    for _ in range(ROUNDS):
        for url, seconds in found.items():
            taken = measure(url, case.status, sizes[url], case.connections, asked[url])
            seconds.append(median(taken))
    ours = median(found[product])
    show(case.name, ours, [median(found[url]) for url in beside.values()])


def round_size(url: str, case: Case, etag: str | None) -> int:
    """How many requests fill a round; the first ones also warm up."""
    few = 4 * case.connections
    start = time.perf_counter()
    measure(url, case.status, few, case.connections, etag)
    each = (time.perf_counter() - start) / few
    return max(few, int(SECONDS_A_ROUND / each))


def after_a_change(product: Product, url: str, beside: dict[str, str]) -> None:
    """The first reading after an appointment was added, against any fetch of the whole."""
    seconds = []
    for number in range(CHANGES):
        start = f"2026-12-{number + 10}T06:00"
        product.flask(
            *("appointments", "add", "--clinician", "clinician@demo.example"),
            *("--client", "Jane Smith", "--start", start, "--minutes", "50"),
        )
        seconds += measure(url, 200, 1, 1)
    usual = [median(measure(peer, 200, 20, 1)) for peer in beside.values()]
    show("200, first after a change", median(seconds), usual)


def cold(product: Product, url: str, radicale: Path | None) -> None:
    """The first reading by a fresh process, against Radicale's when it is warm."""
    seconds = []
    for _ in range(3):
        with product.serving():
            seconds += measure(url, 200, 1, 1)
            answer = get(url)
    ours = median(seconds)
    print(f"\nFirst reading by a fresh process: {shown(ours)}", flush=True)
    if radicale is not None:
        with peers.radicale(radicale, answer) as peer:
            warm = median(measure(peer, 200, 3, 1))
        print(f"Radicale, warm: {shown(warm)}, which is {warm / ours:.1f} times that")


def show(name: str, ours: float, theirs: list[float]) -> None:
    beside = "".join(f"{shown(each):>13}{ours / each:>6.1f} ×" for each in theirs)
    print(f"{name:28}{shown(ours):>10}{beside}", flush=True)


def shown(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def cores() -> str:
    return f"{os.cpu_count()} cores, Python {sys.version_info.major}.{sys.version_info.minor}"


if __name__ == "__main__":
    main()
