"""The drill: backed up while it serves, restored with the server stopped, there and elsewhere."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_ui.domain.ics_write import NOTICE
from tests.journeys.product import Product

DEMO = ("demo", "--password", "four unrelated words here", "--clinicians", "2", "--weeks", "4")
PHONE = ("--calendar", "clinician@demo.example", "--label", "Phone", "--display", "initials")


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    made = Product(tmp_path)
    made.command(*DEMO)
    yield made
    made.stop_if_running()


def refused(product: Product, *words: str) -> str:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        product.command(*words)
    said: str = caught.value.stderr
    return said


@pytest.mark.bar("B1", "L4")
def test_a_practice_is_restored_and_a_dead_link_stays_dead(
    product: Product, tmp_path: Path
) -> None:
    product.start()
    old = product.command("link", "create", *PHONE)
    assert "BEGIN:VEVENT" in product.read(old).text
    file = str(tmp_path / "kept.backup")
    assert "read back whole" in product.command("backup", file)
    product.command("link", "reset", "1")
    assert "a server is using" in refused(product, "restore", file, "--yes")
    product.stop()
    assert "--yes" in refused(product, "restore", file)

    assert "Restored as of" in product.command("restore", file, "--yes")

    product.start()
    assert NOTICE in product.read(old).text
    assert product.command("audit", "verify").startswith("whole")
    assert "disabled" in product.command("link", "list")


@pytest.mark.bar("B1", "B3")
def test_a_new_machine_needs_the_keys_and_the_file_alone(product: Product, tmp_path: Path) -> None:
    link = product.command("link", "create", *PHONE)
    file = str(tmp_path / "kept.backup")
    product.command("backup", file)
    elsewhere = Product(tmp_path / "elsewhere")
    elsewhere.data_dir.mkdir(parents=True)
    assert "database.key is missing" in refused(elsewhere, "restore", file, "--yes")
    for key in product.data_dir.glob("*.key"):
        (elsewhere.data_dir / key.name).write_bytes(key.read_bytes())

    elsewhere.command("restore", file, "--yes")

    elsewhere.start()
    try:
        address = link.replace(str(product.port), str(elsewhere.port))
        assert "BEGIN:VEVENT" in elsewhere.read(address).text
    finally:
        elsewhere.stop()
