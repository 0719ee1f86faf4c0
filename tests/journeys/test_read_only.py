"""A disk that becomes read-only under the running product, as Linux makes a failing one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.journeys.conftest import Fill
from tests.journeys.person import Person
from tests.journeys.product import Product
from tests.journeys.test_faults import ADMIN, can_mount, said

MEGABYTES = 64


class Disk:
    """A file that is mounted where the data directory is."""

    def __init__(self, image: Path, directory: Path) -> None:
        self._image, self._directory = image, directory
        with image.open("wb") as file:
            file.truncate(MEGABYTES * 2**20)
        run("mkfs.ext4", "-q", str(image))

    def mount(self) -> None:
        run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self._directory))

    def fail(self) -> None:
        """As the kernel does after an error, whoever is writing."""
        run("mount", "-o", "remount,abort", str(self._directory))

    def unmount(self) -> None:
        run("umount", str(self._directory))

    def repair(self) -> None:
        done = subprocess.run(["e2fsck", "-p", str(self._image)], check=False, capture_output=True)
        assert done.returncode in {0, 1}  # 1: errors were corrected


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def can_mount_a_file(folder: Path) -> bool:
    """Only some roots may, and only where there are loop devices."""
    if not can_mount() or shutil.which("mkfs.ext4") is None:
        return False
    try:
        with mounted(folder / "tried"):
            return True
    except subprocess.CalledProcessError:
        return False


@contextmanager
def mounted(directory: Path) -> Iterator[Disk]:
    """What is in the directory is on a disk of its own."""
    aside = directory.with_name("aside")
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.rename(aside)
    directory.mkdir(mode=0o700)
    disk = Disk(directory.with_name("disk.img"), directory)
    disk.mount()
    try:
        shutil.copytree(aside, directory, dirs_exist_ok=True)
        os.sync()  # what the disk does not hold yet is gone when it fails
        yield disk
    finally:
        run("umount", "--lazy", str(directory))


@pytest.mark.bar("D3", "F7")
def test_feeds_and_pages_go_on_when_the_disk_becomes_read_only(tmp_path: Path, fill: Fill) -> None:
    if not can_mount_a_file(tmp_path):
        pytest.skip("Only root may mount a file, where there are loop devices.")
    product = Product(tmp_path)
    fill(product, 1, 2)
    with mounted(product.data_dir) as disk:
        product.start()
        try:
            words = ("--calendar", "clinician@demo.example", "--label", "Phone")
            link = product.command("link", "create", *words, "--display", "initials")
            ada = Person(product.url, ADMIN)
            before = product.read(link).body

            disk.fail()

            refused = ada.send("/settings/places", page="/settings/places", name="Attic")
            assert refused.status_code == 503
            assert "Nothing was changed" in refused.text
            again = product.read(link)
            assert (again.status, again.body) == (200, before)
            pages = [ada.get(path).status_code for path in ("/calendar", "/clients", "/settings")]
            assert pages == [200, 200, 200]
            ada.close()

            product.stop()
            sentence = said(product.data_dir)
            assert "the disk of the data directory is read-only" in sentence

            disk.unmount()
            disk.repair()
            disk.mount()
            product.start()
            assert product.read(link).body == before
            ada = Person(product.url, ADMIN)
            sent = ada.send("/settings/places", page="/settings/places", name="Attic")
            assert sent.status_code == 302
            ada.close()
        finally:
            product.stop_if_running()
