"""The running product when its disk is full or at fault, and its keys are changed."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event

import pytest

from sync_ui.config import ROOT
from sync_ui.models import keys
from tests.journeys.calendar_app import fetch
from tests.journeys.conftest import Fill
from tests.journeys.person import Person
from tests.journeys.product import Product, free_port, port_is_free, running, until

ADMIN = "admin@demo.example"

Fault = Callable[[Product], AbstractContextManager[None]]


@contextmanager
def mounted(directory: Path, megabytes: int) -> Iterator[None]:
    """What is in the directory is on a small disk of its own."""
    aside = directory.with_name("aside")
    directory.rename(aside)
    directory.mkdir(mode=0o700)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(directory)],
        check=True,
        capture_output=True,
    )
    try:
        shutil.copytree(aside, directory, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def can_mount() -> bool:
    """Only some roots may."""
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        check=False,
        capture_output=True,
    )
    return os.geteuid() == 0 and tried.returncode == 0


@contextmanager
def no_growing(product: Product) -> Iterator[None]:
    """No process may write beyond the first bytes of any file: as a faulty disk, it says EFBIG."""

    def limit(size: int) -> None:
        for process in product.processes():
            resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    limit(1024)
    try:
        yield
    finally:
        limit(resource.RLIM_INFINITY)


@contextmanager
def full(product: Product) -> Iterator[None]:
    ballast = product.data_dir / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


FAULTS: dict[str, Fault] = {"faulty": no_growing}
if can_mount():
    FAULTS |= {"full": full}


@pytest.fixture
def small(tmp_path: Path, fill: Fill, request: pytest.FixtureRequest) -> Iterator[Product]:
    """A demo on a disk of 12 MB, if there can be one."""
    product = Product(tmp_path)
    fill(product, 1, 2)
    if request.param == "faulty":
        yield from running(product)
        return
    with mounted(product.data_dir, 12):
        product.start()
        yield product
        product.stop_if_running()


@pytest.mark.bar("D3", "F7")
@pytest.mark.parametrize(("small", "fault"), FAULTS.items(), indirect=["small"], ids=FAULTS)
def test_feeds_and_pages_go_on_without_a_disk_and_changes_come_back_with_it(
    small: Product, fault: Fault
) -> None:
    link = small.command(
        *("link", "create", "--calendar", "clinician@demo.example"),
        *("--label", "Phone", "--display", "initials"),
    )
    other = small.command(
        *("link", "create", "--calendar", "practice", "--label", "Desk", "--display", "busy")
    )
    ada = Person(small.url, ADMIN)
    before = small.read(link)

    with fault(small):
        refused = ada.send("/settings/places", page="/settings/places", name="Attic")
        again = small.read(link)
        fresh = small.read(other)
        pages = [ada.get(path).status_code for path in ("/calendar", "/clients", "/settings")]

    assert (again.status, again.body, fresh.status) == (200, before.body, 200)
    assert pages == [200, 200, 200]
    assert refused.status_code == 503
    assert "Nothing was changed" in refused.text
    for secret in (link.split("/")[-2], str(small.data_dir), "sqlite", "Traceback", "INSERT"):
        assert secret not in refused.text
    until(lambda: _saves(ada), 30)
    assert "Attic" in ada.get("/settings/places").text
    ada.close()


def _saves(person: Person) -> bool:
    return person.send("/settings/places", page="/settings/places", name="Attic").status_code == 302


@pytest.fixture
def served(tmp_path: Path, fill: Fill) -> Iterator[Product]:
    product = Product(tmp_path)
    fill(product, 2, 2)
    yield from running(product)


@contextmanager
def read_all_the_while(addresses: list[str]) -> Iterator[list[int]]:
    """The statuses of all readings, by two apps for each address, when it is over."""
    done, statuses = Event(), list[int]()

    def read(address: str) -> None:
        while not done.is_set():
            statuses.append(fetch(address).status)

    with ThreadPoolExecutor(4) as readers:
        reading = [readers.submit(read, address) for address in addresses * 2]
        try:
            yield statuses
        finally:
            done.set()
    for each in reading:
        each.result()


@pytest.mark.bar("L6")
def test_keys_are_rotated_while_apps_read_and_no_reading_fails(served: Product) -> None:
    links = [
        served.command("link", "create", "--calendar", who, "--label", "x", "--display", "busy")
        for who in ("clinician@demo.example", "practice")
    ]
    ada = Person(served.url, ADMIN)

    with read_all_the_while(links) as statuses:
        for words in (["rotate", "token"], ["rotate", "token"], ["forget", "token"]):
            served.command("keys", *words)
        before = ada.get("/account").status_code
        served.command("keys", "rotate", "secret")
        after = ada.get("/account").status_code

    assert len(statuses) > 20
    assert set(statuses) == {200}
    assert (before, after) == (200, 302)
    assert len(keys.ring(served.data_dir, "token")) == 1
    assert set(links) <= set(addresses_shown(served))
    ada.close()


def addresses_shown(product: Product) -> list[str]:
    """As somebody who signs in after the rotation sees them."""
    ada = Person(product.url, ADMIN)
    pages = [ada.get(f"/calendars/{key}/sync").text for key in ("1", "2", "3", "practice")]
    ada.close()
    return re.findall(r'value="(http[^"]*/cal/[^"]*)"', "".join(pages))


@pytest.mark.bar("D8")
def test_a_second_server_on_one_directory_refuses_also_after_a_kill(
    tmp_path: Path, fill: Fill
) -> None:
    first = Product(tmp_path)
    fill(first, 1, 2)
    first.start()
    try:
        assert "another server is using this data directory" in said(first.data_dir)

        first.kill()
        first.start()  # the lock of the dead one is nobody's

        assert "another server is using this data directory" in said(first.data_dir)
    finally:
        first.stop_if_running()


FAILING = """
import sys
from granian.server.mp import MPServer

