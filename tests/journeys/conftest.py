"""The product under test: an empty one for a single test, and a demo practice for many."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
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


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A demo practice that many tests share; each takes a `clinician` of its own."""
    shared = Product(tmp_path_factory.mktemp("demo"))
    shared.command(
        "demo", "--password", PASSWORD, "--clinicians", str(DEMO_CLINICIANS), "--weeks", "4"
    )
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
