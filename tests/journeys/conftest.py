"""The product under test: an empty one for a single test, and a demo practice for many."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import expect

from tests.journeys.product import Product, running
from tests.journeys.steps import PASSWORD

DEMO_CLINICIANS = 16

# A busy machine answers late, but it answers.
expect.set_options(timeout=15_000)


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """Started for the first time: nothing is set up."""
    yield from running(Product(tmp_path))


Fill = Callable[[Product, int, int], None]


@pytest.fixture(scope="session")
def fill(tmp_path_factory: pytest.TempPathFactory) -> Fill:
    """`fill(product, clinicians, weeks)`: a demo, made once for all that want one like it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # each worker has a directory of its own there

    def fill(product: Product, clinicians: int, weeks: int) -> None:
        likes = ("--clinicians", str(clinicians), "--weeks", str(weeks))
        made = shared / f"demo-{clinicians}-{weeks}"
        with FileLock(f"{made}.lock"):
            if not made.exists():
                first = Product(shared / f"making-{made.name}")
                first.command("demo", "--password", PASSWORD, *likes)
                first.data_dir.rename(made)
        shutil.copytree(made, product.data_dir)

    return fill


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, fill: Fill) -> Iterator[Product]:
    """A demo practice that many tests share; each takes a `clinician` of its own."""
    shared = Product(tmp_path_factory.mktemp("demo"))
    fill(shared, DEMO_CLINICIANS, 4)
    yield from running(shared)


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return count(2)


@pytest.fixture
def clinician(_numbers: Iterator[int]) -> str:
    """The sign-in of a demo clinician whom no other test uses."""
    number = next(_numbers)
    assert number <= DEMO_CLINICIANS
    return f"clinician{number}@demo.example"