def fail(*_):
    raise OSError("No such luck")

MPServer._serve_loop = fail
sys.argv = ["flask", "serve"]
from flask.cli import main
main()
"""


@pytest.mark.bar("D8")
def test_a_web_server_that_fails_leaves_no_process_behind(tmp_path: Path) -> None:
    port = free_port()
    done = subprocess.run(
        [sys.executable, "-c", FAILING],
        cwd=ROOT,
        env={**os.environ, "SYNC_DATA_DIR": str(tmp_path / "instance"), "PORT": str(port)},
        capture_output=True,  # ends when the last of them has closed it
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "The program ended: OSError" in done.stderr
    assert port_is_free(port)


@pytest.mark.bar("D8")
def test_a_worker_whose_terminal_closes_ends_and_begins_nothing_anew(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        # Under nohup the signal is ignored, and would be here as well.
        ["env", "--default-signal=HUP", Path(sys.executable).with_name("flask"), "worker"],
        cwd=ROOT,
        env={**os.environ, "SYNC_DATA_DIR": str(tmp_path / "instance")},
    )
    try:
        until(lambda: catches(worker.pid, signal.SIGHUP), 60)
        worker.send_signal(signal.SIGHUP)

        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.wait()


def catches(process: int, number: signal.Signals) -> bool:
    """Whether it has said what it does then."""
    [caught] = re.findall(r"SigCgt:\s+(\w+)", Path(f"/proc/{process}/status").read_text())
    return bool(int(caught, 16) >> (number - 1) & 1)


def said(data_dir: Path, *words: str) -> str:
    """What a server, or another command, prints that cannot start there."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", *(words or ("serve",))],
        cwd=ROOT,
        env={**os.environ, "SYNC_DATA_DIR": str(data_dir), "PORT": str(free_port())},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr.strip().splitlines()[-1]


def damage(path: Path, how: str) -> None:
    text = path.read_text()
    if how == "missing":
        path.unlink()
    elif how == "unreadable":
        path.unlink()
        path.mkdir()
    else:
        path.write_text(
            {"empty": "", "short": text[:40], "another's": "ab" * 32, "words": "x"}[how]
        )


@pytest.mark.bar("L6", "B3", "O6")
@pytest.mark.parametrize(
    ("command", "name", "how", "sentence"),
    [
        ("serve", "database", "missing", "the key file database.key is missing"),
        ("check", "token", "missing", "the key file token.key is missing"),
        ("serve", "secret", "unreadable", "the key file secret.key cannot be read"),
        ("check", "database", "empty", "the key file database.key is damaged"),
        ("serve", "token", "short", "the key file token.key is damaged"),
        ("check", "secret", "words", "the key file secret.key is damaged"),
        (
            "serve",
            "database",
            "another's",
            "the database does not open with the key in database.key",
        ),
        ("check", "token", "another's", "token.key is the key of another installation"),
    ],
)
def test_a_wrong_key_file_is_one_sentence_that_says_what_to_do(
    tmp_path: Path, empty_installation: Path, command: str, name: str, how: str, sentence: str
) -> None:
    data_dir = tmp_path / "instance"
    shutil.copytree(empty_installation, data_dir)
    damage(data_dir / f"{name}.key", how)

    told = said(data_dir, command)

    assert told.startswith(f"Sync Calendar cannot start: {sentence}")
    assert "back" in told
    assert (data_dir / f"{name}.key").exists() == (how != "missing")


@pytest.mark.bar("L6")
def test_swapped_key_files_are_found(tmp_path: Path, empty_installation: Path) -> None:
    data_dir = tmp_path / "instance"
    shutil.copytree(empty_installation, data_dir)
    token, secret = data_dir / "token.key", data_dir / "secret.key"
    one, other = token.read_text(), secret.read_text()
    token.write_text(other)
    secret.write_text(one)

    assert ".key is the key of another installation" in said(data_dir)
